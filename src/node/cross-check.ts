/**
 * One page of one table, held against what the other tables say. What fails its checksum, or is not where it should be, is
 * reported to whoever can make it good: index rows to the store that mends them, deltas to the quarantine.
 *
 *   a delta has its rows of range, arrival, author and history      a row of range has its delta
 *   a delta that the set does not know enters by the common door    a row of arrival is known to range
 *   a row of history has its record                                 a row of range has a position
 *   a record has its links, and all that its history says           two deltas at one place in a chain have their proof
 *
 * Which page, and when, is decided in node/scrub.ts.
 */
import { bytesToUint, equalBytes, toHex } from '../base/bytes.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs } from '../memory/ids.ts'
import { decodeRecord } from '../memory/record-codec.ts'
import { equalRecords, joinRecords } from '../memory/record.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { StoreEntry, StoreWrite, Table } from '../ports/store.ts'
import {
  CHAIN_PLACE_BYTES,
  indexRows,
  linkRowsOf,
  parseHistoryKey,
  parseRangeRowKey,
  rangeRowOfDelta,
  spaceOfKey
} from './derive.ts'
import { soundRows } from './deltas.ts'
import type { HeldSet, Quarantine } from './quarantine.ts'
import { refoldRecord, type RefoldPorts } from './refold.ts'
import { arrivalKey, deltaKey, parseRecordValue, recordKey } from './rows.ts'
import type { SoundPage } from './sound-scan.ts'
import type { SoundStore } from './sound-store.ts'

/** `store` is read as it is, damage and all. */
export interface CrossCheckPorts extends RefoldPorts {
  readonly sound: SoundStore
  readonly quarantine: Quarantine
  readonly held: HeldSet
  /** A sound delta that the set does not know. Resolves once it was judged: true when it belongs to a space of ours. */
  readonly admit: (delta: VerifiedDelta) => Promise<boolean>
  /** The tables contradict each other in a way that no row can mend. */
  readonly contradiction: () => Promise<void>
}

type ByTable = Partial<Record<Table, number>>

/** What was found, page upon page. */
export interface Findings {
  /** Rows read. */
  rows: number
  /** Deltas whose hash was computed. */
  deltas: number
  /** Rows that failed their checksum, deltas that failed their hash, by table. */
  readonly damaged: ByTable
  /** Rows that should be there and were not, by table. */
  readonly missing: ByTable
  /** Deltas that the set did not know. */
  strays: number
  /** Records that lacked something their history says. */
  partial: number
}

export function noFindings(): Findings {
  return { rows: 0, deltas: 0, damaged: {}, missing: {}, strays: 0, partial: 0 }
}

export class CrossCheck {
  readonly #ports: CrossCheckPorts

  constructor(ports: CrossCheckPorts) {
    this.#ports = ports
  }

  /** `before`: the key of the row before the page, where there is one. Adds to the findings. */
  async page(table: Table, page: SoundPage, before: Uint8Array | undefined, findings: Findings): Promise<void> {
    findings.rows += page.rows.length + page.damaged.length
    this.#damaged(table, page.damaged, findings)
    if (table === 'delta') await this.#checkDeltas(page.rows, findings)
    if (table === 'range') await this.#checkRange(page.rows, findings)
    if (table === 'arrival') await this.#checkArrival(page.rows, findings)
    if (table === 'history') await this.#checkHistory(page.rows, findings)
    if (table === 'record') await this.#checkRecords(page.rows, findings)
    if (table === 'author') await this.#checkAuthors(page.rows, before, findings)
  }

  #damaged(table: Table, keys: readonly Uint8Array[], findings: Findings): void {
    if (keys.length > 0) count(findings.damaged, table, keys.length)
    for (const key of keys) this.#ports.sound.report(table, key)
  }

  /** Reports those of the rows that are not there. */
  async #expect(rows: readonly { table: Table; key: Uint8Array }[], findings: Findings): Promise<void> {
    for (const table of new Set(rows.map((row) => row.table))) {
      const keys = rows.filter((row) => row.table === table).map((row) => row.key)
      const found = await soundRows(this.#ports.store, table, keys)
      keys.forEach((key, index) => {
        if (found[index] !== undefined) return
        count(findings.missing, table)
        this.#ports.sound.report(table, key, 'missing')
      })
    }
  }

  async #checkDeltas(rows: readonly StoreEntry[], findings: Findings): Promise<void> {
    const { crypto, held, quarantine, admit } = this.#ports
    const deltas: VerifiedDelta[] = []
    for (const { key, value } of rows) {
      findings.deltas++
      const delta = restoreDelta(value, crypto)
      const space = spaceOfKey(key)
      const id = toHex(key.subarray(16))
      if (!delta.ok || delta.value.id !== id || delta.value.header.space !== space) {
        count(findings.damaged, 'delta')
        quarantine.suspect(space, id)
      } else if (held.has(space, hlcMs(delta.value.header.hlc), id)) deltas.push(delta.value)
      else if (await admit(delta.value)) findings.strays++
    }
    const expected = deltas.flatMap((delta) => [
      { table: 'range' as const, key: rangeRowOfDelta(delta) },
      ...indexRows(crypto, delta)
    ])
    await this.#expect(expected, findings)
  }

  async #checkRange(rows: readonly StoreEntry[], findings: Findings): Promise<void> {
    const { store, quarantine } = this.#ports
    const places = rows.map((row) => parseRangeRowKey(row.key))
    const deltas = await soundRows(
      store,
      'delta',
      places.map(({ space, id }) => deltaKey(space, id))
    )
    places.forEach(({ space, id, ms }, index) => {
      if (deltas[index] !== undefined) return
      count(findings.missing, 'delta')
      quarantine.suspect(space, id, ms)
    })
    const placed = rows.filter((row) => bytesToUint(row.value) > 0n)
    if (placed.length < rows.length) await this.#ports.contradiction()
    await this.#expect(
      placed.map((row) => ({ table: 'arrival', key: arrivalKey(Number(bytesToUint(row.value))) })),
      findings
    )
  }

  async #checkArrival(rows: readonly StoreEntry[], findings: Findings): Promise<void> {
    await this.#expect(
      rows.map((row) => ({ table: 'range', key: row.value })),
      findings
    )
  }

  async #checkHistory(rows: readonly StoreEntry[], findings: Findings): Promise<void> {
    const keys = new Map<string, Uint8Array>()
    for (const row of rows) {
      const { space, record } = parseHistoryKey(row.key)
      keys.set(space + record, recordKey(space, record))
    }
    await this.#expect(
      [...keys.values()].map((key) => ({ table: 'record', key })),
      findings
    )
  }

  async #checkRecords(rows: readonly StoreEntry[], findings: Findings): Promise<void> {
    const { sound } = this.#ports
    const links: StoreWrite[] = []
    for (const { key, value } of rows) {
      const state = decodeRecord(parseRecordValue(value).state)
      links.push(...linkRowsOf(spaceOfKey(key), state.id, state))
      const refolded = await refoldRecord(this.#ports, spaceOfKey(key), state.id)
      // Only what is lacking counts: a row of history may be the one that is gone.
      if (refolded.refolded !== 'whole' || equalRecords(state, joinRecords(state, refolded.record.state))) continue
      findings.partial++
      sound.complete(key)
    }
    await this.#expect(links, findings)
  }

  async #checkAuthors(rows: readonly StoreEntry[], before: Uint8Array | undefined, findings: Findings): Promise<void> {
    const proofs = new Map<string, Uint8Array>()
    let last = before?.subarray(0, CHAIN_PLACE_BYTES)
    for (const { key } of rows) {
      const place = key.subarray(0, CHAIN_PLACE_BYTES)
      if (last !== undefined && equalBytes(last, place)) proofs.set(toHex(place), place)
      last = place
    }
    await this.#expect(
      [...proofs.values()].map((key) => ({ table: 'proof', key })),
      findings
    )
  }
}

function count(by: ByTable, table: Table, more = 1): void {
  by[table] = (by[table] ?? 0) + more
}
