/**
 * Keeps the shared read index in step with the recall index, behind everything else: the indexer says which record has
 * which state, and groups of what is new are written where other processes can see them (ports/shared-index.ts).
 *
 * Only names wait here, so a mountain of changes costs no more than its ids; when even those are too many, another walk
 * over all records finds what was missed. Work begins when the recall index is whole, since before that nobody knows what
 * a record descends from or is replaced by. Trust and supersession also change without the record: when the judge has
 * forgotten what it knew, a sweep compares the marks of all.
 *
 * What is superseded here is so for a reader who asks like any other: by a record that is known or more. A retracted
 * record is removed, content and words. When the index cannot be written, that is said in the status, recall by the
 * daemon is not affected, and after a while it is opened again.
 */
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { SharedEntry, SharedIndex, SharedShelf, SharedState } from '../ports/shared-index.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'
import { reaches, tierRank } from '../trust/tier.ts'
import type { Events } from './events.ts'
import type { Indexer, StateListener } from './indexer.ts'
import type { Items } from './items.ts'
import { entryOf } from './published-entry.ts'
import type { Records } from './records.ts'
import type { Arrival } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { TrustJudge } from './trust-judge.ts'

/** What the composition root hands in. */
export interface SharedPanes {
  readonly index: SharedIndex
  /** Also the spaces that never leave the daemon. */
  readonly withPrivate: boolean
}

export interface PublisherPorts {
  readonly clock: Clock
  readonly logger: Logger
  readonly records: Records
  readonly items: Items
  readonly spaces: Spaces
  readonly events: Events
  readonly judge: TrustJudge
  readonly isBusy: () => boolean
}

/** Names compared in one turn; most of them have not changed after a restart. */
const COMPARED = 256
/** While changes keep coming in, each group is followed by so many times its own duration of rest: a twentieth at most. */
const REST_SHARE = 19
const REST_MS_MAX = 2_000
/** A change this short a time ago means that others may follow. */
const PRESSED_MS = 100
/** A burst that fills a group is left alone for so long, or until it is over. */
const BURST_MS = 1_000
/** How long a group gives way to writes and deltas on their way to the disk. */
const BUSY_MS_MAX = 200
const PAUSE_MS = 10
/** Between a change of trust and the sweep that follows, and between two sweeps. */
const SWEEP_DELAY_MS = 100
const SWEEP_PAUSE_MS = 5_000
const RETRY_MS = 30_000
/** Between two looks whether somebody deleted an index that nothing is written to. */
const LOOK_MS = 5_000
const EVERYTHING = { includeExpired: true, includeRetracted: true, includeSuperseded: true }

interface Shelf {
  readonly space: Space
  shared: SharedShelf | undefined
  /** By id: the state that is stored, or undefined when only the marks may have changed. */
  readonly waiting: Map<RecordId, Arrival | undefined>
  /** Some were not noted, or the index began anew: all are to be looked at. */
  walks: boolean
  /** Nothing is left in it of what the store no longer has. */
  tidied: boolean
  /** Marks of all are to be compared. */
  sweeps: boolean
  sweptAtMs: number
  failure: string | undefined
  cancelRetry: (() => void) | undefined
}

export class Publisher implements StateListener {
  readonly #panes: SharedPanes
  readonly #ports: PublisherPorts
  readonly #shelves = new Map<SpaceId, Shelf>()
  #indexer: Indexer | undefined
  #source = ''
  #cancel: (() => void) | undefined
  #cancelLook: (() => void) | undefined
  #notedAtMs = -Infinity
  /** When changes began to come without a pause. */
  #burstAtMs = -Infinity
  /** Milliseconds of the last group. */
  #workedMs = 0
  #running: Promise<void> | undefined
  #stopped = false

  constructor(panes: SharedPanes, ports: PublisherPorts) {
    this.#panes = panes
    this.#ports = ports
    for (const space of ports.spaces.all) {
      if (!space.options.shared && !panes.withPrivate) continue
      const shelf: Shelf = {
        ...{ space, shared: undefined, waiting: new Map(), walks: false, tidied: false, sweeps: false },
        ...{ sweptAtMs: -Infinity, failure: undefined, cancelRetry: undefined }
      }
      this.#shelves.set(space.id, shelf)
    }
    ports.judge.onForgotten(() => this.#sweepSoon())
  }

  /** Names that wait to be published. */
  get behind(): number {
    let waiting = 0
    for (const shelf of this.#shelves.values()) waiting += shelf.waiting.size
    return waiting
  }

  /** For status: why other processes do not see what they should. */
  reasons(): string[] {
    return [...this.#shelves.values()].flatMap(({ space, failure }) =>
      failure === undefined ? [] : [`the shared index of ${space.options.name} is not written: ${failure}`]
    )
  }

  // --- what the indexer tells

  put(space: Space, id: RecordId, state: Arrival, doc: RecallDoc): void {
    const shelf = this.#shelves.get(space.id)
    if (shelf === undefined) return
    this.#note(shelf, id, state)
    for (const other of doc.supersedes) if (!shelf.waiting.has(other)) this.#note(shelf, other, undefined)
  }

  removed(space: Space, id: RecordId): void {
    const shelf = this.#shelves.get(space.id)
    if (shelf !== undefined) this.#note(shelf, id, undefined)
  }

  #note(shelf: Shelf, id: RecordId, state: Arrival | undefined): void {
    if (!shelf.waiting.has(id) && shelf.waiting.size >= LIMITS.sharedWaitingMax) {
      shelf.walks = true
      return
    }
    const nowMs = this.#ports.clock.monotonicMs()
    if (nowMs >= this.#notedAtMs + PRESSED_MS) this.#burstAtMs = nowMs
    this.#notedAtMs = nowMs
    shelf.waiting.set(id, state ?? shelf.waiting.get(id))
    if (this.#indexer !== undefined) this.#schedule(LIMITS.sharedGroupMs)
  }

  // --- life

  /** `source` names the store: what was published under another one is compared anew. Never rejects; work goes on behind. */
  start(indexer: Indexer, source: string): void {
    this.#source = source
    void this.#panes.index
      .keepOnly([...this.#shelves.keys()])
      .catch((error: unknown) => this.#warn('old shared indexes could not be deleted', error))
      .then(() => indexer.whenComplete())
      .then(() => {
        if (!indexer.complete || this.#stopped) return
        this.#indexer = indexer
        this.#schedule(0)
        this.#look()
      })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    this.#cancelLook?.()
    for (const { cancelRetry } of this.#shelves.values()) cancelRetry?.()
    await this.#running
    for (const { shared } of this.#shelves.values()) {
      await shared?.close().catch((error: unknown) => this.#warn('a shared index could not be closed', error))
    }
  }

  /** Resolves once everything noted is published; for tests. */
  async settled(): Promise<void> {
    while (this.#indexer !== undefined && !this.#stopped && this.#hasWork()) {
      this.#cancel?.()
      this.#cancel = undefined
      await this.#run()
    }
  }

  /** An index nobody writes to is made anew as well when it was deleted. */
  #look(): void {
    this.#cancelLook = this.#ports.clock.setTimer(LOOK_MS, () => {
      for (const shelf of this.#shelves.values()) if (shelf.shared?.isIntact() === false) shelf.walks = true
      if (this.#hasWork()) this.#schedule(0)
      this.#look()
    })
  }

  #hasWork(): boolean {
    return [...this.#shelves.values()].some(
      ({ waiting, walks, tidied, failure }) => failure === undefined && (waiting.size > 0 || walks || !tidied)
    )
  }

  #sweepSoon(): void {
    for (const shelf of this.#shelves.values()) shelf.sweeps = true
    this.#schedule(this.#sweepInMs())
  }

  #sweepInMs(): number {
    let lastMs = -Infinity
    for (const { sweeps, sweptAtMs } of this.#shelves.values()) if (sweeps) lastMs = Math.max(lastMs, sweptAtMs)
    return Math.max(SWEEP_DELAY_MS, lastMs + SWEEP_PAUSE_MS - this.#ports.clock.monotonicMs())
  }

  #scheduleNext(): void {
    if (this.#hasWork()) this.#schedule(this.behind >= LIMITS.sharedGroupMax ? 0 : LIMITS.sharedGroupMs)
    else if ([...this.#shelves.values()].some(({ sweeps, failure }) => sweeps && failure === undefined)) {
      this.#schedule(this.#sweepInMs())
    }
  }

  #schedule(afterMs: number): void {
    if (this.#cancel !== undefined || this.#stopped || this.#indexer === undefined) return
    this.#cancel = this.#ports.clock.setTimer(afterMs, () => {
      this.#cancel = undefined
      void this.#run()
    })
  }

  /** One round over all spaces at a time. */
  #run(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined
      this.#scheduleNext()
    })
    return this.#running
  }

  async #round(): Promise<void> {
    const indexer = this.#indexer
    if (indexer === undefined) return
    for (const shelf of this.#shelves.values()) {
      if (this.#stopped || shelf.failure !== undefined) continue
      try {
        await this.#work(shelf, indexer)
      } catch (error) {
        await this.#failed(shelf, error)
      }
    }
  }

  async #work(shelf: Shelf, indexer: Indexer): Promise<void> {
    if (shelf.shared?.isIntact() === false) await this.#giveUp(shelf, 'it was deleted, replaced or cut short')
    shelf.shared ??= await this.#open(shelf)
    const { shared } = shelf
    await this.#giveWay()
    await this.#publishSome(shelf, shared, indexer)
    if (shelf.waiting.size > 0) return
    if (shelf.walks) await this.#walk(shelf, shared, indexer)
    if (!shelf.tidied) await this.#tidy(shelf, shared, indexer)
    const nowMs = this.#ports.clock.monotonicMs()
    if (shelf.sweeps && nowMs >= shelf.sweptAtMs + SWEEP_PAUSE_MS) await this.#sweep(shelf, shared, indexer)
  }

  async #open({ space }: Shelf): Promise<SharedShelf> {
    const { id, name, isDefault } = space.options
    return this.#panes.index.open({ id, name, isDefault }, this.#source)
  }

  /** What is open is closed, and all is looked at again when it is opened anew. */
  async #giveUp(shelf: Shelf, reason: string): Promise<void> {
    const { shared, space } = shelf
    this.#ports.logger.log('warn', 'a shared index is given up', { space: space.options.name, reason })
    shelf.shared = undefined
    shelf.tidied = false
    shelf.walks = true
    await shared?.close().catch(() => undefined)
  }

  async #failed(shelf: Shelf, error: unknown): Promise<void> {
    const isGone = shelf.shared?.isIntact() === false
    await this.#giveUp(shelf, messageOf(error))
    if (isGone) return this.#schedule(0)
    shelf.failure = messageOf(error)
    shelf.cancelRetry = this.#ports.clock.setTimer(RETRY_MS, () => {
      shelf.failure = undefined
      this.#schedule(0)
    })
  }

  // --- work

  /** The next names in line. */
  async #publishSome(shelf: Shelf, shared: SharedShelf, indexer: Indexer): Promise<void> {
    const states: SharedState[] = []
    const removes: RecordId[] = []
    const marks: SharedState[] = []
    for (const [id, stamp] of shelf.waiting) {
      if (states.length + removes.length + marks.length >= COMPARED) break
      shelf.waiting.delete(id)
      const state = this.#stateOf(shelf, indexer, id, stamp ?? 0)
      if (state === undefined) removes.push(id)
      else if (stamp === undefined) marks.push(state)
      else states.push(state)
    }
    const differing = new Set(shared.differing(states))
    marks.push(...states.filter(({ id }) => !differing.has(id)))
    await this.#write(shelf, shared, indexer, { ids: [...differing], removes, marks })
  }

  /** Puts the differing ones in by groups; what is removed and marked goes with the first. */
  async #write(
    shelf: Shelf,
    shared: SharedShelf,
    indexer: Indexer,
    change: { ids: readonly RecordId[]; removes: readonly RecordId[]; marks: readonly SharedState[] }
  ): Promise<void> {
    const { generation } = shared
    let { removes, marks } = change
    for (let at = 0; at < Math.max(1, change.ids.length); at += LIMITS.sharedGroupMax) {
      const ids = change.ids.slice(at, at + LIMITS.sharedGroupMax)
      const startedMs = this.#ports.clock.monotonicMs()
      const { puts, gone } = await this.#entries(shelf, indexer, ids)
      const known = new Set([...puts.map(({ id }) => id), ...gone])
      await shared.write({
        puts,
        removes: [...removes, ...gone],
        marks: marks.filter(({ id }) => !known.has(id))
      })
      this.#workedMs = this.#ports.clock.monotonicMs() - startedMs
      removes = []
      marks = []
      if (at + LIMITS.sharedGroupMax < change.ids.length) await this.#giveWay()
    }
    if (shared.generation !== generation) this.#tell(shelf, shared)
  }

  async #entries(
    shelf: Shelf,
    indexer: Indexer,
    ids: readonly RecordId[]
  ): Promise<{ puts: SharedEntry[]; gone: RecordId[] }> {
    const { records, items } = this.#ports
    const stored = ids.length === 0 ? [] : await records.getMany(shelf.space.id, ids)
    const puts: SharedEntry[] = []
    const gone: RecordId[] = []
    ids.forEach((id, i) => {
      const record = stored[i]
      const view = record && items.view(shelf.space, record)
      const state = record && this.#stateOf(shelf, indexer, id, record.lastArrival)
      const doc = indexer.index.get(id, shelf.space.id)
      if (view === undefined || state === undefined || doc === undefined || view.retracted !== null) gone.push(id)
      else puts.push(entryOf(view, doc, state))
    })
    return { puts, gone }
  }

  /** Undefined for what is not to be found. */
  #stateOf({ space }: Shelf, indexer: Indexer, id: RecordId, stamp: number): SharedState | undefined {
    const doc = indexer.index.get(id, space.id)
    if (doc === undefined || doc.retracted) return undefined
    const { judge } = this.#ports
    const superseded = indexer.index.isSuperseded(id, space.id, (newer) => reaches(judge.tierOf(newer), 'known'))
    return { id, stamp, tier: tierRank(judge.tierOf(doc)), superseded }
  }

  /** Every record of the recall index. */
  async #walk(shelf: Shelf, shared: SharedShelf, indexer: Indexer): Promise<void> {
    shelf.walks = false
    const space = shelf.space.id
    for await (const docs of this.#pages(space, indexer)) {
      const stored = await this.#ports.records.getMany(
        space,
        docs.map(({ id }) => id)
      )
      const states = docs.flatMap(({ id }, i) => {
        const record = stored[i]
        return (record && this.#stateOf(shelf, indexer, id, record.lastArrival)) ?? []
      })
      const differing = new Set(shared.differing(states))
      const marks = states.filter(({ id }) => !differing.has(id))
      await this.#write(shelf, shared, indexer, { ids: [...differing], removes: [], marks })
    }
  }

  /** Removes what the store no longer has; then the index holds all there is, and says so. */
  async #tidy(shelf: Shelf, shared: SharedShelf, indexer: Indexer): Promise<void> {
    let after: RecordId | undefined
    for (;;) {
      const ids = shared.ids(after, COMPARED)
      after = ids.at(-1)
      if (after === undefined || this.#stopped) break
      const removes = ids.filter((id) => this.#stateOf(shelf, indexer, id, 0) === undefined)
      await this.#write(shelf, shared, indexer, { ids: [], removes, marks: [] })
      await this.#pause(0)
    }
    if (this.#stopped) return
    await shared.write({ puts: [], removes: [], marks: [], complete: true })
    shelf.tidied = true
    this.#tell(shelf, shared)
  }

  async #sweep(shelf: Shelf, shared: SharedShelf, indexer: Indexer): Promise<void> {
    shelf.sweeps = false
    shelf.sweptAtMs = this.#ports.clock.monotonicMs()
    for await (const docs of this.#pages(shelf.space.id, indexer)) {
      const marks = docs.flatMap(({ id }) => this.#stateOf(shelf, indexer, id, 0) ?? [])
      await this.#write(shelf, shared, indexer, { ids: [], removes: [], marks })
    }
  }

  /** All records of a space, newest first; what is written meanwhile is noted on its own. */
  async *#pages(space: SpaceId, indexer: Indexer): AsyncGenerator<readonly RecallDoc[]> {
    const filters = { ...EVERYTHING, spaces: [space] }
    let after: RecallDoc | undefined
    while (!this.#stopped) {
      const nowMs = this.#ports.clock.nowMs()
      const page = { limit: COMPARED, nowMs, ...(after === undefined ? {} : { after }) }
      const docs = indexer.index.list(filters, page)
      if (docs.length > 0) yield docs
      after = docs.at(-1)
      if (docs.length < COMPARED) return
      await this.#giveWay()
      await this.#pause(0)
    }
  }

  #tell({ space, waiting }: Shelf, shared: SharedShelf): void {
    const { events } = this.#ports
    if (!events.heard || waiting.size > 0) return
    const detail = `${space.options.name} generation ${shared.generation}, ${shared.size} memories`
    events.emit({ type: 'node', what: 'index.published', detail })
  }

  /** Leaves the loop to writes and deltas, up to a bound. */
  async #giveWay(): Promise<void> {
    const { clock, isBusy } = this.#ports
    const startedMs = clock.monotonicMs()
    const restMs = Math.min(REST_MS_MAX, REST_SHARE * this.#workedMs)
    this.#workedMs = 0
    while (!this.#stopped) {
      const nowMs = clock.monotonicMs()
      const burstEndsMs = this.behind < LIMITS.sharedGroupMax ? -Infinity : this.#burstAtMs + BURST_MS
      const rests = nowMs < this.#notedAtMs + PRESSED_MS && nowMs < Math.max(startedMs + restMs, burstEndsMs)
      if (!rests && !(isBusy() && nowMs < startedMs + BUSY_MS_MAX)) return
      await this.#pause(PAUSE_MS)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.setTimer(ms, resolve)
    })
  }

  #warn(message: string, error: unknown): void {
    this.#ports.logger.log('warn', message, { error: messageOf(error) })
  }
}
