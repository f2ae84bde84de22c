/**
 * A circuit breaker (Nygard, Release It!, 2007): after some failures in a row nothing is asked for a while, then one
 * question is let through, and its answer decides. The pause doubles while the probes fail, so that a service that is
 * gone costs next to nothing, and one that is back is noticed within minutes.
 *
 * Pure: it is told the time and does nothing by itself.
 */
import { LIMITS } from '../../base/limits.ts'

const FIRST_PAUSE_MS = 5_000

export class Breaker {
  #failures = 0
  #openings = 0
  #opensAgainMs = 0
  #reason: string | undefined
  #isProbing = false

  /** Whether to ask now. When it says yes while it is open, that question is the probe, and no other is let through. */
  allows(nowMs: number): boolean {
    if (this.#reason === undefined) return true
    if (this.#isProbing || nowMs < this.#opensAgainMs) return false
    this.#isProbing = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    this.#openings = 0
    this.#reason = undefined
    this.#isProbing = false
  }

  /** `weight`: how many failures it counts as. */
  failed(reason: string, nowMs: number, weight = 1): void {
    this.#isProbing = false
    this.#failures += weight
    if (this.#reason === undefined && this.#failures < LIMITS.embedFailuresMax) return
    this.#reason = reason
    this.#opensAgainMs = nowMs + Math.min(FIRST_PAUSE_MS * 2 ** this.#openings, LIMITS.embedPauseMsMax)
    this.#openings = Math.min(this.#openings + 1, 16)
  }

  /** The question was given up before it could succeed or fail. */
  abandoned(): void {
    this.#isProbing = false
  }

  /** Why it is open; undefined while it is closed. */
  open(nowMs: number): { readonly reason: string; readonly retryMs: number } | undefined {
    if (this.#reason === undefined) return undefined
    return { reason: this.#reason, retryMs: Math.max(0, this.#opensAgainMs - nowMs) }
  }
}
