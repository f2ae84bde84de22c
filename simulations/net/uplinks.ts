/**
 * The line on which a node sends: so many bytes a second, one packet after the other, to whomever they go. A packet of
 * n bytes leaves n / bandwidth seconds after the one before it has left, or after now. There is no limit to the queue;
 * what a real queue would drop is a loss of the air.
 */
import type { PeerId } from '../../src/ports/network.ts'

export class Uplinks {
  readonly #freeAtMs = new Map<PeerId, number>()

  /** Milliseconds from `nowMs` until the last of these bytes has left `from`. 0 bytes a second is no limit. */
  depart(from: PeerId, bytes: number, bytesPerS: number, nowMs: number): number {
    if (bytesPerS <= 0) return 0
    const freeAtMs = Math.max(nowMs, this.#freeAtMs.get(from) ?? 0) + (bytes / bytesPerS) * 1_000
    this.#freeAtMs.set(from, freeAtMs)
    return freeAtMs - nowMs
  }
}
