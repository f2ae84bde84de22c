/** Identities, drafts and raw records for tests of the wire: everything fixed, so that bytes can be compared. */
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { toHex } from '../../src/base/bytes.ts'
import { encodeCanonical } from '../../src/memory/codec.ts'
import { encodeHeader } from '../../src/memory/delta-codec.ts'
import type { Checked, DeltaHeader, RejectReason } from '../../src/memory/delta.ts'
import { bodyHashOf, fingerprintOf, signedMessage } from '../../src/memory/fingerprint.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import { encodeBody } from '../../src/memory/ops-codec.ts'
import type { Op, Target } from '../../src/memory/ops.ts'
import type { DeltaDraft } from '../../src/memory/seal.ts'
import type { Crypto } from '../../src/ports/crypto.ts'

export const SPACE = '5a'.repeat(16)
export const EPOCH = 'e0'.repeat(8)
export const FIRST: Target = { by: 'ordinal', ordinal: 0 }

/** The identity whose seed is 32 times `byte`. */
export function identity(byte = 1): Crypto {
  return createCrypto(new Uint8Array(32).fill(byte))
}

export function note(content: string): Op[] {
  return [
    { op: 'create', target: FIRST, documentType: 'memory', memoryType: null, source: null },
    { op: 'set', target: FIRST, field: 'content', value: content }
  ]
}

export function draft(changes: Partial<DeltaDraft> = {}): DeltaDraft {
  return {
    space: SPACE,
    epoch: EPOCH,
    seq: 0,
    prev: null,
    hlc: hlcOf(1_700_000_000_000),
    parents: [],
    ops: note('hello'),
    ...changes
  }
}

/** A well-formed header for `body`, with changes that no sealing would let through. */
export function header(crypto: Crypto, body: Uint8Array, changes: Partial<DeltaHeader> = {}): DeltaHeader {
  return {
    version: 1,
    space: SPACE,
    author: toHex(crypto.publicKey),
    epoch: EPOCH,
    seq: 0,
    prev: null,
    hlc: hlcOf(1_700_000_000_000),
    parents: [],
    bodyHash: bodyHashOf(crypto, body),
    bodyLength: body.length,
    flags: 0,
    ...changes
  }
}

/** A record signed over whatever the header bytes are: only its content can be wrong. */
export function record(crypto: Crypto, headerBytes: Uint8Array, body: Uint8Array | null): Uint8Array {
  return encodeCanonical([headerBytes, crypto.sign(signedMessage(fingerprintOf(crypto, headerBytes))), body])
}

export function recordWith(changes: Partial<DeltaHeader>, crypto = identity()): Uint8Array {
  const body = encodeBody(note('hello'))
  return record(crypto, encodeHeader(header(crypto, body, changes)), body)
}

export function value<T>(checked: Checked<T>): T {
  if (!checked.ok) throw new Error(`refused: ${checked.reason}, ${checked.detail}`)
  return checked.value
}

export function reason(checked: Checked<unknown>): RejectReason | 'accepted' {
  return checked.ok ? 'accepted' : checked.reason
}
