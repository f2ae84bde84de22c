import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeDelta, encodeDelta } from '../../../src/memory/delta-codec.ts'
import { encodeBody } from '../../../src/memory/ops-codec.ts'
import type { Op } from '../../../src/memory/ops.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { verifyDelta } from '../../../src/memory/verify.ts'
import { draft, EPOCH, FIRST, identity, note, SPACE, value } from '../../support/sealed.ts'

const crypto = identity()
const id = (byte: number) => byte.toString(16).padStart(2, '0').repeat(32)

function thrown(act: () => unknown): ChrysalisError {
  try {
    act()
  } catch (error) {
    if (error instanceof ChrysalisError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('sealing', () => {
  it('signs a draft by the signer and any receiver takes it', () => {
    const sealed = sealDelta(draft({ seq: 1, prev: id(7), flags: 9 }), crypto)
    assert.equal(sealed.header.author, toHex(crypto.publicKey))
    assert.deepEqual([sealed.header.space, sealed.header.epoch, sealed.header.flags], [SPACE, EPOCH, 9])
    assert.equal(verifyDelta(value(decodeDelta(encodeDelta(sealed), crypto)), crypto).ok, true)
  })

  it('is deterministic, and every part of the draft is under the signature', () => {
    const sealed = sealDelta(draft(), crypto)
    assert.deepEqual(sealDelta(draft(), crypto), sealed)
    const ids = [
      sealed,
      sealDelta(draft({ space: id(1).slice(0, 32) }), crypto),
      sealDelta(draft({ epoch: '01'.repeat(8) }), crypto),
      sealDelta(draft({ seq: 1, prev: id(1) }), crypto),
      sealDelta(draft({ hlc: 5n }), crypto),
      sealDelta(draft({ parents: [id(1)] }), crypto),
      sealDelta(draft({ ops: note('other') }), crypto),
      sealDelta(draft({ flags: 1 }), crypto),
      sealDelta(draft(), identity(2))
    ].map((delta) => delta.id)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('sorts parents and leaves out repetitions and the previous delta', () => {
    const sealed = sealDelta(draft({ seq: 1, prev: id(5), parents: [id(9), id(5), id(2), id(9)] }), crypto)
    assert.deepEqual(sealed.header.parents, [id(2), id(9)])
  })

  it('holds the very operations its readers decode', () => {
    const ops: Op[] = [{ op: 'unknown', code: 77, items: [1, ['x']] }, ...note('\ufefftext')]
    assert.deepEqual(sealDelta(draft({ ops }), crypto).ops, ops)
    assert.deepEqual(sealDelta(draft({ ops: [] }), crypto).ops, [])
  })

  it('asserts an impossible chain', () => {
    assert.throws(() => sealDelta(draft({ seq: 0, prev: id(1) }), crypto), AssertionError)
    assert.throws(() => sealDelta(draft({ seq: 1, prev: null }), crypto), AssertionError)
    const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(id)
    assert.throws(() => sealDelta(draft({ parents: nine }), crypto), AssertionError)
    assert.equal(sealDelta(draft({ parents: nine.slice(1) }), crypto).header.parents.length, 8)
  })

  it('fills a body to its bound, and says what to do one byte above it', () => {
    const parts = (last: number): Op[] => [
      { op: 'set', target: FIRST, field: 'content', value: 'x'.repeat(LIMITS.contentBytesMax) },
      { op: 'set', target: FIRST, field: 'content', value: 'y'.repeat(last) }
    ]
    const rest = LIMITS.deltaBodyBytesMax - encodeBody(parts(1000)).length + 1000
    assert.equal(sealDelta(draft({ ops: parts(rest) }), crypto).header.bodyLength, LIMITS.deltaBodyBytesMax)
    const error = thrown(() => sealDelta(draft({ ops: parts(rest + 1) }), crypto))
    assert.equal(error.code, 'too_large')
    assert.match(error.message, /63489 bytes; nothing was written/)
    assert.match(error.hint ?? '', /split/)
    assert.equal(error.stateTouched, false)
  })

  it('refuses an operation no receiver would take', () => {
    const long = thrown(() => sealDelta(draft({ ops: note('x'.repeat(LIMITS.contentBytesMax + 1)) }), crypto))
    assert.equal(long.code, 'too_large')
    assert.match(long.message, /operation 1: content has more than 49152 bytes/)
    const bad = thrown(() => sealDelta(draft({ ops: [{ op: 'importance', target: FIRST, value: 10_001 }] }), crypto))
    assert.equal(bad.code, 'invalid_argument')
  })
})
