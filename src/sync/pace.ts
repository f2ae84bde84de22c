/**
 * When to reconcile next. Sessions come at a steady interval with some chance in it, slow down while they find nothing,
 * and come back to full pace at the first difference, local write or failure. The chance keeps daemons that were
 * started together from meeting in step.
 */
import type { Random } from '../ports/random.ts'

export interface PaceOptions {
  readonly intervalMs: number
  readonly intervalMsMax: number
}

/** A failed session is tried with somebody else within this time. */
const RETRY_MS = 1_000
const JITTER = 0.2

export class Pace {
  readonly #options: PaceOptions
  readonly #random: Random
  #intervalMs: number

  constructor(options: PaceOptions, ports: { random: Random }) {
    this.#options = options
    this.#random = ports.random
    this.#intervalMs = options.intervalMs
  }

  /** Milliseconds until the next session, given how the last one ended; undefined before the first. */
  next(last: 'equal' | 'different' | 'failed' | undefined): number {
    if (last === 'failed') return RETRY_MS * (0.5 + 0.5 * this.#random.unit())
    if (last === 'equal') this.#intervalMs = Math.min(this.#options.intervalMsMax, this.#intervalMs * 2)
    else this.#intervalMs = this.#options.intervalMs
    return this.#intervalMs * (1 - JITTER + 2 * JITTER * this.#random.unit())
  }

  /** Something is new here: peers should know soon. Returns the longest it may now take. */
  hurry(): number {
    this.#intervalMs = this.#options.intervalMs
    return this.#options.intervalMs * (1 + JITTER)
  }
}
