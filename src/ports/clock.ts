/** Time. Nothing below `node` asks for it; it arrives as an argument. */
export interface Clock {
  /** Wall-clock milliseconds since 1970. May jump in either direction. */
  nowMs(): number
  /** Milliseconds since an arbitrary start; never runs back. For durations only, meaningless across restarts. */
  monotonicMs(): number
  /** Calls `action` once after `delayMs`. The returned function cancels it, any number of times. */
  setTimer(delayMs: number, action: () => void): () => void
}
