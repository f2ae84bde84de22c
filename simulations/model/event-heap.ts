/**
 * The calendar of the model: a binary heap of events ordered by (time, insertion), kept in typed arrays so that a million
 * events in flight cost 25 bytes each and no garbage. Insertion order breaks ties, so equal seeds give equal runs.
 *
 * An event is a kind and three numbers; what they mean is the business of whoever pushes them.
 */

/** Where `pop` puts what it took: one object for a whole run. */
export interface HeapEvent {
  atMs: number
  kind: number
  a: number
  b: number
  c: number
}

export class EventHeap {
  #at: Float64Array
  #seq: Uint32Array
  #kind: Uint8Array
  #a: Int32Array
  #b: Int32Array
  #c: Int32Array
  #size = 0
  #pushed = 0

  /** Grows by itself: `capacity` is only where it begins. */
  constructor(capacity = 1 << 12) {
    this.#at = new Float64Array(capacity)
    this.#seq = new Uint32Array(capacity)
    this.#kind = new Uint8Array(capacity)
    this.#a = new Int32Array(capacity)
    this.#b = new Int32Array(capacity)
    this.#c = new Int32Array(capacity)
  }

  get size(): number {
    return this.#size
  }

  push(atMs: number, kind: number, a: number, b = 0, c = 0): void {
    if (this.#size === this.#at.length) this.#grow()
    const at = this.#at
    const seq = this.#seq
    let hole = this.#size++
    // The newest event is the last of its time, so climbing needs to compare times only.
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (at[parent]! <= atMs) break
      this.#move(parent, hole)
      hole = parent
    }
    at[hole] = atMs
    seq[hole] = this.#pushed++
    this.#kind[hole] = kind
    this.#a[hole] = a
    this.#b[hole] = b
    this.#c[hole] = c
  }

  /** False when nothing is left; `into` is then as it was. */
  pop(into: HeapEvent): boolean {
    if (this.#size === 0) return false
    into.atMs = this.#at[0]!
    into.kind = this.#kind[0]!
    into.a = this.#a[0]!
    into.b = this.#b[0]!
    into.c = this.#c[0]!
    const last = --this.#size
    if (last > 0) this.#sink(last)
    return true
  }

  /** The event at `last` takes the empty place at the top and goes down to where it belongs. */
  #sink(last: number): void {
    const at = this.#at
    const seq = this.#seq
    const atMs = at[last]!
    const order = seq[last]!
    let hole = 0
    for (let child = 1; child < last; child = 2 * hole + 1) {
      const right = child + 1
      if (right < last && isBefore(at[right]!, seq[right]!, at[child]!, seq[child]!)) child = right
      if (isBefore(atMs, order, at[child]!, seq[child]!)) break
      this.#move(child, hole)
      hole = child
    }
    this.#move(last, hole)
  }

  #move(from: number, to: number): void {
    this.#at[to] = this.#at[from]!
    this.#seq[to] = this.#seq[from]!
    this.#kind[to] = this.#kind[from]!
    this.#a[to] = this.#a[from]!
    this.#b[to] = this.#b[from]!
    this.#c[to] = this.#c[from]!
  }

  #grow(): void {
    const capacity = 2 * this.#at.length
    const copied = <T extends Float64Array | Uint32Array | Uint8Array | Int32Array>(fresh: T, old: T): T => {
      fresh.set(old)
      return fresh
    }
    this.#at = copied(new Float64Array(capacity), this.#at)
    this.#seq = copied(new Uint32Array(capacity), this.#seq)
    this.#kind = copied(new Uint8Array(capacity), this.#kind)
    this.#a = copied(new Int32Array(capacity), this.#a)
    this.#b = copied(new Int32Array(capacity), this.#b)
    this.#c = copied(new Int32Array(capacity), this.#c)
  }
}

function isBefore(atMs: number, order: number, otherMs: number, otherOrder: number): boolean {
  return atMs < otherMs || (atMs === otherMs && order < otherOrder)
}
