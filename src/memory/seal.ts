/**
 * Makes a delta of our own: canonical body, header, fingerprint, signature. What is sealed is read back through the
 * decoder every receiver uses, so that no daemon ever signs what another would refuse, and the writer holds exactly the
 * operations its readers will see.
 *
 * The caller owns the chain: it hands in seq, prev, hlc and parents, and persists the delta before anyone hears of it.
 */
import { assert } from '../base/assert.ts'
import { compareText, toHex } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher, Signer } from '../ports/crypto.ts'
import { decodeDelta, encodeDelta, encodeHeader } from './delta-codec.ts'
import type { VerifiedDelta } from './delta.ts'
import { bodyHashOf, fingerprintOf, signedMessage } from './fingerprint.ts'
import type { DeltaId, Epoch, Hlc, SpaceId } from './ids.ts'
import { decodeBody, encodeBody } from './ops-codec.ts'
import type { Op } from './ops.ts'

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
 * Signs a draft; the author is the signer. Throws ChrysalisError `too_large` when the body or one of its texts exceeds
 * its bound, `invalid_argument` when an operation is malformed; an impossible chain is an AssertionError.
 */
export function sealDelta(draft: DeltaDraft, crypto: Hasher & Signer): VerifiedDelta {
  assert((draft.seq === 0) === (draft.prev === null), 'prev is null exactly when seq is 0')
  const parents = [...new Set(draft.parents)].filter((parent) => parent !== draft.prev).sort(compareText)
  assert(parents.length <= LIMITS.deltaParentsMax, 'a delta names at most eight parents')
  const bodyBytes = sealedBody(draft.ops)
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
  const signature = crypto.sign(signedMessage(fingerprintOf(crypto, headerBytes)))
  const delta = decodeDelta(encodeDelta({ headerBytes, signature, bodyBytes }), crypto)
  assert(delta.ok, delta.ok ? '' : `a sealed delta is refused: ${delta.reason}, ${delta.detail}`)
  return delta.value as VerifiedDelta
}

function sealedBody(ops: readonly Op[]): Uint8Array {
  const bytes = encodeBody(ops)
  if (bytes.length > LIMITS.deltaBodyBytesMax) {
    throw new ChrysalisError('too_large', `The memories need ${bytes.length} bytes; nothing was written`, {
      hint: `One write holds at most ${LIMITS.deltaBodyBytesMax} bytes: split it into smaller ones, or keep long texts in files and cite them as evidence.`,
      data: { bytes: bytes.length, bytesMax: LIMITS.deltaBodyBytesMax }
    })
  }
  const check = decodeBody(bytes)
  if (!check.ok) {
    throw new ChrysalisError(
      check.reason === 'too-large' ? 'too_large' : 'invalid_argument',
      `The write is not well-formed (${check.detail}); nothing was written`,
      { hint: 'Correct or shorten that part and try again.', data: { reason: check.reason } }
    )
  }
  return bytes
}
