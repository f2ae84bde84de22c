/**
 * How far a long command has come: one line that is written over while a person watches, and a plain line now and then
 * when it goes to a file.
 */
import type { Writable } from 'node:stream'

export interface ProgressOptions {
  readonly stream: Writable & { readonly isTTY?: boolean }
  readonly total: number
  /** Real milliseconds; given, so that it can be tested. */
  readonly nowMs: () => number
}

const REDRAW_MS = 200
const PLAIN_MS = 15_000

export class Progress {
  readonly #options: ProgressOptions
  readonly #startedMs: number
  #lastMs = -Infinity
  #drawn = false

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#startedMs = options.nowMs()
    this.#lastMs = this.#startedMs
  }

  update(done: number, violated: number): void {
    const { stream, nowMs } = this.#options
    const isLive = stream.isTTY === true
    if (nowMs() - this.#lastMs < (isLive ? REDRAW_MS : PLAIN_MS)) return
    this.#lastMs = nowMs()
    const line = this.line(done, violated)
    stream.write(isLive ? `\r\u001b[2K${line}` : `${line}\n`)
    this.#drawn = isLive
  }

  /** `120/2000 seeds, 2.4 a second, 13 min left, 1 violated` */
  line(done: number, violated: number): string {
    const { total, nowMs } = this.#options
    const seconds = Math.max(0.001, (nowMs() - this.#startedMs) / 1_000)
    const rate = done / seconds
    const left = rate === 0 ? '' : `, ${duration((total - done) / rate)} left`
    return `${done}/${total} seeds, ${rate.toFixed(1)} a second${left}, ${violated} violated`
  }

  /** Leaves the line to whatever comes next. */
  end(): void {
    if (this.#drawn) this.#options.stream.write('\r\u001b[2K')
    this.#drawn = false
  }
}

/** Seconds, in the unit a person would use. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`
}
