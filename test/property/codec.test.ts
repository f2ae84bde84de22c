/**
 * The wire as properties: every value goes there and back, no byte string has two readings or two encodings, nothing
 * throws, and no single changed byte of a delta passes for its author's word.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { equalBytes, fromHex, toHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { decodeCanonical, encodeCanonical, type CborValue } from '../../src/memory/codec.ts'
import {
  decodeDelta,
  decodeFrame,
  decodeHeader,
  encodeDelta,
  encodeFrame,
  encodeHeader
} from '../../src/memory/delta-codec.ts'
import { decodeGenesis, encodeGenesis } from '../../src/memory/names.ts'
import { decodeBody, encodeBody } from '../../src/memory/ops-codec.ts'
import {
  DOCUMENT_TYPES,
  MEMORY_TYPES,
  ORIGIN_CLASSES,
  RELATIONS,
  VERDICTS,
  type Op,
  type Target
} from '../../src/memory/ops.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import { verifyDelta } from '../../src/memory/verify.ts'
import { identity, value } from '../support/sealed.ts'

const crypto = identity()
const ROOM = { bytesMax: 100_000 }

const hex = (byteLength: number) => fc.uint8Array({ minLength: byteLength, maxLength: byteLength }).map(toHex)
const text = (maxLength = 20, minLength = 0) => fc.string({ unit: 'binary', minLength, maxLength })
const uint = fc.oneof(fc.nat(), fc.maxSafeNat())
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })

const { tree } = fc.letrec<{ tree: CborValue; leaf: CborValue; list: CborValue }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small', maxDepth: LIMITS.cborDepthMax - 1 }, tie('leaf'), tie('list')),
  list: fc.array(tie('tree'), { maxLength: 5 }),
  leaf: fc.oneof(
    uint,
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    text(),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(true, false, null)
  )
}))

const target: fc.Arbitrary<Target> = fc.oneof(
  hex(32).map((id) => ({ by: 'id', id }) as const),
  text(20, 1).map((key) => ({ by: 'key', key }) as const),
  fc.nat({ max: LIMITS.deltaOpsMax - 1 }).map((ordinal) => ({ by: 'ordinal', ordinal }) as const)
)
const basisPoints = fc.nat({ max: 10_000 })
const dot = fc.tuple(hex(32), fc.nat({ max: 4_095 })).map(([delta, index]) => `${delta}.${index}`)
const fieldSet = fc.oneof(
  fc.record({ field: fc.constant('content' as const), value: text(200) }),
  fc.record({ field: fc.constant('kind' as const), value: text(16, 1) }),
  fc.record({ field: fc.constantFrom('path' as const, 'retracted' as const), value: orNull(text()) }),
  fc.record({ field: fc.constant('pinned' as const), value: fc.boolean() }),
  fc.record({
    field: fc.constantFrom('validFrom' as const, 'validTo' as const, 'expiresAt' as const),
    value: orNull(fc.nat())
  })
)
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    op: fc.constant('create' as const),
    target,
    documentType: fc.constantFrom(...DOCUMENT_TYPES),
    memoryType: orNull(fc.constantFrom(...MEMORY_TYPES)),
    source: orNull(text())
  }),
  fc.tuple(target, fieldSet).map(([to, set]): Op => ({ op: 'set', target: to, ...set })),
  fc.record({ op: fc.constant('tag' as const), target, tag: text(20, 1) }),
  fc.record({ op: fc.constant('untag' as const), target, tag: text(20, 1), dots: fc.array(dot, { maxLength: 4 }) }),
  fc.record({
    op: fc.constant('link' as const),
    target,
    relation: fc.constant('evidence' as const),
    value: text(20, 1)
  }),
  fc.record({
    op: fc.constant('link' as const),
    target,
    relation: fc.constantFrom(...RELATIONS.slice(1)),
    value: hex(32)
  }),
  fc.record({ op: fc.constantFrom('importance' as const, 'confidence' as const), target, value: basisPoints }),
  fc.record({ op: fc.constant('access' as const), target, total: uint }),
  fc.record({
    op: fc.constant('vote' as const),
    target,
    verdict: fc.constantFrom(...VERDICTS),
    confidence: basisPoints,
    reason: orNull(text())
  }),
  fc.record({
    op: fc.constant('origin' as const),
    target,
    origin: fc.constantFrom(...ORIGIN_CLASSES),
    agent: orNull(text(20, 1))
  }),
  fc.record({
    op: fc.constant('unknown' as const),
    code: fc.integer({ min: 11, max: 0xffff_ffff }),
    items: fc.array(fc.oneof(uint, text(), fc.array(uint, { maxLength: 3 })), { maxLength: 4 })
  })
)
/** A plain object each: the generator's own have no prototype, and deep equality minds that. */
const ops = fc.array(
  op.map((each): Op => ({ ...each })),
  { maxLength: 12 }
)
const sealed = fc
  .record({
    space: hex(16),
    epoch: hex(8),
    chain: fc.oneof(fc.constant([0, null] as const), fc.tuple(fc.integer({ min: 1 }), hex(32))),
    hlc: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    parents: fc.array(hex(32), { maxLength: LIMITS.deltaParentsMax }),
    flags: fc.nat(),
    ops
  })
  .map(({ chain: [seq, prev], ...rest }) => sealDelta({ ...rest, seq, prev }, crypto))

/** `bytes` with one byte replaced by another. */
const mutated = (bytes: fc.Arbitrary<Uint8Array>) =>
  fc.tuple(bytes, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([original, at, flip]) => {
    const copy = Uint8Array.from(original)
    copy[at % copy.length]! ^= flip
    return copy
  })

/** Refused, or read as something whose encoding is exactly these bytes. */
function oneReading<T>(decode: (bytes: Uint8Array) => { ok: boolean; value?: T }, encode: (decoded: T) => Uint8Array) {
  return (bytes: Uint8Array): void => {
    const decoded = decode(bytes)
    if (decoded.ok) assert.equal(toHex(encode(decoded.value as T)), toHex(bytes))
  }
}

const CODECS: [string, (bytes: Uint8Array) => void, fc.Arbitrary<Uint8Array>][] = [
  ['canonical values', oneReading((bytes) => decodeCanonical(bytes, ROOM), encodeCanonical), tree.map(encodeCanonical)],
  ['bodies', oneReading(decodeBody, encodeBody), ops.map(encodeBody)],
  ['headers', oneReading(decodeHeader, encodeHeader), sealed.map((delta) => delta.headerBytes)],
  ['records', oneReading((bytes) => decodeDelta(bytes, crypto), encodeDelta), sealed.map(encodeDelta)],
  [
    'frames',
    oneReading(decodeFrame, encodeFrame),
    fc.array(sealed, { minLength: 1, maxLength: 3 }).map((deltas) => encodeFrame(deltas.map(encodeDelta)))
  ],
  [
    'geneses',
    oneReading(decodeGenesis, encodeGenesis),
    fc
      .record({
        version: fc.constant(1 as const),
        creator: hex(32),
        name: text(10, 1),
        policy: fc.constantFrom('open' as const, 'private' as const),
        nonce: hex(16),
        createdMs: fc.nat()
      })
      .map(encodeGenesis)
  ]
]

describe('codecs as properties', () => {
  it('values go there and back', () => {
    fc.assert(
      fc.property(tree, (plain) => assert.deepEqual(value(decodeCanonical(encodeCanonical(plain), ROOM)), plain))
    )
  })

  it('bodies go there and back', () => {
    fc.assert(fc.property(ops, (list) => assert.deepEqual(value(decodeBody(encodeBody(list))), list)))
  })

  it('deltas go there and back, frames included', () => {
    fc.assert(
      fc.property(sealed, (delta) => {
        const [record] = value(decodeFrame(encodeFrame([encodeDelta(delta)])))
        const back = value(decodeDelta(record!, crypto))
        assert.deepEqual(back, delta)
        assert.deepEqual(encodeHeader(back.header), delta.headerBytes)
        assert.deepEqual(encodeBody(back.ops), delta.bodyBytes)
      }),
      { numRuns: 60 }
    )
  })

  for (const [name, check, sound] of CODECS) {
    it(`${name}: a changed byte is refused or is another value with exactly that encoding`, () => {
      fc.assert(fc.property(mutated(sound), check), { numRuns: 400 })
    })

    it(`${name}: cut anywhere they are refused`, () => {
      fc.assert(
        fc.property(sound, fc.nat(), (bytes, at) => {
          const cut = bytes.subarray(0, at % bytes.length)
          for (const [, any] of CODECS) any(cut)
          assert.equal(decodeCanonical(cut, ROOM).ok, false)
        }),
        { numRuns: 60 }
      )
    })
  }

  it('noise is refused or has one reading, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const [, check] of CODECS) check(bytes)
      }),
      { numRuns: 1_000 }
    )
  })

  it('noise made of likely heads is refused or has one reading', () => {
    const heads = fc.constantFrom(
      0x80,
      0x81,
      0x83,
      0x8b,
      0x9f,
      0x98,
      0x40,
      0x58,
      0x60,
      0x61,
      0x00,
      0x18,
      0x1b,
      0xf6,
      0xf5,
      0xf9,
      0xa0,
      0xff
    )
    fc.assert(
      fc.property(fc.array(heads, { maxLength: 24 }), (bytes) => {
        for (const [, check] of CODECS) check(Uint8Array.from(bytes))
      }),
      { numRuns: 2_000 }
    )
  })

  it('no changed byte of a record passes for the same delta by the same author', () => {
    const delta = sealDelta(
      {
        space: '01'.repeat(16),
        epoch: '02'.repeat(8),
        seq: 1,
        prev: '03'.repeat(32),
        hlc: 2n ** 57n,
        parents: ['04'.repeat(32)],
        ops: [{ op: 'tag', target: { by: 'key', key: 'k' }, tag: 't' }]
      },
      crypto
    )
    const bytes = encodeDelta(delta)
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const copy = Uint8Array.from(bytes)
        copy[at]! ^= flip
        const decoded = decodeDelta(copy, crypto)
        if (!decoded.ok) continue
        assert.equal(verifyDelta(decoded.value, crypto).ok, false, `byte ${at}`)
      }
    }
    assert.ok(equalBytes(fromHex(toHex(bytes)), bytes))
  })
})
