/**
 * A world of simulated nodes: one queue, one air, one trace, one seed. It builds the links, lets time pass and answers the
 * one question every scenario ends with: do all nodes hold the same?
 */
import { SeededRandom } from '../../src/base/prng.ts'
import { EventQueue } from './event-queue.ts'
import { CALM_AIR, SimAir, type AirOptions } from './sim-air.ts'
import { createSimCrypto } from './sim-crypto.ts'
import { SimNode, type SimNodeOptions } from './sim-node.ts'
import { genesisSpace } from './sim-space.ts'
import { Trace } from './trace.ts'

export interface WorldOptions {
  readonly seed: string
  readonly nodes: number
  readonly air?: Partial<AirOptions>
  /** Connections each node starts, at least; a ring is always there, so that the world is in one piece. */
  readonly dials?: number
  /** Milliseconds by which clocks differ, at most. */
  readonly clockSkewMs?: number
  readonly sync?: SimNodeOptions['sync']
}

export class World {
  readonly queue = new EventQueue()
  readonly trace = new Trace()
  readonly random: SeededRandom
  readonly air: SimAir
  readonly nodes: readonly SimNode[]

  constructor(options: WorldOptions) {
    this.random = new SeededRandom(options.seed)
    this.air = new SimAir(this.queue, this.trace, this.random.fork('air'), { ...CALM_AIR, ...options.air })
    const space = genesisSpace(createSimCrypto('node-0'), 'world')
    const clocks = this.random.fork('clocks')
    const skewMs = options.clockSkewMs ?? 0
    this.nodes = Array.from({ length: options.nodes }, (_, i) => {
      const clockOffsetMs = Math.floor((clocks.unit() * 2 - 1) * skewMs)
      const sync = options.sync === undefined ? {} : { sync: options.sync }
      return new SimNode({ name: `node-${i}`, space, clockOffsetMs, ...sync }, this.air, this.random.fork('nodes'))
    })
    this.#wire(options.dials ?? 3)
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

  async start(): Promise<void> {
    for (const node of this.nodes) await this.settled(node.start())
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.running) await this.settled(node.stop())
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
