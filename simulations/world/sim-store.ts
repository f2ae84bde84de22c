/**
 * A disk that outlives the process on it. The store is the daemon's own, on an in-memory database; what this adds is the
 * power cut: LevelDB replays its log in order, so a crash loses a suffix of the batches written since the last durable
 * one, whole batches only. How much of that suffix is lost is drawn by lot.
 */
import { MemoryLevel } from 'memory-level'
import { createLevelStore } from '../../src/adapters/level/level-store.ts'
import { ChrysalisError } from '../../src/base/errors.ts'
import type { Random } from '../../src/ports/random.ts'
import type { ScanOptions, Store, StoreEntry, StoreWrite, Table } from '../../src/ports/store.ts'

export class SimDisk {
  readonly #rows: Store
  /** What undoes each batch since the last durable one, oldest first. */
  #unsynced: (readonly StoreWrite[])[] = []
  #writing: Promise<void> = Promise.resolve()
  #handle: SimStore | undefined = undefined

  constructor() {
    const options = { storeEncoding: 'view', keyEncoding: 'view', valueEncoding: 'view' } as const
    this.#rows = createLevelStore(new MemoryLevel<Uint8Array, Uint8Array>(options), { name: 'simulated disk' })
  }

  /** A store for a process that starts now. One process at a time. */
  open(): Store {
    this.#handle?.lose()
    this.#handle = new SimStore(this.#rows, (writes, durable) => this.#write(writes, durable))
    return this.#handle
  }

  /** Power is lost: the open store is dead, and a drawn number of the newest unsynced batches never happened. */
  async crash(random: Random): Promise<{ lost: number }> {
    this.#handle?.lose()
    this.#handle = undefined
    await this.#writing
    const lost = random.below(this.#unsynced.length + 1)
    for (let i = 0; i < lost; i++) {
      const undo = this.#unsynced.pop()
      if (undo !== undefined) await this.#rows.batch(undo, { durable: true })
    }
    this.#unsynced = []
    return { lost }
  }

  /** One batch at a time, so that each undo is taken against the rows it will restore. */
  #write(writes: readonly StoreWrite[], durable: boolean): Promise<void> {
    const batch = this.#writing.then(async () => {
      const undo: StoreWrite[] = []
      if (!durable) {
        for (const { table, key } of writes) {
          undo.push({ table, key, value: (await this.#rows.get(table, key)) ?? null })
        }
      }
      await this.#rows.batch(writes, { durable })
      if (durable) this.#unsynced = []
      else this.#unsynced.push(undo)
    })
    this.#writing = batch.catch(() => undefined)
    return batch
  }
}

/** One process's view of the disk, until the process is gone. */
class SimStore implements Store {
  readonly #rows: Store
  readonly #write: (writes: readonly StoreWrite[], durable: boolean) => Promise<void>
  #lost = false

  constructor(rows: Store, write: (writes: readonly StoreWrite[], durable: boolean) => Promise<void>) {
    this.#rows = rows
    this.#write = write
  }

  lose(): void {
    this.#lost = true
  }

  async get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#assertAlive()
    return this.#rows.get(table, key)
  }

  getSync(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#assertAlive()
    return this.#rows.getSync(table, key)
  }

  async getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertAlive()
    return this.#rows.getMany(table, keys)
  }

  async scan(table: Table, options: ScanOptions): Promise<StoreEntry[]> {
    this.#assertAlive()
    return this.#rows.scan(table, options)
  }

  async batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void> {
    this.#assertAlive()
    await this.#write(writes, options.durable)
  }

  async reopen(): Promise<void> {
    this.#assertAlive()
    await this.#rows.reopen()
  }

  async close(): Promise<void> {
    this.#lost = true
  }

  #assertAlive(): void {
    if (!this.#lost) return
    throw new ChrysalisError('unavailable', 'The process that held this store is gone; nothing was written', {
      hint: 'Open the disk again.'
    })
  }
}
