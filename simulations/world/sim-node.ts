/**
 * One simulated daemon: the very engine of src/node behind simulated panes. It can be stopped, and it can be crashed: a
 * crash loses its memory, its timers and a drawn part of its unsynced writes, never its identity or its disk. It can
 * stand still for a while, lose its disk, get an older one back, or find itself running twice.
 */
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { Node } from '../../src/node/node.ts'
import { NODE_DEFAULTS, type NodeOptions } from '../../src/node/options.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { AuthorId } from '../../src/memory/ids.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import type { SimAir } from './sim-air.ts'
import type { Dialled } from './redial.ts'
import { keepDialling } from './redial.ts'
import { SimClock } from './sim-clock.ts'
import { createSimCrypto } from './sim-crypto.ts'
import { SimNetwork, type SimNetworkOptions } from './sim-network.ts'
import type { SimSpace } from './sim-space.ts'
import { SimDisk } from './sim-store.ts'

export interface SimNodeOptions {
  readonly name: string
  readonly space: SimSpace
  /** Milliseconds its clock is ahead. */
  readonly clockOffsetMs?: number
  /** Over the defaults of the engine. */
  readonly sync?: Partial<NodeOptions['sync']>
  /** How often counted reads are told to the others; as the engine does by default when absent. */
  readonly accessIntervalMs?: number
  /** Who may vote; must be the same on every node. */
  readonly voters?: NodeOptions['ballot']['voters']
  /** Its identity; made from its name when absent. */
  readonly crypto?: Crypto
  readonly network?: SimNetworkOptions
  /** A disk that somebody else has written; with it, a node never goes on under an epoch it finds. */
  readonly copied?: { readonly disk: SimDisk; readonly epoch: string }
}

/** Every peer there is or will be, except one. */
class AllBut extends Set<PeerId> {
  readonly #one: PeerId

  constructor(one: PeerId) {
    super()
    this.#one = one
  }

  override has(peer: PeerId): boolean {
    return peer !== this.#one
  }
}

/** A clock whose timers can be kept from firing for a while. */
class NodeClock extends SimClock {
  #late: { action: (() => void) | undefined }[] | undefined = undefined
  #dead = false

  override setTimer(delayMs: number, action: () => void): () => void {
    const timer: { action: (() => void) | undefined } = { action }
    const cancel = super.setTimer(delayMs, () => {
      if (this.#late !== undefined) this.#late.push(timer)
      else timer.action?.()
    })
    return () => {
      timer.action = undefined
      cancel()
    }
  }

  hold(): void {
    this.#late ??= []
  }

  /** What was due meanwhile fires at once, in order; `later` runs each in an event of its own. */
  release(later: (action: () => void) => void): void {
    const late = this.#late ?? []
    this.#late = undefined
    for (const timer of late) later(() => this.#dead || timer.action?.())
  }

  override halt(): void {
    super.halt()
    this.#dead = true
  }
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
  #neighbours: Dialled[] = []
  #disk: SimDisk
  #lives = 0
  #clock: NodeClock
  #network: SimNetwork | undefined = undefined
  #node: Node | undefined = undefined
  #pauses = 0
  #voters: readonly AuthorId[]
  /** What the engine wrote under; kept across a clean stop only. */
  #epoch = ''
  #clean = false

  constructor(options: SimNodeOptions, air: SimAir, random: Random) {
    this.#options = options
    this.#air = air
    this.#random = random
    this.#crypto = options.crypto ?? createSimCrypto(options.name)
    this.#clock = new NodeClock(air.queue, options.clockOffsetMs)
    this.#voters = options.voters ?? NODE_DEFAULTS.ballot.voters
    this.#disk = options.copied?.disk ?? this.#freshDisk()
    this.#epoch = options.copied?.epoch ?? ''
    this.peer = authorToPeerId(toHex(this.#crypto.publicKey))
  }

  #freshDisk(): SimDisk {
    return new SimDisk({ queue: this.#air.queue, random: this.#random.fork(`disk/${this.#options.name}`) })
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

  /** Outlives every process on it. */
  get disk(): SimDisk {
    return this.#disk
  }

  get clock(): SimClock {
    return this.#clock
  }

  /** Raw public key: the author of what it writes. */
  get author(): AuthorId {
    return toHex(this.#crypto.publicKey)
  }

  /** The process stands still. */
  get paused(): boolean {
    return this.#pauses > 0
  }

  /** The network of the process that runs now. */
  get network(): SimNetwork | undefined {
    return this.#network
  }

  /** What `status` calls the program; takes effect at the next start. */
  version = 'simulated'

  addresses(): readonly string[] {
    return this.#network?.addresses() ?? []
  }

  /** Whom it dials, now and again after every loss. */
  neighbour(node: Dialled): void {
    this.#neighbours.push(node)
  }

  get neighbours(): readonly Dialled[] {
    return this.#neighbours
  }

  /** Who may vote from its next start on; must be the same on every node. */
  setVoters(voters: readonly AuthorId[]): void {
    this.#voters = voters
  }

  /** Whom it dials from now on. Connections that exist stay. */
  setNeighbours(nodes: readonly Dialled[]): void {
    this.#neighbours = [...nodes]
  }

  async start(): Promise<void> {
    const life = `${this.name}/${this.#lives++}`
    const random = this.#random.fork(life)
    this.#clock = new NodeClock(this.#air.queue, this.#clock.offsetMs)
    const network = new SimNetwork(this.#air, this.peer, this.#clock, {
      metrics: this.metrics,
      ...this.#options.network
    })
    const keep = this.#clean || (this.#lives === 1 && this.#options.copied === undefined)
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
        mayKeepEpoch: () => Promise.resolve(keep),
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
    try {
      await node.start()
    } catch (error) {
      // As when a daemon exits at its start: whoever supervises it tries again.
      if (this.#network === network) await this.crash()
      throw error
    }
    keepDialling(
      network,
      () => this.#neighbours,
      this.#clock,
      () => this.#network !== network
    )
  }

  #engineOptions(): NodeOptions & { epoch: string } {
    const { space } = this.#options
    return {
      ...NODE_DEFAULTS,
      sync: { ...NODE_DEFAULTS.sync, ...this.#options.sync },
      version: this.version,
      access: { intervalMs: this.#options.accessIntervalMs ?? NODE_DEFAULTS.access.intervalMs },
      ballot: { voters: this.#voters },
      name: this.name,
      home: `/simulated/${this.name}`,
      epoch: this.#epoch,
      spaces: [{ id: space.id, name: 'world', shared: true, isDefault: true, creator: space.creator, policy: 'open' }]
    }
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

  /**
   * The process stands still: no timer of it fires, its disk does not answer, and what it is sent waits in the buffers of
   * the system. The returned function lets it go on, everything that was due coming at once.
   */
  pause(): () => void {
    this.#pauses++
    const clock = this.#clock
    const others = new AllBut(this.peer)
    const self = new Set([this.peer])
    const undo = [this.#air.clog(others, self), this.#air.clog(self, others), this.#disk.hold()]
    clock.hold()
    return () => {
      this.#pauses--
      for (const release of undo) release()
      clock.release((action) => this.#air.queue.after(0, action))
    }
  }

  /** Every connection of it breaks; it and the others redial. */
  dropLinks(): void {
    const network = this.#network
    for (const { peer, connected } of network?.peers() ?? []) if (connected) network?.lost(peer)
  }

  /** Nobody can dial it, as behind a NAT; it may dial others, and what is connected stays connected. */
  setUnreachable(unreachable: boolean): void {
    if (unreachable) this.#air.unreachable.add(this.peer)
    else this.#air.unreachable.delete(this.peer)
  }

  /** The disk is wiped; the node has to be down. Its identity is kept elsewhere and stays. */
  reformat(): void {
    this.#assertDown('reformat')
    this.#disk = this.#freshDisk()
    this.#epoch = ''
    this.#clean = false
  }

  /** What is on its disk now, for `restore`. */
  async backup(): Promise<{ readonly disk: SimDisk; readonly epoch: string }> {
    return { disk: await this.#disk.copy(), epoch: this.#epoch }
  }

  /** The home is put back as it was; the node has to be down. */
  restore(backup: { readonly disk: SimDisk; readonly epoch: string }): void {
    this.#assertDown('restore')
    this.#disk = backup.disk
    this.#epoch = backup.epoch
    this.#clean = false
  }

  /** Another process with this identity, on a copy of the disk as it is now. It is not started. */
  async cloneTo(name: string): Promise<SimNode> {
    const copied = await this.backup()
    const options = { ...this.#options, name, crypto: this.#crypto, copied, clockOffsetMs: this.#clock.offsetMs }
    const clone = new SimNode(options, this.#air, this.#random)
    clone.setNeighbours(this.#neighbours)
    clone.setVoters(this.#voters)
    return clone
  }

  #assertDown(act: string): void {
    if (this.running) throw new Error(`${this.name} runs: ${act} needs it down`)
  }
}
