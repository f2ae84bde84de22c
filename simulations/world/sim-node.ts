/**
 * One simulated daemon: the very engine of src/node behind simulated panes. It can be stopped, and it can be crashed: a
 * crash loses its memory, its timers and a drawn part of its unsynced writes, never its identity or its disk.
 */
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { Node } from '../../src/node/node.ts'
import { NODE_DEFAULTS, type NodeOptions } from '../../src/node/options.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import type { SimAir } from './sim-air.ts'
import { SimClock } from './sim-clock.ts'
import { createSimCrypto } from './sim-crypto.ts'
import { SimNetwork } from './sim-network.ts'
import type { SimSpace } from './sim-space.ts'
import { SimDisk } from './sim-store.ts'

/** A node redials neighbours it has lost, as the daemon's dialler does. */
const REDIAL_MS = 1_000

export interface SimNodeOptions {
  readonly name: string
  readonly space: SimSpace
  /** Milliseconds its clock is ahead. */
  readonly clockOffsetMs?: number
  /** Over the defaults of the engine. */
  readonly sync?: Partial<NodeOptions['sync']>
}

class Counters implements Metrics {
  readonly #values = new Map<string, number>()

  count(name: string, by = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + by)
  }

  gauge(name: string, value: number): void {
    this.#values.set(name, value)
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#values].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

export class SimNode {
  readonly peer: PeerId
  readonly metrics = new Counters()
  readonly #air: SimAir
  readonly #random: Random
  readonly #options: SimNodeOptions
  readonly #crypto: Crypto
  readonly #disk = new SimDisk()
  readonly #neighbours: SimNode[] = []
  #lives = 0
  #clock: SimClock
  #network: SimNetwork | undefined = undefined
  #node: Node | undefined = undefined
  /** What the engine wrote under; kept across a clean stop only. */
  #epoch = ''
  #clean = false

  constructor(options: SimNodeOptions, air: SimAir, random: Random) {
    this.#options = options
    this.#air = air
    this.#random = random
    this.#crypto = createSimCrypto(options.name)
    this.#clock = new SimClock(air.queue, options.clockOffsetMs)
    this.peer = authorToPeerId(toHex(this.#crypto.publicKey))
  }

  get name(): string {
    return this.#options.name
  }

  get running(): boolean {
    return this.#node !== undefined
  }

  /** The engine. Throws while the node is down. */
  get engine(): Node {
    if (this.#node === undefined) throw new Error(`${this.name} is down`)
    return this.#node
  }

  get clock(): SimClock {
    return this.#clock
  }

  addresses(): readonly string[] {
    return this.#network?.addresses() ?? []
  }

  /** Whom it dials, now and again after every loss. */
  neighbour(node: SimNode): void {
    this.#neighbours.push(node)
  }

  async start(): Promise<void> {
    const life = `${this.name}/${this.#lives++}`
    const random = this.#random.fork(life)
    this.#clock = new SimClock(this.#air.queue, this.#clock.offsetMs)
    const network = new SimNetwork(this.#air, this.peer, this.#clock)
    const keep = this.#clean
    if (this.#epoch === '') this.#epoch = toHex(random.bytes(8))
    const node = new Node(
      this.#engineOptions(),
      {
        store: this.#disk.open(),
        network,
        crypto: this.#crypto,
        clock: this.#clock,
        random,
        logger: silentLogger,
        metrics: this.metrics,
        processMemory: () => ({ rssBytes: 0, heapBytes: 0 })
      },
      {
        mayKeepEpoch: () => Promise.resolve(keep || this.#lives === 1),
        checkpoint: (progress) => {
          this.#epoch = progress.epoch
          return Promise.resolve()
        },
        crashed: (error) => {
          throw error
        }
      }
    )
    this.#clean = false
    this.#network = network
    this.#node = node
    await node.start()
    this.#dial(network)
  }

  #engineOptions(): NodeOptions & { epoch: string } {
    const { space } = this.#options
    return {
      ...NODE_DEFAULTS,
      sync: { ...NODE_DEFAULTS.sync, ...this.#options.sync },
      version: 'simulated',
      name: this.name,
      home: `/simulated/${this.name}`,
      epoch: this.#epoch,
      spaces: [{ id: space.id, name: 'world', shared: true, isDefault: true, creator: space.creator, policy: 'open' }]
    }
  }

  #dial(network: SimNetwork): void {
    if (this.#network !== network) return
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

  /** A clean end: everything in flight is awaited. */
  async stop(): Promise<void> {
    await this.#node?.stop()
    this.#clock.halt()
    this.#clean = true
    this.#node = undefined
    this.#network = undefined
  }

  /** The power fails. */
  async crash(): Promise<{ lost: number }> {
    this.#clock.halt()
    this.#network?.vanish()
    this.#node = undefined
    this.#network = undefined
    return this.#disk.crash(this.#random.fork(`crash/${this.#lives}`))
  }
}
