/**
 * How the engine writes its rows: keys and values of every table, in one place (docs/WIRE.md §9). Keys are fixed-width
 * binary, so that byte order is (space, time, id) order and every question is one range.
 */
import { bytesToUint, concatBytes, fromHex, toHex, uintBytes, utf8, type Bytes } from '../base/bytes.ts'
import type { AuthorId, DeltaId, Epoch, Hlc, RecordId, SpaceId } from '../memory/ids.ts'
import { RELATIONS, type Relation } from '../memory/ops.ts'

/** Position in this daemon's arrival log. */
export type Arrival = number

export const deltaKey = (space: SpaceId, id: DeltaId): Bytes => concatBytes(fromHex(space), fromHex(id))

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

export const authorKey = (space: SpaceId, author: AuthorId, epoch: Epoch, seq: number, id: DeltaId): Bytes =>
  concatBytes(authorPrefix(space, author, epoch, seq), fromHex(id))

export function parseAuthorKey(key: Bytes): { author: AuthorId; epoch: Epoch; seq: number; id: DeltaId } {
  return {
    author: toHex(key.subarray(16, 48)),
    epoch: toHex(key.subarray(48, 56)),
    seq: Number(bytesToUint(key.subarray(56, 64))),
    id: toHex(key.subarray(64, 96))
  }
}

export const recordKey = (space: SpaceId, id: RecordId): Bytes => concatBytes(fromHex(space), fromHex(id))

/** The arrival of the newest delta that touched the record, then its canonical state. */
export const recordValue = (lastArrival: Arrival, state: Bytes): Bytes => concatBytes(uintBytes(lastArrival, 8), state)

export function parseRecordValue(value: Bytes): { lastArrival: Arrival; state: Bytes } {
  return { lastArrival: Number(bytesToUint(value.subarray(0, 8))), state: value.subarray(8) }
}

export const historyPrefix = (space: SpaceId, record: RecordId): Bytes => recordKey(space, record)

export const historyKey = (space: SpaceId, record: RecordId, hlc: Hlc, id: DeltaId): Bytes =>
  concatBytes(historyPrefix(space, record), uintBytes(hlc, 8), fromHex(id))

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

export const receiptKey = (space: SpaceId, peer: string): Bytes => concatBytes(fromHex(space), utf8(peer))

export const auditKey = (atMs: number, serial: number): Bytes => concatBytes(uintBytes(atMs, 8), uintBytes(serial, 4))

export const META = {
  /** 8 bytes: the epoch this home writes under. */
  epoch: utf8('epoch'),
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
