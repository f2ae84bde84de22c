/**
 * Chance from the operating system's generator, fit for keys and nonces. Every stream is independent of every other
 * anyway, so a fork is the same generator again.
 */
import { randomBytes } from 'node:crypto'
import { assert } from '../../base/assert.ts'
import type { Random } from '../../ports/random.ts'

export const systemRandom: Random = {
  unit: () => fraction(),
  below(bound) {
    assert(Number.isSafeInteger(bound) && bound > 0, 'a bound is a positive integer')
    // 53 bits over a bound of 2^20 are off by one part in 2^33 at most, far below anything that is decided by dice.
    return Math.floor(fraction() * bound)
  },
  bytes(length) {
    // A plain Uint8Array of its own: a Buffer may be a view into memory shared with others.
    return new Uint8Array(randomBytes(length))
  },
  fork: () => systemRandom
}

/** Uniform over the multiples of 2^-53 in [0, 1): all that a double can tell apart evenly. */
function fraction(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n) / 2 ** 53
}
