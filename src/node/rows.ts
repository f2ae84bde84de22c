/**
 * How the engine writes its rows: keys and values of every table, in one place (docs/WIRE.md §9). Keys are fixed-width
 * binary, so that byte order is (space, time, id) order and every question is one range.
 */
import {
  bytesToUint,
  concatBytes,
  fromHex,
  putHex,
  putUint,
  toHex,
  uintBytes,
  utf8,
  type Bytes,
  type Hex
} from '../base/bytes.ts'
import type { AuthorId, DeltaId, Epoch, Hlc, RecordId, SpaceId } from '../memory/ids.ts'
import { RELATIONS, type Relation } from '../memory/ops.ts'

/** Position in this daemon's arrival log. */
export type Arrival = number

/** A space, then an id of 32 bytes; `more` bytes are left for what follows. Written in place: each delta has seven keys. */
function spaceAndId(space: SpaceId, id: string, more = 0): Bytes {
  const key = new Uint8Array(48 + more)
  putHex(id, key, putHex(space, key, 0))
  return key
}

export const deltaKey = (space: SpaceId, id: DeltaId): Bytes => spaceAndId(space, id)

/** `range` is the 38-byte range key. */
export const rangeRowKey = (space: SpaceId, range: Bytes): Bytes => concatBytes(fromHex(space), range)

export const arrivalKey = (arrival: Arrival): Bytes => uintBytes(arrival, 8)

export const authorPrefix = (space: SpaceId, author?: AuthorId, epoch?: Epoch, seq?: number): Bytes =>
  concatBytes(
    fromHex(space),
    author === undefined ? new Uint8Array(0) : fromHex(author),
    epoch === undefined ? new Uint8Array(0) : fromHex(epoch),
    seq === undefined ? new Uint8Array(0) : uintBytes(seq, 8)
  )

export function authorKey(space: SpaceId, author: AuthorId, epoch: Epoch, seq: number, id: DeltaId): Bytes {
  const key = spaceAndId(space, author, 48)
  putHex(id, key, putUint(seq, key, putHex(epoch, key, 48), 8))
  return key
}

export function parseAuthorKey(key: Bytes): { author: AuthorId; epoch: Epoch; seq: number; id: DeltaId } {
  return {
    author: toHex(key.subarray(16, 48)),
    epoch: toHex(key.subarray(48, 56)),
    seq: Number(bytesToUint(key.subarray(56, 64))),
    id: toHex(key.subarray(64, 96))
  }
}

export const recordKey = (space: SpaceId, id: RecordId): Bytes => spaceAndId(space, id)

/** The arrival of the newest delta that touched the record, then its canonical state. */
export const recordValue = (lastArrival: Arrival, state: Bytes): Bytes => concatBytes(uintBytes(lastArrival, 8), state)

export function parseRecordValue(value: Bytes): { lastArrival: Arrival; state: Bytes } {
  return { lastArrival: Number(bytesToUint(value.subarray(0, 8))), state: value.subarray(8) }
}

export const historyPrefix = (space: SpaceId, record: RecordId): Bytes => recordKey(space, record)

export function historyKey(space: SpaceId, record: RecordId, hlc: Hlc, id: DeltaId): Bytes {
  const key = spaceAndId(space, record, 40)
  putHex(id, key, putUint(hlc, key, 48, 8))
  return key
}

export const linkPrefix = (space: SpaceId, to: RecordId): Bytes => recordKey(space, to)

export const linkKey = (space: SpaceId, to: RecordId, relation: Relation, from: RecordId): Bytes =>
  concatBytes(linkPrefix(space, to), new Uint8Array([RELATIONS.indexOf(relation)]), fromHex(from))

export function parseLinkKey(key: Bytes): { relation: Relation; from: RecordId } {
  return { relation: RELATIONS[key[48] as number] as Relation, from: toHex(key.subarray(49, 81)) }
}

/** `range` is the 38-byte range key. */
export const pendingKey = (space: SpaceId, range: Bytes): Bytes => concatBytes(fromHex(space), range)

export const proofKey = (space: SpaceId, author: AuthorId, epoch: Epoch, seq: number): Bytes =>
  authorPrefix(space, author, epoch, seq)

const RANGE_BYTES = 38

/** `prefix`: the name of a leaf of the range tree, 0 to 76 digits. */
export function leafKey(space: SpaceId, prefix: Hex): Bytes {
  const digits = new Uint8Array([prefix.length])
  return concatBytes(fromHex(space), digits, fromHex(prefix.length % 2 === 0 ? prefix : `${prefix}0`))
}

/** The name of the leaf under this key; undefined when it is spelled as no leaf is. */
export function parseLeafKey(key: Bytes): Hex | undefined {
  const digits = key[16] ?? 0
  if (key.length !== 17 + Math.ceil(digits / 2) || digits > 2 * RANGE_BYTES) return undefined
  const padding = digits % 2 === 0 ? 0 : (key.at(-1) ?? 0) & 15
  return padding === 0 ? toHex(key.subarray(17)).slice(0, digits) : undefined
}

export const receiptKey = (space: SpaceId, peer: string): Bytes => concatBytes(fromHex(space), utf8(peer))

export const auditKey = (atMs: number, serial: number): Bytes => concatBytes(uintBytes(atMs, 8), uintBytes(serial, 4))

export const META = {
  /** 8 bytes: the epoch this home writes under. */
  epoch: utf8('epoch'),
  /** JSON: the derived tables are being rebuilt, and how far that has come (node/rebuild.ts). */
  rebuilding: utf8('rebuilding'),
  /** After a rebuild: position behind which the arrival log goes on (8), positions up to there that no delta has (8). */
  positions: utf8('positions'),
  /** JSON: which set the leaf rows are (node/checkpoint.ts). */
  checkpoint: utf8('checkpoint'),
  /** The sketch of that set, for large spaces (docs/WIRE.md §9). */
  sketch: (space: SpaceId): Bytes => utf8(`sketch/${space}`),
  /** JSON: what the owner thinks of other authors (node/trust-book.ts). */
  trust: utf8('trust'),
  /** JSON: where the scrub goes on (node/scrub.ts). */
  scrub: utf8('scrub'),
  /** 8 bytes each, sorted: hashes of the sessions that recalled a working memory (node/session-recalls.ts); '' begins all. */
  recalls: (record: RecordId | ''): Bytes => utf8(`recalls/${record}`),
  /** 40 bytes each: time (8) and id (32) of a causal head of the space. */
  heads: (space: SpaceId): Bytes => utf8(`heads/${space}`)
} as const

export function encodeHeads(heads: readonly { id: DeltaId; hlc: Hlc }[]): Bytes {
  return concatBytes(...heads.map((head) => concatBytes(uintBytes(head.hlc, 8), fromHex(head.id))))
}

export function decodeHeads(bytes: Bytes): { id: DeltaId; hlc: Hlc }[] {
  const heads: { id: DeltaId; hlc: Hlc }[] = []
  for (let i = 0; i + 40 <= bytes.length; i += 40) {
    heads.push({ hlc: bytesToUint(bytes.subarray(i, i + 8)), id: toHex(bytes.subarray(i + 8, i + 40)) })
  }
  return heads
}

/** 32 bytes each, sorted. */
export function encodeProofIds(ids: readonly DeltaId[]): Bytes {
  return concatBytes(...ids.map(fromHex))
}

export function decodeProofIds(bytes: Bytes): DeltaId[] {
  const ids: DeltaId[] = []
  for (let i = 0; i + 32 <= bytes.length; i += 32) ids.push(toHex(bytes.subarray(i, i + 32)))
  return ids
}
