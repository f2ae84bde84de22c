/**
 * Real Ed25519 in simulated worlds: signing is deterministic (RFC 8032), so traces stay reproducible, and a forged
 * delta has to be really forged. Only the asynchronous check is replaced: a thread pool answers when it likes.
 */
import { createHash } from 'node:crypto'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import type { Crypto } from '../../src/ports/crypto.ts'

/** The identity named by `label`; equal labels are equal identities. */
export function createSimCrypto(label: string): Crypto {
  const crypto = createCrypto(createHash('sha256').update(`chrysalis simulation ${label}`).digest())
  return { ...crypto, verifyAsync: (check) => Promise.resolve(crypto.verify(check)) }
}
