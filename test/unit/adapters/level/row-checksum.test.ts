/** The checksum of rows: its bytes are those of another program, and no damage that is likely passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CHECKSUM_BYTES, putRowChecksum, rowChecksumHolds } from '../../../../src/adapters/level/row-checksum.ts'
import { toHex, utf8 } from '../../../../src/base/bytes.ts'

function checksum(key: Uint8Array, value: Uint8Array): Uint8Array {
  const sum = new Uint8Array(CHECKSUM_BYTES)
  putRowChecksum(key, value, sum, 0)
  return sum
}

const run = (length: number, step: number, start: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (start + i * step) & 255)

test('gives what the description in docs/WIRE.md gives, worked out in Python', () => {
  const name = utf8('\u0001schema')
  assert.equal(toHex(checksum(name, Uint8Array.of(0, 0, 0, 1))), 'd016eb938ae3575f')
  assert.equal(toHex(checksum(name, new Uint8Array(0))), '05bf0ac8307d5276')
  assert.equal(toHex(checksum(run(97, 1, 0), run(550, 7, 3))), 'b0233373fcf25940')
})

test('writes only its eight bytes', () => {
  const into = new Uint8Array(CHECKSUM_BYTES + 2).fill(0xaa)
  putRowChecksum(utf8('k'), utf8('v'), into, 1)
  assert.deepEqual([into[0], into[CHECKSUM_BYTES + 1]], [0xaa, 0xaa])
  assert.deepEqual(into.subarray(1, 1 + CHECKSUM_BYTES), checksum(utf8('k'), utf8('v')))
})

test('every flipped bit of key, value and checksum shows', () => {
  const key = run(49, 5, 2)
  const value = run(123, 3, 9)
  const row = checksum(key, value)
  for (const bytes of [key, value, row]) {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(rowChecksumHolds(key, value, row), false, `bit ${bit} of ${bytes.length} bytes`)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  }
  assert.equal(rowChecksumHolds(key, value, row), true)
})

test('damage within one word changes both halves, always', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 4, maxLength: 80 }),
      fc.nat(),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      (key, value, place, flips) => {
        const before = checksum(key, value)
        const from = 4 * (place % (value.length >> 2))
        for (let i = 0; i < 4; i++) value[from + i]! ^= (flips >>> (8 * i)) & 255
        const after = checksum(key, value)
        assert.notEqual(toHex(after.subarray(0, 4)), toHex(before.subarray(0, 4)))
        assert.notEqual(toHex(after.subarray(4)), toHex(before.subarray(4)))
      }
    ),
    { numRuns: 2_000 }
  )
})

test('a cut, a padded, a swapped or a moved row shows', () => {
  const key = run(48, 1, 0)
  const value = run(64, 3, 1)
  const row = checksum(key, value)
  for (let length = 0; length < value.length; length++) {
    assert.equal(rowChecksumHolds(key, value.subarray(0, length), row), false)
  }
  for (const zeros of [1, 2, 3, 4, 8]) {
    const padded = new Uint8Array(value.length + zeros)
    padded.set(value)
    assert.equal(rowChecksumHolds(key, padded, row), false, `${zeros} zero bytes behind`)
  }
  assert.equal(rowChecksumHolds(value, key, row), false)
  const whole = Uint8Array.from([...key, ...value])
  for (let at = 0; at <= whole.length; at++) {
    assert.equal(rowChecksumHolds(whole.subarray(0, at), whole.subarray(at), row), at === key.length)
  }
  assert.equal(rowChecksumHolds(key, new Uint8Array(value.length), row), false, 'a zeroed value')
})

test('the halves do not depend on each other: rows that agree in one differ in the other', () => {
  // Among 2^17 rows about two pairs agree in a given half; a half that followed from the other would agree as well.
  const firsts = new Map<string, string>()
  const seconds = new Map<string, string>()
  let agreeing = 0
  const row = new Uint8Array(12)
  const view = new DataView(row.buffer)
  for (let n = 0; n < 131_072; n++) {
    view.setUint32(4, n)
    const sum = toHex(checksum(utf8('counted'), row))
    const [first, second] = [sum.slice(0, 8), sum.slice(8)]
    for (const [half, rest, seen] of [
      [first, second, firsts],
      [second, first, seconds]
    ] as const) {
      const other = seen.get(half)
      if (other !== undefined) {
        agreeing++
        assert.notEqual(other, rest)
      }
      seen.set(half, rest)
    }
  }
  assert.ok(agreeing < 20, `${agreeing} pairs agree in one half`)
})
