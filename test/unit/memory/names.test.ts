import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import { compareBytes, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical, type CborValue } from '../../../src/memory/codec.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import {
  decodeGenesis,
  encodeGenesis,
  rangeKey,
  recordIdOfKey,
  recordIdOfOrdinal,
  resolveTarget,
  spaceIdOf,
  topicOf,
  WALL_MS_MAX,
  type Genesis
} from '../../../src/memory/names.ts'
import { identity, reason, SPACE, value } from '../../support/sealed.ts'

const crypto = identity()
const DELTA = 'd0'.repeat(32)

const GENESIS: Genesis = {
  version: 1,
  creator: toHex(crypto.publicKey),
  name: 'shared',
  policy: 'open',
  nonce: '01'.repeat(16),
  createdMs: 1_700_000_000_000
}

describe('record names', () => {
  it('depend on space and key', () => {
    const id = recordIdOfKey(crypto, SPACE, 'deploy')
    assert.match(id, /^[0-9a-f]{64}$/)
    assert.equal(recordIdOfKey(crypto, SPACE, 'deploy'), id)
    assert.notEqual(recordIdOfKey(crypto, SPACE, 'deploy '), id)
    assert.notEqual(recordIdOfKey(crypto, 'ff'.repeat(16), 'deploy'), id)
  })

  it('give the first record the id of its delta and every later one its own', () => {
    assert.equal(recordIdOfOrdinal(crypto, DELTA, 0), DELTA)
    const ids = [0, 1, 2, 256, 65_536].map((ordinal) => recordIdOfOrdinal(crypto, DELTA, ordinal))
    assert.equal(new Set(ids).size, ids.length)
    assert.notEqual(recordIdOfOrdinal(crypto, 'd1'.repeat(32), 1), ids[1])
    assert.throws(() => recordIdOfOrdinal(crypto, DELTA, -1), AssertionError)
  })

  it('resolve the three kinds of target', () => {
    assert.equal(resolveTarget(crypto, SPACE, DELTA, { by: 'id', id: 'aa'.repeat(32) }), 'aa'.repeat(32))
    assert.equal(resolveTarget(crypto, SPACE, DELTA, { by: 'key', key: 'k' }), recordIdOfKey(crypto, SPACE, 'k'))
    assert.equal(
      resolveTarget(crypto, SPACE, DELTA, { by: 'ordinal', ordinal: 3 }),
      recordIdOfOrdinal(crypto, DELTA, 3)
    )
  })
})

describe('range keys', () => {
  it('are 38 bytes in order of milliseconds, then id; the counter does not matter', () => {
    const early = rangeKey(hlcOf(255, 65_535), 'ff'.repeat(32))
    const late = rangeKey(hlcOf(256, 0), '00'.repeat(32))
    assert.equal(early.length, 38)
    assert.ok(compareBytes(early, late) < 0)
    assert.deepEqual(rangeKey(hlcOf(7, 1), DELTA), rangeKey(hlcOf(7, 9), DELTA))
    assert.equal(toHex(rangeKey(hlcOf(WALL_MS_MAX), DELTA)), 'ff'.repeat(6) + DELTA)
  })
})

describe('spaces', () => {
  it('have the topic and id of their genesis', () => {
    assert.equal(topicOf(SPACE), `/chrysalis/1/${SPACE}`)
    const id = spaceIdOf(crypto, encodeGenesis(GENESIS))
    assert.match(id, /^[0-9a-f]{32}$/)
    for (const change of [
      { name: 'other' },
      { policy: 'private' },
      { nonce: '02'.repeat(16) },
      { createdMs: 1 }
    ] as const) {
      assert.notEqual(spaceIdOf(crypto, encodeGenesis({ ...GENESIS, ...change })), id)
    }
  })

  it('read their genesis back', () => {
    assert.deepEqual(value(decodeGenesis(encodeGenesis(GENESIS))), GENESIS)
    const longest = {
      ...GENESIS,
      name: 'x'.repeat(LIMITS.spaceNameBytesMax),
      policy: 'private',
      createdMs: WALL_MS_MAX
    } as const
    assert.deepEqual(value(decodeGenesis(encodeGenesis(longest))), longest)
    assert.throws(() => encodeGenesis({ ...GENESIS, name: '' }), AssertionError)
    assert.throws(() => encodeGenesis({ ...GENESIS, name: 'x'.repeat(LIMITS.spaceNameBytesMax + 1) }), AssertionError)
  })

  it('refuse a genesis that is malformed or of later days', () => {
    const items = (changes: Record<number, CborValue> = {}): CborValue[] =>
      [1, crypto.publicKey, 'n', 0, new Uint8Array(16), 5].map((item, at) => changes[at] ?? item)
    const refused = (list: CborValue) => reason(decodeGenesis(encodeCanonical(list)))
    assert.equal(refused(items()), 'accepted')
    assert.equal(refused(items({ 0: 2 })), 'unsupported-version')
    assert.equal(refused([2, 'anything']), 'unsupported-version')
    assert.equal(refused(items({ 3: 2 })), 'unsupported-version')
    assert.equal(refused(items({ 3: 'open' })), 'shape')
    assert.equal(refused(items({ 1: new Uint8Array(31) })), 'shape')
    assert.equal(refused(items({ 2: '' })), 'shape')
    assert.equal(refused(items({ 2: 'x'.repeat(LIMITS.spaceNameBytesMax + 1) })), 'too-large')
    assert.equal(refused(items({ 4: new Uint8Array(15) })), 'shape')
    assert.equal(refused(items({ 5: WALL_MS_MAX + 1 })), 'shape')
    assert.equal(refused([...items(), 0]), 'shape')
    assert.equal(refused('genesis'), 'shape')
    assert.equal(reason(decodeGenesis(new Uint8Array(500))), 'too-large')
  })
})
