import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical } from '../../../src/memory/codec.ts'
import {
  decodeDelta,
  decodeFrame,
  decodeHeader,
  encodeDelta,
  encodeFrame,
  encodeHeader,
  FRAME_HEAD_BYTES_MAX,
  FRAME_RECORD_HEAD_BYTES_MAX,
  RECORD_BYTES_MAX
} from '../../../src/memory/delta-codec.ts'
import type { DeltaHeader } from '../../../src/memory/delta.ts'
import { encodeBody } from '../../../src/memory/ops-codec.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { draft, header, identity, note, reason, record, recordWith, value } from '../../support/sealed.ts'

const crypto = identity()
const body = encodeBody(note('hello'))
const id = (byte: number) => byte.toString(16).padStart(2, '0').repeat(32)
const headerReason = (changes: Partial<DeltaHeader>) =>
  reason(decodeHeader(encodeHeader(header(crypto, body, changes))))

describe('a delta record', () => {
  it('round-trips through its bytes', () => {
    const sealed = sealDelta(draft({ seq: 3, prev: id(9), parents: [id(1), id(2)], flags: 5 }), crypto)
    const bytes = encodeDelta(sealed)
    const decoded = value(decodeDelta(bytes, crypto))
    assert.deepEqual(decoded, sealed)
    assert.deepEqual(encodeDelta(decoded), bytes)
    assert.deepEqual(encodeHeader(decoded.header), decoded.headerBytes)
    assert.equal(decoded.id, decoded.fingerprint.slice(0, 64))
    assert.equal(decoded.fingerprint.length, 96)
  })

  it('does not change its id when the signature changes', () => {
    const sealed = sealDelta(draft(), crypto)
    const other = decodeDelta(encodeDelta({ ...sealed, signature: new Uint8Array(64) }), crypto)
    assert.equal(value(other).id, sealed.id)
  })

  it('needs its body unless pruned rows are allowed', () => {
    const sealed = sealDelta(draft(), crypto)
    const pruned = encodeDelta({ ...sealed, bodyBytes: null })
    assert.equal(reason(decodeDelta(pruned, crypto)), 'body-hash')
    const restored = value(decodeDelta(pruned, crypto, { prunedAllowed: true }))
    assert.equal(restored.id, sealed.id)
    assert.deepEqual([restored.bodyBytes, restored.ops], [null, []])
  })

  it('refuses another body, or one of another length', () => {
    const headerBytes = encodeHeader(header(crypto, body))
    assert.equal(reason(decodeDelta(record(crypto, headerBytes, encodeBody(note('hullo'))), crypto)), 'body-hash')
    assert.equal(reason(decodeDelta(record(crypto, headerBytes, encodeBody(note('hello!'))), crypto)), 'body-hash')
    assert.equal(reason(decodeDelta(recordWith({ bodyLength: body.length + 1 }), crypto)), 'body-hash')
  })

  it('refuses what is no record', () => {
    const headerBytes = encodeHeader(header(crypto, body))
    const signature = new Uint8Array(64)
    for (const bad of [
      [],
      [headerBytes, signature],
      [headerBytes, signature, body, 0],
      'record',
      [headerBytes, new Uint8Array(63), body],
      ['header', signature, body],
      [headerBytes, signature, 'body']
    ]) {
      assert.equal(reason(decodeDelta(encodeCanonical(bad), crypto)), 'shape')
    }
  })
})

describe('a header', () => {
  it('is at most LIMITS.deltaHeaderBytesMax bytes however wide its integers are', () => {
    const widest = encodeHeader(
      header(crypto, body, {
        seq: Number.MAX_SAFE_INTEGER,
        prev: id(200),
        hlc: 0xffff_ffff_ffff_ffffn,
        parents: [1, 2, 3, 4, 5, 6, 7, 8].map(id),
        bodyLength: LIMITS.deltaBodyBytesMax,
        flags: 0xffff_ffff
      })
    )
    assert.ok(widest.length <= LIMITS.deltaHeaderBytesMax, String(widest.length))
    assert.equal(value(decodeHeader(widest)).hlc, 0xffff_ffff_ffff_ffffn)
    assert.equal(value(decodeHeader(encodeHeader(header(crypto, body, { hlc: 5n })))).hlc, 5n)
  })

  it('ties seq, prev and parents together', () => {
    assert.equal(headerReason({ seq: 0, prev: null }), 'accepted')
    assert.equal(headerReason({ seq: 1, prev: id(1) }), 'accepted')
    assert.equal(headerReason({ seq: 0, prev: id(1) }), 'chain-shape')
    assert.equal(headerReason({ seq: 1, prev: null }), 'chain-shape')
    assert.equal(headerReason({ parents: [id(2), id(1)] }), 'chain-shape')
    assert.equal(headerReason({ parents: [id(1), id(1)] }), 'chain-shape')
    assert.equal(headerReason({ seq: 1, prev: id(2), parents: [id(1), id(2)] }), 'chain-shape')
    assert.equal(headerReason({ parents: [1, 2, 3, 4, 5, 6, 7, 8].map(id) }), 'accepted')
    assert.equal(headerReason({ parents: [1, 2, 3, 4, 5, 6, 7, 8, 9].map(id) }), 'too-large')
  })

  it('bounds lengths and flags', () => {
    assert.equal(headerReason({ bodyLength: LIMITS.deltaBodyBytesMax }), 'accepted')
    assert.equal(headerReason({ bodyLength: LIMITS.deltaBodyBytesMax + 1 }), 'too-large')
    assert.equal(headerReason({ flags: 0xffff_ffff }), 'accepted')
    assert.equal(headerReason({ flags: 0x1_0000_0000 }), 'shape')
    assert.equal(headerReason({ epoch: '00' }), 'shape')
    assert.equal(headerReason({ space: '00'.repeat(32) }), 'shape')
    assert.equal(headerReason({ bodyHash: '00'.repeat(48) }), 'shape')
  })

  it('is read by its version first', () => {
    assert.equal(headerReason({ version: 2 as 1 }), 'unsupported-version')
    assert.equal(reason(decodeHeader(encodeCanonical([2, 'a later layout']))), 'unsupported-version')
    assert.equal(reason(decodeHeader(encodeCanonical([1]))), 'shape')
    assert.equal(reason(decodeHeader(encodeCanonical(['1']))), 'shape')
  })
})

describe('a gossip frame', () => {
  const one = encodeDelta(sealDelta(draft(), crypto))

  it('carries records in order, undecoded', () => {
    const other = new Uint8Array([1, 2, 3])
    assert.deepEqual(value(decodeFrame(encodeFrame([one, other]))).map(toHex), [toHex(one), '010203'])
  })

  it('holds LIMITS.gossipFrameDeltasMax records and refuses one more, both ways', () => {
    const many = (count: number) => new Array<Uint8Array>(count).fill(new Uint8Array(3))
    assert.equal(value(decodeFrame(encodeFrame(many(LIMITS.gossipFrameDeltasMax)))).length, LIMITS.gossipFrameDeltasMax)
    assert.throws(
      () => encodeFrame(many(LIMITS.gossipFrameDeltasMax + 1)),
      (error) => isChrysalisError(error, 'too_large')
    )
    const crowded = encodeCanonical([1, many(LIMITS.gossipFrameDeltasMax + 1)])
    assert.equal(reason(decodeFrame(crowded)), 'too-large')
  })

  it('holds one record of the greatest size, and the head constants say what fits', () => {
    const largest = new Uint8Array(RECORD_BYTES_MAX)
    assert.ok(FRAME_HEAD_BYTES_MAX + FRAME_RECORD_HEAD_BYTES_MAX + RECORD_BYTES_MAX <= LIMITS.gossipFrameBytesMax)
    assert.deepEqual(value(decodeFrame(encodeFrame([largest]))), [largest])
    const full = LIMITS.gossipFrameBytesMax - FRAME_HEAD_BYTES_MAX - FRAME_RECORD_HEAD_BYTES_MAX
    assert.ok(encodeFrame([new Uint8Array(full)]).length <= LIMITS.gossipFrameBytesMax)
    const crowd = new Array<Uint8Array>(64).fill(new Uint8Array(1019))
    assert.ok(encodeFrame(crowd).length <= FRAME_HEAD_BYTES_MAX + 64 * (FRAME_RECORD_HEAD_BYTES_MAX + 1019))
    assert.throws(
      () => encodeFrame([new Uint8Array(LIMITS.gossipFrameBytesMax)]),
      (error) => isChrysalisError(error, 'too_large')
    )
  })

  it('refuses the rest', () => {
    assert.equal(reason(decodeFrame(encodeCanonical([1, []]))), 'shape')
    assert.equal(reason(decodeFrame(encodeCanonical([1, ['text']]))), 'shape')
    assert.equal(reason(decodeFrame(encodeCanonical([1, [one], 0]))), 'shape')
    assert.equal(reason(decodeFrame(encodeCanonical([2, 'later']))), 'unsupported-version')
    assert.equal(reason(decodeFrame(new Uint8Array(LIMITS.gossipFrameBytesMax + 1))), 'too-large')
  })
})
