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
    const values = await this.#store.getMany(
      'record',
      missing.map((index) => recordKey(space, ids[index] as RecordId))
    )
    values.forEach((value, i) => {
      if (value === undefined) return
      const index = missing[i] as number
      const { lastArrival, state } = parseRecordValue(value)
      const record = { state: decodeRecord(state), lastArrival }
      found[index] = record
      // A write may have stored a newer state while this read was under way.
      const cached = this.#cache.get(slot(space, ids[index] as RecordId))
      if (cached === undefined) this.#cache.set(slot(space, ids[index] as RecordId), record)
      else found[index] = cached
    })
    return found
  }

  /**
   * A state that was changed here or elsewhere is on disk. One that others changed is kept only in the place of an older
   * one: what arrives by the thousand is not read by the thousand, and a decoded state takes kilobytes.
   */
  replace(space: SpaceId, id: RecordId, record: StoredRecord, own: boolean): void {
    const key = slot(space, id)
    if (own || this.#cache.has(key)) this.#cache.set(key, record)
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
