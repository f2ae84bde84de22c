/** Signatures of a group: in their places when the group is finished, whoever made them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { verifyDelta } from '../../../src/memory/verify.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { GroupSigner } from '../../../src/node/group-signer.ts'
import { draft, identity } from '../../support/sealed.ts'

const crypto = createCrypto(new Uint8Array(32).fill(1), { signsOffLoop: true })
const EMPTY = '00'.repeat(64)

for (const count of [1, 3, 4, 5, 64]) {
  test(`${count} deltas of a group are complete when it is finished, and as if signed one by one`, async () => {
    const signer = new GroupSigner(crypto)
    const deltas = Array.from({ length: count }, (_, n) => sealDelta(draft({ hlc: BigInt(n + 1) << 16n }), signer))
    for (const delta of deltas) assert.equal(toHex(delta.signature), EMPTY, 'nothing is signed on the spot')
    await signer.finish()
    for (const [n, delta] of deltas.entries()) {
      const alone = sealDelta(draft({ hlc: BigInt(n + 1) << 16n }), identity())
      assert.deepEqual(delta, alone)
      assert.equal(verifyDelta(delta, crypto).ok, true)
    }
    await signer.finish()
  })
}

test('a signer without other threads signs when the group is finished', async () => {
  const signer = new GroupSigner(identity())
  const deltas = Array.from({ length: 9 }, () => sealDelta(draft(), signer))
  await signer.finish()
  for (const delta of deltas) assert.equal(verifyDelta(delta, crypto).ok, true)
})

test('a signature that cannot be made fails the group, and not the next one', async () => {
  let broken = true
  const signer = new GroupSigner({
    ...crypto,
    signAsync: (message) => (broken ? Promise.reject(new Error('no signature')) : Promise.resolve(crypto.sign(message)))
  })
  for (let n = 0; n < 5; n++) sealDelta(draft(), signer)
  await assert.rejects(signer.finish(), /no signature/)
  broken = false
  const delta = sealDelta(draft(), signer)
  await signer.finish()
  assert.equal(verifyDelta(delta, crypto).ok, true)
})
