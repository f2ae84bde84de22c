/**
 * Adds up what the words of a query say for each document and finds the best, without reading every posting. Words are
 * read from the most to the least telling. Once enough acceptable documents have more points than all words still to
 * come could give, a document that has none yet cannot win any more: of those words only the postings of documents
 * still in the running are looked up (Turtle and Flood 1995, "Query evaluation: strategies and optimizations", MaxScore,
 * term at a time as in Moffat and Zobel 1996).
 *
 * The answer is that of exhaustive scoring, to the bit: points are added in the same order, only those that cannot
 * matter are left out.
 */
import { BestFew, type TieOrder } from './select.ts'

/** A posting is document << 8 | forms << 4 | frequency. */
export const FREQUENCY_MAX = 15
export const DOCUMENTS_MAX = 1 << 24
const DOCUMENT_SHIFT = 8
const FORMS_SHIFT = 4
const DOCUMENT_UNIT = 1 << DOCUMENT_SHIFT
/** A document that has a word in the very form of the query gets this much more for it. */
const FORM_BONUS = 0.35
/** Rounding must not throw out a document whose points equal those of the last one in the answer. */
const CAUTION = 1 - 1e-9
/** Looking for a threshold costs about as much as reading this many postings for each document that has points. */
const THRESHOLD_COST = 2
const THRESHOLD_POSTINGS_MIN = 1_024
const YES = 1
const NO = 2

/** One word to be scored. */
export interface Clause {
  /** Ascending by document, alive ones only, in the first `count` places. */
  readonly postings: Uint32Array
  readonly count: number
  readonly weight: number
  /** Forms the query has the word in; 0 when its form says nothing. */
  readonly forms: number
  /** Whether this is a word of the query itself. */
  readonly isExact: boolean
  /** No posting has a greater frequency, no document of it is shorter. */
  readonly frequencyMax: number
  readonly lengthMin: number
}

/** How length and repetition count: a word that is there tf times has tf / (tf + base + slope · length) of its weight. */
export interface Norm {
  readonly base: number
  readonly slope: number
}

export function postingOf(document: number, forms: number, frequency: number): number {
  const capped = frequency > FREQUENCY_MAX ? FREQUENCY_MAX : frequency
  return (document << DOCUMENT_SHIFT) | (forms << FORMS_SHIFT) | capped
}

export function documentOf(posting: number): number {
  return posting >>> DOCUMENT_SHIFT
}

/** The low bits of a posting, which do not depend on the document's number. */
export function detailsOf(posting: number): number {
  return posting & (DOCUMENT_UNIT - 1)
}

/** Working space for one search at a time, by document; all zero in between. */
export class Scoreboard {
  #scores: Float64Array
  #matched: Uint8Array
  #verdicts: Uint8Array
  readonly #touched: Uint32Array
  #touchedCount = 0
  /** Those still in the running once no other can win; otherwise nothing. */
  #running: Uint32Array
  readonly #few = new BestFew()

  constructor(capacity: number) {
    this.#scores = new Float64Array(capacity)
    this.#matched = new Uint8Array(capacity)
    this.#verdicts = new Uint8Array(capacity)
    this.#touched = new Uint32Array(capacity)
    this.#running = new Uint32Array(capacity)
  }

  scoreOf(document: number): number {
    return this.#scores[document] as number
  }

  /** How many words of the query the document has. Only for documents of the answer. */
  matchedOf(document: number): number {
    return this.#matched[document] as number
  }

  /**
   * The best `limit` documents for which `accept` holds, best first. `accept` is asked at most once about each, and only
   * about those that might make it into the answer. `clear` must follow.
   */
  best(
    clauses: readonly Clause[],
    limit: number,
    by: { readonly norm: Norm; readonly lengths: Uint16Array; readonly ties: TieOrder },
    accept: ((document: number) => boolean) | undefined
  ): Uint32Array {
    const { norm, lengths, ties } = by
    const outlook = outlookOf(clauses, norm)
    for (let next = 0; next < clauses.length; next++) {
      const threshold = this.#isWorthPruning(clauses, next, outlook, limit) ? this.#threshold(limit, ties, accept) : 0
      const rest = outlook.rest[next] as number
      if (threshold > 0 && rest < threshold * CAUTION) {
        const count = this.#finish(clauses.slice(next), threshold * CAUTION, by)
        return this.#bestAccepted(this.#running, count, limit, ties, accept)
      }
      this.#read(clauses[next] as Clause, norm, lengths)
    }
    return this.#bestAccepted(this.#touched, this.#touchedCount, limit, ties, accept)
  }

  clear(): void {
    for (let i = 0; i < this.#touchedCount; i++) {
      const document = this.#touched[i] as number
      this.#scores[document] = 0
      this.#matched[document] = 0
      this.#verdicts[document] = 0
    }
    this.#touchedCount = 0
  }

  /** Whether there is much to save, and any document might already have more than the rest can give. */
  #isWorthPruning(clauses: readonly Clause[], next: number, outlook: Outlook, limit: number): boolean {
    if (this.#touchedCount < limit) return false
    let postings = 0
    for (let i = next; i < clauses.length; i++) postings += (clauses[i] as Clause).count
    if (postings < THRESHOLD_COST * this.#touchedCount + THRESHOLD_POSTINGS_MIN) return false
    return (outlook.rest[0] as number) - (outlook.rest[next] as number) > (outlook.rest[next] as number)
  }

  /** So many points the last document of the answer will have at least; 0 when that cannot be said yet. */
  #threshold(limit: number, ties: TieOrder, accept: ((document: number) => boolean) | undefined): number {
    const best = this.#few.of(this.#touched, this.#touchedCount, withSlack(limit), this.#scores, ties)
    let accepted = 0
    for (const document of best) {
      if (this.#isAccepted(document, accept) && ++accepted === limit) return this.#scores[document] as number
    }
    return 0
  }

  /** Gives every document of a word its points. */
  #read(clause: Clause, norm: Norm, lengths: Uint16Array): void {
    const { postings, count, forms, weight } = clause
    const scores = this.#scores
    const matched = this.#matched
    const touched = this.#touched
    const { base, slope } = norm
    const sameForm = weight * (1 + FORM_BONUS)
    const matches = clause.isExact ? 1 : 0
    let touchedCount = this.#touchedCount
    for (let i = 0; i < count; i++) {
      const posting = postings[i] as number
      const document = posting >>> DOCUMENT_SHIFT
      const frequency = posting & FREQUENCY_MAX
      const before = scores[document] as number
      if (before === 0) touched[touchedCount++] = document
      const full = ((posting >>> FORMS_SHIFT) & forms) === 0 ? weight : sameForm
      scores[document] = before + (full * frequency) / (frequency + base + slope * (lengths[document] as number))
      matched[document] = (matched[document] as number) + matches
    }
    this.#touchedCount = touchedCount
  }

  /** Looks the last words up for the documents that can still win. Answers how many those are. */
  #finish(clauses: readonly Clause[], needed: number, by: { norm: Norm; lengths: Uint16Array }): number {
    const { rest } = outlookOf(clauses, by.norm)
    let running = this.#touched
    let count = this.#touchedCount
    clauses.forEach((clause, next) => {
      count = this.#drop(running, count, needed - (rest[next] as number))
      running = this.#running
      if (next === 0) running.subarray(0, count).sort()
      this.#lookUp(clause, count, by.norm, by.lengths)
    })
    return count
  }

  /** Keeps those of `from` that have at least so many points. Answers how many they are. */
  #drop(from: Uint32Array, count: number, points: number): number {
    const kept = this.#running
    let size = 0
    for (let i = 0; i < count; i++) {
      const document = from[i] as number
      if ((this.#scores[document] as number) >= points) kept[size++] = document
    }
    return size
  }

  /** Points of one word for those in the running, which ascend; the search for each begins behind the last. */
  #lookUp(clause: Clause, running: number, norm: Norm, lengths: Uint16Array): void {
    const { postings, count, forms, weight } = clause
    let at = 0
    for (let i = 0; i < running && at < count; i++) {
      const document = this.#running[i] as number
      at = firstFrom(postings, at, count, document * DOCUMENT_UNIT)
      if (at === count) break
      const posting = postings[at] as number
      if (posting >>> DOCUMENT_SHIFT !== document) continue
      const frequency = posting & FREQUENCY_MAX
      const full = ((posting >>> FORMS_SHIFT) & forms) === 0 ? weight : weight * (1 + FORM_BONUS)
      const points = (full * frequency) / (frequency + norm.base + norm.slope * (lengths[document] as number))
      this.#scores[document] = (this.#scores[document] as number) + points
      if (clause.isExact) this.#matched[document] = (this.#matched[document] as number) + 1
    }
  }

  /** Most filters let most documents pass, so the first tries take a few more than are wanted. */
  #bestAccepted(
    from: Uint32Array,
    count: number,
    limit: number,
    ties: TieOrder,
    accept: ((document: number) => boolean) | undefined
  ): Uint32Array {
    if (accept === undefined) return this.#few.of(from, count, limit, this.#scores, ties)
    for (const tries of [withSlack(limit), 16 * limit]) {
      const tried = this.#few.of(from, count, tries, this.#scores, ties)
      let passed = 0
      for (let i = 0; i < tried.length && passed < limit; i++) {
        const document = tried[i] as number
        if (this.#isAccepted(document, accept)) tried[passed++] = document
      }
      if (passed === limit || tries >= count) return tried.subarray(0, passed)
    }
    let accepted = 0
    for (let i = 0; i < count; i++) {
      const document = from[i] as number
      if (this.#isAccepted(document, accept)) this.#running[accepted++] = document
    }
    return this.#few.of(this.#running, accepted, limit, this.#scores, ties)
  }

  #isAccepted(document: number, accept: ((document: number) => boolean) | undefined): boolean {
    if (accept === undefined) return true
    const known = this.#verdicts[document] as number
    if (known !== 0) return known === YES
    const verdict = accept(document)
    this.#verdicts[document] = verdict ? YES : NO
    return verdict
  }
}

function withSlack(limit: number): number {
  return limit + (limit >> 2) + 4
}

interface Outlook {
  /** The most points that the words from the n-th on can give a document together. */
  readonly rest: Float64Array
}

function outlookOf(clauses: readonly Clause[], { base, slope }: Norm): Outlook {
  const rest = new Float64Array(clauses.length + 1)
  for (let i = clauses.length - 1; i >= 0; i--) {
    const { weight, forms, frequencyMax, lengthMin } = clauses[i] as Clause
    const full = forms === 0 ? weight : weight * (1 + FORM_BONUS)
    rest[i] = (rest[i + 1] as number) + (full * frequencyMax) / (frequencyMax + base + slope * lengthMin)
  }
  return { rest }
}

/** The first place from `at` on whose value is `least` or more, or `count`: in growing steps, then by halves. */
function firstFrom(values: Uint32Array, at: number, count: number, least: number): number {
  let low = at
  let step = 1
  while (low + step < count && (values[low + step] as number) < least) {
    low += step
    step *= 2
  }
  let high = Math.min(low + step, count)
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] as number) < least) low = middle + 1
    else high = middle
  }
  return low
}
