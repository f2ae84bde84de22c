/** What has a direction becomes a vector of length 1; what has none is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unitVector } from '../../../src/base/unit-vector.ts'

test('a vector of length 1 in the same direction', () => {
  assert.deepEqual(unitVector([3, -4]), Float32Array.of(0.6, -0.8))
  assert.deepEqual(unitVector([1e-6, 0]), Float32Array.of(1, 0))
  assert.deepEqual(unitVector([1e150]), Float32Array.of(1))
})

test('no direction', () => {
  const bad = [[], [0, 0], [1e-13, 0], [NaN, 1], [Infinity, 1], [1e200, 1e200], [null, 1], ['1', 1], [[1], 1]]
  for (const numbers of bad) assert.equal(unitVector(numbers), undefined, JSON.stringify(numbers))
})
