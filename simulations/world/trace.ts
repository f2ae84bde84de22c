/** A running hash of everything that happened: equal seeds must give equal traces, or the simulation proves nothing. */
import { createHash } from 'node:crypto'

export class Trace {
  readonly #hash = createHash('sha256')
  #events = 0

  /** Notes one event: when, what, and its particulars, in this order. */
  note(atMs: number, what: string, ...particulars: readonly (string | number)[]): void {
    this.#events++
    this.#hash.update(`${atMs.toFixed(3)} ${what} ${particulars.join(' ')}\n`)
  }

  get events(): number {
    return this.#events
  }

  /** 16 hexadecimal digits over all events so far. */
  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }
}
