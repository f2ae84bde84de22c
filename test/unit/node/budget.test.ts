import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { itemTokens } from '../../../src/base/tokens.ts'
import { fillBudget } from '../../../src/node/budget.ts'

const sized = (...sizes: number[]): { content: string }[] => sizes.map((size) => ({ content: 'x'.repeat(size) }))
const cost = (size: number): number => itemTokens('x'.repeat(size))

describe('fillBudget', () => {
  it('takes all of them without a budget', () => {
    const { items, usedTokens, overflow } = fillBudget(sized(10, 20), undefined)
    assert.deepEqual([items.length, usedTokens, overflow], [2, cost(10) + cost(20), false])
    assert.deepEqual(fillBudget([], 5), { items: [], usedTokens: 0, overflow: false })
  })

  it('ends at the budget to the token', () => {
    const both = cost(40) + cost(80)
    assert.deepEqual(
      [fillBudget(sized(40, 80), both).items.length, fillBudget(sized(40, 80), both).overflow],
      [2, false]
    )
    assert.deepEqual(
      [fillBudget(sized(40, 80), both - 1).items.length, fillBudget(sized(40, 80), both - 1).overflow],
      [1, true]
    )
  })

  it('gives the best one whatever it costs, and says so', () => {
    const { items, usedTokens, overflow } = fillBudget(sized(4_000, 4), 10)
    assert.deepEqual([items.length, items[0]?.content.length, overflow], [1, 4_000, true])
    assert.equal(usedTokens, cost(4_000))
  })

  it('goes on to smaller ones behind one that does not fit', () => {
    const { items, overflow } = fillBudget(sized(8, 4_000, 12), cost(8) + cost(12))
    assert.deepEqual([items.map(({ content }) => content.length), overflow], [[8, 12], true])
  })

  it('exceeds no budget but with a single one, and keeps the order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 30 }), fc.integer({ min: 1, max: 500 }), (sizes, budget) => {
        const { items, usedTokens, overflow } = fillBudget(sized(...sizes), budget)
        assert.equal(
          usedTokens,
          items.reduce((sum, { content }) => sum + itemTokens(content), 0)
        )
        assert.ok(usedTokens <= budget || items.length === 1)
        assert.equal(items.length > 0, sizes.length > 0)
        assert.equal(overflow, items.length < sizes.length || usedTokens > budget)
        let from = -1
        for (const { content } of items) {
          from = sizes.indexOf(content.length, from + 1)
          assert.ok(from >= 0)
        }
      })
    )
  })
})
