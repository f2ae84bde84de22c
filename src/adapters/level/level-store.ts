/**
 * The durable store on any abstract-level database: LevelDB (`level`) in the daemon, an in-memory one in tests.
 *
 * Every value is written as `checksum ‖ payload`, the checksum being over the physical key and the payload, because
 * LevelDB was seen to return a table with a flipped bit as if it were right: a row that fails its checksum is an error,
 * never an answer. A batch is one LevelDB batch, so it is never torn; with `durable` LevelDB syncs its log before it
 * answers, without it a power cut may lose the newest batches (LevelDB replays its log in order: a suffix, no holes).
 *
 * One failed write stops all later ones until `reopen`. LevelDB itself is not consistent about that, and a record
 * appended after a half-written one would be dropped when the log is replayed. A batch of which only the sync failed was
 * seen to be back after reopening, because its bytes were in the log: whoever signs things reads its own heads again.
 *
 * It does not retry, repair, copy or create anew: those are decisions of whoever opens it.
 */
import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { assert } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import {
  keyAfter,
  type ScanOptions,
  type Store,
  type StoreEntry,
  type StoreWrite,
  type Table
} from '../../ports/store.ts'
import { prepareDirectory } from './directory.ts'
import { logicalKey, physicalKey, tableEnd } from './keyspace.ts'
import { DOCTOR_HINT, levelError } from './level-errors.ts'
import { openRow, sealBatch, type LevelOperation } from './sealed-rows.ts'

/** Rows that are read on the event loop, and for how long: an answer shows ten memories, a session asks for thousands. */
const ON_THE_SPOT_ROWS_MAX = 32
const ON_THE_SPOT_MS = 2

interface ViewEncodings {
  readonly keyEncoding: 'view'
  readonly valueEncoding: 'view'
}

const VIEWS: ViewEncodings = { keyEncoding: 'view', valueEncoding: 'view' }

/** Of physical keys: `gte` up to, not including, `lt`. */
interface Range {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly reverse: boolean
  readonly limit: number
}

/** The part of abstract-level that the store needs; both `level` and `memory-level` have it. */
export interface LevelDatabase {
  /** `open` once it can be read. */
  readonly status: string
  open(options: { createIfMissing: boolean }): Promise<void>
  close(): Promise<void>
  get(key: Uint8Array, options: ViewEncodings): Promise<Uint8Array | undefined>
  getSync(key: Uint8Array, options: ViewEncodings): Uint8Array | undefined
  getMany(keys: Uint8Array[], options: ViewEncodings): Promise<(Uint8Array | undefined)[]>
  iterator(options: ViewEncodings & Range & { readonly highWaterMarkBytes: number }): {
    nextv(size: number): Promise<[Uint8Array, Uint8Array][]>
    seek(target: Uint8Array, options: { keyEncoding: 'view' }): void
    close(): Promise<void>
  }
  batch(operations: LevelOperation[], options: ViewEncodings & { sync: boolean }): Promise<void>
}

export interface LevelStoreParts {
  /** What messages call the store, a path or `memory`. */
  readonly name: string
  /** Asked before `reopen` closes anything; a rejection leaves the store as it is, still readable. */
  readonly beforeReopen?: () => Promise<void>
  /** Told when the database itself, not the checksum of a row, says that its files are damaged. Must not throw. */
  readonly onDamage?: (error: ChrysalisError) => void
}

export interface LevelStoreOptions {
  readonly onDamage?: (error: ChrysalisError) => void
  /** The directory is known to hold a database: anything else there is `corrupt`, and nothing is created. */
  readonly mustExist?: boolean
  /** Bytes; small only in tests, where a table should be written early. */
  readonly writeBufferBytes?: number
  readonly openFilesMax?: number
}

/**
 * The Store on a database that is open or opening. The store owns it from now on and closes it.
 * Errors: see ports/store.ts. After `close`, every method rejects with `unavailable`.
 */
export function createLevelStore(database: LevelDatabase, parts: LevelStoreParts): Store {
  return new LevelStore(database, parts)
}

class LevelStore implements Store {
  readonly #database: LevelDatabase
  readonly #parts: LevelStoreParts
  #closed = false
  /** Why writes are refused; cleared by a successful `reopen`. */
  #writeFailure: ChrysalisError | undefined
  /** Why nothing works: a `reopen` closed the database and could not open it again. */
  #openFailure: ChrysalisError | undefined
  #reopening: Promise<void> | undefined

  constructor(database: LevelDatabase, parts: LevelStoreParts) {
    this.#database = database
    this.#parts = parts
  }

  async get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
    const physical = physicalKey(table, key)
    const row = await this.#attempt('reading', () => this.#database.get(physical, VIEWS), table, key)
    return row === undefined ? undefined : this.#payload(table, physical, row)
  }

  getSync(table: Table, key: Uint8Array): Uint8Array | undefined {
    const physical = physicalKey(table, key)
    this.#refuseWhenUnusable()
    let row: Uint8Array | undefined
    try {
      row = this.#database.getSync(physical, VIEWS)
    } catch (error) {
      throw this.#failure(error, 'reading', table, key)
    }
    return row === undefined ? undefined : this.#payload(table, physical, row)
  }

  async getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const physical = keys.map((key) => physicalKey(table, key))
    const rows = await this.#attempt('reading', () => this.#rows(physical))
    return rows.map((row, i) => (row === undefined ? undefined : this.#payload(table, physical[i] as Uint8Array, row)))
  }

  /**
   * A few rows are read on the spot: from the page cache ten of them take a tenth of a millisecond, while a trip through
   * a thread of the pool takes twice that, and a tick of the scheduler when the processors are busy. A disk that keeps
   * us waiting is asked for the rest in the background.
   */
  async #rows(physical: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const rows: (Uint8Array | undefined)[] = []
    if (physical.length <= ON_THE_SPOT_ROWS_MAX && this.#isOpen) {
      const endsMs = performance.now() + ON_THE_SPOT_MS
      for (const key of physical) {
        if (performance.now() >= endsMs) break
        rows.push(this.#database.getSync(key, VIEWS))
      }
    }
    if (rows.length === physical.length) return rows
    return rows.concat(await this.#database.getMany(physical.slice(rows.length), VIEWS))
  }

  /** Synchronous reads wait for nobody, so there are none before the database is open or while it opens again. */
  get #isOpen(): boolean {
    return this.#database.status === 'open' && this.#reopening === undefined
  }

  async scan(table: Table, options: ScanOptions): Promise<StoreEntry[]> {
    const { limit } = options
    assert(Number.isSafeInteger(limit) && limit >= 0, 'a scan has a whole limit')
    const range = {
      gte: physicalKey(table, options.gte ?? new Uint8Array(0)),
      lt: options.lt === undefined ? tableEnd(table) : physicalKey(table, options.lt),
      reverse: options.reverse ?? false,
      limit
    }
    if (limit === 0) return []
    const entries: StoreEntry[] = []
    for (const [physical, row] of await this.#attempt('reading', () => this.#page(range))) {
      const value = options.onDamaged === undefined ? this.#payload(table, physical, row) : openRow(physical, row)
      if (value === undefined) options.onDamaged?.(logicalKey(physical), entries.length)
      else entries.push({ key: logicalKey(physical), value })
    }
    return entries
  }

  /**
   * LevelDB steps over a block it cannot read and says so only where its iterator ends; a page that is full ends earlier.
   * So a full page is followed by a look beyond the range, where the iterator has to answer. That look passes the ends of
   * every table: if it fails, the page itself is read again, bounded by its own last row.
   */
  async #page(range: Range): Promise<[Uint8Array, Uint8Array][]> {
    const highWaterMarkBytes = LIMITS.storeReadAheadBytesMax
    const iterator = this.#database.iterator({ ...VIEWS, ...range, limit: range.limit + 1, highWaterMarkBytes })
    try {
      const rows: [Uint8Array, Uint8Array][] = []
      while (rows.length < range.limit) {
        const more = await iterator.nextv(range.limit - rows.length)
        if (more.length === 0) return rows
        rows.push(...more)
      }
      iterator.seek(range.lt, { keyEncoding: 'view' })
      try {
        await iterator.nextv(1)
        return rows
      } catch (error) {
        const failure = levelError(error, `reading ${this.#parts.name}`)
        if (failure.code !== 'corrupt') throw error
        this.#parts.onDamage?.(failure)
      }
      const last = (rows.at(-1) as [Uint8Array, Uint8Array])[0]
      const exact = range.reverse ? { ...range, gte: last } : { ...range, lt: keyAfter(last) }
      return await this.#page({ ...exact, limit: range.limit + 1 })
    } finally {
      await iterator.close()
    }
  }

  async batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void> {
    const operations = sealBatch(writes)
    this.#refuseWriteAfterFailure()
    try {
      await this.#attempt('writing', () => this.#database.batch(operations, { ...VIEWS, sync: options.durable }))
    } catch (error) {
      // A store that is closed on purpose has not failed; anything else ends writing until it is reopened.
      if (!this.#closed && isChrysalisError(error)) this.#writeFailure ??= error
      throw error
    }
  }

  async reopen(): Promise<void> {
    this.#reopening ??= this.#closeAndOpen().finally(() => {
      this.#reopening = undefined
    })
    await this.#reopening
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // An open that is under way must not outlive the close.
    await this.#reopening?.catch(() => undefined)
    try {
      await this.#database.close()
    } catch (error) {
      throw levelError(error, `closing ${this.#parts.name}`)
    }
  }

  async #closeAndOpen(): Promise<void> {
    this.#refuseWhenClosed()
    await this.#parts.beforeReopen?.()
    const act = `reopening ${this.#parts.name}`
    try {
      await this.#database.close()
      await this.#database.open({ createIfMissing: false })
    } catch (error) {
      this.#openFailure = levelError(error, act)
      throw this.#openFailure
    }
    this.#openFailure = undefined
    this.#writeFailure = undefined
  }

  async #attempt<T>(act: string, operation: () => Promise<T>, table?: Table, key?: Uint8Array): Promise<T> {
    this.#refuseWhenUnusable()
    try {
      return await operation()
    } catch (error) {
      throw this.#failure(error, act, table, key)
    }
  }

  #refuseWhenUnusable(): void {
    this.#refuseWhenClosed()
    if (this.#openFailure !== undefined) throw this.#openFailure
  }

  #failure(error: unknown, act: string, table?: Table, key?: Uint8Array): ChrysalisError {
    const row = table === undefined || key === undefined ? undefined : { table, key: toHex(key) }
    const failure = levelError(error, `${act} ${this.#parts.name}`, row)
    if (failure.code === 'corrupt' && !this.#closed) this.#parts.onDamage?.(failure)
    return failure
  }

  #payload(table: Table, physical: Uint8Array, row: Uint8Array): Uint8Array {
    const payload = openRow(physical, row)
    if (payload !== undefined) return payload
    const key = toHex(physical.subarray(1))
    throw new ChrysalisError('corrupt', `a row of table ${table} fails its checksum, key ${key}`, {
      hint: DOCTOR_HINT,
      data: { table, key }
    })
  }

  #refuseWhenClosed(): void {
    if (!this.#closed) return
    throw new ChrysalisError('unavailable', `the store ${this.#parts.name} is closed; nothing was read or written`, {
      hint: 'The daemon is stopping. Start it again.',
      retryable: false
    })
  }

  #refuseWriteAfterFailure(): void {
    const cause = this.#writeFailure
    if (cause === undefined || this.#closed) return
    throw new ChrysalisError(cause.code, `not written, because an earlier write failed: ${cause.message}`, {
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      cause
    })
  }
}

/**
 * Opens or creates the LevelDB database in `directory`, which becomes private to its owner (mode 0700 whatever the
 * umask). Rejects with `home_locked` when another process or handle has it, `corrupt` when a database was there and is
 * not whole (the directory is then left untouched), `disk_full`, `permissions` or `unavailable`.
 */
export async function openLevelStore(directory: string, options: LevelStoreOptions = {}): Promise<Store> {
  const act = `opening ${directory}`
  const writeBufferBytes = options.writeBufferBytes ?? LIMITS.storeWriteBufferBytes
  let database: Level<Uint8Array, Uint8Array>
  try {
    const { exists } = await prepareDirectory(directory, options.mustExist ?? false)
    database = new Level<Uint8Array, Uint8Array>(directory, {
      ...VIEWS,
      createIfMissing: !exists,
      writeBufferSize: writeBufferBytes,
      maxOpenFiles: options.openFilesMax ?? LIMITS.storeOpenFilesMax
    })
    await database.open()
  } catch (error) {
    throw levelError(error, act)
  }
  return createLevelStore(database, {
    name: directory,
    beforeReopen: () => requireSpace(directory, writeBufferBytes),
    ...(options.onDamage === undefined ? {} : { onDamage: options.onDamage })
  })
}

/**
 * Opening replays the logs into tables, which needs as much room as they have; on a full disk it fails, and with it all
 * reads. Better to stay half alive until there is room for the tables and for the log that follows them.
 */
async function requireSpace(directory: string, writeBufferBytes: number): Promise<void> {
  const freeBytes = await freeBytesAt(directory)
  const neededBytes = (await replayBytes(directory)) + writeBufferBytes
  if (freeBytes >= neededBytes) return
  throw new ChrysalisError('disk_full', `${freeBytes} bytes are free and reopening the store needs ${neededBytes}`, {
    hint: 'Free some space on this disk. Reading still works meanwhile.',
    data: { freeBytes, neededBytes }
  })
}

async function freeBytesAt(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** Bytes that opening the database in `directory` will write at least: its logs as tables, and some small files. */
export async function replayBytes(directory: string): Promise<number> {
  let bytes = OPENING_BYTES
  for (const name of await readdir(directory)) {
    if (/^\d+\.log$/.test(name)) bytes += (await stat(join(directory, name))).size
  }
  return bytes
}

/** For a new MANIFEST, CURRENT and the diary. */
const OPENING_BYTES = 262_144
