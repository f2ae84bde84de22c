/**
 * A disk that outlives the process on it. The store is the daemon's own, on an in-memory database; what this adds is what
 * disks do to daemons:
 *
 * * The power cut. LevelDB replays its log in order, so a crash loses a suffix of the batches written since the last
 *   durable one, whole batches only (a torn record at the end of the log fails its checksum and never happened). How
 *   much of that suffix is lost is drawn by lot; with `tornBatch` the newest of them is lost for certain.
 * * Slowness. A batch takes effect in the middle of its time and is answered at the end of it, so that power can fail
 *   before, between and after.
 * * A full disk: every write is refused, and after the first refusal all later ones until the store is reopened, as the
 *   real store does it (adapters/level/level-store.ts).
 * * Bad reads: a row answers `corrupt` now and may be fine the next time.
 */
import { MemoryLevel } from 'memory-level'
import { createLevelStore, type LevelDatabase } from '../../src/adapters/level/level-store.ts'
import { ChrysalisError } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { Random } from '../../src/ports/random.ts'
import {
  keyAfter,
  TABLES,
  type ScanOptions,
  type Store,
  type StoreEntry,
  type StoreWrite,
  type Table
} from '../../src/ports/store.ts'
import type { EventQueue } from './event-queue.ts'

export interface DiskFaults {
  /** Share of reads that fail, 0 to 1. */
  readErrorShare: number
  /** No write succeeds. */
  full: boolean
  /** Virtual milliseconds each batch takes. */
  slowMs: number
  /** The next power cut takes the newest batch that was not yet durable. */
  tornBatch: boolean
}

export interface SimDiskParts {
  /** Whose time slow writes take. Without it the disk is never slow. */
  readonly queue?: EventQueue
  /** The dice of bad reads. */
  readonly random?: Random
  /** What it is made of, for whoever means to damage it. A new one unless given. */
  readonly database?: LevelDatabase
}

const COPY_ROWS = 1_000

export class SimDisk {
  readonly faults: DiskFaults = { readErrorShare: 0, full: false, slowMs: 0, tornBatch: false }
  readonly #rows: Store
  readonly #queue: EventQueue | undefined
  readonly #dice: Random
  /** What undoes each batch since the last durable one, oldest first. */
  #unsynced: (readonly StoreWrite[])[] = []
  #writing: Promise<void> = Promise.resolve()
  #inFlight = 0
  #isOpen = false
  #handle: SimStore | undefined = undefined
  #held: Promise<void> | undefined = undefined

  constructor(parts: SimDiskParts = {}) {
    const options = { storeEncoding: 'view', keyEncoding: 'view', valueEncoding: 'view' } as const
    const database = parts.database ?? new MemoryLevel<Uint8Array, Uint8Array>(options)
    this.#rows = createLevelStore(database, { name: 'simulated disk' })
    this.#queue = parts.queue
    this.#dice = parts.random ?? new SeededRandom('disk')
  }

  /** The rows as they are, for whoever inspects the disk and is no process on it. */
  get rows(): Store {
    return this.#rows
  }

  /** A store for a process that starts now. One process at a time. */
  open(): Store {
    this.#handle?.lose()
    this.#handle = new SimStore(this.#rows, this, (writes, durable, alive) => this.#write(writes, durable, alive))
    return this.#handle
  }

  /** Nothing is read or written until the returned function is called: the process stands still. */
  hold(): () => void {
    let release = (): void => undefined
    this.#held = new Promise((resolve) => {
      release = resolve
    })
    return () => {
      this.#held = undefined
      release()
    }
  }

  /** Batches that were handed over and are not answered yet. */
  get inFlight(): number {
    return this.#inFlight
  }

  get held(): Promise<void> | undefined {
    return this.#held
  }

  /** Power is lost: the open store is dead, and a drawn number of the newest unsynced batches never happened. */
  async crash(random: Random): Promise<{ lost: number }> {
    this.#handle?.lose()
    this.#handle = undefined
    await this.#writing
    const all = this.#unsynced.length
    const lost = this.faults.tornBatch && all > 0 ? 1 + random.below(all) : random.below(all + 1)
    this.faults.tornBatch = false
    for (let i = 0; i < lost; i++) {
      const undo = this.#unsynced.pop()
      if (undo !== undefined) await this.#rows.batch(undo, { durable: true })
    }
    this.#unsynced = []
    return { lost }
  }

  /** Another disk with what is on this one now, unsynced batches included, as a copy of a running home would be. */
  async copy(): Promise<SimDisk> {
    await this.#writing
    const copy = new SimDisk({ ...(this.#queue === undefined ? {} : { queue: this.#queue }), random: this.#dice })
    for (const table of TABLES) {
      let gte = new Uint8Array(0)
      for (;;) {
        const page = await this.#rows.scan(table, { gte, limit: COPY_ROWS })
        if (page.length > 0)
          await copy.#rows.batch(
            page.map((row) => ({ table, ...row })),
            { durable: true }
          )
        const last = page.at(-1)
        if (last === undefined || page.length < COPY_ROWS) break
        gte = keyAfter(last.key) as Uint8Array<ArrayBuffer>
      }
    }
    return copy
  }

  /** Rejects, or not: a row is being read. */
  assertReads(table: Table): void {
    const { readErrorShare } = this.faults
    if (readErrorShare === 0 || this.#dice.unit() >= readErrorShare) return
    throw new ChrysalisError('corrupt', `a row of table ${table} fails its checksum on the simulated disk`, {
      hint: 'Read it again, or from a peer.'
    })
  }

  assertRoom(): void {
    if (!this.faults.full) return
    throw new ChrysalisError('disk_full', 'The simulated disk is full; nothing was written', {
      hint: 'There will be room when the fault is over.'
    })
  }

  /** One batch at a time, so that each undo is taken against the rows it will restore. */
  #write(writes: readonly StoreWrite[], durable: boolean, isAlive: () => boolean): Promise<void> {
    const batch = this.#writing.then(async () => {
      const delayMs = this.#queue === undefined ? 0 : this.faults.slowMs / 2
      if (delayMs > 0) await this.#queue?.sleep(delayMs)
      // Whoever died before its turn has written nothing.
      if (!isAlive()) throw gone()
      this.assertRoom()
      // With no time between the bytes and the sync, nothing can come between them either.
      if (durable && delayMs === 0) {
        await this.#rows.batch(writes, { durable })
        this.#unsynced = []
        return
      }
      const undo: StoreWrite[] = []
      // Whatever is written first has waited for the database to open; from then on rows can be read on the spot.
      if (!this.#isOpen) await this.#rows.get('meta', new Uint8Array(1))
      this.#isOpen = true
      for (const { table, key } of writes) undo.push({ table, key, value: this.#rows.getSync(table, key) ?? null })
      await this.#rows.batch(writes, { durable })
      this.#unsynced.push(undo)
      if (delayMs > 0) await this.#queue?.sleep(delayMs)
      if (!isAlive()) throw gone()
      if (durable) this.#unsynced = []
    })
    this.#inFlight++
    this.#writing = batch.then(
      () => void this.#inFlight--,
      () => void this.#inFlight--
    )
    return batch
  }
}

/** One process's view of the disk, until the process is gone. */
class SimStore implements Store {
  readonly #rows: Store
  readonly #disk: SimDisk
  readonly #write: (writes: readonly StoreWrite[], durable: boolean, isAlive: () => boolean) => Promise<void>
  #lost = false
  /** Why writes are refused; cleared by `reopen`. */
  #failure: ChrysalisError | undefined = undefined

  constructor(
    rows: Store,
    disk: SimDisk,
    write: (writes: readonly StoreWrite[], durable: boolean, isAlive: () => boolean) => Promise<void>
  ) {
    this.#rows = rows
    this.#disk = disk
    this.#write = write
  }

  lose(): void {
    this.#lost = true
  }

  async get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
    await this.#ready()
    this.#disk.assertReads(table)
    return this.#rows.get(table, key)
  }

  getSync(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#assertAlive()
    this.#disk.assertReads(table)
    return this.#rows.getSync(table, key)
  }

  async getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    await this.#ready()
    for (let i = 0; i < keys.length; i++) this.#disk.assertReads(table)
    return this.#rows.getMany(table, keys)
  }

  async scan(table: Table, options: ScanOptions): Promise<StoreEntry[]> {
    await this.#ready()
    const rows = await this.#rows.scan(table, options)
    if (this.#disk.faults.readErrorShare === 0) return rows
    const sound: StoreEntry[] = []
    for (const row of rows) {
      try {
        this.#disk.assertReads(table)
        sound.push(row)
      } catch (error) {
        if (options.onDamaged === undefined) throw error
        options.onDamaged(row.key, sound.length)
      }
    }
    return sound
  }

  async batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void> {
    await this.#ready()
    if (this.#failure !== undefined) throw this.#failure
    try {
      await this.#write(writes, options.durable, () => !this.#lost)
    } catch (error) {
      if (error instanceof ChrysalisError) this.#failure ??= error
      throw error
    }
  }

  async reopen(): Promise<void> {
    await this.#ready()
    this.#disk.assertRoom()
    await this.#rows.reopen()
    this.#failure = undefined
  }

  async close(): Promise<void> {
    this.#lost = true
  }

  async #ready(): Promise<void> {
    this.#assertAlive()
    while (this.#disk.held !== undefined) {
      await this.#disk.held
      this.#assertAlive()
    }
  }

  #assertAlive(): void {
    if (this.#lost) throw gone()
  }
}

function gone(): ChrysalisError {
  return new ChrysalisError('unavailable', 'The process that held this store is gone; nothing was written', {
    hint: 'Open the disk again.'
  })
}
