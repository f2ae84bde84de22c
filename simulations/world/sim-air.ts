/**
 * What lies between simulated nodes: delay, loss, duplication, reordering (a consequence of delay), bandwidth, and
 * whatever a scenario puts in the way. One object for a world; all chance comes from one seeded stream for each direction
 * of each pair, so that adding a node or a fault does not shift the dice of the others. It counts what is sent.
 */
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import { Deliveries } from '../net/deliveries.ts'
import { RETRANSMIT_MS, type Path } from '../net/fifo.ts'
import type { LatencyModel } from '../net/latency.ts'
import { Obstacles } from '../net/obstacles.ts'
import { Uplinks } from '../net/uplinks.ts'
import { buildMesh } from './sim-mesh.ts'
import type { EventQueue } from './event-queue.ts'
import type { SimNetwork } from './sim-network.ts'
import type { Trace } from './trace.ts'

export interface AirOptions {
  /** One-way milliseconds, uniform between the two; not asked where the world has a latency model. */
  readonly delayMs: readonly [min: number, max: number]
  /** Share of packets that take up to five times as long: what reorders them. */
  readonly straggling: number
  /** Share of gossip hops that are lost. On a channel, where TCP repeats, a loss is a delay. */
  readonly loss: number
  /**
   * What becomes of a lost gossip hop. drop: it never arrives, as with a full send queue or a broken connection. tcp: it
   * is sent again until it does, which is what usually happens on a connection.
   */
  readonly lossMode: 'drop' | 'tcp'
  /** Share of gossip hops that arrive twice. */
  readonly duplication: number
  /** Links each node forwards a topic on, where there are as many. */
  readonly degree: number
  /** Bytes a second that each node can send; 0 is no limit. */
  readonly bandwidthBytesPerS: number
}

export const CALM_AIR: AirOptions = {
  delayMs: [5, 40],
  straggling: 0.05,
  loss: 0,
  lossMode: 'drop',
  duplication: 0,
  degree: 4,
  bandwidthBytesPerS: 0
}

/** What a byte was sent for. Payload: published frames, each copy. Control: all else of gossip. */
export type ByteKind = 'gossip-payload' | 'gossip-control' | 'channel'

/** How a topic travels: `mesh`, a model of flooding; `gossipsub`, the real thing. */
export type OverlayKind = 'mesh' | 'gossipsub'

export interface AirFeatures {
  readonly overlay?: OverlayKind
  readonly latency?: LatencyModel
}

export class SimAir implements Path {
  readonly queue: EventQueue
  readonly trace: Trace
  readonly overlay: OverlayKind
  readonly latency: LatencyModel | undefined
  readonly deliveries = new Deliveries()
  /** Nodes behind an address translator: nobody can dial them. Kept here because it outlives their processes. */
  readonly unreachable = new Set<PeerId>()
  readonly #random: Random
  readonly #dice = new Map<PeerId, Map<PeerId, Random>>()
  readonly #networks = new Map<string, SimNetwork>()
  readonly #obstacles = new Obstacles()
  readonly #uplinks = new Uplinks()
  readonly #bytes: Record<ByteKind, number> = { 'gossip-payload': 0, 'gossip-control': 0, channel: 0 }
  readonly #meshes = new Map<string, Map<PeerId, readonly PeerId[]>>()
  readonly #meshesBuilt = new Map<string, number>()
  #addresses = 0
  options: AirOptions

  constructor(
    queue: EventQueue,
    trace: Trace,
    random: Random,
    options: AirOptions = CALM_AIR,
    features: AirFeatures = {}
  ) {
    this.queue = queue
    this.trace = trace
    this.#random = random
    this.options = options
    this.overlay = features.overlay ?? 'mesh'
    this.latency = features.latency
  }

  /** A place of its own in the address space of this world. */
  nextAddress(): number {
    return this.#addresses++
  }

  join(network: SimNetwork): void {
    this.#networks.set(network.address, network)
    this.topologyChanged()
  }

  leave(network: SimNetwork): void {
    this.#networks.delete(network.address)
    this.topologyChanged()
  }

  /** Who listens at an address now. One peer id may be at several: a clone is a second process with one identity. */
  at(address: string): SimNetwork | undefined {
    return this.#networks.get(address)
  }

  /** Where a peer is; `here` when no model says. */
  regionOf(peer: PeerId): string {
    return this.latency?.regionOf(peer) ?? 'here'
  }

  // --- obstacles

  /** Cuts every path from `from` to `to`, and back when `symmetric`. The returned function heals it. */
  partition(from: ReadonlySet<PeerId>, to: ReadonlySet<PeerId>, symmetric = true): () => void {
    return this.#obstacles.cut(from, to, symmetric)
  }

  /** Holds back what arrives from `from` at `to`; the returned function lets it through, in order. */
  clog(from: ReadonlySet<PeerId>, to: ReadonlySet<PeerId>): () => void {
    return this.#obstacles.clog(from, to)
  }

  /** Everything to and from the peer takes `factor` times as long, until the returned function is called. */
  slow(peer: PeerId, factor: number): () => void {
    return this.#obstacles.slow(peer, factor)
  }

  isCut(from: PeerId, to: PeerId): boolean {
    return this.#obstacles.isCut(from, to)
  }

  pass(from: PeerId, to: PeerId, go: () => void): void {
    this.#obstacles.pass(from, to, go)
  }

  // --- bytes

  count(kind: ByteKind, bytes: number): void {
    this.#bytes[kind] += bytes
  }

  /** Bytes put on the wire so far. */
  bytes(): Readonly<Record<ByteKind, number>> {
    return { ...this.#bytes }
  }

  // --- packets

  departMs(from: PeerId, bytes: number): number {
    return this.#uplinks.depart(from, bytes, this.options.bandwidthBytesPerS, this.queue.nowMs)
  }

  /** One-way delay of the next packet. */
  delayMs(from: PeerId, to: PeerId): number {
    const dice = this.#diceOf(from, to)
    const [min, max] = this.options.delayMs
    const usual = this.latency?.delayMs(from, to, dice) ?? min + dice.unit() * (max - min)
    const straggled = dice.unit() < this.options.straggling ? usual * (1 + dice.unit() * 4) : usual
    return straggled * this.#obstacles.factor(from, to)
  }

  /** How often the next gossip packet arrives. Where lost packets are sent again, at least once. */
  copies(from: PeerId, to: PeerId): number {
    const dice = this.#diceOf(from, to)
    const wanted = dice.unit() < this.options.duplication ? 2 : 1
    if (this.options.lossMode === 'tcp') return wanted
    let left = 0
    for (let i = 0; i < wanted; i++) if (dice.unit() >= this.options.loss && !this.isCut(from, to)) left++
    if (left < wanted) this.trace.note(this.queue.nowMs, 'lost', short(from), short(to))
    return left
  }

  /** A datagram of gossip: in mode `drop` it may be lost or doubled, and is lost when the path is cut as it arrives. */
  toss(from: PeerId, to: PeerId, bytes: number, arrive: () => void): void {
    for (let left = this.copies(from, to); left > 0; left--) {
      if (this.options.lossMode === 'tcp') {
        this.carry(from, to, arrive, bytes)
        continue
      }
      this.queue.after(this.departMs(from, bytes) + this.delayMs(from, to), () => {
        if (!this.isCut(from, to)) this.pass(from, to, arrive)
      })
    }
  }

  /** Delay of a packet of a reliable stream: every loss costs a retransmission. */
  streamDelayMs(from: PeerId, to: PeerId): number {
    let delayMs = this.delayMs(from, to)
    while (this.#diceOf(from, to).unit() < this.options.loss) delayMs += RETRANSMIT_MS
    return delayMs
  }

  /** Arrives for certain, as soon as the path is open. The returned function gives up. */
  carry(from: PeerId, to: PeerId, arrive: () => void, bytes = 0): () => void {
    let isWanted = true
    const attempt = (delayMs: number): void => {
      this.queue.after(delayMs, () => {
        if (!isWanted) return
        if (this.isCut(from, to)) attempt(RETRANSMIT_MS)
        else {
          this.pass(from, to, () => {
            if (isWanted) arrive()
          })
        }
      })
    }
    attempt(this.departMs(from, bytes) + this.streamDelayMs(from, to))
    return () => {
      isWanted = false
    }
  }

  // --- the mesh of the overlay that is a model

  /** Neighbours to which `peer` forwards the topic. */
  meshOf(topic: string, peer: PeerId): readonly PeerId[] {
    let mesh = this.#meshes.get(topic)
    if (mesh === undefined) {
      const built = (this.#meshesBuilt.get(topic) ?? 0) + 1
      this.#meshesBuilt.set(topic, built)
      const members = [...this.#networks.values()].filter((network) => network.follows(topic))
      mesh = buildMesh(members, this.options.degree, this.#random.fork(`mesh/${topic}/${built}`))
      this.#meshes.set(topic, mesh)
    }
    return mesh.get(peer) ?? []
  }

  /** A link or a subscription came or went: meshes are drawn again when they are next needed. */
  topologyChanged(): void {
    this.#meshes.clear()
  }

  #diceOf(from: PeerId, to: PeerId): Random {
    let paths = this.#dice.get(from)
    if (paths === undefined) this.#dice.set(from, (paths = new Map<PeerId, Random>()))
    let dice = paths.get(to)
    if (dice === undefined) paths.set(to, (dice = this.#random.fork(`path/${from}>${to}`)))
    return dice
  }
}

/** Enough of a peer id to tell it apart in a trace. */
export function short(peer: PeerId): string {
  return peer.slice(-6)
}
