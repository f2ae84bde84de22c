/**
 * A slow walk over everything on the disk, so that damage is found while peers still hold what was lost, and not when it
 * is first needed. A slice is one page of one table, read as it is: rows that fail their checksum are mended or
 * quarantined, deltas are hashed, and the tables are held against each other (node/cross-check.ts).
 *
 * One walk over the whole store takes about a day, a slice waits while there is other work, and the place is kept over a
 * restart. `run` does all of it at once. Right after a start a small sample is looked at. When damage was found that may
 * have hidden something else, one round is made without the long pauses (`hurry`).
 */
import { fromHex, fromUtf8, isHex, toHex, utf8 } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Random } from '../ports/random.ts'
import { keyAfter, TABLES, type StoreEntry, type Table } from '../ports/store.ts'
import { CrossCheck, noFindings, type CrossCheckPorts, type Findings } from './cross-check.ts'
import { META } from './rows.ts'
import { pageEnd, scanSound } from './sound-scan.ts'

export interface ScrubPorts extends CrossCheckPorts {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly logger: Logger
  /** Deltas held in memory, to know how many rows there are to walk. */
  readonly deltas: () => number
  /** Nothing else has to be done just now. */
  readonly isIdle: () => boolean
}

export type ScrubReport = Readonly<Findings>

interface Place {
  readonly table: Table
  readonly after: Uint8Array | undefined
  readonly isHurried: boolean
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
  readonly #check: CrossCheck
  #table: Table = TABLES[0]
  #after: Uint8Array | undefined
  #findings = noFindings()
  #slices = 0
  #moved = false
  #isHurried = false
  #cancel: (() => void) | undefined
  #slicing: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(ports: ScrubPorts) {
    this.#ports = ports
    this.#check = new CrossCheck(ports)
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
    const findings = noFindings()
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
    const findings = noFindings()
    const newest = await scanSound(store, 'range', { reverse: true, limit: SLICE_ROWS })
    await this.#check.page('range', newest, undefined, findings)
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
    this.#findings = noFindings()
  }

  /** Reads one page; returns where the next begins, undefined at the end of the table. */
  async #slice(table: Table, after: Uint8Array | undefined, findings: Findings): Promise<Uint8Array | undefined> {
    const page = await scanSound(this.#ports.store, table, {
      limit: SLICE_ROWS,
      ...(after === undefined ? {} : { gte: keyAfter(after) })
    })
    await this.#check.page(table, page, after, findings)
    return page.ended ? undefined : pageEnd(page)
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

function sum(by: Partial<Record<Table, number>>): number {
  return Object.values(by).reduce((total, one) => total + one, 0)
}
