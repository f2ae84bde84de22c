/**
 * The store as the engine uses it: reads of an index row that fails its checksum answer with what the row must have been
 * (node/mend.ts), and the row is written anew behind. So nobody above has to know about damage: not the writer, whose
 * inputs need the record, not the restart, not a reader. A damaged row that nothing on this disk bears out is left out
 * and deleted. Damaged deltas are an error as before, or left out of a scan, and told to the quarantine.
 *
 * A damaged row in the wrong place means that another one is missing in the right place, which no reader can notice: then
 * the whole store is to be checked (`misplaced`).
 *
 * Only `record`, `proof` and the heads change over time. A mended row must never overtake a newer one, so it is dropped
 * when a batch writes that row meanwhile, and a batch waits for the mending that is just being written.
 */
import { compareBytes, toHex } from '../base/bytes.ts'
import { BoundedMap } from '../base/bounded-map.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { DeltaId, RecordId, SpaceId } from '../memory/ids.ts'
import { decodeRecord, encodeRecord } from '../memory/record-codec.ts'
import { joinRecords } from '../memory/record.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import { keyAfter, type ScanOptions, type Store, type StoreEntry, type StoreWrite, type Table } from '../ports/store.ts'
import { spaceOfKey } from './derive.ts'
import type { Mended, Mender } from './mend.ts'
import { parseRecordValue, recordValue } from './rows.ts'
import { pageEnd, scanSound } from './sound-scan.ts'

export interface SoundStorePorts {
  /** As it is. */
  readonly store: Store
  readonly mender: Mender
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  /** The row of a delta fails its checksum. */
  readonly suspect: (space: SpaceId, id: DeltaId) => void
  /** A damaged row turned out to be none: some other row is not where it should be. */
  readonly misplaced: () => void
  /** This record was written anew. */
  readonly rewritten: (space: SpaceId, id: RecordId) => void
}

interface Row {
  readonly table: Table
  readonly key: Uint8Array
  /** Damaged; or not there, though it should be; or sound, though it lacks something. */
  readonly fault: 'damaged' | 'missing' | 'partial'
}

/** Damage comes in clusters: rows found within this time are written together. */
const GATHER_MS = 50
const WRITES_MAX = 64

/** Whoever lost a row of these has more to tell than the row itself. */
const FOLLOWS_FROM_DELTAS: ReadonlySet<Table> = new Set([
  'delta',
  'range',
  'arrival',
  'author',
  'record',
  'history',
  'link'
])

const slotOf = (table: Table, key: Uint8Array): string => `${table}/${toHex(key)}`

export class SoundStore implements Store {
  readonly #ports: SoundStorePorts
  readonly #store: Store
  /** Rows to write anew, by slot. */
  readonly #queue = new Map<string, Row>()
  /** Rows that wait for a delta to come back. */
  readonly #later = new Map<string, Row>()
  /** Damaged rows that turned out to be none. */
  readonly #phantoms = new BoundedMap<string, true>(LIMITS.mendRowsMax)
  /** Slots being mended just now; a batch that writes one of them takes it out. */
  readonly #mending = new Set<string>()
  /** Mended rows on their way to the disk; never rejects. */
  #writing: Promise<void> | undefined
  readonly #batches = new Set<Promise<void>>()
  #cancel: (() => void) | undefined
  #flushing: Promise<void> | undefined
  #stopped = false

  constructor(ports: SoundStorePorts) {
    this.#ports = ports
    this.#store = ports.store
  }

  /** Rows known to be damaged and not yet written anew. */
  get damagedRows(): number {
    return this.#queue.size + this.#later.size
  }

  async get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.#store.get(table, key)
    } catch (error) {
      return this.#instead(table, key, error)
    }
  }

  /** Asked for leaves of the range tree only: whoever asks turns damage into a rebuild. */
  getSync(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#store.getSync(table, key)
  }

  async getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    try {
      return await this.#store.getMany(table, keys)
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
    }
    return Promise.all(keys.map((key) => this.get(table, key)))
  }

  async scan(table: Table, options: ScanOptions): Promise<StoreEntry[]> {
    try {
      return await this.#store.scan(table, options)
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
    }
    const rows: StoreEntry[] = []
    for (let rest = options; ;) {
      const page = await scanSound(this.#store, table, rest)
      const mended = await Promise.all(page.damaged.map((key) => this.#entry(table, key)))
      rows.push(...page.rows, ...mended.filter((row) => row !== undefined))
      const last = page.ended ? undefined : pageEnd(page)
      if (last === undefined || rows.length >= options.limit) break
      const bound = options.reverse === true ? { lt: last } : { gte: keyAfter(last) }
      rest = { ...options, ...bound, limit: options.limit - rows.length }
    }
    rows.sort((a, b) => (options.reverse === true ? compareBytes(b.key, a.key) : compareBytes(a.key, b.key)))
    return rows.slice(0, options.limit)
  }

  async batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.#mending.size > 0) for (const { table, key } of writes) this.#mending.delete(slotOf(table, key))
    const batch = this.#store.batch(writes, options)
    this.#batches.add(batch)
    try {
      await batch
    } finally {
      this.#batches.delete(batch)
    }
  }

  reopen(): Promise<void> {
    return this.#store.reopen()
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  /** A row was found damaged, or missing where it should be, by somebody who reads the store as it is. */
  report(table: Table, key: Uint8Array, fault: 'damaged' | 'missing' = 'damaged'): void {
    if (table === 'delta' && key.length === 48) this.#ports.suspect(spaceOfKey(key), toHex(key.subarray(16)))
    else this.#note({ table, key: key.slice(), fault })
  }

  /** The row of a record is sound, and lacks operations that its history has. */
  complete(key: Uint8Array): void {
    this.#note({ table: 'record', key: key.slice(), fault: 'partial' })
  }

  /** Deltas have come back: what waited for one may be mended now. */
  retry(): void {
    const rows = [...this.#later.values()]
    this.#later.clear()
    for (const row of rows) this.#note(row)
  }

  /** Resolves once everything noted so far was written anew or given up; for tests and for the stop. */
  async mended(): Promise<void> {
    while (this.#queue.size > 0 && !this.#stopped) await this.#flush()
    await this.#flushing
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#flushing
  }

  /** The value instead of a damaged one; rethrows what cannot be helped. */
  async #instead(table: Table, key: Uint8Array, error: unknown): Promise<Uint8Array | undefined> {
    if (!isChrysalisError(error, 'corrupt')) throw error
    this.report(table, key)
    if (table === 'delta') throw error
    const mended = await this.#ports.mender.mend(table, key)
    if (mended.mended === 'later') throw error
    return mended.mended === 'row' ? mended.value : undefined
  }

  async #entry(table: Table, key: Uint8Array): Promise<StoreEntry | undefined> {
    this.report(table, key)
    if (table === 'delta') return undefined
    const mended = await this.#ports.mender.mend(table, key)
    return mended.mended === 'row' ? { key, value: mended.value } : undefined
  }

  #note(row: Row): void {
    const slot = slotOf(row.table, row.key)
    if (this.#queue.has(slot) || this.#later.has(slot)) return
    if (this.#queue.size + this.#later.size >= LIMITS.mendRowsMax) return
    this.#queue.set(slot, row)
    this.#ports.metrics.count('chrysalis_node_damaged_rows_total')
    if (this.#cancel !== undefined || this.#stopped) return
    this.#cancel = this.#ports.clock.setTimer(GATHER_MS, () => {
      this.#cancel = undefined
      void this.mended()
    })
  }

  #flush(): Promise<void> {
    this.#flushing ??= this.#flushNow().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  async #flushNow(): Promise<void> {
    const rows = [...this.#queue].slice(0, WRITES_MAX)
    for (const [slot] of rows) {
      this.#queue.delete(slot)
      this.#mending.add(slot)
    }
    try {
      // A batch that was on its way before this mark has to be on the disk before anything is read.
      await Promise.allSettled(this.#batches)
      const settled = await Promise.all(rows.map(([slot, row]) => this.#settle(slot, row)))
      // From here to the call of `batch` nothing else runs: no newer row can come between.
      const writes = settled
        .filter((write) => write !== undefined)
        .filter((write) => this.#mending.has(slotOf(write.table, write.key)))
      if (writes.length > 0) await this.#write(writes)
    } catch (error) {
      this.#ports.logger.log('warn', 'damaged rows could not be written anew', { error: messageOf(error) })
    } finally {
      for (const [slot] of rows) this.#mending.delete(slot)
    }
  }

  /** The write that makes the row whole; undefined when it is whole already or has to wait. */
  async #settle(slot: string, row: Row): Promise<StoreWrite | undefined> {
    const { table, key } = row
    const stored = await this.#stored(table, key)
    if (stored instanceof Uint8Array && row.fault !== 'partial') return undefined
    const mended: Mended = await this.#ports.mender.mend(table, key)
    if (mended.mended === 'later') {
      this.#later.set(slot, row)
      return undefined
    }
    if (mended.mended === 'none') {
      if (row.fault === 'damaged') this.#phantom(slot, table)
      return stored === 'damaged' ? { table, key, value: null } : undefined
    }
    const value = stored instanceof Uint8Array ? joinedRecord(stored, mended.value) : mended.value
    return { table, key, value }
  }

  /** The database may go on handing it out, for as long as the file it stands in lives: once is enough. */
  #phantom(slot: string, table: Table): void {
    if (!FOLLOWS_FROM_DELTAS.has(table) || this.#phantoms.has(slot)) return
    this.#phantoms.set(slot, true)
    this.#ports.misplaced()
  }

  async #stored(table: Table, key: Uint8Array): Promise<Uint8Array | 'damaged' | 'missing'> {
    try {
      return (await this.#store.get(table, key)) ?? 'missing'
    } catch (error) {
      if (isChrysalisError(error, 'corrupt')) return 'damaged'
      throw error
    }
  }

  async #write(writes: readonly StoreWrite[]): Promise<void> {
    const { metrics, logger } = this.#ports
    const writing = this.#store.batch(writes, { durable: false })
    const settled = (): void => {
      this.#writing = undefined
    }
    this.#writing = writing.then(settled, settled)
    await writing
    const dropped = writes.filter((write) => write.value === null).length
    for (const { table, key, value } of writes) {
      if (table === 'record' && value !== null) this.#ports.rewritten(spaceOfKey(key), toHex(key.subarray(16)))
    }
    metrics.count('chrysalis_node_mended_rows_total', writes.length)
    const tables: Record<string, number> = {}
    for (const { table } of writes) tables[table] = (tables[table] ?? 0) + 1
    logger.log('warn', 'damaged rows were written anew', { ...tables, dropped })
  }
}

/** Both values of one record as one: what is stored and what its history says. Neither is ever the lesser for it. */
function joinedRecord(stored: Uint8Array, folded: Uint8Array): Uint8Array {
  const [a, b] = [parseRecordValue(stored), parseRecordValue(folded)]
  const state = joinRecords(decodeRecord(a.state), decodeRecord(b.state))
  return recordValue(Math.max(a.lastArrival, b.lastArrival), encodeRecord(state))
}
