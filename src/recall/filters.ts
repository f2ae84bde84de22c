/**
 * The predicate behind RecallFilters. Filters are compiled once for each request, because the predicate then runs on
 * thousands of records; a filter that is absent costs nothing.
 *
 * Expired and retracted records are hidden unless asked for: they are history, not knowledge. Superseded ones are too;
 * the index sees to that.
 */
import { parseAuthor } from '../base/peer-id.ts'
import type { RecallDoc, RecallFilters } from './recall-doc.ts'

export type DocPredicate = (doc: RecallDoc) => boolean

/** Compiles all of `filters` but `includeSuperseded`, as of `nowMs`: what supersedes what, only the index knows. */
export function compileFilters(filters: RecallFilters, nowMs: number): DocPredicate {
  const tests: DocPredicate[] = []
  if (filters.includeRetracted !== true) tests.push((doc) => !doc.retracted)
  if (filters.includeExpired !== true) tests.push((doc) => isCurrent(doc, nowMs))
  addMembership(tests, filters.spaces, (doc) => doc.space)
  addMembership(tests, filters.kinds, (doc) => doc.kind)
  addMembership(tests, filters.memoryTypes, (doc) => doc.memoryType)
  addMembership(tests, filters.documentTypes, (doc) => doc.documentType)
  if (filters.documentTypes === undefined && filters.path === undefined) tests.push((doc) => !isBookkeeping(doc))
  addMembership(tests, filters.authors?.map(parseAuthor), (doc) => doc.author)
  addTagTests(tests, filters)
  addRangeTests(tests, filters)
  if (filters.validatedOnly === true) tests.push((doc) => doc.validated)
  if (filters.pinnedOnly === true) tests.push((doc) => doc.pinned)
  if (filters.path !== undefined) tests.push(isBelow(filters.path))
  return (doc) => {
    for (const holds of tests) if (!holds(doc)) return false
    return true
  }
}

/** What Chrysalis wrote about its own acts: shown to those who ask for metadata, or for its place in the tree. */
function isBookkeeping(doc: RecallDoc): boolean {
  return doc.documentType === 'metadata' && doc.path?.startsWith('chrysalis/') === true
}

/** Neither expired nor outside the time its author claims it is valid. Both ends of validity are inclusive. */
export function isCurrent(doc: RecallDoc, nowMs: number): boolean {
  if (doc.expiresAt !== null && doc.expiresAt <= nowMs) return false
  if (doc.validFrom !== null && doc.validFrom > nowMs) return false
  return doc.validTo === null || doc.validTo >= nowMs
}

/** An empty list is a filter too, and lets nothing pass: "in none of these spaces" is not "in any". */
function addMembership<T>(tests: DocPredicate[], wanted: readonly T[] | undefined, read: (doc: RecallDoc) => T): void {
  if (wanted === undefined) return
  const allowed = new Set(wanted)
  tests.push((doc) => allowed.has(read(doc)))
}

function addTagTests(tests: DocPredicate[], filters: RecallFilters): void {
  const { tagsAll, tagsAny } = filters
  if (tagsAll !== undefined && tagsAll.length > 0) tests.push((doc) => tagsAll.every((tag) => doc.tags.includes(tag)))
  if (tagsAny !== undefined) tests.push((doc) => tagsAny.some((tag) => doc.tags.includes(tag)))
}

function addRangeTests(tests: DocPredicate[], filters: RecallFilters): void {
  const { sinceMs, untilMs, minImportance } = filters
  if (sinceMs !== undefined) tests.push((doc) => doc.createdAt >= sinceMs)
  if (untilMs !== undefined) tests.push((doc) => doc.createdAt <= untilMs)
  if (minImportance !== undefined) tests.push((doc) => (doc.importance ?? 0) >= minImportance)
}

function isBelow(path: string): DocPredicate {
  const root = path.endsWith('/') ? path.slice(0, -1) : path
  const below = `${root}/`
  return (doc) => doc.path !== null && (doc.path === root || doc.path === below || doc.path.startsWith(below))
}
