/**
 * Near terms: words of the index that look like a word of the query. Every term is filed under its distinct 4-grams of
 * characters, edges included (`_port`, `ports`, `orts_`…); two terms are as near as their gram sets overlap
 * (Dice 1945: 2·shared / (a + b)). This finds misspellings, parts of compounds and forms the stem does not join.
 *
 * Grams point at terms, not at documents: the table grows with the vocabulary only, a hundred times less than grams of
 * all texts, and looking one word up costs the same in a large index as in a small one.
 */
import { compareText } from '../base/bytes.ts'
import { grown, PostingLists } from './postings.ts'

const GRAM = 4
const EDGE = '_'
/**
 * Below this overlap words are strangers. Two letters that changed places in the middle of eight leave 0.28, one wrong
 * letter there 0.43, and `data` and `database` have 0.4.
 */
const NEARNESS_MIN = 0.28
/** One gram in common is an ending or a prefix that half the language has. */
const SHARED_MIN = 2
/** Shorter words have too few grams to tell a relative from an accident. */
const TERM_LENGTH_MIN = 4

export interface NearTerm {
  readonly term: number
  /** Over NEARNESS_MIN, below 1. */
  readonly nearness: number
}

export class NearTerms {
  readonly #rows = new Map<string, number>()
  readonly #terms = new PostingLists()
  /** Terms by number: their text and how many distinct grams it has. */
  readonly #texts: string[] = []
  #gramCounts = new Uint32Array(1_024)
  /** Scratch for one question: grams shared so far, by term. Zero between questions. */
  #shared = new Uint32Array(1_024)

  /** The text of a term that was filed. */
  text(term: number): string {
    return this.#texts[term] as string
  }

  /** Files a term. Numbers are given by the caller, dense and ascending from 0. */
  add(text: string): void {
    const term = this.#texts.push(text) - 1
    if (term === this.#gramCounts.length) {
      this.#gramCounts = grown(this.#gramCounts, 2 * term)
      this.#shared = grown(this.#shared, 2 * term)
    }
    if (!isComparable(text)) return
    const grams = gramsOf(text)
    this.#gramCounts[term] = grams.size
    for (const gram of grams) {
      let row = this.#rows.get(gram)
      if (row === undefined) {
        row = this.#terms.addRow()
        this.#rows.set(gram, row)
      }
      this.#terms.append(row, term)
    }
  }

  /**
   * The nearest `limit` terms to `text` for which `isUsed` holds, nearest first and then in the order of their text.
   * `text` itself is never among them.
   */
  find(text: string, limit: number, isUsed: (term: number) => boolean): NearTerm[] {
    if (!isComparable(text)) return []
    const grams = gramsOf(text)
    const touched: number[] = []
    for (const gram of grams) {
      const row = this.#rows.get(gram)
      if (row === undefined) continue
      const terms = this.#terms.values(row)
      for (let i = 0, count = this.#terms.count(row); i < count; i++) {
        const term = terms[i] as number
        const shared = this.#shared[term] as number
        if (shared === 0) touched.push(term)
        this.#shared[term] = shared + 1
      }
    }
    const near: NearTerm[] = []
    for (const term of touched) {
      const shared = this.#shared[term] as number
      this.#shared[term] = 0
      const nearness = (2 * shared) / (grams.size + (this.#gramCounts[term] as number))
      if (shared >= SHARED_MIN && nearness >= NEARNESS_MIN && this.#texts[term] !== text && isUsed(term))
        near.push({ term, nearness })
    }
    near.sort((a, b) => b.nearness - a.nearness || compareText(this.text(a.term), this.text(b.term)))
    return near.slice(0, limit)
  }
}

/** Numbers that look alike are different numbers. */
function isComparable(text: string): boolean {
  return text.length >= TERM_LENGTH_MIN && !/^\p{N}+$/u.test(text)
}

/** Distinct 4-grams of the edged text, in UTF-16 units. */
export function gramsOf(text: string): Set<string> {
  const edged = `${EDGE}${text}${EDGE}`
  const grams = new Set<string>()
  for (let i = 0; i + GRAM <= edged.length; i++) grams.add(edged.slice(i, i + GRAM))
  return grams
}
