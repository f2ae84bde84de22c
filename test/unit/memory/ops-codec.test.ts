import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical, type CborValue } from '../../../src/memory/codec.ts'
import { decodeBody, encodeBody } from '../../../src/memory/ops-codec.ts'
import {
  DOCUMENT_TYPES,
  FIELDS,
  MEMORY_TYPES,
  ORIGIN_CLASSES,
  RELATIONS,
  VERDICTS,
  type FieldValue,
  type Op
} from '../../../src/memory/ops.ts'
import { FIRST, reason, value } from '../../support/sealed.ts'

const ID = 'ab'.repeat(32)
const ID_BYTES = new Uint8Array(32).fill(0xab)

const EVERY_OP: Op[] = [
  ...DOCUMENT_TYPES.map((documentType): Op => ({
    op: 'create',
    target: FIRST,
    documentType,
    memoryType: null,
    source: null
  })),
  ...MEMORY_TYPES.map((memoryType): Op => ({
    op: 'create',
    target: { by: 'key', key: 'k' },
    documentType: 'bead',
    memoryType,
    source: 'cli'
  })),
  { op: 'set', target: { by: 'id', id: ID }, field: 'content', value: 'ß' },
  { op: 'set', target: FIRST, field: 'kind', value: 'rumour' },
  { op: 'set', target: FIRST, field: 'path', value: 'a/b' },
  { op: 'set', target: FIRST, field: 'path', value: null },
  { op: 'set', target: FIRST, field: 'pinned', value: true },
  { op: 'set', target: FIRST, field: 'validFrom', value: 2 ** 48 - 1 },
  { op: 'set', target: FIRST, field: 'validTo', value: null },
  { op: 'set', target: FIRST, field: 'expiresAt', value: 0 },
  { op: 'set', target: FIRST, field: 'retracted', value: 'wrong' },
  { op: 'set', target: FIRST, field: 'retracted', value: null },
  { op: 'tag', target: { by: 'ordinal', ordinal: LIMITS.deltaOpsMax - 1 }, tag: 'deploy' },
  { op: 'untag', target: FIRST, tag: 'deploy', dots: [`${ID}.0`, `${ID}.4095`] },
  { op: 'untag', target: FIRST, tag: 'deploy', dots: [] },
  ...RELATIONS.map((relation): Op => ({
    op: 'link',
    target: FIRST,
    relation,
    value: relation === 'evidence' ? 'https://x' : ID
  })),
  { op: 'importance', target: FIRST, value: 0 },
  { op: 'confidence', target: FIRST, value: 10_000 },
  { op: 'access', target: FIRST, total: Number.MAX_SAFE_INTEGER },
  ...VERDICTS.map((verdict): Op => ({
    op: 'vote',
    target: { by: 'id', id: ID },
    verdict,
    confidence: 5,
    reason: null
  })),
  { op: 'vote', target: FIRST, verdict: 'flag', confidence: 10_000, reason: 'seen twice' }
]

const raw = (...ops: CborValue[]) => decodeBody(encodeCanonical(ops))

describe('a body', () => {
  it('carries every operation there and back', () => {
    assert.deepEqual(value(decodeBody(encodeBody(EVERY_OP))), EVERY_OP)
    assert.deepEqual(value(decodeBody(encodeBody([]))), [])
  })

  it('keeps the codes of docs/WIRE.md', () => {
    assert.equal(toHex(encodeBody([{ op: 'tag', target: FIRST, tag: 'a' }])), '8183030061' + '61')
    assert.equal(toHex(encodeBody([{ op: 'set', target: FIRST, field: 'retracted', value: null }])), '8184020007f6')
    assert.equal(
      toHex(encodeBody([{ op: 'vote', target: FIRST, verdict: 'flag', confidence: 0, reason: null }])),
      '8185090003' + '00f6'
    )
  })

  it('holds LIMITS.deltaOpsMax operations and refuses one more', () => {
    const ops = (count: number): Op[] => new Array<Op>(count).fill({ op: 'tag', target: FIRST, tag: 't' })
    assert.equal(reason(decodeBody(encodeBody(ops(LIMITS.deltaOpsMax)))), 'accepted')
    assert.equal(reason(decodeBody(encodeBody(ops(LIMITS.deltaOpsMax + 1)))), 'too-large')
  })

  it('refuses what is no array of operations', () => {
    assert.equal(reason(decodeBody(encodeCanonical('ops'))), 'shape')
    assert.equal(reason(raw(1)), 'shape')
    assert.equal(reason(raw([])), 'shape')
    assert.equal(reason(raw(['set', 0])), 'shape')
    assert.equal(reason(raw([2n ** 60n, 0])), 'shape')
  })
})

describe('later versions', () => {
  const strangers: [string, CborValue][] = [
    ['a code beyond the table', [11, 0, [null, 'x', [1]], 2n ** 60n, ID_BYTES]],
    ['code 0', [0]],
    ['a code with no arguments', [4_294_967_295]],
    ['a field beyond the table, whatever its value', [2, 0, FIELDS.length, [[1]]]],
    ['a relation beyond the table', [5, 0, RELATIONS.length, 7]],
    ['a verdict beyond the table', [9, 0, VERDICTS.length, 1, null]],
    ['a document type beyond the table', [1, 0, DOCUMENT_TYPES.length, null, null]],
    ['a memory type beyond the table', [1, 0, 0, MEMORY_TYPES.length, null]],
    ['an origin class beyond the table', [10, 0, ORIGIN_CLASSES.length, 'x']],
    ['a field beyond the table with more arguments than any field has', [2, 0, 99, 1, 2, 3]]
  ]
  for (const [name, item] of strangers) {
    it(`keeps ${name} whole and writes it again byte for byte`, () => {
      const known: Op = { op: 'tag', target: FIRST, tag: 'a' }
      const bytes = encodeCanonical([item, [3, 0, 'a']])
      const ops = value(decodeBody(bytes))
      const items = item as readonly CborValue[]
      assert.deepEqual(ops, [{ op: 'unknown', code: items[0], items: items.slice(1) }, known])
      assert.deepEqual(encodeBody(ops), bytes)
    })
  }
})

describe('malformed arguments of a known operation', () => {
  const faults: [string, CborValue][] = [
    ['no target', [3]],
    ['an origin with an empty agent', [10, 0, 0, '']],
    ['an origin without an agent', [10, 0, 0]],
    ['an origin with an agent that is no text', [10, 0, 0, 7]],
    ['a target of 31 bytes', [3, new Uint8Array(31), 'a']],
    ['an empty key', [3, '', 'a']],
    ['an ordinal no delta can reach', [3, LIMITS.deltaOpsMax, 'a']],
    ['a null target', [3, null, 'a']],
    ['an argument missing', [3, 0]],
    ['an argument too many', [3, 0, 'a', 1]],
    ['an empty tag', [3, 0, '']],
    ['a tag that is bytes', [3, 0, new Uint8Array(2)]],
    ['a field by name', [2, 0, 'content', 'x']],
    ['content that is null', [2, 0, 0, null]],
    ['an empty kind', [2, 0, 1, '']],
    ['pinned as a number', [2, 0, 3, 1]],
    ['a time beyond 48 bits', [2, 0, 6, 2 ** 48]],
    ['a time as text', [2, 0, 4, 'now']],
    ['dots that are no array', [4, 0, 'a', ID_BYTES]],
    ['a dot without index', [4, 0, 'a', [[ID_BYTES]]]],
    ['a dot with a far index', [4, 0, 'a', [[ID_BYTES, LIMITS.deltaOpsMax]]]],
    ['evidence by id', [5, 0, 0, ID_BYTES]],
    ['a parent by text', [5, 0, 2, 'abc']],
    ['importance above one', [6, 0, 10_001]],
    ['importance as null', [6, 0, null]],
    ['an access total beyond safe integers', [8, 0, 2n ** 53n]],
    ['a vote without reason', [9, 0, 0, 1]],
    ['a vote as bool', [9, 0, true, 1, null]]
  ]
  for (const [name, item] of faults) {
    it(`refuses ${name}`, () => {
      assert.equal(reason(raw([3, 0, 'fine'], item)), 'shape')
    })
  }

  const bounded: [string, number, (text: string) => CborValue][] = [
    ['content', LIMITS.contentBytesMax, (text) => [2, 0, 0, text]],
    ['kind', LIMITS.kindBytesMax, (text) => [2, 0, 1, text]],
    ['path', LIMITS.pathBytesMax, (text) => [2, 0, 2, text]],
    ['retraction', LIMITS.reasonBytesMax, (text) => [2, 0, 7, text]],
    ['tag', LIMITS.tagBytesMax, (text) => [3, 0, text]],
    ['untagged tag', LIMITS.tagBytesMax, (text) => [4, 0, text, []]],
    ['key', LIMITS.keyBytesMax, (text) => [3, text, 'a']],
    ['evidence', LIMITS.evidenceBytesMax, (text) => [5, 0, 0, text]],
    ['source', LIMITS.sourceBytesMax, (text) => [1, 0, 0, null, text]],
    ['reason', LIMITS.reasonBytesMax, (text) => [9, 0, 0, 1, text]]
  ]
  for (const [name, max, item] of bounded) {
    it(`bounds ${name} at ${max} bytes`, () => {
      const wide = 'é'.repeat(Math.floor(max / 2))
      assert.equal(reason(raw(item(wide))), 'accepted')
      assert.equal(reason(raw(item('x'.repeat(max)))), 'accepted')
      assert.equal(reason(raw(item('x'.repeat(max + 1)))), 'too-large')
      assert.equal(reason(raw(item(wide + 'é'))), 'too-large')
    })
  }

  it('names the operation at fault', () => {
    const checked = raw([3, 0, 'fine'], [3, 0, ''])
    assert.match(checked.ok ? '' : checked.detail, /^operation 1: tag is empty$/)
  })

  it('reads every field', () => {
    const values: Record<(typeof FIELDS)[number], FieldValue> = {
      content: '',
      kind: 'note',
      path: '',
      pinned: false,
      validFrom: 1,
      validTo: 2,
      expiresAt: 3,
      retracted: ''
    }
    for (const [code, field] of FIELDS.entries()) {
      assert.deepEqual(value(raw([2, 0, code, values[field]])), [
        { op: 'set', target: FIRST, field, value: values[field] }
      ])
    }
  })
})
