/**
 * The arrival log as a stream: what came in, in the order in which it came to this daemon. A cursor is a position in
 * that log, written as decimal text; it is durable, so a reader that went away goes on exactly where it was.
 */
import { ChrysalisError } from '../base/errors.ts'
import { bytesToUint } from '../base/bytes.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs, type RecordId, type SpaceId } from '../memory/ids.ts'
import { resolveTarget } from '../memory/names.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Store } from '../ports/store.ts'
import type { ChangeEntry, ChangesAnswer } from './api.ts'
import { soundRows, type DeltaWatch } from './deltas.ts'
import { parseRangeRowKey } from './derive.ts'
import { arrivalKey, deltaKey, type Arrival } from './rows.ts'

const CHANGES_DEFAULT = 100
const CHANGES_MAX = 1_000

export function parseCursor(cursor: string | undefined): Arrival {
  if (cursor === undefined) return 0
  const arrival = /^\d{1,15}$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!Number.isSafeInteger(arrival)) {
    throw new ChrysalisError('invalid_argument', `'${cursor}' is not a cursor`, {
      hint: 'Use the cursor of an earlier answer, or leave it out to start at the beginning.'
    })
  }
  return arrival
}

export function changeOf(hasher: Hasher, arrival: Arrival, delta: VerifiedDelta): ChangeEntry {
  const records = new Set<RecordId>()
  for (const op of delta.ops) {
    if (op.op !== 'unknown') records.add(resolveTarget(hasher, delta.header.space, delta.id, op.target))
  }
  return {
    cursor: String(arrival),
    space: delta.header.space,
    delta: delta.id,
    peer: authorToPeerId(delta.header.author),
    atMs: hlcMs(delta.header.hlc),
    records: [...records]
  }
}

export async function readChanges(
  ports: { store: Store; crypto: Hasher; watch?: DeltaWatch },
  request: {
    cursor?: string
    limit?: number
    spaces?: ReadonlySet<SpaceId>
    /** Which of them are told; all when omitted. */
    only?: (delta: VerifiedDelta) => boolean
  },
  newest: Arrival
): Promise<ChangesAnswer> {
  // The end of the log, for those who only want what comes from now on.
  if (request.limit === 0) return { changes: [], cursor: String(newest), more: false }
  const after = parseCursor(request.cursor)
  if (after > newest) {
    throw new ChrysalisError(
      'invalid_argument',
      `the cursor ${after} lies beyond the end of this daemon's log, ${newest}`,
      {
        hint: 'The home was restored or made anew: start again without a cursor.',
        data: { newest: String(newest) }
      }
    )
  }
  const limit = Math.min(Math.max(1, request.limit ?? CHANGES_DEFAULT), CHANGES_MAX)
  if (after === newest) return { changes: [], cursor: String(after), more: false }
  const rows = await ports.store.scan('arrival', { gte: arrivalKey(after + 1), lt: arrivalKey(newest + 1), limit })
  const places = rows.map((row) => ({ arrival: Number(bytesToUint(row.key)), ...parseRangeRowKey(row.value) }))
  const wanted = places.filter((place) => request.spaces === undefined || request.spaces.has(place.space))
  const values = await soundRows(
    ports.store,
    'delta',
    wanted.map((place) => deltaKey(place.space, place.id))
  )
  const changes: ChangeEntry[] = []
  wanted.forEach((place, index) => {
    const value = values[index]
    const delta = value === undefined ? undefined : restoreDelta(value, ports.crypto)
    if (delta?.ok === true) {
      if (request.only?.(delta.value) ?? true) changes.push(changeOf(ports.crypto, place.arrival, delta.value))
    } else ports.watch?.suspect(place.space, place.id, place.ms)
  })
  const cursor = places.at(-1)?.arrival ?? newest
  return { changes, cursor: String(cursor), more: cursor < newest }
}
