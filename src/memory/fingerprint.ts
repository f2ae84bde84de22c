/**
 * What identifies a delta. The fingerprint is SHA-384 of the tagged header exactly as received, 48 bytes that people
 * see; the id is its first 32 bytes. The signature is not part of either, so nobody can mint a second id for one
 * delta by changing a signature. The body is named by a hash of its own in the header, so that it can be pruned.
 *
 * docs/WIRE.md §4. Nothing is decoded or judged here.
 */
import { concatBytes, toHex, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { DeltaId, Fingerprint } from './ids.ts'

const DELTA_TAG = utf8('chrysalis/delta/1\0')
const SIGNATURE_TAG = utf8('chrysalis/sig/1\0')

const ID_BYTES = 32

/** 48 bytes. */
export function fingerprintOf(hasher: Hasher, headerBytes: Bytes): Bytes {
  return hasher.sha384(concatBytes(DELTA_TAG, headerBytes))
}

export function idOfFingerprint(fingerprint: Fingerprint): DeltaId {
  return fingerprint.slice(0, 2 * ID_BYTES)
}

/** What the author signs: the tag, then the 48 bytes of the fingerprint. */
export function signedMessage(fingerprint: Bytes): Bytes {
  return concatBytes(SIGNATURE_TAG, fingerprint)
}

/** First 32 bytes of SHA-384 of the body, as the header names it. */
export function bodyHashOf(hasher: Hasher, bodyBytes: Bytes): Hex {
  return toHex(hasher.sha384(bodyBytes).subarray(0, 32))
}
