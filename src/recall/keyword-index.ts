/**
 * Keyword search in memory: BM25 over words, on typed arrays, while documents come and go.
 *
 * score(q, d) = Σ over words t of q: idf(t) · tf·(k1 + 1) / (tf + k1·(1 − b + b·len(d)/avglen)), with
 * idf(t) = ln(1 + (n − df + ½)/(df + ½)) (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", §3).
 * Stop words make no document longer. A document that has a word in the form of the query counts somewhat more for it
 * (scoreboard.ts), and a second field, near terms (near-terms.ts), adds the same sum for words of the index that look
 * like a rare word of the query, weighted by how near they are; it is asked only for words too few documents contain.
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
import {
  detailsOf,
  documentOf,
  DOCUMENTS_MAX,
  FREQUENCY_MAX,
  postingOf,
  Scoreboard,
  type Clause
} from './scoreboard.ts'
import { isStopWord, tokensOf, type Tokens } from './tokenize.ts'

/** How soon repetition stops to count. Memories are short: less than the customary 1.2 was better on every real text. */
const K1 = 0.7
/** How much long documents are held back; the customary value. */
const B = 0.75
/** A near term counts this share of what the word itself would. */
const NEAR_WEIGHT = 0.35
/** Near terms looked up for one word of the query. */
const NEAR_TERMS = 8
/** A word in more documents than this needs no help; a near term in more than that many is not worth reading. */
const NEAR_WORD_DOCUMENTS_MAX = 64
const NEAR_TERM_DOCUMENTS_MAX = 4_096
const DOCUMENTS_FIRST = 1_024
const DEAD_MIN = 1_024
/** Lengths are 16 bits wide; a longer document counts as this long. */
const LENGTH_MAX = 65_535

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
  #alive = new Uint8Array(DOCUMENTS_FIRST)
  /** Terms that are no stop words, repetitions included and without; distinct terms of all kinds. */
  #lengths = new Uint16Array(DOCUMENTS_FIRST)
  #telling = new Uint16Array(DOCUMENTS_FIRST)
  #distinct = new Uint16Array(DOCUMENTS_FIRST)
  #lengthSum = 0
  /** The beginning of each key as a number that sorts like it: most ties need not look at the text. */
  #keyHeads = new Uint32Array(DOCUMENTS_FIRST)

  #terms = new Map<string, number>()
  #postings = new PostingLists()
  #near = new NearTerms()

  /** Grows with each removal; a posting list cleaned at this number has no dead. */
  #removals = 0
  #cleanedAt = new Uint32Array(DOCUMENTS_FIRST)
  /** By term: 1 for a stop word. */
  #isStop = new Uint8Array(DOCUMENTS_FIRST)
  /** By term, over all documents that ever had it: the greatest frequency; how much shorter than LENGTH_MAX the shortest is. */
  #frequencyMax = new Uint8Array(DOCUMENTS_FIRST)
  #shortness = new Uint16Array(DOCUMENTS_FIRST)
  /** Scratch of one document, by term; zero in between. */
  #frequencies = new Uint32Array(DOCUMENTS_FIRST)
  #forms = new Uint8Array(DOCUMENTS_FIRST)

  #board = new Scoreboard(DOCUMENTS_FIRST)

  get size(): number {
    return this.#numbers.size
  }

  has(key: string): boolean {
    return this.#numbers.has(key)
  }

  /** Indexes `text` as what `document` says, in place of whatever its key stood for. */
  add(document: T, text: string): void {
    this.addTokens(document, tokensOf(text))
  }

  /** The same for a text already cut into terms. Beyond LIMITS.documentTermsMax distinct ones, new terms are left out. */
  addTokens(document: T, tokens: Tokens): void {
    this.remove(document.key)
    const number = this.#addDocument(document)
    const distinct = this.#countTerms(tokens)
    let length = 0
    let telling = 0
    for (const term of distinct) {
      if (this.#isStop[term] !== 0) continue
      length += this.#frequencies[term] as number
      telling++
    }
    this.#setSizes(number, Math.min(length, LENGTH_MAX), telling, distinct.length)
    for (const term of distinct) {
      this.#append(term, postingOf(number, this.#forms[term] as number, this.#frequencies[term] as number))
      this.#frequencies[term] = 0
      this.#forms[term] = 0
    }
  }

  #setSizes(number: number, length: number, telling: number, distinct: number): void {
    this.#lengths[number] = length
    this.#telling[number] = telling
    this.#distinct[number] = distinct
    this.#lengthSum += length
  }

  #append(term: number, posting: number): void {
    this.#postings.append(term, posting)
    const frequency = posting & FREQUENCY_MAX
    const shortness = LENGTH_MAX - (this.#lengths[documentOf(posting)] as number)
    if (frequency > (this.#frequencyMax[term] as number)) this.#frequencyMax[term] = frequency
    if (shortness > (this.#shortness[term] as number)) this.#shortness[term] = shortness
  }

  /** The numbers of the distinct terms in order of first appearance; how often and in which forms stands in the scratch. */
  #countTerms({ terms, forms }: Tokens): number[] {
    const distinct: number[] = []
    terms.forEach((text, i) => {
      let term = this.#terms.get(text)
      if (term === undefined || this.#frequencies[term] === 0) {
        if (distinct.length >= LIMITS.documentTermsMax) return
        term ??= this.#termNumber(text)
        distinct.push(term)
      }
      this.#frequencies[term] = (this.#frequencies[term] as number) + 1
      this.#forms[term] = (this.#forms[term] as number) | (forms[i] as number)
    })
    return distinct
  }

  /** Whether there was something to remove. */
  remove(key: string): boolean {
    const number = this.#numbers.get(key)
    if (number === undefined) return false
    this.#numbers.delete(key)
    this.#documents[number] = undefined
    this.#alive[number] = 0
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
    if (words.size === 0 || limit < 1 || this.size === 0) return []
    const clauses: Clause[] = []
    for (const [word, forms] of words) this.#addClauses(word, forms, words, clauses)
    // Equal weights stay in the order of the query, so that sums do not depend on what happened to the index before.
    clauses.sort((a, b) => b.weight - a.weight)
    const slope = this.#lengthSum === 0 ? 0 : (K1 * B * this.size) / this.#lengthSum
    const by = { norm: { base: K1 * (1 - B), slope }, lengths: this.#lengths, ties: this.#byKey }
    const isAccepted = accept === undefined ? undefined : (number: number): boolean => accept(this.#at(number))
    const documentSizes = isStopWord(firstOf(words)) ? this.#distinct : this.#telling
    try {
      return Array.from(this.#board.best(clauses, limit, by, isAccepted), (number): KeywordHit<T> => {
        const shared = this.#board.matchedOf(number)
        const union = words.size + (documentSizes[number] as number) - shared
        return { document: this.#at(number), score: this.#board.scoreOf(number), jaccard: shared / union }
      })
    } finally {
      this.#board.clear()
    }
  }

  /** What a text of average length would score that has every word of the query once. 0 for a query without words. */
  scoreOfWhole(query: string): number {
    let sum = 0
    for (const word of queryWords(query).keys()) {
      const term = this.#terms.get(word)
      sum += this.#idf(term === undefined ? 0 : this.#liveCount(term))
    }
    return sum
  }

  /** What the index has for one word of the query: the word, and the near terms of one that is rare. */
  #addClauses(word: string, forms: number, words: ReadonlyMap<string, number>, clauses: Clause[]): void {
    const term = this.#terms.get(word)
    const count = term === undefined ? 0 : this.#liveCount(term)
    if (term !== undefined && count > 0) clauses.push(this.#clauseOf(term, this.#idf(count), forms))
    if (count > NEAR_WORD_DOCUMENTS_MAX || isStopWord(word)) return
    const isUsed = (other: number): boolean => {
      const documents = this.#liveCount(other)
      if (documents === 0 || documents > NEAR_TERM_DOCUMENTS_MAX) return false
      const text = this.#near.text(other)
      return !isStopWord(text) && !words.has(text)
    }
    for (const { term: other, nearness } of this.#near.find(word, NEAR_TERMS, isUsed)) {
      // A rare misspelling must not outweigh the word it stands for.
      const idf = this.#idf(Math.max(count, this.#liveCount(other)))
      clauses.push(this.#clauseOf(other, NEAR_WEIGHT * nearness * idf, 0))
    }
  }

  #clauseOf(term: number, weight: number, forms: number): Clause {
    return {
      postings: this.#postings.values(term),
      count: this.#postings.count(term),
      weight: weight * (K1 + 1),
      forms,
      isExact: forms !== 0,
      frequencyMax: this.#frequencyMax[term] as number,
      lengthMin: LENGTH_MAX - (this.#shortness[term] as number)
    }
  }

  readonly #byKey = (a: number, b: number): number =>
    (this.#keyHeads[a] as number) - (this.#keyHeads[b] as number) || compareText(this.#at(a).key, this.#at(b).key)

  #idf(count: number): number {
    return Math.log(1 + (this.size - count + 0.5) / (count + 0.5))
  }

  #at(number: number): T {
    return this.#documents[number] as T
  }

  /** Documents that contain a term, after its posting list has dropped the dead. */
  #liveCount(term: number): number {
    if (this.#cleanedAt[term] !== this.#removals) {
      this.#postings.retain(term, this.#alive)
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
      this.#alive = grown(this.#alive, capacity)
      this.#lengths = grown(this.#lengths, capacity)
      this.#telling = grown(this.#telling, capacity)
      this.#distinct = grown(this.#distinct, capacity)
      this.#keyHeads = grown(this.#keyHeads, capacity)
      this.#board = new Scoreboard(capacity)
    }
    this.#alive[number] = 1
    this.#keyHeads[number] = headOf(document.key)
    return number
  }

  #termNumber(text: string): number {
    const known = this.#terms.get(text)
    if (known !== undefined) return known
    const term = this.#postings.addRow()
    if (term === this.#cleanedAt.length) {
      this.#cleanedAt = grown(this.#cleanedAt, 2 * term)
      this.#frequencies = grown(this.#frequencies, 2 * term)
      this.#forms = grown(this.#forms, 2 * term)
      this.#isStop = grown(this.#isStop, 2 * term)
      this.#frequencyMax = grown(this.#frequencyMax, 2 * term)
      this.#shortness = grown(this.#shortness, 2 * term)
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
    this.#lengthSum = 0
    const renumbered = new Uint32Array(documents.length)
    documents.forEach((document, number) => {
      if (document === undefined) return
      // Numbers only shrink, so each column is copied towards its front, in place.
      const next = this.#addDocument(document)
      renumbered[number] = next + 1
      const [length, telling, distinct] = [this.#lengths[number], this.#telling[number], this.#distinct[number]]
      this.#setSizes(next, length as number, telling as number, distinct as number)
    })
    this.#alive.fill(0, this.#documents.length)
    this.#terms = new Map()
    this.#postings = new PostingLists()
    this.#near = new NearTerms()
    this.#removals = 0
    this.#cleanedAt = new Uint32Array(DOCUMENTS_FIRST)
    this.#isStop = new Uint8Array(DOCUMENTS_FIRST)
    this.#frequencyMax = new Uint8Array(DOCUMENTS_FIRST)
    this.#shortness = new Uint16Array(DOCUMENTS_FIRST)
    this.#frequencies = new Uint32Array(DOCUMENTS_FIRST)
    this.#forms = new Uint8Array(DOCUMENTS_FIRST)
    for (const [text, oldTerm] of oldTerms) {
      const postings = oldPostings.values(oldTerm)
      let term = -1
      for (let i = 0, count = oldPostings.count(oldTerm); i < count; i++) {
        const posting = postings[i] as number
        const number = renumbered[documentOf(posting)] as number
        if (number === 0) continue
        if (term < 0) term = this.#termNumber(text)
        this.#append(term, postingOf(number - 1, 0, 0) | detailsOf(posting))
      }
    }
  }
}

/**
 * Distinct words of a query in order of first appearance, with the forms it has them in; without stop words, unless
 * there is nothing else.
 */
function queryWords(query: string): Map<string, number> {
  const { terms, forms } = tokensOf(query.slice(0, LIMITS.queryBytesMax))
  const words = new Map<string, number>()
  terms.forEach((term, i) => words.set(term, (words.get(term) ?? 0) | (forms[i] as number)))
  const telling = [...words].filter(([word]) => !isStopWord(word))
  return new Map((telling.length > 0 ? telling : [...words]).slice(0, LIMITS.queryTermsMax))
}

function firstOf(words: ReadonlyMap<string, number>): string {
  for (const word of words.keys()) return word
  return ''
}

/** Four UTF-16 units in a byte each. From the first that does not fit on all bytes are the greatest: the text decides. */
function headOf(key: string): number {
  let head = 0
  let fits = true
  for (let i = 0; i < 4; i++) {
    const unit = i < key.length ? key.charCodeAt(i) : 0
    fits &&= unit < 255
    head = head * 256 + (fits ? unit : 255)
  }
  return head
}
