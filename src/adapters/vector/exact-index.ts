/**
 * The nearest vectors by comparing with every one: exact, nothing to build, and quick enough up to some ten thousand.
 *
 * Each vector is kept twice. A coarse copy, one signed byte a component with a scale of its own, is what the scan reads:
 * a quarter of the memory traffic and whole numbers only. The best few of the scan are then measured again with the fine
 * copy, in halves, which decides their order. Rows are packed; the last one fills the hole of one that goes.
 */
import { HALF_VALUES, toHalves } from '../../base/half-float.ts'
import type { VectorHit } from '../../ports/vector-index.ts'
import { CoarseRows } from './coarse-scan.ts'
import { byLikeness, TopHits } from './top-hits.ts'

/** Measured again for each one wanted: what the coarse copy puts so far down was not near. */
const FINE_PER_WANTED = 2
const FINE_MIN = 64
const FIRST_ROWS = 64

export class ExactIndex {
  readonly dimensions: number
  readonly #rows = new Map<number, number>()
  #labels: number[] = []
  #coarse: CoarseRows
  #scales: Float32Array
  #fine: Uint16Array

  constructor(dimensions: number) {
    this.dimensions = dimensions
    this.#coarse = new CoarseRows(dimensions)
    this.#fine = new Uint16Array(0)
    this.#scales = new Float32Array(0)
    this.#resize(FIRST_ROWS)
  }

  get size(): number {
    return this.#rows.size
  }

  has(label: number): boolean {
    return this.#rows.has(label)
  }

  add(label: number, vector: Float32Array): void {
    let row = this.#rows.get(label)
    if (row === undefined) {
      row = this.#rows.size
      if (row === this.#scales.length) this.#resize(2 * row)
      this.#rows.set(label, row)
      this.#labels[row] = label
    }
    const at = row * this.dimensions
    this.#fine.set(toHalves(vector), at)
    this.#scales[row] = coarsen(vector, this.#coarse.row(row))
  }

  remove(label: number): boolean {
    const row = this.#rows.get(label)
    if (row === undefined) return false
    const { dimensions } = this
    const last = this.#rows.size - 1
    if (row !== last) {
      const moved = this.#labels[last] as number
      this.#coarse.copy(last, row)
      this.#fine.copyWithin(row * dimensions, last * dimensions, (last + 1) * dimensions)
      this.#scales[row] = this.#scales[last] as number
      this.#labels[row] = moved
      this.#rows.set(moved, row)
    }
    this.#labels.pop()
    this.#rows.delete(label)
    if (this.#rows.size === 0 && this.#scales.length > FIRST_ROWS) {
      // All have moved into a graph: their room is given back.
      this.#coarse = new CoarseRows(dimensions)
      this.#fine = new Uint16Array(0)
      this.#scales = new Float32Array(0)
      this.#resize(FIRST_ROWS)
    }
    return true
  }

  labels(): Iterable<number> {
    return this.#rows.keys()
  }

  /** The label in the last row: the one whose removal moves no other. */
  last(): number | undefined {
    return this.#labels.at(-1)
  }

  /** The vector as it is kept, for whoever moves it elsewhere; undefined when there is none. */
  vectorOf(label: number): Float32Array | undefined {
    const row = this.#rows.get(label)
    if (row === undefined) return undefined
    const vector = new Float32Array(this.dimensions)
    const at = row * this.dimensions
    for (let i = 0; i < vector.length; i++) vector[i] = HALF_VALUES[this.#fine[at + i] as number] as number
    return vector
  }

  search(query: Float32Array, wanted: number): VectorHit[] {
    const rows = new TopHits(Math.max(FINE_MIN, FINE_PER_WANTED * wanted))
    const coarseQuery = new Int8Array(this.dimensions)
    const scale = coarsen(query, coarseQuery)
    const products = this.#coarse.products(coarseQuery, this.#rows.size)
    for (let row = 0; row < products.length; row++) {
      rows.offer(row, (products[row] as number) * scale * (this.#scales[row] as number))
    }
    const hits = rows.taken().map(({ label: row }) => {
      return { label: this.#labels[row] as number, similarity: this.#fineProduct(query, row * this.dimensions) }
    })
    return hits.sort(byLikeness).slice(0, wanted)
  }

  #fineProduct(query: Float32Array, at: number): number {
    let sum = 0
    for (let i = 0; i < query.length; i++) {
      sum += (query[i] as number) * (HALF_VALUES[this.#fine[at + i] as number] as number)
    }
    return sum
  }

  #resize(rows: number): void {
    this.#coarse.reserve(rows)
    const fine = new Uint16Array(rows * this.dimensions)
    fine.set(this.#fine)
    const scales = new Float32Array(rows)
    scales.set(this.#scales)
    this.#fine = fine
    this.#scales = scales
  }
}

/** Writes the vector in steps of its own size; returns how large a step is. */
function coarsen(vector: Float32Array, into: Int8Array): number {
  let largest = 0
  for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i] as number))
  if (largest === 0) {
    into.fill(0)
    return 0
  }
  const step = largest / 127
  for (let i = 0; i < vector.length; i++) into[i] = Math.round((vector[i] as number) / step)
  return step
}
