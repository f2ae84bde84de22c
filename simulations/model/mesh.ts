/**
 * Who is connected to whom, and which of those links a topic's mesh uses. Connections: every node dials a few random
 * others. The mesh then comes about as gossipsub's does while a network starts, event by event, because how it came about
 * decides what it is:
 *
 *   - a node that learns of a neighbour in the topic grafts it at once, as long as it has fewer than Dlo links;
 *   - at its heartbeats a node with fewer than Dlo links grafts random connections up to D, and one with more than Dhi
 *     prunes down to D;
 *   - one that is grafted accepts, unless it has Dhi links already and did not dial the other itself; then it prunes.
 *
 * News of a graft takes as long as any message, so some are crossed by others, and some nodes end up with more than they
 * need. In the end nodes have 3 to 6 links, 4.0 on average: copies are decided by that mean, the tail by the least of
 * them. (Everybody grafting D at once would give 4.5 and a fifth more copies.) Source: gossipsub v1.1, "Mesh
 * Maintenance", and the grafting on subscription of the JavaScript implementation. Scores are left out: in an honest
 * world they are all equal.
 */
import type { Random } from '../../src/ports/random.ts'
import { EventHeap, type HeapEvent } from './event-heap.ts'
import { Links, type Graph } from './graph.ts'
import type { Land } from './land.ts'

export interface MeshDegrees {
  readonly D: number
  readonly Dlo: number
  readonly Dhi: number
  /** Links that each node first makes with the nearest of its connections; the rest come about by chance. */
  readonly near: number
}

export interface MeshStart {
  readonly heartbeatMs: number
  /** Connections of a starting network are dialled within this time, all nodes at once. */
  readonly diallingMs: number
}

/**
 * One-way trips until a dialled connection stands, and from then until one end has heard of the other's topics: a stream
 * is opened there and back, then the subscriptions come over it. It makes near peers meet first, so a mesh leans to them.
 */
const DIAL_TRIPS = 2
const GREETING_TRIPS = 3

const LEARN = 1
const GRAFT = 2
const PRUNE = 3
const BEAT = 4

/** Every node dials `dials` random others, as far as there are others. */
export function drawConnections(nodes: number, dials: number, random: Random): Graph {
  const each = Math.min(dials, nodes - 1)
  const links = new Links(nodes, Math.min(nodes - 1, Math.max(each * 4, each + 24)))
  for (let u = 0; u < nodes; u++) {
    // In a small world a dialled node may be a neighbour already; then there is nobody new to dial sooner or later.
    for (let made = 0, attempt = 0; made < each && attempt < 50 && links.degree[u]! < nodes - 1; attempt++) {
      if (links.add(u, random.below(nodes))) made++
    }
  }
  return links.toGraph()
}

/** The mesh of a network that has just started. Equal arguments and dice give equal meshes. */
export function drawMesh(
  connections: Graph,
  degrees: MeshDegrees,
  land: Land,
  random: Random,
  start: MeshStart
): Graph {
  const forming = new Forming(connections, degrees, land, random, start)
  forming.run()
  return forming.toGraph()
}

class Forming {
  readonly #connections: Graph
  readonly #degrees: MeshDegrees
  readonly #land: Land
  readonly #random: Random
  readonly #start: MeshStart
  readonly #heap: EventHeap
  /** By directed edge: the node at its beginning has the one at its end in its mesh, knows it, must leave it alone. */
  readonly #meshed: Uint8Array
  readonly #known: Uint8Array
  readonly #backedOff: Uint8Array
  readonly #size: Uint16Array
  readonly #phaseMs: Float64Array
  /** Whether a heartbeat of the node is in the calendar. */
  readonly #awaits: Uint8Array
  /** The node at which an edge begins. */
  readonly #from: Int32Array
  #nowMs = 0

  constructor(connections: Graph, degrees: MeshDegrees, land: Land, random: Random, start: MeshStart) {
    const edges = connections.neighbours.length
    this.#connections = connections
    this.#degrees = degrees
    this.#land = land
    this.#random = random
    this.#start = start
    this.#heap = new EventHeap(edges + connections.nodes + 1)
    this.#meshed = new Uint8Array(edges)
    this.#known = new Uint8Array(edges)
    this.#backedOff = new Uint8Array(edges)
    this.#size = new Uint16Array(connections.nodes)
    this.#phaseMs = new Float64Array(connections.nodes)
    this.#awaits = new Uint8Array(connections.nodes)
    this.#from = new Int32Array(edges)
    for (let u = 0; u < connections.nodes; u++) {
      this.#from.fill(u, connections.offsets[u], connections.offsets[u + 1])
    }
  }

  run(): void {
    this.#comeUp()
    const event: HeapEvent = { atMs: 0, kind: 0, a: 0, b: 0, c: 0 }
    while (this.#heap.pop(event)) {
      this.#nowMs = event.atMs
      if (event.kind === LEARN) this.#learn(event.a)
      else if (event.kind === GRAFT) this.#grafted(event.a)
      else if (event.kind === PRUNE) this.#leave(event.a)
      else this.#beat(event.a)
    }
  }

  /** Links that both of their ends hold to be in the mesh: all of them, once it has settled. */
  toGraph(): Graph {
    const { nodes, neighbours, reverse } = this.#connections
    let degreeMax = 1
    for (const size of this.#size) degreeMax = Math.max(degreeMax, size)
    const links = new Links(nodes, degreeMax)
    for (let edge = 0; edge < neighbours.length; edge++) {
      const back = reverse[edge]!
      if (back > edge && this.#meshed[edge] === 1 && this.#meshed[back] === 1) {
        links.add(this.#from[edge]!, neighbours[edge]!)
      }
    }
    return links.toGraph()
  }

  #comeUp(): void {
    const { nodes, neighbours, reverse } = this.#connections
    for (let edge = 0; edge < neighbours.length; edge++) {
      const back = reverse[edge]!
      if (back < edge) continue
      const upMs = this.#random.unit() * this.#start.diallingMs + this.#tripsMs(edge, DIAL_TRIPS)
      this.#heap.push(upMs + this.#tripsMs(back, GREETING_TRIPS), LEARN, edge)
      this.#heap.push(upMs + this.#tripsMs(edge, GREETING_TRIPS), LEARN, back)
    }
    for (let u = 0; u < nodes; u++) {
      this.#phaseMs[u] = this.#random.unit() * this.#start.heartbeatMs
      if (this.#degrees.near > 0) this.#linkNear(u)
    }
  }

  #linkNear(u: number): void {
    const distance = (edge: number): number => this.#land.usualMs(u, this.#connections.neighbours[edge]!)
    const edges = this.#edgesOf(u, () => true).sort((a, b) => distance(a) - distance(b) || a - b)
    for (const edge of edges.slice(0, this.#degrees.near)) {
      const back = this.#connections.reverse[edge]!
      if (this.#size[this.#from[back]!]! >= this.#degrees.Dhi || this.#size[u]! >= this.#degrees.D) continue
      this.#enter(edge)
      this.#enter(back)
    }
  }

  #learn(edge: number): void {
    this.#known[edge] = 1
    if (this.#size[this.#from[edge]!]! < this.#degrees.Dlo && this.#backedOff[edge] === 0) this.#graft(edge)
  }

  #graft(edge: number): void {
    if (this.#meshed[edge] === 1) return
    this.#enter(edge)
    this.#heap.push(this.#nowMs + this.#delayMs(edge), GRAFT, this.#connections.reverse[edge]!)
  }

  /** The node at the beginning of `edge` was grafted by the one at its end. */
  #grafted(edge: number): void {
    if (this.#meshed[edge] === 1) return
    const { Dhi } = this.#degrees
    // Whoever came first in the row dialled; a node cannot be crowded out of its own connections.
    const hasDialled = edge < this.#connections.reverse[edge]!
    const isFull = this.#size[this.#from[edge]!]! >= Dhi && !hasDialled
    if (isFull || this.#backedOff[edge] === 1) this.#prune(edge)
    else this.#enter(edge)
  }

  #prune(edge: number): void {
    this.#leave(edge)
    this.#heap.push(this.#nowMs + this.#delayMs(edge), PRUNE, this.#connections.reverse[edge]!)
  }

  /**
   * A heartbeat has nothing to do while a node has between Dlo and Dhi links, nor below Dlo before it was ever pruned: it
   * has grafted whomever it knows. So only those heartbeats are events that follow a change.
   */
  #awaitBeat(u: number): void {
    const { Dlo, Dhi } = this.#degrees
    const size = this.#size[u]!
    if (this.#awaits[u] === 1 || (size >= Dlo && size <= Dhi)) return
    this.#awaits[u] = 1
    const phaseMs = this.#phaseMs[u]!
    const { heartbeatMs } = this.#start
    const beats = Math.max(0, Math.ceil((this.#nowMs - phaseMs) / heartbeatMs))
    this.#heap.push(phaseMs + beats * heartbeatMs, BEAT, u)
  }

  #beat(u: number): void {
    const { D, Dlo, Dhi } = this.#degrees
    const size = this.#size[u]!
    this.#awaits[u] = 0
    if (size < Dlo) {
      const isFree = (edge: number): boolean =>
        this.#known[edge] === 1 && this.#meshed[edge] === 0 && this.#backedOff[edge] === 0
      for (const edge of this.#drawn(this.#edgesOf(u, isFree), D - size)) this.#graft(edge)
    } else if (size > Dhi) {
      const isMeshed = (edge: number): boolean => this.#meshed[edge] === 1
      for (const edge of this.#drawn(this.#edgesOf(u, isMeshed), size - D)) this.#prune(edge)
    }
  }

  #enter(edge: number): void {
    if (this.#meshed[edge] === 1) return
    this.#meshed[edge] = 1
    const u = this.#from[edge]!
    if (++this.#size[u]! > this.#degrees.Dhi) this.#awaitBeat(u)
  }

  #leave(edge: number): void {
    this.#backedOff[edge] = 1
    if (this.#meshed[edge] === 0) return
    this.#meshed[edge] = 0
    const u = this.#from[edge]!
    this.#size[u]!--
    this.#awaitBeat(u)
  }

  #edgesOf(u: number, isWanted: (edge: number) => boolean): number[] {
    const { offsets } = this.#connections
    const found: number[] = []
    for (let edge = offsets[u]!; edge < offsets[u + 1]!; edge++) if (isWanted(edge)) found.push(edge)
    return found
  }

  /** `count` of them at random, or all. */
  #drawn(edges: number[], count: number): number[] {
    for (let i = 0; i < Math.min(count, edges.length); i++) {
      const j = i + this.#random.below(edges.length - i)
      const kept = edges[i]!
      edges[i] = edges[j]!
      edges[j] = kept
    }
    return edges.slice(0, count)
  }

  #tripsMs(edge: number, trips: number): number {
    let sum = 0
    for (let trip = 0; trip < trips; trip++) sum += this.#delayMs(edge)
    return sum
  }

  #delayMs(edge: number): number {
    return this.#land.delayMs(this.#from[edge]!, this.#connections.neighbours[edge]!)
  }
}

/** 0 … count − 1 in random order. */
export function shuffled(count: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const kept = order[i]!
    order[i] = order[j]!
    order[j] = kept
  }
  return order
}
