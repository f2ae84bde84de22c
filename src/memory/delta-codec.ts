/**
 * One delta as bytes, and several of them as one gossip frame (docs/WIRE.md §3, §5).
 *
 * A record is [header, signature, body]: three byte strings, so that header and body are hashed exactly as received and
 * are never encoded again on the way through. Decoding checks everything that follows from the bytes alone, hashes
 * included, and leaves the signature to memory/verify.ts.
 *
 * A delta is decoded from one copy of its record and its parts are views of that copy: it never keeps the network buffer
 * it came in alive, and is never put together again on its way to the disk.
 */
import { ChrysalisError } from '../base/errors.ts'
import { fromHex, toHex, type Bytes } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import { decodeCanonical, encodeCanonical, hexOf, isBytes, isUint, type CborValue } from './codec.ts'
import { refuse, type Checked, type Delta, type DeltaHeader } from './delta.ts'
import { bodyHashOf, fingerprintOf, idOfFingerprint } from './fingerprint.ts'
import { decodeBody } from './ops-codec.ts'

const HEADER_VERSION = 1
const FRAME_VERSION = 1
const SIGNATURE_BYTES = 64
const FLAGS_MAX = 0xffff_ffff
/** Header and body at their longest, the signature, and the heads of four items. */
export const RECORD_BYTES_MAX = LIMITS.deltaHeaderBytesMax + LIMITS.deltaBodyBytesMax + 512

/** Bytes of a frame around its records at most: add FRAME_RECORD_HEAD_BYTES_MAX for each record when filling one. */
export const FRAME_HEAD_BYTES_MAX = 4
export const FRAME_RECORD_HEAD_BYTES_MAX = 5

export function encodeHeader(header: DeltaHeader): Bytes {
  return encodeCanonical([
    header.version,
    fromHex(header.space),
    fromHex(header.author),
    fromHex(header.epoch),
    header.seq,
    header.prev === null ? null : fromHex(header.prev),
    header.hlc,
    header.parents.map((parent) => fromHex(parent)),
    fromHex(header.bodyHash),
    header.bodyLength,
    header.flags
  ])
}

/**
 * Reasons: those of decodeCanonical; `unsupported-version`; `shape`; `too-large` for more parents or a longer body than
 * allowed; `chain-shape` when seq, prev and parents contradict each other.
 */
export function decodeHeader(bytes: Bytes): Checked<DeltaHeader> {
  const decoded = decodeCanonical(bytes, { bytesMax: LIMITS.deltaHeaderBytesMax, views: true })
  if (!decoded.ok) return decoded
  const items = decoded.value
  if (!Array.isArray(items) || !isUint(items[0])) return refuse('shape', 'a header is an array led by its version')
  if (items[0] !== HEADER_VERSION) return refuse('unsupported-version', `delta version ${items[0]}`)
  if (items.length !== 11) return refuse('shape', `a header has 11 items, not ${items.length}`)
  const [, spaceItem, authorItem, epochItem, seq, prevItem, hlcItem, parentItems, hashItem, bodyLength, flags] =
    items as readonly CborValue[]
  const space = hexOf(spaceItem, 16)
  const author = hexOf(authorItem, 32)
  const epoch = hexOf(epochItem, 8)
  const prev = prevItem === null ? null : hexOf(prevItem, 32)
  const bodyHash = hexOf(hashItem, 32)
  if (space === undefined || author === undefined || epoch === undefined) {
    return refuse('shape', 'space, author and epoch are 16, 32 and 8 bytes')
  }
  if (prev === undefined || bodyHash === undefined) return refuse('shape', 'prev and bodyHash are 32 bytes')
  if (!isUint(seq) || !isUint(bodyLength) || !isUint(flags, FLAGS_MAX)) {
    return refuse('shape', 'seq, bodyLen and flags are integers')
  }
  if (typeof hlcItem !== 'bigint' && typeof hlcItem !== 'number') return refuse('shape', 'hlc is an integer')
  if (bodyLength > LIMITS.deltaBodyBytesMax) return refuse('too-large', `a body of ${bodyLength} bytes`)
  if ((seq === 0) !== (prev === null))
    return refuse('chain-shape', 'prev is null exactly in the first delta of an epoch')
  const parents = decodeParents(parentItems, prev)
  if (!parents.ok) return parents
  // Sixty-four bits of time leave 48 for the milliseconds, so no further bound is needed.
  const hlc = BigInt(hlcItem)
  return {
    ok: true,
    value: { version: 1, space, author, epoch, seq, prev, hlc, parents: parents.value, bodyHash, bodyLength, flags }
  }
}

function decodeParents(items: CborValue | undefined, prev: string | null): Checked<string[]> {
  if (!Array.isArray(items)) return refuse('shape', 'parents are an array')
  if (items.length > LIMITS.deltaParentsMax) return refuse('too-large', `${items.length} parents`)
  const parents: string[] = []
  for (const item of items as readonly CborValue[]) {
    const parent = hexOf(item, 32)
    if (parent === undefined) return refuse('shape', 'a parent is 32 bytes')
    const before = parents.at(-1)
    if (before !== undefined && before >= parent) return refuse('chain-shape', 'parents are not sorted and distinct')
    if (parent === prev) return refuse('chain-shape', 'prev is not repeated among the parents')
    parents.push(parent)
  }
  return { ok: true, value: parents }
}

/** A record put together from its parts; a delta that was decoded or sealed has its own in `record`. */
export function encodeDelta(delta: Pick<Delta, 'headerBytes' | 'signature' | 'bodyBytes'>): Bytes {
  return encodeCanonical([delta.headerBytes, delta.signature, delta.bodyBytes])
}

/** A record whose hashes are right, its operations not looked at. */
export type DeltaParts = Omit<Delta, 'ops'>

export interface DecodeDeltaOptions {
  readonly prunedAllowed?: boolean
  /** `bytes` is an array that nobody else holds: it becomes the delta's record without being copied. */
  readonly owned?: boolean
}

/**
 * Decodes and checks one record, all but its signature. A record without its body is refused as `body-hash` unless
 * `prunedAllowed`: a peer that could hand over headers alone could make a replica believe that it holds the delta.
 */
export function decodeDelta(bytes: Bytes, hasher: Hasher, options: DecodeDeltaOptions = {}): Checked<Delta> {
  const parts = decodeDeltaParts(bytes, hasher, options)
  if (!parts.ok) return parts
  const { bodyBytes } = parts.value
  if (bodyBytes === null) return { ok: true, value: { ...parts.value, ops: [] } }
  const ops = decodeBody(bodyBytes)
  if (!ops.ok) return refuse(ops.reason, `body: ${ops.detail}`)
  return { ok: true, value: { ...parts.value, ops: ops.value } }
}

/**
 * As decodeDelta, without reading the operations: enough for bytes that were admitted once and need only prove that
 * they are still the same. Costs about half as much.
 */
export function decodeDeltaParts(bytes: Bytes, hasher: Hasher, options: DecodeDeltaOptions = {}): Checked<DeltaParts> {
  if (bytes.length > RECORD_BYTES_MAX) {
    return refuse('too-large', `${bytes.length} bytes, at most ${RECORD_BYTES_MAX}`)
  }
  const split = splitRecord(options.owned === true ? bytes : new Uint8Array(bytes))
  if (!split.ok) return split
  const { headerBytes, bodyBytes } = split.value
  const header = decodeHeader(headerBytes)
  if (!header.ok) return refuse(header.reason, `header: ${header.detail}`)
  if (bodyBytes === null && options.prunedAllowed !== true) return refuse('body-hash', 'the body is missing')
  if (bodyBytes !== null && bodyBytes.length !== header.value.bodyLength)
    return refuse('body-hash', 'the body is not as long as the header says')
  if (bodyBytes !== null && header.value.bodyHash !== bodyHashOf(hasher, bodyBytes)) {
    return refuse('body-hash', 'the body is not the one the header names')
  }
  const fingerprint = toHex(fingerprintOf(hasher, headerBytes))
  const id = idOfFingerprint(fingerprint)
  return { ok: true, value: { id, fingerprint, header: header.value, ...split.value } }
}

/** The three byte strings of a record, as views of it; nothing inside them is looked at. */
export function splitRecord(record: Bytes): Checked<Pick<Delta, 'record' | 'headerBytes' | 'signature' | 'bodyBytes'>> {
  const decoded = decodeCanonical(record, { bytesMax: RECORD_BYTES_MAX, views: true })
  if (!decoded.ok) return decoded
  const items = decoded.value
  if (!Array.isArray(items) || items.length !== 3) return refuse('shape', 'a record is [header, signature, body]')
  const [headerBytes, signature, bodyBytes] = items as readonly CborValue[]
  if (!(headerBytes instanceof Uint8Array)) return refuse('shape', 'the header is a byte string')
  if (!isBytes(signature, SIGNATURE_BYTES)) return refuse('shape', `a signature is ${SIGNATURE_BYTES} bytes`)
  if (bodyBytes !== null && !(bodyBytes instanceof Uint8Array))
    return refuse('shape', 'the body is a byte string or null')
  return { ok: true, value: { record, headerBytes, signature, bodyBytes } }
}

/**
 * A gossip frame of at least one record. Throws ChrysalisError `too_large` beyond LIMITS.gossipFrameDeltasMax or
 * LIMITS.gossipFrameBytesMax; the FRAME_…_BYTES_MAX constants say beforehand whether one more record fits.
 */
export function encodeFrame(records: readonly Bytes[]): Bytes {
  const bytes = encodeCanonical([FRAME_VERSION, records])
  if (records.length > LIMITS.gossipFrameDeltasMax || bytes.length > LIMITS.gossipFrameBytesMax) {
    throw new ChrysalisError(
      'too_large',
      `${records.length} deltas of ${bytes.length} bytes do not fit one gossip frame`,
      {
        hint: `Send at most ${LIMITS.gossipFrameDeltasMax} deltas and ${LIMITS.gossipFrameBytesMax} bytes at once.`
      }
    )
  }
  return bytes
}

/**
 * The records of a frame, not yet decoded: each stands or falls alone. They are views of the frame, for a caller that
 * decodes them before it lets the frame go. Reasons as for decodeHeader.
 */
export function decodeFrame(bytes: Bytes): Checked<Bytes[]> {
  // Views: each record is copied once, when it is decoded.
  const decoded = decodeCanonical(bytes, { bytesMax: LIMITS.gossipFrameBytesMax, views: true })
  if (!decoded.ok) return decoded
  const items = decoded.value
  if (!Array.isArray(items) || !isUint(items[0])) return refuse('shape', 'a frame is an array led by its version')
  if (items[0] !== FRAME_VERSION) return refuse('unsupported-version', `frame version ${items[0]}`)
  const [, recordItems] = items as readonly CborValue[]
  if (items.length !== 2 || !Array.isArray(recordItems)) return refuse('shape', 'a frame is [version, [record, …]]')
  if (recordItems.length === 0) return refuse('shape', 'a frame carries at least one record')
  if (recordItems.length > LIMITS.gossipFrameDeltasMax) return refuse('too-large', `${recordItems.length} deltas`)
  const records: Bytes[] = []
  for (const item of recordItems as readonly CborValue[]) {
    if (!(item instanceof Uint8Array)) return refuse('shape', 'a record is a byte string')
    records.push(item)
  }
  return { ok: true, value: records }
}
