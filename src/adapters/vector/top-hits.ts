/** The best of many that pass by: a heap of bounded size, with the worst of those kept on top. */
import { MinHeap } from '../../base/min-heap.ts'
import type { VectorHit } from '../../ports/vector-index.ts'

/** Best first; equal likeness by label, so that an answer does not depend on the order of arrival. */
export function byLikeness(a: VectorHit, b: VectorHit): number {
  return b.similarity - a.similarity || a.label - b.label
}

export class TopHits {
  readonly #max: number
  readonly #heap = new MinHeap<VectorHit>((a, b) => byLikeness(b, a))
  #least = -Infinity

  /** `max`: how many are kept, at least 1. */
  constructor(max: number) {
    this.#max = max
  }

  offer(label: number, similarity: number): void {
    if (this.#heap.size === this.#max) {
      if (similarity <= this.#least) return
      this.#heap.pop()
    }
    this.#heap.push({ label, similarity })
    if (this.#heap.size === this.#max) this.#least = this.#heap.peek()?.similarity ?? -Infinity
  }

  /** Best first. Nothing is left in it. */
  taken(): VectorHit[] {
    const hits: VectorHit[] = []
    for (let hit = this.#heap.pop(); hit !== undefined; hit = this.#heap.pop()) hits.push(hit)
    return hits.reverse()
  }
}
