/**
 * What a damaged row of an index must have been. Every table but `delta` follows from something else on this disk, so a
 * row that fails its checksum is computed again from there; the key says which row it was, unless the damage is in the
 * key, and then nothing on the disk bears it out and the row is nothing but damage.
 *
 *   record    the fold of the deltas its history names          range    the arrival row that names it
 *   history   the delta: does it touch the record?              arrival  the range row that names it
 *   author    the delta: is this its place in the chain?        proof    the author rows of the position
 *   link      the record it comes from                          heads    the newest deltas of the space
 *   leaf, receipt, pending, audit, quarantine, embedding, the rest of meta: dropped. They are made again by their owners, or tell
 *   less (a peer counts as holding nothing, a delta held ahead of its time comes again with the next session).
 *
 * It reads and judges; writing is the business of node/sound-store.ts. A delta row is never made up here: peers have it
 * (node/repair.ts).
 */
import { compareText, toHex, uintBytes } from '../base/bytes.ts'
import { isChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { hlcMs, type DeltaId, type RecordId, type SpaceId } from '../memory/ids.ts'
import { decodeRecord, encodeRecord } from '../memory/record-codec.ts'
import type { RecordState } from '../memory/record.ts'
import type { Hasher } from '../ports/crypto.ts'
import { prefixEnd, type Store, type Table } from '../ports/store.ts'
import {
  headsRow,
  parseHistoryKey,
  parseRangeRowKey,
  readRows,
  spaceOfKey,
  touchedRecords,
  type DeltaRow
} from './derive.ts'
import { PositionSearch } from './position-search.ts'
import { refoldRecord } from './refold.ts'
import { encodeProofIds, META, parseAuthorKey, parseLinkKey, parseRecordValue, recordKey, recordValue } from './rows.ts'
import { scanSound } from './sound-scan.ts'

export type Mended =
  /** The value the row must have. */
  | { readonly mended: 'row'; readonly value: Uint8Array }
  /** There is no such row. */
  | { readonly mended: 'none' }
  /** It depends on a delta that cannot be read now. */
  | { readonly mended: 'later' }

export interface MendPorts {
  /** As it is, damage and all. */
  readonly store: Store
  readonly crypto: Hasher
  /** A delta that should be stored cannot be read. */
  readonly suspect: (space: SpaceId, id: DeltaId, ms?: number) => void
  /** Whether the set is known to hold this delta, wherever its rows are. Without `ms`, only what is quarantined is. */
  readonly expects: (space: SpaceId, id: DeltaId, ms?: number) => boolean
}

/** Keys of these tables have one length; a row with another is nothing but damage. */
const KEY_BYTES: { readonly [table in Table]?: number } = {
  delta: 48,
  range: 54,
  arrival: 8,
  author: 96,
  record: 48,
  history: 88,
  link: 81,
  proof: 64
}

const NONE: Mended = { mended: 'none' }
const LATER: Mended = { mended: 'later' }
const EMPTY: Mended = { mended: 'row', value: new Uint8Array(0) }

export class Mender {
  readonly #ports: MendPorts
  readonly #positions: PositionSearch

  constructor(ports: MendPorts) {
    this.#ports = ports
    this.#positions = new PositionSearch(ports.store)
  }

  /** What the row with this key must be, whatever is stored under it now. Rejects with the errors of the store. */
  async mend(table: Table, key: Uint8Array): Promise<Mended> {
    const bytes = KEY_BYTES[table]
    if (bytes !== undefined && key.length !== bytes) return NONE
    switch (table) {
      case 'record':
        return this.#record(key)
      case 'range':
        return this.#range(key)
      case 'arrival':
        return this.#arrival(key)
      case 'history':
        return this.#history(key)
      case 'author':
        return this.#author(key)
      case 'link':
        return this.#link(key)
      case 'proof':
        return this.#proof(key)
      case 'meta':
        return this.#meta(key)
      case 'leaf':
      case 'receipt':
      case 'pending':
      case 'audit':
      case 'quarantine':
      case 'embedding':
        return NONE
      case 'delta':
        return LATER
    }
  }

  async #record(key: Uint8Array): Promise<Mended> {
    const refolded = await refoldRecord(this.#ports, spaceOfKey(key), toHex(key.subarray(16, 48)))
    if (refolded.refolded === 'torn') return LATER
    if (refolded.refolded === 'none') return NONE
    const { lastArrival, state } = refolded.record
    return { mended: 'row', value: recordValue(lastArrival, encodeRecord(state)) }
  }

  /** In the set are those whose delta is there. One that is not is let go: anti-entropy brings back what is real. */
  async #range(key: Uint8Array): Promise<Mended> {
    const { space, ms, id } = parseRangeRowKey(key)
    const row = await this.#delta(space, id, ms)
    const isReal = row.row === 'sound' ? hlcMs(row.delta.header.hlc) === ms : this.#ports.expects(space, id, ms)
    if (!isReal) return NONE
    const arrival = await this.#positions.find('arrival', key)
    // Zero is before every position: one that is not known until the tables are rebuilt.
    return { mended: 'row', value: arrival ?? uintBytes(0, 8) }
  }

  async #arrival(key: Uint8Array): Promise<Mended> {
    const range = await this.#positions.find('range', key)
    return range === undefined ? NONE : { mended: 'row', value: range }
  }

  async #history(key: Uint8Array): Promise<Mended> {
    const { space, record, hlc, id } = parseHistoryKey(key)
    const row = await this.#delta(space, id, hlcMs(hlc))
    if (row.row !== 'sound') return this.#undecided(space, id, hlcMs(hlc), row)
    return row.delta.header.hlc === hlc && touchedRecords(this.#ports.crypto, row.delta).has(record) ? EMPTY : NONE
  }

  async #author(key: Uint8Array): Promise<Mended> {
    const space = spaceOfKey(key)
    const { author, epoch, seq, id } = parseAuthorKey(key)
    const row = await this.#delta(space, id)
    if (row.row !== 'sound') return this.#undecided(space, id, undefined, row)
    const { header } = row.delta
    return header.author === author && header.epoch === epoch && header.seq === seq ? EMPTY : NONE
  }

  /** A row that names a delta: nothing can be said while the delta is damaged; one that nobody knows of names none. */
  #undecided(space: SpaceId, id: DeltaId, ms: number | undefined, row: DeltaRow): Mended {
    return row.row !== 'missing' || this.#ports.expects(space, id, ms) ? LATER : NONE
  }

  async #delta(space: SpaceId, id: DeltaId, ms?: number): Promise<DeltaRow> {
    const [row] = await readRows(this.#ports, space, [id])
    if (row === undefined) return { row: 'missing' }
    if (row.row === 'checksum' || row.row === 'hash') this.#ports.suspect(space, id, ms)
    return row
  }

  async #link(key: Uint8Array): Promise<Mended> {
    const { relation, from } = parseLinkKey(key)
    const state = await this.#state(spaceOfKey(key), from)
    if (state === 'later') return LATER
    return state?.[relation]?.has(toHex(key.subarray(16, 48))) === true ? EMPTY : NONE
  }

  async #state(space: SpaceId, id: RecordId): Promise<RecordState | 'later' | undefined> {
    try {
      const value = await this.#ports.store.get('record', recordKey(space, id))
      return value === undefined ? undefined : decodeRecord(parseRecordValue(value).state)
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
    }
    const refolded = await refoldRecord(this.#ports, space, id)
    if (refolded.refolded === 'torn') return 'later'
    return refolded.refolded === 'whole' ? refolded.record.state : undefined
  }

  /** Every delta of one position is evidence; the proof names the least few. */
  async #proof(key: Uint8Array): Promise<Mended> {
    const end = prefixEnd(key)
    const ids = new Set<DeltaId>()
    const bounds = { gte: key, limit: 2 * LIMITS.proofIdsMax, ...(end === undefined ? {} : { lt: end }) }
    const page = await scanSound(this.#ports.store, 'author', bounds)
    for (const row of page.rows) ids.add(parseAuthorKey(row.key).id)
    if (ids.size < 2) return page.damaged.length > 0 ? LATER : NONE
    return { mended: 'row', value: encodeProofIds([...ids].sort(compareText).slice(0, LIMITS.proofIdsMax)) }
  }

  async #meta(key: Uint8Array): Promise<Mended> {
    const name = asciiOf(key)
    // Not ours: it says how to read all the others, and whoever opens the store answers for it.
    if (name === 'schema') return LATER
    // A mark that cannot be read is still a mark: the work is begun again.
    if (name === asciiOf(META.rebuilding)) return EMPTY
    // A list of opinions that was lost is not an empty list: nobody may become trusted by it (node/trust-book.ts).
    if (name === asciiOf(META.trust)) return EMPTY
    const space = /^heads\/([0-9a-f]{32})$/.exec(name)?.[1]
    if (space === undefined) return NONE
    const row = await headsRow(this.#ports, space)
    return row.value === null ? NONE : { mended: 'row', value: row.value }
  }
}

const asciiOf = (key: Uint8Array): string => String.fromCharCode(...key)
