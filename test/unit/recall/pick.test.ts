import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { authorShare, likenessOf, pickCapped, pickDiverse } from '../../../src/recall/pick.ts'
import { rankFused, type Candidate, type Ranked } from '../../../src/recall/rank.ts'
import type { SimHash } from '../../../src/recall/similarity.ts'
import { authorOf, docOf, NOW_MS } from './doc.ts'

/** Half of its bits differ from those of `flipped(0)`, as between two unrelated texts. */
const UNLIKE: SimHash = { high: -1, low: 0 }
/** This many bits differ from those of `flipped(0)`. */
const flipped = (bits: number): SimHash => ({ high: 0, low: bits === 32 ? -1 : (1 << bits) - 1 })

interface Row {
  readonly score: number
  readonly author?: number
  readonly simHash?: SimHash | undefined
}

function rankedOf(rows: readonly Row[]): Ranked[] {
  return rankFused(
    rows.map(({ score, author, ...rest }, i): Candidate => {
      const doc = docOf(i + 1, author === undefined ? {} : { author: authorOf(author) })
      const simHash = 'simHash' in rest ? rest.simHash : undefined
      return { key: doc.id, doc, simHash, relevance: score, evidence: 1, similarity: score, jaccard: score, trust: 1 }
    }),
    NOW_MS
  )
}

const numbers = (hits: readonly Ranked[]): number[] => hits.map((hit) => Number.parseInt(hit.candidate.doc.id, 16))
const pick = (rows: readonly Row[], limit = 10, mmr = 0.7): Ranked[] => pickDiverse(rankedOf(rows), { limit, mmr })
const novelties = (hits: readonly Ranked[]): (number | undefined)[] => hits.map((hit) => hit.factors['novelty'])

describe('likeness', () => {
  it('is 1 to three differing bits, falls to 0 at twenty, and wordless texts are like none', () => {
    const to = (bits: number): number => likenessOf(flipped(0), flipped(bits))
    assert.deepEqual([to(0), to(3)], [1, 1])
    assert.ok(to(4) < 1 && to(19) > 0)
    assert.equal(to(20), 0)
    assert.equal(likenessOf(undefined, undefined), 0)
  })
})

describe('pickDiverse', () => {
  it('counts a copy by its own author a tenth, by another half', () => {
    const rows = [
      { score: 1, author: 1, simHash: flipped(0) },
      { score: 0.9, author: 1, simHash: flipped(1) },
      { score: 0.8, author: 2, simHash: flipped(2) },
      { score: 0.1, author: 3, simHash: UNLIKE }
    ]
    const hits = pick(rows)
    assert.deepEqual(numbers(hits), [1, 3, 4, 2])
    assert.deepEqual(novelties(hits), [1, 0.5, 1, 0.1])
    assert.equal(hits[3]?.score, 0.9 * 0.1)
    assert.deepEqual(numbers(pick(rows, 10, 1)), [1, 3, 4, 2], 'copies are held back without it too')
  })

  it('prefers the new to the alike, as far as it is told to', () => {
    const rows = [
      { score: 1, author: 1, simHash: flipped(0) },
      { score: 0.9, author: 2, simHash: flipped(8) },
      { score: 0.8, author: 3, simHash: UNLIKE }
    ]
    assert.deepEqual(numbers(pick(rows)), [1, 3, 2])
    assert.deepEqual(numbers(pick(rows, 10, 1)), [1, 2, 3])
    assert.deepEqual(novelties(pick(rows, 10, 1)), [1, 1, 1])
    assert.equal(pick(rows, 10, 0)[2]?.score, 0)
  })

  it('takes first what the sum of the paper takes first', () => {
    const rows = [
      { score: 1, simHash: flipped(0) },
      { score: 0.8, simHash: flipped(10) },
      { score: 0.6, simHash: flipped(28) }
    ]
    const sum = (row: (typeof rows)[number]): number =>
      0.7 * row.score - 0.3 * likenessOf(row.simHash, rows[0]!.simHash)
    const second = sum(rows[1]!) > sum(rows[2]!) ? 2 : 3
    assert.equal(numbers(pick(rows))[1], second)
  })

  it('is best first, once each, and the same every time, whatever the rows', () => {
    const row = fc.record({
      score: fc.integer({ min: 1, max: 100 }).map((n) => n / 100),
      author: fc.nat(4),
      simHash: fc.option(fc.record({ high: fc.nat(3), low: fc.nat(0xffff) }), { nil: undefined })
    })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (rows, limit) => {
        const hits = pick(rows, limit)
        assert.equal(hits.length, Math.min(limit, rows.length))
        assert.equal(new Set(numbers(hits)).size, hits.length)
        hits.forEach((hit, i) => assert.ok(i === 0 || (hits[i - 1] as Ranked).score >= hit.score))
        assert.deepEqual(pick(rows, limit), hits)
      })
    )
  })
})

describe('the share of one author', () => {
  const chosen = (authors: readonly number[], limit: number): string =>
    pickCapped(rankedOf(authors.map((author, i) => ({ author, score: 1 - i / 100 }))), limit)
      .map((hit) => hit.candidate.doc.author.at(-1))
      .join('')

  it('is 30 %, rounded down, and at least one', () => {
    assert.deepEqual([1, 3, 4, 6, 7, 10, 200].map(authorShare), [1, 1, 1, 1, 2, 3, 60])
    assert.equal(chosen([1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8], 10), '1112345678')
    assert.equal(chosen([1, 2], 1), '1')
  })

  it('is larger when others have nothing more, best first', () => {
    assert.equal(chosen([1, 1, 1, 1], 4), '1111')
    assert.equal(chosen([1, 1, 1, 2], 4), '1112')
    assert.equal(chosen([1, 1, 1, 1, 1, 2], 4), '1112')
    assert.equal(chosen([1, 2], 10), '12')
    assert.equal(chosen([], 10), '')
  })

  it('is filled up with the best of what was held back, copies last', () => {
    const rows = [
      { score: 1, author: 1, simHash: flipped(0) },
      { score: 0.99, author: 1, simHash: flipped(1) },
      { score: 0.05, author: 1, simHash: UNLIKE },
      { score: 0.01, author: 2 }
    ]
    assert.deepEqual(numbers(pick(rows, 3)), [1, 3, 4])
  })

  it('never yields to copies', () => {
    const copies = Array.from({ length: 20 }, () => ({ score: 0.9, author: 1, simHash: flipped(0) }))
    const hits = pick([...copies, { score: 0.01, author: 2, simHash: UNLIKE }], 2)
    assert.deepEqual(
      hits.map((hit) => hit.candidate.doc.author),
      [authorOf(1), authorOf(2)]
    )
  })
})
