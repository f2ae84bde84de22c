/**
 * The crypto port on node:crypto (OpenSSL): SHA-384, and Ed25519 (RFC 8032) by one identity. OpenSSL verifies
 * cofactorless and about eighteen times faster than a pure JavaScript curve, but accepts keys of small order;
 * @noble/ed25519 is used for one thing only, to judge a key once before it is ever used.
 *
 * Nothing is read from or written to disk here; where the seed lives is the daemon's concern.
 */
import {
  createPrivateKey,
  createPublicKey,
  hash,
  sign as signBytes,
  verify as verifyBytes,
  type KeyObject
} from 'node:crypto'
import { Point } from '@noble/ed25519'
import { fromBase64Url, toBase64Url, toHex } from '../../base/bytes.ts'
import { ChrysalisError } from '../../base/errors.ts'
import { GenerationMap } from '../../base/generation-map.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Crypto, Hasher, SignatureCheck, Verifier } from '../../ports/crypto.ts'

const SEED_BYTES = 32
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** PKCS #8 around a raw Ed25519 seed (RFC 8410 §7): version 0, algorithm 1.3.101.112, an octet string of an octet string. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

interface KnownKey {
  /** The answer of the key rule; worked out when it is first asked for. */
  sound: boolean | undefined
  /** null when OpenSSL takes the bytes for no key at all; imported when it is first needed. */
  key: KeyObject | null | undefined
}

/**
 * What is known of a public key is a pure function of its 32 bytes, so one process needs to work it out once, however
 * many daemons it simulates: the key rule costs 2 to 4 ms, importing a key more than half a verification.
 */
const keys = new GenerationMap<string, KnownKey>(LIMITS.authorKeysMax)

function known(publicKey: Uint8Array): KnownKey {
  const name = toHex(publicKey)
  let entry = keys.get(name)
  if (entry === undefined) {
    entry = { sound: undefined, key: undefined }
    keys.set(name, entry)
  }
  return entry
}

/**
 * The identity with this 32-byte secret seed (RFC 8032 §5.1.5). The seed is copied into OpenSSL; the caller may wipe its
 * own. Throws ChrysalisError `invalid_argument` on another length.
 *
 * `signsOffLoop`: also offers `signAsync`, which costs this thread an eighth of `sign`. Not for worlds in which the order
 * of all events must be reproducible. Default false.
 */
export function createCrypto(seed: Uint8Array, options: { readonly signsOffLoop?: boolean } = {}): Crypto {
  if (seed.length !== SEED_BYTES) {
    throw new ChrysalisError(
      'invalid_argument',
      `An identity seed has ${SEED_BYTES} bytes, this one has ${seed.length}`,
      {
        hint: 'The identity key file may be damaged: restore it from a copy.'
      }
    )
  }
  const der = Buffer.concat([PKCS8_PREFIX, seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' })
  if (x === undefined) throw new ChrysalisError('failure', 'This Node.js cannot export an Ed25519 public key')
  return {
    ...createVerifier(),
    publicKey: fromBase64Url(x),
    sign: (message) => plain(signBytes(null, message, privateKey)),
    ...(options.signsOffLoop === true ? { signAsync: (message) => signAsync(message, privateKey) } : {})
  }
}

/** The callback form runs in libuv's pool. Rejects only when OpenSSL cannot sign at all. */
function signAsync(message: Uint8Array, key: KeyObject): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    signBytes(null, message, key, (error, signature) => {
      if (error === null) resolve(plain(signature))
      else reject(error)
    })
  })
}

/** Hashing and verification for whoever has no identity, such as an offline check of a store. */
export function createVerifier(): Hasher & Verifier {
  return { sha384, keyOk, verify, verifyAsync }
}

function sha384(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha384', bytes, 'buffer'))
}

function keyOk(publicKey: Uint8Array): boolean {
  const entry = known(publicKey)
  return (entry.sound ??= judgeKey(publicKey))
}

/**
 * Strict decoding refuses every second encoding of a point, the rest whatever lies outside the prime-order group. As it
 * happens only points with torsion, and the identity, have a second encoding, so each lock covers for the other there.
 */
function judgeKey(publicKey: Uint8Array): boolean {
  let point: Point
  try {
    point = Point.fromBytes(publicKey, false)
  } catch {
    return false
  }
  return !point.is0() && point.isTorsionFree()
}

function verify({ publicKey, message, signature }: SignatureCheck): boolean {
  const key = importKey(publicKey)
  if (key === undefined || signature.length !== SIGNATURE_BYTES) return false
  try {
    return verifyBytes(null, message, key, signature)
  } catch {
    return false
  }
}

/** The callback form runs in libuv's pool: the same work, with the event loop free. */
function verifyAsync({ publicKey, message, signature }: SignatureCheck): Promise<boolean> {
  const key = importKey(publicKey)
  if (key === undefined || signature.length !== SIGNATURE_BYTES) return Promise.resolve(false)
  return new Promise((resolve) => {
    try {
      verifyBytes(null, message, key, signature, (error, valid) => {
        resolve(error === null && valid)
      })
    } catch {
      resolve(false)
    }
  })
}

/** Undefined when OpenSSL takes the bytes for no key at all. JWK is the fastest of the import formats. */
function importKey(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== KEY_BYTES) return undefined
  const entry = known(publicKey)
  if (entry.key !== undefined) return entry.key ?? undefined
  try {
    entry.key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(publicKey) }, format: 'jwk' })
    return entry.key
  } catch {
    entry.key = null
    return undefined
  }
}

/** Small buffers are slices of a shared pool; what leaves this file is an array of its own. */
function plain(buffer: Buffer): Uint8Array {
  return Uint8Array.from(buffer)
}
