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

/** Dice are thrown for every frame and every retry; the system is asked for many throws at once. */
const DICE_BYTES = 4_096
let dice = Buffer.alloc(0)
let diceAt = 0

/** Uniform over the multiples of 2^-53 in [0, 1): all that a double can tell apart evenly. */
function fraction(): number {
  if (diceAt + 8 > dice.length) {
    dice = randomBytes(DICE_BYTES)
    diceAt = 0
  }
  const high = dice.readUInt32BE(diceAt) >>> 5
  const low = dice.readUInt32BE(diceAt + 4) >>> 6
  diceAt += 8
  return (high * 2 ** 26 + low) / 2 ** 53
}
