/**
 * One direction of a reliable, ordered connection, as TCP makes it out of the air: items arrive in the order in which
 * they were put, each as late as its own delay and those before it demand; while the path is cut, or something holds it,
 * the head waits and everything behind it too. A perishable item is not sent again: whoever puts it has decided that it is
 * not lost on the way, and a cut destroys it.
 */
import type { PeerId } from '../../src/ports/network.ts'
import type { EventQueue } from '../world/event-queue.ts'

/** Until a sender tries again what was not acknowledged. */
export const RETRANSMIT_MS = 200

/** What a connection needs of the air. */
export interface Path {
  readonly queue: EventQueue
  /** Milliseconds until this many bytes have left the sender. */
  departMs(from: PeerId, bytes: number): number
  /** One-way delay of one packet that is not sent again. */
  delayMs(from: PeerId, to: PeerId): number
  /** One-way delay, retransmissions included. */
  streamDelayMs(from: PeerId, to: PeerId): number
  isCut(from: PeerId, to: PeerId): boolean
  /** Calls back when nothing holds the path. */
  pass(from: PeerId, to: PeerId, go: () => void): void
}

interface Waiting<T> {
  readonly item: T
  /** When it would arrive over an open path if nothing were before it. */
  readonly atMs: number
  readonly isPerishable: boolean
}

export class Fifo<T> {
  readonly #path: Path
  readonly #from: PeerId
  readonly #to: PeerId
  readonly #deliver: (item: T) => void
  readonly #isOver: () => boolean
  /** Put and not yet arrived, oldest first. */
  readonly #wire: Waiting<T>[] = []
  #pumping = false

  /** `isOver`: nobody is at the other end any more, so that a cut holds nothing back. */
  constructor(
    path: Path,
    ends: { readonly from: PeerId; readonly to: PeerId },
    deliver: (item: T) => void,
    isOver: () => boolean = () => false
  ) {
    this.#path = path
    this.#from = ends.from
    this.#to = ends.to
    this.#deliver = deliver
    this.#isOver = isOver
  }

  put(item: T, bytes: number, options: { readonly perishable?: boolean } = {}): void {
    const { queue } = this.#path
    const isPerishable = options.perishable === true
    const departMs = this.#path.departMs(this.#from, bytes)
    const underwayMs = isPerishable
      ? this.#path.delayMs(this.#from, this.#to)
      : this.#path.streamDelayMs(this.#from, this.#to)
    this.#wire.push({ item, atMs: queue.nowMs + departMs + underwayMs, isPerishable })
    if (!this.#pumping) this.#pump()
  }

  /** What is on the way is lost. */
  clear(): void {
    this.#wire.length = 0
  }

  #pump(): void {
    const head = this.#wire[0]
    this.#pumping = head !== undefined
    if (head === undefined) return
    const { queue } = this.#path
    queue.after(Math.max(0, head.atMs - queue.nowMs), () => {
      this.#path.pass(this.#from, this.#to, () => {
        this.#arrive()
      })
    })
  }

  #arrive(): void {
    const { queue } = this.#path
    const head = this.#wire[0]
    // What was on the way when it was cleared is gone; something younger may stand here, and then it is not due yet.
    if (head === undefined || head.atMs > queue.nowMs) {
      this.#pump()
      return
    }
    const isCut = !this.#isOver() && this.#path.isCut(this.#from, this.#to)
    if (isCut && !head.isPerishable) {
      queue.after(RETRANSMIT_MS, () => {
        this.#arrive()
      })
      return
    }
    this.#wire.shift()
    if (!isCut) this.#deliver(head.item)
    this.#pump()
  }
}
