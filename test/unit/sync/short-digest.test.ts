/** HalfSipHash against its published vectors, the key of a session, and the 6 bytes that travel. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { FrameReader, FrameWriter } from '../../../src/sync/frame-bytes.ts'
import { SHORT_DIGEST_BYTES, ShortDigests, shortDigestKey } from '../../../src/sync/short-digest.ts'
import { hasher } from './recon-pair.ts'

const KEY = '0001020304050607'
const [NONCE_A, NONCE_B] = ['a0'.repeat(16), 'b1'.repeat(16)]

/** Published with the reference implementation: HalfSipHash-2-4, 64 bits, of the bytes 00, 01, … by their number. */
const PUBLISHED: Readonly<Record<number, string>> = {
  0: '218d1f59b9b83cc8',
  1: 'be552412f8387315',
  2: '064f39ef7c50eb57',
  3: 'ce0f1a45f7060679',
  4: 'd5e78a175be52ea1',
  5: 'cb9d7c3f2f3db580',
  6: 'ce3e91358aa2bc25',
  7: 'ff202728b07bc684',
  8: 'edfee820bce4858c',
  15: '217d0bcb4e81c902',
  16: '7336aad25f7bf3b5',
  31: '863c7f155c34117c',
  32: '28709d46d811626c',
  38: 'cbd92ee724d42109',
  48: 'a9eaa8c04ba93e3e',
  63: '2ea63c71bf326087'
}

const sequence = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)

/** The 6 bytes as they travel. */
function travelling(digest: number): string {
  return toHex(new FrameWriter().short(digest).done())
}

suite('short digests', () => {
  test('the published vectors come out', () => {
    const digests = new ShortDigests(fromHex(KEY))
    for (const [length, expected] of Object.entries(PUBLISHED)) {
      assert.equal(toHex(digests.full(sequence(Number(length)))), expected, `${length} bytes`)
    }
  })

  test('what travels are the first 6 bytes, and they come back as the same number', () => {
    const digests = new ShortDigests(fromHex(KEY))
    for (const [length, expected] of Object.entries(PUBLISHED)) {
      const digest = digests.of(sequence(Number(length)))
      assert.equal(travelling(digest), expected.slice(0, 2 * SHORT_DIGEST_BYTES))
      assert.equal(new FrameReader(fromHex(travelling(digest))).short(), digest)
    }
  })

  test('a part of a longer byte string is digested like the part alone', () => {
    const digests = new ShortDigests(fromHex(KEY))
    const [long, inside] = [sequence(100), sequence(138).subarray(38)]
    for (const [offset, length] of [
      [0, 38],
      [38, 38],
      [5, 48],
      [99, 0]
    ] as const) {
      const alone = digests.of(long.slice(offset, offset + length))
      assert.equal(digests.of(long, offset, length), alone)
      assert.equal(
        digests.of(inside, offset, length),
        digests.of(inside.slice(offset, offset + length)),
        'the view has an offset of its own'
      )
    }
  })

  test('each key makes other digests, and either nonce another key', () => {
    const [a, b] = [fromHex(NONCE_A), fromHex(NONCE_B)]
    const keys = [shortDigestKey(hasher, a, b), shortDigestKey(hasher, b, a), shortDigestKey(hasher, a, a)]
    assert.equal(new Set(keys.map(toHex)).size, 3)
    const seen = new Set(keys.map((key) => new ShortDigests(key).of(sequence(48))))
    assert.equal(seen.size, 3)
  })

  test('a key of another length is a fault of the caller', () => {
    for (const length of [0, 7, 9, 16]) assert.throws(() => new ShortDigests(new Uint8Array(length)), /8 bytes/)
  })

  test('the vectors are the ones on record', () => {
    const key = shortDigestKey(hasher, fromHex(NONCE_A), fromHex(NONCE_B))
    const tag = Buffer.from('chrysalis/recon/key/1\0')
    const again = createHash('sha384').update(tag).update(fromHex(NONCE_A)).update(fromHex(NONCE_B)).digest()
    assert.equal(toHex(key), again.subarray(0, 8).toString('hex'))
    const digests = new ShortDigests(key)
    const examples = [sequence(38), sequence(48), new Uint8Array(48).fill(255)].map((bytes) => ({
      bytes: toHex(bytes),
      halfSipHash: toHex(digests.full(bytes)),
      short: travelling(digests.of(bytes))
    }))
    const vectors = {
      note: 'Short digests of reconciliation, docs/WIRE.md §8.7. `published`: HalfSipHash-2-4 with 64 bits of output under `key`, of the bytes 00, 01, … in the number given, as its reference implementation has them.',
      published: { key: KEY, byLength: PUBLISHED },
      session: { initiatorNonce: NONCE_A, responderNonce: NONCE_B, key: toHex(key), examples }
    }
    const path = new URL('../../vectors/short-digest.json', import.meta.url)
    const text = `${JSON.stringify(vectors, null, 2)}\n`
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text)
    assert.equal(readFileSync(path, 'utf8'), text)
  })
})
