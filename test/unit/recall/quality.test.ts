/**
 * How well recall finds what was meant, on real text: this project's own prose (test/perf/real-text/make-fixture.ts), where
 * a question and its answer were written by one author and share few words. Beside it stand a textbook scorer that reads
 * every document and all 4-grams of all texts, and a search library. One point is one question in a hundred.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import MiniSearch from 'minisearch'
import { KeywordIndex, type Keyed } from '../../../src/recall/keyword-index.ts'
import { isStopWord, tokenize } from '../../../src/recall/tokenize.ts'

interface RealText {
  readonly pairs: readonly (readonly [kind: string, question: string, passage: number])[]
  readonly passages: readonly string[]
}

const text = JSON.parse(
  readFileSync(new URL('../../fixtures/recall/real-text.json', import.meta.url), 'utf8')
) as RealText
const { passages } = text
/** Every fourth is enough to tell methods apart, and leaves the slow ones some seconds. */
const pairs = text.pairs.filter((_, i) => i % 4 === 0)

interface Quality {
  /** Percent of the questions whose passage was among the first ten. */
  readonly recall: number
  /** Mean of 1 / place, 0 beyond the tenth. */
  readonly reciprocalRank: number
}

function qualityOf(name: string, search: (question: string) => readonly number[]): Quality {
  let found = 0
  let reciprocal = 0
  for (const [, question, passage] of pairs) {
    const place = search(question).slice(0, 10).indexOf(passage)
    if (place < 0) continue
    found++
    reciprocal += 1 / (place + 1)
  }
  const quality = { recall: (100 * found) / pairs.length, reciprocalRank: reciprocal / pairs.length }
  console.log(`${name.padEnd(28)} R@10 ${quality.recall.toFixed(1)}  MRR ${quality.reciprocalRank.toFixed(3)}`)
  return quality
}

/** BM25 as in the textbook, every document scored for every question. */
class Exhaustive {
  readonly #cut: (text: string) => readonly string[]
  readonly #counts: Map<string, number>[] = []
  readonly #lengths: number[] = []
  readonly #documents = new Map<string, number[]>()

  constructor(cut: (text: string) => readonly string[]) {
    this.#cut = cut
    passages.forEach((passage, number) => {
      const terms = cut(passage)
      const counts = new Map<string, number>()
      for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1)
      for (const term of counts.keys()) this.#documents.set(term, [...(this.#documents.get(term) ?? []), number])
      this.#counts.push(counts)
      this.#lengths.push(terms.length)
    })
  }

  scores(question: string, weight: number): number[] {
    const average = this.#lengths.reduce((sum, length) => sum + length, 0) / passages.length
    const scores = new Array<number>(passages.length).fill(0)
    for (const term of new Set(this.#cut(question))) {
      const documents = this.#documents.get(term) ?? []
      const idf = Math.log(1 + (passages.length - documents.length + 0.5) / (documents.length + 0.5))
      for (const number of documents) {
        const frequency = this.#counts[number]?.get(term) ?? 0
        const length = (this.#lengths[number] ?? 0) / average
        scores[number] =
          (scores[number] ?? 0) + (weight * idf * frequency * 2.2) / (frequency + 1.2 * (0.25 + 0.75 * length))
      }
    }
    return scores
  }
}

function best(...fields: readonly number[][]): number[] {
  const sum = (number: number): number => fields.reduce((total, scores) => total + (scores[number] ?? 0), 0)
  const totals = passages.map((_, number) => sum(number))
  return [...totals.keys()]
    .filter((number) => (totals[number] ?? 0) > 0)
    .sort((a, b) => (totals[b] ?? 0) - (totals[a] ?? 0) || a - b)
    .slice(0, 10)
}

const plainWords = (passage: string): string[] => passage.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
const stems = (passage: string): string[] => tokenize(passage).filter((term) => !isStopWord(term))
const grams = (passage: string): string[] =>
  plainWords(passage)
    .filter((word) => !isStopWord(word))
    .flatMap((word) => Array.from({ length: Math.max(0, word.length - 1) }, (_, i) => `_${word}_`.slice(i, i + 4)))

/** The best weight of the second field on package descriptions and commit messages, where it was looked for. */
const GRAMS_WEIGHT = 0.3

describe('recall of real text', () => {
  const index = new KeywordIndex<Keyed & { readonly number: number }>()
  passages.forEach((passage, number) => index.add({ key: String(number).padStart(5, '0'), number }, passage))
  const ours = qualityOf('keyword index', (question) => index.search(question, 10).map((hit) => hit.document.number))

  it('is as good as reading all 4-grams of all texts, and better than words as they are', () => {
    const [words, stemmed, gram] = [new Exhaustive(plainWords), new Exhaustive(stems), new Exhaustive(grams)]
    const plain = qualityOf('BM25', (question) => best(words.scores(question, 1)))
    const stem = qualityOf('BM25, stems', (question) => best(stemmed.scores(question, 1)))
    const full = qualityOf('BM25, stems and 4-grams', (question) =>
      best(stemmed.scores(question, 1), gram.scores(question, GRAMS_WEIGHT))
    )
    assert.ok(stem.recall >= plain.recall)
    assert.ok(ours.recall >= stem.recall)
    assert.ok(ours.recall >= full.recall - 1, 'within a point of all 4-grams')
    assert.ok(ours.reciprocalRank >= full.reciprocalRank - 0.01, 'within a point of all 4-grams')
  })

  it('is as good as a search library that is given the same terms', () => {
    const library = new MiniSearch<{ id: number; passage: string }>({
      fields: ['passage'],
      tokenize: stems,
      processTerm: (term) => term
    })
    library.addAll(passages.map((passage, id) => ({ id, passage })))
    const theirs = qualityOf('MiniSearch, stems', (question) => library.search(question).map((hit) => Number(hit.id)))
    assert.ok(ours.recall >= theirs.recall - 1)
    assert.ok(ours.reciprocalRank >= theirs.reciprocalRank - 0.01)
  })

  it('finds a passage by a word of its own with two letters exchanged', () => {
    const holders = new Map<string, Set<number>>()
    passages.forEach((passage, number) => {
      for (const word of plainWords(passage)) holders.set(word, (holders.get(word) ?? new Set()).add(number))
    })
    const slips = [...holders]
      .filter(([word, numbers]) => /^[a-z]{8,}$/.test(word) && numbers.size === 1)
      .map(([word, [passage]]) => ({ passage, slip: exchanged(word) }))
      .filter(({ slip }) => !holders.has(slip))
    const found = slips.filter(({ slip, passage }) =>
      index.search(slip, 10).some((hit) => hit.document.number === passage)
    )
    const percent = (100 * found.length) / slips.length
    console.log(`${'keyword index, slips'.padEnd(28)} R@10 ${percent.toFixed(1)} of ${slips.length} words`)
    assert.ok(slips.length > 500)
    assert.ok(percent >= 80)
  })
})

/** Two letters in the middle changed places. */
function exchanged(word: string): string {
  const at = word.length >> 1
  return word.slice(0, at) + (word[at + 1] ?? '') + (word[at] ?? '') + word.slice(at + 2)
}
