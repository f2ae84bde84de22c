/**
 * The recall index: everything this daemon can find, in memory, rebuilt from the store after a start.
 *
 * A search gathers candidates from the keyword index and from exact names, filters them while they are gathered so that
 * a narrow filter never starves the answer, and ranks them (rank.ts). A record is known by id and space together:
 * whoever writes into one space can name any id there, and must not reach the records of another.
 *
 * Not safe against changes during an iteration, and single-threaded like everything here. Nothing in it is replicated:
 * two daemons may rank differently, never hold different records.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'
import { compileFilters } from './filters.ts'
import { reciprocalRankFusion } from './fuse.ts'
import { KeywordIndex } from './keyword-index.ts'
import {
  capAuthors,
  demoteRepeats,
  rankCollective,
  rankFused,
  rankJaccard,
  type Candidate,
  type Factors,
  type Ranked
} from './rank.ts'
import type { ListPosition, Ranking, RecallDoc, RecallFilters } from './recall-doc.ts'
import { RecencyOrder, type Ordered } from './recency-order.ts'
import { hashText, simHash, type SimHash } from './similarity.ts'
import { TagIndex } from './tag-index.ts'
import { tokenize } from './tokenize.ts'

export interface RecallRequest {
  /** Words, a question, a tag, a key, an id. Only white space: the newest records. */
  readonly query: string
  readonly filters?: RecallFilters
  /** At most LIMITS.recallResultsMax are given. */
  readonly limit: number
  /** Default `fused`. */
  readonly ranking?: Ranking
  /** Also says why: every factor of each score. */
  readonly explain?: boolean
  /** Wall milliseconds, for age and expiry. */
  readonly nowMs: number
  /** 0 hides a record, 1 is neutral. Asked often: must be cheap. Default 1 for all. */
  readonly trustOf?: (doc: RecallDoc) => number
}

export interface RecallHit {
  readonly id: RecordId
  readonly space: SpaceId
  readonly score: number
  readonly why?: Factors
}

export interface RecallAnswer {
  readonly hits: readonly RecallHit[]
  /** Matches that the limit cut off. They are counted among the best LIMITS.recallCandidatesMax only. */
  readonly dropped: number
}

interface Entry extends Ordered {
  readonly key: string
  doc: RecallDoc
  /** Of all that is searched, to see whether it has changed. */
  readonly textHash: SimHash
  readonly simHash: SimHash | undefined
}

type TrustOf = (doc: RecallDoc) => number
type EntryPredicate = (entry: Entry) => boolean

const TRUST_ALL: TrustOf = () => 1

/** The part each source has in the fused rank. A name said outright beats any likeness; a tag only helps. */
const KEYWORD_WEIGHT = 1
const NAMED_WEIGHT = 2
const MENTIONED_WEIGHT = 0.5
/** Candidates gathered for each result asked for, within bounds. */
const CANDIDATES_PER_RESULT = 10
const CANDIDATES_MIN = 100
/** Repetitions are looked for among this many hits for each result. */
const REPEAT_DEPTH_PER_RESULT = 4
/** How like the query a record is that only mentions one of its names. */
const MENTIONED_SIMILARITY = 0.5

export class RecallIndex {
  readonly #entries = new Map<string, Entry>()
  readonly #keywords = new KeywordIndex<Entry>()
  readonly #names = new TagIndex()
  readonly #order = new RecencyOrder<Entry>()
  /** Superseded record → records that say so, present or not. */
  readonly #superseders = new Map<string, Set<string>>()
  /** One copy of each frequent string, since every document repeats its space, author and tags. */
  readonly #strings = new BoundedMap<string, string>(LIMITS.recordCacheMax)

  /** Records in the index. */
  get size(): number {
    return this.#entries.size
  }

  has(id: RecordId, space: SpaceId): boolean {
    return this.#entries.has(keyOf(id, space))
  }

  get(id: RecordId, space: SpaceId): RecallDoc | undefined {
    return this.#entries.get(keyOf(id, space))?.doc
  }

  /**
   * Puts a record in, or in place of its earlier state. `text` is its content; tags, key and path are searched as well.
   * When only numbers have changed the text is not read again.
   */
  upsert(doc: RecallDoc, text: string): void {
    const key = keyOf(doc.id, doc.space)
    const searched = [text, doc.key ?? '', doc.path ?? '', ...doc.tags].join('\n')
    const textHash = hashText(searched)
    const known = this.#entries.get(key)
    if (known !== undefined) this.#unfile(known)
    const kept = this.#compact(doc)
    const sameTime = known?.doc.createdAt === kept.createdAt
    if (
      known !== undefined &&
      sameTime &&
      known.textHash.high === textHash.high &&
      known.textHash.low === textHash.low
    ) {
      known.doc = kept
      this.#file(known)
      return
    }
    const terms = tokenize(searched)
    const entry: Entry = { key, doc: kept, removed: false, textHash, simHash: simHash(terms) }
    if (known !== undefined) this.#order.remove(known)
    this.#order.add(entry)
    this.#entries.set(key, entry)
    this.#keywords.addTerms(entry, terms)
    this.#file(entry)
  }

  /** Whether there was something to remove. */
  remove(id: RecordId, space: SpaceId): boolean {
    const entry = this.#entries.get(keyOf(id, space))
    if (entry === undefined) return false
    this.#unfile(entry)
    this.#order.remove(entry)
    this.#keywords.remove(entry.key)
    this.#entries.delete(entry.key)
    return true
  }

  /** Never throws; a query without a match gives an empty answer. */
  search(request: RecallRequest): RecallAnswer {
    const limit = Math.max(0, Math.min(request.limit, LIMITS.recallResultsMax))
    const trustOf = request.trustOf ?? TRUST_ALL
    const accept = this.#compile(request.filters ?? {}, request.nowMs, trustOf)
    if (request.query.trim() === '') return this.#newest(limit, accept, request)
    const candidates = this.#gather(request.query.slice(0, LIMITS.queryBytesMax), limit, accept, trustOf)
    const ranked = rank(candidates, request, limit)
    const chosen = capAuthors(ranked, limit)
    return {
      hits: chosen.map((hit) => hitOf(hit, request.explain === true)),
      dropped: ranked.length - chosen.length
    }
  }

  /**
   * Newest first, equal times by id; the last document is the `after` of the next page. `limit` is taken as it is, and
   * bounds the page, not the walk.
   */
  list(
    filters: RecallFilters,
    options: { readonly after?: ListPosition; readonly limit: number; readonly nowMs: number }
  ): RecallDoc[] {
    const accept = this.#compile(filters, options.nowMs, TRUST_ALL)
    const docs: RecallDoc[] = []
    for (const entry of this.#order.newestFirst(options.after)) {
      if (docs.length >= options.limit) break
      if (accept(entry)) docs.push(entry.doc)
    }
    return docs
  }

  #gather(query: string, limit: number, accept: EntryPredicate, trustOf: TrustOf): Candidate[] {
    const wanted = Math.min(Math.max(CANDIDATES_PER_RESULT * limit, CANDIDATES_MIN), LIMITS.recallCandidatesMax)
    const acceptKey = (key: string): boolean => accept(this.#entryOf(key))
    const keywordHits = this.#keywords.search(query, wanted, accept)
    const exact = this.#names.match(query)
    const named = exact.named.filter(acceptKey).sort((a, b) => this.#newerFirst(a, b))
    const mentioned = [...exact.mentioned.keys()]
      .filter(acceptKey)
      .sort((a, b) => (exact.mentioned.get(b) ?? 0) - (exact.mentioned.get(a) ?? 0) || this.#newerFirst(a, b))
      .slice(0, wanted)
    const fused = reciprocalRankFusion([
      { weight: KEYWORD_WEIGHT, keys: keywordHits.map((hit) => hit.document.key) },
      { weight: NAMED_WEIGHT, keys: named },
      { weight: MENTIONED_WEIGHT, keys: mentioned }
    ])
    const byKey = new Map(keywordHits.map((hit) => [hit.document.key, hit]))
    const bestScore = keywordHits[0]?.score ?? 1
    const namedKeys = new Set(named)
    return [...fused].map(([key, relevance]): Candidate => {
      const hit = byKey.get(key)
      const { doc, simHash } = hit?.document ?? this.#entryOf(key)
      const byName = namedKeys.has(key) ? 1 : exact.mentioned.has(key) ? MENTIONED_SIMILARITY : 0
      const similarity = Math.max(byName, (hit?.score ?? 0) / bestScore)
      return { key, doc, simHash, relevance, similarity, jaccard: hit?.jaccard ?? 0, trust: trustOf(doc) }
    })
  }

  /** Without words there is nothing to rank by: the newest come first, and score 1 each. */
  #newest(limit: number, accept: EntryPredicate, request: RecallRequest): RecallAnswer {
    const hits: RecallHit[] = []
    let matches = 0
    for (const entry of this.#order.newestFirst()) {
      if (!accept(entry)) continue
      const { doc } = entry
      if (++matches > LIMITS.recallCandidatesMax) break
      if (hits.length < limit) {
        const hit = { id: doc.id, space: doc.space, score: 1 }
        hits.push(request.explain === true ? { ...hit, why: { createdAt: doc.createdAt } } : hit)
      }
    }
    return { hits, dropped: Math.min(matches, LIMITS.recallCandidatesMax) - hits.length }
  }

  #newerFirst(a: string, b: string): number {
    return this.#entryOf(b).doc.createdAt - this.#entryOf(a).doc.createdAt || compareText(a, b)
  }

  #entryOf(key: string): Entry {
    return this.#entries.get(key) as Entry
  }

  #compile(filters: RecallFilters, nowMs: number, trustOf: TrustOf): EntryPredicate {
    const passes = compileFilters(filters, nowMs)
    const showsSuperseded = filters.includeSuperseded === true
    return (entry) =>
      passes(entry.doc) && trustOf(entry.doc) > 0 && (showsSuperseded || !this.#isSuperseded(entry, trustOf))
  }

  /**
   * A record is superseded while a present, trusted and unretracted record of its space says so. Two that supersede
   * each other hide neither: between opposite claims nothing may get lost.
   */
  #isSuperseded({ key, doc }: Entry, trustOf: TrustOf): boolean {
    const superseders = this.#superseders.get(key)
    if (superseders === undefined) return false
    for (const other of superseders) {
      const newer = this.#entries.get(other)?.doc
      if (newer === undefined || newer.retracted || newer.id === doc.id || trustOf(newer) <= 0) continue
      if (!doc.supersedes.includes(newer.id)) return true
    }
    return false
  }

  #file(entry: Entry): void {
    this.#names.add(entry.key, entry.doc)
    for (const id of entry.doc.supersedes) {
      const superseded = keyOf(id, entry.doc.space)
      const superseders = this.#superseders.get(superseded)
      if (superseders === undefined) this.#superseders.set(superseded, new Set([entry.key]))
      else superseders.add(entry.key)
    }
  }

  #unfile(entry: Entry): void {
    this.#names.remove(entry.key, entry.doc)
    for (const id of entry.doc.supersedes) {
      const superseded = keyOf(id, entry.doc.space)
      const superseders = this.#superseders.get(superseded)
      superseders?.delete(entry.key)
      if (superseders?.size === 0) this.#superseders.delete(superseded)
    }
  }

  /** A copy with nothing but the fields of RecallDoc, whatever object the caller built, and with shared strings. */
  #compact(doc: RecallDoc): RecallDoc {
    return {
      id: doc.id,
      space: this.#shared(doc.space),
      key: doc.key,
      documentType: doc.documentType,
      memoryType: doc.memoryType,
      kind: doc.kind,
      path: doc.path === null ? null : this.#shared(doc.path),
      tags: doc.tags.length === 0 ? NO_STRINGS : doc.tags.map((tag) => this.#shared(tag)),
      author: this.#shared(doc.author),
      createdAt: doc.createdAt,
      updatedAt: doc.updatedAt,
      importance: doc.importance,
      confidence: doc.confidence,
      accessCount: doc.accessCount,
      pinned: doc.pinned,
      validFrom: doc.validFrom,
      validTo: doc.validTo,
      expiresAt: doc.expiresAt,
      retracted: doc.retracted,
      validated: doc.validated,
      supersedes: doc.supersedes.length === 0 ? NO_STRINGS : [...doc.supersedes]
    }
  }

  #shared(text: string): string {
    const known = this.#strings.get(text)
    if (known !== undefined) return known
    this.#strings.set(text, text)
    return text
  }
}

const NO_STRINGS: readonly string[] = []

/** Both parts have a fixed length, so the key is unambiguous, and its order is by id and then by space. */
function keyOf(id: RecordId, space: SpaceId): string {
  return `${id}${space}`
}

function rank(candidates: readonly Candidate[], request: RecallRequest, limit: number): Ranked[] {
  switch (request.ranking ?? 'fused') {
    case 'fused':
      return demoteRepeats(rankFused(candidates, request.nowMs), REPEAT_DEPTH_PER_RESULT * limit)
    case 'collective':
      return rankCollective(candidates)
    case 'jaccard':
      return rankJaccard(candidates)
  }
}

function hitOf({ candidate, score, factors }: Ranked, explain: boolean): RecallHit {
  const { id, space } = candidate.doc
  return explain ? { id, space, score, why: factors } : { id, space, score }
}
