import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mean, median, trimFor, trimmedMean } from '../../../src/trust/statistics.ts'

/** Seven honest voters and three liars, in basis points. */
const VOTES = [9_000, 8_500, 9_000, 8_800, 9_200, 8_700, 9_100, 0, 1_000, 500]

describe('statistics', () => {
  it('gives the check vector of the design', () => {
    assert.equal(mean(VOTES), 6_380)
    assert.equal(median(VOTES), 8_750)
    assert.equal(trimmedMean(VOTES, 3), 8_750)
  })

  it('shows how much must be trimmed before three liars of ten lose their grip', () => {
    assert.equal(trimmedMean(VOTES, 0), 6_380)
    assert.equal(trimmedMean(VOTES, 1), 6_825)
    assert.equal(trimmedMean(VOTES, 2), 7_500)
    assert.equal(trimmedMean(VOTES, 4), 8_750)
  })

  it('sorts by number, not by text', () => {
    assert.equal(median([10_000, 9, 500]), 500)
    assert.equal(trimmedMean([10_000, 9, 500], 1), 500)
  })

  it('takes the middle of an even count between its two middle values', () => {
    assert.equal(median([1, 2]), 1.5)
    assert.equal(median([4, 1, 3, 2]), 2.5)
  })

  it('has no answer for nothing', () => {
    assert.equal(mean([]), undefined)
    assert.equal(median([]), undefined)
    assert.equal(trimmedMean([], 0), undefined)
    assert.equal(trimmedMean([1, 2], 1), undefined)
    assert.equal(trimmedMean([1, 2, 3], 1), 2)
  })

  it('leaves its input as it was', () => {
    const values = Object.freeze([3, 1, 2])
    assert.equal(median(values), 2)
  })

  it('refuses fractions and sums beyond exact integers, which would not be the same everywhere', () => {
    assert.throws(() => mean([0.1, 0.2]), /whole numbers/)
    assert.throws(() => mean([Number.MAX_SAFE_INTEGER, 1, 1]), /exact/)
    assert.throws(() => trimmedMean([1], -1), /whole number/)
  })

  it('trims one less than every third', () => {
    assert.deepEqual([0, 1, 2, 3, 4, 6, 7, 9, 10, 100].map(trimFor), [0, 0, 0, 0, 1, 1, 2, 2, 3, 33])
  })
})
