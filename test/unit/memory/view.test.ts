import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import type { MemoryView } from '../../../src/memory/memory-view.ts'
import type { KnownOp, Target } from '../../../src/memory/ops.ts'
import { applyOp, emptyRecord, type RecordState } from '../../../src/memory/record.ts'
import { effectiveImportance, viewRecord } from '../../../src/memory/view.ts'
import { epoch8, id32, RECORD } from '../../support/ops-arbitrary.ts'

const SPACE = 'ab'.repeat(16)
const NOW = 1_700_000_000_000
const target: Target = { by: 'id', id: RECORD }
const create: KnownOp = { op: 'create', target, documentType: 'memory', memoryType: 'semantic', source: 'claude' }
const [ANN, BOB, CAT, DAN] = [id32(1), id32(2), id32(3), id32(4)] as const

/** Adds operations by one author, all in one delta of the given time. */
function say(record: RecordState, author: string, ms: number, ...ops: KnownOp[]): RecordState {
  const delta = id32(ms)
  ops.forEach((op, index) => applyOp(record, op, { hlc: hlcOf(ms), author, delta, index }, epoch8(0)))
  return record
}

function view(record: RecordState, roster?: readonly string[]): MemoryView {
  const seen = viewRecord(record, { space: SPACE, nowMs: NOW, ...(roster && { roster }) })
  assert.ok(seen !== undefined)
  return seen
}

test('nothing is shown of a record that nobody has created yet', () => {
  const record = say(emptyRecord(RECORD), ANN, 1, { op: 'set', target, field: 'content', value: 'x' })
  assert.equal(viewRecord(record, { space: SPACE, nowMs: NOW }), undefined)
})

test('a created record without content is shown, its content empty and credited to its creator', () => {
  const seen = view(say(emptyRecord(RECORD), ANN, 1, create))
  assert.equal(seen.content, null)
  assert.equal(seen.contentBy, id32(1))
  assert.equal(seen.contentPeer, authorToPeerId(ANN))
  assert.equal(seen.version, 0)
})

test('every field of a full record', () => {
  const record = say(
    emptyRecord(RECORD),
    ANN,
    1_000,
    { ...create, target: { by: 'key', key: 'k' } },
    { op: 'set', target, field: 'content', value: 'first' },
    { op: 'set', target, field: 'kind', value: 'fact' },
    { op: 'set', target, field: 'path', value: '/team' },
    { op: 'set', target, field: 'pinned', value: true },
    { op: 'set', target, field: 'validFrom', value: 5 },
    { op: 'tag', target, tag: 'zeta' },
    { op: 'tag', target, tag: 'alpha' },
    { op: 'link', target, relation: 'evidence', value: 'file:///log' },
    { op: 'link', target, relation: 'parents', value: id32(9) },
    { op: 'importance', target, value: 7_000 },
    { op: 'access', target, total: 3 }
  )
  say(
    record,
    BOB,
    2_000,
    { op: 'set', target, field: 'content', value: 'second' },
    { op: 'vote', target, verdict: 'confirm', confidence: 9_000, reason: 'seen it' }
  )
  assert.deepEqual(view(record), {
    id: RECORD,
    space: SPACE,
    key: 'k',
    documentType: 'memory',
    memoryType: 'semantic',
    kind: 'fact',
    content: 'second',
    path: '/team',
    pinned: true,
    tags: ['alpha', 'zeta'],
    evidence: ['file:///log'],
    related: [],
    parents: [id32(9)],
    supersedes: [],
    origins: [],
    importance: { max: 0.7, effective: 0.7 },
    confidence: null,
    accessCount: 3,
    votes: [{ voter: authorToPeerId(BOB), verdict: 'confirm', confidence: 0.9, reason: 'seen it', atMs: 2_000 }],
    validFrom: 5,
    validTo: null,
    expiresAt: null,
    retracted: null,
    expired: false,
    author: ANN,
    peer: authorToPeerId(ANN),
    source: 'claude',
    createdBy: id32(1_000),
    createdAt: 1_000,
    updatedAt: 2_000,
    contentPeer: authorToPeerId(BOB),
    contentBy: id32(2_000),
    version: 2
  } satisfies MemoryView)
})

test('kind: a note unless somebody said otherwise, a bead if created as one', () => {
  assert.equal(view(say(emptyRecord(RECORD), ANN, 1, create)).kind, 'note')
  assert.equal(view(say(emptyRecord(RECORD), ANN, 1, { ...create, documentType: 'bead' })).kind, 'bead')
  const later = say(emptyRecord(RECORD), ANN, 1, create, { op: 'set', target, field: 'kind', value: 'dream' })
  assert.equal(view(later).kind, 'note', 'a kind of a later version')
})

test('sets are sorted in byte order, beyond the basic plane too', () => {
  const tags = ['😀', '\uffee', 'é', 'z', 'a']
  const record = say(
    emptyRecord(RECORD),
    ANN,
    1,
    create,
    ...tags.map((tag): KnownOp => ({ op: 'tag', target, tag })),
    ...tags.map((value): KnownOp => ({ op: 'link', target, relation: 'evidence', value })),
    ...[id32(8), id32(7)].map((value): KnownOp => ({ op: 'link', target, relation: 'related', value }))
  )
  const seen = view(record)
  assert.deepEqual(seen.tags, ['a', 'z', 'é', '\uffee', '😀'])
  assert.deepEqual(seen.evidence, seen.tags)
  assert.deepEqual(seen.related, [id32(7), id32(8)])
})

test('a record is never shown as its own parent, whatever someone wrote', () => {
  const record = say(emptyRecord(RECORD), ANN, 1, create, { op: 'link', target, relation: 'parents', value: RECORD })
  assert.deepEqual(view(record).parents, [])
})

test('expiry begins at the very millisecond', () => {
  const expiring = (ms: number): MemoryView =>
    view(say(emptyRecord(RECORD), ANN, 1, create, { op: 'set', target, field: 'expiresAt', value: ms }))
  assert.equal(expiring(NOW - 1).expired, true)
  assert.equal(expiring(NOW).expired, true)
  assert.equal(expiring(NOW + 1).expired, false)
})

test('retraction is shown with its reason and can be taken back', () => {
  const record = say(emptyRecord(RECORD), ANN, 1, create, { op: 'set', target, field: 'retracted', value: 'wrong' })
  assert.equal(view(record).retracted, 'wrong')
  say(record, ANN, 2, { op: 'set', target, field: 'retracted', value: null })
  assert.equal(view(record).retracted, null)
})

const claims = (...values: readonly (readonly [string, number])[]): RecordState => {
  const record = say(emptyRecord(RECORD), ANN, 1, create)
  values.forEach(([author, value], i) => say(record, author, 10 + i, { op: 'importance', target, value }))
  return record
}

test('the effective number is the median: odd, even, and one voice', () => {
  assert.equal(effectiveImportance(claims()), null)
  assert.equal(effectiveImportance(claims([ANN, 3_000])), 0.3)
  assert.equal(effectiveImportance(claims([ANN, 3_000], [BOB, 4_001])), 0.35005)
  assert.equal(effectiveImportance(claims([ANN, 10_000], [BOB, 2_000], [CAT, 9_000])), 0.9)
  // 10,000 sorts before 2,000 as text, not as a number.
  assert.equal(effectiveImportance(claims([ANN, 10_000], [BOB, 2_000], [CAT, 2_000])), 0.2)
})

test('with a roster only its authors make the effective number; the largest claim is anyone’s', () => {
  const record = claims([ANN, 2_000], [BOB, 10_000], [CAT, 10_000], [DAN, 10_000])
  assert.deepEqual(view(record, [ANN]).importance, { max: 1, effective: 0.2 })
  assert.deepEqual(view(record, [ANN, ANN, BOB]).importance, { max: 1, effective: 0.6 }, 'named twice counts once')
  assert.deepEqual(view(record, [id32(77)]).importance, { max: 1, effective: 0 }, 'strangers alone weigh nothing')
  assert.deepEqual(view(record, []).importance, { max: 1, effective: 1 }, 'no roster: everyone who has claimed')
})

test('access counts of all authors add up, and no liar makes the sum inexact', () => {
  const record = say(emptyRecord(RECORD), ANN, 1, create, { op: 'access', target, total: 3 })
  say(record, BOB, 2, { op: 'access', target, total: 4 })
  assert.equal(view(record).accessCount, 7)
  say(record, CAT, 3, { op: 'access', target, total: Number.MAX_SAFE_INTEGER })
  assert.equal(view(record).accessCount, Number.MAX_SAFE_INTEGER)
})

test('votes are listed in the order of their voters’ keys', () => {
  const record = say(emptyRecord(RECORD), ANN, 1, create)
  const vote: KnownOp = { op: 'vote', target, verdict: 'abstain', confidence: 5_000, reason: null }
  for (const [ms, author] of [
    [2, CAT],
    [3, ANN],
    [4, BOB]
  ] as const)
    say(record, author, ms, vote)
  assert.deepEqual(
    view(record).votes.map(({ voter }) => voter),
    [ANN, BOB, CAT].map(authorToPeerId)
  )
})
