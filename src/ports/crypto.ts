/**
 * Hashing, and Ed25519 by one identity. There is exactly one verification rule in the project (docs/WIRE.md §4): the
 * key passes `keyOk`, then the cofactorless equation holds. A second rule anywhere splits the network for good.
 */
export interface Hasher {
  /** SHA-384, 48 bytes. */
  sha384(bytes: Uint8Array): Uint8Array
}

export interface Signer {
  /** Raw Ed25519 public key of this daemon, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Deterministic Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
  /** The same off the event loop. Absent where the platform cannot, or where everything must happen in one order. */
  signAsync?(message: Uint8Array): Promise<Uint8Array>
  /**
   * Has the signature written into 64 bytes of the caller, now or later. Whoever provides it also says when it is done,
   * and nobody may be shown the bytes before that (node/group-signer.ts).
   */
  signInto?(message: Uint8Array, into: Uint8Array): void
}

export interface SignatureCheck {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

export interface Verifier {
  /** Canonical encoding, not the identity, torsion-free. Answers are cached for each key. */
  keyOk(publicKey: Uint8Array): boolean
  /** Cofactorless Ed25519. Does not check the key: call `keyOk` first. */
  verify(check: SignatureCheck): boolean
  /** The same answer off the event loop where the platform allows it. Never rejects. */
  verifyAsync(check: SignatureCheck): Promise<boolean>
}

export interface Crypto extends Hasher, Signer, Verifier {}
