/**
 * Identities of simulated worlds. `ed25519` is the daemon's own: signing is deterministic (RFC 8032), so traces stay
 * reproducible, and a forged delta has to be really forged; only the asynchronous check is replaced, because a thread
 * pool answers when it likes.
 *
 * `fast` keeps the real public keys, from which peer ids are derived, and replaces the signature by a keyed hash that
 * nobody can make who does not hold the seed: the seeds of a world stay inside one closure, and checking means making it
 * again. What was signed by a key of no identity of this world is no signature. It proves nothing about Ed25519 itself,
 * which is why a share of all runs keeps the real one.
 */
import { createHash } from 'node:crypto'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { equalBytes, toHex } from '../../src/base/bytes.ts'
import type { Crypto, SignatureCheck } from '../../src/ports/crypto.ts'

export type SimCryptoKind = 'ed25519' | 'fast'

/** Makes the identity named by a label; equal labels are equal identities. */
export type IdentityFactory = (label: string) => Crypto

/** The identity named by `label`, with real signatures; equal labels are equal identities. */
export function createSimCrypto(label: string): Crypto {
  const crypto = createCrypto(seedOf(label))
  return { ...crypto, verifyAsync: (check) => Promise.resolve(crypto.verify(check)) }
}

/** One factory for a world: with `fast`, identities know the signatures of the same factory only. */
export function createIdentities(kind: SimCryptoKind): IdentityFactory {
  if (kind === 'ed25519') return createSimCrypto
  const seeds = new Map<string, Uint8Array>()
  const verify = ({ publicKey, message, signature }: SignatureCheck): boolean => {
    const seed = seeds.get(toHex(publicKey))
    return seed !== undefined && equalBytes(signature, mark(seed, message))
  }
  return (label) => {
    const seed = seedOf(label)
    const real = createCrypto(seed)
    seeds.set(toHex(real.publicKey), seed)
    return {
      publicKey: real.publicKey,
      sha384: real.sha384,
      // A key of this world was derived from a seed, which is sound by construction; any other is judged as always.
      keyOk: (publicKey) => seeds.has(toHex(publicKey)) || real.keyOk(publicKey),
      sign: (message) => mark(seed, message),
      verify,
      verifyAsync: (check) => Promise.resolve(verify(check))
    }
  }
}

function seedOf(label: string): Uint8Array {
  return createHash('sha256').update(`chrysalis simulation ${label}`).digest()
}

/** 64 bytes, as a signature has. */
function mark(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(seed).update(message).digest())
}
