/**
 * What follows from a delta on disk: the rows that one admission writes besides the delta itself (docs/WIRE.md §9.1),
 * computed again from the delta alone. Those who mend a row, rebuild the tables or check them against each other ask
 * here; node/perform.ts writes the same rows on the fast path, and a test holds the two together.
 *
 * It folds no record: that is node/refold.ts.
 */
import { bytesToUint, fromHex, toHex, uintBytes } from '../base/bytes.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import type { DeltaId, Hlc, RecordId, SpaceId } from '../memory/ids.ts'
import { rangeKey, resolveTarget } from '../memory/names.ts'
import type { RecordState } from '../memory/record.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { Hasher } from '../ports/crypto.ts'
import { prefixEnd, type Store, type StoreWrite } from '../ports/store.ts'
import { soundRows } from './deltas.ts'
import { bounded } from './restore.ts'
import {
  arrivalKey,
  authorKey,
  deltaKey,
  encodeHeads,
  historyKey,
  linkKey,
  META,
  rangeRowKey,
  type Arrival
} from './rows.ts'
import { scanSound } from './sound-scan.ts'

const NOTHING = new Uint8Array(0)

/** Bytes of the key of an author row that say the place in the chain; what follows is the delta that took it. */
export const CHAIN_PLACE_BYTES = 64

/** The space a row belongs to, for every table whose keys begin with one. */
export const spaceOfKey = (key: Uint8Array): SpaceId => toHex(key.subarray(0, 16))

/** Of a row of `range` or `pending`, or of the value of a row of `arrival`. */
export function parseRangeRowKey(key: Uint8Array): { space: SpaceId; ms: number; id: DeltaId } {
  let ms = 0
  for (let i = 16; i < 22; i++) ms = ms * 256 + (key[i] as number)
  return { space: spaceOfKey(key), ms, id: toHex(key.subarray(22, 54)) }
}

export function parseHistoryKey(key: Uint8Array): { space: SpaceId; record: RecordId; hlc: Hlc; id: DeltaId } {
  let hlc = 0n
  for (let i = 48; i < 56; i++) hlc = (hlc << 8n) | BigInt(key[i] as number)
  return { space: spaceOfKey(key), record: toHex(key.subarray(16, 48)), hlc, id: toHex(key.subarray(56, 88)) }
}

export const rangeRowOfDelta = (delta: VerifiedDelta): Uint8Array =>
  rangeRowKey(delta.header.space, rangeKey(delta.header.hlc, delta.id))

/** Records that the delta says something about. */
export function touchedRecords(hasher: Hasher, delta: VerifiedDelta): Set<RecordId> {
  const touched = new Set<RecordId>()
  for (const op of delta.ops) {
    if (op.op !== 'unknown') touched.add(resolveTarget(hasher, delta.header.space, delta.id, op.target))
  }
  return touched
}

/** Its rows of `author` and `history`: what follows from the delta without its position. */
export function indexRows(hasher: Hasher, delta: VerifiedDelta): StoreWrite[] {
  const { header, id } = delta
  const rows: StoreWrite[] = [
    { table: 'author', key: authorKey(header.space, header.author, header.epoch, header.seq, id), value: NOTHING }
  ]
  for (const record of touchedRecords(hasher, delta)) {
    rows.push({ table: 'history', key: historyKey(header.space, record, header.hlc, id), value: NOTHING })
  }
  return rows
}

/** Its rows of `range` and `arrival`. */
export function placeRows(delta: VerifiedDelta, arrival: Arrival): StoreWrite[] {
  const range = rangeRowOfDelta(delta)
  return [
    { table: 'range', key: range, value: uintBytes(arrival, 8) },
    { table: 'arrival', key: arrivalKey(arrival), value: range }
  ]
}

/** Reverse links of one record. */
export function linkRowsOf(space: SpaceId, from: RecordId, state: RecordState): StoreWrite[] {
  const rows: StoreWrite[] = []
  for (const relation of ['related', 'parents', 'supersedes'] as const) {
    for (const to of state[relation]) {
      rows.push({ table: 'link', key: linkKey(space, to, relation, from), value: NOTHING })
    }
  }
  return rows
}

/** What a stored delta row turned out to be when it was read now. */
export type DeltaRow =
  | { readonly row: 'sound'; readonly delta: VerifiedDelta }
  /** Nothing is stored under the id. */
  | { readonly row: 'missing' }
  /** The row fails its checksum. */
  | { readonly row: 'checksum' }
  /** The row is as it was written, but what was written is not this delta. */
  | { readonly row: 'hash' }

/** In the order of `ids`. Never rejects because a row is damaged. */
export async function readRows(
  ports: { readonly store: Store; readonly crypto: Hasher },
  space: SpaceId,
  ids: readonly DeltaId[]
): Promise<DeltaRow[]> {
  const keys = ids.map((id) => deltaKey(space, id))
  const values = await soundRows(ports.store, 'delta', keys)
  const rows: DeltaRow[] = []
  for (const [index, value] of values.entries()) {
    if (value === undefined) {
      rows.push({ row: await whyAbsent(ports.store, keys[index] as Uint8Array) })
      continue
    }
    const delta = restoreDelta(value, ports.crypto)
    const sound = delta.ok && delta.value.id === ids[index] && delta.value.header.space === space
    rows.push(sound ? { row: 'sound', delta: delta.value } : { row: 'hash' })
  }
  return rows
}

async function whyAbsent(store: Store, key: Uint8Array): Promise<'missing' | 'checksum'> {
  const page = await scanSound(store, 'delta', { gte: key, limit: 1 })
  const [bad] = page.damaged
  return bad !== undefined && toHex(bad) === toHex(key) ? 'checksum' : 'missing'
}

/** The newest position of the arrival log that can be read; 0 for an empty log. */
export async function newestArrival(store: Store): Promise<Arrival> {
  let lt: Uint8Array | undefined
  for (;;) {
    const bounds = { reverse: true, limit: 1, ...(lt === undefined ? {} : { lt }) }
    const page = await scanSound(store, 'arrival', bounds)
    const [row] = page.rows
    if (row !== undefined) return Number(bytesToUint(row.key))
    if (page.ended && page.damaged.length === 0) return 0
    lt = page.damaged[0]
  }
}

/** Causal heads are looked for among this many of the newest deltas of a space: only eight are ever cited. */
const HEADS_WINDOW = 256
const HEADS_KEPT = 64

/**
 * The row of causal heads of a space, from its newest deltas: those that none of the others names. An older head is
 * left out, which costs nothing but a citation: every delta is still in the past of its author's next one.
 */
export async function headsRow(
  ports: { readonly store: Store; readonly crypto: Hasher },
  space: SpaceId
): Promise<StoreWrite> {
  const prefix = fromHex(space)
  const newest = await scanSound(ports.store, 'range', bounded(prefix, prefixEnd(prefix), HEADS_WINDOW, true))
  const rows = await readRows(
    ports,
    space,
    newest.rows.map((row) => parseRangeRowKey(row.key).id)
  )
  const heads = new Map<DeltaId, Hlc>()
  const cited = new Set<DeltaId>()
  for (const row of rows) {
    if (row.row !== 'sound') continue
    const { id, header } = row.delta
    heads.set(id, header.hlc)
    for (const cause of header.prev === null ? header.parents : [header.prev, ...header.parents]) cited.add(cause)
  }
  const free = [...heads].filter(([id]) => !cited.has(id)).map(([id, hlc]) => ({ id, hlc }))
  return { table: 'meta', key: META.heads(space), value: encodeHeads(free.slice(0, HEADS_KEPT)) }
}
