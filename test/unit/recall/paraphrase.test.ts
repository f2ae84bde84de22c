/**
 * Questions in other words than the memory. Words alone find few of those; with an embedder that knows synonyms most are
 * found, and what words find is not lost. The embedder here is a stand-in that knows exactly the synonyms of the fixture, so
 * the figures say what the fusion makes of a good model, not how good a model is.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { RecallIndex } from '../../../src/recall/recall-index.ts'
import { isStopWord, tokenize } from '../../../src/recall/tokenize.ts'
import { docOf, idOf, NOW_MS, SPACE } from './doc.ts'

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../fixtures/recall/${name}.json`, import.meta.url), 'utf8')) as T

const { synonyms, pairs } = fixture<{
  readonly synonyms: readonly (readonly string[])[]
  readonly pairs: readonly (readonly [memory: string, question: string])[]
}>('paraphrases')
const distractors = fixture<{ readonly passages: readonly string[] }>('real-text').passages.slice(0, 2_000)

const AXES = new Map(
  synonyms.flatMap((group, axis) => group.flatMap((word) => tokenize(word).map((term) => [term, axis])))
)
const RESIDUES = 256
const GROUP_WEIGHT = 2

/** Of length 1. Words of one group share an axis; every other word has one that it shares with few. */
function embed(text: string): Float64Array {
  const vector = new Float64Array(synonyms.length + RESIDUES)
  for (const term of new Set(tokenize(text))) {
    if (isStopWord(term)) continue
    const axis = AXES.get(term)
    let hash = 7
    for (const unit of term) hash = (Math.imul(hash, 31) + (unit.codePointAt(0) ?? 0)) >>> 0
    if (axis === undefined) vector[synonyms.length + (hash % RESIDUES)] = 1
    else vector[axis] = GROUP_WEIGHT
  }
  const length = Math.sqrt(vector.reduce((sum, component) => sum + component * component, 0))
  return vector.map((component) => component / (length === 0 ? 1 : length))
}

const texts = [...pairs.map(([memory]) => memory), ...distractors]
const vectors = texts.map(embed)

function near(question: string): { id: string; space: string; similarity: number }[] {
  const asked = embed(question)
  return vectors
    .map((vector, n) => ({
      id: idOf(n),
      space: SPACE,
      similarity: vector.reduce((sum, component, i) => sum + component * (asked[i] ?? 0), 0)
    }))
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, 100)
}

describe('recall of paraphrases', () => {
  const index = new RecallIndex()
  texts.forEach((text, n) => index.upsert(docOf(n), text))

  /** Percent found among the first `limit`. */
  function found(name: string, limit: number, questions: readonly string[], withVectors: boolean): number {
    const hits = questions.filter((query, n) => {
      const more = withVectors ? { vectorHits: near(query) } : {}
      const answer = index.search({ query, limit, nowMs: NOW_MS, ...more })
      return answer.hits.some((hit) => hit.id === idOf(n))
    })
    const percent = (100 * hits.length) / questions.length
    console.log(`${name.padEnd(28)} R@${limit} ${percent.toFixed(1)}`)
    return percent
  }

  it('are found with vectors where words alone fail', () => {
    assert.ok(pairs.length >= 60)
    const questions = pairs.map(([, question]) => question)
    for (const limit of [5, 10]) {
      const words = found('paraphrases, words', limit, questions, false)
      const hybrid = found('paraphrases, hybrid', limit, questions, true)
      assert.ok(hybrid >= words + 50, 'vectors must be worth fifty points here')
    }
  })

  it('loses nothing that words find', () => {
    // Half of its own words, every other one.
    const questions = pairs.map(([memory]) =>
      memory
        .split(' ')
        .filter((_, i) => i % 2 === 0)
        .join(' ')
    )
    const words = found('own words, words', 5, questions, false)
    const hybrid = found('own words, hybrid', 5, questions, true)
    assert.ok(hybrid >= words - 2)
  })
})
