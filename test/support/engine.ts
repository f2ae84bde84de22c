/**
 * Whole engines for tests: real codec, real crypto and the daemon's own store in memory, on virtual time and the fake
 * network. Only what a test has to watch or to break is replaced: the store goes through `FaultyStore`, the clock is the
 * simulator's, and signatures are checked on the spot instead of on a thread pool.
 */
import { EventQueue } from '../../simulations/world/event-queue.ts'
import { SimClock, WORLD_EPOCH_MS } from '../../simulations/world/sim-clock.ts'
import { createMetrics } from '../../src/adapters/system/counters.ts'
import { ChrysalisError, isChrysalisError, type ErrorCode } from '../../src/base/errors.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { toHex } from '../../src/base/bytes.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import type { NodeHooks } from '../../src/node/hooks.ts'
import { Node } from '../../src/node/node.ts'
import { NODE_DEFAULTS, type NodeOptions, type SpaceOptions } from '../../src/node/options.ts'
import type { SharedPanes } from '../../src/node/publisher.ts'
import type { VectorPanes } from '../../src/node/vectors.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { LogLevel } from '../../src/ports/logger.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type { ScanOptions, Store, StoreEntry, StoreWrite, Table } from '../../src/ports/store.ts'
import { FakeAir, type FakeNetwork } from './fake-network.ts'
import { createMemoryStore } from './memory-store.ts'
import { identity, SPACE } from './sealed.ts'

export const PRIVATE_SPACE = 'b7'.repeat(16)
export const START_MS = WORLD_EPOCH_MS
/** The time `ms` after the world began. */
export const at = (ms: number, counter = 0): bigint => hlcOf(START_MS + ms, counter)

/** The identity whose seed is 32 times `byte`; its asynchronous check answers at once. */
export function quickIdentity(byte: number): Crypto {
  const crypto = identity(byte)
  return { ...crypto, verifyAsync: (check) => Promise.resolve(crypto.verify(check)) }
}

export function authorOf(byte: number): string {
  return toHex(identity(byte).publicKey)
}

/** A store that can be watched, slowed, and made to fail; what is stored survives the engine on it. */
export class FaultyStore implements Store {
  readonly rows: Store
  readonly batches: { writes: readonly StoreWrite[]; durable: boolean }[] = []
  /** Rejects the next writes with this code until cleared. */
  failWith: ErrorCode | undefined
  reopenFails = false
  reopened = 0
  /** Awaited before each batch. */
  gate: Promise<void> | undefined
  /** Changes what a read returns. */
  damage: (table: Table, key: Uint8Array, value: Uint8Array) => Uint8Array = (_table, _key, value) => value
  #stuck: ErrorCode | undefined

  constructor(rows: Store = createMemoryStore()) {
    this.rows = rows
  }

  async get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
    const value = await this.rows.get(table, key)
    return value === undefined ? undefined : this.damage(table, key, value)
  }

  getSync(table: Table, key: Uint8Array): Uint8Array | undefined {
    const value = this.rows.getSync(table, key)
    return value === undefined ? undefined : this.damage(table, key, value)
  }

  async getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const values = await this.rows.getMany(table, keys)
    return values.map((value, i) =>
      value === undefined ? undefined : this.damage(table, keys[i] as Uint8Array, value)
    )
  }

  async scan(table: Table, options: ScanOptions): Promise<StoreEntry[]> {
    const entries: StoreEntry[] = []
    for (const { key, value } of await this.rows.scan(table, options)) {
      try {
        entries.push({ key, value: this.damage(table, key, value) })
      } catch (error) {
        if (options.onDamaged === undefined || !isChrysalisError(error, 'corrupt')) throw error
        options.onDamaged(key, entries.length)
      }
    }
    return entries
  }

  async batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void> {
    await this.gate
    this.#stuck = this.failWith ?? this.#stuck
    if (this.#stuck !== undefined) throw new ChrysalisError(this.#stuck, 'the disk said no')
    await this.rows.batch(writes, options)
    this.batches.push({ writes, durable: options.durable })
  }

  async reopen(): Promise<void> {
    this.reopened++
    if (this.reopenFails) throw new ChrysalisError('disk_full', 'still no room')
    this.#stuck = undefined
  }

  async close(): Promise<void> {
    // Kept open: the next engine starts on it.
  }

  /** Batches that carry deltas, as opposed to marks and receipts. */
  deltaBatches(): { writes: readonly StoreWrite[]; durable: boolean }[] {
    return this.batches.filter(({ writes }) => writes.some((write) => write.table === 'delta'))
  }
}

export interface EngineOptions {
  /** The identity: see `quickIdentity`. */
  readonly seed: number
  readonly store?: FaultyStore
  readonly epoch?: string
  readonly random?: string
  readonly clockOffsetMs?: number
  /** Whether it has a private space beside the shared one. */
  readonly hasPrivate?: boolean
  readonly options?: Partial<Omit<NodeOptions, 'sync'>> & { readonly sync?: Partial<NodeOptions['sync']> }
  readonly hooks?: NodeHooks
  readonly vectors?: VectorPanes
  readonly shared?: SharedPanes
}

export interface Engine {
  readonly node: Node
  readonly network: FakeNetwork
  readonly store: FaultyStore
  readonly clock: SimClock
  readonly crypto: Crypto
  readonly metrics: Metrics
  readonly log: { level: LogLevel; message: string; data: Record<string, unknown> | undefined }[]
  readonly author: string
  readonly setup: EngineOptions
}

/** One world: its time, its air and the engines in it. */
export class Bench {
  readonly queue = new EventQueue()
  readonly air = new FakeAir(this.queue)
  readonly #engines: Engine[] = []
  #made = 0

  create(setup: EngineOptions): Engine {
    const crypto = quickIdentity(setup.seed)
    const author = toHex(crypto.publicKey)
    const network = this.air.create(authorToPeerId(author))
    const store = setup.store ?? new FaultyStore()
    const clock = new SimClock(this.queue, setup.clockOffsetMs ?? 0)
    const metrics = createMetrics()
    const log: Engine['log'] = []
    const random = new SeededRandom(setup.random ?? `engine ${setup.seed} ${this.#made++}`)
    const epoch = setup.epoch ?? toHex(random.bytes(8))
    const { options, hooks } = setup
    const node = new Node(
      {
        ...NODE_DEFAULTS,
        version: '0.0.0',
        name: null,
        home: '/nowhere',
        spaces: spacesOf(author, setup.hasPrivate ?? false),
        epoch,
        ...options,
        sync: { ...NODE_DEFAULTS.sync, ...options?.sync }
      },
      {
        store,
        network,
        crypto,
        clock,
        random,
        metrics,
        logger: { log: (level, message, data) => void log.push({ level, message, data }) },
        processMemory: () => ({ rssBytes: 1, heapBytes: 1 }),
        ...(setup.vectors && { vectors: setup.vectors }),
        ...(setup.shared && { shared: setup.shared })
      },
      hooks
    )
    return { node, network, store, clock, crypto, metrics, log, author, setup }
  }

  async start(setup: EngineOptions): Promise<Engine> {
    const engine = this.create(setup)
    this.#engines.push(engine)
    await engine.node.start()
    return engine
  }

  /** Stops it and starts another on the same disk and clock. */
  async restart(engine: Engine, changes: Partial<EngineOptions> = {}): Promise<Engine> {
    await this.finish(engine.node.stop())
    return this.start({
      ...engine.setup,
      store: engine.store,
      epoch: engine.node.epoch,
      clockOffsetMs: engine.clock.offsetMs,
      ...changes
    })
  }

  /** Lets `ms` of virtual time pass, or less when `enough` holds before. */
  async pass(ms: number, enough?: () => boolean): Promise<boolean> {
    return this.queue.run(this.queue.nowMs + ms, enough)
  }

  /** Lets time pass until the promise settles, ten virtual minutes at most. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const watched = promise.finally(() => {
      settled = true
    })
    watched.catch(() => undefined)
    const untilMs = this.queue.nowMs + 600_000
    // Work that is not driven by timers needs real turns only; then the queue has nothing to run.
    for (let turn = 0; !settled && turn < 10_000 && this.queue.nowMs < untilMs; turn++) {
      await this.queue.run(Math.min(untilMs, this.queue.nowMs + 10), () => settled)
    }
    return watched
  }

  async stop(): Promise<void> {
    for (const { node } of this.#engines) await this.finish(node.stop())
  }
}

function spacesOf(creator: string, hasPrivate: boolean): SpaceOptions[] {
  const shared: SpaceOptions = {
    id: SPACE,
    name: 'shared',
    shared: true,
    isDefault: true,
    creator: authorOf(1),
    policy: 'open'
  }
  if (!hasPrivate) return [shared]
  return [shared, { id: PRIVATE_SPACE, name: 'mine', shared: false, isDefault: false, creator, policy: 'private' }]
}

/** The code of the ChrysalisError a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | 'resolved' | 'other'> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return error instanceof ChrysalisError ? error.code : 'other'
  }
}
