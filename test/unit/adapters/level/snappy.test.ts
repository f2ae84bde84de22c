/** Snappy blocks by hand, and that no damaged one does more than answer undefined. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { snappyDecode } from '../../../../src/adapters/level/snappy.ts'
import { fromUtf8, utf8 } from '../../../../src/base/bytes.ts'

const bytes = (...parts: (number | string)[]): Uint8Array =>
  new Uint8Array(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...utf8(part)])))
const text = (input: Uint8Array, max = 1_000): string | undefined => {
  const output = snappyDecode(input, max)
  return output === undefined ? undefined : fromUtf8(output)
}

test('literals and copies of every width', () => {
  assert.equal(text(bytes(0)), '')
  assert.equal(text(bytes(5, 4 << 2, 'hello')), 'hello')
  // A length of 60 and more follows in one to four bytes.
  const long = 'x'.repeat(300)
  assert.equal(text(bytes(0xac, 2, 61 << 2, 0x2b, 1, long)), long)
  // One-byte offset, length 4 to 11; two bytes; four bytes.
  assert.equal(text(bytes(8, 3 << 2, 'abcd', 1, 4)), 'abcdabcd')
  assert.equal(text(bytes(8, 3 << 2, 'abcd', (3 << 2) | 2, 4, 0)), 'abcdabcd')
  assert.equal(text(bytes(8, 3 << 2, 'abcd', (3 << 2) | 3, 4, 0, 0, 0)), 'abcdabcd')
  // A copy that overlaps itself is a run.
  assert.equal(text(bytes(10, 0, 'a', (8 << 2) | 2, 1, 0)), 'a'.repeat(10))
})

test('what is cut, too long, or points outside is undefined', () => {
  for (const damaged of [
    bytes(),
    bytes(0x80),
    bytes(5, 4 << 2, 'hell'),
    bytes(6, 4 << 2, 'hello'),
    bytes(4, 4 << 2, 'hello'),
    bytes(8, 3 << 2, 'abcd', 1, 5),
    bytes(8, 3 << 2, 'abcd', 1, 0),
    bytes(7, 3 << 2, 'abcd', 1, 4),
    bytes(8, 3 << 2, 'abcd', 1),
    bytes(0xff, 0xff, 0xff, 0xff, 0xff, 1)
  ]) {
    assert.equal(text(damaged), undefined)
  }
  assert.equal(text(bytes(5, 4 << 2, 'hello'), 4), undefined, 'beyond the bound')
})

test('any bytes are answered, within the bound', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (input) => (snappyDecode(input, 500)?.length ?? 0) <= 500),
    { numRuns: 3_000, seed: 11 }
  )
})
