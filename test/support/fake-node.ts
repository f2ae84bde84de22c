/**
 * An engine that keeps everything in arrays: the RPC door and the command line are tested against it. It signs nothing
 * and replicates nothing, but its ids, cursors, errors and answers have the shapes of the real one.
 */
import { ChrysalisError } from '../../src/base/errors.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { itemTokens, tokensOf } from '../../src/base/tokens.ts'
import type {
  AddRequest,
  ChangeEntry,
  MemoryItem,
  NodeApi,
  NodeEvent,
  NodeEventBody,
  ReviseRequest,
  SearchHit,
  SpaceInfo,
  WriteReceipt
} from '../../src/node/api.ts'
import type { Control } from '../../src/rpc/control.ts'
import type { Tokens } from '../../src/rpc/identity.ts'
import { fakeEmbed } from './fake-embed.ts'
import { digest, FAKE_AUTHOR, FAKE_PEER, fingerprint, indexState, item, space, status } from './fake-records.ts'
import { FAKE_SESSION, fakeSyncPeer } from './fake-sync.ts'
import { fakeUpkeep } from './fake-upkeep.ts'

export const OTHER_PEER = authorToPeerId('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')

export interface FakeNode extends NodeApi {
  /** Every call by method name, in order. */
  readonly calls: readonly { readonly method: string; readonly args: readonly unknown[] }[]
  emit(body: Exclude<NodeEventBody, { type: 'memory' }>): void
  /** Calls of this method wait until the returned function is called. */
  hold(method: 'add' | 'search' | 'stats'): () => void
  /** The next call of this method rejects with it. */
  fail(method: 'add' | 'search' | 'stats' | 'verify' | 'changes', error: Error): void
  /** An engine that does not know `limit: 0` as a question for the end of the log. */
  naiveLog: boolean
}

export interface FakeOptions {
  readonly home?: string
  readonly nowMs?: () => number
}

export function createFakeNode(options: FakeOptions = {}): FakeNode {
  const nowMs = options.nowMs ?? (() => 1_800_000_000_000)
  const records = new Map<string, MemoryItem>()
  const log: ChangeEntry[] = []
  const listeners = new Set<(event: NodeEvent) => void>()
  const calls: { method: string; args: readonly unknown[] }[] = []
  const held = new Map<string, Promise<void>>()
  const failures = new Map<string, Error>()
  const spaces: SpaceInfo[] = [space('shared', '11', true), space('private', '22', false)]

  const enter = async (method: string, ...args: unknown[]): Promise<void> => {
    calls.push({ method, args })
    const failure = failures.get(method)
    failures.delete(method)
    await held.get(method)
    if (failure !== undefined) throw failure
  }
  const spaceNamed = (name: string | undefined): SpaceInfo => {
    const found = name === undefined ? spaces[0] : spaces.find((one) => one.name === name || one.id === name)
    if (found === undefined) throw new ChrysalisError('not_found', `No space ${String(name)}.`, { hint: 'List them.' })
    return found
  }
  const existing = (id: string): MemoryItem => {
    const found = records.get(id)
    if (found === undefined) throw new ChrysalisError('not_found', `No record ${id}.`, { hint: 'Check the id.' })
    return found
  }
  const append = (record: MemoryItem): WriteReceipt => {
    const delta = digest(`delta ${log.length}`)
    records.set(record.id, record)
    const entry: ChangeEntry = {
      cursor: String(log.length + 1),
      space: record.space,
      delta,
      peer: FAKE_PEER,
      atMs: nowMs(),
      records: [record.id]
    }
    log.push(entry)
    for (const listener of [...listeners]) {
      listener({ type: 'memory', change: entry, cursor: entry.cursor, atMs: entry.atMs })
    }
    const { id, fingerprint } = record
    return { id, delta, fingerprint, space: record.space, atMs: nowMs(), syncState: 'local', created: true, flags: [] }
  }
  const add = (request: AddRequest): WriteReceipt => {
    const place = spaceNamed(request.space)
    const id = digest(request.key === undefined ? `record ${log.length} ${request.content}` : `key ${request.key}`)
    return append(item(id, place, request, nowMs()))
  }
  const resolve = (reference: string): string => {
    if (reference.startsWith('key:')) {
      const id = digest(`key ${reference.slice(4)}`)
      return existing(id).id
    }
    const found = [...records.keys()].filter((id) => id.startsWith(reference))
    if (found.length === 0) throw new ChrysalisError('not_found', `No record ${reference}.`, { hint: 'Check the id.' })
    if (found.length > 1) {
      throw new ChrysalisError('ambiguous_id', `${found.length} records begin with ${reference}.`, {
        hint: 'More digits.'
      })
    }
    return found[0]!
  }
  const touch = (id: string, changes: Partial<MemoryItem>): WriteReceipt => append({ ...existing(id), ...changes })

  const node: FakeNode = {
    peer: FAKE_PEER,
    calls,
    naiveLog: false,
    emit(body) {
      for (const listener of [...listeners]) listener({ ...body, cursor: null, atMs: nowMs() })
    },
    hold(method) {
      let release!: () => void
      held.set(method, new Promise((done) => (release = done)))
      return () => {
        held.delete(method)
        release()
      }
    },
    fail: (method, error) => void failures.set(method, error),
    status: () => status(options.home ?? '/home/fake', spaces, records.size, nowMs()),
    health: () => ({ live: true, ready: true, reasons: [] }),
    async add(request, writeOptions) {
      await enter('add', request, writeOptions)
      return add(request)
    },
    async addMany(requests, writeOptions) {
      await enter('addMany', requests, writeOptions)
      return requests.map(add)
    },
    async get(ids, ...where) {
      await enter('get', ids, ...where)
      return ids.map((id) => records.get(id) ?? null)
    },
    async resolve(reference, inSpace) {
      await enter('resolve', reference, inSpace)
      return resolve(reference)
    },
    async search(request) {
      await enter('search', request)
      const words = request.query.toLowerCase().split(/\s+/)
      const hits: SearchHit[] = []
      for (const record of records.values()) {
        const text = (record.content ?? '').toLowerCase()
        const score = words.filter((word) => text.includes(word)).length / words.length
        if (score > 0) hits.push({ ...record, score, ...(request.explain === true ? { why: { words: score } } : {}) })
      }
      const limit = request.limit ?? 10
      hits.sort((a, b) => b.score - a.score)
      const items = hits.slice(0, limit)
      const usedTokens = items.reduce((sum, hit) => sum + itemTokens(hit.content), 0)
      const dropped = Math.max(0, hits.length - limit)
      return { items, index: indexState(records.size), dropped, hidden: 0, usedTokens, overflow: false }
    },
    async context(request) {
      await enter('context', request)
      const all = [...records.values()].map((record): SearchHit => ({ ...record, score: 1 }))
      const pinned = all.filter((hit) => hit.pinned)
      const relevant = all.filter((hit) => !hit.pinned)
      const text = all.map((hit) => hit.content ?? '').join('\n')
      const usedTokens = tokensOf(text)
      const place = { cursor: String(log.length), index: indexState(records.size) }
      return { pinned, open: [], changes: [], relevant, text, usedTokens, overflow: false, ...place }
    },
    async list(request) {
      await enter('list', request)
      const from = Number(request.cursor ?? '0')
      const to = from + (request.limit ?? 50)
      const all = [...records.values()]
      return { items: all.slice(from, to), cursor: to < all.length ? String(to) : null }
    },
    async changes({ cursor, limit, spaces: wanted }) {
      await enter('changes', cursor, limit)
      const from = Number(cursor ?? '0')
      if (!Number.isInteger(from) || from > log.length) {
        throw new ChrysalisError('invalid_argument', `Unknown cursor ${String(cursor)}.`, { hint: 'Begin anew.' })
      }
      if (limit === 0 && !node.naiveLog) return { changes: [], cursor: String(log.length), more: false }
      const to = Math.min(log.length, from + (limit ?? 100))
      const ids = wanted?.map((name) => spaceNamed(name).id)
      const changes = log.slice(from, to).filter((entry) => ids === undefined || ids.includes(entry.space))
      return { changes, cursor: String(to), more: to < log.length }
    },
    async revise(request: ReviseRequest, writeOptions) {
      await enter('revise', request, writeOptions)
      const before = existing(request.id)
      if (request.ifVersion !== undefined && request.ifVersion !== before.version) {
        throw new ChrysalisError('conflict', `The version is ${before.version}.`, { hint: 'Read it again.' })
      }
      const { id, space: _space, tagsAdd = [], tagsRemove = [], ...fields } = request
      const tags = [...before.tags.filter((tag) => !tagsRemove.includes(tag)), ...tagsAdd].sort()
      const { content, kind, path, pinned } = fields
      return touch(id, {
        tags,
        version: before.version + (content === undefined ? 0 : 1),
        ...(content === undefined ? {} : { content }),
        ...(kind === undefined ? {} : { kind }),
        ...(path === undefined ? {} : { path }),
        ...(pinned === undefined ? {} : { pinned })
      })
    },
    async link(request, writeOptions) {
      await enter('link', request, writeOptions)
      return touch(request.from, { [request.relation]: [request.to] })
    },
    async retract(request, writeOptions) {
      await enter('retract', request, writeOptions)
      return touch(request.id, { retracted: request.reason })
    },
    ...fakeUpkeep({ enter, records, spaceNamed, existing, add, touch }),
    async history(id) {
      await enter('history', id)
      existing(id)
      return log
        .filter((entry) => entry.records.includes(id))
        .map((entry, seq) => ({
          delta: entry.delta,
          fingerprint: fingerprint(entry.delta),
          peer: entry.peer,
          atMs: entry.atMs,
          seq,
          epoch: '00000000000000e0',
          operations: [seq === 0 ? 'create' : 'set content'],
          lamport: seq + 1,
          concurrentWith: []
        }))
    },
    async lineage(id) {
      await enter('lineage', id)
      const record = existing(id)
      const self = { id, content: record.content, peer: record.peer, depth: 0, relation: 'self', direction: 'self' }
      return [
        { ...self, present: true } as const,
        ...record.parents.map((parent) => ({
          id: parent,
          content: records.get(parent)?.content ?? null,
          peer: records.get(parent)?.peer ?? '',
          depth: 1,
          relation: 'parents' as const,
          direction: 'up' as const,
          present: records.has(parent)
        }))
      ] as const as Awaited<ReturnType<NodeApi['lineage']>>
    },
    async verify(request) {
      await enter('verify', request)
      const checked = request.ids?.length ?? log.length
      return { checked, valid: checked, invalid: [], pruned: 0, equivocators: [] }
    },
    async stats(inSpace) {
      await enter('stats', inSpace)
      return {
        deltas: log.length,
        records: records.size,
        authors: 1,
        uniqueContexts: 1,
        tags: 0,
        byKind: { note: records.size },
        byAuthor: { [FAKE_PEER]: records.size },
        diversity: 0,
        growthLastDay: records.size,
        writeStorms: [],
        counters: {}
      }
    },
    async vote(request, writeOptions) {
      await enter('vote', request, writeOptions)
      const { verdict, confidence = 1, reason = null } = request
      return touch(request.id, { votes: [{ voter: FAKE_PEER, verdict, confidence, reason, atMs: nowMs() }] })
    },
    async tally(id) {
      await enter('tally', id)
      const cast = existing(id).votes.length
      const none = { confirm: 0, dispute: 0, abstain: 0, flag: 0, uncounted: 0 }
      return { id, electorate: 4, cast, ...none, confirm: cast, quorum: false, status: 'unverified' }
    },
    ...fakeEmbed(enter),
    trustList: () => ({ newcomers: 'known', entries: [] }),
    async trustPeer({ peer, tier, reason = null }) {
      await enter('trustPeer', peer, tier)
      return { peer, author: FAKE_AUTHOR, tier: tier ?? 'known', atMs: nowMs(), reason }
    },
    async review(request) {
      await enter('review', request)
      return { items: [], cursor: null }
    },
    peers: () => [
      {
        peer: OTHER_PEER,
        addresses: ['/ip4/127.0.0.1/tcp/4001'],
        connected: true,
        topics: ['shared'],
        direction: 'outbound',
        score: 0,
        bannedUntilMs: 0,
        source: 'bootstrap'
      }
    ],
    async connect(address) {
      await enter('connect', address)
      return OTHER_PEER
    },
    async disconnect(peer) {
      await enter('disconnect', peer)
    },
    async syncStatus() {
      await enter('syncStatus')
      const [shared] = spaces
      const counts = { local: records.size, pending: 0, synced: 0, outbox: 0, catchUp: null }
      return {
        spaces: [{ space: shared!.id, name: shared!.name, ...counts, root: shared!.root }],
        peers: [fakeSyncPeer(OTHER_PEER, shared!.id, nowMs())]
      }
    },
    async syncNow(request) {
      await enter('syncNow', request)
      return { sessions: [{ ...FAKE_SESSION, peer: OTHER_PEER, space: spaces[0]!.id }] }
    },
    async syncWait(request) {
      await enter('syncWait', request)
      const { id, name } = spaceNamed(request.space)
      const cursor = request.cursor ?? String(log.length)
      return {
        cursor,
        memories: request.ids?.length ?? 0,
        spaces: [{ space: id, name, holders: [OTHER_PEER] }],
        waitedMs: 5
      }
    },
    async syncFrontiers(request) {
      await enter('syncFrontiers', request)
      const chain = { space: spaceNamed(request.space).id, peer: FAKE_PEER, epoch: '00000000000000e0' }
      const frontier = { ...chain, seq: log.length - 1, missing: 0, lastSeenMs: nowMs(), equivocated: false }
      return { frontiers: [frontier], cursor: null }
    },
    spaces: () => spaces,
    async digest(inSpace) {
      await enter('digest', inSpace)
      const { id, name, root } = spaceNamed(inSpace)
      return { space: id, name, deltas: log.length, records: records.size, root, state: fingerprint('state') }
    },
    async deltaIds({ cursor, limit }) {
      await enter('deltaIds', cursor, limit)
      const from = Number(cursor ?? '0')
      const to = from + (limit ?? 100)
      return { ids: log.slice(from, to).map((entry) => entry.delta), cursor: to < log.length ? String(to) : null }
    },
    estimate: ({ nodes, fanout = 3, linkMs = 86, loss = 0, droppers = 0 }) => {
      const rounds = Math.ceil(Math.log(nodes) / Math.log(fanout))
      const specification = { rounds, ms: rounds * 500 }
      return {
        nodes,
        fanout,
        loss,
        droppers,
        specification,
        hops: rounds,
        t50Ms: (rounds * linkMs) / 2,
        t99Ms: rounds * linkMs,
        ms: rounds * linkMs,
        copies: fanout,
        infectAndDieCoverage: 0.94,
        assumptions: []
      }
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
  return node
}

export interface FakeControl extends Control {
  readonly stops: number
}

/** No tokens, and none asked for. */
function fakeTokens(): Tokens {
  const unknown = (): never => {
    throw new ChrysalisError('denied', 'This token is not known here.', { hint: 'Make one.' })
  }
  return {
    required: false,
    identify: unknown,
    list: () => [],
    revoke: async () => undefined,
    add: async ({ name }) => ({
      token: { name, spaces: null, origins: ['self'], verbs: ['read', 'write'], writesPerSecond: null, createdAtMs: 9 },
      secret: 'chz-tok1:fake'
    })
  }
}

export function createFakeControl(options: { readonly tokens?: Tokens } = {}): FakeControl {
  let stops = 0
  return {
    get stops() {
      return stops
    },
    stop: () => void stops++,
    invite: async ({ space: name = 'shared', uses = 1 }) => ({
      ticket: 'chy1-ticket',
      space: name,
      expiresAtMs: 9,
      uses
    }),
    join: async ({ ticket }) => {
      if (ticket !== 'chy1-ticket')
        throw new ChrysalisError('ticket', 'The ticket is not valid.', { hint: 'Ask anew.' })
      return { space: { name: 'team', id: '33'.repeat(16) }, addresses: ['/ip4/127.0.0.1/tcp/4001'], restarting: false }
    },
    tokens: options.tokens ?? fakeTokens(),
    configuration: () => [
      { key: 'network.fanout', value: 3, source: 'default' },
      { key: 'network.mdns', value: false, source: 'flag' },
      { key: 'log.level', value: 'info', source: 'environment' }
    ]
  }
}
