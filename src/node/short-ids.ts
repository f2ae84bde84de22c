/**
 * Delta records found by the first 8 bytes of their id, which is all that a sketch knows of them (sync/sketch.ts). The
 * rows of a space lie in the order of their ids, so this is one short scan for each.
 */
import { concatBytes, fromHex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import { prefixEnd, type Store } from '../ports/store.ts'

/** At most LIMITS.reconShortMatchesMax for each short id, in any order. Rows that fail their checksum are left out. */
export async function recordsByShortIds(
  store: Store,
  space: SpaceId,
  shorts: readonly Uint8Array[]
): Promise<Uint8Array[]> {
  const limit = LIMITS.reconShortMatchesMax
  const prefix = fromHex(space)
  const found = await Promise.all(
    shorts.map((short) => {
      const gte = concatBytes(prefix, short)
      const lt = prefixEnd(gte)
      return store.scan('delta', lt === undefined ? { gte, limit } : { gte, lt, limit })
    })
  )
  return found.flat().map(({ value }) => value)
}
