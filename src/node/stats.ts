/**
 * Figures about the collective: how much, by whom, how varied, how fast it grows. Computed from the index when asked.
 */
import { authorToPeerId } from '../base/peer-id.ts'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Store } from '../ports/store.ts'
import type { StatsAnswer } from './api.ts'
import type { Indexer } from './indexer.ts'
import type { Space } from './space.ts'
import { readStorms } from './storms.ts'

const DAY_MS = 86_400_000
const STORMS_SHOWN = 20

export async function statsOf(
  ports: { store: Store; clock: Clock; metrics: Metrics; indexer: Indexer },
  spaces: readonly Space[]
): Promise<StatsAnswer> {
  await ports.indexer.catchUp()
  const ids = new Set(spaces.map((space) => space.id))
  const byKind: Record<string, number> = {}
  const byAuthor: Record<string, number> = {}
  const tags = new Set<string>()
  const contexts = new Set<string>()
  let records = 0
  let growthLastDay = 0
  const everything = { includeExpired: true, includeRetracted: true, includeSuperseded: true, spaces: [...ids] }
  const nowMs = ports.clock.nowMs()
  for (const doc of ports.indexer.index.list(everything, { limit: Infinity, nowMs })) {
    records++
    if (doc.createdAt >= nowMs - DAY_MS) growthLastDay++
    byKind[doc.kind] = (byKind[doc.kind] ?? 0) + 1
    byAuthor[doc.author] = (byAuthor[doc.author] ?? 0) + 1
    for (const tag of doc.tags) tags.add(tag)
    contexts.add(doc.path ?? doc.tags.join('\n'))
  }
  const authors = new Set<string>()
  let deltas = 0
  for (const space of spaces) {
    deltas += space.replica.tree.count
    for (const author of space.replica.authors()) authors.add(author)
  }
  return {
    deltas,
    records,
    authors: authors.size,
    uniqueContexts: contexts.size,
    tags: tags.size,
    byKind,
    byAuthor: Object.fromEntries(Object.entries(byAuthor).map(([author, count]) => [authorToPeerId(author), count])),
    diversity: evenness(Object.values(byAuthor)),
    growthLastDay,
    writeStorms: (await readStorms(ports.store, STORMS_SHOWN)).filter((storm) => ids.has(storm.space)),
    counters: ports.metrics.snapshot()
  }
}

/** Shannon entropy of the shares, divided by its maximum: 0 for one author, 1 when all wrote alike. */
export function evenness(counts: readonly number[]): number {
  const sorted = [...counts].sort((a, b) => a - b)
  const total = sorted.reduce((sum, count) => sum + count, 0)
  if (sorted.length < 2 || total === 0) return 0
  let entropy = 0
  for (const count of sorted) entropy -= (count / total) * Math.log(count / total)
  return entropy / Math.log(sorted.length)
}
