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

export interface DeltaReader {
  readonly store: Store
  readonly crypto: Hasher
}

function parse(bytes: Uint8Array, id: DeltaId, hasher: Hasher): VerifiedDelta {
  const delta = restoreDelta(bytes, hasher)
  if (delta.ok && delta.value.id === id) return delta.value
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
  return values.map((value, index) =>
    value === undefined ? undefined : parse(value, ids[index] as DeltaId, ports.crypto)
  )
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
  const keys = ids.map((id) => deltaKey(space, id))
  const rows = await soundRows(ports.store, 'delta', keys)
  return rows.map((row, index) => {
    const delta = row === undefined ? undefined : restoreDelta(row, ports.crypto)
    return delta?.ok === true && delta.value.id === ids[index] ? delta.value : undefined
  })
}

/** Fingerprints of the deltas that are stored and match their hash, by id; what an answer shows needs no more of them. */
export async function readFingerprints(
  ports: DeltaReader,
  space: SpaceId,
  ids: readonly DeltaId[]
): Promise<Map<DeltaId, Fingerprint>> {
  const keys = ids.map((id) => deltaKey(space, id))
  const found = new Map<DeltaId, Fingerprint>()
  for (const row of await soundRows(ports.store, 'delta', keys)) {
    const parts = row === undefined ? undefined : decodeDeltaParts(row, ports.crypto, { prunedAllowed: true })
    if (parts?.ok === true) found.set(parts.value.id, parts.value.fingerprint)
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
