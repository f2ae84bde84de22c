/** Halves: every one of them survives, and every float becomes the nearest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHalves, HALF_VALUES, halfOf, toHalves } from '../../../src/base/half-float.ts'
import { SeededRandom } from '../../../src/base/prng.ts'

test('known values, from the standard', () => {
  const known: readonly (readonly [number, number])[] = [
    [0, 0x0000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65_504, 0x7bff],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [1 / 3, 0x3555],
    [Infinity, 0x7c00],
    [-Infinity, 0xfc00]
  ]
  for (const [value, half] of known) assert.equal(halfOf(value), half, `${value}`)
  assert.equal(halfOf(-0), 0x8000)
  assert.equal(halfOf(1e6), 0x7c00, 'too large')
  assert.ok(Number.isNaN(HALF_VALUES[halfOf(NaN)]))
})

test('every half that is a number comes back as it was', () => {
  for (let half = 0; half < 65_536; half++) {
    const value = HALF_VALUES[half] as number
    if (!Number.isNaN(value)) assert.equal(halfOf(value), half)
  }
})

test('what lies between two halves becomes the nearer one, and the even one in the middle', () => {
  for (const half of [0x0000, 0x0001, 0x03ff, 0x0400, 0x3555, 0x3c00, 0x3c01, 0x7bfe]) {
    const low = HALF_VALUES[half] as number
    const high = HALF_VALUES[half + 1] as number
    const middle = (low + high) / 2
    assert.equal(halfOf(middle), (half & 1) === 0 ? half : half + 1, `middle above ${half}`)
    assert.equal(halfOf(low + (high - low) * 0.49), half)
    assert.equal(halfOf(low + (high - low) * 0.51), half + 1)
  }
  const random = new SeededRandom('halves')
  for (let i = 0; i < 20_000; i++) {
    const value = Math.fround((random.unit() - 0.5) * 2 ** (random.below(20) - 14))
    const half = halfOf(value)
    const error = Math.abs((HALF_VALUES[half] as number) - value)
    for (const other of [half - 1, half + 1]) {
      const neighbour = HALF_VALUES[other & 0xffff] as number
      if (!Number.isNaN(neighbour)) assert.ok(error <= Math.abs(neighbour - value), `${value}`)
    }
  }
})

test('whole vectors', () => {
  const vector = Float32Array.of(0.5, -0.25, 0)
  assert.deepEqual(fromHalves(toHalves(vector)), vector)
})
