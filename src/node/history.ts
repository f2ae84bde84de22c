/**
 * Why a memory is what it is: the operations that made it, in causal order, and the records it comes from and led to.
 */
import { LIMITS } from '../base/limits.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { CausalDag, causalNodeOf } from '../memory/causal-dag.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { compareStamps, hlcMs, type RecordId } from '../memory/ids.ts'
import { resolveTarget } from '../memory/names.ts'
import { BASIS_POINTS, type Op, type Relation } from '../memory/ops.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { HistoryEntry, LineageNode } from './api.ts'
import { readHistory, type DeltaReader } from './deltas.ts'
import type { Items } from './items.ts'
import type { Records } from './records.ts'
import { scanPrefix } from './restore.ts'
import { linkPrefix, parseLinkKey } from './rows.ts'
import type { Space } from './space.ts'

/** Entries of one answer. */
const HISTORY_MAX = 1_000

export async function historyOf(ports: DeltaReader, space: Space, record: RecordId): Promise<HistoryEntry[]> {
  const deltas = await readHistory(ports, space.id, record, HISTORY_MAX)
  const dag = new CausalDag()
  for (const delta of deltas) dag.add(causalNodeOf(delta))
  const lamport = dag.lamportTimes()
  deltas.sort((a, b) => compareStamps(stampOf(a), stampOf(b)))
  return deltas.map((delta) => ({
    delta: delta.id,
    fingerprint: delta.fingerprint,
    peer: authorToPeerId(delta.header.author),
    atMs: hlcMs(delta.header.hlc),
    seq: delta.header.seq,
    epoch: delta.header.epoch,
    operations: operationsOn(ports.crypto, delta, record),
    lamport: lamport.get(delta.id) ?? 0,
    concurrentWith: deltas.filter((other) => dag.concurrent(delta.id, other.id)).map((other) => other.id)
  }))
}

function stampOf(delta: VerifiedDelta): { hlc: bigint; author: string; delta: string; index: number } {
  return { hlc: delta.header.hlc, author: delta.header.author, delta: delta.id, index: 0 }
}

function operationsOn(hasher: Hasher, delta: VerifiedDelta, record: RecordId): string[] {
  return delta.ops.flatMap((op) => {
    if (op.op === 'unknown') return [`unknown operation ${op.code}`]
    return resolveTarget(hasher, delta.header.space, delta.id, op.target) === record ? [describe(op)] : []
  })
}

function describe(op: Exclude<Op, { op: 'unknown' }>): string {
  switch (op.op) {
    case 'create':
      return `create ${op.documentType}`
    case 'set':
      return op.value === null
        ? `clear ${op.field}`
        : `set ${op.field}${op.field === 'content' ? '' : ` ${String(op.value)}`}`
    case 'tag':
      return `tag ${op.tag}`
    case 'untag':
      return `untag ${op.tag}`
    case 'link':
      return `link ${op.relation} ${op.value}`
    case 'importance':
    case 'confidence':
      return `${op.op} ${op.value / BASIS_POINTS}`
    case 'access':
      return `accessed ${op.total} times`
    case 'origin':
      return `said where it came from: ${op.origin}`
    case 'vote':
      return `vote ${op.verdict} ${op.confidence / BASIS_POINTS}`
  }
}

/** Breadth first: `parents`, `supersedes` and `related` upwards, records that name this one downwards. */
export async function lineageOf(
  ports: DeltaReader & { records: Records; items: Items },
  space: Space,
  start: RecordId,
  depthMax: number
): Promise<LineageNode[]> {
  const nodes: LineageNode[] = []
  const seen = new Set<RecordId>([start])
  nodes.push(await nodeOf(ports, space, { id: start, depth: 0, relation: 'self', direction: 'self' }))
  for (const direction of ['up', 'down'] as const) {
    let frontier: RecordId[] = [start]
    for (let depth = 1; depth <= depthMax && frontier.length > 0; depth++) {
      const next: RecordId[] = []
      for (const id of frontier) {
        for (const edge of await edgesOf(ports, space, id, direction)) {
          if (seen.has(edge.id) || seen.size >= LIMITS.lineageDeltasMax) continue
          seen.add(edge.id)
          next.push(edge.id)
          nodes.push(await nodeOf(ports, space, { ...edge, depth, direction }))
        }
      }
      frontier = next
    }
  }
  return nodes
}

interface Edge {
  readonly id: RecordId
  readonly relation: Relation
}

async function edgesOf(
  ports: DeltaReader & { records: Records },
  space: Space,
  id: RecordId,
  direction: 'up' | 'down'
): Promise<Edge[]> {
  const edges: Edge[] = []
  if (direction === 'up') {
    const record = await ports.records.get(space.id, id)
    for (const relation of ['parents', 'supersedes', 'related'] as const) {
      for (const target of [...(record?.state[relation] ?? [])].sort()) edges.push({ id: target, relation })
    }
    return edges
  }
  for await (const row of scanPrefix(ports.store, 'link', linkPrefix(space.id, id), { pageRows: 200 })) {
    const { relation, from } = parseLinkKey(row.key)
    edges.push({ id: from, relation })
    if (edges.length >= LIMITS.lineageDeltasMax) break
  }
  return edges
}

async function nodeOf(
  ports: { records: Records; items: Items },
  space: Space,
  place: Pick<LineageNode, 'id' | 'depth' | 'relation' | 'direction'>
): Promise<LineageNode> {
  const record = await ports.records.get(space.id, place.id)
  const view = record === undefined ? undefined : ports.items.view(space, record)
  return { ...place, content: view?.content ?? null, peer: view?.contentPeer ?? '', present: view !== undefined }
}
