/**
 * Graphs of many nodes in three typed arrays (compressed rows): who is connected to whom, and who forwards to whom. An
 * undirected link is two directed edges, each of which knows its reverse, so that "the link it came on" costs one read.
 *
 * It also measures them: degree, clustering, path length, pieces. Path length is sampled; everything else is exact.
 */
import type { Random } from '../../src/ports/random.ts'

export interface Graph {
  readonly nodes: number
  /** Edges of node u are `neighbours[offsets[u] … offsets[u + 1] − 1]`. nodes + 1 entries. */
  readonly offsets: Int32Array
  readonly neighbours: Int32Array
  /** The edge that leads back, by edge. */
  readonly reverse: Int32Array
}

/** Undirected links as they are drawn; every node has room for `degreeMax` of them. */
export class Links {
  readonly nodes: number
  readonly degreeMax: number
  readonly degree: Int32Array
  readonly #ends: Int32Array

  constructor(nodes: number, degreeMax: number) {
    this.nodes = nodes
    this.degreeMax = degreeMax
    this.degree = new Int32Array(nodes)
    this.#ends = new Int32Array(nodes * degreeMax)
  }

  has(u: number, v: number): boolean {
    const from = u * this.degreeMax
    for (let i = from; i < from + this.degree[u]!; i++) if (this.#ends[i] === v) return true
    return false
  }

  /** False when it is there already, leads nowhere, or one end has no room. */
  add(u: number, v: number): boolean {
    if (u === v || this.degree[u]! >= this.degreeMax || this.degree[v]! >= this.degreeMax || this.has(u, v))
      return false
    this.#ends[u * this.degreeMax + this.degree[u]!++] = v
    this.#ends[v * this.degreeMax + this.degree[v]!++] = u
    return true
  }

  remove(u: number, v: number): void {
    this.#forget(u, v)
    this.#forget(v, u)
  }

  /** The i-th neighbour, in no meaningful order. */
  at(u: number, i: number): number {
    return this.#ends[u * this.degreeMax + i]!
  }

  #forget(u: number, v: number): void {
    const from = u * this.degreeMax
    const last = from + this.degree[u]! - 1
    for (let i = from; i <= last; i++) {
      if (this.#ends[i] !== v) continue
      this.#ends[i] = this.#ends[last]!
      this.degree[u]!--
      return
    }
  }

  toGraph(): Graph {
    const { nodes, degree } = this
    const offsets = new Int32Array(nodes + 1)
    for (let u = 0; u < nodes; u++) offsets[u + 1] = offsets[u]! + degree[u]!
    const neighbours = new Int32Array(offsets[nodes]!)
    for (let u = 0; u < nodes; u++) {
      for (let i = 0; i < degree[u]!; i++) neighbours[offsets[u]! + i] = this.at(u, i)
    }
    const reverse = new Int32Array(neighbours.length)
    for (let u = 0; u < nodes; u++) {
      for (let edge = offsets[u]!; edge < offsets[u + 1]!; edge++) {
        const v = neighbours[edge]!
        let back = offsets[v]!
        while (neighbours[back] !== u) back++
        reverse[edge] = back
      }
    }
    return { nodes, offsets, neighbours, reverse }
  }
}

export interface GraphMeasures {
  readonly nodes: number
  /** Undirected links. */
  readonly edges: number
  readonly degreeMean: number
  readonly degreeMin: number
  readonly degreeMax: number
  /** Mean share of a node's pairs of neighbours that are neighbours themselves (Watts and Strogatz 1998). */
  readonly clustering: number
  /** Links on a shortest path, mean over pairs with a sampled end; unreachable pairs are left out. */
  readonly pathMean: number
  /** Longest shortest path from a sampled node: a lower bound of the diameter. */
  readonly pathMax: number
  /** Share of nodes in the same piece as the first sampled node. 1: the graph is in one piece. */
  readonly connected: number
}

/** `samples` breadth-first searches, from distinct chance only by luck: enough for a mean. */
export function measureGraph(graph: Graph, random: Random, samples = 16): GraphMeasures {
  const { nodes, offsets, neighbours } = graph
  let degreeMin = Infinity
  let degreeMax = 0
  let clustering = 0
  for (let u = 0; u < nodes; u++) {
    const degree = offsets[u + 1]! - offsets[u]!
    degreeMin = Math.min(degreeMin, degree)
    degreeMax = Math.max(degreeMax, degree)
    clustering += clusteringOf(graph, u)
  }
  const depth = new Int32Array(nodes)
  const queue = new Int32Array(nodes)
  let total = 0
  let pairs = 0
  let pathMax = 0
  let connected = 0
  for (let sample = 0; sample < samples; sample++) {
    const reached = search(graph, random.below(nodes), depth, queue)
    if (sample === 0) connected = reached / nodes
    for (let i = 1; i < reached; i++) total += depth[queue[i]!]!
    pairs += reached - 1
    pathMax = Math.max(pathMax, depth[queue[reached - 1]!]!)
  }
  return {
    nodes,
    edges: neighbours.length / 2,
    degreeMean: neighbours.length / nodes,
    degreeMin,
    degreeMax,
    clustering: clustering / nodes,
    pathMean: pairs === 0 ? 0 : total / pairs,
    pathMax,
    connected
  }
}

function clusteringOf({ offsets, neighbours }: Graph, u: number): number {
  const from = offsets[u]!
  const to = offsets[u + 1]!
  const pairs = ((to - from) * (to - from - 1)) / 2
  if (pairs === 0) return 0
  let closed = 0
  for (let i = from; i < to; i++) {
    const v = neighbours[i]!
    for (let edge = offsets[v]!; edge < offsets[v + 1]!; edge++) {
      for (let j = i + 1; j < to; j++) if (neighbours[edge] === neighbours[j]) closed++
    }
  }
  return closed / pairs
}

/** Breadth first from `root`. Leaves the reached nodes in `queue`, nearest first, and answers how many they are. */
function search({ offsets, neighbours }: Graph, root: number, depth: Int32Array, queue: Int32Array): number {
  depth.fill(-1)
  depth[root] = 0
  queue[0] = root
  let reached = 1
  for (let next = 0; next < reached; next++) {
    const u = queue[next]!
    for (let edge = offsets[u]!; edge < offsets[u + 1]!; edge++) {
      const v = neighbours[edge]!
      if (depth[v]! >= 0) continue
      depth[v] = depth[u]! + 1
      queue[reached++] = v
    }
  }
  return reached
}
