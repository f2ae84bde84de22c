/** Times as models write them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { given, optionalTime, timeMs } from '../../../src/mcp/words.ts'

test('a time is ISO text or milliseconds, without a zone it is UTC wherever this runs', (t) => {
  const before = process.env['TZ']
  process.env['TZ'] = 'America/New_York'
  t.after(() => {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  })
  const cases: readonly (readonly [string | number, number])[] = [
    [1_700_000_000_000, 1_700_000_000_000],
    [1_700_000_000_000.7, 1_700_000_000_000],
    ['1700000000000', 1_700_000_000_000],
    ['2026-07-01', Date.UTC(2026, 6, 1)],
    ['2026-07-01T12:30:00Z', Date.UTC(2026, 6, 1, 12, 30)],
    ['2026-07-01T12:30', Date.UTC(2026, 6, 1, 12, 30)],
    ['2026-07-01 12:30:15', Date.UTC(2026, 6, 1, 12, 30, 15)],
    ['2026-07-01T12:30:00+02:00', Date.UTC(2026, 6, 1, 10, 30)]
  ]
  for (const [value, expected] of cases) assert.equal(timeMs('since', value), expected, String(value))
})

test('what is no time is refused by the name of the argument', () => {
  for (const value of ['yesterday', '', '2026-13-01', '2026', -1, Number.NaN, 2 ** 48, 'Jan 1 2026', '9'.repeat(15)]) {
    assert.throws(() => timeMs('since', value), { code: 'invalid_argument', message: /^since: / }, String(value))
  }
})

test('what was not given is not there', () => {
  assert.deepEqual(given({ a: 1, b: undefined }), { a: 1 })
  assert.deepEqual(optionalTime('sinceMs', 'since', undefined), {})
  assert.deepEqual(optionalTime('sinceMs', 'since', 5), { sinceMs: 5 })
})
