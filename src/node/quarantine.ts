/**
 * Deltas that this daemon holds by name but not in fact: the set says they are here, their row is gone or fails its hash.
 * Whoever meets such a row says so (`suspect`). A suspicion is looked into a moment later, because the set in memory is
 * ahead of the disk while a group is being written; what is confirmed is kept here and in the table `quarantine`, until
 * peers have given it back (node/repair.ts).
 *
 * A damaged row under an id that the set does not hold is no delta of ours but damage done to a key, and is deleted: the
 * true id is missing then, and is found missing by itself. The number of entries is bounded; beyond it suspicions are
 * only counted, and the walk over the store finds them again when there is room.
 */
import { fromUtf8, toHex, utf8 } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { DeltaId, SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import { readRows, spaceOfKey, type DeltaRow } from './derive.ts'
import { deltaKey } from './rows.ts'
import { soundPages } from './sound-scan.ts'

export type Why = Exclude<DeltaRow['row'], 'sound'>

export interface Quarantined {
  readonly space: SpaceId
  readonly id: DeltaId
  /** Wall milliseconds of the delta's time: with the id, its place in the set. */
  readonly ms: number
  readonly why: Why
  readonly sinceMs: number
}

/** The set as it is in memory. */
export interface HeldSet {
  has(space: SpaceId, ms: number, id: DeltaId): boolean
  /** The times of those of the ids that the set holds. Walks over all of it. */
  locate(space: SpaceId, ids: ReadonlySet<DeltaId>): Promise<ReadonlyMap<DeltaId, number>>
}

export interface QuarantinePorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  readonly held: HeldSet
  /** So many deltas were found damaged just now. */
  readonly confirmed: (entries: readonly Quarantined[]) => void
  /** A damaged row turned out to be none of ours: some other row is not where it should be. */
  readonly misplaced: () => void
}

interface Suspect {
  readonly space: SpaceId
  readonly id: DeltaId
  readonly ms: number | undefined
}

/** Longer than a group of writes takes to reach the disk: what is not there then is not on its way. */
const CONFIRM_MS = 1_000
const PAGE_IDS = 256
const EVERYTHING = new Uint8Array(0)

export class Quarantine {
  readonly #ports: QuarantinePorts
  readonly #entries = new Map<string, Quarantined>()
  readonly #suspects = new Map<string, Suspect>()
  #beyond = 0
  #started = false
  #stopped = false
  #cancel: (() => void) | undefined
  #confirming: Promise<void> | undefined

  constructor(ports: QuarantinePorts) {
    this.#ports = ports
  }

  get size(): number {
    return this.#entries.size
  }

  /** Suspicions that found no room since the quarantine was last empty: a lower bound of what is damaged besides. */
  get beyond(): number {
    return this.#beyond
  }

  has(space: SpaceId, id: DeltaId): boolean {
    return this.#entries.has(space + id)
  }

  /** Oldest first; of one space, or of all. */
  entries(space?: SpaceId): Quarantined[] {
    return [...this.#entries.values()].filter((entry) => space === undefined || entry.space === space)
  }

  /** Reads back what was known before the restart. Call before anything else is. */
  async restore(): Promise<void> {
    const unreadable: StoreWrite[] = []
    for await (const page of soundPages(this.#ports.store, 'quarantine', EVERYTHING)) {
      for (const key of page.damaged) unreadable.push({ table: 'quarantine', key, value: null })
      for (const { key, value } of page.rows) {
        const entry = parseEntry(key, value)
        if (entry === undefined) unreadable.push({ table: 'quarantine', key, value: null })
        else if (this.#entries.size < LIMITS.quarantineDeltasMax) this.#entries.set(entry.space + entry.id, entry)
      }
    }
    // What they named is met again: by a reader, or by the walk over the store.
    await this.#write(unreadable)
    this.#gauge()
  }

  /** The set has been read back: suspicions can be judged from now on. Entries that hold no more are let go. */
  async start(): Promise<void> {
    this.#started = true
    const writes: StoreWrite[] = []
    for (const space of new Set(this.entries().map((entry) => entry.space))) {
      const entries = this.entries(space)
      for (let from = 0; from < entries.length; from += PAGE_IDS) {
        const page = entries.slice(from, from + PAGE_IDS)
        const rows = await readRows(
          this.#ports,
          space,
          page.map((entry) => entry.id)
        )
        page.forEach((entry, index) => {
          const isHeld = this.#ports.held.has(entry.space, entry.ms, entry.id)
          if (rows[index]?.row !== 'sound' && isHeld) return
          writes.push(this.release(entry.space, entry.id))
        })
      }
    }
    await this.#write(writes)
    this.cleared()
    this.#schedule()
  }

  /** The delta should be stored, and its row was not what it should be. */
  suspect(space: SpaceId, id: DeltaId, ms?: number): void {
    const slot = space + id
    if (this.#entries.has(slot) || this.#suspects.has(slot) || this.#stopped) return
    if (this.#entries.size + this.#suspects.size >= LIMITS.quarantineDeltasMax) {
      this.#beyond++
      this.#ports.metrics.count('chrysalis_node_quarantine_beyond_total')
      return
    }
    this.#suspects.set(slot, { space, id, ms })
    this.#schedule()
  }

  /** The row that takes the delta out of the table; the entry itself is gone at once. Say `cleared` when it is stored. */
  release(space: SpaceId, id: DeltaId): StoreWrite {
    this.#entries.delete(space + id)
    return { table: 'quarantine', key: deltaKey(space, id), value: null }
  }

  /** Undoes `release`: its batch was not stored. */
  keep(entry: Quarantined): void {
    this.#entries.set(entry.space + entry.id, entry)
  }

  /** Entries have gone. Returns whether the last one has, although there was more than found room. */
  cleared(): boolean {
    this.#gauge()
    if (this.#entries.size > 0) return false
    const more = this.#beyond > 0
    this.#beyond = 0
    return more
  }

  /** Resolves once every suspicion so far has been looked into; for tests and for the walk over the store. */
  async confirm(): Promise<void> {
    while (this.#suspects.size > 0 && !this.#stopped) {
      this.#confirming ??= this.#confirmNow().finally(() => {
        this.#confirming = undefined
      })
      await this.#confirming
    }
    await this.#confirming
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#confirming
  }

  #schedule(): void {
    if (!this.#started || this.#stopped || this.#cancel !== undefined || this.#suspects.size === 0) return
    this.#cancel = this.#ports.clock.setTimer(CONFIRM_MS, () => {
      this.#cancel = undefined
      void this.confirm()
    })
  }

  async #confirmNow(): Promise<void> {
    const suspects = [...this.#suspects.values()]
    try {
      const found: Quarantined[] = []
      const writes: StoreWrite[] = []
      for (const space of new Set(suspects.map((suspect) => suspect.space))) {
        const own = suspects.filter((suspect) => suspect.space === space)
        for (let from = 0; from < own.length; from += PAGE_IDS) {
          await this.#judge(space, own.slice(from, from + PAGE_IDS), found, writes)
        }
      }
      for (const entry of found) this.keep(entry)
      this.#gauge()
      if (found.length > 0) this.#tell(found)
      await this.#write(writes)
    } catch (error) {
      this.#ports.logger.log('warn', 'damaged deltas could not be looked at', { error: messageOf(error) })
    } finally {
      for (const { space, id } of suspects) this.#suspects.delete(space + id)
    }
  }

  async #judge(
    space: SpaceId,
    suspects: readonly Suspect[],
    found: Quarantined[],
    writes: StoreWrite[]
  ): Promise<void> {
    const { held, clock } = this.#ports
    const rows = await readRows(
      this.#ports,
      space,
      suspects.map((suspect) => suspect.id)
    )
    const bad = suspects.flatMap((suspect, index) => {
      const row = rows[index]
      return row === undefined || row.row === 'sound' ? [] : [{ ...suspect, why: row.row }]
    })
    const undated = new Set(bad.flatMap(({ ms, id }) => (ms === undefined ? [id] : [])))
    const times = undated.size === 0 ? new Map<DeltaId, number>() : await held.locate(space, undated)
    for (const { id, ms: named, why } of bad) {
      const ms = named ?? times.get(id)
      if (ms !== undefined && held.has(space, ms, id)) {
        const entry = { space, id, ms, why, sinceMs: clock.nowMs() }
        found.push(entry)
        writes.push({ table: 'quarantine', key: deltaKey(space, id), value: encodeEntry(entry) })
      } else if (why !== 'missing') {
        writes.push({ table: 'delta', key: deltaKey(space, id), value: null })
        this.#ports.misplaced()
      }
    }
  }

  /** Never rejects: in memory they are known, and after a restart they are found again. */
  async #write(writes: readonly StoreWrite[]): Promise<void> {
    if (writes.length === 0) return
    try {
      await this.#ports.store.batch(writes, { durable: false })
    } catch (error) {
      this.#ports.logger.log('warn', 'the quarantine could not be written down', { error: messageOf(error) })
    }
  }

  #tell(found: readonly Quarantined[]): void {
    const { metrics, logger, confirmed } = this.#ports
    metrics.count('chrysalis_node_quarantined_total', found.length)
    const [first] = found
    logger.log('warn', 'stored deltas are damaged and will be fetched from peers', {
      deltas: found.length,
      ...(first === undefined ? {} : { delta: first.id, space: first.space, why: first.why })
    })
    confirmed(found)
  }

  #gauge(): void {
    this.#ports.metrics.gauge('chrysalis_node_quarantine_deltas', this.#entries.size)
  }
}

function encodeEntry({ why, sinceMs, ms }: Quarantined): Uint8Array {
  return utf8(JSON.stringify({ why, sinceMs, ms }))
}

const WHYS: readonly string[] = ['missing', 'checksum', 'hash'] satisfies Why[]

function parseEntry(key: Uint8Array, value: Uint8Array): Quarantined | undefined {
  if (key.length !== 48) return undefined
  try {
    const { why, sinceMs, ms } = JSON.parse(fromUtf8(value)) as Record<string, unknown>
    if (typeof why !== 'string' || !WHYS.includes(why) || typeof sinceMs !== 'number' || typeof ms !== 'number') {
      return undefined
    }
    return { space: spaceOfKey(key), id: toHex(key.subarray(16)), ms, why: why as Why, sinceMs }
  } catch {
    return undefined
  }
}
