import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import { toHex, utf8 } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { liveElements } from '../../../src/crdt/or-set.ts'
import { dotOf, hlcOf, type Stamp } from '../../../src/memory/ids.ts'
import type { KnownOp, Target } from '../../../src/memory/ops.ts'
import { decodeRecord, encodeRecord } from '../../../src/memory/record-codec.ts'
import {
  applyOp,
  cloneRecord,
  emptyRecord,
  joinRecords,
  MERGE_TABLE,
  ownPart,
  recordExists,
  type RecordState
} from '../../../src/memory/record.ts'
import { epoch8, id32, RECORD } from '../../support/ops-arbitrary.ts'

const target: Target = { by: 'id', id: RECORD }
const ANN = id32(51)
const BOB = id32(52)
const stampOf = (ms: number, author: string, delta: number, index = 0): Stamp => ({
  hlc: hlcOf(ms),
  author,
  delta: id32(delta),
  index
})
const create = (source: string | null = null): KnownOp => ({
  op: 'create',
  target,
  documentType: 'memory',
  memoryType: null,
  source
})
const setContent = (value: string): KnownOp => ({ op: 'set', target, field: 'content', value })

function recordWith(...ops: readonly (readonly [KnownOp, Stamp])[]): RecordState {
  const record = emptyRecord(RECORD)
  for (const [op, stamp] of ops) applyOp(record, op, stamp, epoch8(0))
  return record
}

test('every part of a record has its row in the merge table', () => {
  const parts = Object.keys(emptyRecord(RECORD)).filter((part) => part !== 'id')
  assert.deepEqual(Object.keys(MERGE_TABLE).sort(), parts.sort())
})

test('operations may come before the create; the record exists once it has come', () => {
  const record = recordWith([setContent('early'), stampOf(2, ANN, 2)])
  assert.equal(recordExists(record), false)
  applyOp(record, create(), stampOf(1, ANN, 1), epoch8(0))
  assert.equal(recordExists(record), true)
  assert.equal(record.fields.get('content')?.value, 'early')
})

test('of two creations the first in the total order stays', () => {
  const record = recordWith([create('second'), stampOf(5, ANN, 5)], [create('first'), stampOf(3, BOB, 3)])
  assert.equal(record.created?.value.source, 'first')
  assert.equal(record.created?.stamp.author, BOB)
})

test('each field has its own time: a newer write to one does not re-date another', () => {
  const record = recordWith(
    [setContent('newest content'), stampOf(5, ANN, 5)],
    [{ op: 'set', target, field: 'path', value: '/a' }, stampOf(9, BOB, 9)],
    [setContent('older content'), stampOf(4, BOB, 4)]
  )
  assert.equal(record.fields.get('content')?.value, 'newest content')
  assert.equal(record.fields.get('path')?.value, '/a')
})

test('ties in time are broken by author, then delta, then index', () => {
  const contentAfter = (...stamps: Stamp[]): unknown =>
    recordWith(...stamps.map((stamp, i) => [setContent(`v${i}`), stamp] as const)).fields.get('content')?.value
  assert.equal(contentAfter(stampOf(1, BOB, 1), stampOf(1, ANN, 9)), 'v0', 'the greater author')
  assert.equal(contentAfter(stampOf(1, ANN, 2), stampOf(1, ANN, 1)), 'v0', 'the greater delta')
  assert.equal(contentAfter(stampOf(1, ANN, 1, 3), stampOf(1, ANN, 1, 2)), 'v0', 'the later operation of one delta')
})

test('the key is learnt from any operation that names it, and kept', () => {
  const byKey: Target = { by: 'key', key: 'k' }
  const record = recordWith([{ ...create(), target: byKey }, stampOf(1, ANN, 1)], [setContent('x'), stampOf(2, BOB, 2)])
  assert.equal(record.key, 'k')
  const other = recordWith([{ ...create(), target: { by: 'key', key: 'j' } }, stampOf(3, ANN, 3)])
  assert.equal(joinRecords(record, other).key, 'j', 'texts that cannot both hash to one id still converge')
  assert.equal(joinRecords(other, record).key, 'j')
})

test('a removed tag goes, a concurrent add of it stays, and a removal ahead of its add still wins', () => {
  const add: KnownOp = { op: 'tag', target, tag: 'prod' }
  const untag: KnownOp = { op: 'untag', target, tag: 'prod', dots: [dotOf(id32(1), 0)] }
  assert.deepEqual(liveElements(recordWith([untag, stampOf(2, BOB, 2)], [add, stampOf(1, ANN, 1)]).tags), [])
  const both = recordWith([add, stampOf(1, ANN, 1)], [untag, stampOf(2, BOB, 2)], [add, stampOf(1, BOB, 3)])
  assert.deepEqual(liveElements(both.tags), ['prod'])
})

test('claims rise for each author alone', () => {
  const claim = (value: number): KnownOp => ({ op: 'importance', target, value })
  const record = recordWith(
    [claim(9_000), stampOf(1, ANN, 1)],
    [claim(2_000), stampOf(2, ANN, 2)],
    [claim(5_000), stampOf(3, BOB, 3)]
  )
  assert.deepEqual(
    record.importance,
    new Map([
      [ANN, 9_000],
      [BOB, 5_000]
    ])
  )
  assert.equal(record.confidence.size, 0)
})

test('access totals are kept by author and epoch, so an author who lost its log is not undercounted', () => {
  const record = emptyRecord(RECORD)
  const access = (total: number): KnownOp => ({ op: 'access', target, total })
  applyOp(record, access(10), stampOf(1, ANN, 1), epoch8(1))
  applyOp(record, access(12), stampOf(2, ANN, 2), epoch8(1))
  applyOp(record, access(3), stampOf(3, ANN, 3), epoch8(2))
  assert.deepEqual(
    record.access,
    new Map([
      [`${ANN}:${epoch8(1)}`, 12],
      [`${ANN}:${epoch8(2)}`, 3]
    ])
  )
})

test('a voter has one vote: the last', () => {
  const vote = (verdict: 'confirm' | 'dispute'): KnownOp => ({
    op: 'vote',
    target,
    verdict,
    confidence: 1,
    reason: null
  })
  const record = recordWith([vote('dispute'), stampOf(2, ANN, 2)], [vote('confirm'), stampOf(1, ANN, 1)])
  assert.equal(record.votes.get(ANN)?.value.verdict, 'dispute')
  assert.equal(record.votes.size, 1)
})

test('the version counts deltas that set the content, however often each is merged', () => {
  const record = recordWith(
    [setContent('a'), stampOf(1, ANN, 1)],
    [setContent('b'), stampOf(1, ANN, 1, 1)],
    [setContent('c'), stampOf(2, ANN, 2)],
    [setContent('c'), stampOf(2, ANN, 2)],
    [{ op: 'set', target, field: 'pinned', value: true }, stampOf(3, ANN, 3)]
  )
  assert.equal(record.contentDeltas.size, 2)
  assert.equal(joinRecords(record, record).contentDeltas.size, 2)
})

test('links of each relation are kept apart and never leave', () => {
  const record = recordWith(
    [{ op: 'link', target, relation: 'evidence', value: 'file:///log' }, stampOf(1, ANN, 1)],
    [{ op: 'link', target, relation: 'parents', value: id32(7) }, stampOf(1, ANN, 1, 1)]
  )
  assert.deepEqual([...record.evidence], ['file:///log'])
  assert.deepEqual([...record.parents], [id32(7)])
  assert.equal(record.related.size + record.supersedes.size, 0)
})

test('updated is the latest time of any operation', () => {
  const record = recordWith(
    [create(), stampOf(5, ANN, 5)],
    [{ op: 'tag', target, tag: 'x' }, stampOf(9, ANN, 9)],
    [setContent('x'), stampOf(7, ANN, 7)]
  )
  assert.deepEqual(record.updated, stampOf(9, ANN, 9))
})

test('a clone is its own', () => {
  const record = recordWith([{ op: 'tag', target, tag: 'x' }, stampOf(1, ANN, 1)])
  const clone = cloneRecord(record)
  assert.deepEqual(clone, record)
  applyOp(clone, { op: 'untag', target, tag: 'x', dots: [dotOf(id32(1), 0)] }, stampOf(2, ANN, 2), epoch8(0))
  assert.deepEqual(liveElements(record.tags), ['x'])
})

test('states of different records are never joined', () => {
  assert.throws(() => joinRecords(emptyRecord(RECORD), emptyRecord(id32(1))), AssertionError)
})

test('a stored record names each id once', () => {
  const record = recordWith(
    [create('agent'), stampOf(1_700_000_000_000, ANN, 1)],
    [setContent('short'), stampOf(1_700_000_000_000, ANN, 1, 1)],
    [{ op: 'tag', target, tag: 'x' }, stampOf(1_700_000_000_000, ANN, 1, 2)],
    [{ op: 'set', target, field: 'kind', value: 'fact' }, stampOf(1_700_000_000_000, ANN, 1, 3)]
  )
  const bytes = encodeRecord(record)
  assert.ok(bytes.length < 3 * 32 + 80, `${bytes.length} bytes`)
  assert.deepEqual(decodeRecord(bytes), record)
})

test('the layout on disk is this one: changing it needs a new layout number and a migration', () => {
  const record = recordWith(
    [{ ...create('agent'), target: { by: 'key', key: 'k' } }, stampOf(1_700_000_000_000, ANN, 1)],
    [setContent('é'), stampOf(1_700_000_000_000, ANN, 1, 1)],
    [{ op: 'tag', target, tag: 'x' }, stampOf(1_700_000_000_000, ANN, 1, 2)],
    [{ op: 'untag', target, tag: 'x', dots: [dotOf(id32(2), 3)] }, stampOf(1_700_000_000_001, BOB, 3)],
    [{ op: 'link', target, relation: 'evidence', value: 'e' }, stampOf(1_700_000_000_001, BOB, 3, 1)],
    [{ op: 'link', target, relation: 'supersedes', value: id32(4) }, stampOf(1_700_000_000_001, BOB, 3, 2)],
    [{ op: 'importance', target, value: 7_000 }, stampOf(1_700_000_000_001, BOB, 3, 3)],
    [{ op: 'access', target, total: 5 }, stampOf(1_700_000_000_001, BOB, 3, 4)],
    [{ op: 'vote', target, verdict: 'dispute', confidence: 100, reason: null }, stampOf(1_700_000_000_001, BOB, 3, 5)]
  )
  const ids = [id32(1), id32(2), id32(3), id32(4), ANN, BOB, RECORD]
  const [time1, time2] = ['1b018bcfe568000000', '1b018bcfe568010000']
  const expected = [
    ...['92', '01', `58e0${ids.join('')}`, '06', '416b'],
    `86${time1}0400${time2}0502`,
    '850000' + '00' + 'f6' + '456167656e74',
    '820105',
    '84' + '00' + '0001' + '42c3a9',
    '83' + '4178' + '820002' + '820103',
    '814165' + '80' + '80' + '8103',
    '8205191b58' + '80',
    '8305' + '480000000000000000' + '05',
    '85' + '0105' + '01' + '1864' + 'f6',
    '8100'
  ]
  assert.equal(toHex(encodeRecord(record)), expected.join(''))
})

test('a text is stored exactly, with a byte order mark in front and characters of every length', () => {
  const content = '\ufeffa\u00e9\uffff😀'
  const record = recordWith([setContent(content), stampOf(1, ANN, 1)])
  assert.equal(decodeRecord(encodeRecord(record)).fields.get('content')?.value, content)
})

test('a record with thousands of dots and links is stored like any other', () => {
  const record = emptyRecord(RECORD)
  for (let i = 0; i < 5_000; i++) {
    applyOp(record, { op: 'tag', target, tag: `t${i % 3}` }, stampOf(i, ANN, i, i % 7), epoch8(0))
    applyOp(record, { op: 'link', target, relation: 'related', value: id32(i) }, stampOf(i, ANN, i), epoch8(0))
  }
  assert.deepEqual(decodeRecord(encodeRecord(record)), record)
})

test('anything but a record is refused as corrupt, with what to do', () => {
  const wrong: Record<string, Uint8Array> = {
    empty: new Uint8Array(),
    'not CBOR': Uint8Array.of(0xff, 0xff),
    'a number': Uint8Array.of(1),
    'a map': Uint8Array.of(0xa0),
    'an empty array': Uint8Array.of(0x80),
    'a deep array': new Uint8Array(100_000).fill(0x81),
    'a huge claim': Uint8Array.of(0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff),
    text: utf8('{"id":1}')
  }
  for (const [name, bytes] of Object.entries(wrong)) {
    assert.throws(
      () => decodeRecord(bytes),
      (error) => isChrysalisError(error, 'corrupt') && (error.hint?.includes('doctor') ?? false) && !error.stateTouched,
      name
    )
  }
})

test('a stored layout of another version is refused, not guessed at', () => {
  const bytes = encodeRecord(emptyRecord(RECORD))
  const layout = 2
  assert.equal(bytes[1], 1)
  bytes[1] = layout
  assert.throws(() => decodeRecord(bytes), /unknown layout/)
})

test('shared empty parts are never filled: what one record learns is in no other', () => {
  const one = emptyRecord(RECORD)
  const other = emptyRecord(id32(77))
  for (const part of ['evidence', 'related', 'parents', 'supersedes', 'contentDeltas'] as const) {
    assert.equal(one[part], other[part], 'nothing is made for nothing')
    assert.throws(() => one[part].add('x'), AssertionError)
    ownPart(one, part).add('x')
    assert.equal(one[part].size, 1)
    assert.equal(other[part].size, 0, part)
    assert.equal(ownPart(one, part), one[part], 'made once')
  }
  assert.throws(() => one.importance.set('x', 1), AssertionError)
  assert.throws(() => one.tags.set('x', { live: new Set(), removed: new Set() }), AssertionError)
  ownPart(one, 'importance').set('x', 1)
  assert.deepEqual([...other.importance], [])
  assert.deepEqual(emptyRecord(RECORD), decodeRecord(encodeRecord(emptyRecord(RECORD))))
})
