/** CRC-32C against published values, and LevelDB's mask. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c, maskCrc } from '../../../../src/adapters/level/crc32c.ts'
import { utf8 } from '../../../../src/base/bytes.ts'

test('the values of RFC 3720, B.4', () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43)
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e)
  assert.equal(crc32c(utf8('123456789')), 0xe3069283)
})

test('in pieces, from anywhere, the value is that of the whole', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * i) & 255)
  for (const cut of [0, 1, 7, 8, 9, 50, 99, 100]) {
    assert.equal(crc32c(bytes, cut, 100, crc32c(bytes, 0, cut)), crc32c(bytes), `cut at ${cut}`)
  }
  assert.equal(crc32c(bytes, 3, 40), crc32c(bytes.slice(3, 40)))
})

test('a masked checksum is rotated by 15 and shifted', () => {
  // leveldb/util/crc32c.h: ((crc >> 15) | (crc << 17)) + 0xa282ead8
  assert.equal(maskCrc(0), 0xa282ead8)
  assert.equal(maskCrc(0x8000), 0xa282ead9)
  assert.notEqual(maskCrc(crc32c(utf8('foo'))), crc32c(utf8('foo')))
})
