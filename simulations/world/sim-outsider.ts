/**
 * Somebody who is on the network without being an honest daemon: an identity, a place on the overlay like everybody
 * else's, and no engine. What it says and does is up to whoever holds it; it keeps its connections up by itself.
 */
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { SimAir } from './sim-air.ts'
import { SimClock } from './sim-clock.ts'
import { SimNetwork } from './sim-network.ts'
import type { SimSpace } from './sim-space.ts'

/** As nodes do. */
const REDIAL_MS = 1_000

/** Whoever can be dialled: a node, or another outsider. */
export interface Dialled {
  readonly peer: PeerId
  addresses(): readonly string[]
}

export class SimOutsider implements Dialled {
  readonly name: string
  readonly peer: PeerId
  readonly crypto: Crypto
  readonly space: SimSpace
  readonly #air: SimAir
  readonly #neighbours: Dialled[] = []
  #clock: SimClock
  #network: SimNetwork
  #isRunning = false

  constructor(name: string, crypto: Crypto, space: SimSpace, air: SimAir) {
    this.name = name
    this.crypto = crypto
    this.space = space
    this.peer = authorToPeerId(toHex(crypto.publicKey))
    this.#air = air
    this.#clock = new SimClock(air.queue)
    this.#network = new SimNetwork(air, this.peer, this.#clock)
  }

  /** A new one after each stop; what was subscribed or served on the old one is gone. */
  get network(): SimNetwork {
    return this.#network
  }

  get clock(): SimClock {
    return this.#clock
  }

  get running(): boolean {
    return this.#isRunning
  }

  addresses(): readonly string[] {
    return this.#network.addresses()
  }

  /** Whom it dials, now and again after every loss. */
  neighbour(other: Dialled): void {
    this.#neighbours.push(other)
  }

  /** Does nothing when it runs. */
  async start(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    await this.#network.start()
    this.#dial(this.#network)
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return
    this.#isRunning = false
    const stopped = this.#network
    this.#clock.halt()
    this.#clock = new SimClock(this.#air.queue, this.#clock.offsetMs)
    this.#network = new SimNetwork(this.#air, this.peer, this.#clock)
    await stopped.stop()
  }

  #dial(network: SimNetwork): void {
    if (this.#network !== network || !this.#isRunning) return
    for (const neighbour of this.#neighbours) {
      const [address] = neighbour.addresses()
      if (address !== undefined && !network.isLinked(neighbour.peer)) {
        // Unreachable now: there is another attempt in a second.
        network.connect(address).catch(() => undefined)
      }
    }
    this.#clock.setTimer(REDIAL_MS, () => {
      this.#dial(network)
    })
  }
}
