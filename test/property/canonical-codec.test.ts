/**
 * Our reader and writer of canonical bytes beside an independent CBOR library: they write the same bytes, and of any bytes,
 * sound or mutated, ours accepts only what the library reads as the same value.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as cborg from 'cborg'
import fc from 'fast-check'
import { equalBytes } from '../../src/base/bytes.ts'
import { decodeCanonical, encodeCanonical, type CborValue } from '../../src/memory/codec.ts'

const ROOM = { bytesMax: 100_000 }

const { value } = fc.letrec<{ value: CborValue; leaf: CborValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, tie('leaf'), fc.array(tie('value'), { maxLength: 6 })),
  leaf: fc.oneof(
    fc.nat(),
    fc.maxSafeNat(),
    fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 300 }),
    fc.boolean(),
    fc.constant(null)
  )
}))

test('both write the same bytes', () => {
  fc.assert(
    fc.property(value, (each) => {
      assert.ok(equalBytes(encodeCanonical(each), cborg.encode(each)))
    }),
    { numRuns: 1_000 }
  )
})

test('of bytes that were tampered with, ours accepts only what the library reads as that very value', () => {
  let [accepted, refused] = [0, 0]
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })
  fc.assert(
    fc.property(value, changes, fc.nat(4), (each, edits, cut) => {
      const sound = encodeCanonical(each)
      const bytes = sound.slice(0, Math.max(1, sound.length - cut))
      for (const [at, byte] of edits) bytes[at % bytes.length] = byte
      const ours = decodeCanonical(bytes, ROOM)
      if (!ours.ok) {
        refused++
        return
      }
      accepted++
      const theirs = cborg.decode(bytes, { strict: true, allowIndefinite: false, allowUndefined: false }) as CborValue
      assert.ok(equalBytes(encodeCanonical(theirs), bytes), 'the library reads another value')
      assert.ok(equalBytes(encodeCanonical(ours.value), bytes), 'ours does not write what it read')
    }),
    { numRuns: 5_000 }
  )
  assert.ok(accepted > 500 && refused > 500, `${accepted} accepted, ${refused} refused: one side was not tried`)
})
