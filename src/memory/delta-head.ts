/**
 * What anti-entropy needs to know of a delta record: whose space it is, when it is dated, what its id is. Read at fixed
 * places of the record without decoding it (docs/WIRE.md §3.1), because a session passes on tens of thousands of records
 * that were, or will be, decoded and judged elsewhere.
 *
 * An answer does not mean that the record is sound: the bytes behind what is read here may be anything.
 */
import { concatBytes, utf8, type Bytes } from '../base/bytes.ts'
import type { Hasher } from '../ports/crypto.ts'

export interface DeltaHead {
  /** 16 bytes, a view of the record. */
  readonly space: Bytes
  /** Wall milliseconds of its hybrid time. */
  readonly ms: number
  /** As hashed; a view of the record. */
  readonly headerBytes: Bytes
}

const DELTA_TAG = utf8('chrysalis/delta/1\0')
const RANGE_KEY_BYTES = 38
const ID_BYTES = 32
/** CBOR heads, in hexadecimal order of their places: array of 3, array of 11, version 1, bytes of 16, 32 and 8, null. */
const RECORD_HEAD = 0x83
const HEADER_HEAD = 0x8b
const VERSION = 0x01
const BYTES_16 = 0x50
const BYTES_8 = 0x48
const BYTES_ONE_MORE = 0x58
const BYTES_TWO_MORE = 0x59
const NULL = 0xf6
/** From the start of a header: its own head, version, space, author and epoch with theirs. */
const SEQ_AT = 1 + 1 + 17 + 34 + 9

/** Undefined when the bytes do not begin like a record. */
export function readDeltaHead(record: Bytes): DeltaHead | undefined {
  if (record[0] !== RECORD_HEAD) return undefined
  const short = record[1] === BYTES_ONE_MORE
  if (!short && record[1] !== BYTES_TWO_MORE) return undefined
  const from = short ? 3 : 4
  const length = short ? (record[2] as number) : (record[2] as number) * 256 + (record[3] as number)
  if (record.length < from + length || length < SEQ_AT) return undefined
  const header = record.subarray(from, from + length)
  if (header[0] !== HEADER_HEAD || header[1] !== VERSION || header[2] !== BYTES_16) return undefined
  if (header[19] !== BYTES_ONE_MORE || header[20] !== ID_BYTES || header[53] !== BYTES_8) return undefined
  let at = afterUint(header, SEQ_AT)
  if (header[at] === NULL) at++
  else if (header[at] === BYTES_ONE_MORE && header[at + 1] === ID_BYTES) at += 2 + ID_BYTES
  else return undefined
  const ms = wallMs(header, at)
  return ms === undefined ? undefined : { space: header.subarray(3, 19), ms, headerBytes: header }
}

/** The 38-byte range key of a record, from its head: wall milliseconds, then the id that its header hashes to. */
export function rangeKeyOfHead(hasher: Hasher, head: DeltaHead): Bytes {
  const key = new Uint8Array(RANGE_KEY_BYTES)
  let rest = head.ms
  for (let i = 5; i >= 0; i--) {
    key[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  key.set(hasher.sha384(concatBytes(DELTA_TAG, head.headerBytes)).subarray(0, ID_BYTES), 6)
  return key
}

/** The place behind an unsigned integer; far beyond the end when there is none. */
function afterUint(bytes: Bytes, at: number): number {
  const head = bytes[at] as number
  if (head < 24) return at + 1
  return head < 28 ? at + 1 + (1 << (head - 24)) : Infinity
}

/** The upper 48 of 64 bits. */
function wallMs(bytes: Bytes, at: number): number | undefined {
  const end = afterUint(bytes, at)
  if (end > bytes.length) return undefined
  if (end === at + 1) return 0
  let ms = 0
  for (let i = at + 1; i < end - 2; i++) ms = ms * 256 + (bytes[i] as number)
  return ms
}
