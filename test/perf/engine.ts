/**
 * The engine in this process, on a real LevelDB store in a real home, with nobody on the network: what the daemon does,
 * without the door. A home filled this way is then taken over by a daemon, which finds it as after a crash.
 */
import { rm } from 'node:fs/promises'
import { openLevelStore } from '../../src/adapters/level/level-store.ts'
import { migrate } from '../../src/adapters/level/migrations.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { createMetrics } from '../../src/adapters/system/counters.ts'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { systemRandom } from '../../src/adapters/system/random.ts'
import { toHex } from '../../src/base/bytes.ts'
import { openHome } from '../../src/daemon/home.ts'
import { Node } from '../../src/node/node.ts'
import { NODE_DEFAULTS, type NodeOptions } from '../../src/node/options.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Network, TopicHandler, Verdict } from '../../src/ports/network.ts'
import type { Store } from '../../src/ports/store.ts'

export interface Engine {
  readonly node: Node
  readonly store: Store
  /** The space agents write to. */
  readonly space: string
  readonly homeSpaces: readonly string[]
  /** Hands a gossip frame to the engine, as the network would. */
  gossip(frame: Uint8Array): Promise<Verdict>
  close(): Promise<void>
}

export async function openEngine(home: string, store: Partial<NodeOptions['store']> = {}): Promise<Engine> {
  const opened = await openHome(home)
  // The daemon's record of its files would call the work of this engine damage.
  await rm(opened.paths.state, { force: true })
  const database = await openLevelStore(opened.paths.data)
  await migrate(database)
  const air = new QuietNetwork(opened.peer)
  const node = new Node(
    {
      ...NODE_DEFAULTS,
      store: { ...NODE_DEFAULTS.store, ...store },
      version: 'perf',
      name: null,
      home,
      spaces: opened.spaces.map(({ genesis: _genesis, redeem: _redeem, ...space }) => space),
      epoch: toHex(systemRandom.bytes(8))
    },
    {
      store: database,
      network: air,
      crypto: createCrypto(opened.identity.seed, { signsOffLoop: true }),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      metrics: createMetrics(),
      processMemory: () => ({ rssBytes: process.memoryUsage.rss(), heapBytes: process.memoryUsage().heapUsed })
    }
  )
  // Timers of the engine hold no process alive; in the daemon its sockets do.
  const alive = setInterval(nothing, 60_000)
  await node.start()
  return {
    node,
    store: database,
    space: opened.spaces.find((space) => space.isDefault)?.id ?? '',
    homeSpaces: opened.spaces.map((space) => space.id),
    gossip: (frame) => air.hand(frame),
    close: async () => {
      await node.stop()
      await database.close()
      clearInterval(alive)
    }
  }
}

/** Nobody is there: what is published is heard by nobody, and nobody answers. */
class QuietNetwork implements Network {
  readonly self: string
  readonly #handlers: TopicHandler[] = []

  constructor(self: string) {
    this.self = self
  }

  /** To the only shared space of the home. */
  hand(frame: Uint8Array): Promise<Verdict> {
    const [handler] = this.#handlers
    if (handler === undefined) throw new Error('the engine listens to nothing')
    return handler(frame, 'stranger')
  }

  subscribe(_topic: string, handler: TopicHandler): void {
    this.#handlers.push(handler)
  }

  addresses(): readonly string[] {
    return []
  }

  peers(): readonly [] {
    return []
  }

  publish(): Promise<{ recipients: number }> {
    return Promise.resolve({ recipients: 0 })
  }

  open(): Promise<never> {
    return Promise.reject(new Error('nobody is there'))
  }

  connect(): Promise<never> {
    return this.open()
  }

  onEvent(): () => void {
    return nothing
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async disconnect(): Promise<void> {}
  unsubscribe(): void {}
  serve(): void {}
  report(): void {}
}

function nothing(): void {}
