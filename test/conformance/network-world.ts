/**
 * Real clock, real chance and networks on 127.0.0.1 for tests of adapters/libp2p. No mDNS, no DHT, ports from the
 * system; everything made here is stopped by `World.stop`.
 */
import { randomBytes } from 'node:crypto'
import { SeededRandom } from '../../src/base/prng.ts'
import { createNetwork, type NetworkOptions } from '../../src/adapters/libp2p/network.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type { Network } from '../../src/ports/network.ts'

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, action) {
    const timer = setTimeout(action, delayMs)
    return () => clearTimeout(timer)
  }
}

export class CountingMetrics implements Metrics {
  readonly values: Record<string, number> = {}

  count(name: string, by = 1): void {
    this.values[name] = (this.values[name] ?? 0) + by
  }

  gauge(name: string, value: number): void {
    this.values[name] = value
  }

  snapshot(): Readonly<Record<string, number>> {
    return { ...this.values }
  }

  of(name: string): number {
    return this.values[name] ?? 0
  }
}

export interface Made {
  readonly network: Network
  readonly metrics: CountingMetrics
}

/** Owns what one test starts. */
export class World {
  readonly #made: Made[] = []
  readonly #cleanups: (() => Promise<unknown> | void)[] = []
  /** libp2p waits on timers that do not keep a process alive; without this a test may end in the middle of a wait. */
  readonly #alive = setInterval(() => undefined, 60_000)

  /** A network on a free loopback port, not started. */
  make(options: Partial<NetworkOptions> = {}): Made {
    const metrics = new CountingMetrics()
    const network = createNetwork(
      { seed: randomBytes(32), listen: ['/ip4/127.0.0.1/tcp/0'], heartbeatMs: 200, reconnectMs: 200, ...options },
      { clock: realClock, random: new SeededRandom(randomBytes(8).toString('hex')), logger: silentLogger, metrics }
    )
    const made = { network, metrics }
    this.#made.push(made)
    return made
  }

  async start(options: Partial<NetworkOptions> = {}): Promise<Made> {
    const made = this.make(options)
    await made.network.start()
    return made
  }

  async startMany(count: number, options: Partial<NetworkOptions> = {}): Promise<Made[]> {
    const made: Made[] = []
    for (let i = 0; i < count; i++) made.push(await this.start(options))
    return made
  }

  onStop(cleanup: () => Promise<unknown> | void): void {
    this.#cleanups.push(cleanup)
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#made.map(async ({ network }) => network.stop()))
    for (const cleanup of this.#cleanups.reverse()) await cleanup()
    clearInterval(this.#alive)
  }
}

/** The first address of a started network. */
export function addressOf(network: Network): string {
  const address = network.addresses()[0]
  if (address === undefined) throw new Error('the network has no address')
  return address
}
