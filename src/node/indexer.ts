/**
 * Keeps the recall index in step with the records, behind the write path: a commit only notes which records changed.
 * They are indexed in short slices between other work, and at once before a search, so that a reader on this daemon
 * always finds what was acknowledged to it. After a start the whole store is read back in; until that is done answers
 * say `partial`.
 */
import { fromHex, toHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import type { RecordId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import { decodeRecord } from '../memory/record-codec.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'
import { RecallIndex } from '../recall/recall-index.ts'
import type { Ballots } from './ballots.ts'
import type { Items } from './items.ts'
import type { Records, StoredRecord } from './records.ts'
import { bounded } from './restore.ts'
import { parseRecordValue } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import { keyAfter, prefixEnd } from '../ports/store.ts'

export interface IndexerPorts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly records: Records
  readonly items: Items
  readonly ballots: Ballots
}

/** Milliseconds of indexing between two turns of other work. */
const SLICE_MS = 8
const REBUILD_PAGE_ROWS = 200

export class Indexer {
  readonly index = new RecallIndex()
  readonly #ports: IndexerPorts
  /** Keyed by space and id: two spaces may hold a record of the same id. */
  readonly #dirty = new Map<string, { space: Space; id: RecordId }>()
  readonly #recordCounts = new Map<string, number>()
  #cancelSlice: (() => void) | undefined
  #draining: Promise<void> | undefined
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
    return this.#dirty.size
  }

  /** Records of the space that have content to show. */
  recordCount(space: string): number {
    return this.#recordCounts.get(space) ?? 0
  }

  /** The record was stored anew; it will be indexed soon. */
  note(space: Space, id: RecordId): void {
    this.#dirty.set(space.id + id, { space, id })
    if (this.#cancelSlice !== undefined || this.#stopped) return
    this.#cancelSlice = this.#ports.clock.setTimer(5, () => {
      this.#cancelSlice = undefined
      void this.#drain()
    })
  }

  /** Votes have ceased to count: what was validated may be so no more. */
  recheckValidated(spaces: Spaces): void {
    const everything = { validatedOnly: true, includeExpired: true, includeRetracted: true, includeSuperseded: true }
    for (const doc of this.index.list(everything, { limit: Infinity, nowMs: this.#ports.clock.nowMs() })) {
      const space = spaces.byId(doc.space)
      if (space !== undefined) this.note(space, doc.id)
    }
  }

  /** Resolves once everything noted before the call is in the index. */
  async catchUp(): Promise<void> {
    while (this.#dirty.size > 0 && !this.#stopped) await this.#drain()
  }

  /** Resolves once the index holds every record of the store. */
  async whenComplete(): Promise<void> {
    await this.#rebuilding
  }

  #drain(): Promise<void> {
    this.#draining ??= this.#drainNow().finally(() => {
      this.#draining = undefined
    })
    return this.#draining
  }

  async #drainNow(): Promise<void> {
    while (this.#dirty.size > 0 && !this.#stopped) {
      const bySpace = new Map<Space, RecordId[]>()
      let taken = 0
      for (const [slot, { space, id }] of this.#dirty) {
        const ids = bySpace.get(space)
        if (ids === undefined) bySpace.set(space, [id])
        else ids.push(id)
        this.#dirty.delete(slot)
        if (++taken === REBUILD_PAGE_ROWS) break
      }
      for (const [space, ids] of bySpace) {
        const records = await this.#ports.records.getMany(space.id, ids)
        ids.forEach((id, i) => {
          this.#put(space, id, records[i])
        })
      }
    }
  }

  #put(space: Space, id: RecordId, record: StoredRecord | undefined): void {
    const view = record === undefined ? undefined : this.#ports.items.view(space, record)
    const known = this.index.has(id, space.id)
    if (record === undefined || view === undefined) {
      if (known) {
        this.index.remove(id, space.id)
        this.#recordCounts.set(space.id, this.recordCount(space.id) - 1)
      }
      return
    }
    const doc: RecallDoc = {
      id,
      space: space.id,
      key: view.key,
      documentType: view.documentType,
      memoryType: view.memoryType,
      kind: view.kind,
      path: view.path,
      tags: view.tags,
      author: view.author,
      createdAt: view.createdAt,
      updatedAt: view.updatedAt,
      importance: view.importance?.effective ?? null,
      confidence: view.confidence?.effective ?? null,
      accessCount: view.accessCount,
      pinned: view.pinned,
      validFrom: view.validFrom,
      validTo: view.validTo,
      expiresAt: view.expiresAt,
      retracted: view.retracted !== null,
      validated: view.votes.length > 0 && this.#ports.ballots.count(record.state).status === 'validated',
      supersedes: view.supersedes
    }
    this.index.upsert(doc, view.content ?? '')
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
        if (this.#stopped) return
        const page = await this.#ports.store.scan('record', bounded(gte, end, REBUILD_PAGE_ROWS))
        let sliceEndsMs = this.#ports.clock.monotonicMs() + SLICE_MS
        for (const row of page) {
          const id = toHex(row.key.subarray(16, 48))
          // A write since the start has noted it already, or will have: the newer state must not be overwritten.
          if (this.index.has(id, space.id) || this.#dirty.has(space.id + id)) continue
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

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.setTimer(0, resolve)
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelSlice?.()
    await this.#draining
    await this.#rebuilding
  }
}
