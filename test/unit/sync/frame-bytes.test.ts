/** The bytes under the frames: what is written is read back, and what is not whole, or longer than it must be, is not read. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { FrameReader, FrameWriter } from '../../../src/sync/frame-bytes.ts'

const read = (hex: string): FrameReader => new FrameReader(fromHex(hex))

suite('frame bytes', () => {
  test('varints of every size', () => {
    for (const [value, hex] of [
      [0, '00'],
      [127, '7f'],
      [128, '8001'],
      [300, 'ac02'],
      [16_383, 'ff7f'],
      [16_384, '808001'],
      [2 ** 32, '8080808010'],
      [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f']
    ] as const) {
      assert.equal(toHex(new FrameWriter().varint(value).done()), hex)
      const reader = read(hex)
      assert.equal(reader.varint(), value)
      assert.ok(reader.finished)
    }
  })

  test('a varint that is longer than it must be, too large, or cut short breaks the reader', () => {
    for (const hex of ['8000', '808000', 'ff00', 'ffffffffffffff1f', 'ffffffffffffffff01', '80', '', 'ffff']) {
      const reader = read(hex)
      assert.equal(reader.varint(), 0, hex)
      assert.ok(reader.broken, hex)
    }
    assert.equal(read('64').varint(100), 100)
    const above = read('65')
    assert.equal(above.varint(100), 0)
    assert.ok(above.broken)
  })

  test('prefixes are packed, and the half byte that is left over is zero', () => {
    for (const [prefix, hex] of [
      ['', '00'],
      ['f', '01f0'],
      ['0a', '020a'],
      ['abc', '03abc0']
    ] as const) {
      assert.equal(toHex(new FrameWriter().prefix(prefix).done()), hex)
      const reader = read(hex)
      assert.equal(reader.prefix(), prefix)
      assert.ok(reader.finished)
    }
    const long = '7'.repeat(76)
    assert.equal(new FrameReader(new FrameWriter().prefix(long).done()).prefix(), long)
    for (const hex of ['01f1', '03abc1', '02ab'.slice(0, 2), '4d'.padEnd(2 + 78, '0'), 'ff']) {
      const reader = read(hex)
      reader.prefix()
      assert.ok(reader.broken, hex)
    }
  })

  test('a broken reader gives nothing more', () => {
    const reader = read('0102030405060708')
    assert.equal(reader.take(9).length, 0)
    assert.deepEqual([reader.left, reader.byte(), reader.varint(), reader.short(), reader.uint16()], [0, 0, 0, 0, 0])
    assert.deepEqual([reader.rest().length, reader.digits(4), reader.prefix()], [0, '', ''])
    assert.ok(reader.broken && !reader.finished)
    const rejected = read('01')
    rejected.reject()
    assert.ok(rejected.broken && rejected.left === 0)
  })

  test('whatever is written is read back', () => {
    const uint = (bits: number): fc.Arbitrary<number> => fc.bigInt(0n, 2n ** BigInt(bits) - 1n).map(Number)
    fc.assert(
      fc.property(
        uint(53),
        uint(48),
        uint(16),
        fc.uint8Array(),
        fc.stringMatching(/^[0-9a-f]{0,76}$/),
        (v, s, u, b, p) => {
          const reader = new FrameReader(new FrameWriter().varint(v).short(s).uint16(u).prefix(p).bytes(b).done())
          assert.deepEqual([reader.varint(), reader.short(), reader.uint16(), reader.prefix()], [v, s, u, p])
          assert.deepEqual(reader.rest(), b)
          assert.ok(reader.finished)
        }
      )
    )
  })
})
