import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { decodeDelta, encodeDelta } from '../../../src/memory/delta-codec.ts'
import type { Delta } from '../../../src/memory/delta.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { restoreDelta, verifyDelta, verifyDeltaAsync } from '../../../src/memory/verify.ts'
import type { SignatureCheck, Verifier } from '../../../src/ports/crypto.ts'
import { draft, identity, reason, recordWith, value } from '../../support/sealed.ts'

const crypto = identity()
const sealed = sealDelta(draft(), crypto)

/** Both forms, which must agree. */
async function verdict(delta: Delta, verifier: Verifier = crypto): Promise<string> {
  const sync = reason(verifyDelta(delta, verifier))
  assert.equal(reason(await verifyDeltaAsync(delta, verifier)), sync)
  return sync
}

describe('verification', () => {
  it('accepts what was sealed and hands out the same delta', async () => {
    assert.equal(await verdict(sealed), 'accepted')
    assert.equal(value(verifyDelta(sealed, crypto)), sealed)
  })

  it('refuses every flipped bit of the signature', async () => {
    for (let bit = 0; bit < 512; bit += 37) {
      const signature = Uint8Array.from(sealed.signature)
      signature[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(await verdict({ ...sealed, signature }), 'bad-signature')
    }
  })

  it('refuses a signature by somebody else, or over another delta', async () => {
    const stranger = sealDelta(draft(), identity(2))
    assert.equal(await verdict({ ...sealed, signature: stranger.signature }), 'bad-signature')
    const later = sealDelta(draft({ hlc: 5n }), crypto)
    assert.equal(await verdict({ ...sealed, signature: later.signature }), 'bad-signature')
  })

  it('judges the key before the signature: a small-order key signs nothing, though OpenSSL accepts it', async () => {
    // The identity point as key, R = identity, S = 0 satisfies the equation for every message.
    const identityPoint = '01' + '00'.repeat(31)
    const decoded = value(decodeDelta(recordWith({ author: identityPoint }), crypto))
    const forged = { ...decoded, signature: fromHex(identityPoint + '00'.repeat(32)) }
    const check = { publicKey: fromHex(identityPoint), message: new Uint8Array(3), signature: forged.signature }
    assert.equal(crypto.verify(check), true)
    assert.equal(await verdict(forged), 'bad-key')
  })

  it('signs the tagged fingerprint', () => {
    const seen: SignatureCheck[] = []
    verifyDelta(sealed, {
      keyOk: () => true,
      verify: (check) => seen.push(check) > 0,
      verifyAsync: () => Promise.resolve(false)
    })
    assert.equal(toHex(seen[0]!.message), toHex(new TextEncoder().encode('chrysalis/sig/1\0')) + sealed.fingerprint)
    assert.equal(toHex(seen[0]!.publicKey), sealed.header.author)
  })
})

describe('restoring a row of the own store', () => {
  it('checks the hashes again and takes the signature as checked', () => {
    assert.deepEqual(value(restoreDelta(encodeDelta(sealed), crypto)), sealed)
    const unsigned = encodeDelta({ ...sealed, signature: new Uint8Array(64) })
    assert.equal(value(restoreDelta(unsigned, crypto)).id, sealed.id)
    const damaged = encodeDelta(sealed)
    damaged[damaged.length - 1]! ^= 1
    assert.equal(reason(restoreDelta(damaged, crypto)), 'body-hash')
  })

  it('takes a pruned row', () => {
    assert.equal(value(restoreDelta(encodeDelta({ ...sealed, bodyBytes: null }), crypto)).bodyBytes, null)
  })
})
