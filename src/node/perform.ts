/**
 * The only place where effects are ordered: persist, then send, then notify (etcd-raft's Ready contract). Nobody hears
 * of a delta before this disk has it; nobody is told "done" before either.
 *
 * A group of inputs becomes one batch of rows. The batch is durable when it holds a delta of our own; foreign deltas
 * are safe at their author and may be fetched again.
 */
import { uintBytes, type Bytes } from '../base/bytes.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import type { RecordId } from '../memory/ids.ts'
import { rangeKey } from '../memory/names.ts'
import type { RecordState } from '../memory/record.ts'
import { encodeRecord } from '../memory/record-codec.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import type { Effect } from '../sync/effect.ts'
import type { StoredRecord } from './records.ts'
import {
  arrivalKey,
  authorKey,
  deltaKey,
  encodeHeads,
  encodeProofIds,
  historyKey,
  linkKey,
  META,
  pendingKey,
  proofKey,
  rangeRowKey,
  recordKey,
  recordValue,
  type Arrival
} from './rows.ts'
import type { Space } from './space.ts'

const NOTHING = new Uint8Array(0)

/** What one delta did to this daemon, for those who are notified. */
export interface Admitted {
  readonly space: Space
  readonly delta: VerifiedDelta
  readonly arrival: Arrival
  readonly records: readonly RecordId[]
  readonly own: boolean
  readonly via: 'gossip' | 'recon' | 'write' | 'held'
}

export interface Group {
  readonly admitted: Admitted[]
  readonly announcements: { readonly space: Space; readonly delta: VerifiedDelta; readonly own: boolean }[]
  /** Final state of every record the group touched. */
  readonly records: Map<Space, Map<RecordId, StoredRecord>>
  readonly refusals: (Effect & { effect: 'refuse' })[]
  readonly held: { readonly space: Space; readonly delta: VerifiedDelta }[]
  readonly proofs: { readonly space: Space; readonly proof: (Effect & { effect: 'proof' })['proof'] }[]
  readonly epochs: (Effect & { effect: 'epoch' })[]
  readonly writes: StoreWrite[]
  durable: boolean
}

export function emptyGroup(): Group {
  return {
    admitted: [],
    announcements: [],
    records: new Map(),
    refusals: [],
    held: [],
    proofs: [],
    epochs: [],
    writes: [],
    durable: false
  }
}

/** Sorts the effects of one input into the group. `nextArrival` hands out positions in the arrival log. */
export function collect(group: Group, space: Space, effects: readonly Effect[], nextArrival: () => Arrival): void {
  let arrival = 0
  for (const effect of effects) {
    switch (effect.effect) {
      case 'admit':
        arrival = nextArrival()
        group.admitted.push({ ...effect, space, arrival })
        if (effect.own) group.durable = true
        admitRows(group.writes, space, effect.delta, arrival, effect.records)
        break
      case 'record':
        recordsOf(group, space).set(effect.id, { state: effect.state, lastArrival: arrival })
        break
      case 'hold':
        group.held.push({ space, delta: effect.delta })
        group.writes.push({ table: 'pending', key: heldKey(space, effect.delta), value: effect.delta.record })
        break
      case 'release':
        group.writes.push({ table: 'pending', key: heldKey(space, effect.delta), value: null })
        break
      case 'proof':
        group.proofs.push({ space, proof: effect.proof })
        group.writes.push({
          table: 'proof',
          key: proofKey(space.id, effect.proof.author, effect.proof.epoch, effect.proof.seq),
          value: encodeProofIds(effect.proof.ids)
        })
        break
      case 'announce':
        group.announcements.push({ space, delta: effect.delta, own: effect.own })
        break
      case 'refuse':
        group.refusals.push(effect)
        break
      case 'epoch':
        group.epochs.push(effect)
        // Written durably before anything is signed under it.
        group.durable = true
        break
    }
  }
}

function heldKey(space: Space, delta: VerifiedDelta): Bytes {
  return pendingKey(space.id, rangeKey(delta.header.hlc, delta.id))
}

function recordsOf(group: Group, space: Space): Map<RecordId, StoredRecord> {
  let records = group.records.get(space)
  if (records === undefined) {
    records = new Map()
    group.records.set(space, records)
  }
  return records
}

function admitRows(
  writes: StoreWrite[],
  space: Space,
  delta: VerifiedDelta,
  arrival: Arrival,
  records: readonly RecordId[]
): void {
  const { header, id } = delta
  const range = rangeKey(header.hlc, id)
  const rangeRow = rangeRowKey(space.id, range)
  writes.push(
    { table: 'delta', key: deltaKey(space.id, id), value: delta.record },
    { table: 'range', key: rangeRow, value: uintBytes(arrival, 8) },
    { table: 'arrival', key: arrivalKey(arrival), value: rangeRow },
    { table: 'author', key: authorKey(space.id, header.author, header.epoch, header.seq, id), value: NOTHING }
  )
  for (const record of records) {
    writes.push({ table: 'history', key: historyKey(space.id, record, header.hlc, id), value: NOTHING })
  }
}

/** Adds the rows that depend on the group as a whole: final record states and the causal heads. */
function closeGroup({ records, admitted, writes }: Group): void {
  for (const [space, states] of records) {
    for (const [id, { state, lastArrival }] of states) {
      writes.push({
        table: 'record',
        key: recordKey(space.id, id),
        value: recordValue(lastArrival, encodeRecord(state))
      })
      pushLinkRows(writes, space, id, state)
    }
  }
  // A delta moves the heads even when it touches no record that is understood here.
  for (const space of new Set(admitted.map((one) => one.space))) {
    writes.push({ table: 'meta', key: META.heads(space.id), value: encodeHeads(space.replica.headTimes()) })
  }
}

/** Reverse links of a record, so that lineage can be walked towards those who derive from it. */
function pushLinkRows(writes: StoreWrite[], space: Space, from: RecordId, state: RecordState): void {
  for (const relation of ['related', 'parents', 'supersedes'] as const) {
    for (const to of state[relation]) {
      writes.push({ table: 'link', key: linkKey(space.id, to, relation, from), value: NOTHING })
    }
  }
}

/** First step: everything of the group in one batch, once. Rejects when nothing of it is stored. */
export async function persist(group: Group, store: Store, options: { durable: boolean }): Promise<void> {
  closeGroup(group)
  if (group.writes.length === 0) return
  await store.batch(group.writes, { durable: group.durable && options.durable })
}
