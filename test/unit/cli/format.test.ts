import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { age, duration, fields, oneLine, plain, shortPeer, table } from '../../../src/cli/format.ts'
import {
  collect,
  durationMs,
  fraction,
  futureMs,
  given,
  pastMs,
  setting,
  wholeNumber
} from '../../../src/cli/values.ts'

const usage = { code: 'usage' }

test('durations have a unit, seconds when they have none', () => {
  const cases: [string, number][] = [
    ['500ms', 500],
    ['5', 5_000],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000]
  ]
  for (const [text, ms] of cases) assert.equal(durationMs(text), ms)
  for (const text of ['', 's', '-1s', '0', '5 s', '1y', '1e3', 'NaN', '9'.repeat(20)]) {
    assert.throws(() => durationMs(text), usage, text)
  }
})

test('moments are dates or distances from now', () => {
  const now = Date.UTC(2030, 0, 10)
  assert.equal(pastMs('2d', now), Date.UTC(2030, 0, 8))
  assert.equal(futureMs('2d', now), Date.UTC(2030, 0, 12))
  assert.equal(pastMs('2029-12-31', now), Date.UTC(2029, 11, 31))
  assert.equal(futureMs('2031-01-01T12:00:00Z', now), Date.UTC(2031, 0, 1, 12))
  assert.equal(pastMs('9999999d', now), 0)
  assert.throws(() => pastMs('2030-13-45', now), usage)
})

test('numbers, settings and lists', () => {
  assert.equal(wholeNumber('07'), 7)
  for (const text of ['1.5', '-1', '', '0x10', '9'.repeat(17)]) assert.throws(() => wholeNumber(text), usage, text)
  assert.deepEqual(['0', '1', '.7', '0.25'].map(fraction), [0, 1, 0.7, 0.25])
  for (const text of ['1.1', '-0.1', 'x', '1e-1', '']) assert.throws(() => fraction(text), usage, text)
  assert.deepEqual(setting('a.b=true'), ['a.b', true])
  assert.deepEqual(setting('a=-1.5'), ['a', -1.5])
  assert.deepEqual(setting('a=x=y'), ['a', 'x=y'])
  assert.deepEqual(setting('a='), ['a', ''])
  for (const text of ['a', '=b']) assert.throws(() => setting(text), usage)
  assert.deepEqual(collect('b', collect('a', undefined)), ['a', 'b'])
  assert.deepEqual(given({ a: 1, b: undefined, c: null, d: false }), { a: 1, c: null, d: false })
})

test('ages and durations in one unit', () => {
  assert.deepEqual([0, 1, 999, 1_000, 59_999, 60_000, 3_600_000, 90_000_000].map(duration), [
    '0s',
    '<1s',
    '<1s',
    '1s',
    '59s',
    '1m',
    '1h',
    '1d'
  ])
  assert.equal(age(2_000, 1_000), 'now')
})

test('nothing a terminal would obey passes, and a line never has more characters than asked', () => {
  const unsafe = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/
  const text = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 50 }), (content, columns) => {
      const line = oneLine(content, columns)
      assert.doesNotMatch(line, unsafe)
      assert.ok([...line].length <= columns)
      assert.doesNotMatch(plain(content).replaceAll('\n', ''), unsafe)
    })
  )
  assert.equal(oneLine('a\nb   c'), 'a b c')
  assert.equal(oneLine('abcdef', 4), 'abc…')
  assert.equal(plain('a\r\nb\u001b[0m'), 'a\nb [0m')
})

test('tables line up, cut their last column, and are nothing when empty', () => {
  const columns = [{ title: 'A' }, { title: 'N', align: 'right' as const }, { title: 'TEXT' }]
  const rows = [
    ['x', '1', 'short'],
    ['longer', '100', 'y'.repeat(100)]
  ]
  assert.deepEqual(table(columns, rows, 40), [
    'A         N  TEXT',
    'x         1  short',
    `longer  100  ${'y'.repeat(26)}…`
  ])
  assert.deepEqual(table(columns, [], 40), [])
  assert.deepEqual(
    fields([
      ['a', '1'],
      ['long', '2']
    ]),
    ['a     1', 'long  2']
  )
  assert.equal(shortPeer('12D3KooWABCDEFGH'), '…ABCDEFGH')
})
