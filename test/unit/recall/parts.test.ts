import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../../src/base/limits.ts'
import { ranksOf, reciprocalRankFusion } from '../../../src/recall/fuse.ts'
import { gramsOf, NearTerms } from '../../../src/recall/near-terms.ts'
import { PostingLists } from '../../../src/recall/postings.ts'
import { RecencyOrder, type Ordered } from '../../../src/recall/recency-order.ts'
import { BestFew } from '../../../src/recall/select.ts'
import { hammingDistance, hashText, jaccard, NEAR_DUPLICATE_BITS, simHash } from '../../../src/recall/similarity.ts'
import { TagIndex } from '../../../src/recall/tag-index.ts'
import { tokenize } from '../../../src/recall/tokenize.ts'
import { docOf } from './doc.ts'

describe('PostingLists', () => {
  it('behaves like arrays of numbers', () => {
    const step = fc.oneof(
      fc.record({ row: fc.nat(5), document: fc.nat(9), details: fc.nat(255) }),
      fc.record({ row: fc.nat(5), dead: fc.nat(9) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const lists = new PostingLists()
        const model: number[][] = Array.from({ length: 6 }, () => [])
        for (let row = 0; row < 6; row++) assert.equal(lists.addRow(), row)
        for (const one of steps) {
          if ('dead' in one) {
            const alive = new Uint8Array(10).fill(1)
            alive[one.dead] = 0
            lists.retain(one.row, alive)
            model[one.row] = model[one.row]?.filter((value) => value >>> 8 !== one.dead) ?? []
          } else {
            const value = one.document * 256 + one.details
            lists.append(one.row, value)
            model[one.row]?.push(value)
          }
        }
        model.forEach((values, row) => {
          assert.equal(lists.count(row), values.length)
          assert.deepEqual([...lists.values(row).subarray(0, lists.count(row))], values)
        })
      })
    )
  })

  it('keeps its rows when it grows past the first table', () => {
    const lists = new PostingLists()
    for (let row = 0; row < 3_000; row++) lists.append(lists.addRow(), row)
    assert.equal(lists.rows, 3_000)
    for (const row of [0, 1_023, 1_024, 2_999]) assert.equal(lists.values(row)[0], row)
  })
})

describe('BestFew', () => {
  it('gives what sorting would give, equal scores in the order of the ties', () => {
    const values = fc.array(fc.oneof(fc.nat(5), fc.double({ min: 0, max: 100, noNaN: true })), { maxLength: 80 })
    const few = new BestFew()
    fc.assert(
      fc.property(values, fc.nat(90), (numbers, limit) => {
        const scores = Float64Array.from(numbers)
        const places = Uint32Array.from(numbers.keys()).reverse()
        const sorted = [...numbers.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
        assert.deepEqual([...few.of(places, places.length, limit, scores, (a, b) => a - b)], sorted.slice(0, limit))
      }),
      { numRuns: 500 }
    )
  })
})

describe('NearTerms', () => {
  const terms = new NearTerms()
  for (const text of ['connection', 'connector', 'database', 'deployment', 'disconnect', 'port', '12345'])
    terms.add(text)
  const near = (text: string, limit = 8): string[] =>
    terms.find(text, limit, () => true).map(({ term }) => terms.text(term))

  it('orders by overlap of 4-grams', () => {
    assert.deepEqual([...gramsOf('port')], ['_por', 'port', 'ort_'])
    assert.deepEqual(near('conection'), ['connection'])
    assert.deepEqual(near('connectors'), ['connector', 'connection', 'disconnect'])
    assert.deepEqual(near('deploy'), ['deployment'])
  })

  it('forgives two letters that changed places in eight, and takes no common ending for likeness', () => {
    assert.deepEqual(near('datbaase'), ['database'])
    const ending = new NearTerms()
    ending.add('main')
    assert.deepEqual(
      ending.find('train', 8, () => true),
      []
    )
  })

  it('never gives the word itself, a number, a stranger or an unused term', () => {
    assert.ok(!near('database').includes('database'))
    assert.deepEqual(near('12346'), [])
    assert.deepEqual(near('zebra'), [])
    assert.deepEqual(
      terms.find('connecton', 8, () => false),
      []
    )
    assert.equal(near('connecton', 1).length, 1)
  })

  it('breaks ties by text, not by insertion', () => {
    for (const texts of [
      ['portals', 'portaly'],
      ['portaly', 'portals']
    ]) {
      const tied = new NearTerms()
      for (const text of texts) tied.add(text)
      assert.deepEqual(
        tied.find('portal', 1, () => true).map(({ term }) => tied.text(term)),
        ['portals']
      )
    }
  })

  it('gives the same answer twice', () => {
    assert.deepEqual(near('connecton'), near('connecton'))
  })
})

describe('similarity', () => {
  it('compares sets', () => {
    assert.equal(jaccard(new Set(['a', 'b']), new Set(['b', 'c'])), 1 / 3)
    assert.equal(jaccard(new Set(), new Set()), 0)
    assert.equal(jaccard(new Set(['a']), new Set(['a'])), 1)
  })

  it('tells near duplicates from other texts by a few bits', () => {
    const base = 'the deploy failed because the certificate of the staging cluster had expired on friday night '.repeat(
      3
    )
    const hash = (text: string): NonNullable<ReturnType<typeof simHash>> => {
      const value = simHash(tokenize(text))
      assert.ok(value !== undefined)
      return value
    }
    assert.equal(hammingDistance(hash(base), hash(base.toUpperCase())), 0)
    assert.ok(hammingDistance(hash(base), hash(`${base} again`)) <= NEAR_DUPLICATE_BITS)
    assert.ok(hammingDistance(hash(base), hash('postgres needs a vacuum after large deletes')) > 12)
    assert.equal(simHash([]), undefined)
  })

  it('counts bits', () => {
    assert.equal(hammingDistance({ high: -1, low: -1 }, { high: 0, low: 0 }), 64)
    assert.equal(hammingDistance({ high: 1, low: 0 }, { high: 0, low: 1 << 31 }), 2)
  })

  it('spreads texts that differ in one letter over all bits', () => {
    let bits = 0
    for (let i = 0; i < 200; i++) bits += hammingDistance(hashText(`word${i}`), hashText(`word${i + 1}`))
    assert.ok(bits / 200 > 26 && bits / 200 < 38, `${bits / 200} bits on average`)
  })
})

describe('reciprocalRankFusion', () => {
  it('adds weight / (60 + rank), scaled to 1', () => {
    const fused = reciprocalRankFusion([
      { weight: 1, keys: ['a', 'b'] },
      { weight: 0.5, keys: ['b'] }
    ])
    const scale = 61 / 1.5
    assert.ok(Math.abs((fused.get('a') ?? 0) - scale / 61) < 1e-12)
    assert.ok(Math.abs((fused.get('b') ?? 0) - scale * (1 / 62 + 0.5 / 61)) < 1e-12)
  })

  it('lets equal scores share the better rank, and the next one keep its place', () => {
    const list = { weight: 1, keys: ['a', 'b', 'c', 'd'], scores: [3, 2, 2, 1] }
    assert.deepEqual([...ranksOf(list).values()], [1, 2, 2, 4])
    const fused = reciprocalRankFusion([list])
    assert.equal(fused.get('b'), fused.get('c'))
    assert.ok(Math.abs((fused.get('d') ?? 0) - 61 / 64) < 1e-12)
  })

  it('gives 1 to what is first in every list that has something', () => {
    const lists = [
      { weight: 1, keys: ['a', 'b'] },
      { weight: 2, keys: [] },
      { weight: 0.5, keys: ['a'] }
    ]
    assert.ok(Math.abs((reciprocalRankFusion(lists).get('a') ?? 0) - 1) < 1e-12)
    assert.equal(reciprocalRankFusion([]).size, 0)
  })
})

describe('TagIndex', () => {
  it('does not list a name that too many records carry', () => {
    const names = new TagIndex()
    const file = (n: number): void => names.add(`k${n}`, docOf(n, { tags: ['all'] }))
    for (let n = 0; n < LIMITS.recallCandidatesMax; n++) file(n)
    assert.equal(names.match('about all').mentioned.size, LIMITS.recallCandidatesMax)
    file(LIMITS.recallCandidatesMax)
    assert.equal(names.match('about all').mentioned.size, 0)
    names.remove('k0', docOf(0, { tags: ['all'] }))
    assert.equal(names.match('about all').mentioned.size, LIMITS.recallCandidatesMax)
  })

  it('counts how many of the names in a query a record carries', () => {
    const names = new TagIndex()
    names.add('a', docOf(1, { tags: ['Red', 'blue'], path: 'x/y' }))
    names.add('b', docOf(2, { tags: ['blue'] }))
    const { mentioned } = names.match('(red), "blue" at x/y/?')
    assert.deepEqual([mentioned.get('a'), mentioned.get('b')], [3, 1])
  })
})

describe('RecencyOrder', () => {
  interface Item extends Ordered {
    readonly doc: { readonly createdAt: number; readonly id: string; readonly space: string }
  }
  const item = (createdAt: number, id: string, space = 'a'): Item => ({ doc: { createdAt, id, space }, removed: false })
  const names = (order: RecencyOrder<Item>, after?: Item['doc']): string[] =>
    [...order.newestFirst(after)].map(({ doc }) => `${doc.id}${doc.createdAt}${doc.space}`)

  it('walks newest first, equal times by id, then space, whatever the order of arrival', () => {
    const items = [item(2, 'b'), item(1, 'x'), item(2, 'a', 'b'), item(3, 'c'), item(2, 'a', 'a')]
    const expected = ['c3a', 'a2a', 'a2b', 'b2a', 'x1a']
    fc.assert(
      fc.property(fc.shuffledSubarray(items, { minLength: 5 }), (shuffled) => {
        const order = new RecencyOrder<Item>()
        for (const one of shuffled) order.add(one)
        assert.deepEqual(names(order), expected)
      })
    )
  })

  it('goes on behind any position, also one that is gone', () => {
    const order = new RecencyOrder<Item>()
    const items = [item(1, 'a'), item(2, 'b'), item(2, 'c', 'a'), item(2, 'c', 'b'), item(4, 'd')]
    for (const one of items) order.add(one)
    assert.deepEqual(names(order, { createdAt: 3, id: 'q', space: 'a' }), ['b2a', 'c2a', 'c2b', 'a1a'])
    assert.deepEqual(names(order, { createdAt: 2, id: 'c', space: 'a' }), ['c2b', 'a1a'])
    assert.deepEqual(
      [...order.newestFirst({ createdAt: 2, id: 'c' })].map(({ doc }) => doc.id),
      ['a']
    )
    assert.deepEqual(names(order, { createdAt: 0, id: 'a', space: 'a' }), [])
  })

  it('drops the removed from the walk at once', () => {
    const order = new RecencyOrder<Item>()
    const items = Array.from({ length: 100 }, (_, i) => item(i, 'i'))
    for (const one of items) order.add(one)
    for (const one of items.slice(0, 90)) order.remove(one)
    assert.equal(names(order).length, 10)
  })
})
