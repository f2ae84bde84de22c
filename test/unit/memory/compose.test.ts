import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isChrysalisError, type ChrysalisError, type ErrorCode } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { hasElement } from '../../../src/crdt/or-set.ts'
import {
  composeAccess,
  composeAdd,
  composeLink,
  composeRetract,
  composeRevise,
  composeVote,
  type ComposeAdd,
  type ComposeRevise
} from '../../../src/memory/compose.ts'
import { dotOf } from '../../../src/memory/ids.ts'
import { decodeBody, encodeBody } from '../../../src/memory/ops-codec.ts'
import type { KnownOp } from '../../../src/memory/ops.ts'
import { cloneRecord, emptyRecord, type RecordState } from '../../../src/memory/record.ts'
import { viewRecord } from '../../../src/memory/view.ts'
import { epoch8, fold, id32, RECORD } from '../../support/ops-arbitrary.ts'

const ANN = id32(51)
const full: ComposeAdd = {
  content: 'the deploy key lives in the vault',
  key: 'deploy/key',
  documentType: 'memory',
  memoryType: 'semantic',
  kind: 'fact',
  path: '/team/ops',
  tags: ['ops', 'deploy', 'ops'],
  importance: 0.7,
  confidence: 0.123456,
  pinned: true,
  source: 'claude',
  evidence: ['file:///runbook.md'],
  parents: [id32(1)],
  related: [id32(2), id32(2)],
  supersedes: [id32(3)],
  validFrom: 0,
  validTo: 10,
  expiresAt: 20
}

/** What the operations make of a record, as one delta. */
function applied(ops: readonly KnownOp[], into = emptyRecord(RECORD), delta = 1): RecordState {
  const hlc = BigInt(delta)
  const placed = ops.map((op, index) => ({
    op,
    stamp: { hlc, author: ANN, delta: id32(delta), index },
    epoch: epoch8(0)
  }))
  return fold(placed, into)
}

const existing = (): RecordState => applied(composeAdd({ content: 'x', tags: ['old'] }, 0))

function refused(act: () => unknown, code: ErrorCode, field: string | RegExp): void {
  assert.throws(act, (error: ChrysalisError) => {
    assert.ok(isChrysalisError(error, code), String(error))
    assert.match(error.message, typeof field === 'string' ? new RegExp(`^${field.replace(/[[\]]/g, '\\$&')}: `) : field)
    assert.match(error.message, /nothing was written$/)
    assert.ok((error.hint ?? '').length > 10, 'a hint')
    assert.equal(error.stateTouched, false)
    return true
  })
}

test('an add says everything that was asked, once', () => {
  const view = viewRecord(applied(composeAdd(full, 0)), { space: '00'.repeat(16), nowMs: 15 })
  assert.ok(view !== undefined)
  const { content, key, documentType, memoryType, kind, path, pinned, source, validFrom, validTo, expiresAt } = full
  assert.deepEqual(
    { ...view },
    {
      ...view,
      ...{ content, key, documentType, memoryType, kind, path, pinned, source, validFrom, validTo, expiresAt },
      tags: ['deploy', 'ops'],
      evidence: ['file:///runbook.md'],
      parents: [id32(1)],
      related: [id32(2)],
      supersedes: [id32(3)],
      importance: { max: 0.7, effective: 0.7 },
      confidence: { max: 0.1235, effective: 0.1235 },
      version: 1
    }
  )
})

test('what composing makes, the body codec takes, and gives back unchanged', () => {
  const record = existing()
  const ops = [
    ...composeAdd(full, 0),
    ...composeAdd({ content: 'y' }, 3),
    ...composeRevise(record, { content: 'new', path: null, pinned: true, tagsAdd: ['new'], tagsRemove: ['old'] }),
    ...composeLink(RECORD, { relation: 'evidence', to: 'https://example.org' }),
    ...composeRetract(RECORD, 'wrong'),
    ...composeVote(RECORD, { verdict: 'flag', reason: 'spam' }),
    ...composeAccess(RECORD, 12)
  ]
  const decoded = decodeBody(encodeBody(ops))
  assert.ok(decoded.ok, JSON.stringify(decoded))
  assert.deepEqual(decoded.value, ops)
})

test('an add writes only what it names', () => {
  assert.deepEqual(
    composeAdd({ content: 'x' }, 0).map(({ op }) => op),
    ['create', 'set']
  )
})

test('a keyed add targets the key, any other the ordinal', () => {
  assert.deepEqual(composeAdd({ content: 'x' }, 4)[0]?.target, { by: 'ordinal', ordinal: 4 })
  for (const { target } of composeAdd(full, 4)) assert.deepEqual(target, { by: 'key', key: 'deploy/key' })
})

test('texts are written in one normal form, and otherwise as given', () => {
  const [, content, tag] = composeAdd({ content: '\ufeffcafe\u0301 ', tags: ['cafe\u0301', 'caf\u00e9'] }, 0)
  assert.deepEqual(content, {
    op: 'set',
    target: { by: 'ordinal', ordinal: 0 },
    field: 'content',
    value: '\ufeffcaf\u00e9 '
  })
  assert.deepEqual(tag, { op: 'tag', target: { by: 'ordinal', ordinal: 0 }, tag: 'caf\u00e9' })
  const ops = composeAdd({ content: '\ufeffx', key: '\ufeffk' }, 0)
  const decoded = decodeBody(encodeBody(ops))
  assert.deepEqual(decoded.ok && decoded.value, ops, 'a byte order mark survives the wire')
  assert.equal(composeAdd({ content: 'x', tags: ['cafe\u0301', 'caf\u00e9'] }, 0).length, 3, 'one tag, typed twice')
})

test('bad texts are refused by name', () => {
  for (const content of ['', ' \n\t', '\ufeff', 'a\0b', 'half \ud83d', '\udc00 half', 5 as unknown as string]) {
    refused(() => composeAdd({ content }, 0), 'invalid_argument', 'content')
  }
  refused(() => composeAdd({ content: 'x', tags: ['ok', ''] }, 0), 'invalid_argument', 'tags[1]')
  refused(() => composeAdd({ content: 'x', tags: 'ops' as unknown as string[] }, 0), 'invalid_argument', 'tags')
  refused(() => composeAdd({ content: 'x', key: '' }, 0), 'invalid_argument', 'key')
  refused(() => composeRetract(RECORD, ''), 'invalid_argument', 'reason')
})

test('a whole pair of surrogates is a character like any other', () => {
  assert.deepEqual(composeAdd({ content: '😀' }, 0)[1]?.op, 'set')
})

test('every length is bounded in bytes of UTF-8, at the limit and one beyond', () => {
  const at = (bytes: number): string => 'é'.repeat(bytes >> 1) + 'x'.repeat(bytes & 1)
  const fields: readonly [string, number, (text: string) => unknown][] = [
    ['content', LIMITS.contentBytesMax, (content) => composeAdd({ content }, 0)],
    ['key', LIMITS.keyBytesMax, (key) => composeAdd({ content: 'x', key }, 0)],
    ['path', LIMITS.pathBytesMax, (path) => composeAdd({ content: 'x', path }, 0)],
    ['source', LIMITS.sourceBytesMax, (source) => composeAdd({ content: 'x', source }, 0)],
    ['tags[0]', LIMITS.tagBytesMax, (tag) => composeAdd({ content: 'x', tags: [tag] }, 0)],
    ['evidence[0]', LIMITS.evidenceBytesMax, (text) => composeAdd({ content: 'x', evidence: [text] }, 0)],
    ['to', LIMITS.evidenceBytesMax, (to) => composeLink(RECORD, { relation: 'evidence', to })],
    ['reason', LIMITS.reasonBytesMax, (reason) => composeRetract(RECORD, reason)],
    ['reason', LIMITS.reasonBytesMax, (reason) => composeVote(RECORD, { verdict: 'flag', reason })]
  ]
  for (const [field, limit, compose] of fields) {
    compose(at(limit - 1))
    compose(at(limit))
    refused(() => compose(at(limit + 1)), 'too_large', field)
  }
})

test('lists are bounded, at the limit and one beyond', () => {
  const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `t${i}`)
  const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => id32(i + 1))
  composeAdd({ content: 'x', tags: numbered(LIMITS.tagsPerRequestMax) }, 0)
  refused(() => composeAdd({ content: 'x', tags: numbered(LIMITS.tagsPerRequestMax + 1) }, 0), 'too_large', 'tags')
  composeAdd({ content: 'x', related: ids(LIMITS.linksPerRequestMax) }, 0)
  refused(() => composeAdd({ content: 'x', related: ids(LIMITS.linksPerRequestMax + 1) }, 0), 'too_large', 'related')
  const together = { content: 'x', related: ids(LIMITS.linksPerRequestMax), evidence: ['one more'] }
  refused(() => composeAdd(together, 0), 'too_large', /together/)
  const record = existing()
  const tagsAdd = numbered(LIMITS.tagsPerRequestMax + 1)
  refused(() => composeRevise(record, { tagsAdd }), 'too_large', 'tagsAdd')
})

test('fractions are 0 to 1, times are whole milliseconds, and anything else is refused', () => {
  for (const importance of [-0.01, 1.01, Number.NaN, Infinity, '0.5' as unknown as number]) {
    refused(() => composeAdd({ content: 'x', importance }, 0), 'invalid_argument', 'importance')
  }
  for (const expiresAt of [-1, 1.5, Number.NaN, 2 ** 48, 2 ** 53, Infinity]) {
    refused(() => composeAdd({ content: 'x', expiresAt }, 0), 'invalid_argument', 'expiresAt')
  }
  assert.ok(composeAdd({ content: 'x', importance: 0, confidence: 1, expiresAt: 2 ** 48 - 1 }, 0).length > 0)
  refused(() => composeAdd({ content: 'x', validFrom: 2, validTo: 1 }, 0), 'invalid_argument', 'validTo')
  composeAdd({ content: 'x', validFrom: 2, validTo: 2 }, 0)
})

test('closed sets of words list their choices in the hint', () => {
  for (const [field, item] of [
    ['kind', { kind: 'dream' }],
    ['documentType', { documentType: 'constructor' }],
    ['memoryType', { memoryType: 'muscle' }]
  ] as const) {
    refused(() => composeAdd({ content: 'x', ...item } as unknown as ComposeAdd, 0), 'invalid_argument', field)
  }
  refused(() => composeVote(RECORD, { verdict: 'maybe' as 'flag' }), 'invalid_argument', 'verdict')
  refused(() => composeLink(RECORD, { relation: 'friend' as 'related', to: id32(1) }), 'invalid_argument', 'relation')
})

test('links take full ids of other records', () => {
  for (const related of [['abc'], [id32(1).toUpperCase().replace(/0/g, 'A')], [5 as unknown as string]]) {
    refused(() => composeAdd({ content: 'x', related }, 0), 'invalid_argument', 'related[0]')
  }
  refused(() => composeLink(RECORD, { relation: 'related', to: RECORD }), 'invalid_argument', 'to')
  refused(() => composeAdd({ content: 'x', parents: [id32(9)] }, 0, id32(9)), 'invalid_argument', 'parents[0]')
  assert.deepEqual(composeLink(RECORD, { relation: 'evidence', to: RECORD })[0]?.op, 'link', 'evidence is any text')
})

test('a revision writes what differs and nothing else', () => {
  const record = existing()
  const before = cloneRecord(record)
  const ops = composeRevise(record, { content: 'x', pinned: false, path: null, kind: 'fact', tagsAdd: ['old', 'new'] })
  assert.deepEqual(record, before, 'composing changes nothing')
  assert.deepEqual(ops, [
    { op: 'set', target: { by: 'id', id: RECORD }, field: 'kind', value: 'fact' },
    { op: 'tag', target: { by: 'id', id: RECORD }, tag: 'new' }
  ])
})

test('a revision that would change nothing is refused', () => {
  const record = existing()
  const nothing: ComposeRevise[] = [
    {},
    { content: 'x' },
    { tagsAdd: ['old'] },
    { tagsRemove: ['absent'] },
    { pinned: false, path: null, expiresAt: null }
  ]
  for (const change of nothing) refused(() => composeRevise(record, change), 'invalid_argument', 'change')
})

test('a field is emptied by null', () => {
  const record = applied(composeAdd({ content: 'x', path: '/a', expiresAt: 5 }, 0))
  applied(composeRevise(record, { path: null, expiresAt: null }), record, 2)
  const view = viewRecord(record, { space: '00'.repeat(16), nowMs: 9 })
  assert.deepEqual([view?.path, view?.expiresAt, view?.expired], [null, null, false])
})

test('the period of validity is judged with what the record says already', () => {
  const record = applied(composeAdd({ content: 'x', validFrom: 100 }, 0))
  refused(() => composeRevise(record, { validTo: 99 }), 'invalid_argument', 'validTo')
  composeRevise(record, { validTo: 99, validFrom: null })
  composeRevise(record, { validTo: 100 })
})

test('removing a tag names the adds seen here, so one under way survives', () => {
  const record = existing()
  applied([{ op: 'tag', target: { by: 'id', id: RECORD }, tag: 'old' }], record, 2)
  const ops = composeRevise(record, { tagsRemove: ['old'] })
  const dots = [dotOf(id32(1), 2), dotOf(id32(2), 0)]
  assert.deepEqual(ops, [{ op: 'untag', target: { by: 'id', id: RECORD }, tag: 'old', dots }])
  applied(ops, record, 3)
  assert.equal(hasElement(record.tags, 'old'), false)
  applied([{ op: 'tag', target: { by: 'id', id: RECORD }, tag: 'old' }], record, 4)
  assert.equal(hasElement(record.tags, 'old'), true)
})

test('a tag written in another normal form is removed under the name a reader sees', () => {
  const record = applied([{ op: 'tag', target: { by: 'id', id: RECORD }, tag: 'cafe\u0301' }], existing(), 2)
  applied(composeRevise(record, { tagsRemove: ['caf\u00e9'] }), record, 3)
  assert.equal(hasElement(record.tags, 'cafe\u0301'), false)
  assert.equal(hasElement(record.tags, 'old'), true)
})

test('a tag is not added and removed in one breath', () => {
  refused(() => composeRevise(existing(), { tagsAdd: ['a'], tagsRemove: ['a'] }), 'invalid_argument', 'tagsRemove')
})

test('an author is told that its own claim cannot fall', () => {
  const record = applied(composeAdd({ content: 'x', importance: 0.5 }, 0))
  refused(() => composeRevise(record, { importance: 0.4 }, ANN), 'invalid_argument', 'importance')
  refused(() => composeRevise(record, { importance: 0.5 }, ANN), 'invalid_argument', 'change')
  assert.equal(composeRevise(record, { importance: 0.6 }, ANN).length, 1)
  assert.equal(composeRevise(record, { importance: 0.1 }, id32(77)).length, 1, 'another author has its own claim')
})

test('a record that nobody has created cannot be revised', () => {
  refused(() => composeRevise(emptyRecord(RECORD), { content: 'x' }), 'not_found', /^no memory f+ here/)
})

test('a vote without a number says what its verdict implies', () => {
  const confidence = (verdict: 'confirm' | 'dispute' | 'flag' | 'abstain'): unknown => {
    const [op] = composeVote(RECORD, { verdict })
    return op?.op === 'vote' ? op.confidence : undefined
  }
  assert.deepEqual([confidence('confirm'), confidence('dispute')], [10_000, 0])
  assert.deepEqual([confidence('flag'), confidence('abstain')], [0, 5_000])
  assert.deepEqual(composeVote(RECORD, { verdict: 'confirm', confidence: 0.85 }), [
    { op: 'vote', target: { by: 'id', id: RECORD }, verdict: 'confirm', confidence: 8_500, reason: null }
  ])
})

test('an access total is a count from 1', () => {
  for (const total of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
    refused(() => composeAccess(RECORD, total), 'invalid_argument', 'total')
  }
  assert.equal(composeAccess(RECORD, 1).length, 1)
})
