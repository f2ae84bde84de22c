/**
 * The phases of a rebuild, each a function from where it stands to one page of work: what to write, and where to go on
 * (node/rebuild.ts runs them and says what each is for). A phase reads the store as it is and writes nothing itself, so a
 * page is done wholly or not at all.
 */
import { bytesToUint, compareBytes, equalBytes, fromHex, fromUtf8, toHex, uintBytes } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs, type SpaceId } from '../memory/ids.ts'
import { decodeRecord, encodeRecord } from '../memory/record-codec.ts'
import { emptyRecord } from '../memory/record.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { Hasher } from '../ports/crypto.ts'
import { keyAfter, prefixEnd, type Store, type StoreWrite, type Table } from '../ports/store.ts'
import {
  CHAIN_PLACE_BYTES,
  headsRow,
  indexRows,
  linkRowsOf,
  parseRangeRowKey,
  placeRows,
  rangeRowOfDelta,
  readRows,
  spaceOfKey,
  touchedRecords
} from './derive.ts'
import { applyDelta } from './refold.ts'
import { encodeProofIds, META, parseAuthorKey, parseRecordValue, recordKey, recordValue, type Arrival } from './rows.ts'
import { pageEnd, scanSound, type SoundPage } from './sound-scan.ts'

/** What the mark on the disk says: enough to go on, and to report in the end. */
export interface Tally {
  /** Rows looked at, in all phases. */
  rows: number
  /** Deltas that are in the set now. */
  deltas: number
  /** Deltas that the arrival log had forgotten. */
  appended: number
  /** Rows of `delta` and `pending` that were damaged beyond use. */
  dropped: number
  /** Highest position seen or handed out. */
  newest: Arrival
}

export interface PhaseContext {
  readonly store: Store
  readonly crypto: Hasher
  /** Spaces that get a row of heads even when nothing is stored of them. */
  readonly spaces: readonly SpaceId[]
  readonly pageRows: number
  readonly tally: Tally
}

export interface Step {
  readonly writes: readonly StoreWrite[]
  /** Where the next page of this phase begins; undefined when the phase is over. */
  readonly after: Uint8Array | undefined
}

type Phase = (context: PhaseContext, after: Uint8Array | undefined) => Promise<Step>

/** Bulk deltas touch hundreds of records each: a page ends early when it has touched so many. */
const TOUCHED_MAX = 2_048
/** Rows that are only deleted are small. */
const CLEAR_ROWS_FACTOR = 8

type Fate = 'all' | 'damaged'
const CLEARED: readonly (readonly [Table, Fate])[] = [
  ['range', 'all'],
  ['author', 'all'],
  ['record', 'all'],
  ['history', 'all'],
  ['link', 'all'],
  ['proof', 'all'],
  ['leaf', 'all'],
  ['quarantine', 'all'],
  ['meta', 'all'],
  ['receipt', 'damaged'],
  ['audit', 'damaged'],
  ['embedding', 'damaged']
]
const META_KEPT: ReadonlySet<string> = new Set([
  'schema',
  ...[META.epoch, META.rebuilding, META.positions, META.trust].map(fromUtf8)
])

async function nextPage(context: PhaseContext, table: Table, after: Uint8Array | undefined): Promise<SoundPage> {
  const page = await scanSound(context.store, table, {
    limit: context.pageRows,
    ...(after === undefined ? {} : { gte: keyAfter(after) })
  })
  context.tally.rows += page.rows.length + page.damaged.length
  return page
}

const endOf = (page: SoundPage): Uint8Array | undefined => (page.ended ? undefined : pageEnd(page))

/** `after` is the number of the table in one byte, then the key. */
async function clear(context: PhaseContext, after: Uint8Array | undefined): Promise<Step> {
  const number = after?.[0] ?? 0
  const [table, fate] = CLEARED[number] as (typeof CLEARED)[number]
  const wide = { ...context, pageRows: CLEAR_ROWS_FACTOR * context.pageRows }
  const page = await nextPage(wide, table, after !== undefined && after.length > 1 ? after.subarray(1) : undefined)
  const isKept = (key: Uint8Array): boolean => table === 'meta' && META_KEPT.has(String.fromCharCode(...key))
  const keys = [...page.damaged, ...(fate === 'all' ? page.rows.map((row) => row.key) : [])]
  const writes = keys.filter((key) => !isKept(key)).map((key) => ({ table, key, value: null }))
  const last = endOf(page)
  if (last === undefined) {
    return { writes, after: number + 1 < CLEARED.length ? new Uint8Array([number + 1]) : undefined }
  }
  const next = new Uint8Array(1 + last.length)
  next[0] = number
  next.set(last, 1)
  return { writes, after: next }
}

/** The surviving log in its order. A row that names no sound delta, or one that has its place already, goes. */
async function arrivals(context: PhaseContext, after: Uint8Array | undefined): Promise<Step> {
  const { store, tally } = context
  const page = await nextPage(context, 'arrival', after)
  const writes: StoreWrite[] = page.damaged.map((key) => ({ table: 'arrival', key, value: null }))
  const named = await storedDeltas(
    context,
    page.rows.map((row) => row.value)
  )
  const taken = await store.getMany(
    'range',
    page.rows.map((row) => row.value)
  )
  const places = new Set<string>()
  const placed: Placed[] = []
  let touched = 0
  let last = endOf(page)
  for (const [index, { key, value }] of page.rows.entries()) {
    const delta = named[index]
    const place = toHex(value)
    tally.newest = Math.max(tally.newest, Number(bytesToUint(key)))
    if (delta === undefined || taken[index] !== undefined || places.has(place)) {
      writes.push({ table: 'arrival', key, value: null })
      continue
    }
    places.add(place)
    placed.push({ delta, arrival: Number(bytesToUint(key)) })
    touched += delta.ops.length
    if (touched < TOUCHED_MAX || index === page.rows.length - 1) continue
    last = key
    break
  }
  tally.deltas += placed.length
  // Damaged rows behind an early end are met again by the next page: deleting them twice does no harm.
  return { writes: [...writes, ...(await place(context, placed))], after: last }
}

interface Placed {
  readonly delta: VerifiedDelta
  readonly arrival: Arrival
}

/** Sound deltas by the keys of their range rows; undefined where there is none that fits. */
async function storedDeltas(
  context: PhaseContext,
  rangeRows: readonly Uint8Array[]
): Promise<(VerifiedDelta | undefined)[]> {
  const found: (VerifiedDelta | undefined)[] = rangeRows.map(() => undefined)
  const bySpace = new Map<SpaceId, number[]>()
  for (const [index, key] of rangeRows.entries()) {
    if (key.length !== 54) continue
    const space = spaceOfKey(key)
    const list = bySpace.get(space)
    if (list === undefined) bySpace.set(space, [index])
    else list.push(index)
  }
  for (const [space, indexes] of bySpace) {
    const places = indexes.map((index) => parseRangeRowKey(rangeRows[index] as Uint8Array))
    const rows = await readRows(
      context,
      space,
      places.map((place) => place.id)
    )
    rows.forEach((row, i) => {
      if (row.row !== 'sound' || hlcMs(row.delta.header.hlc) !== places[i]?.ms) return
      found[indexes[i] as number] = row.delta
    })
  }
  return found
}

/** All rows that follow from these deltas at these positions, folded into the records as they stand. */
async function place(context: PhaseContext, placed: readonly Placed[]): Promise<StoreWrite[]> {
  const { store, crypto } = context
  const writes: StoreWrite[] = []
  const touching = new Map<string, { key: Uint8Array; deltas: Placed[] }>()
  for (const one of placed) {
    writes.push(...placeRows(one.delta, one.arrival), ...indexRows(crypto, one.delta))
    for (const id of touchedRecords(crypto, one.delta)) {
      const key = recordKey(one.delta.header.space, id)
      const slot = toHex(key)
      const known = touching.get(slot)
      if (known === undefined) touching.set(slot, { key, deltas: [one] })
      else known.deltas.push(one)
    }
  }
  const records = [...touching.values()]
  const values = await store.getMany(
    'record',
    records.map((record) => record.key)
  )
  records.forEach(({ key, deltas }, index) => {
    const id = toHex(key.subarray(16))
    const value = values[index]
    const stored = value === undefined ? undefined : parseRecordValue(value)
    const state = stored === undefined ? emptyRecord(id) : decodeRecord(stored.state)
    let newest = stored?.lastArrival ?? 0
    for (const { delta, arrival } of deltas) {
      applyDelta(crypto, state, delta)
      newest = Math.max(newest, arrival)
    }
    writes.push({ table: 'record', key, value: recordValue(newest, encodeRecord(state)) })
    writes.push(...linkRowsOf(spaceOfKey(key), id, state))
  })
  return writes
}

/** Deltas without a place get a range row that says so; damaged ones go, and come back from peers. */
async function strays(context: PhaseContext, after: Uint8Array | undefined): Promise<Step> {
  const { store, crypto, tally } = context
  const page = await nextPage(context, 'delta', after)
  const writes: StoreWrite[] = page.damaged.map((key) => ({ table: 'delta', key, value: null }))
  const keys: Uint8Array[] = []
  for (const { key, value } of page.rows) {
    const delta = restoreDelta(value, crypto)
    if (delta.ok && equalBytes(key, fromHex(delta.value.header.space + delta.value.id))) {
      keys.push(rangeRowOfDelta(delta.value))
    } else writes.push({ table: 'delta', key, value: null })
  }
  tally.dropped += writes.length
  const taken = await store.getMany('range', keys)
  keys.forEach((key, index) => {
    if (taken[index] === undefined) writes.push({ table: 'range', key, value: uintBytes(0, 8) })
  })
  return { writes, after: endOf(page) }
}

async function append(context: PhaseContext, after: Uint8Array | undefined): Promise<Step> {
  const { tally } = context
  // Once, and before any position is handed out: the batch that does so carries the tally with it.
  if (after === undefined) tally.newest += LIMITS.arrivalGapMin
  const page = await nextPage(context, 'range', after)
  const waiting = page.rows.filter((row) => bytesToUint(row.value) === 0n).map((row) => row.key)
  const writes: StoreWrite[] = page.damaged.map((key) => ({ table: 'range', key, value: null }))
  const deltas = await storedDeltas(context, waiting)
  const placed: Placed[] = []
  let touched = 0
  let last = endOf(page)
  for (const [index, key] of waiting.entries()) {
    const delta = deltas[index]
    if (delta === undefined) {
      writes.push({ table: 'range', key, value: null })
      continue
    }
    placed.push({ delta, arrival: ++tally.newest })
    touched += delta.ops.length
    if (touched < TOUCHED_MAX || index === waiting.length - 1) continue
    last = key
    break
  }
  tally.deltas += placed.length
  tally.appended += placed.length
  return { writes: [...writes, ...(await place(context, placed))], after: last }
}

/** Two deltas at one place in a chain prove that its author signed twice. */
async function proofs(context: PhaseContext, after: Uint8Array | undefined): Promise<Step> {
  const page = await nextPage(context, 'author', after)
  const positions = new Map<string, Uint8Array>()
  let before = after
  for (const { key } of page.rows) {
    const position = key.subarray(0, CHAIN_PLACE_BYTES)
    const isTwin = before !== undefined && compareBytes(before.subarray(0, CHAIN_PLACE_BYTES), position) === 0
    if (isTwin) positions.set(toHex(position), position)
    before = key
  }
  const writes: StoreWrite[] = []
  for (const position of positions.values()) {
    const end = prefixEnd(position)
    const bounds = { gte: position, limit: LIMITS.proofIdsMax, ...(end === undefined ? {} : { lt: end }) }
    // In the order of their ids: the first are the least.
    const rows = await context.store.scan('author', bounds)
    const ids = rows.map((row) => parseAuthorKey(row.key).id)
    writes.push({ table: 'proof', key: position, value: encodeProofIds(ids) })
  }
  return { writes, after: endOf(page) }
}

/** A salvage brings back rows that were deleted: a held delta that was admitted since would be admitted twice. */
async function pending(context: PhaseContext, after: Uint8Array | undefined): Promise<Step> {
  const page = await nextPage(context, 'pending', after)
  const writes: StoreWrite[] = page.damaged.map((key) => ({ table: 'pending', key, value: null }))
  const admitted = await context.store.getMany(
    'range',
    page.rows.map((row) => row.key)
  )
  page.rows.forEach(({ key, value }, index) => {
    const delta = restoreDelta(value, context.crypto)
    const isSound = delta.ok && equalBytes(rangeRowOfDelta(delta.value), key)
    if (!isSound) context.tally.dropped++
    if (!isSound || admitted[index] !== undefined) writes.push({ table: 'pending', key, value: null })
  })
  context.tally.dropped += page.damaged.length
  return { writes, after: endOf(page) }
}

async function heads(context: PhaseContext): Promise<Step> {
  const { store, tally } = context
  const spaces = new Set(context.spaces)
  for (let gte: Uint8Array | undefined = new Uint8Array(0); gte !== undefined;) {
    const [row] = await store.scan('range', { gte, limit: 1 })
    if (row === undefined) break
    spaces.add(spaceOfKey(row.key))
    gte = prefixEnd(row.key.subarray(0, 16))
  }
  const writes: StoreWrite[] = []
  for (const space of spaces) writes.push(await headsRow(context, space))
  const positions = new Uint8Array(16)
  positions.set(uintBytes(tally.newest, 8))
  positions.set(uintBytes(tally.newest - tally.deltas, 8), 8)
  writes.push({ table: 'meta', key: META.positions, value: positions })
  return { writes, after: undefined }
}

/** In the order in which they run. */
export const REBUILD_PHASES = { clear, arrivals, strays, append, proofs, pending, heads } satisfies Record<
  string,
  Phase
>
export type PhaseName = keyof typeof REBUILD_PHASES
