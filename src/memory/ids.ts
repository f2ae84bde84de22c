/**
 * Names of things. All ids are lower-case hexadecimal text in the rooms, raw bytes on the wire and on disk.
 */
import type { Hex } from '../base/bytes.ts'

/** 32 bytes: SHA-384 of the tagged header, first 32 bytes. */
export type DeltaId = Hex
/** 32 bytes: a delta id, or the hash of (space, key). */
export type RecordId = Hex
/** 32 bytes: raw Ed25519 public key. */
export type AuthorId = Hex
/** 16 bytes. */
export type SpaceId = Hex
/** 8 bytes, drawn by an author whenever it cannot prove that its own log is complete. */
export type Epoch = Hex
/** 48 bytes, shown to people. */
export type Fingerprint = Hex

/** Hybrid logical time: wall milliseconds << 16 | counter. */
export type Hlc = bigint

export function hlcMs(hlc: Hlc): number {
  return Number(hlc >> 16n)
}

export function hlcOf(ms: number, counter = 0): Hlc {
  return (BigInt(ms) << 16n) | BigInt(counter)
}

/**
 * Where one operation stands in the total order: (hlc, author, delta, index). It is the same on every daemon, so a
 * register ordered by it converges; `index` separates two operations of one delta.
 */
export interface Stamp {
  readonly hlc: Hlc
  readonly author: AuthorId
  readonly delta: DeltaId
  readonly index: number
}

export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.hlc !== b.hlc) return a.hlc < b.hlc ? -1 : 1
  if (a.author !== b.author) return a.author < b.author ? -1 : 1
  if (a.delta !== b.delta) return a.delta < b.delta ? -1 : 1
  return a.index - b.index
}

/** Names one operation: the dot of an observed-remove set. */
export type Dot = string

export function dotOf(delta: DeltaId, index: number): Dot {
  return `${delta}.${index}`
}
