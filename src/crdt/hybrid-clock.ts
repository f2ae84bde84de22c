/**
 * Hybrid logical clock: wall milliseconds in the upper 48 bits, a counter in the lower 16, together one whole number
 * that never runs back. It stays close to wall time, yet whoever has seen an event dates everything later after it.
 * Kulkarni et al., "Logical Physical Clocks" (2014).
 *
 * Since the time is one number, a counter that overflows simply carries into the milliseconds. A remote time far ahead
 * of the local wall clock is not adopted, so one wrong clock cannot drag a network into the future; and after the
 * local clock was set back, the time goes on counting from where it was.
 *
 * The clock is no authority on what is admitted: it only dates local events. It reads no clock itself.
 */
import { assert } from '../base/assert.ts'
import { LIMITS } from '../base/limits.ts'

const COUNTER_BITS = 16n
const COUNTER_MAX = (1n << COUNTER_BITS) - 1n
const WALL_MS_MAX = 2 ** 48 - 1
const TIME_MAX = (1n << 64n) - 1n

function wallTime(ms: number): bigint {
  assert(Number.isSafeInteger(ms) && ms >= 0 && ms <= WALL_MS_MAX, 'wall time is whole milliseconds below 2^48')
  return BigInt(ms) << COUNTER_BITS
}

export class HybridClock {
  readonly #leadMsMax: number
  #last = 0n

  /** `leadMsMax`: how far ahead of the local wall clock a remote time may lie and still be adopted. */
  constructor(leadMsMax: number) {
    this.#leadMsMax = leadMsMax
  }

  /** The latest time given out, adopted or restored: what to persist. */
  get last(): bigint {
    return this.#last
  }

  /** Goes on from a persisted time, whatever the wall clock says now. An earlier time than the current one is no news. */
  restore(time: bigint): void {
    assert(time >= 0n && time <= TIME_MAX, 'a hybrid time has 64 bits')
    if (time > this.#last) this.#last = time
  }

  /** The time of a local event: strictly above everything given out, adopted or restored before. */
  tick(nowMs: number): bigint {
    const wall = wallTime(nowMs)
    const next = this.#last + 1n
    const time = wall > next ? wall : next
    assert(time <= TIME_MAX, 'a hybrid time has 64 bits')
    this.#last = time
    return time
  }

  /**
   * Adopts the time of an event seen, so that the next local one is dated after it. Returns false, and changes nothing,
   * when its milliseconds lie more than the lead ahead of `nowMs`: hold the event and observe it again once due.
   */
  observe(remote: bigint, nowMs: number): boolean {
    const ceiling = wallTime(nowMs + this.#leadMsMax) | COUNTER_MAX
    if (remote > ceiling) return false
    if (remote > this.#last) this.#last = remote
    return true
  }
}

/** A clock that never ran. The default lead is the bound beyond which a delta is held. */
export function createHybridClock(leadMsMax: number = LIMITS.clockLeadMsMax): HybridClock {
  return new HybridClock(leadMsMax)
}
