import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../../src/base/limits.ts'
import { NearIndex } from '../../../src/recall/near-index.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, type SimHash } from '../../../src/recall/similarity.ts'

const hash = fc.record({ high: fc.integer(), low: fc.integer() })

function flip({ high, low }: SimHash, bits: readonly number[]): SimHash {
  for (const bit of new Set(bits)) {
    if (bit < 32) low ^= 1 << bit
    else high ^= 1 << (bit - 32)
  }
  return { high, low }
}

describe('NearIndex', () => {
  it('finds what comparing all with all finds, wherever the bits differ', () => {
    const nearby = fc.array(fc.tuple(hash, fc.array(fc.nat({ max: 63 }), { maxLength: 5 })), { maxLength: 12 })
    fc.assert(
      fc.property(nearby, (pairs) => {
        const hashes = pairs.flatMap(([one, bits]) => [one, flip(one, bits)])
        const index = new NearIndex()
        hashes.forEach((one, place) => {
          const first = hashes.findIndex((other) => hammingDistance(one, other) <= NEAR_DUPLICATE_BITS)
          assert.equal(index.place(one), first === place ? undefined : first)
        })
        assert.equal(index.size, hashes.length)
      }),
      { numRuns: 500 }
    )
  })

  it('compares with no more in one band than the bound, and those are the first', () => {
    // All share the first band and are far apart in the others; the last is like the last before it.
    const far = (i: number): SimHash => ({
      high: 0x12340000 | ((i * 0x1357) & 0xffff),
      low: Math.imul(i + 1, 0x9e3779b1)
    })
    const like = (place: number): (number | undefined)[] => {
      const index = new NearIndex()
      for (let i = 0; i < place; i++) index.place(far(i))
      const last = far(place - 1)
      // One bit in each of the three other bands: only the first band still leads to it.
      return [index.place(flip(last, [0, 16, 32]))]
    }
    assert.deepEqual(like(LIMITS.likenessComparedMax), [LIMITS.likenessComparedMax - 1])
    assert.deepEqual(like(LIMITS.likenessComparedMax + 1), [undefined])
  })
})
