/**
 * How fast one agent may write: a bucket that holds a second's worth and refills steadily. All connections that show one
 * token draw from one bucket, so that opening more of them gains nothing.
 */

export class Pace {
  readonly #perSecond: number
  #left: number
  #atMs: number | undefined

  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#left = Math.max(1, perSecond)
  }

  /**
   * Takes `count` writes out and answers 0, or takes nothing and answers after how many milliseconds it would. A request
   * for more than fits the bucket is let through when the bucket is full, and paid for afterwards.
   */
  take(count: number, nowMs: number): number {
    const full = Math.max(1, this.#perSecond)
    const passedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs))
    this.#atMs = nowMs
    this.#left = Math.min(full, this.#left + (passedMs * this.#perSecond) / 1_000)
    const needed = Math.min(count, full)
    // A whole write that rounding has left a hair short is there.
    if (this.#left + 1e-9 >= needed) {
      this.#left -= count
      return 0
    }
    return Math.ceil(((needed - this.#left) * 1_000) / this.#perSecond)
  }
}
