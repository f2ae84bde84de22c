/**
 * Keeps the recall index in step with the records, behind the write path: a commit only notes which records changed.
 *
 * Two queues. What was written here or gossiped is *fresh*: a search first puts it all in, so that a reader on this
 * daemon always finds what was acknowledged to it. What sessions bring is *backlog*: a search waits for a little of it,
 * and answers `partial` in front of a mountain. Both are worked off in short slices while nothing else wants the loop; as
 * long as deltas or writes are coming in they wait, up to a bound, because a newcomer should hold the set before it
 * indexes it.
 *
 * After a start the whole store is read back in; until that is done answers say `partial`.
 */
import { fromHex, toHex } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import { decodeRecord } from '../memory/record-codec.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'
import { RecallIndex } from '../recall/recall-index.ts'
import type { Ballots } from './ballots.ts'
import type { Items } from './items.ts'
import { recallDocOf } from './recall-docs.ts'
import type { Records, StoredRecord } from './records.ts'
import type { Repeats } from './repeats.ts'
import { bounded } from './restore.ts'
import { parseRecordValue, type Arrival } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { TrustJudge } from './trust-judge.ts'
import { keyAfter, prefixEnd } from '../ports/store.ts'

/** Hears which text each record shows, as soon as the index knows it. */
export interface TextListener {
  /** `content`: null when there is nothing to be found by, as in a retracted record. */
  put(space: Space, id: RecordId, content: string | null): void
  removed(space: Space, id: RecordId): void
}

/** Hears which state each record is in, as soon as the index knows it. */
export interface StateListener {
  put(space: Space, id: RecordId, state: Arrival, doc: RecallDoc): void
  removed(space: Space, id: RecordId): void
}

export interface IndexerPorts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly records: Records
  readonly items: Items
  readonly ballots: Ballots
  readonly judge: TrustJudge
  readonly repeats?: Repeats
  readonly texts?: TextListener | undefined
  readonly states?: StateListener | undefined
  /** Whether deltas or writes are on their way to the disk: they come first. Default: never. */
  readonly isBusy?: () => boolean
}

/** Milliseconds of indexing between two turns of other work. */
const SLICE_MS = 4
const FIRST_SLICE_MS = 5
/** How long to leave the loop to what comes first before asking again. */
const BUSY_PAUSE_MS = 20
/** A rebuild gives way for so long before each page, then goes on: a busy daemon is to have an index too. */
const BUSY_PAUSES_MAX = 25
const TURN_RECORDS = 64
const REBUILD_PAGE_ROWS = 200
/** Fresh states kept for the index, some kilobytes each; the others are read back. */
const STATES_KEPT_MAX = 512

/** What waits to be indexed of one space; two spaces may hold a record of the same id. */
interface Waiting {
  readonly space: Space
  /** With the state that was stored, when it was kept. */
  readonly fresh: Map<RecordId, StoredRecord | undefined>
  readonly backlog: Set<RecordId>
}

interface Turn {
  readonly space: Space
  readonly ids: readonly RecordId[]
  readonly states: readonly (StoredRecord | undefined)[]
}

export class Indexer {
  readonly index = new RecallIndex()
  readonly #ports: IndexerPorts
  readonly #waiting = new Map<string, Waiting>()
  #fresh = 0
  #backlog = 0
  #statesKept = 0
  readonly #recordCounts = new Map<string, number>()
  #cancelSlice: (() => void) | undefined
  #turning: Promise<number> | undefined
  /** Records taken out of the queues and not in the index yet. */
  #inTurn = 0
  #turnIds: readonly RecordId[] = []
  #rebuilding: Promise<void> | undefined
  #complete = false
  #stopped = false

  constructor(ports: IndexerPorts) {
    this.#ports = ports
  }

  get complete(): boolean {
    return this.#complete
  }

  get behind(): number {
    return this.#fresh + this.#backlog + this.#inTurn
  }

  /** Whether a record that is not in the index may be stored all the same, and on its way. */
  awaits(space: string, id: RecordId): boolean {
    if (!this.#complete || this.#turnIds.includes(id)) return true
    const waiting = this.#waiting.get(space)
    return waiting !== undefined && (waiting.fresh.has(id) || waiting.backlog.has(id))
  }

  /** Records of the space that have content to show. */
  recordCount(space: string): number {
    return this.#recordCounts.get(space) ?? 0
  }

  /** The record was stored anew; it will be indexed when there is time. */
  note(space: Space, id: RecordId): void {
    const waiting = this.#waitingOf(space)
    if (waiting.fresh.has(id)) this.noteFresh(space, id, undefined)
    else this.#addToBacklog(waiting, id)
    this.#schedule(FIRST_SLICE_MS)
  }

  /** As `note`, for what the next search must find. `state`: as it was stored, so that it need not be read back. */
  noteFresh(space: Space, id: RecordId, state: StoredRecord | undefined): void {
    const waiting = this.#waitingOf(space)
    if (waiting.backlog.delete(id)) this.#backlog--
    if (waiting.fresh.get(id) !== undefined) this.#statesKept--
    else if (!waiting.fresh.has(id)) this.#fresh++
    const kept = state !== undefined && this.#statesKept < STATES_KEPT_MAX ? state : undefined
    if (kept !== undefined) this.#statesKept++
    waiting.fresh.set(id, kept)
    this.#schedule(FIRST_SLICE_MS)
  }

  #waitingOf(space: Space): Waiting {
    let waiting = this.#waiting.get(space.id)
    if (waiting === undefined) {
      waiting = { space, fresh: new Map(), backlog: new Set() }
      this.#waiting.set(space.id, waiting)
    }
    return waiting
  }

  /** Votes have ceased to count: what was validated may be so no more. */
  recheckValidated(spaces: Spaces): void {
    const everything = { validatedOnly: true, includeExpired: true, includeRetracted: true, includeSuperseded: true }
    for (const doc of this.index.list(everything, { limit: Infinity, nowMs: this.#ports.clock.nowMs() })) {
      const space = spaces.byId(doc.space)
      if (space !== undefined) this.note(space, doc.id)
    }
  }

  /**
   * Resolves once a search may be answered: everything fresh noted before the call is in the index, and so is the backlog
   * unless it is more than a search should wait for.
   */
  async catchUp(): Promise<void> {
    const isShort = this.#backlog <= LIMITS.indexAwaitedMax
    await this.#work(this.#fresh + (isShort ? this.#backlog : 0))
  }

  /** Resolves once everything noted is in the index, however much it is. */
  async settled(): Promise<void> {
    while (this.behind > 0 && !this.#stopped) await this.#work(this.behind)
  }

  /** Resolves once the index holds every record of the store. */
  async whenComplete(): Promise<void> {
    await this.#rebuilding
  }

  /** Indexes the next `count` records that wait, those under way included. Lets others have the loop in between. */
  async #work(count: number): Promise<void> {
    let left = count - ((await this.#turning) ?? 0)
    let pauseMs = this.#ports.clock.monotonicMs() + SLICE_MS
    while (left > 0 && this.behind > 0 && !this.#stopped) {
      left -= await this.#turn()
      if (this.#ports.clock.monotonicMs() < pauseMs) continue
      await this.#pause()
      pauseMs = this.#ports.clock.monotonicMs() + SLICE_MS
    }
  }

  #schedule(afterMs: number): void {
    if (this.#cancelSlice !== undefined || this.#stopped) return
    this.#cancelSlice = this.#ports.clock.setTimer(afterMs, () => {
      this.#cancelSlice = undefined
      void this.#slice()
    })
  }

  /** Works for some milliseconds, unless something comes first. Never rejects. */
  async #slice(): Promise<void> {
    if (this.#mayWait()) return this.#schedule(BUSY_PAUSE_MS)
    const endsMs = this.#ports.clock.monotonicMs() + SLICE_MS
    try {
      do await this.#turn()
      while (this.behind > 0 && !this.#stopped && this.#ports.clock.monotonicMs() < endsMs)
    } catch (error) {
      // What was taken is back in the queue; the next note, or the next search, tries again.
      this.#ports.logger.log('warn', 'the index is behind: records could not be read', { error: messageOf(error) })
      return
    }
    if (this.behind > 0) this.#schedule(0)
  }

  #mayWait(): boolean {
    if (this.#fresh >= LIMITS.indexFreshMax || this.#backlog >= LIMITS.indexBacklogMax) return false
    return this.#ports.isBusy?.() ?? false
  }

  /** One turn at a time; whoever asks meanwhile gets the same one. Answers how many records it took. */
  #turn(): Promise<number> {
    this.#turning ??= this.#turnNow().finally(() => {
      this.#turning = undefined
    })
    return this.#turning
  }

  async #turnNow(): Promise<number> {
    const turn = this.#next()
    if (turn === undefined) return 0
    const { space, ids, states } = turn
    this.#inTurn = ids.length
    this.#turnIds = ids
    try {
      const missing = ids.filter((_, i) => states[i] === undefined)
      const read = missing.length === 0 ? [] : await this.#read(space, missing)
      let at = 0
      ids.forEach((id, i) => {
        const state = states[i]
        const found = state ?? read[at++]
        if (found !== 'damaged') this.#put(space, id, found)
      })
      return ids.length
    } catch (error) {
      const waiting = this.#waitingOf(space)
      for (const id of ids) if (!waiting.fresh.has(id)) this.#addToBacklog(waiting, id)
      throw error
    } finally {
      this.#inTurn = 0
      this.#turnIds = []
    }
  }

  #addToBacklog({ backlog }: Waiting, id: RecordId): void {
    if (backlog.has(id)) return
    backlog.add(id)
    this.#backlog++
  }

  /** The next records in line, fresh ones first; no longer in the queues. */
  #next(): Turn | undefined {
    for (const { space, fresh } of this.#waiting.values()) {
      if (fresh.size === 0) continue
      const ids: RecordId[] = []
      const states: (StoredRecord | undefined)[] = []
      for (const [id, state] of fresh) {
        ids.push(id)
        states.push(state)
        fresh.delete(id)
        this.#fresh--
        if (state !== undefined) this.#statesKept--
        if (ids.length === TURN_RECORDS) break
      }
      return { space, ids, states }
    }
    for (const { space, backlog } of this.#waiting.values()) {
      if (backlog.size === 0) continue
      const ids: RecordId[] = []
      for (const id of backlog) {
        ids.push(id)
        backlog.delete(id)
        this.#backlog--
        if (ids.length === TURN_RECORDS) break
      }
      return { space, ids, states: [] }
    }
    return undefined
  }

  /** A damaged row stands in the way of no other; whoever mends it notes its record again. */
  async #read(space: Space, ids: readonly RecordId[]): Promise<(StoredRecord | undefined | 'damaged')[]> {
    try {
      return await this.#ports.records.getMany(space.id, ids)
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
    }
    const found: (StoredRecord | undefined | 'damaged')[] = []
    for (const id of ids) {
      try {
        found.push(await this.#ports.records.get(space.id, id))
      } catch (error) {
        if (!isChrysalisError(error, 'corrupt')) throw error
        found.push('damaged')
      }
    }
    return found
  }

  #put(space: Space, id: RecordId, record: StoredRecord | undefined): void {
    const view = record === undefined ? undefined : this.#ports.items.view(space, record)
    const known = this.index.has(id, space.id)
    if (record === undefined || view === undefined) {
      if (known) {
        this.index.remove(id, space.id)
        this.#ports.judge.drop(space.id, id)
        this.#ports.texts?.removed(space, id)
        this.#ports.states?.removed(space, id)
        this.#recordCounts.set(space.id, this.recordCount(space.id) - 1)
      }
      return
    }
    const validated = this.#ports.judge.validated(record.state)
    this.#ports.judge.note(view, validated)
    this.#ports.repeats?.note(view)
    const doc = recallDocOf(view, validated)
    this.index.upsert(doc, view.content ?? '')
    this.#ports.texts?.put(space, id, view.retracted === null ? view.content : null)
    this.#ports.states?.put(space, id, record.lastArrival, doc)
    if (!known) this.#recordCounts.set(space.id, this.recordCount(space.id) + 1)
  }

  /** Reads every record of the spaces into the index, in slices. Does not hold up anything else. */
  rebuild(spaces: readonly Space[]): void {
    this.#complete = false
    this.#rebuilding = this.#rebuild(spaces).then(
      () => {
        this.#complete = true
      },
      (error: unknown) => {
        if (!this.#stopped)
          this.#ports.logger.log('error', 'the index could not be rebuilt', { error: messageOf(error) })
      }
    )
  }

  async #rebuild(spaces: readonly Space[]): Promise<void> {
    for (const space of spaces) {
      const prefix = fromHex(space.id)
      const end = prefixEnd(prefix)
      let gte: Uint8Array = prefix
      for (;;) {
        await this.#giveWay()
        if (this.#stopped) return
        const page = await this.#ports.store.scan('record', bounded(gte, end, REBUILD_PAGE_ROWS))
        let sliceEndsMs = this.#ports.clock.monotonicMs() + SLICE_MS
        for (const row of page) {
          const id = toHex(row.key.subarray(16, 48))
          // A write since the start has noted it already, or will have: the newer state must not be overwritten.
          if (this.index.has(id, space.id) || this.#isWaiting(space, id)) continue
          const { lastArrival, state } = parseRecordValue(row.value)
          this.#put(space, id, { state: decodeRecord(state), lastArrival })
          if (this.#ports.clock.monotonicMs() > sliceEndsMs) {
            await this.#pause()
            sliceEndsMs = this.#ports.clock.monotonicMs() + SLICE_MS
          }
        }
        if (page.length < REBUILD_PAGE_ROWS) break
        gte = keyAfter(page[page.length - 1]?.key ?? prefix)
        await this.#pause()
      }
    }
  }

  #isWaiting(space: Space, id: RecordId): boolean {
    const waiting = this.#waiting.get(space.id)
    return waiting !== undefined && (waiting.fresh.has(id) || waiting.backlog.has(id))
  }

  async #giveWay(): Promise<void> {
    for (let pauses = 0; pauses < BUSY_PAUSES_MAX && !this.#stopped; pauses++) {
      if (this.#ports.isBusy?.() !== true) return
      await this.#pause(BUSY_PAUSE_MS)
    }
  }

  #pause(ms = 0): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.setTimer(ms, resolve)
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelSlice?.()
    await this.#turning?.catch(() => undefined)
    await this.#rebuilding
  }
}
