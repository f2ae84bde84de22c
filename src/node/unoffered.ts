/**
 * Own deltas that nobody has been handed yet, found by delta when a publish succeeds and by arrival when a reader asks
 * how far a memory has spread.
 */
import type { DeltaId } from '../memory/ids.ts'
import type { Arrival } from './rows.ts'

export class Unoffered {
  readonly #arrivals = new Map<DeltaId, Arrival>()
  readonly #places = new Set<Arrival>()

  get size(): number {
    return this.#places.size
  }

  add(id: DeltaId, arrival: Arrival): void {
    this.#arrivals.set(id, arrival)
    this.#places.add(arrival)
  }

  has(arrival: Arrival): boolean {
    return this.#places.has(arrival)
  }

  offered(id: DeltaId): void {
    const arrival = this.#arrivals.get(id)
    if (arrival === undefined) return
    this.#arrivals.delete(id)
    this.#places.delete(arrival)
  }

  /** Somebody holds everything up to the arrival. */
  offeredThrough(arrival: Arrival): void {
    for (const [id, place] of this.#arrivals) if (place <= arrival) this.offered(id)
  }
}
