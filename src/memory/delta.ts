/**
 * A delta: the one thing that is replicated. A header that names author, epoch, sequence, time and parents; a body of
 * operations named by its hash, so that it can be pruned while the chain stays whole; a signature over the header.
 */
import type { Bytes } from '../base/bytes.ts'
import type { AuthorId, DeltaId, Epoch, Fingerprint, Hlc, SpaceId } from './ids.ts'
import type { Op } from './ops.ts'

export interface DeltaHeader {
  readonly version: 1
  readonly space: SpaceId
  readonly author: AuthorId
  readonly epoch: Epoch
  /** Contiguous from 0 within (space, author, epoch). */
  readonly seq: number
  /** The author's previous delta of this space and epoch; null exactly when seq is 0. */
  readonly prev: DeltaId | null
  readonly hlc: Hlc
  /** Heads of the causal graph that the author had seen, own previous delta excluded: at most 8, sorted, distinct. */
  readonly parents: readonly DeltaId[]
  /** First 32 bytes of SHA-384 of the body. */
  readonly bodyHash: string
  readonly bodyLength: number
  readonly flags: number
}

/** Decoded and canonical, its hashes right; its signature not yet checked. */
export interface Delta {
  readonly id: DeltaId
  readonly fingerprint: Fingerprint
  readonly header: DeltaHeader
  /** The whole delta as it was received, is stored and is handed on: an array of its own. */
  readonly record: Bytes
  /** A view of `record`, as are the next two. */
  readonly headerBytes: Bytes
  readonly signature: Bytes
  /** null when the body was pruned. */
  readonly bodyBytes: Bytes | null
  /** Empty when the body was pruned. */
  readonly ops: readonly Op[]
}

declare const verified: unique symbol
/** Only memory/seal.ts and memory/verify.ts can make one; nothing else may be merged, stored, forwarded or shown. */
export type VerifiedDelta = Delta & { readonly [verified]: true }

/** Why bytes were refused. Each is a pure function of the bytes: every honest daemon computes the same. */
export type RejectReason =
  | 'not-cbor'
  | 'not-canonical'
  | 'shape'
  | 'too-large'
  | 'unsupported-version'
  | 'body-hash'
  | 'chain-shape'
  | 'bad-key'
  | 'bad-signature'
  | 'wrong-space'

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: RejectReason; readonly detail: string }

export function refuse(
  reason: RejectReason,
  detail: string
): { readonly ok: false; readonly reason: RejectReason; readonly detail: string } {
  return { ok: false, reason, detail }
}
