/**
 * The recall index: everything this daemon can find, in memory, rebuilt from the store after a start.
 *
 * A search gathers candidates (gather.ts), filtered while they are gathered so that a narrow filter never starves the
 * answer, ranks them (rank.ts) and picks an answer that is neither one text nor one author (pick.ts). A record is known
 * by id and space together: whoever writes into one space can name any id there, and must not reach the records of
 * another.
 *
 * Not safe against changes during an iteration, and single-threaded like everything here. Nothing in it is replicated:
 * two daemons may rank differently, never hold different records.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'
import { compileFilters } from './filters.ts'
import { gather, type FoundElsewhere, type Shelves } from './gather.ts'
import { KeywordIndex } from './keyword-index.ts'
import { Links, recallKey } from './links.ts'
import { compilePast, unsettledOf, type Past } from './past.ts'
import { pickCapped, pickDiverse } from './pick.ts'
import { rankCollective, rankFused, rankJaccard, type Candidate, type Factors, type Ranked } from './rank.ts'
import type { ListPosition, Ranking, RecallDoc, RecallFilters, RecallMode } from './recall-doc.ts'
import { RecencyOrder, type Ordered } from './recency-order.ts'
import { hashText, simHash, type SimHash } from './similarity.ts'
import { TagIndex } from './tag-index.ts'
import { tokensOf } from './tokenize.ts'

export interface RecallRequest {
  /** Words, a question, a tag, a key, an id. Only white space: the newest records. */
  readonly query: string
  readonly filters?: RecallFilters
  /** At most LIMITS.recallResultsMax are given. */
  readonly limit: number
  /** Default `fused`. */
  readonly ranking?: Ranking
  /** Sources of candidates beside names; default all. */
  readonly modes?: readonly RecallMode[]
  /** 0 to 1: relevance against sameness in `fused` (pick.ts). Default 0.7; 1: only copies are held back. */
  readonly mmr?: number
  /** What the vector index found for this query, best first. Those that are not in this index are passed over. */
  readonly vectorHits?: readonly FoundElsewhere[]
  /** Also says why: every factor of each score. */
  readonly explain?: boolean
  /** Wall milliseconds, for age and expiry. */
  readonly nowMs: number
  /** Asks about the past instead of now. */
  readonly past?: Past
  /** 0 hides a record, 1 is neutral. Asked often: must be cheap. Default 1 for all. */
  readonly trustOf?: (doc: RecallDoc) => number
  /** Whether a record may hide those it supersedes. Default: whatever is not hidden itself. */
  readonly maySupersede?: (doc: RecallDoc) => boolean
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
  /** Matches that trust alone hid, among those that were looked at. */
  readonly hidden: number
  /** Of a question about the past: hits, and records that might supersede one, that changed since and are not in `past`. */
  readonly unsettled: readonly RecallDoc[]
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
type Judging = Pick<RecallRequest, 'nowMs' | 'past' | 'maySupersede'> & { readonly trustOf: TrustOf }

const TRUST_ALL: TrustOf = () => 1

const ALL_MODES: readonly RecallMode[] = ['keyword', 'vector', 'graph']
const MMR_DEFAULT = 0.7

export class RecallIndex {
  readonly #entries = new Map<string, Entry>()
  readonly #keywords = new KeywordIndex<Entry>()
  readonly #names = new TagIndex()
  readonly #order = new RecencyOrder<Entry>()
  readonly #links = new Links()
  /** Records by author. */
  readonly #authors = new Map<string, number>()
  /** One copy of each frequent string, since every document repeats its space, author and tags. */
  readonly #strings = new BoundedMap<string, string>(LIMITS.recordCacheMax)

  /** Records in the index. */
  get size(): number {
    return this.#entries.size
  }

  has(id: RecordId, space: SpaceId): boolean {
    return this.#entries.has(recallKey(id, space))
  }

  get(id: RecordId, space: SpaceId): RecallDoc | undefined {
    return this.#entries.get(recallKey(id, space))?.doc
  }

  /**
   * Puts a record in, or in place of its earlier state. `text` is its content; tags, key and path are searched as well.
   * When only numbers have changed the text is not read again.
   */
  upsert(doc: RecallDoc, text: string): void {
    const key = recallKey(doc.id, doc.space)
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
    const tokens = tokensOf(searched)
    const entry: Entry = { key, doc: kept, removed: false, textHash, simHash: simHash(tokens.terms) }
    if (known !== undefined) this.#order.remove(known)
    this.#order.add(entry)
    this.#entries.set(key, entry)
    this.#keywords.addTokens(entry, tokens)
    this.#file(entry)
  }

  /** Whether there was something to remove. */
  remove(id: RecordId, space: SpaceId): boolean {
    const entry = this.#entries.get(recallKey(id, space))
    if (entry === undefined) return false
    this.#unfile(entry)
    this.#order.remove(entry)
    this.#keywords.remove(entry.key)
    this.#entries.delete(entry.key)
    return true
  }

  /** Whether a record is hidden by one of its space that replaces it and for which `maySupersede` holds. */
  isSuperseded(id: RecordId, space: SpaceId, maySupersede: (doc: RecallDoc) => boolean): boolean {
    const entry = this.#entries.get(recallKey(id, space))
    return entry !== undefined && this.#isSuperseded(entry, maySupersede)
  }

  /** Never throws; a query without a match gives an empty answer. */
  search(request: RecallRequest): RecallAnswer {
    const limit = Math.max(0, Math.min(request.limit, LIMITS.recallResultsMax))
    const trustOf = request.trustOf ?? TRUST_ALL
    const hidden = new Set<Entry>()
    const lost = new Set<Entry>()
    const accept = this.#compile(request.filters ?? {}, { ...request, trustOf }, hidden, lost)
    const found =
      request.query.trim() === '' ? this.#newest(limit, accept, request) : this.#best(limit, accept, request)
    const { past } = request
    const unsettled = past === undefined ? NO_DOCS : unsettledOf(found.hits, past, this.#shelves)
    return { ...found, dropped: found.dropped + lost.size, hidden: hidden.size, unsettled }
  }

  /**
   * Records that were there at `past.ms`, have changed since and are not in `past`, newest first; at most `limit`. What
   * they once said is not in the index.
   */
  changedSince(past: Past, filters: RecallFilters, limit: number): RecallDoc[] {
    const accept = this.#compile(filters, { nowMs: past.ms, trustOf: TRUST_ALL, past })
    const docs: RecallDoc[] = []
    for (const { key, doc } of this.#order.newestFirst()) {
      if (docs.length >= limit) break
      if (doc.updatedAt <= past.ms || past.docs.has(key)) continue
      const entry = this.#entries.get(key)
      if (entry !== undefined && accept(entry)) docs.push(doc)
    }
    return docs
  }

  /**
   * Newest first, equal times by id; the last document is the `after` of the next page. `limit` is taken as it is, and
   * bounds the page, not the walk.
   */
  list(
    filters: RecallFilters,
    options: {
      readonly after?: ListPosition
      readonly limit: number
      readonly nowMs: number
      readonly trustOf?: (doc: RecallDoc) => number
      readonly maySupersede?: (doc: RecallDoc) => boolean
    }
  ): RecallDoc[] {
    const accept = this.#compile(filters, { trustOf: TRUST_ALL, ...options })
    const docs: RecallDoc[] = []
    for (const entry of this.#order.newestFirst(options.after)) {
      if (docs.length >= options.limit) break
      if (accept(entry)) docs.push(entry.doc)
    }
    return docs
  }

  readonly #shelves: Shelves<Entry> = {
    keywords: this.#keywords,
    names: this.#names,
    links: this.#links,
    entry: (key) => this.#entries.get(key),
    countByOthers: (authors) => {
      let count = this.#entries.size
      for (const author of authors) count -= this.#authors.get(author) ?? 0
      return count
    }
  }

  /** Those of the records that `list` would show, in the order given. */
  among(
    places: readonly { readonly id: RecordId; readonly space: SpaceId }[],
    filters: RecallFilters,
    judging: Pick<RecallRequest, 'nowMs' | 'trustOf' | 'maySupersede'>
  ): RecallDoc[] {
    const accept = this.#compile(filters, { ...judging, trustOf: judging.trustOf ?? TRUST_ALL })
    return places.flatMap(({ id, space }) => {
      const entry = this.#entries.get(recallKey(id, space))
      return entry !== undefined && accept(entry) ? [entry.doc] : []
    })
  }

  #best(limit: number, accept: EntryPredicate, request: RecallRequest): Pick<RecallAnswer, 'hits' | 'dropped'> {
    const { past } = request
    const explain = request.explain === true
    const candidates = gather(this.#shelves, {
      query: request.query.slice(0, LIMITS.queryBytesMax),
      limit,
      modes: request.modes ?? ALL_MODES,
      vectorHits: request.vectorHits ?? [],
      pastHits: past?.hits ?? [],
      explain,
      accept,
      docOf: ({ key, doc }) => past?.docs.get(key) ?? doc,
      trustOf: request.trustOf ?? TRUST_ALL
    })
    const chosen = choose(candidates, request, limit)
    return { hits: chosen.map((hit) => hitOf(hit, explain)), dropped: candidates.length - chosen.length }
  }

  /** Without words there is nothing to rank by: the newest come first, and score 1 each. */
  #newest(limit: number, accept: EntryPredicate, request: RecallRequest): Pick<RecallAnswer, 'hits' | 'dropped'> {
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

  /** `hidden` collects what only trust keeps out, `lost` what nobody could tell of the past. */
  #compile(
    filters: RecallFilters,
    judging: Judging,
    hidden = new Set<Entry>(),
    lost = new Set<Entry>()
  ): EntryPredicate {
    const { nowMs, past, trustOf } = judging
    const maySupersede = judging.maySupersede ?? ((doc: RecallDoc): boolean => trustOf(doc) > 0)
    const isTrusted = (entry: Entry, doc: RecallDoc): boolean => {
      if (trustOf(doc) > 0) return true
      hidden.add(entry)
      return false
    }
    if (past !== undefined) {
      const isPast = compilePast(filters, past, this.#shelves, maySupersede, lost)
      return (entry) => isPast(entry) && isTrusted(entry, past.docs.get(entry.key) ?? entry.doc)
    }
    const passes = compileFilters(filters, nowMs)
    const showsSuperseded = filters.includeSuperseded === true
    return (entry) =>
      passes(entry.doc) && (showsSuperseded || !this.#isSuperseded(entry, maySupersede)) && isTrusted(entry, entry.doc)
  }

  /**
   * A record is superseded while a present, trusted and unretracted record of its space says so. Two that supersede
   * each other hide neither: between opposite claims nothing may get lost.
   */
  #isSuperseded({ key, doc }: Entry, maySupersede: (doc: RecallDoc) => boolean): boolean {
    for (const other of this.#links.superseders(key)) {
      const newer = this.#entries.get(other)?.doc
      if (newer === undefined || newer.retracted || newer.id === doc.id || !maySupersede(newer)) continue
      if (!doc.supersedes.includes(newer.id)) return true
    }
    return false
  }

  #file({ key, doc }: Entry): void {
    this.#names.add(key, doc)
    this.#links.add(key, doc)
    this.#authors.set(doc.author, (this.#authors.get(doc.author) ?? 0) + 1)
  }

  #unfile({ key, doc }: Entry): void {
    this.#names.remove(key, doc)
    this.#links.remove(key, doc)
    const left = (this.#authors.get(doc.author) ?? 0) - 1
    if (left > 0) this.#authors.set(doc.author, left)
    else this.#authors.delete(doc.author)
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
      supersedes: doc.supersedes.length === 0 ? NO_STRINGS : [...doc.supersedes],
      parents: doc.parents.length === 0 ? NO_STRINGS : [...doc.parents],
      related: doc.related.length === 0 ? NO_STRINGS : [...doc.related],
      flags: doc.flags.length === 0 ? NO_STRINGS : doc.flags.map((flag) => this.#shared(flag))
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
const NO_DOCS: readonly RecallDoc[] = []

function choose(candidates: readonly Candidate[], request: RecallRequest, limit: number): Ranked[] {
  switch (request.ranking ?? 'fused') {
    case 'fused': {
      const nowMs = request.past?.ms ?? request.nowMs
      return pickDiverse(rankFused(candidates, nowMs), { limit, mmr: request.mmr ?? MMR_DEFAULT })
    }
    case 'collective':
      return pickCapped(rankCollective(candidates), limit)
    case 'jaccard':
      return pickCapped(rankJaccard(candidates), limit)
  }
}

function hitOf({ candidate, score, factors }: Ranked, explain: boolean): RecallHit {
  const { id, space } = candidate.doc
  return explain ? { id, space, score, why: { ...factors, ...candidate.sources } } : { id, space, score }
}
