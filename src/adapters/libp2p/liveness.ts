/**
 * Finds peers that are gone without a word: a pulled cable, a suspended laptop. TCP takes minutes to notice. libp2p can
 * cut a connection at the first late ping, but on a busy machine honest pings are late, and the whole mesh falls apart
 * just when it works hardest. So here it takes three pings in a row, each with ten seconds, to give a peer up.
 *
 * A ping is a stream of its own and costs some six hundred bytes, most of what a silent network says. So of the two ends of
 * a connection the one that dialled, and would dial again, asks every round; the other asks every third.
 */
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { PeerId } from '../../ports/network.ts'

export interface LivenessPorts {
  readonly clock: Clock
  readonly connected: () => Iterable<PeerId>
  /** We dialled it. */
  readonly isOurs: (peer: PeerId) => boolean
  /** Resolves when the peer answered within `deadlineMs`, rejects otherwise. */
  readonly ping: (peer: PeerId, deadlineMs: number) => Promise<unknown>
  readonly giveUp: (peer: PeerId) => void
}

const MISSES_MAX = 3
const ROUND_MS = 20_000
/** Rounds between two pings of a peer that dialled us. */
const ROUNDS_OF_THE_DIALLED = 3

export class Liveness {
  readonly #ports: LivenessPorts
  readonly #roundMs: number
  readonly #misses = new Map<PeerId, number>()
  readonly #asking = new Set<PeerId>()
  #cancelTimer: () => void = () => {}
  #running = false
  #rounds = 0

  constructor(ports: LivenessPorts, roundMs: number = ROUND_MS) {
    this.#ports = ports
    this.#roundMs = roundMs
  }

  start(): void {
    this.#running = true
    this.#arm()
  }

  stop(): void {
    this.#running = false
    this.#cancelTimer()
  }

  /** Pings everybody whose turn it is, and whoever missed the last one. Called by its own timer; a test may call it too. Never rejects. */
  async round(): Promise<void> {
    const connected = new Set(this.#ports.connected())
    for (const peer of [...this.#misses.keys()]) if (!connected.has(peer)) this.#misses.delete(peer)
    const isEverybody = this.#rounds++ % ROUNDS_OF_THE_DIALLED === 0
    const due = [...connected].filter((peer) => isEverybody || this.#misses.has(peer) || this.#ports.isOurs(peer))
    await Promise.all(due.map(async (peer) => this.#ask(peer)))
  }

  async #ask(peer: PeerId): Promise<void> {
    if (this.#asking.has(peer)) return
    this.#asking.add(peer)
    try {
      await this.#ports.ping(peer, LIMITS.streamIdleMsMax)
      this.#misses.delete(peer)
    } catch {
      const misses = (this.#misses.get(peer) ?? 0) + 1
      this.#misses.set(peer, misses)
      if (misses < MISSES_MAX || !this.#running) return
      this.#misses.delete(peer)
      this.#ports.giveUp(peer)
    } finally {
      this.#asking.delete(peer)
    }
  }

  #arm(): void {
    this.#cancelTimer = this.#ports.clock.setTimer(this.#roundMs, () => {
      void this.round()
      if (this.#running) this.#arm()
    })
  }
}
