/**
 * Pairs of statements that seem to contradict each other, for somebody to judge. A statement is what a short text says
 * once its negations and its values (numbers, times, days, months) are taken out: the rest is a set of stemmed words. Two
 * statements of one topic that share at least three fifths of these words contradict each other when one denies what the
 * other asserts (one has an odd number of negations and the other an even one), or when each gives a value that the other
 * does not.
 *
 * It is a heuristic over English words. It knows no synonyms and no antonyms, takes two rooms with two numbers for a
 * contradiction if everything else is worded alike, and passes over texts of more than LIMITS.statementWordsMax words.
 * Candidates come from a prefix filter (Chaudhuri, Ganti and Kaushik 2006; Xiao et al. 2008): with words ordered from rare
 * to frequent, two sets that are alike enough share a word among their first few, so not all pairs are compared.
 */
import { LIMITS } from '../base/limits.ts'
import { hashText } from './similarity.ts'
import { stem } from './stem.ts'
import { fold } from './tokenize.ts'

/** Jaccard's coefficient of the words from which on two statements speak of the same. */
export const SAME_STATEMENT_MIN = 0.6

export interface Statement {
  /** Hashes of the distinct words, ascending. */
  readonly words: Int32Array
  /** Numbers, times, days and months, folded and sorted. */
  readonly values: readonly string[]
  /** Whether it denies: an odd number of negations. */
  readonly negated: boolean
}

export interface Opposition {
  readonly kind: 'negation' | 'values'
  /** The statement that came before, by its place. */
  readonly earlier: number
}

/** Fewer words say too little to tell what a number is about. */
const WORDS_MIN = 2

const WORD = /[\p{L}\p{N}](?:[\p{L}\p{N}'’.:/_-]*[\p{L}\p{N}])?/gu
const DIGIT = /\p{N}/u
const NEGATIONS = new Set(words('not no never none cannot without neither nor nobody nothing'))
/** Come and go with a negation, and say nothing else. */
const AUXILIARIES = new Set(words('do does did any ever'))
const NAMED_VALUES = new Set(
  words(
    'monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays ' +
      'sundays january february march april june july august september october november december today tomorrow ' +
      'yesterday one two three four five six seven eight nine ten once twice'
  )
)

function words(text: string): string[] {
  return text.split(' ')
}

/** undefined for a text that is too short or too long to be judged. */
export function statementOf(text: string): Statement | undefined {
  const hashes = new Set<number>()
  const values = new Set<string>()
  let negations = 0
  for (const found of fold(text).match(WORD) ?? []) {
    const word = found.replaceAll('’', "'")
    if (NEGATIONS.has(word)) negations++
    else if (word.endsWith("n't")) {
      negations++
      addWord(hashes, word.slice(0, -3))
    } else if (DIGIT.test(word)) values.add(word)
    else if (NAMED_VALUES.has(word)) values.add(word.endsWith('days') ? word.slice(0, -1) : word)
    else addWord(hashes, word)
    if (hashes.size > LIMITS.statementWordsMax) return undefined
  }
  if (hashes.size < WORDS_MIN) return undefined
  return { words: Int32Array.from(hashes).sort(), values: [...values].sort(), negated: negations % 2 === 1 }
}

/** `ca` and `wo` are what is left of can't and won't. */
function addWord(hashes: Set<number>, word: string): void {
  if (AUXILIARIES.has(word)) return
  const whole = word === 'ca' ? 'can' : word === 'wo' ? 'will' : word
  hashes.add(hashText(stem(whole)).low)
}

/** Whether the two contradict each other, once they are known to speak of the same. */
export function opposed(a: Statement, b: Statement): Opposition['kind'] | undefined {
  if (a.negated !== b.negated) return 'negation'
  const lacks = (one: readonly string[], other: readonly string[]): boolean =>
    one.some((value) => !other.includes(value))
  return lacks(a.values, b.values) && lacks(b.values, a.values) ? 'values' : undefined
}

/** Jaccard's coefficient of two ascending arrays. */
export function sameness(a: Int32Array, b: Int32Array): number {
  let shared = 0
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const difference = (a[i] as number) - (b[j] as number)
    if (difference === 0) shared++
    if (difference <= 0) i++
    if (difference >= 0) j++
  }
  const union = a.length + b.length - shared
  return union === 0 ? 0 : shared / union
}

/** Bit 0: gives a value; bit 1: denies. */
const SORTS = [0, 1, 2, 3] as const
type Sort = (typeof SORTS)[number]

function sortOf({ values, negated }: Statement): Sort {
  return ((values.length > 0 ? 1 : 0) + (negated ? 2 : 0)) as Sort
}

function mayOppose(a: Sort, b: Sort): boolean {
  return ((a ^ b) & 2) !== 0 || (a & b & 1) !== 0
}

/**
 * First all statements are counted, then they meet one after the other; their places are in the order of meeting. Only
 * sorts that can contradict each other are compared: most statements neither deny nor give a value, and meet few others.
 */
export class Opposites {
  readonly #counts = new Map<number, number>()
  readonly #met: Statement[] = []
  /** For each statement met, the last one that it was compared with. */
  readonly #comparedWith: number[] = []
  /** By topic: for each sort of statement, places by the words of their prefixes. */
  readonly #topics = new Map<string, readonly Map<number, number[]>[]>()

  count({ words }: Statement): void {
    for (const word of words) this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1)
  }

  /** Those met before, of the same topic, that contradict this one; in their order. */
  meet(statement: Statement, topic: string): Opposition[] {
    const place = this.#met.length
    this.#met.push(statement)
    this.#comparedWith.push(place)
    let sorts = this.#topics.get(topic)
    if (sorts === undefined) this.#topics.set(topic, (sorts = SORTS.map(() => new Map<number, number[]>())))
    const own = sortOf(statement)
    const rivals = SORTS.filter((sort) => mayOppose(own, sort))
    const found: Opposition[] = []
    for (const word of this.#prefix(statement.words)) {
      for (const sort of rivals) {
        for (const earlier of sorts[sort]?.get(word) ?? []) {
          if (this.#comparedWith[earlier] === place) continue
          this.#comparedWith[earlier] = place
          const kind = this.#compare(statement, this.#met[earlier] as Statement)
          if (kind !== undefined) found.push({ kind, earlier })
        }
      }
      const postings = sorts[own] as Map<number, number[]>
      const places = postings.get(word)
      if (places === undefined) postings.set(word, [place])
      else if (places.length < LIMITS.likenessComparedMax) places.push(place)
    }
    return found.sort((a, b) => a.earlier - b.earlier)
  }

  #compare(a: Statement, b: Statement): Opposition['kind'] | undefined {
    // No likeness of two sets is greater than the ratio of their sizes.
    const [less, more] = a.words.length < b.words.length ? [a, b] : [b, a]
    if (less.words.length < SAME_STATEMENT_MIN * more.words.length) return undefined
    const kind = opposed(a, b)
    return kind !== undefined && sameness(a.words, b.words) >= SAME_STATEMENT_MIN ? kind : undefined
  }

  /** The rarest words, as many that no set alike enough can do without all of them. */
  #prefix(all: Int32Array): number[] {
    const rare = [...all].sort((a, b) => (this.#counts.get(a) ?? 0) - (this.#counts.get(b) ?? 0) || a - b)
    return rare.slice(0, all.length - Math.ceil(SAME_STATEMENT_MIN * all.length) + 1)
  }
}
