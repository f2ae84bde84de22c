/**
 * The sets of a daemon without the daemon: `range` and `arrival` rows as the writer makes them, the checkpoints beside
 * them, and restarts on a copy of the disk as it was at any moment.
 */
import { EventQueue } from '../../simulations/world/event-queue.ts'
import { SimClock } from '../../simulations/world/sim-clock.ts'
import { createMetrics } from '../../src/adapters/system/counters.ts'
import { equalBytes, uintBytes } from '../../src/base/bytes.ts'
import { Checkpoints, type CheckpointOptions, type SetHolder } from '../../src/node/checkpoint.ts'
import { lastArrival } from '../../src/node/restore.ts'
import { restoreSets, type RestoreSetsOptions, type SetSpace } from '../../src/node/restore-sets.ts'
import { arrivalKey, META, rangeRowKey } from '../../src/node/rows.ts'
import { keyAfter, TABLES, type Store, type StoreEntry, type StoreWrite, type Table } from '../../src/ports/store.ts'
import type { DeltaSet } from '../../src/sync/delta-set.ts'
import { FaultyStore } from './engine.ts'
import { hasher } from './range-keys.ts'

export const OPEN: SetSpace = { id: 'a1'.repeat(16), policy: 'open' }
export const OTHER: SetSpace = { id: 'b2'.repeat(16), policy: 'open' }
export const PRIVATE: SetSpace = { id: 'c3'.repeat(16), policy: 'private' }

/** What a process that was killed now would leave. */
export async function diskCopy(store: Store): Promise<FaultyStore> {
  const copy = new FaultyStore()
  for (const table of TABLES) {
    const rows = await rowsOf(store, table)
    await copy.rows.batch(
      rows.map(({ key, value }) => ({ table, key, value })),
      { durable: true }
    )
  }
  return copy
}

export async function rowsOf(store: Store, table: Table): Promise<StoreEntry[]> {
  const rows: StoreEntry[] = []
  for (let gte: Uint8Array = new Uint8Array(0); ;) {
    const page = await store.scan(table, { gte, limit: 1_000 })
    rows.push(...page)
    const last = page.at(-1)
    if (last === undefined) return rows
    gte = keyAfter(last.key)
  }
}

export interface KeeperOptions {
  readonly spaces?: readonly SetSpace[]
  readonly checkpoints?: CheckpointOptions
  readonly restore?: RestoreSetsOptions
}

export class Keeper {
  readonly store: FaultyStore
  readonly checkpoints: Checkpoints
  readonly queue = new EventQueue()
  readonly log: { message: string; reason: unknown }[] = []
  readonly #options: KeeperOptions
  readonly #holders = new Map<string, { readonly id: string; readonly replica: { set: DeltaSet } }>()
  #arrival = 0
  /** Rows of the group that is under way. */
  #writes: StoreWrite[] = []
  #admitted = 0

  constructor(store: FaultyStore, options: KeeperOptions) {
    this.store = store
    this.#options = options
    this.checkpoints = new Checkpoints(options.checkpoints ?? {}, {
      store,
      crypto: hasher,
      clock: new SimClock(this.queue, 0),
      logger: {
        log: (_level, message, data) => void this.log.push({ message, reason: data?.['reason'] ?? data?.['error'] })
      },
      metrics: createMetrics(),
      spaces: () => [...this.#holders.values()] as readonly SetHolder[],
      storedArrival: () => this.#arrival
    })
  }

  static async start(store = new FaultyStore(), options: KeeperOptions = {}): Promise<Keeper> {
    const keeper = new Keeper(store, options)
    keeper.#arrival = await lastArrival(store)
    const logger = {
      log: (_level: string, message: string, data?: Record<string, unknown>) =>
        void keeper.log.push({ message, reason: data?.['reason'] })
    }
    const { sets, ledger } = await restoreSets(
      options.spaces ?? [OPEN],
      keeper.#arrival,
      { store, crypto: hasher, logger },
      options.restore ?? {}
    )
    for (const [id, set] of sets) keeper.#holders.set(id, { id, replica: { set } })
    await keeper.checkpoints.begin(ledger)
    return keeper
  }

  /** As killed now and started again, perhaps with other options. */
  async killed(options: KeeperOptions = this.#options): Promise<Keeper> {
    return Keeper.start(await diskCopy(this.store), options)
  }

  set(space: SetSpace = OPEN): DeltaSet {
    return (this.#holders.get(space.id) as { replica: { set: DeltaSet } }).replica.set
  }

  get arrival(): number {
    return this.#arrival
  }

  /** In memory, not yet on disk. */
  admit(keys: readonly Uint8Array[], space: SetSpace = OPEN): void {
    for (const key of keys) {
      if (!this.set(space).insert(key)) continue
      const arrival = this.#arrival + ++this.#admitted
      const row = rangeRowKey(space.id, key)
      this.#writes.push(
        { table: 'range', key: row, value: uintBytes(arrival, 8) },
        { table: 'arrival', key: arrivalKey(arrival), value: row }
      )
    }
  }

  /** The group goes to disk. */
  async commit(): Promise<void> {
    const [writes, admitted] = [this.#writes, this.#admitted]
    this.#writes = []
    this.#admitted = 0
    await this.store.batch(writes, { durable: true })
    this.#arrival += admitted
    this.checkpoints.noted(admitted)
  }

  async write(keys: readonly Uint8Array[], space: SetSpace = OPEN): Promise<void> {
    this.admit(keys, space)
    await this.commit()
  }

  /** Virtual time. */
  async pass(ms: number): Promise<void> {
    await this.queue.run(this.queue.nowMs + ms)
    for (let turn = 0; turn < 5; turn++) await this.queue.run(this.queue.nowMs)
  }

  /** Checkpoints stored so far, by their marks. */
  marks(): number {
    const isMark = ({ table, key, value }: StoreWrite): boolean =>
      table === 'meta' && value !== null && equalBytes(key, META.checkpoint)
    return this.store.batches.filter(({ writes }) => writes.some(isMark)).length
  }
}
