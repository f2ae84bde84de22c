/** The circuit breaker by itself: when it opens, for how long, and what closes it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Breaker } from '../../../../src/adapters/embed/breaker.ts'
import { LIMITS } from '../../../../src/base/limits.ts'

function opened(): Breaker {
  const breaker = new Breaker()
  for (let i = 0; i < LIMITS.embedFailuresMax; i++) breaker.failed('it is gone', 0)
  return breaker
}

test('it opens at the bound, not before, and a success begins the count anew', () => {
  const breaker = new Breaker()
  for (let round = 0; round < 2; round++) {
    for (let i = 1; i < LIMITS.embedFailuresMax; i++) breaker.failed('x', 0)
    assert.equal(breaker.open(0), undefined)
    assert.ok(breaker.allows(0))
    breaker.succeeded()
  }
  for (let i = 0; i < LIMITS.embedFailuresMax; i++) breaker.failed('the last', 0)
  assert.deepEqual(breaker.open(0), { reason: 'the last', retryMs: 5_000 })
  assert.equal(breaker.allows(4_999), false)
})

test('what weighs more opens it sooner', () => {
  const breaker = new Breaker()
  for (let i = 0; i < Math.ceil(LIMITS.embedFailuresMax / 2); i++) breaker.failed('slow', 0, 2)
  assert.notEqual(breaker.open(0), undefined)
})

test('pauses double up to the bound, with one probe each', () => {
  const breaker = opened()
  let nowMs = 0
  const pausesMs: number[] = []
  for (let i = 0; i < 10; i++) {
    const { retryMs } = breaker.open(nowMs) ?? assert.fail('closed')
    pausesMs.push(retryMs)
    nowMs += retryMs
    assert.equal(breaker.allows(nowMs), true, 'the probe')
    assert.equal(breaker.allows(nowMs), false, 'and no other')
    breaker.failed('still', nowMs)
  }
  assert.deepEqual(pausesMs.slice(0, 4), [5_000, 10_000, 20_000, 40_000])
  assert.equal(pausesMs.at(-1), LIMITS.embedPauseMsMax)
})

test('a probe that succeeds closes it; one that was given up lets another go', () => {
  const breaker = opened()
  assert.ok(breaker.allows(5_000))
  breaker.abandoned()
  assert.ok(breaker.allows(5_000))
  breaker.succeeded()
  assert.equal(breaker.open(5_000), undefined)
  assert.ok(breaker.allows(5_000) && breaker.allows(5_000))
})
