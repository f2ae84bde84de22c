/**
 * From a stored record to what a reader is shown: the view, and beside it what only this daemon knows, namely how far
 * the record has spread and whether the delta behind its content still matches its hash.
 */
import { assert } from '../base/assert.ts'
import type { AuthorId, RecordId } from '../memory/ids.ts'
import { viewRecord } from '../memory/view.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import { contentFlags } from '../trust/content-flags.ts'
import type { MemoryItem, MemoryView, SyncState } from './api.ts'
import { readFingerprints, type DeltaWatch } from './deltas.ts'
import type { Records, StoredRecord } from './records.ts'
import type { Arrival } from './rows.ts'
import type { Space } from './space.ts'
import type { TrustJudge } from './trust-judge.ts'

export interface ItemPorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly records: Records
  readonly judge: TrustJudge
  readonly watch?: DeltaWatch
}

export interface ItemOptions {
  readonly roster: readonly AuthorId[]
  /** Peers that must hold a memory before it counts as synced. */
  readonly replicas: number
}

/** local → pending → synced, derived from receipts; nothing of it is stored in the record. */
export function syncStateOf(space: Space, arrival: Arrival, replicas: number): { state: SyncState; holders: number } {
  const holders = space.options.shared ? space.receipts.holders(arrival) : 0
  if (holders >= replicas && holders > 0) return { state: 'synced', holders }
  return { state: !space.options.shared || space.unoffered.has(arrival) ? 'local' : 'pending', holders }
}

export class Items {
  readonly #ports: ItemPorts
  readonly #options: ItemOptions

  constructor(options: ItemOptions, ports: ItemPorts) {
    this.#options = options
    this.#ports = ports
  }

  /** `nowMs`: when expiry is judged; now when omitted. */
  view(space: Space, record: StoredRecord, nowMs = this.#ports.clock.nowMs()): MemoryView | undefined {
    return viewRecord(record.state, {
      space: space.id,
      nowMs,
      roster: this.#options.roster
    })
  }

  /** In the order of `ids`; undefined for records that are not there, or of which only edges are known so far. */
  async load(space: Space, ids: readonly RecordId[]): Promise<(MemoryItem | undefined)[]> {
    return this.show(space, await this.#ports.records.getMany(space.id, ids))
  }

  /** The same of states at hand, as of `nowMs`, now when omitted; undefined stays undefined. */
  async show(
    space: Space,
    records: readonly (StoredRecord | undefined)[],
    nowMs = this.#ports.clock.nowMs()
  ): Promise<(MemoryItem | undefined)[]> {
    const views = records.map((record) => (record === undefined ? undefined : this.view(space, record, nowMs)))
    const content = views.flatMap((view) => (view === undefined ? [] : [view.contentBy]))
    // A row that fails its hash is left out: its item is then shown as not verified, instead of failing the answer.
    const fingerprints = await readFingerprints(this.#ports, space.id, content)
    return views.map((view, index) => {
      if (view === undefined) return undefined
      const record = records[index]
      assert(record !== undefined, 'a view has its record')
      const fingerprint = fingerprints.get(view.contentBy)
      const { state, holders } = syncStateOf(space, record.lastArrival, this.#options.replicas)
      // The view was made for this item alone; a copy of its forty fields would be most of what a search allocates.
      return Object.assign(view, {
        spaceName: space.options.name,
        syncState: state,
        holders,
        fingerprint: fingerprint ?? view.contentBy,
        verified: fingerprint !== undefined,
        trust: this.#ports.judge.verdict(view, record.state),
        flags: contentFlags(view.content ?? '')
      })
    })
  }
}
