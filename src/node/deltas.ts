/**
 * Reading stored deltas: one, those of a record in time order, all of a space. Every row is checked against its own
 * hash on the way (memory/verify.ts restoreDelta); what fails is an error here, never a wrong value.
 */
import { ChrysalisError, isChrysalisError } from '../base/errors.ts'
import { toHex } from '../base/bytes.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { decodeDeltaParts } from '../memory/delta-codec.ts'
import type { DeltaId, Fingerprint, RecordId, SpaceId } from '../memory/ids.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Store, Table } from '../ports/store.ts'
import { scanPrefix } from './restore.ts'
import { deltaKey, historyPrefix } from './rows.ts'

/** Hears of deltas that should be stored and are not, or are not what they should be (node/quarantine.ts). */
export interface DeltaWatch {
  /** `ms`: wall milliseconds of the delta's time, where the reader knows it. */
  suspect(space: SpaceId, id: DeltaId, ms?: number): void
}

export interface DeltaReader {
  readonly store: Store
  readonly crypto: Hasher
  readonly watch?: DeltaWatch
}

function parse(ports: DeltaReader, space: SpaceId, bytes: Uint8Array, id: DeltaId): VerifiedDelta {
  const delta = restoreDelta(bytes, ports.crypto)
  if (delta.ok && delta.value.id === id) return delta.value
  ports.watch?.suspect(space, id)
  throw new ChrysalisError('corrupt', `the stored delta ${id} does not match its hash`, {
    hint: 'Run `chrysalis doctor`; peers that hold it can restore it.',
    data: { delta: id }
  })
}

/** Missing ones are undefined. Rejects with `corrupt` when a row fails its hash. */
export async function readDeltas(
  ports: DeltaReader,
  space: SpaceId,
  ids: readonly DeltaId[]
): Promise<(VerifiedDelta | undefined)[]> {
  const values = await ports.store.getMany(
    'delta',
    ids.map((id) => deltaKey(space, id))
  )
  return values.map((value, index) => {
    const id = ids[index] as DeltaId
    if (value !== undefined) return parse(ports, space, value, id)
    ports.watch?.suspect(space, id)
    return undefined
  })
}

/** Records of deltas that the set names, as stored; undefined for one that is gone or fails its checksum. */
export async function readRecords(
  ports: Omit<DeltaReader, 'crypto'>,
  space: SpaceId,
  places: readonly { readonly id: DeltaId; readonly ms?: number }[]
): Promise<(Uint8Array | undefined)[]> {
  const keys = places.map(({ id }) => deltaKey(space, id))
  const rows = await soundRows(ports.store, 'delta', keys)
  places.forEach(({ id, ms }, index) => {
    if (rows[index] === undefined) ports.watch?.suspect(space, id, ms)
  })
  return rows
}

/** Rows by key; undefined where one is missing or fails its checksum: a damaged row must not hide the sound ones. */
export async function soundRows(
  store: Store,
  table: Table,
  keys: readonly Uint8Array[]
): Promise<(Uint8Array | undefined)[]> {
  try {
    return await store.getMany(table, keys)
  } catch (error) {
    if (!isChrysalisError(error, 'corrupt')) throw error
  }
  const rows: (Uint8Array | undefined)[] = []
  for (const key of keys) {
    try {
      rows.push(await store.get(table, key))
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
      rows.push(undefined)
    }
  }
  return rows
}

/** The deltas that are stored and match their hash; undefined for the others. */
export async function readSoundDeltas(
  ports: DeltaReader,
  space: SpaceId,
  ids: readonly DeltaId[]
): Promise<(VerifiedDelta | undefined)[]> {
  const rows = await readRecords(
    ports,
    space,
    ids.map((id) => ({ id }))
  )
  return rows.map((row, index) => {
    const delta = row === undefined ? undefined : restoreDelta(row, ports.crypto)
    if (delta?.ok === true && delta.value.id === ids[index]) return delta.value
    ports.watch?.suspect(space, ids[index] as DeltaId)
    return undefined
  })
}

/** Fingerprints of the deltas that are stored and match their hash, by id; what an answer shows needs no more of them. */
export async function readFingerprints(
  ports: DeltaReader,
  space: SpaceId,
  ids: readonly DeltaId[]
): Promise<Map<DeltaId, Fingerprint>> {
  const found = new Map<DeltaId, Fingerprint>()
  // One delta may have written all records of a page: it is read and hashed once.
  const distinct = [...new Set(ids)]
  const rows = await readRecords(
    ports,
    space,
    distinct.map((id) => ({ id }))
  )
  for (const [index, row] of rows.entries()) {
    const parts = row === undefined ? undefined : decodeDeltaParts(row, ports.crypto, { prunedAllowed: true })
    if (parts?.ok === true) found.set(parts.value.id, parts.value.fingerprint)
    if (parts?.ok === false) ports.watch?.suspect(space, distinct[index] as DeltaId)
  }
  return found
}

/** Deltas that touched the record, oldest first by (hlc, id), at most `limit`. */
export async function readHistory(
  ports: DeltaReader,
  space: SpaceId,
  record: RecordId,
  limit: number
): Promise<VerifiedDelta[]> {
  const ids: DeltaId[] = []
  for await (const row of scanPrefix(ports.store, 'history', historyPrefix(space, record))) {
    ids.push(toHex(row.key.subarray(56, 88)))
    if (ids.length >= limit) break
  }
  const deltas = await readDeltas(ports, space, ids)
  return deltas.filter((delta) => delta !== undefined)
}
