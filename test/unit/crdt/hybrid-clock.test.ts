import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { createHybridClock } from '../../../src/crdt/hybrid-clock.ts'

const NOW = 1_700_000_000_000
const at = (ms: number, counter = 0): bigint => (BigInt(ms) << 16n) | BigInt(counter)

test('local time follows the wall clock and counts within one millisecond', () => {
  const clock = createHybridClock()
  assert.equal(clock.tick(NOW), at(NOW))
  assert.equal(clock.tick(NOW), at(NOW, 1))
  assert.equal(clock.tick(NOW + 5), at(NOW + 5))
  assert.equal(clock.last, at(NOW + 5))
})

test('time goes on when the wall clock is set back', () => {
  const clock = createHybridClock()
  const before = clock.tick(NOW)
  const after = clock.tick(NOW - 86_400_000)
  assert.equal(after, before + 1n)
})

test('a full counter carries into the milliseconds', () => {
  const clock = createHybridClock()
  clock.restore(at(NOW, 0xffff))
  assert.equal(clock.tick(NOW), at(NOW + 1))
})

test('what is written after an observation is dated after it', () => {
  const clock = createHybridClock()
  const seen = at(NOW + 1_000, 7)
  assert.equal(clock.observe(seen, NOW), true)
  assert.equal(clock.tick(NOW), seen + 1n)
})

test('an observation of the past moves nothing', () => {
  const clock = createHybridClock()
  clock.tick(NOW)
  assert.equal(clock.observe(at(NOW - 1), NOW), true)
  assert.equal(clock.last, at(NOW))
})

test('the lead is adopted at the bound and not one millisecond beyond', () => {
  const bound = NOW + LIMITS.clockLeadMsMax
  for (const [remote, adopted] of [
    [at(bound - 1), true],
    [at(bound, 0xffff), true],
    [at(bound + 1), false]
  ] as const) {
    const clock = createHybridClock()
    assert.equal(clock.observe(remote, NOW), adopted)
    assert.equal(clock.last, adopted ? remote : 0n)
  }
})

test('a refused time is adopted once the wall clock has come near enough', () => {
  const clock = createHybridClock(1_000)
  const remote = at(NOW + 5_000)
  assert.equal(clock.observe(remote, NOW), false)
  assert.equal(clock.observe(remote, NOW + 4_000), true)
})

test('a restored clock goes on above everything it gave out before', () => {
  const clock = createHybridClock()
  const last = clock.tick(NOW)
  const restarted = createHybridClock()
  restarted.restore(last)
  assert.ok(restarted.tick(NOW - 60_000) > last)
  restarted.restore(at(1))
  assert.ok(restarted.last > last, 'restoring an older time does not run the clock back')
})

test('times that are no times are programmer errors', () => {
  const clock = createHybridClock()
  for (const wrong of [Number.NaN, -1, 1.5, 2 ** 48]) assert.throws(() => clock.tick(wrong), AssertionError)
  assert.throws(() => clock.restore(-1n), AssertionError)
  assert.throws(() => clock.restore(1n << 64n), AssertionError)
  assert.equal(clock.last, 0n)
})
