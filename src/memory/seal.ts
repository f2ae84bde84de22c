/**
 * Makes a delta of our own: canonical body, header, fingerprint, signature. Body, header and record are read back
 * through the decoders every receiver uses, so that no daemon ever signs what another would refuse, and the writer holds
 * exactly the operations its readers will see. Hashes are computed once: they are over the very bytes that are sent.
 *
 * The caller owns the chain: it hands in seq, prev, hlc and parents, and persists the delta before anyone hears of it.
 */
import { assert } from '../base/assert.ts'
import { compareText, toHex, type Bytes } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher, Signer } from '../ports/crypto.ts'
import { decodeHeader, encodeDelta, encodeHeader, splitRecord } from './delta-codec.ts'
import type { Delta, VerifiedDelta } from './delta.ts'
import { bodyHashOf, fingerprintOf, idOfFingerprint, signedMessage } from './fingerprint.ts'
import type { DeltaId, Epoch, Hlc, SpaceId } from './ids.ts'
import { decodeBody, encodeBody } from './ops-codec.ts'
import type { Op } from './ops.ts'

const UNSIGNED = new Uint8Array(64)

export interface DeltaDraft {
  readonly space: SpaceId
  readonly epoch: Epoch
  readonly seq: number
  /** null exactly when seq is 0. */
  readonly prev: DeltaId | null
  readonly hlc: Hlc
  /** At most LIMITS.deltaParentsMax, in any order; `prev` and repetitions are left out. */
  readonly parents: readonly DeltaId[]
  readonly ops: readonly Op[]
  /** Default 0. */
  readonly flags?: number
}

/**
 * Signs a draft; the author is the signer. With a signer that writes its signatures later the delta is complete in
 * everything but those 64 bytes. Throws ChrysalisError `too_large` when the body or one of its texts exceeds
 * its bound, `invalid_argument` when an operation is malformed; an impossible chain is an AssertionError.
 */
export function sealDelta(draft: DeltaDraft, crypto: Hasher & Signer): VerifiedDelta {
  assert((draft.seq === 0) === (draft.prev === null), 'prev is null exactly when seq is 0')
  const parents = [...new Set(draft.parents)].filter((parent) => parent !== draft.prev).sort(compareText)
  assert(parents.length <= LIMITS.deltaParentsMax, 'a delta names at most eight parents')
  const { bodyBytes, ops } = sealedBody(draft.ops)
  const headerBytes = encodeHeader({
    version: 1,
    space: draft.space,
    author: toHex(crypto.publicKey),
    epoch: draft.epoch,
    seq: draft.seq,
    prev: draft.prev,
    hlc: draft.hlc,
    parents,
    bodyHash: bodyHashOf(crypto, bodyBytes),
    bodyLength: bodyBytes.length,
    flags: draft.flags ?? 0
  })
  const header = decodeHeader(headerBytes)
  assert(header.ok, header.ok ? '' : `a sealed delta is refused: ${header.reason}, ${header.detail}`)
  const fingerprint = fingerprintOf(crypto, headerBytes)
  const parts = splitRecord(encodeDelta({ headerBytes, signature: UNSIGNED, bodyBytes }))
  assert(parts.ok && parts.value.bodyBytes !== null, 'a sealed record is one')
  const message = signedMessage(fingerprint)
  // Into the record itself: the signature of a delta is a view of it.
  if (crypto.signInto !== undefined) crypto.signInto(message, parts.value.signature)
  else parts.value.signature.set(crypto.sign(message))
  const shown = toHex(fingerprint)
  const delta: Delta = { id: idOfFingerprint(shown), fingerprint: shown, header: header.value, ...parts.value, ops }
  return delta as VerifiedDelta
}

function sealedBody(ops: readonly Op[]): { bodyBytes: Bytes; ops: readonly Op[] } {
  const bodyBytes = encodeBody(ops)
  if (bodyBytes.length > LIMITS.deltaBodyBytesMax) {
    throw new ChrysalisError('too_large', `The memories need ${bodyBytes.length} bytes; nothing was written`, {
      hint: `One write holds at most ${LIMITS.deltaBodyBytesMax} bytes: split it into smaller ones, or keep long texts in files and cite them as evidence.`,
      data: { bytes: bodyBytes.length, bytesMax: LIMITS.deltaBodyBytesMax }
    })
  }
  const check = decodeBody(bodyBytes)
  if (!check.ok) {
    throw new ChrysalisError(
      check.reason === 'too-large' ? 'too_large' : 'invalid_argument',
      `The write is not well-formed (${check.detail}); nothing was written`,
      { hint: 'Correct or shorten that part and try again.', data: { reason: check.reason } }
    )
  }
  return { bodyBytes, ops: check.value }
}
