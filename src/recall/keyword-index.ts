/**
 * Keyword search in memory: BM25 over words, on typed arrays, while documents come and go.
 *
 * score(q, d) = Σ over words t of q: idf(t) · tf·(k1 + 1) / (tf + k1·(1 − b + b·len(d)/avglen)), with
 * idf(t) = ln(1 + (n − df + ½)/(df + ½)) (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", §3).
 * A second field, near terms (near-terms.ts), adds the same sum for words of the index that look like a rare word of
 * the query, weighted by how near they are; it is asked only for words too few documents contain.
 *
 * Documents have dense numbers that ascend. Removing one only marks it dead: a posting list drops its dead the next
 * time a query reads it, so document frequencies are exact, and when a fifth of all numbers is dead everything is
 * renumbered at once. An index that saw any sequence of changes therefore answers, to the bit, like one built afresh.
 *
 * Nothing is stored on disk and no text is kept.
 */
import { assert } from '../base/assert.ts'
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { NearTerms } from './near-terms.ts'
import { grown, PostingLists } from './postings.ts'
import { greatest } from './select.ts'
import { isStopWord, tokenize } from './tokenize.ts'

/** How soon repetition stops to count; the customary values of both parameters. */
const K1 = 1.2
/** How much long documents are held back. */
const B = 0.75
/** A posting is document << 8 | term frequency. */
const FREQUENCY_BITS = 8
const FREQUENCY_MAX = (1 << FREQUENCY_BITS) - 1
const DOCUMENTS_MAX = 1 << (32 - FREQUENCY_BITS)
/** A near term counts this share of what the word itself would. */
const NEAR_WEIGHT = 0.35
/** Near terms looked up for one word of the query. */
const NEAR_TERMS = 8
/** A word in more documents than this needs no help; a near term in more than that many is not worth reading. */
const NEAR_WORD_DOCUMENTS_MAX = 64
const NEAR_TERM_DOCUMENTS_MAX = 4_096
const DOCUMENTS_FIRST = 1_024
const DEAD_MIN = 1_024

/** What is indexed: any object with a name of its own. The index hands the same object back. */
export interface Keyed {
  readonly key: string
}

export interface KeywordHit<T extends Keyed> {
  readonly document: T
  /** BM25, over 0. */
  readonly score: number
  /** Jaccard similarity of the word sets of query and document, stop words left out; 0 when only near terms matched. */
  readonly jaccard: number
}

export class KeywordIndex<T extends Keyed> {
  #numbers = new Map<string, number>()
  /** By document number; undefined once removed. */
  #documents: (T | undefined)[] = []
  /** Terms, repetitions included; distinct terms; distinct terms that are no stop words. */
  #lengths = new Uint32Array(DOCUMENTS_FIRST)
  #distinct = new Uint32Array(DOCUMENTS_FIRST)
  #telling = new Uint32Array(DOCUMENTS_FIRST)
  #lengthSum = 0

  #terms = new Map<string, number>()
  #postings = new PostingLists()
  #near = new NearTerms()

  /** Grows with each removal; a posting list cleaned at this number has no dead. */
  #removals = 0
  #cleanedAt = new Uint32Array(DOCUMENTS_FIRST)
  /** By term: 1 for a stop word. */
  #isStop = new Uint8Array(DOCUMENTS_FIRST)
  /** Scratch of one document, by term; zero in between. */
  #frequencies = new Uint32Array(DOCUMENTS_FIRST)

  /** Scratch of one search; the first two by document, zero between searches. */
  #scores = new Float64Array(DOCUMENTS_FIRST)
  #matched = new Uint8Array(DOCUMENTS_FIRST)
  #selection = new Float64Array(DOCUMENTS_FIRST)

  get size(): number {
    return this.#numbers.size
  }

  has(key: string): boolean {
    return this.#numbers.has(key)
  }

  /** Indexes `text` as what `document` says, in place of whatever its key stood for. */
  add(document: T, text: string): void {
    this.addTerms(document, tokenize(text))
  }

  /** The same for a text already cut into terms by `tokenize`. Beyond LIMITS.documentTermsMax distinct ones, new terms are left out. */
  addTerms(document: T, terms: readonly string[]): void {
    this.remove(document.key)
    const number = this.#addDocument(document)
    const distinct = this.#countTerms(terms)
    let length = 0
    let telling = 0
    for (const term of distinct) {
      const frequency = this.#frequencies[term] as number
      this.#frequencies[term] = 0
      length += frequency
      if (this.#isStop[term] === 0) telling++
      const capped = frequency > FREQUENCY_MAX ? FREQUENCY_MAX : frequency
      this.#postings.append(term, (number << FREQUENCY_BITS) | capped)
    }
    this.#lengths[number] = length
    this.#distinct[number] = distinct.length
    this.#telling[number] = telling
    this.#lengthSum += length
  }

  /** The numbers of the distinct terms in order of first appearance; how often each occurs stands in `#frequencies`. */
  #countTerms(terms: readonly string[]): number[] {
    const distinct: number[] = []
    for (const text of terms) {
      let term = this.#terms.get(text)
      if (term === undefined || this.#frequencies[term] === 0) {
        if (distinct.length >= LIMITS.documentTermsMax) continue
        term ??= this.#termNumber(text)
        distinct.push(term)
      }
      this.#frequencies[term] = (this.#frequencies[term] as number) + 1
    }
    return distinct
  }

  /** Whether there was something to remove. */
  remove(key: string): boolean {
    const number = this.#numbers.get(key)
    if (number === undefined) return false
    this.#numbers.delete(key)
    this.#documents[number] = undefined
    this.#lengthSum -= this.#lengths[number] as number
    this.#removals++
    const dead = this.#documents.length - this.#numbers.size
    if (dead >= DEAD_MIN && dead * 5 >= this.#documents.length) this.#renumber()
    return true
  }

  /**
   * The best `limit` documents for a query, best first, equal scores by key. Only documents for which `accept` holds are
   * given; it is asked only about those that might make it into the answer. Words beyond LIMITS.queryTermsMax are not
   * looked at; stop words count only in a query that has nothing else.
   */
  search(query: string, limit: number, accept?: (document: T) => boolean): KeywordHit<T>[] {
    const words = queryWords(query)
    if (words.length === 0 || limit < 1) return []
    const touched: number[] = []
    for (const word of words) this.#scoreWord(word, words, touched)
    const best = this.#bestAccepted(touched, limit, accept)
    const documentSizes = isStopWord(words[0] as string) ? this.#distinct : this.#telling
    const hits = best.map((number): KeywordHit<T> => {
      const shared = this.#matched[number] as number
      const union = words.length + (documentSizes[number] as number) - shared
      return { document: this.#at(number), score: this.#scores[number] as number, jaccard: shared / union }
    })
    for (const number of touched) {
      this.#scores[number] = 0
      this.#matched[number] = 0
    }
    return hits
  }

  #scoreWord(word: string, words: readonly string[], touched: number[]): void {
    const term = this.#terms.get(word)
    const count = term === undefined ? 0 : this.#liveCount(term)
    if (term !== undefined && count > 0) this.#accumulate(term, this.#idf(count), true, touched)
    if (count > NEAR_WORD_DOCUMENTS_MAX || isStopWord(word)) return
    const isUsed = (other: number): boolean => {
      const documents = this.#liveCount(other)
      if (documents === 0 || documents > NEAR_TERM_DOCUMENTS_MAX) return false
      const text = this.#near.text(other)
      return !isStopWord(text) && !words.includes(text)
    }
    for (const { term: other, nearness } of this.#near.find(word, NEAR_TERMS, isUsed)) {
      // A rare misspelling must not outweigh the word it stands for.
      const idf = this.#idf(Math.max(count, this.#liveCount(other)))
      this.#accumulate(other, NEAR_WEIGHT * nearness * idf, false, touched)
    }
  }

  #accumulate(term: number, weight: number, exact: boolean, touched: number[]): void {
    const postings = this.#postings.values(term)
    const count = this.#postings.count(term)
    const scores = this.#scores
    const lengths = this.#lengths
    const matched = this.#matched
    const normBase = K1 * (1 - B)
    const normSlope = (K1 * B * this.size) / this.#lengthSum
    const scaled = weight * (K1 + 1)
    for (let i = 0; i < count; i++) {
      const posting = postings[i] as number
      const document = posting >>> FREQUENCY_BITS
      const frequency = posting & FREQUENCY_MAX
      const before = scores[document] as number
      if (before === 0) touched.push(document)
      scores[document] =
        before + (scaled * frequency) / (frequency + normBase + normSlope * (lengths[document] as number))
      if (exact) matched[document] = (matched[document] as number) + 1
    }
  }

  /**
   * Document numbers of the best, best first. Most filters let most documents pass, so the first tries take a few more
   * than are wanted and ask only about those.
   */
  #bestAccepted(touched: readonly number[], limit: number, accept?: (document: T) => boolean): number[] {
    if (accept === undefined) return this.#best(touched, limit)
    const isAccepted = (number: number): boolean => accept(this.#at(number))
    for (const tries of [2 * limit, 16 * limit]) {
      if (2 * tries > touched.length) break
      const passed = this.#best(touched, tries).filter(isAccepted)
      if (passed.length >= limit) return passed.slice(0, limit)
    }
    return this.#best(touched.filter(isAccepted), limit)
  }

  #best(numbers: readonly number[], limit: number): number[] {
    const scores = this.#scores
    const scoreOf = (number: number): number => scores[number] as number
    const count = numbers.length
    let least = 0
    if (count > limit) {
      if (this.#selection.length < count) this.#selection = new Float64Array(2 * count)
      const selection = this.#selection
      for (let i = 0; i < count; i++) selection[i] = scores[numbers[i] as number] as number
      least = greatest(selection, count, limit)
    }
    const best: number[] = []
    for (let i = 0; i < count; i++) {
      const number = numbers[i] as number
      if ((scores[number] as number) >= least) best.push(number)
    }
    best.sort((a, b) => scoreOf(b) - scoreOf(a) || compareText(this.#at(a).key, this.#at(b).key))
    return best.slice(0, limit)
  }

  #idf(count: number): number {
    return Math.log(1 + (this.size - count + 0.5) / (count + 0.5))
  }

  #at(number: number): T {
    return this.#documents[number] as T
  }

  /** Documents that contain a term, after its posting list has dropped the dead. */
  #liveCount(term: number): number {
    if (this.#cleanedAt[term] !== this.#removals) {
      this.#postings.retain(term, (posting) => this.#documents[posting >>> FREQUENCY_BITS] !== undefined)
      this.#cleanedAt[term] = this.#removals
    }
    return this.#postings.count(term)
  }

  #addDocument(document: T): number {
    const number = this.#documents.push(document) - 1
    assert(number < DOCUMENTS_MAX, 'a document number fits a posting')
    this.#numbers.set(document.key, number)
    if (number === this.#lengths.length) {
      const capacity = number + (number >> 1)
      this.#lengths = grown(this.#lengths, capacity)
      this.#distinct = grown(this.#distinct, capacity)
      this.#telling = grown(this.#telling, capacity)
      this.#scores = new Float64Array(capacity)
      this.#matched = new Uint8Array(capacity)
    }
    return number
  }

  #termNumber(text: string): number {
    const known = this.#terms.get(text)
    if (known !== undefined) return known
    const term = this.#postings.addRow()
    if (term === this.#cleanedAt.length) {
      this.#cleanedAt = grown(this.#cleanedAt, 2 * term)
      this.#frequencies = grown(this.#frequencies, 2 * term)
      const isStop = new Uint8Array(2 * term)
      isStop.set(this.#isStop)
      this.#isStop = isStop
    }
    this.#isStop[term] = isStopWord(text) ? 1 : 0
    this.#cleanedAt[term] = this.#removals
    this.#terms.set(text, term)
    this.#near.add(text)
    return term
  }

  /** Copies the living into fresh tables, so that dead documents and terms without documents leave memory. */
  #renumber(): void {
    const documents = this.#documents
    const oldTerms = this.#terms
    const oldPostings = this.#postings
    this.#numbers = new Map()
    this.#documents = []
    const renumbered = new Uint32Array(documents.length)
    documents.forEach((document, number) => {
      if (document === undefined) return
      // Numbers only shrink, so each column is copied towards its front, in place.
      const next = this.#addDocument(document)
      renumbered[number] = next
      this.#lengths[next] = this.#lengths[number] as number
      this.#distinct[next] = this.#distinct[number] as number
      this.#telling[next] = this.#telling[number] as number
    })
    this.#terms = new Map()
    this.#postings = new PostingLists()
    this.#near = new NearTerms()
    this.#removals = 0
    this.#cleanedAt = new Uint32Array(DOCUMENTS_FIRST)
    this.#isStop = new Uint8Array(DOCUMENTS_FIRST)
    this.#frequencies = new Uint32Array(DOCUMENTS_FIRST)
    for (const [text, oldTerm] of oldTerms) {
      const postings = oldPostings.values(oldTerm)
      let term = -1
      for (let i = 0, count = oldPostings.count(oldTerm); i < count; i++) {
        const posting = postings[i] as number
        if (documents[posting >>> FREQUENCY_BITS] === undefined) continue
        if (term < 0) term = this.#termNumber(text)
        const number = renumbered[posting >>> FREQUENCY_BITS] as number
        this.#postings.append(term, (number << FREQUENCY_BITS) | (posting & FREQUENCY_MAX))
      }
    }
  }
}

/** Distinct words of a query in order of first appearance; without stop words, unless there is nothing else. */
function queryWords(query: string): string[] {
  const words = [...new Set(tokenize(query.slice(0, LIMITS.queryBytesMax)))]
  const telling = words.filter((word) => !isStopWord(word))
  return (telling.length > 0 ? telling : words).slice(0, LIMITS.queryTermsMax)
}
