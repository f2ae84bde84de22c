/**
 * How far every published frame has come: who heard it first when, over how many hops, and how many copies of it were
 * sent. For curves and their quantiles; nothing of it influences the world. Bounded: beyond FRAMES_MAX frames the oldest
 * are forgotten, and `forgotten` says so.
 */
import type { PeerId } from '../../src/ports/network.ts'

export interface Arrival {
  readonly node: PeerId
  readonly atMs: number
  /** 1: straight from whoever published it. */
  readonly hops: number
}

export interface Delivery {
  readonly id: string
  readonly publisher: PeerId
  /** When it was published first. */
  readonly atMs: number
  /** Times it was put on a link. */
  readonly copies: number
  /** The first at each node, in the order of arrival. */
  readonly arrivals: readonly Arrival[]
}

interface Entry extends Delivery {
  copies: number
  readonly arrivals: Arrival[]
  readonly hops: Map<PeerId, number>
}

/** Frames whose way is remembered. */
export const FRAMES_MAX = 8_192

export class Deliveries {
  readonly #frames = new Map<string, Entry>()
  readonly #framesMax: number
  #forgotten = 0

  constructor(framesMax = FRAMES_MAX) {
    this.#framesMax = framesMax
  }

  /** In the order in which they were published. */
  all(): readonly Delivery[] {
    return [...this.#frames.values()]
  }

  get(id: string): Delivery | undefined {
    return this.#frames.get(id)
  }

  /** Frames that were published and are not remembered. */
  get forgotten(): number {
    return this.#forgotten
  }

  /** A frame published once more, by whomever, is the same frame. */
  published(id: string, publisher: PeerId, atMs: number): void {
    const known = this.#frames.get(id)
    if (known !== undefined) {
      if (!known.hops.has(publisher)) known.hops.set(publisher, 0)
      return
    }
    if (this.#frames.size >= this.#framesMax) {
      const [oldest] = this.#frames.keys()
      if (oldest !== undefined) this.#frames.delete(oldest)
      this.#forgotten++
    }
    this.#frames.set(id, { id, publisher, atMs, copies: 0, arrivals: [], hops: new Map([[publisher, 0]]) })
  }

  /** It was handed to nobody: forgotten, unless it was on its way before. */
  withdraw(id: string): void {
    const frame = this.#frames.get(id)
    if (frame !== undefined && frame.copies === 0) this.#frames.delete(id)
  }

  sent(id: string): void {
    const frame = this.#frames.get(id)
    if (frame !== undefined) frame.copies++
  }

  /** `node` heard it from `from`; only the first time counts. */
  arrived(id: string, node: PeerId, from: PeerId, atMs: number): void {
    const frame = this.#frames.get(id)
    if (frame === undefined || frame.hops.has(node)) return
    const hops = (frame.hops.get(from) ?? 0) + 1
    frame.hops.set(node, hops)
    frame.arrivals.push({ node, atMs, hops })
  }
}
