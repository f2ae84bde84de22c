/** What the fake engine answers with: records, spaces and a status that look like those of the real one. */
import { createHash } from 'node:crypto'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import type { AddRequest, IndexState, MemoryItem, NodeStatus, SpaceInfo } from '../../src/node/api.ts'

export const FAKE_AUTHOR = '3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29'
export const FAKE_PEER = authorToPeerId(FAKE_AUTHOR)

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function fingerprint(text: string): string {
  return createHash('sha384').update(text).digest('hex')
}

export function space(name: string, byte: string, isDefault: boolean): SpaceInfo {
  const counts = { deltas: 0, records: 0, pending: 0, authors: 1 }
  const about = { creator: FAKE_PEER, policy: 'open', root: fingerprint(name), mode: 'streaming' } as const
  return { id: byte.repeat(16), name, shared: name !== 'private', isDefault, ...counts, ...about }
}

export function status(home: string, spaces: readonly SpaceInfo[], records: number, nowMs: number): NodeStatus {
  return {
    version: '0.1.0',
    peer: FAKE_PEER,
    name: 'fake',
    home,
    uptimeMs: 5_000,
    startedAtMs: nowMs - 5_000,
    epoch: '00000000000000e0',
    state: 'ready',
    reasons: [],
    addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${FAKE_PEER}`],
    peers: { connected: 1, known: 1 },
    spaces,
    index: indexState(records),
    disk: null,
    durability: 'fsync',
    queues: { inbox: 0 },
    refusals: {},
    memory: { rssBytes: 1, heapBytes: 1 }
  }
}

export function indexState(records: number): IndexState {
  return { state: 'complete', indexed: records, records, vector: 'off' }
}

export function item(id: string, place: SpaceInfo, request: AddRequest, atMs: number): MemoryItem {
  const claim = (value: number | undefined) => (value === undefined ? null : { max: value, effective: value })
  return {
    id,
    space: place.id,
    spaceName: place.name,
    key: request.key ?? null,
    documentType: request.documentType ?? 'memory',
    memoryType: request.memoryType ?? null,
    kind: request.kind ?? 'note',
    content: request.content,
    path: request.path ?? null,
    pinned: request.pinned ?? false,
    tags: [...(request.tags ?? [])].sort(),
    evidence: request.evidence ?? [],
    related: request.related ?? [],
    parents: request.parents ?? [],
    supersedes: request.supersedes ?? [],
    origins: [{ peer: FAKE_PEER, class: request.origin ?? 'self', agent: request.agent ?? null }],
    importance: claim(request.importance),
    confidence: claim(request.confidence),
    accessCount: 0,
    votes: [],
    validFrom: request.validFrom ?? null,
    validTo: request.validTo ?? null,
    expiresAt: request.expiresAt ?? null,
    retracted: null,
    expired: false,
    author: FAKE_AUTHOR,
    peer: FAKE_PEER,
    source: request.source ?? null,
    createdBy: digest(`delta of ${id}`),
    createdAt: atMs,
    updatedAt: atMs,
    contentPeer: FAKE_PEER,
    contentBy: digest(`delta of ${id}`),
    version: 1,
    syncState: 'local',
    holders: 0,
    fingerprint: fingerprint(id),
    verified: true,
    trust: { tier: 'trusted', because: 'its author is this daemon' },
    flags: []
  }
}
