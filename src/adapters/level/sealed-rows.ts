/**
 * Rows as LevelDB holds them: `checksum ‖ payload` under the physical key. A batch is laid out in one array, keys and
 * values one behind the other, because a group of deltas has thousands of rows and an array of its own for each key and
 * each value cost more than filling it.
 */
import type { StoreWrite } from '../../ports/store.ts'
import { TABLE_BYTES } from './keyspace.ts'
import { CHECKSUM_BYTES, putRowChecksum, rowChecksumHolds } from './row-checksum.ts'

export type LevelOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

/** Arrays are cut from blocks of this size, so that a batch of many megabytes never needs one piece of memory. */
const BLOCK_BYTES = 262_144

/** The value as stored: checksum over the physical key and the payload, then the payload. A fresh array. */
export function sealRow(physical: Uint8Array, payload: Uint8Array): Uint8Array {
  const row = new Uint8Array(CHECKSUM_BYTES + payload.length)
  putRowChecksum(physical, payload, row, 0)
  row.set(payload, CHECKSUM_BYTES)
  return row
}

/** The payload of a stored value as a fresh array, or undefined when the checksum does not hold. */
export function openRow(physical: Uint8Array, row: Uint8Array): Uint8Array | undefined {
  if (row.length < CHECKSUM_BYTES) return undefined
  const payload = new Uint8Array(row.length - CHECKSUM_BYTES)
  payload.set(row.subarray(CHECKSUM_BYTES))
  return rowChecksumHolds(physical, payload, row) ? payload : undefined
}

/** The operations of one batch. They share memory with each other and with nothing else. */
export function sealBatch(writes: readonly StoreWrite[]): LevelOperation[] {
  let left = 0
  for (const write of writes) left += bytesOf(write)
  let block = new Uint8Array(0)
  let at = 0
  return writes.map((write): LevelOperation => {
    const size = bytesOf(write)
    if (at + size > block.length) {
      block = new Uint8Array(Math.max(size, Math.min(left, BLOCK_BYTES)))
      at = 0
    }
    left -= size
    const keyEnd = at + 1 + write.key.length
    const key = block.subarray(at, keyEnd)
    block[at] = TABLE_BYTES[write.table]
    block.set(write.key, at + 1)
    at += size
    if (write.value === null) return { type: 'del', key }
    const value = block.subarray(keyEnd, at)
    putRowChecksum(key, write.value, block, keyEnd)
    block.set(write.value, keyEnd + CHECKSUM_BYTES)
    return { type: 'put', key, value }
  })
}

function bytesOf({ key, value }: StoreWrite): number {
  return 1 + key.length + (value === null ? 0 : CHECKSUM_BYTES + value.length)
}
