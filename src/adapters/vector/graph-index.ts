/**
 * The nearest of very many vectors by a graph (HNSW, Malkov and Yashunin 2016), as the library usearch builds it: a
 * search looks at a few thousand vectors however many there are, and may miss a neighbour now and then. Components are
 * halves: with single bytes a twelfth of the ten nearest of clustered vectors came out in the wrong order.
 *
 * The library holds the vectors outside of the heap and knows its labels by number only; the set of labels is kept here
 * as well. It is loaded when the first graph is made, and a platform without its binary has no graphs.
 */
import { createRequire } from 'node:module'
import type usearch from 'usearch'
import { assert } from '../../base/assert.ts'
import { messageOf } from '../../base/errors.ts'
import type { VectorHit } from '../../ports/vector-index.ts'
import { byLikeness } from './top-hits.ts'

type Library = typeof usearch
type Graph = InstanceType<Library['Index']>

/** Links of a node, and nodes looked at while adding and searching: the library's own advice, with a wider search. */
const CONNECTIVITY = 16
const EXPANSION_ADD = 128
const EXPANSION_SEARCH = 128
/** One: the event loop waits for the call, and other threads belong to signatures and to the store. */
const THREADS = 1

let library: Library | undefined | 'absent'

/** Undefined where the library cannot be loaded; `onAbsent` hears why, once. */
function loadLibrary(onAbsent: (reason: string) => void): Library | undefined {
  if (library === undefined) {
    try {
      // Its ESM build looks for the binary in the wrong folder.
      library = createRequire(import.meta.url)('usearch') as Library
    } catch (error) {
      library = 'absent'
      onAbsent(messageOf(error))
    }
  }
  return library === 'absent' ? undefined : library
}

export class GraphIndex {
  readonly dimensions: number
  readonly #graph: Graph
  readonly #labels: Set<number>

  private constructor(dimensions: number, graph: Graph, labels: Set<number>) {
    this.dimensions = dimensions
    this.#graph = graph
    this.#labels = labels
  }

  /** An empty one; undefined where the library is not to be had. */
  static create(dimensions: number, onAbsent: (reason: string) => void): GraphIndex | undefined {
    const graph = makeGraph(dimensions, onAbsent)
    return graph === undefined ? undefined : new GraphIndex(dimensions, graph, new Set())
  }

  /**
   * What `save` wrote to the path. The bytes must have been checked: the library trusts them. Undefined when it holds
   * something else than these labels, and where the library is not to be had.
   */
  static load(
    path: string,
    dimensions: number,
    labels: readonly number[],
    onAbsent: (reason: string) => void
  ): GraphIndex | undefined {
    const graph = makeGraph(dimensions, onAbsent)
    if (graph === undefined) return undefined
    graph.load(path)
    if (Number(graph.dimensions()) !== dimensions || Number(graph.size()) !== labels.length) return undefined
    return new GraphIndex(dimensions, graph, new Set(labels))
  }

  get size(): number {
    return this.#labels.size
  }

  has(label: number): boolean {
    return this.#labels.has(label)
  }

  labels(): Iterable<number> {
    return this.#labels
  }

  /** The label must not be in it. */
  add(label: number, vector: Float32Array): void {
    assert(!this.#labels.has(label), 'a label is added once')
    this.#graph.add(BigUint64Array.of(BigInt(label)), vector, THREADS)
    this.#labels.add(label)
  }

  remove(label: number): boolean {
    if (!this.#labels.delete(label)) return false
    this.#graph.remove(BigUint64Array.of(BigInt(label)))
    return true
  }

  search(query: Float32Array, wanted: number): VectorHit[] {
    if (this.#labels.size === 0) return []
    const { keys, distances } = this.#graph.search(query, Math.min(wanted, this.#labels.size), THREADS)
    const hits: VectorHit[] = []
    for (const [index, key] of keys.entries()) {
      const label = Number(key)
      if (this.#labels.has(label)) hits.push({ label, similarity: 1 - (distances[index] as number) })
    }
    return hits.sort(byLikeness)
  }

  /** Writes the whole graph to the path; the event loop waits. */
  save(path: string): void {
    this.#graph.save(path)
  }
}

function makeGraph(dimensions: number, onAbsent: (reason: string) => void): Graph | undefined {
  const loaded = loadLibrary(onAbsent)
  if (loaded === undefined) return undefined
  return new loaded.Index({
    dimensions,
    metric: loaded.MetricKind.Cos,
    quantization: loaded.ScalarKind.F16,
    connectivity: CONNECTIVITY,
    expansion_add: EXPANSION_ADD,
    expansion_search: EXPANSION_SEARCH,
    multi: false
  })
}
