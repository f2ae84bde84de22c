/**
 * The clock of one simulated node: the world's time plus an offset of its own, which a scenario may change at any moment
 * as a bad clock does. Durations and timers are not touched by the offset.
 */
import type { Clock } from '../../src/ports/clock.ts'
import type { EventQueue } from './event-queue.ts'

/** Wall time at which every simulated world begins: 2026-01-01T00:00:00Z. */
export const WORLD_EPOCH_MS = 1_767_225_600_000

export class SimClock implements Clock {
  readonly #queue: EventQueue
  /** Milliseconds this clock is ahead of the world's. */
  offsetMs: number
  #halted = false

  constructor(queue: EventQueue, offsetMs = 0) {
    this.#queue = queue
    this.offsetMs = offsetMs
  }

  nowMs(): number {
    return WORLD_EPOCH_MS + Math.floor(this.#queue.nowMs) + this.offsetMs
  }

  monotonicMs(): number {
    return this.#queue.nowMs
  }

  setTimer(delayMs: number, action: () => void): () => void {
    return this.#queue.after(delayMs, () => {
      if (!this.#halted) action()
    })
  }

  /** The process died: no timer set by it fires any more. */
  halt(): void {
    this.#halted = true
  }
}
