/**
 * BM25 and Jaccard over packed postings, for a reader that has the columns in memory and asks the database for the rows
 * of a term. The formulas are those of the recall index in memory (recall/keyword-index.ts), without its near terms;
 * test/conformance/shared-index.test.ts holds both to the same hits.
 *
 *     bm25     Σ idf(t) · tf·(k1 + 1) / (tf + k1·(1 − b + b·len/avglen)), a third more for a word in a form the query
 *              has it in, × the weight of the tier
 *     jaccard  shared / (words of the query + words of the memory − shared), + 1 when pinned, × the weight of the tier
 *
 * Among equal scores at the very edge of an answer the lower document number stays.
 */
import { Columns, LIVE, PINNED, SUPERSEDED } from './columns.ts'
import type { SharedWord } from '../../ports/shared-index.ts'
import { blocksOf, countOf, DETAIL_BITS, fromOf, tailAt } from './postings.ts'
import { FORMS_SHIFT, FREQUENCY_MAX } from './term-counts.ts'

const K1 = 0.7
const B = 0.75
const FORM_BONUS = 0.35

/** Rows of 32-bit numbers, valid until the next question. */
export interface PostingSource {
  term(term: string): Uint32Array | undefined
  block(term: string, from: number): Uint32Array | undefined
}

export interface Plan {
  /** Distinct. */
  readonly words: readonly SharedWord[]
  /** The words are stop words, since the query has no others. */
  readonly stopWords: boolean
  readonly jaccard: boolean
  /** By tier. 0 hides. */
  readonly tierWeights: readonly number[]
  /** By kind; undefined: all. */
  readonly kinds: ReadonlySet<number> | undefined
  /** Hashes of authors; undefined: all. */
  readonly authors: ReadonlySet<number> | undefined
  readonly sinceMs: number
  readonly pinnedOnly: boolean
  /** Terms each of which must be there, and terms one of which must be; undefined: no such filter. */
  readonly tagsAll: readonly string[] | undefined
  readonly tagsAny: readonly string[] | undefined
}

/** A document that matches, with the factors of its score. */
export interface Found {
  readonly document: number
  readonly score: number
  readonly bm25: number
  readonly jaccard: number
  /** Words of the query it holds. */
  readonly shared: number
}

export class Searcher {
  readonly columns = new Columns()
  #scores = new Float64Array(0)
  #shared = new Uint8Array(0)
  /** Filters passed so far, by document: see #tagged. */
  #tags = new Uint8Array(0)
  #touched = new Uint32Array(0)
  #touchedCount = 0

  /** The best `limit`, best first; with the number of all that match. */
  search(
    plan: Plan,
    figures: { count: number; lengthSum: number },
    source: PostingSource,
    limit: number
  ): { found: Found[]; matches: number } {
    this.#reserve()
    this.#touchedCount = 0
    for (const word of plan.words) this.#accumulate(word, figures, source)
    const tagged = this.#tagged(plan, source)
    const best = this.#select(plan, tagged, limit)
    const found: Found[] = []
    for (const { document, score } of best.sorted()) {
      const bm25 = this.#scores[document] as number
      found.push({
        document,
        score,
        bm25,
        jaccard: this.#jaccardOf(document, plan),
        shared: this.#shared[document] as number
      })
    }
    for (let i = 0; i < this.#touchedCount; i++) {
      const document = this.#touched[i] as number
      this.#scores[document] = 0
      this.#shared[document] = 0
    }
    if (tagged > 0) this.#tags.fill(0)
    return { found, matches: best.offered }
  }

  #reserve(): void {
    const { capacity } = this.columns
    if (this.#scores.length === capacity) return
    this.#scores = new Float64Array(capacity)
    this.#shared = new Uint8Array(capacity)
    this.#tags = new Uint8Array(capacity)
    this.#touched = new Uint32Array(capacity)
  }

  #accumulate(
    { term, forms }: SharedWord,
    { count, lengthSum }: { count: number; lengthSum: number },
    source: PostingSource
  ): void {
    const row = source.term(term)
    if (row === undefined) return
    const documents = countOf(row)
    const scaled = Math.log(1 + (count - documents + 0.5) / (documents + 0.5)) * (K1 + 1)
    const slope = (K1 * B * count) / lengthSum
    // The row is overwritten by the next question, so its blocks are noted first and its tail is read at once.
    const blocks = blocksOf(row)
    const froms = Array.from({ length: blocks }, (_, i) => fromOf(row, i))
    this.#add(row, tailAt(row), { forms, scaled, slope })
    for (const from of froms) {
      const block = source.block(term, from)
      if (block !== undefined) this.#add(block, 0, { forms, scaled, slope })
    }
  }

  #add(
    postings: Uint32Array,
    start: number,
    { forms, scaled, slope }: { forms: number; scaled: number; slope: number }
  ): void {
    const sameForm = scaled * (1 + FORM_BONUS)
    const scores = this.#scores
    const shared = this.#shared
    const lengths = this.columns.length
    const touched = this.#touched
    let touchedCount = this.#touchedCount
    const base = K1 * (1 - B)
    for (let i = start; i < postings.length; i++) {
      const posting = postings[i] as number
      const document = posting >>> DETAIL_BITS
      const frequency = posting & FREQUENCY_MAX
      const before = scores[document] as number
      if (before === 0) touched[touchedCount++] = document
      const full = ((posting >>> FORMS_SHIFT) & forms) === 0 ? scaled : sameForm
      scores[document] = before + (full * frequency) / (frequency + base + slope * (lengths[document] as number))
      shared[document] = (shared[document] as number) + 1
    }
    this.#touchedCount = touchedCount
  }

  /** Counts in #tags how many tag filters each document passes; answers how many there are. */
  #tagged({ tagsAll, tagsAny }: Plan, source: PostingSource): number {
    let filters = 0
    for (const term of tagsAll ?? []) this.#passTerm(term, filters++, source)
    if (tagsAny !== undefined) {
      for (const term of tagsAny) this.#passTerm(term, filters, source)
      filters++
    }
    return filters
  }

  #passTerm(term: string, filter: number, source: PostingSource): void {
    const row = source.term(term)
    if (row === undefined) return
    const froms = Array.from({ length: blocksOf(row) }, (_, i) => fromOf(row, i))
    const pass = (postings: Uint32Array, start: number): void => {
      for (let i = start; i < postings.length; i++) {
        const document = (postings[i] as number) >>> DETAIL_BITS
        if (this.#tags[document] === filter) this.#tags[document] = filter + 1
      }
    }
    pass(row, tailAt(row))
    for (const from of froms) pass(source.block(term, from) ?? NOTHING, 0)
  }

  /** One tight loop over everything touched: of a frequent word that is a good part of all documents. */
  #select(plan: Plan, tagged: number, limit: number): BestOf {
    const best = new BestOf(limit)
    const weights = Float64Array.from({ length: 256 }, (_, tier) => plan.tierWeights[tier] ?? 0)
    const { flags, tier } = this.columns
    const mask = plan.pinnedOnly ? LIVE | SUPERSEDED | PINNED : LIVE | SUPERSEDED
    const wanted = plan.pinnedOnly ? LIVE | PINNED : LIVE
    const isNarrow = plan.kinds !== undefined || plan.authors !== undefined || plan.sinceMs > -Infinity || tagged > 0
    const touched = this.#touched
    const scores = this.#scores
    for (let i = 0, count = this.#touchedCount; i < count; i++) {
      const document = touched[i] as number
      const weight = weights[tier[document] as number] as number
      if (((flags[document] as number) & mask) !== wanted || weight <= 0) continue
      if (isNarrow && !this.#passes(document, plan, tagged)) continue
      best.offer(
        document,
        plan.jaccard ? this.#pinnedJaccard(document, plan) * weight : (scores[document] as number) * weight
      )
    }
    return best
  }

  #passes(document: number, plan: Plan, tagged: number): boolean {
    const { kind, author, createdAt } = this.columns
    if (tagged > 0 && this.#tags[document] !== tagged) return false
    if ((createdAt[document] as number) < plan.sinceMs) return false
    if (plan.kinds !== undefined && !plan.kinds.has(kind[document] as number)) return false
    return plan.authors === undefined || plan.authors.has(author[document] as number)
  }

  #pinnedJaccard(document: number, plan: Plan): number {
    const pinned = ((this.columns.flags[document] as number) & PINNED) === 0 ? 0 : 1
    return this.#jaccardOf(document, plan) + pinned
  }

  #jaccardOf(document: number, { words, stopWords }: Plan): number {
    const { distinct, telling } = this.columns
    const shared = this.#shared[document] as number
    const size = (stopWords ? distinct : telling)[document] as number
    return shared / (words.length + size - shared)
  }
}

const NOTHING = new Uint32Array(0)

interface Scored {
  readonly document: number
  readonly score: number
}

/** The greatest few of many: a heap whose root is the least that still belongs to them, in columns. */
class BestOf {
  readonly #limit: number
  readonly #documents: Uint32Array
  readonly #scores: Float64Array
  #size = 0
  /** How many were offered. */
  offered = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#documents = new Uint32Array(limit)
    this.#scores = new Float64Array(limit)
  }

  offer(document: number, score: number): void {
    this.offered++
    if (this.#size === this.#limit) {
      const least = this.#scores[0] as number
      if (score < least || (score === least && document > (this.#documents[0] as number))) return
      this.#put(0, document, score)
      this.#sink()
      return
    }
    this.#put(this.#size++, document, score)
    this.#rise()
  }

  /** Best first. */
  sorted(): Scored[] {
    const all = Array.from({ length: this.#size }, (_, i) => ({
      document: this.#documents[i] as number,
      score: this.#scores[i] as number
    }))
    return all.sort((a, b) => b.score - a.score || a.document - b.document)
  }

  #put(at: number, document: number, score: number): void {
    this.#documents[at] = document
    this.#scores[at] = score
  }

  #isWorse(a: number, b: number): boolean {
    const difference = (this.#scores[a] as number) - (this.#scores[b] as number)
    return difference < 0 || (difference === 0 && (this.#documents[a] as number) > (this.#documents[b] as number))
  }

  #rise(): void {
    let at = this.#size - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isWorse(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(): void {
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      let worst = at
      if (left < this.#size && this.#isWorse(left, worst)) worst = left
      if (left + 1 < this.#size && this.#isWorse(left + 1, worst)) worst = left + 1
      if (worst === at) return
      this.#swap(at, worst)
      at = worst
    }
  }

  #swap(a: number, b: number): void {
    const document = this.#documents[a] as number
    const score = this.#scores[a] as number
    this.#put(a, this.#documents[b] as number, this.#scores[b] as number)
    this.#put(b, document, score)
  }
}
