/**
 * The index that grows from small to large: what is put in is compared one by one, and once there are too many for that
 * (LIMITS.vectorExactMax) they move into a graph, a few at a time, whenever the owner has time for it (`settle`). A
 * search asks both halves, so everything is found at every moment of the move.
 *
 * Once there is a graph it stays, even when vectors go: moving to and fro at the border would cost more than it saves.
 */
import { LIMITS } from '../../base/limits.ts'
import type { VectorHit, VectorIndex } from '../../ports/vector-index.ts'
import { ExactIndex } from './exact-index.ts'
import type { GraphIndex } from './graph-index.ts'
import { byLikeness } from './top-hits.ts'

export interface TieredIndexOptions {
  readonly dimensions: number
  /** As it was saved. */
  readonly graph?: GraphIndex | undefined
  /** An empty graph; undefined where there are none: then everything is compared one by one. */
  readonly makeGraph: () => GraphIndex | undefined
  readonly saveGraph: (graph: GraphIndex) => Promise<void>
  /** Default LIMITS.vectorExactMax; smaller in tests. */
  readonly exactMax?: number
  /** For the budget of `settle`. */
  readonly monotonicMs: () => number
}

export class TieredIndex implements VectorIndex {
  readonly dimensions: number
  readonly #exact: ExactIndex
  readonly #options: TieredIndexOptions
  #graph: GraphIndex | undefined
  /** There is no library for graphs here. */
  #isFlat = false
  #isChanged = false

  constructor(options: TieredIndexOptions) {
    this.dimensions = options.dimensions
    this.#options = options
    this.#exact = new ExactIndex(options.dimensions)
    this.#graph = options.graph
  }

  get size(): number {
    return this.#exact.size + (this.#graph?.size ?? 0)
  }

  /** How many are in the graph. */
  get settled(): number {
    return this.#graph?.size ?? 0
  }

  has(label: number): boolean {
    return this.#exact.has(label) || this.#graph?.has(label) === true
  }

  add(label: number, vector: Float32Array): void {
    if (this.#graph?.remove(label) === true) this.#isChanged = true
    this.#exact.add(label, vector)
  }

  remove(label: number): boolean {
    if (this.#exact.remove(label)) return true
    const removed = this.#graph?.remove(label) === true
    if (removed) this.#isChanged = true
    return removed
  }

  search(query: Float32Array, wanted: number): VectorHit[] {
    if (wanted < 1) return []
    const near = this.#exact.size === 0 ? [] : this.#exact.search(query, wanted)
    if (this.#graph === undefined) return near
    return [...near, ...this.#graph.search(query, wanted)].sort(byLikeness).slice(0, wanted)
  }

  *labels(): Iterable<number> {
    yield* this.#exact.labels()
    if (this.#graph !== undefined) yield* this.#graph.labels()
  }

  settle(budgetMs: number): boolean {
    if (this.#isFlat || this.#exact.size === 0) return false
    if (this.#graph === undefined) {
      if (this.size <= (this.#options.exactMax ?? LIMITS.vectorExactMax)) return false
      this.#graph = this.#options.makeGraph()
      if (this.#graph === undefined) {
        this.#isFlat = true
        return false
      }
    }
    const { monotonicMs } = this.#options
    const endsMs = monotonicMs() + budgetMs
    for (let label = this.#exact.last(); label !== undefined; label = this.#exact.last()) {
      this.#graph.add(label, this.#exact.vectorOf(label) as Float32Array)
      this.#exact.remove(label)
      this.#isChanged = true
      if (monotonicMs() >= endsMs) break
    }
    return this.#exact.size > 0
  }

  async save(): Promise<void> {
    if (this.#graph === undefined || !this.#isChanged) return
    this.#isChanged = false
    try {
      await this.#options.saveGraph(this.#graph)
    } catch (error) {
      this.#isChanged = true
      throw error
    }
  }
}
