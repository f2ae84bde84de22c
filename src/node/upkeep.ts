/**
 * What the engine does by the clock and for nobody in particular: admit held deltas when they fall due, tell reading
 * counts, write down write storms that have passed, and after a start offer again what no peer is known to hold.
 */
import { bytesToUint, fromHex, toHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { encodeDelta } from '../memory/delta-codec.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import { readSoundDeltas, type DeltaWatch } from './deltas.ts'
import { deltaImportance } from './importance.ts'
import type { ReadingCounts } from './reading-counts.ts'
import type { Records } from './records.ts'
import { arrivalKey } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { Storms } from './storms.ts'
import type { Writer } from './writer.ts'

export interface UpkeepPorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly logger: Logger
  readonly records: Records
  readonly spaces: Spaces
  readonly writer: Writer
  readonly readingCounts: ReadingCounts
  readonly storms: Storms
  readonly watch?: DeltaWatch
}

const STORM_CHECK_MS = 5_000
/** A held delta is looked at again at least this often: the wall clock may jump. */
const RELEASE_MS_MAX = 10_000
/** When the writer refused to release: soon, but not at once, because it may go on refusing for as long as the disk is full. */
const RELEASE_RETRY_MS = 1_000
/** Deltas offered again after a start; anti-entropy carries the rest. */
const OFFER_AGAIN_MAX = 1_000

export class Upkeep {
  readonly #ports: UpkeepPorts
  readonly #accessIntervalMs: number
  readonly #cancels = new Map<string, () => void>()
  readonly #acting = new Set<Promise<void>>()
  #stopped = false

  constructor(options: { accessIntervalMs: number }, ports: UpkeepPorts) {
    this.#accessIntervalMs = options.accessIntervalMs
    this.#ports = ports
  }

  start(): void {
    this.#every('access', this.#accessIntervalMs, () => this.#ports.readingCounts.tell())
    this.#every('storms', STORM_CHECK_MS, () => this.writeStorms(false))
    this.scheduleRelease()
  }

  #every(name: string, intervalMs: number, action: () => Promise<void>): void {
    if (this.#stopped) return
    const cancel = this.#ports.clock.setTimer(intervalMs, () => {
      this.#act(
        action()
          .catch((error: unknown) =>
            this.#ports.logger.log('warn', `upkeep: ${name} failed`, { error: messageOf(error) })
          )
          .finally(() => this.#every(name, intervalMs, action))
      )
    })
    this.#cancels.set(name, cancel)
  }

  #act(action: Promise<void>): void {
    const acting = action.finally(() => this.#acting.delete(acting))
    this.#acting.add(acting)
  }

  /** Call when something was held: the earliest may be due before the next look. */
  scheduleRelease(waitMsMin = 0): void {
    if (this.#stopped) return
    const { clock, spaces } = this.#ports
    let dueMs = Infinity
    for (const space of spaces.all) dueMs = Math.min(dueMs, space.replica.nextDueMs() ?? Infinity)
    this.#cancels.get('release')?.()
    if (dueMs === Infinity) return
    const waitMs = Math.min(RELEASE_MS_MAX, Math.max(waitMsMin, dueMs - clock.nowMs()))
    this.#cancels.set(
      'release',
      clock.setTimer(waitMs, () => this.#act(this.#release()))
    )
  }

  async #release(): Promise<void> {
    const nowMs = this.#ports.clock.nowMs()
    let waitMsMin = 0
    for (const space of this.#ports.spaces.all) {
      const dueMs = space.replica.nextDueMs()
      if (dueMs === undefined || dueMs > nowMs) continue
      try {
        await this.#ports.writer.submit(space, { input: 'tick' })
      } catch (error) {
        waitMsMin = RELEASE_RETRY_MS
        this.#ports.logger.log('debug', 'held deltas stay held', { error: messageOf(error) })
      }
    }
    this.scheduleRelease(waitMsMin)
  }

  /** Audit entries for storms that have passed; with `all`, for those still going on too. */
  async writeStorms(all: boolean): Promise<void> {
    const { clock, storms, records, store, logger } = this.#ports
    for (const storm of storms.passed(clock.nowMs(), all)) {
      const record = await records.get(storm.space, storm.record)
      const entry = { ...storm, version: record?.state.contentDeltas.size ?? 0 }
      logger.log('info', 'a write storm has passed', { ...entry })
      try {
        await storms.write(store, entry)
      } catch (error) {
        logger.log('warn', 'a write storm could not be written down', { error: messageOf(error) })
      }
    }
  }

  /** Own deltas that arrived after everything any peer is known to hold go back into the outbox. */
  async offerUnheld(space: Space): Promise<void> {
    const { store, clock } = this.#ports
    const rows = await store.scan('arrival', { gte: arrivalKey(space.receipts.furthest() + 1), limit: OFFER_AGAIN_MAX })
    const prefix = fromHex(space.id)
    const places = rows.flatMap((row) =>
      toHex(row.value.subarray(0, 16)) === toHex(prefix)
        ? [{ arrival: Number(bytesToUint(row.key)), id: toHex(row.value.subarray(22, 54)) }]
        : []
    )
    const deltas = await readSoundDeltas(
      this.#ports,
      space.id,
      places.map((place) => place.id)
    )
    deltas.forEach((delta, index) => {
      const place = places[index]
      if (delta === undefined || place === undefined || delta.header.author !== space.replica.author) return
      space.unoffered.add(delta.id, place.arrival)
      space.outbox.add({ id: delta.id, record: encodeDelta(delta) }, deltaImportance(delta), clock.monotonicMs())
    })
  }

  /** No timer fires any more. The returned promise waits for what is under way; it needs a writer that still answers. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const cancel of this.#cancels.values()) cancel()
    this.#cancels.clear()
    await Promise.all(this.#acting)
  }
}
