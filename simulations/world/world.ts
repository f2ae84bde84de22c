/**
 * A world of simulated nodes: one queue, one air, one trace, one seed. It builds the links, lets time pass and answers the
 * one question every scenario ends with: do all nodes hold the same?
 *
 * With the overlay `gossipsub` it takes over the globals of the process from its start to its stop (kernel/globals.ts), so
 * there is one such world at a time.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import type { NodeOptions } from '../../src/node/options.ts'
import type { SignatureCheck } from '../../src/ports/crypto.ts'
import { virtualGlobals, type VirtualGlobals } from '../kernel/globals.ts'
import type { Delivery } from '../net/deliveries.ts'
import { createLatencyModel, type NetworkModelName } from '../net/latency.ts'
import { EventQueue } from './event-queue.ts'
import { CALM_AIR, SimAir, type AirOptions, type OverlayKind } from './sim-air.ts'
import { createIdentities, type IdentityFactory, type SimCryptoKind } from './sim-crypto.ts'
import { SimNode, type SimNodeOptions } from './sim-node.ts'
import type { Dialled } from './redial.ts'
import { SimOutsider } from './sim-outsider.ts'
import { genesisSpace, type SimSpace } from './sim-space.ts'
import { Trace } from './trace.ts'

/** With real gossipsub the nodes of a world start within about one heartbeat. */
const STARTING_MS = 500

export interface WorldOptions {
  readonly seed: string
  readonly nodes: number
  /** How topics travel. mesh (the default): a cheap model of flooding; gossipsub: the real one, as in the daemon. */
  readonly overlay?: OverlayKind
  /** Where the nodes are. Absent: every path takes `air.delayMs`. */
  readonly network?: NetworkModelName
  readonly air?: Partial<AirOptions>
  /** Connections each node starts, at least; a ring is always there, so that the world is in one piece. */
  readonly dials?: number
  /** Milliseconds by which clocks differ, at most. */
  readonly clockSkewMs?: number
  /** How signatures are made. Default ed25519. */
  readonly crypto?: SimCryptoKind
  readonly sync?: SimNodeOptions['sync']
  /** Reconciliation sessions fetch, and hand nothing over. */
  readonly pushOff?: boolean
  /** Reconciliation sessions hand over, and fetch nothing. */
  readonly pullOff?: boolean
  /** Identities beside the nodes, wired like them, without an engine and not started. */
  readonly outsiders?: number
  readonly voters?: SimNodeOptions['voters']
  readonly accessIntervalMs?: number
}

export class World {
  readonly options: WorldOptions
  readonly queue = new EventQueue()
  readonly trace = new Trace()
  readonly random: SeededRandom
  readonly air: SimAir
  readonly space: SimSpace
  readonly nodes: readonly SimNode[]
  readonly outsiders: readonly SimOutsider[]
  /** Makes further identities: equal labels are equal identities, those of the nodes are named like the nodes. */
  readonly identity: IdentityFactory
  #globals: VirtualGlobals | undefined = undefined
  #escapedAtEnd = 0

  constructor(options: WorldOptions) {
    this.options = options
    this.random = new SeededRandom(options.seed)
    this.identity = createIdentities(options.crypto ?? 'ed25519')
    this.air = this.#createAir(options)
    this.space = genesisSpace(this.identity('node-0'), 'world')
    this.nodes = this.#createNodes(options)
    this.outsiders = Array.from({ length: options.outsiders ?? 0 }, (_, i) => {
      const name = `outsider-${i}`
      return new SimOutsider(name, this.identity(name), this.space, this.air)
    })
    this.#wire(options.dials ?? 3)
  }

  #createAir({ network, overlay, air }: WorldOptions): SimAir {
    const latency = network === undefined ? undefined : createLatencyModel(network, this.random.fork('places'))
    // A model says itself how much its packets differ.
    const calm = latency === undefined ? CALM_AIR : { ...CALM_AIR, straggling: 0 }
    return new SimAir(
      this.queue,
      this.trace,
      this.random.fork('air'),
      { ...calm, ...air },
      { overlay: overlay ?? 'mesh', ...(latency === undefined ? {} : { latency }) }
    )
  }

  #createNodes(options: WorldOptions): readonly SimNode[] {
    const { space } = this
    const clocks = this.random.fork('clocks')
    const skewMs = options.clockSkewMs ?? 0
    const sync: Partial<NodeOptions['sync']> = { ...options.sync, ...halvesOf(options) }
    const voters = options.voters === undefined ? {} : { voters: options.voters }
    const access = options.accessIntervalMs === undefined ? {} : { accessIntervalMs: options.accessIntervalMs }
    return Array.from({ length: options.nodes }, (_, i) => {
      const clockOffsetMs = Math.floor((clocks.unit() * 2 - 1) * skewMs)
      const name = `node-${i}`
      const own = { name, space, clockOffsetMs, crypto: this.identity(name), sync, ...voters, ...access }
      return new SimNode(own, this.air, this.random.fork('nodes'))
    })
  }

  #wire(dials: number): void {
    const random = this.random.fork('links')
    const count = this.nodes.length
    for (const [i, node] of this.nodes.entries()) {
      const partners = new Set([(i + 1) % count])
      for (let attempt = 0; attempt < 50 && partners.size < dials; attempt++) partners.add(random.below(count))
      partners.delete(i)
      for (const partner of partners) node.neighbour(this.nodes[partner] as SimNode)
    }
    // Nobody dials them, so they dial for both; their dice are their own, so that they move nobody else's links.
    const stranger = this.random.fork('links of outsiders')
    for (const outsider of this.outsiders) {
      const partners = new Set<Dialled>()
      const wanted = Math.min(count, 2 * dials)
      while (partners.size < wanted) partners.add(this.nodes[stranger.below(count)] as SimNode)
      for (const partner of partners) outsider.neighbour(partner)
    }
  }

  /** Whether a signature holds in this world: with fast signatures nobody outside of it can tell. */
  verifies(check: SignatureCheck): boolean {
    return this.identity('node-0').verify(check)
  }

  /** How far each published frame has come. */
  get deliveries(): readonly Delivery[] {
    return this.air.deliveries.all()
  }

  /** Real timers that came into being while this world had the globals; anything but 0 is a leak of real time. */
  get escaped(): number {
    return this.#globals?.escaped() ?? this.#escapedAtEnd
  }

  /** Lets time pass until `promise` has settled. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let done = false
    const finished = promise.finally(() => {
      done = true
    })
    finished.catch(() => undefined)
    while (!done) await this.queue.run(this.queue.nowMs + 10, () => done)
    return finished
  }

  /** Starts every node but those that come later. No node and no outsider may be started before. */
  async start(absent: ReadonlySet<SimNode> = new Set()): Promise<void> {
    this.#takeGlobals()
    const random = this.random.fork('starting')
    for (const node of this.nodes) {
      const waitMs = (random.unit() * 2 * STARTING_MS) / this.nodes.length
      if (absent.has(node)) continue
      await this.settled(node.start())
      // Or all hearts would beat at one instant, as they never do.
      if (this.air.overlay === 'gossipsub') await this.queue.run(this.queue.nowMs + waitMs)
    }
  }

  #takeGlobals(): void {
    if (this.air.overlay !== 'gossipsub') return
    this.#globals ??= virtualGlobals(this.queue, this.random.fork('globals'))
  }

  /** Ends what runs. The globals are put back whatever happens. */
  async stop(): Promise<void> {
    try {
      for (const outsider of this.outsiders) await this.settled(outsider.stop())
      for (const node of this.nodes) if (node.running) await this.settled(node.stop())
    } finally {
      // What was decided at the last instant still belongs to this world.
      await this.queue.run(this.queue.nowMs)
      this.#escapedAtEnd = this.escaped
      this.#globals?.restore()
      this.#globals = undefined
    }
  }

  /** Roots of the running nodes, by root. */
  roots(): Map<string, number> {
    const roots = new Map<string, number>()
    for (const node of this.nodes) {
      if (!node.running) continue
      const root = node.engine.spaces()[0]?.root ?? ''
      roots.set(root, (roots.get(root) ?? 0) + 1)
    }
    return roots
  }

  /** Every node runs, and all hold the same deltas. */
  converged(): boolean {
    return this.nodes.every((node) => node.running) && this.roots().size === 1
  }
}

function halvesOf({ pushOff, pullOff }: WorldOptions): Partial<NodeOptions['sync']> {
  if (pushOff === true && pullOff === true) throw new Error('a world without push and without pull moves nothing')
  if (pushOff === true) return { sessions: 'pull' }
  return pullOff === true ? { sessions: 'push' } : {}
}
