/**
 * The index against the records (I15): what a reader can list is what is stored, and what it can list by a tag is what
 * carries the tag. The index is asked as a reader asks it; its own books are no witness. Searches are not asked, because
 * each of them is a read that is counted and told to the others.
 */
import { fromHex } from '../../src/base/bytes.ts'
import type { RecordId } from '../../src/memory/ids.ts'
import { decodeRecord } from '../../src/memory/record-codec.ts'
import { recordExists } from '../../src/memory/record.ts'
import type { ListRequest } from '../../src/node/api.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { Violation } from './checker.ts'
import type { NodeView, Scene } from './inspect.ts'
import { short } from './stores.ts'

const PAGE = 200
const EVERYTHING = { includeRetracted: true, includeExpired: true, includeSuperseded: true } as const

export async function checkIndex({ evidence, views }: Scene): Promise<Violation[]> {
  const found: Violation[] = []
  for (const [i, view] of views.entries()) {
    const node = evidence.honest.find(({ name }) => name === view.name)
    if (node?.running !== true) continue
    const { all, byTag } = contentsOf(view)
    found.push(...compareLists(view.name, 'stored', all, await listed(node, EVERYTHING)))
    // One tag for each node, another for the next: together they see all of them.
    const tags = [...byTag.keys()].sort()
    const tag = tags[i % Math.max(1, tags.length)]
    if (tag === undefined) continue
    const carrying = byTag.get(tag) ?? new Set()
    const answer = await listed(node, { ...EVERYTHING, tagsAll: [tag] })
    found.push(...compareLists(view.name, `tagged ${tag}`, carrying, answer))
  }
  return found
}

/** Records that somebody has created, and of these those that carry each tag. */
export function contentsOf({ records }: Pick<NodeView, 'records'>): {
  all: Set<RecordId>
  byTag: Map<string, Set<RecordId>>
} {
  const all = new Set<RecordId>()
  const byTag = new Map<string, Set<RecordId>>()
  for (const [id, state] of records) {
    const record = decodeRecord(fromHex(state))
    if (!recordExists(record)) continue
    all.add(id)
    for (const [tag, { live }] of record.tags) {
      if (live.size > 0) byTag.set(tag, (byTag.get(tag) ?? new Set()).add(id))
    }
  }
  return { all, byTag }
}

async function listed(node: SimNode, request: ListRequest): Promise<Set<RecordId>> {
  const ids = new Set<RecordId>()
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await node.engine.list({ ...request, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
    for (const { id } of page.items) ids.add(id)
    cursor = page.cursor
  }
  return ids
}

export function compareLists(
  node: string,
  what: string,
  should: ReadonlySet<RecordId>,
  is: ReadonlySet<RecordId>
): Violation[] {
  const lacking = [...should].filter((id) => !is.has(id))
  const extra = [...is].filter((id) => !should.has(id))
  if (lacking.length + extra.length === 0) return []
  const first = short(lacking[0] ?? extra[0])
  const counts = `${lacking.length} records that are ${what} are not listed, and ${extra.length} are that are not`
  return [{ invariant: 'I15', node, what: `${counts}: ${first}` }]
}
