/**
 * Finding the nearest of many vectors by cosine. Labels are whole numbers below 2^52 that the caller chose; all vectors
 * of one index have the same dimensions and length 1.
 *
 * Ownership: vectors handed in are copied. Errors: none from `add`, `remove` and `search`; what is on disk is never
 * needed, so a file that is lost or damaged is as good as none.
 */
export interface VectorHit {
  readonly label: number
  /** Cosine, -1 to 1; within the error of the index's own coding. */
  readonly similarity: number
}

export interface VectorIndex {
  readonly dimensions: number
  readonly size: number
  has(label: number): boolean
  /** Puts a vector in, or in place of the one with this label. It is found from now on. */
  add(label: number, vector: Float32Array): void
  /** Whether there was something to remove. */
  remove(label: number): boolean
  /** Best first; equal likeness by label. Not all neighbours need be found where the index is approximate. */
  search(query: Float32Array, wanted: number): VectorHit[]
  labels(): Iterable<number>
  /** Work that makes later searches quick, at most about so many milliseconds of it. True while there is more. */
  settle(budgetMs: number): boolean
  /** Keeps on disk what is costly to make again. Does nothing when nothing has changed; rejects when it cannot. */
  save(): Promise<void>
}

/** Where indexes are kept, one for each model. */
export interface VectorShelf {
  /** Begins with what was saved under the name, or empty when nothing was or when it is of no use. */
  open(name: string, dimensions: number): Promise<VectorIndex>
  /** Forgets what was saved under every other name. */
  keepOnly(name: string): Promise<void>
}
