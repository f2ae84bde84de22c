/**
 * The causal graph of deltas. No clock travels with a delta: what happened before what follows from `prev` and
 * `parents` alone, and Lamport and vector times are derived from them when somebody asks (Lamport 1978; Fidge and
 * Mattern 1988). Deltas may be added in any order; a parent that is not here is remembered as missing and ends the walk.
 *
 * The answers are a function of the set of nodes, not of the order in which they came. With missing parents they speak
 * of the known part only: two nodes that look concurrent may be ordered through a node not seen yet.
 *
 * It is no part of the merge: a record is the same whether parents are present or not.
 */
import { assert } from '../base/assert.ts'
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { MinHeap } from '../base/min-heap.ts'
import { emptyVersionVector, type VersionVector } from '../crdt/version-vector.ts'
import type { Delta } from './delta.ts'
import type { AuthorId, DeltaId, Epoch, Hlc } from './ids.ts'

export interface CausalNode {
  readonly id: DeltaId
  readonly author: AuthorId
  readonly epoch: Epoch
  readonly seq: number
  readonly prev: DeltaId | null
  readonly parents: readonly DeltaId[]
  readonly hlc: Hlc
}

export type CausalOrder = 'same' | 'before' | 'after' | 'concurrent'

/** An actor is an author in one epoch, `${author}:${epoch}`: only there are sequence numbers unique. */
export type VectorTime = VersionVector

export function causalNodeOf(delta: Pick<Delta, 'id' | 'header'>): CausalNode {
  const { author, epoch, seq, prev, parents, hlc } = delta.header
  return { id: delta.id, author, epoch, seq, prev, parents, hlc }
}

/** The total order of deltas, (hlc, author, id): the tie-break among nodes that causality leaves unordered. */
export function compareNodes(a: CausalNode, b: CausalNode): number {
  if (a.hlc !== b.hlc) return a.hlc < b.hlc ? -1 : 1
  return compareText(a.author, b.author) || compareText(a.id, b.id)
}

export class CausalDag {
  readonly #nodes = new Map<DeltaId, CausalNode>()
  /** Children that are here, of nodes that may not be. */
  readonly #children = new Map<DeltaId, DeltaId[]>()

  get size(): number {
    return this.#nodes.size
  }

  has(id: DeltaId): boolean {
    return this.#nodes.has(id)
  }

  /** False when it was here already. Whoever adds bounds how many: one question holds LIMITS.lineageDeltasMax. */
  add(node: CausalNode): boolean {
    if (this.#nodes.has(node.id)) return false
    this.#nodes.set(node.id, node)
    for (const parent of precedents(node)) {
      const children = this.#children.get(parent)
      if (children === undefined) this.#children.set(parent, [node.id])
      else children.push(node.id)
    }
    return true
  }

  /** Nodes that nothing here names as parent, in byte order of their ids. */
  heads(): DeltaId[] {
    const heads: DeltaId[] = []
    for (const id of this.#nodes.keys()) if (!this.#children.has(id)) heads.push(id)
    return heads.sort(compareText)
  }

  /** Ids named as prev or parent by a node that is here, but not here themselves; in byte order. */
  missing(): DeltaId[] {
    const missing: DeltaId[] = []
    for (const id of this.#children.keys()) if (!this.#nodes.has(id)) missing.push(id)
    return missing.sort(compareText)
  }

  /**
   * Everything that happened before `id` and is here, nearest first, at most `max` nodes. `complete` is false when the
   * bound or a missing parent ended the walk.
   */
  ancestors(
    id: DeltaId,
    max: number = LIMITS.lineageDeltasMax
  ): { readonly ids: DeltaId[]; readonly complete: boolean } {
    const ids: DeltaId[] = []
    const seen = new Set<DeltaId>([id])
    let complete = this.#nodes.has(id)
    const queue = [id]
    for (const from of queue) {
      const node = this.#nodes.get(from)
      if (node === undefined) {
        complete = false
        continue
      }
      if (from !== id) {
        if (ids.length >= max) return { ids, complete: false }
        ids.push(from)
      }
      for (const parent of precedents(node)) {
        if (seen.has(parent)) continue
        seen.add(parent)
        queue.push(parent)
      }
    }
    return { ids, complete }
  }

  /** Whether a path of known nodes leads from `later` back to `earlier`. A node does not happen before itself. */
  happensBefore(earlier: DeltaId, later: DeltaId): boolean {
    if (earlier === later) return false
    const seen = new Set<DeltaId>([later])
    const stack = [later]
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      const node = this.#nodes.get(id)
      if (node === undefined) continue
      for (const parent of precedents(node)) {
        if (parent === earlier) return true
        if (seen.has(parent)) continue
        seen.add(parent)
        stack.push(parent)
      }
    }
    return false
  }

  order(a: DeltaId, b: DeltaId): CausalOrder {
    if (a === b) return 'same'
    if (this.happensBefore(a, b)) return 'before'
    return this.happensBefore(b, a) ? 'after' : 'concurrent'
  }

  concurrent(a: DeltaId, b: DeltaId): boolean {
    return this.order(a, b) === 'concurrent'
  }

  /**
   * Every node after all of its known parents; among the nodes that could come next, the least by `compare`. A cycle
   * would need a hash to contain itself and is an AssertionError.
   */
  topologicalOrder(compare: (a: CausalNode, b: CausalNode) => number = compareNodes): DeltaId[] {
    const waitingFor = new Map<DeltaId, number>()
    const ready = new MinHeap<CausalNode>(compare)
    for (const node of this.#nodes.values()) {
      const parents = precedents(node).filter((parent) => this.#nodes.has(parent)).length
      waitingFor.set(node.id, parents)
      if (parents === 0) ready.push(node)
    }
    const order: DeltaId[] = []
    for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
      order.push(node.id)
      for (const childId of this.#children.get(node.id) ?? []) {
        const left = (waitingFor.get(childId) ?? 0) - 1
        waitingFor.set(childId, left)
        const child = this.#nodes.get(childId)
        if (left === 0 && child !== undefined) ready.push(child)
      }
    }
    assert(order.length === this.#nodes.size, 'the causal graph has a cycle')
    return order
  }

  /** Lamport time of every node: 1 without known parents, else one more than the latest of them. */
  lamportTimes(): Map<DeltaId, number> {
    const times = new Map<DeltaId, number>()
    for (const id of this.topologicalOrder()) {
      let latest = 0
      const node = this.#nodes.get(id)
      if (node !== undefined) for (const parent of precedents(node)) latest = Math.max(latest, times.get(parent) ?? 0)
      times.set(id, latest + 1)
    }
    return times
  }

  /** For each actor the highest sequence number in the causal past of `id`, itself included; empty for an unknown id. */
  vectorTime(id: DeltaId): VectorTime {
    const vector = emptyVersionVector()
    for (const known of [id, ...this.ancestors(id, this.#nodes.size).ids]) {
      const node = this.#nodes.get(known)
      if (node === undefined) continue
      const actor = `${node.author}:${node.epoch}`
      vector.set(actor, Math.max(vector.get(actor) ?? 0, node.seq))
    }
    return vector
  }
}

/** The distinct nodes named as direct causes. */
function precedents(node: CausalNode): readonly DeltaId[] {
  if (node.prev === null) return node.parents
  return node.parents.includes(node.prev) ? node.parents : [node.prev, ...node.parents]
}
