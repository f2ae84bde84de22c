/**
 * What lies between simulated nodes: delay, loss, duplication, reordering (a consequence of delay) and partitions. One
 * object for a world; all chance comes from one seeded stream for each direction of each pair, so that adding a node or a
 * fault does not shift the dice of the others.
 */
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import { buildMesh } from './sim-mesh.ts'
import type { EventQueue } from './event-queue.ts'
import type { SimNetwork } from './sim-network.ts'
import type { Trace } from './trace.ts'

export interface AirOptions {
  /** One-way milliseconds, uniform between the two. */
  readonly delayMs: readonly [min: number, max: number]
  /** Share of packets that take up to five times as long: what reorders them. */
  readonly straggling: number
  /** Share of gossip hops that are lost. On a channel, where TCP repeats, a loss is a delay. */
  readonly loss: number
  /** Share of gossip hops that arrive twice. */
  readonly duplication: number
  /** Links each node forwards a topic on, where there are as many. */
  readonly degree: number
}

export const CALM_AIR: AirOptions = { delayMs: [5, 40], straggling: 0.05, loss: 0, duplication: 0, degree: 4 }

/** Until TCP tries again. */
const RETRANSMIT_MS = 200

export class SimAir {
  readonly queue: EventQueue
  readonly trace: Trace
  readonly #random: Random
  readonly #dice = new Map<string, Random>()
  readonly #networks = new Map<PeerId, SimNetwork>()
  readonly #cuts = new Set<(from: PeerId, to: PeerId) => boolean>()
  readonly #meshes = new Map<string, Map<PeerId, readonly PeerId[]>>()
  readonly #meshesBuilt = new Map<string, number>()
  #addresses = 0
  options: AirOptions

  constructor(queue: EventQueue, trace: Trace, random: Random, options: AirOptions = CALM_AIR) {
    this.queue = queue
    this.trace = trace
    this.#random = random
    this.options = options
  }

  /** A place of its own in the address space of this world. */
  nextAddress(): number {
    return this.#addresses++
  }

  join(network: SimNetwork): void {
    this.#networks.set(network.self, network)
    this.topologyChanged()
  }

  leave(network: SimNetwork): void {
    if (this.#networks.get(network.self) === network) this.#networks.delete(network.self)
    this.topologyChanged()
  }

  at(peer: PeerId): SimNetwork | undefined {
    return this.#networks.get(peer)
  }

  /** Cuts every path from `from` to `to`, and back when `symmetric`. The returned function heals it. */
  partition(from: ReadonlySet<PeerId>, to: ReadonlySet<PeerId>, symmetric = true): () => void {
    const cut = (a: PeerId, b: PeerId): boolean => (from.has(a) && to.has(b)) || (symmetric && from.has(b) && to.has(a))
    this.#cuts.add(cut)
    return () => {
      this.#cuts.delete(cut)
    }
  }

  isCut(from: PeerId, to: PeerId): boolean {
    for (const cut of this.#cuts) if (cut(from, to)) return true
    return false
  }

  /** One-way delay of the next packet. */
  delayMs(from: PeerId, to: PeerId): number {
    const dice = this.#diceOf(from, to)
    const [min, max] = this.options.delayMs
    const usual = min + dice.unit() * (max - min)
    return dice.unit() < this.options.straggling ? usual * (1 + dice.unit() * 4) : usual
  }

  /** A datagram: it may be lost or doubled, and is lost when the path is cut as it leaves or as it arrives. */
  toss(from: PeerId, to: PeerId, arrive: () => void): void {
    const dice = this.#diceOf(from, to)
    const copies = dice.unit() < this.options.duplication ? 2 : 1
    for (let i = 0; i < copies; i++) {
      if (dice.unit() < this.options.loss || this.isCut(from, to)) {
        this.trace.note(this.queue.nowMs, 'lost', short(from), short(to))
        continue
      }
      this.queue.after(this.delayMs(from, to), () => {
        if (!this.isCut(from, to)) arrive()
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
  carry(from: PeerId, to: PeerId, arrive: () => void): () => void {
    let cancel = (): void => undefined
    const attempt = (delayMs: number): void => {
      cancel = this.queue.after(delayMs, () => {
        if (this.isCut(from, to)) attempt(RETRANSMIT_MS)
        else arrive()
      })
    }
    attempt(this.streamDelayMs(from, to))
    return () => {
      cancel()
    }
  }

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
    const pair = `${from}>${to}`
    let dice = this.#dice.get(pair)
    if (dice === undefined) {
      dice = this.#random.fork(`path/${pair}`)
      this.#dice.set(pair, dice)
    }
    return dice
  }
}

/** Enough of a peer id to tell it apart in a trace. */
export function short(peer: PeerId): string {
  return peer.slice(-6)
}
