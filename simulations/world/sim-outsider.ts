/**
 * Somebody who is on the network without being an honest daemon: an identity, a place on the overlay like everybody
 * else's, and no engine. What it says and does is up to whoever holds it; it keeps its connections up by itself.
 */
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { SimAir } from './sim-air.ts'
import { keepDialling, type Dialled } from './redial.ts'
import { SimClock } from './sim-clock.ts'
import { SimNetwork } from './sim-network.ts'
import type { SimSpace } from './sim-space.ts'

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
    const network = this.#network
    const isOver = (): boolean => this.#network !== network || !this.#isRunning
    keepDialling(network, () => this.#neighbours, this.#clock, isOver)
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
}
