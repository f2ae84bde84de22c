/** The crypto suite on node:crypto, and what only that pane has. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createCrypto, createVerifier } from '../../src/adapters/system/crypto.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { cryptoSuite } from './crypto.ts'

cryptoSuite('node:crypto', createCrypto)

it('refuses a seed of another length and says what to do', () => {
  for (const length of [0, 31, 33, 64]) {
    assert.throws(
      () => createCrypto(new Uint8Array(length)),
      (error) => isChrysalisError(error, 'invalid_argument') && error.hint !== undefined
    )
  }
})

it('keeps its identity when the caller wipes the seed', () => {
  const seed = new Uint8Array(32).fill(9)
  const crypto = createCrypto(seed)
  const before = crypto.sign(new Uint8Array(1))
  seed.fill(0)
  assert.deepEqual(crypto.sign(new Uint8Array(1)), before)
})

it('verifies without an identity', async () => {
  const crypto = createCrypto(new Uint8Array(32).fill(9))
  const message = new Uint8Array([1, 2, 3])
  const check = { publicKey: crypto.publicKey, message, signature: crypto.sign(message) }
  const verifier = createVerifier()
  assert.equal(verifier.keyOk(check.publicKey) && verifier.verify(check), true)
  assert.equal(await verifier.verifyAsync(check), true)
  assert.deepEqual(verifier.sha384(message), crypto.sha384(message))
  assert.equal('sign' in verifier, false)
})
