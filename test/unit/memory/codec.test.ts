import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import {
  decodeCanonical,
  encodeCanonical,
  fitsUtf8,
  hexOf,
  isBytes,
  isUint,
  type CborValue
} from '../../../src/memory/codec.ts'
import { reason, value } from '../../support/sealed.ts'

const ROOM = { bytesMax: 100_000 }
const decodeHex = (hex: string) => decodeCanonical(fromHex(hex), ROOM)

describe('canonical encoding', () => {
  const samples: [CborValue, string][] = [
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [255, '18ff'],
    [256, '190100'],
    [65_535, '19ffff'],
    [65_536, '1a00010000'],
    [4_294_967_295, '1affffffff'],
    [4_294_967_296, '1b0000000100000000'],
    [Number.MAX_SAFE_INTEGER, '1b001fffffffffffff'],
    [9_007_199_254_740_992n, '1b0020000000000000'],
    [0xffff_ffff_ffff_ffffn, '1bffffffffffffffff'],
    [true, 'f5'],
    [false, 'f4'],
    [null, 'f6'],
    ['', '60'],
    ['aé', '6361c3a9'],
    ['\ufeffa', '64efbbbf61'],
    [new Uint8Array([1, 2]), '420102'],
    [[], '80'],
    [[1, [2, []]], '8201820280']
  ]
  for (const [plain, hex] of samples) {
    it(`writes and reads ${hex}`, () => {
      assert.equal(toHex(encodeCanonical(plain)), hex)
      assert.deepEqual(value(decodeHex(hex)), plain)
    })
  }

  it('writes a bigint that fits a number like that number', () => {
    assert.equal(toHex(encodeCanonical(23n)), '17')
    assert.equal(value(decodeHex('17')), 23)
  })

  it('keeps a byte order mark in long text, where a lenient decoder would drop it', () => {
    const text = '\ufeff' + 'ä'.repeat(100)
    assert.equal(value(decodeCanonical(encodeCanonical([text]), ROOM))?.toString(), text)
  })

  for (const [name, bad] of [
    ['a negative integer', -1],
    ['a fraction', 0.5],
    ['an unsafe integer', 2 ** 53],
    ['NaN', NaN],
    ['a bigint beyond 64 bits', 2n ** 64n],
    ['a negative bigint', -1n],
    ['undefined', undefined],
    ['an object', { a: 1 }],
    ['a map', new Map()],
    ['a lone surrogate', 'a\ud800'],
    ['a fraction deep inside', [[[1.5]]]]
  ] as [string, unknown][]) {
    it(`has no form for ${name}`, () => {
      assert.throws(() => encodeCanonical(bad as CborValue), AssertionError)
      // The encoder's shared buffer is not left dirty by the failure.
      assert.equal(toHex(encodeCanonical([1])), '8101')
    })
  }
})

describe('strict decoding', () => {
  const refusals: [string, string, string][] = [
    ['nothing at all', '', 'not-cbor'],
    ['a head without its argument', '18', 'not-cbor'],
    ['a string cut short', '4301', 'not-cbor'],
    ['an array cut short', '8201', 'not-cbor'],
    ['bytes left over', '0101', 'not-cbor'],
    ['a reserved head', '1c', 'not-cbor'],
    ['bad UTF-8', '62c328', 'not-cbor'],
    ['a UTF-8 surrogate', '63eda080', 'not-cbor'],
    ['overlong UTF-8', '62c080', 'not-cbor'],
    ['an integer in two bytes that fits one', '1817', 'not-canonical'],
    ['an integer in three bytes that fits two', '1900ff', 'not-canonical'],
    ['an integer in five bytes that fits three', '1a0000ffff', 'not-canonical'],
    ['an integer in nine bytes that fits five', '1b00000000ffffffff', 'not-canonical'],
    ['a length in two bytes that fits one', '580101', 'not-canonical'],
    ['an array length in two bytes that fits one', '980101', 'not-canonical'],
    ['an indefinite array', '9f01ff', 'not-canonical'],
    ['an indefinite string', '5f4101ff', 'not-canonical'],
    ['a lone break', 'ff', 'not-canonical'],
    ['a negative integer', '20', 'not-canonical'],
    ['a map', 'a10102', 'not-canonical'],
    ['an empty map', 'a0', 'not-canonical'],
    ['a tag', 'c100', 'not-canonical'],
    ['a half float', 'f93c00', 'not-canonical'],
    ['a double', 'fb3ff0000000000000', 'not-canonical'],
    ['undefined', 'f7', 'not-canonical'],
    ['another simple value', 'e0', 'not-canonical'],
    ['false in two bytes', 'f814', 'not-canonical'],
    ['a float inside arrays', '8181f90000', 'not-canonical']
  ]
  for (const [name, hex, expected] of refusals) {
    it(`refuses ${name} as ${expected}`, () => {
      assert.equal(reason(decodeHex(hex)), expected)
    })
  }

  it('refuses claims of four billion items or bytes without making room for them', () => {
    for (const head of ['9affffffff', '9bffffffffffffffff', '5affffffff', '7bffffffffffffffff', '9b001fffffffffffff']) {
      assert.equal(reason(decodeHex(head + '00'.repeat(20))), 'not-cbor')
    }
  })

  it('holds the bounds on depth, items and bytes at limit, and refuses one more', () => {
    const deep = (depth: number) => '81'.repeat(depth) + '00'
    assert.equal(reason(decodeHex(deep(LIMITS.cborDepthMax))), 'accepted')
    assert.equal(reason(decodeHex(deep(LIMITS.cborDepthMax + 1))), 'too-large')
    assert.equal(reason(decodeHex('81'.repeat(90_000) + '00')), 'too-large')
    const many = (items: number) => encodeCanonical(new Array<number>(items - 1).fill(0))
    assert.equal(reason(decodeCanonical(many(LIMITS.cborItemsMax), ROOM)), 'accepted')
    assert.equal(reason(decodeCanonical(many(LIMITS.cborItemsMax + 1), ROOM)), 'too-large')
    const text = encodeCanonical('x'.repeat(50))
    assert.equal(reason(decodeCanonical(text, { bytesMax: text.length })), 'accepted')
    assert.equal(reason(decodeCanonical(text, { bytesMax: text.length - 1 })), 'too-large')
  })

  it('counts siblings apart: many shallow arrays are not deep', () => {
    const shallow: CborValue = new Array<CborValue>(1000).fill([[1], []])
    assert.deepEqual(value(decodeCanonical(encodeCanonical(shallow), ROOM)), shallow)
  })

  it('hands out copies, so that a delta does not keep its frame', () => {
    const bytes = fromHex('8142ff00')
    const [inner] = value(decodeCanonical(bytes, ROOM)) as [Uint8Array]
    bytes.fill(7)
    assert.equal(toHex(inner), 'ff00')
    assert.ok(inner.buffer !== bytes.buffer)
  })
})

describe('reading decoded values', () => {
  it('tells lengths, types and bounds', () => {
    assert.equal(isUint(5, 5), true)
    assert.equal(isUint(6, 5), false)
    assert.equal(isUint(6n), false)
    assert.equal(isBytes(new Uint8Array(2), 2), true)
    assert.equal(isBytes(new Uint8Array(2), 3), false)
    assert.equal(isBytes('ab', 2), false)
    assert.equal(hexOf(new Uint8Array([255]), 1), 'ff')
    assert.equal(hexOf('ff', 1), undefined)
  })

  it('measures text in bytes of UTF-8', () => {
    assert.equal(fitsUtf8('aaaa', 4), true)
    assert.equal(fitsUtf8('aaaaa', 4), false)
    assert.equal(fitsUtf8('ää', 4), true)
    assert.equal(fitsUtf8('ääa', 4), false)
    assert.equal(fitsUtf8('😀', 4), true)
    assert.equal(fitsUtf8('😀', 3), false)
  })
})
