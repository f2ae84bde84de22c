/**
 * Record states between the store and the machine. Readers see only what is on disk: a group of writes works on copies
 * of its own, which replace the cached states once the batch is stored and are thrown away when it fails.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'
import { cloneRecord, emptyRecord, type RecordState } from '../memory/record.ts'
import { decodeRecord } from '../memory/record-codec.ts'
import type { Store } from '../ports/store.ts'
import type { RecordSource } from '../sync/replica.ts'
import { parseRecordValue, recordKey, type Arrival } from './rows.ts'

export interface StoredRecord {
  readonly state: RecordState
  readonly lastArrival: Arrival
}

const slot = (space: SpaceId, id: RecordId): string => space + id

export class Records {
  readonly #store: Store
  readonly #cache = new BoundedMap<string, StoredRecord>(LIMITS.recordCacheMax)
  /** Rows being read, by how many, with the state stored since: what comes back from the disk may be older. */
  readonly #reads = new Map<string, { readers: number; stored: StoredRecord | undefined }>()

  constructor(store: Store) {
    this.#store = store
  }

  async get(space: SpaceId, id: RecordId): Promise<StoredRecord | undefined> {
    const [record] = await this.getMany(space, [id])
    return record
  }

  /** Missing ones are undefined. The states belong to the cache: read, never change. */
  async getMany(space: SpaceId, ids: readonly RecordId[]): Promise<(StoredRecord | undefined)[]> {
    const found = ids.map((id) => this.#cache.get(slot(space, id)))
    const missing = ids.flatMap((_, index) => (found[index] === undefined ? [index] : []))
    if (missing.length === 0) return found
    const slots = missing.map((index) => slot(space, ids[index] as RecordId))
    for (const key of slots) this.#beginRead(key)
    try {
      const values = await this.#store.getMany(
        'record',
        missing.map((index) => recordKey(space, ids[index] as RecordId))
      )
      values.forEach((value, i) => {
        if (value === undefined) return
        found[missing[i] as number] = this.#newest(slots[i] as string, value)
      })
    } finally {
      for (const key of slots) this.#endRead(key)
    }
    return found
  }

  /** The state in a row just read, unless a newer one was stored while the read was under way. */
  #newest(key: string, row: Uint8Array): StoredRecord {
    const newer = this.#cache.get(key) ?? this.#reads.get(key)?.stored
    if (newer !== undefined) return newer
    const { lastArrival, state } = parseRecordValue(row)
    const record = { state: decodeRecord(state), lastArrival }
    this.#cache.set(key, record)
    return record
  }

  #beginRead(key: string): void {
    const read = this.#reads.get(key)
    if (read === undefined) this.#reads.set(key, { readers: 1, stored: undefined })
    else read.readers++
  }

  #endRead(key: string): void {
    const read = this.#reads.get(key)
    if (read !== undefined && --read.readers === 0) this.#reads.delete(key)
  }

  /**
   * A state that was changed here or elsewhere is on disk. One that others changed is kept only in the place of an older
   * one: what arrives by the thousand is not read by the thousand, and a decoded state takes kilobytes.
   */
  replace(space: SpaceId, id: RecordId, record: StoredRecord, own: boolean): void {
    const key = slot(space, id)
    if (own || this.#cache.has(key)) this.#cache.set(key, record)
    const read = this.#reads.get(key)
    if (read !== undefined) read.stored = record
  }

  /** The row was corrected behind the cache: read it again. */
  forget(space: SpaceId, id: RecordId): void {
    this.#cache.delete(slot(space, id))
  }

  clear(): void {
    this.#cache.clear()
  }
}

/** The copies that one group of writes works on. */
export class WorkingSet implements RecordSource {
  readonly #space: SpaceId
  readonly #fetched = new Map<RecordId, StoredRecord | undefined>()
  readonly #taken = new Map<RecordId, RecordState>()

  constructor(space: SpaceId) {
    this.#space = space
  }

  async fetch(ids: Iterable<RecordId>, records: Records): Promise<void> {
    const wanted = [...ids].filter((id) => !this.#fetched.has(id))
    const states = await records.getMany(this.#space, wanted)
    wanted.forEach((id, index) => this.#fetched.set(id, states[index]))
  }

  take(id: RecordId): RecordState {
    const taken = this.#taken.get(id)
    if (taken !== undefined) return taken
    const stored = this.#fetched.get(id)
    const state = stored === undefined ? emptyRecord(id) : cloneRecord(stored.state)
    this.#taken.set(id, state)
    return state
  }

  /** Forgets the group. */
  reset(): void {
    this.#fetched.clear()
    this.#taken.clear()
  }
}
