/**
 * One message on its way to every node: the abstract model of what the daemon does with news. A node forwards along its
 * mesh at once (after a moment of checking), announces the id to a few others at its next heartbeats, answers those who
 * ask, and compares sets with one peer at a time behind all that. Nothing else is there: no signatures, no stores, no
 * second message. That makes 100,000 nodes a matter of a second.
 *
 * It stands beside the real code, not for it: a test compares both up to 1,000 nodes (agreement.test.ts). Sources: the
 * gossipsub v1.1 specification for forwarding and announcing; src/sync/pace.ts, src/node/partners.ts and
 * src/sync/recon-session.ts for the comparisons. What is left out: queues and bandwidth, because there is one message.
 */
import type { Random } from '../../src/ports/random.ts'
import { EventHeap, type HeapEvent } from './event-heap.ts'
import type { Graph } from './graph.ts'
import type { Land } from './land.ts'
import type { ModelOptions } from './options.ts'

/** The fixed parts of a world, drawn once for many messages. */
export interface Ground {
  readonly land: Land
  readonly connections: Graph
  readonly mesh: Graph
  /** 1 for a node that receives and does nothing else. */
  readonly droppers: Uint8Array
  /** Milliseconds from the start of a message to the first heartbeat of each node. */
  readonly heartbeatPhaseMs: Float32Array
}

/** What was sent, over all nodes. */
export interface Tally {
  /** Copies of the message itself: pushed or asked for. */
  payloads: number
  ihave: number
  iwant: number
  sessions: number
  /** Copies that a comparison brought. */
  repairs: number
  events: number
}

const ARRIVE = 1
const FORWARD = 2
const HEARTBEAT = 3
const IHAVE = 4
const IWANT = 5
const BEAT = 6
const HELLO = 7
const ANSWER = 8
const REPAIR = 9

/** With a partner now. */
const BEATING = -1

/** No edge of the mesh: the copy was asked for. */
const ASKED = -1
/** TCP waits this long before it repeats, and a lost repeat as long again: as in simulations/world/sim-air.ts. */
const RETRANSMIT_MS = 200
/** A repair of a node that has no open connection to its partner dials first: TCP, Noise and yamux, in one-way trips. */
const DIAL_TRIPS = 6

export class Broadcast {
  readonly #options: ModelOptions
  readonly #ground: Ground
  readonly #dice: { readonly loss: Random; readonly lazy: Random; readonly beats: Random }
  readonly #heap: EventHeap
  readonly #has: Uint8Array
  readonly #hops: Uint8Array
  readonly #arrivedMs: Float64Array
  readonly #announcementsLeft: Uint8Array
  /** Edges of the mesh over which a copy came before the node had forwarded its own. */
  readonly #heard: Uint8Array
  /** Present pace of the comparisons of each node, milliseconds. */
  readonly #paceMs: Float32Array
  /** When each node looks for a partner next; BEATING while it is with one. An event of another time is stale. */
  readonly #dueMs: Float64Array
  readonly #scratch: number[] = []
  readonly #honest: number
  #nowMs = 0
  #covered = 0
  readonly tally: Tally = { payloads: 0, ihave: 0, iwant: 0, sessions: 0, repairs: 0, events: 0 }

  constructor(options: ModelOptions, ground: Ground, random: Random) {
    const { nodes } = options
    this.#options = options
    this.#ground = ground
    this.#dice = { loss: random.fork('loss'), lazy: random.fork('lazy'), beats: random.fork('beats') }
    this.#heap = new EventHeap(Math.max(1 << 10, nodes))
    this.#has = new Uint8Array(nodes)
    this.#hops = new Uint8Array(nodes)
    this.#arrivedMs = new Float64Array(nodes).fill(Infinity)
    this.#announcementsLeft = new Uint8Array(nodes)
    this.#heard = new Uint8Array(ground.mesh.neighbours.length)
    this.#paceMs = new Float32Array(options.antiEntropy === false ? 0 : nodes)
    this.#dueMs = new Float64Array(this.#paceMs.length)
    let honest = nodes
    for (const dropper of ground.droppers) honest -= dropper
    this.#honest = honest
  }

  /** Until every honest node has it, or `patienceMs` is over; then until the last announcement, for the sake of the bill. */
  run(source: number): void {
    const event: HeapEvent = { atMs: 0, kind: 0, a: 0, b: 0, c: 0 }
    this.#startComparing(source)
    this.#deliver(source, 0)
    this.#heap.push(0, FORWARD, source, 1)
    while (this.#heap.pop(event) && event.atMs <= this.#options.patienceMs) {
      this.#nowMs = event.atMs
      this.tally.events++
      this.#handle(event)
    }
  }

  get covered(): boolean {
    return this.#covered === this.#honest
  }

  /** When honest nodes got it, ascending: milliseconds after it was published. The source is the first, at 0. */
  arrivalsMs(): Float64Array {
    return this.#arrivedMs.filter((atMs, node) => atMs < Infinity && this.#ground.droppers[node] === 0).sort()
  }

  /** Tells of every honest node that has it, by number. */
  eachArrival(tell: (node: number, atMs: number) => void): void {
    for (const [node, atMs] of this.#arrivedMs.entries())
      if (atMs < Infinity && !this.#isDropper(node)) tell(node, atMs)
  }

  /** Links from the source to each honest node that has it, over the copy that came first. */
  hops(): Uint8Array {
    return this.#hops.filter((_, node) => this.#has[node] === 1 && this.#ground.droppers[node] === 0)
  }

  get honest(): number {
    return this.#honest
  }

  #handle({ kind, a, b, c }: HeapEvent): void {
    switch (kind) {
      case ARRIVE:
        return this.#arrive(a, b, c)
      case FORWARD:
        return this.#forward(a, b)
      case HEARTBEAT:
        return this.#heartbeat(a)
      case IHAVE:
        return this.#announced(a, b)
      case IWANT:
        return this.#asked(a, b)
      case BEAT:
        return this.#beat(a)
      case HELLO:
        return this.#hello(a, b, c)
      case ANSWER:
        return this.#answered(a, c)
      default:
        return this.#repaired(a, b)
    }
  }

  // --- pushing

  /** The message is at `v` for the first time. */
  #deliver(v: number, hops: number): void {
    this.#has[v] = 1
    this.#hops[v] = Math.min(255, hops)
    this.#arrivedMs[v] = this.#nowMs
    if (this.#isDropper(v)) return
    this.#covered++
  }

  #arrive(u: number, v: number, edge: number): void {
    if (this.#has[v] === 1) {
      if (edge !== ASKED) this.#heard[this.#ground.mesh.reverse[edge]!] = 1
      return
    }
    this.#deliver(v, this.#hops[u]! + 1)
    if (this.#isDropper(v)) return
    if (edge !== ASKED) this.#heard[this.#ground.mesh.reverse[edge]!] = 1
    this.#heap.push(this.#nowMs + this.#options.processingMs, FORWARD, v)
  }

  /** To the whole mesh, but for those who sent it here meanwhile. */
  #forward(u: number, publishes: number): void {
    const { offsets, neighbours } = this.#ground.mesh
    for (let edge = offsets[u]!; edge < offsets[u + 1]!; edge++) {
      if (this.#heard[edge] === 1) continue
      this.tally.payloads++
      this.#send(ARRIVE, u, neighbours[edge]!, edge)
    }
    // Whoever publishes reaches D peers even where its mesh is smaller.
    if (publishes === 1) this.#pushBesideMesh(u, this.#options.degrees.D - (offsets[u + 1]! - offsets[u]!))
    if (this.#options.lazyDegree > 0 && this.#options.announceHeartbeats > 0) {
      this.#announcementsLeft[u] = this.#options.announceHeartbeats
      const { heartbeatMs } = this.#options
      const beats = Math.ceil((this.#nowMs - this.#ground.heartbeatPhaseMs[u]!) / heartbeatMs)
      this.#heap.push(this.#ground.heartbeatPhaseMs[u]! + Math.max(0, beats) * heartbeatMs, HEARTBEAT, u)
    }
  }

  #pushBesideMesh(u: number, count: number): void {
    if (count <= 0) return
    for (const v of this.#besideMesh(u, count)) {
      this.tally.payloads++
      this.#send(ARRIVE, u, v, ASKED)
    }
  }

  // --- announcing and asking

  #heartbeat(u: number): void {
    for (const v of this.#besideMesh(u, this.#options.lazyDegree)) {
      this.tally.ihave++
      this.#send(IHAVE, u, v, 0)
    }
    if (--this.#announcementsLeft[u]! > 0) this.#heap.push(this.#nowMs + this.#options.heartbeatMs, HEARTBEAT, u)
  }

  #announced(u: number, v: number): void {
    if (this.#has[v] === 1 || this.#isDropper(v)) return
    this.tally.iwant++
    this.#send(IWANT, v, u, 0)
  }

  #asked(v: number, u: number): void {
    if (this.#isDropper(u)) return
    this.tally.payloads++
    this.#send(ARRIVE, u, v, ASKED)
  }

  /** Up to `count` connections of `u` that are not in its mesh, at random. The array is used again by the next call. */
  #besideMesh(u: number, count: number): readonly number[] {
    const { connections, mesh } = this.#ground
    const found = this.#scratch
    found.length = 0
    for (let edge = connections.offsets[u]!; edge < connections.offsets[u + 1]!; edge++) {
      const v = connections.neighbours[edge]!
      let inMesh = false
      for (let own = mesh.offsets[u]!; own < mesh.offsets[u + 1]! && !inMesh; own++) {
        inMesh = mesh.neighbours[own] === v
      }
      if (!inMesh) found.push(v)
    }
    const wanted = Math.min(count, found.length)
    for (let i = 0; i < wanted; i++) {
      const j = i + this.#dice.lazy.below(found.length - i)
      const kept = found[i]!
      found[i] = found[j]!
      found[j] = kept
    }
    found.length = wanted
    return found
  }

  // --- comparing sets

  #startComparing(source: number): void {
    const { antiEntropy, nodes } = this.#options
    if (antiEntropy === false) return
    const firstMs = antiEntropy.quiet ? antiEntropy.intervalMsMax : antiEntropy.intervalMs
    this.#paceMs.fill(firstMs)
    // A write of one's own wakes the writer.
    this.#paceMs[source] = antiEntropy.intervalMs
    for (let u = 0; u < nodes; u++) {
      if (!this.#isDropper(u)) this.#schedule(u, this.#dice.beats.unit() * this.#paceMs[u]!)
    }
  }

  #schedule(u: number, atMs: number): void {
    this.#dueMs[u] = atMs
    this.#heap.push(atMs, BEAT, u)
  }

  /** Node `u` asks somebody: half of the time one it is connected to, half of the time anybody it ever heard of. */
  #beat(u: number): void {
    const { antiEntropy, nodes } = this.#options
    if (antiEntropy === false || this.covered || nodes === 1 || this.#dueMs[u] !== this.#nowMs) return
    this.#dueMs[u] = BEATING
    const { connections } = this.#ground
    const from = connections.offsets[u]!
    const dice = this.#dice.beats
    let partner: number
    let trips = 1
    const connected = connections.offsets[u + 1]! - from
    if (connected > 0 && dice.unit() < 0.5) partner = connections.neighbours[from + dice.below(connected)]!
    else {
      partner = dice.below(nodes - 1)
      if (partner >= u) partner++
      trips += DIAL_TRIPS
    }
    this.tally.sessions++
    if (this.#isDropper(partner)) {
      // It says nothing; whoever waits gives up after a while and asks somebody else.
      const againMs = antiEntropy.silentMs + antiEntropy.retryMs * (0.5 + 0.5 * dice.unit())
      this.#schedule(u, this.#nowMs + againMs)
      return
    }
    // What is compared is what was there when the session began, and only what is old enough to have settled.
    const knew = this.#has[u]!
    this.#reliably(HELLO, u, partner, knew, trips)
  }

  #hello(u: number, v: number, knew: number): void {
    const { antiEntropy } = this.#options
    if (antiEntropy === false) return
    const differs = knew !== this.#has[v]
    if (differs && this.#nowMs >= antiEntropy.settlingMs) {
      this.tally.repairs++
      // The answer carries what the initiator lacks; what the responder lacks comes a round trip later.
      if (knew === 0) this.#reliably(REPAIR, u, v, 0, 1)
      else this.#reliably(REPAIR, v, u, 0, 2)
    }
    if (differs) this.#hurry(v, antiEntropy.intervalMs * (1 + antiEntropy.jitter), antiEntropy.intervalMs)
    this.#reliably(ANSWER, u, v, differs ? 1 : 0, 1)
  }

  /** A difference that a partner found here is as good a reason to look around as one found by ourselves. */
  #hurry(v: number, withinMs: number, paceMs: number): void {
    this.#paceMs[v] = paceMs
    if (this.#dueMs[v]! > this.#nowMs + withinMs) this.#schedule(v, this.#nowMs + withinMs)
  }

  #answered(u: number, differed: number): void {
    const { antiEntropy } = this.#options
    if (antiEntropy === false) return
    if (differed === 1 || !antiEntropy.quiet) this.#paceMs[u] = antiEntropy.intervalMs
    else this.#paceMs[u] = Math.min(antiEntropy.intervalMsMax, 2 * this.#paceMs[u]!)
    const jitter = 1 + antiEntropy.jitter * (2 * this.#dice.beats.unit() - 1)
    this.#schedule(u, this.#nowMs + this.#paceMs[u]! * jitter)
  }

  /** `v` gets from `u` what it lacked, and tells its own neighbours. */
  #repaired(v: number, u: number): void {
    if (this.#has[v] === 1) return
    this.#deliver(v, this.#hops[u]! + 1)
    if (!this.#isDropper(v)) this.#heap.push(this.#nowMs + this.#options.processingMs, FORWARD, v, 1)
  }

  // --- the wire

  /** One gossip frame. In mode `drop` it may be lost; in mode `tcp` a loss is a delay. */
  #send(kind: number, from: number, to: number, edge: number): void {
    const { loss, lossMode } = this.#options
    let delayMs = this.#ground.land.delayMs(from, to)
    if (loss > 0) {
      if (lossMode === 'drop') {
        if (this.#dice.loss.unit() < loss) return
      } else while (this.#dice.loss.unit() < loss) delayMs += RETRANSMIT_MS
    }
    this.#heap.push(this.#nowMs + delayMs, kind, from, to, edge)
  }

  /** Frames of a session: they are on a stream of their own, where nothing is lost for good. */
  #reliably(kind: number, a: number, b: number, c: number, trips: number): void {
    let delayMs = 0
    for (let trip = 0; trip < trips; trip++) {
      delayMs += this.#ground.land.delayMs(a, b)
      while (this.#options.loss > 0 && this.#dice.loss.unit() < this.#options.loss) delayMs += RETRANSMIT_MS
    }
    this.#heap.push(this.#nowMs + delayMs, kind, a, b, c)
  }

  #isDropper(node: number): boolean {
    return this.#ground.droppers[node] === 1
  }
}
