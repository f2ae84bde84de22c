/**
 * Which records may answer a question about the past. The index holds what is true now. A record that nobody has touched
 * since the moment in question was then what it is now; one that changed since is *unsettled* until somebody has folded
 * its history up to that moment and handed in what came out.
 *
 * Unsettled records are let through by what can never change (space, author, time of creation), so that the best of them
 * are known and can be settled; once everything possible was, the rest is kept out.
 */
import type { RecordId, SpaceId } from '../memory/ids.ts'
import { compileFilters } from './filters.ts'
import type { FoundElsewhere, Shelved } from './gather.ts'
import { recallKey, type Links } from './links.ts'
import type { RecallDoc, RecallFilters } from './recall-doc.ts'

export interface Past {
  /** Wall milliseconds. */
  readonly ms: number
  /** By `recallKey`: records that changed since, as they were; null for one that did not exist or cannot be known. */
  readonly docs: ReadonlyMap<string, RecallDoc | null>
  /** Of those, which had other words then, with nothing of the query in them: they supersede, but are no hits. */
  readonly silent?: ReadonlySet<string>
  /** Of those, what the words of the query find in their old texts. Best first. */
  readonly hits?: readonly FoundElsewhere[]
  /** Keeps out what is not settled yet. */
  readonly isFinal?: boolean
}

interface Library {
  readonly links: Links
  entry(key: string): Shelved | undefined
}

/** The record as it was, null when it was not there, undefined when nobody knows yet. */
function docThen(past: Past, { key, doc }: Shelved): RecallDoc | null | undefined {
  if (doc.updatedAt <= past.ms) return doc
  return doc.createdAt > past.ms ? null : past.docs.get(key)
}

/** All of `filters`, judged as things were; trust is left to the caller. `lost` collects what is kept out unsettled. */
export function compilePast<T extends Shelved>(
  filters: RecallFilters,
  past: Past,
  library: Library,
  maySupersede: (doc: RecallDoc) => boolean,
  lost: Set<T>
): (entry: T) => boolean {
  const passes = compileFilters(filters, past.ms)
  const mayPass = compileFilters(whatNeverChanges(filters), past.ms)
  const showsSuperseded = filters.includeSuperseded === true
  return (entry) => {
    const doc = docThen(past, entry)
    if (doc === null) return false
    if (doc === undefined) {
      if (!mayPass(entry.doc)) return false
      if (past.isFinal === true) lost.add(entry)
      return past.isFinal !== true
    }
    if (past.silent?.has(entry.key) === true) return false
    return passes(doc) && (showsSuperseded || !wasSuperseded(entry.key, doc, past, library, maySupersede))
  }
}

/** Of these hits and of those that may supersede them: what changed since and is not settled. */
export function unsettledOf(
  hits: readonly { readonly id: RecordId; readonly space: SpaceId }[],
  past: Past,
  library: Library
): RecallDoc[] {
  const unsettled = new Map<string, RecallDoc>()
  for (const { id, space } of hits) {
    const key = recallKey(id, space)
    for (const one of [key, ...library.links.superseders(key)]) {
      const entry = library.entry(one)
      if (entry !== undefined && docThen(past, entry) === undefined) unsettled.set(one, entry.doc)
    }
  }
  return [...unsettled.values()]
}

function wasSuperseded(
  key: string,
  doc: RecallDoc,
  past: Past,
  library: Library,
  maySupersede: (doc: RecallDoc) => boolean
): boolean {
  for (const other of library.links.superseders(key)) {
    const entry = library.entry(other)
    const newer = entry === undefined ? null : docThen(past, entry)
    if (newer === null || newer === undefined || newer.retracted || newer.id === doc.id || !maySupersede(newer))
      continue
    if (newer.supersedes.includes(doc.id) && !doc.supersedes.includes(newer.id)) return true
  }
  return false
}

/** Filters on what a record keeps for life. */
function whatNeverChanges(filters: RecallFilters): RecallFilters {
  const { spaces, authors, documentTypes, memoryTypes, sinceMs, untilMs } = filters
  return {
    ...(spaces === undefined ? {} : { spaces }),
    ...(authors === undefined ? {} : { authors }),
    ...(documentTypes === undefined ? {} : { documentTypes }),
    ...(memoryTypes === undefined ? {} : { memoryTypes }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
    includeExpired: true,
    includeRetracted: true
  }
}
