/** Chance of the system: ranges and independence, not statistics. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from '../../../../src/adapters/system/random.ts'
import { toHex } from '../../../../src/base/bytes.ts'

test('unit stays in [0, 1) and below in [0, bound)', () => {
  const seen = new Set<number>()
  for (let i = 0; i < 2_000; i++) {
    const unit = systemRandom.unit()
    assert.ok(unit >= 0 && unit < 1)
    const die = systemRandom.below(6)
    assert.ok(Number.isInteger(die) && die >= 0 && die < 6)
    seen.add(die)
  }
  // Missing one face in 2,000 throws has a chance of 6 × (5/6)^2000, below 10^-157.
  assert.equal(seen.size, 6)
  assert.equal(systemRandom.below(1), 0)
  for (const bound of [0, -1, 1.5, Number.NaN]) assert.throws(() => systemRandom.below(bound), /bound/)
})

test('bytes are a plain array of their own, and no two calls or forks agree', () => {
  const drawn = new Set<string>()
  for (let i = 0; i < 100; i++) {
    const source = i % 2 === 0 ? systemRandom : systemRandom.fork('same label')
    const bytes = source.bytes(16)
    assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
    assert.equal(bytes.buffer.byteLength, 16)
    drawn.add(toHex(bytes))
  }
  assert.equal(drawn.size, 100)
  assert.equal(systemRandom.bytes(0).length, 0)
})
