/**
 * What every Crypto must do. The verdict on a signature decides what enters the set, so two panes that differ on one
 * signature split the network for good; the grid below is made of the signatures on which real verifiers do differ.
 *
 * The oracle is a second implementation of docs/WIRE.md §4 from point arithmetic alone: decode strictly, refuse keys and
 * R outside the prime-order group, then check S·B = R + h·A without the cofactor.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { Point } from '@noble/ed25519'
import { concatBytes, fromHex, toHex, utf8 } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { Crypto, SignatureCheck } from '../../src/ports/crypto.ts'

const ORDER = Point.CURVE().n
const BASE = Point.BASE
/** A point of order 8. */
const TORSION = Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')

const ZERO_KEY = '00'.repeat(32)
const IDENTITY_KEY = '01' + '00'.repeat(31)
/** y = p + 1: the identity in an encoding of its own. */
const IDENTITY_NON_CANONICAL = 'ee' + 'ff'.repeat(30) + '7f'
/** x = 0 with the sign bit set. */
const IDENTITY_SIGNED = '01' + '00'.repeat(30) + '80'

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt('0x' + toHex(Uint8Array.from(bytes).reverse()))
}

function scalarBytes(scalar: bigint): Uint8Array {
  return fromHex(scalar.toString(16).padStart(64, '0')).reverse()
}

function sha512Scalar(...parts: Uint8Array[]): bigint {
  return (
    littleEndian(
      createHash('sha512')
        .update(concatBytes(...parts))
        .digest()
    ) % ORDER
  )
}

function times(point: Point, scalar: bigint): Point {
  return scalar === 0n ? Point.ZERO : point.multiply(scalar, false)
}

function soundPoint(bytes: Uint8Array, identityAllowed: boolean): Point | undefined {
  try {
    const point = Point.fromBytes(bytes, false)
    return point.isTorsionFree() && (identityAllowed || !point.is0()) ? point : undefined
  } catch {
    return undefined
  }
}

function oracle({ publicKey, message, signature }: SignatureCheck): boolean {
  const key = soundPoint(publicKey, false)
  const r = soundPoint(signature.subarray(0, 32), true)
  const s = littleEndian(signature.subarray(32))
  if (key === undefined || r === undefined || s >= ORDER) return false
  const h = sha512Scalar(signature.subarray(0, 32), publicKey, message)
  return times(BASE, s).equals(r.add(times(key, h)))
}

/** (R, S) for a key a·B + T and a nonce r·B + T', which satisfies the equation up to torsion. */
function craft(secret: bigint, nonce: bigint, key: Uint8Array, r: Uint8Array, message: Uint8Array): Uint8Array {
  return concatBytes(r, scalarBytes((nonce + sha512Scalar(r, key, message) * secret) % ORDER))
}

/** Every combination of torsion in key and nonce, with zero secrets and zero nonces among them. */
function torsionGrid(each: number): SignatureCheck[] {
  const random = new SeededRandom('torsion grid')
  const scalar = () => littleEndian(random.bytes(40)) % ORDER
  const checks: SignatureCheck[] = []
  for (let keyTorsion = 0; keyTorsion < 8; keyTorsion++) {
    for (let nonceTorsion = 0; nonceTorsion < 8; nonceTorsion++) {
      for (let k = 0; k < each; k++) {
        const secret = k === 0 ? 0n : scalar()
        const nonce = k === 1 ? 0n : scalar()
        const publicKey = times(BASE, secret)
          .add(times(TORSION, BigInt(keyTorsion)))
          .toBytes()
        const r = times(BASE, nonce)
          .add(times(TORSION, BigInt(nonceTorsion)))
          .toBytes()
        const message = random.bytes(20)
        checks.push({ publicKey, message, signature: craft(secret, nonce, publicKey, r, message) })
      }
    }
  }
  return checks
}

/** `create` makes the identity of a seed. */
export function cryptoSuite(name: string, create: (seed: Uint8Array) => Crypto): void {
  describe(`crypto: ${name}`, () => {
    // RFC 8032 §7.1, test 2.
    const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
    const crypto = create(seed)
    const message = utf8('one delta')
    const signature = crypto.sign(message)
    const sound: SignatureCheck = { publicKey: crypto.publicKey, message, signature }

    it('computes SHA-384', () => {
      const abc = 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7'
      assert.equal(toHex(crypto.sha384(utf8('abc'))), abc)
      assert.equal(crypto.sha384(new Uint8Array(0)).length, 48)
    })

    it('agrees with RFC 8032', () => {
      assert.equal(toHex(crypto.publicKey), '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
      const expected =
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
      assert.equal(toHex(crypto.sign(new Uint8Array([0x72]))), expected)
    })

    it('signs deterministically, and another seed is another identity', () => {
      assert.deepEqual(create(seed).sign(message), signature)
      assert.notDeepEqual(create(new Uint8Array(32)).publicKey, crypto.publicKey)
    })

    it('hands out plain arrays of its own', () => {
      for (const bytes of [signature, crypto.publicKey, crypto.sha384(message)]) {
        assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
        assert.equal(bytes.buffer.byteLength, bytes.length)
      }
    })

    it('accepts its own signature and no other', async () => {
      const cases: [SignatureCheck, boolean][] = [
        [sound, true],
        [{ ...sound, message: utf8('another') }, false],
        [{ ...sound, publicKey: create(new Uint8Array(32)).publicKey }, false],
        [{ ...sound, signature: signature.subarray(0, 63) }, false],
        [{ ...sound, signature: concatBytes(signature, new Uint8Array(1)) }, false],
        [{ ...sound, signature: new Uint8Array(0) }, false],
        [{ ...sound, publicKey: new Uint8Array(31) }, false],
        [{ ...sound, publicKey: new Uint8Array(0) }, false]
      ]
      for (const [check, expected] of cases) {
        assert.equal(crypto.verify(check), expected)
        assert.equal(await crypto.verifyAsync(check), expected)
      }
    })

    it('refuses S + L, the other form of one signature', () => {
      const s = littleEndian(signature.subarray(32)) + ORDER
      assert.equal(
        crypto.verify({ ...sound, signature: concatBytes(signature.subarray(0, 32), scalarBytes(s)) }),
        false
      )
    })

    it('is not fooled when the caller reuses its arrays during an asynchronous check', async () => {
      const own = {
        publicKey: crypto.publicKey,
        message: Uint8Array.from(message),
        signature: Uint8Array.from(signature)
      }
      const pending = crypto.verifyAsync(own)
      own.message.fill(0)
      own.signature.fill(0)
      assert.equal(await pending, true)
    })

    it('judges keys: sound ones only, however often it is asked', () => {
      const mixed = toHex(Point.fromBytes(crypto.publicKey).add(TORSION).toBytes())
      const bad = [
        ZERO_KEY,
        IDENTITY_KEY,
        IDENTITY_NON_CANONICAL,
        IDENTITY_SIGNED,
        toHex(TORSION.toBytes()),
        mixed,
        'ff'.repeat(32),
        '02' + '00'.repeat(31)
      ]
      for (let round = 0; round < 2; round++) {
        assert.equal(crypto.keyOk(crypto.publicKey), true)
        for (const key of bad) assert.equal(crypto.keyOk(fromHex(key)), false, key)
        assert.equal(crypto.keyOk(new Uint8Array(31)), false)
        assert.equal(crypto.keyOk(concatBytes(crypto.publicKey, new Uint8Array(1))), false)
      }
      for (let multiple = 0n; multiple < 8n; multiple++) {
        assert.equal(crypto.keyOk(times(TORSION, multiple).toBytes()), false)
      }
    })

    it('gives the verdict of the oracle on every combination of torsion in key and nonce', async () => {
      let accepted = 0
      let unguarded = 0
      for (const check of torsionGrid(4)) {
        const guarded = crypto.keyOk(check.publicKey) && crypto.verify(check)
        assert.equal(guarded, oracle(check), toHex(check.publicKey))
        assert.equal(await crypto.verifyAsync(check), crypto.verify(check))
        if (guarded) accepted++
        if (!guarded && crypto.verify(check)) unguarded++
      }
      // The grid means something only when it holds sound signatures and some that the key rule alone refuses.
      assert.ok(accepted > 0, 'no signature of the grid was accepted')
      assert.ok(unguarded > 0, 'the key rule refused nothing that the equation accepts')
    })

    it('gives the verdict of the oracle on identity keys and identity nonces in every encoding', () => {
      const random = new SeededRandom('identity')
      const secret = littleEndian(random.bytes(40)) % ORDER
      const honest = times(BASE, secret).toBytes()
      const encodings = [IDENTITY_KEY, IDENTITY_NON_CANONICAL, IDENTITY_SIGNED, ZERO_KEY].map(fromHex)
      const nonce = littleEndian(random.bytes(40)) % ORDER
      const r = times(BASE, nonce).toBytes()
      const checks = [
        ...encodings.map((key) => ({ publicKey: key, message, signature: craft(0n, nonce, key, r, message) })),
        ...encodings.map((zero) => ({
          publicKey: honest,
          message,
          signature: craft(secret, 0n, honest, zero, message)
        }))
      ]
      const verdicts = checks.map((check) => crypto.keyOk(check.publicKey) && crypto.verify(check))
      assert.deepEqual(verdicts, checks.map(oracle))
      assert.deepEqual(verdicts, [false, false, false, false, true, false, false, false])
    })
  })
}
