/**
 * When to reconcile next. Sessions come at a steady interval with some chance in it, slow down while they find nothing,
 * and come back to full pace at the first difference or local write. The chance keeps daemons that were started together
 * from meeting in step. Whom to meet is not decided here.
 */
import { LIMITS } from '../base/limits.ts'
import type { Random } from '../ports/random.ts'

export interface PaceOptions {
  readonly intervalMs: number
  readonly intervalMsMax: number
}

/**
 * How the last session ended, as far as the pace goes.
 *   equal: nothing to do, or nobody to do it with · different: something was · onward: the session was cut short by its
 *   own bounds, and more is to be had from the same peer at once · failed, busy: nothing was compared; ask somebody else.
 */
export type Beat = 'equal' | 'different' | 'onward' | 'failed' | 'busy'

/** A session that came to nothing is followed by one with somebody else within this time. */
export const RETRY_MS = 1_000
const JITTER = 0.2

export class Pace {
  readonly #options: PaceOptions
  readonly #random: Random
  #intervalMs: number
  /** Sessions in a row that went on with the same peer. */
  #onward = 0

  constructor(options: PaceOptions, ports: { random: Random }) {
    this.#options = options
    this.#random = ports.random
    this.#intervalMs = options.intervalMs
  }

  /** The present interval in milliseconds, without the chance in it: how quiet it is. */
  get intervalMs(): number {
    return this.#intervalMs
  }

  /**
   * Milliseconds until the next session, given how the last one ended; undefined before the first. 0: at once, with the
   * same peer. A peer that always has more is left after LIMITS.reconOnwardSessionsMax sessions, so that others have a turn.
   */
  next(last: Beat | undefined): number {
    if (last === 'failed' || last === 'busy') return RETRY_MS * (0.5 + 0.5 * this.#random.unit())
    if (last === 'equal') this.#intervalMs = Math.min(this.#options.intervalMsMax, this.#intervalMs * 2)
    else this.#intervalMs = this.#options.intervalMs
    this.#onward = last === 'onward' && this.#onward + 1 < LIMITS.reconOnwardSessionsMax ? this.#onward + 1 : 0
    if (this.#onward > 0) return 0
    return this.#intervalMs * (1 - JITTER + 2 * JITTER * this.#random.unit())
  }

  /** Something is new here: peers should know soon. Returns the longest it may now take. */
  hurry(): number {
    this.#intervalMs = this.#options.intervalMs
    return this.#options.intervalMs * (1 + JITTER)
  }
}
