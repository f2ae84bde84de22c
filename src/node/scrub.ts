/**
 * A slow walk over everything on the disk, so that damage is found while peers still hold what was lost, and not when it
 * is first needed. A slice is one page of one table, read as it is: rows that fail their checksum are mended or
 * quarantined, deltas are hashed, and the tables are held against each other:
 *
 *   a delta has its rows of range, arrival, author and history      a row of range has its delta
 *   a delta that the set does not know enters by the common door    a row of arrival is known to range
 *   a row of history has its record                                 a row of range has a position
 *   a record has its links, and all that its history says           two deltas at one place in a chain have their proof
 *
 * One walk over the whole store takes about a day, a slice waits while there is other work, and the place is kept over a
 * restart. `run` does all of it at once. Right after a start a small sample is held against each other.
 * When damage was found that may have hidden something else, one round is made at once (`hurry`).
 */
import { bytesToUint, equalBytes, fromHex, fromUtf8, isHex, toHex, utf8 } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs } from '../memory/ids.ts'
import { decodeRecord } from '../memory/record-codec.ts'
import { equalRecords, joinRecords } from '../memory/record.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Random } from '../ports/random.ts'
import { keyAfter, TABLES, type Store, type StoreEntry, type StoreWrite, type Table } from '../ports/store.ts'
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
import { arrivalKey, deltaKey, META, parseRecordValue, recordKey } from './rows.ts'
import { pageEnd, scanSound } from './sound-scan.ts'
import type { SoundStore } from './sound-store.ts'

export interface ScrubPorts {
  /** As it is. */
  readonly store: Store
  readonly sound: SoundStore
  readonly quarantine: Quarantine
  readonly held: HeldSet
  readonly crypto: Hasher
  readonly suspect: RefoldPorts['suspect']
  readonly expects: RefoldPorts['expects']
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
  /** Deltas held in memory, to know how many rows there are to walk. */
  readonly deltas: () => number
  /** Nothing else has to be done just now. */
  readonly isIdle: () => boolean
  /** A sound delta that the set does not know. Resolves once it was judged: true when it belongs to a space of ours. */
  readonly admit: (delta: VerifiedDelta) => Promise<boolean>
  /** The tables contradict each other in a way that no row can mend. */
  readonly contradiction: () => Promise<void>
}

export interface ScrubReport {
  /** Rows read. */
  readonly rows: number
  /** Deltas whose hash was computed. */
  readonly deltas: number
  /** Rows that failed their checksum, deltas that failed their hash, by table. */
  readonly damaged: Readonly<Partial<Record<Table, number>>>
  /** Rows that should be there and were not, by table. */
  readonly missing: Readonly<Partial<Record<Table, number>>>
  /** Deltas that the set did not know. */
  readonly strays: number
  /** Records that lacked something their history says. */
  readonly partial: number
}

interface Place {
  readonly table: Table
  readonly after: Uint8Array | undefined
  readonly isHurried: boolean
}

interface Findings {
  rows: number
  deltas: number
  damaged: Partial<Record<Table, number>>
  missing: Partial<Record<Table, number>>
  strays: number
  partial: number
}

const SLICE_ROWS = 256
const DAY_MS = 86_400_000
/** However large the store is, there are pauses. */
const PAUSE_MS_MIN = 250
const BUSY_RETRY_MS = 1_000
/** Between the slices of a round that is made at once: so that other work has its turn. */
const HURRY_MS = 10
/** About so many rows belong to one delta. */
const ROWS_PER_DELTA = 7
/** The place is written down after so many slices, and at the stop. */
const SLICES_PER_NOTE = 16

export class Scrub {
  readonly #ports: ScrubPorts
  #table: Table = TABLES[0]
  #after: Uint8Array | undefined
  #findings = nothing()
  #slices = 0
  #moved = false
  #isHurried = false
  #cancel: (() => void) | undefined
  #slicing: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(ports: ScrubPorts) {
    this.#ports = ports
  }

  /** Goes on where the last run stopped. A sample is taken first. */
  async start(): Promise<void> {
    const place = await this.#readPlace()
    if (place !== undefined && !this.#isHurried) {
      this.#table = place.table
      this.#after = place.after
      this.#isHurried = place.isHurried
    }
    this.#schedule(PAUSE_MS_MIN, () => this.sample())
  }

  /** The whole store, now, beside everything else. What was found is mended or in the quarantine when it resolves. */
  async run(): Promise<ScrubReport> {
    const findings = nothing()
    for (const table of TABLES) {
      for (let after: Uint8Array | undefined; !this.#stopped;) {
        after = await this.#slice(table, after, findings)
        if (after === undefined) break
      }
    }
    await this.#ports.quarantine.confirm()
    await this.#ports.sound.mended()
    this.#report(findings)
    return findings
  }

  /** The newest deltas and some drawn by lot, held against the other tables. */
  async sample(): Promise<void> {
    const { store, random } = this.#ports
    const findings = nothing()
    const newest = await scanSound(store, 'range', { reverse: true, limit: SLICE_ROWS })
    this.#damaged('range', newest.damaged, findings)
    await this.#checkRange(newest.rows, findings)
    const [first] = await this.#firstRows('delta')
    if (first === undefined) return
    // Ids are hashes: any key of the space is as good a place to begin as any other.
    const from = first.key.slice()
    from.set(random.bytes(32), 16)
    await this.#slice('delta', from, findings)
    await this.#ports.quarantine.confirm()
    this.#report(findings)
  }

  /** A round over the whole store is under way because damage was found. */
  get isHurried(): boolean {
    return this.#isHurried
  }

  /** One round over the whole store, beginning now and without the long pauses. */
  hurry(): void {
    this.#table = TABLES[0]
    this.#after = undefined
    this.#isHurried = true
    // Before the start it is remembered; after it, the timer of the long pause is not worth waiting for.
    if (this.#cancel !== undefined) this.#schedule(HURRY_MS)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#slicing
    if (this.#moved) await this.#notePlace()
  }

  #schedule(delayMs: number, act: () => Promise<unknown> = () => this.#go()): void {
    if (this.#stopped) return
    const { clock, isIdle, logger } = this.#ports
    this.#cancel?.()
    this.#cancel = clock.setTimer(delayMs, () => {
      this.#cancel = undefined
      if (!isIdle()) return this.#schedule(BUSY_RETRY_MS, act)
      this.#slicing = act()
        .catch((error: unknown) =>
          logger.log(
            isChrysalisError(error, 'corrupt') ? 'warn' : 'debug',
            'a part of the store could not be checked',
            {
              table: this.#table,
              error: messageOf(error)
            }
          )
        )
        .finally(() => this.#schedule(this.#pauseMs()))
    })
  }

  #pauseMs(): number {
    if (this.#isHurried) return HURRY_MS
    const slices = Math.ceil((ROWS_PER_DELTA * this.#ports.deltas()) / SLICE_ROWS) + TABLES.length
    return Math.max(PAUSE_MS_MIN, Math.floor(DAY_MS / slices))
  }

  /** One slice of the walk. A table that cannot be read is left for the next round. */
  async #go(): Promise<void> {
    const [table, from] = [this.#table, this.#after]
    let after: Uint8Array | undefined
    try {
      after = await this.#slice(table, from, this.#findings)
    } finally {
      // Unless a new round was asked for meanwhile.
      if (this.#table === table && this.#after === from) this.#moveTo(table, after)
    }
    if (++this.#slices % SLICES_PER_NOTE === 0) await this.#notePlace()
  }

  #moveTo(table: Table, after: Uint8Array | undefined): void {
    this.#moved = true
    this.#after = after
    if (after !== undefined) return
    const next = TABLES[TABLES.indexOf(table) + 1]
    this.#table = next ?? TABLES[0]
    if (next !== undefined) return
    this.#isHurried = false
    this.#report(this.#findings)
    this.#findings = nothing()
  }

  /** Reads one page; returns where the next begins, undefined at the end of the table. */
  async #slice(table: Table, after: Uint8Array | undefined, findings: Findings): Promise<Uint8Array | undefined> {
    const page = await scanSound(this.#ports.store, table, {
      limit: SLICE_ROWS,
      ...(after === undefined ? {} : { gte: keyAfter(after) })
    })
    findings.rows += page.rows.length + page.damaged.length
    this.#damaged(table, page.damaged, findings)
    if (table === 'delta') await this.#checkDeltas(page.rows, findings)
    if (table === 'range') await this.#checkRange(page.rows, findings)
    if (table === 'arrival') await this.#checkArrival(page.rows, findings)
    if (table === 'history') await this.#checkHistory(page.rows, findings)
    if (table === 'record') await this.#checkRecords(page.rows, findings)
    if (table === 'author') await this.#checkAuthors(page.rows, after, findings)
    return page.ended ? undefined : pageEnd(page)
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

  #report(findings: ScrubReport): void {
    const { metrics, logger } = this.#ports
    metrics.count('chrysalis_node_scrubbed_rows_total', findings.rows)
    const { damaged, missing, strays, partial } = findings
    if (sum(damaged) + sum(missing) + strays + partial === 0) return
    logger.log('warn', 'the store was checked and was not whole', { damaged, missing, strays, partial })
  }

  async #firstRows(table: Table): Promise<readonly StoreEntry[]> {
    return (await scanSound(this.#ports.store, table, { limit: 1 })).rows
  }

  async #notePlace(): Promise<void> {
    const after = this.#after === undefined ? null : toHex(this.#after)
    const value = utf8(JSON.stringify({ table: this.#table, after, isHurried: this.#isHurried }))
    try {
      await this.#ports.store.batch([{ table: 'meta', key: META.scrub, value }], { durable: false })
      this.#moved = false
    } catch {
      // The walk begins anew then.
    }
  }

  async #readPlace(): Promise<Place | undefined> {
    try {
      const value = await this.#ports.sound.get('meta', META.scrub)
      if (value === undefined) return undefined
      const { table, after, isHurried } = JSON.parse(fromUtf8(value)) as Record<string, unknown>
      const known = TABLES.find((name) => name === table)
      if (known === undefined) return undefined
      const key = typeof after === 'string' && isHex(after) ? fromHex(after) : undefined
      return { table: known, after: key, isHurried: isHurried === true }
    } catch {
      return undefined
    }
  }
}

function nothing(): Findings {
  return { rows: 0, deltas: 0, damaged: {}, missing: {}, strays: 0, partial: 0 }
}

function count(by: Partial<Record<Table, number>>, table: Table, more = 1): void {
  by[table] = (by[table] ?? 0) + more
}

function sum(by: Partial<Record<Table, number>>): number {
  return Object.values(by).reduce((total, one) => total + one, 0)
}
