/**
 * A record folded again from the deltas that made it. The stored state of a record is only a cache of that fold: when
 * its row is damaged or gone, history says which deltas touched it and the delta rows say what they did. Every part of a
 * record is a lattice, so the result is byte for byte the state that was lost.
 *
 * A fold that lacks one delta would be a wrong value, so there is all or nothing: as long as a delta of the history
 * cannot be read, the record cannot either, and the missing deltas are told to whoever fetches them from peers.
 */
import { bytesToUint } from '../base/bytes.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs, type DeltaId, type RecordId, type SpaceId } from '../memory/ids.ts'
import { resolveTarget } from '../memory/names.ts'
import { applyOp, emptyRecord, type RecordState } from '../memory/record.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Store } from '../ports/store.ts'
import { newestArrival, parseHistoryKey, rangeRowOfDelta, readRows } from './derive.ts'
import { soundRows } from './deltas.ts'
import type { StoredRecord } from './records.ts'
import { historyPrefix } from './rows.ts'
import { soundPages } from './sound-scan.ts'

export interface RefoldPorts {
  readonly store: Store
  readonly crypto: Hasher
  /** A delta that should be stored cannot be read. */
  readonly suspect: (space: SpaceId, id: DeltaId, ms: number) => void
  /** Whether the set is known to hold this delta, wherever its rows are. */
  readonly expects: (space: SpaceId, id: DeltaId, ms: number) => boolean
}

export type Refolded =
  | { readonly refolded: 'whole'; readonly record: StoredRecord }
  /** No delta touched it: there is no such record. */
  | { readonly refolded: 'none' }
  /** These deltas of its history cannot be read now; the first few. */
  | { readonly refolded: 'torn'; readonly lacking: readonly DeltaId[] }

const PAGE_DELTAS = 256
const LACKING_SHOWN = 8

/** Memory: one page of deltas and the state itself, however long the history is. */
export async function refoldRecord(ports: RefoldPorts, space: SpaceId, id: RecordId): Promise<Refolded> {
  const state = emptyRecord(id)
  const lacking: DeltaId[] = []
  let touched = false
  let newest = 0
  let isPlaced = true
  for await (const page of soundPages(ports.store, 'history', historyPrefix(space, id), { pageRows: PAGE_DELTAS })) {
    // A damaged row of history still names its delta, if its key is what was written; the delta itself will tell.
    const places = [...page.rows.map((row) => row.key), ...page.damaged].map(parseHistoryKey)
    const rows = await readRows(
      ports,
      space,
      places.map((place) => place.id)
    )
    const deltas: VerifiedDelta[] = []
    rows.forEach((row, index) => {
      const place = places[index] as (typeof places)[number]
      // A pruned body says nothing of what it once did.
      if (row.row === 'sound' && row.delta.bodyBytes !== null) return void deltas.push(row.delta)
      const ms = hlcMs(place.hlc)
      const isPhantom = index >= page.rows.length && row.row === 'missing' && !ports.expects(space, place.id, ms)
      if (isPhantom) return
      if (row.row !== 'sound') ports.suspect(space, place.id, ms)
      if (lacking.length < LACKING_SHOWN) lacking.push(place.id)
    })
    for (const delta of deltas) touched = applyDelta(ports.crypto, state, delta) || touched
    for (const arrival of await arrivalsOf(ports.store, deltas)) {
      if (arrival === undefined) isPlaced = false
      else newest = Math.max(newest, arrival)
    }
  }
  if (lacking.length > 0) return { refolded: 'torn', lacking }
  if (!touched) return { refolded: 'none' }
  // Without a position the record counts as newest of all: held by nobody, until the next session says otherwise.
  return { refolded: 'whole', record: { state, lastArrival: isPlaced ? newest : await newestArrival(ports.store) } }
}

/** Whether the delta says anything about the record. Idempotent, as every operation is. */
export function applyDelta(hasher: Hasher, state: RecordState, delta: VerifiedDelta): boolean {
  const { header } = delta
  let touched = false
  delta.ops.forEach((op, index) => {
    if (op.op === 'unknown' || resolveTarget(hasher, header.space, delta.id, op.target) !== state.id) return
    applyOp(state, op, { hlc: header.hlc, author: header.author, delta: delta.id, index }, header.epoch)
    touched = true
  })
  return touched
}

async function arrivalsOf(store: Store, deltas: readonly VerifiedDelta[]): Promise<(number | undefined)[]> {
  const rows = await soundRows(store, 'range', deltas.map(rangeRowOfDelta))
  return rows.map((row) => (row === undefined ? undefined : Number(bytesToUint(row))))
}
