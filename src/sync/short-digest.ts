/**
 * Short digests for one session: 6 bytes in place of 48-byte digests and 38-byte keys, keyed so that nobody can know
 * beforehand which of them will collide. Two different ranges look equal with a chance of 2^-48, drawn anew in every
 * session, because both sides contribute to the key. An unkeyed truncation, or a sum, could be prepared for.
 *
 *   key = SHA-384("chrysalis/recon/key/1" ‖ 0 ‖ nonce of the initiator ‖ nonce of the responder), first 8 bytes
 *   short digest of x = HalfSipHash-2-4 with 64 bits of key and of output, over x; first 6 bytes
 *
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012), and the 32-bit-word variant of its reference
 * implementation. It is no hash for anything that lasts: whoever knows the key can make collisions at will.
 */
import { assert } from '../base/assert.ts'
import { concatBytes, utf8, type Bytes } from '../base/bytes.ts'
import type { Hasher } from '../ports/crypto.ts'

/** Bytes of a short digest on the wire, little-endian as an integer. */
export const SHORT_DIGEST_BYTES = 6
export const SHORT_DIGEST_KEY_BYTES = 8

const KEY_TAG = utf8('chrysalis/recon/key/1\0')
/** Rounds for each word, and for each of the two halves of the output. */
const WORD_ROUNDS = 2
const FINAL_ROUNDS = 4

/** The 8-byte key of a session, from the nonces of both sides. */
export function shortDigestKey(hasher: Hasher, initiatorNonce: Bytes, responderNonce: Bytes): Bytes {
  return hasher.sha384(concatBytes(KEY_TAG, initiatorNonce, responderNonce)).slice(0, SHORT_DIGEST_KEY_BYTES)
}

/** Makes short digests under one key. */
export class ShortDigests {
  readonly #k0: number
  readonly #k1: number
  readonly #state = new Int32Array(4)

  /** `key`: 8 bytes. */
  constructor(key: Bytes) {
    assert(key.length === SHORT_DIGEST_KEY_BYTES, 'the key of short digests has 8 bytes')
    this.#k0 = wordAt(key, 0)
    this.#k1 = wordAt(key, 4)
  }

  /** The short digest of `length` bytes from `offset`, as an integer below 2^48. */
  of(bytes: Bytes, offset = 0, length = bytes.length - offset): number {
    this.#absorb(bytes, offset, length)
    const low = this.#squeeze(2, 0xee)
    const high = this.#squeeze(1, 0xdd)
    return (low >>> 0) + (high & 0xffff) * 0x1_0000_0000
  }

  /** All 8 bytes of output: what the published vectors show. */
  full(bytes: Bytes): Bytes {
    this.#absorb(bytes, 0, bytes.length)
    const out = new Uint8Array(8)
    const view = new DataView(out.buffer)
    view.setInt32(0, this.#squeeze(2, 0xee), true)
    view.setInt32(4, this.#squeeze(1, 0xdd), true)
    return out
  }

  #absorb(bytes: Bytes, offset: number, length: number): void {
    const state = this.#state
    state[0] = this.#k0
    state[1] = this.#k1 ^ 0xee
    state[2] = 0x6c796765 ^ this.#k0
    state[3] = 0x74656462 ^ this.#k1
    const whole = length & ~3
    for (let at = 0; at < whole; at += 4) this.#word(wordAt(bytes, offset + at))
    let last = length << 24
    for (let at = whole, shift = 0; at < length; at++, shift += 8) last |= (bytes[offset + at] as number) << shift
    this.#word(last)
  }

  #word(word: number): void {
    const state = this.#state
    state[3] = (state[3] as number) ^ word
    permute(state, WORD_ROUNDS)
    state[0] = (state[0] as number) ^ word
  }

  /** One half of the output: marks a word of the state with `mark`, stirs, and folds. */
  #squeeze(word: 1 | 2, mark: number): number {
    const state = this.#state
    state[word] = (state[word] as number) ^ mark
    permute(state, FINAL_ROUNDS)
    return (state[1] as number) ^ (state[3] as number)
  }
}

function permute(state: Int32Array, rounds: number): void {
  let v0 = state[0] as number
  let v1 = state[1] as number
  let v2 = state[2] as number
  let v3 = state[3] as number
  for (let round = 0; round < rounds; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  state[0] = v0
  state[1] = v1
  state[2] = v2
  state[3] = v3
}

function wordAt(bytes: Bytes, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}
