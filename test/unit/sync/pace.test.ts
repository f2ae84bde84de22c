import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import type { Random } from '../../../src/ports/random.ts'
import { Pace } from '../../../src/sync/pace.ts'

const OPTIONS = { intervalMs: 2_000, intervalMsMax: 60_000 }
const chance = (unit: number): Random => ({
  unit: () => unit,
  below: () => 0,
  bytes: (length) => new Uint8Array(length),
  fork: () => chance(unit)
})
const middle = (): Pace => new Pace(OPTIONS, { random: chance(0.5) })

describe('pace', () => {
  it('begins at the interval', () => {
    assert.equal(middle().next(undefined), 2_000)
  })

  it('doubles while nothing is found, up to the longest, and comes back at the first difference', () => {
    const pace = middle()
    const pauses = Array.from({ length: 7 }, () => pace.next('equal'))
    assert.deepEqual(pauses, [4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    assert.equal(pace.next('different'), 2_000)
    assert.equal(pace.next('equal'), 4_000)
  })

  it('tries somebody else within a second after a failure, without losing its place', () => {
    for (const unit of [0, 0.5, 0.999]) {
      const pace = new Pace(OPTIONS, { random: chance(unit) })
      pace.next('equal')
      const pauseMs = pace.next('failed')
      assert.ok(pauseMs >= 500 && pauseMs <= 1_000, `${pauseMs}`)
    }
    const pace = middle()
    pace.next('equal')
    pace.next('failed')
    assert.equal(pace.next('equal'), 8_000)
  })

  it('tries somebody else within a second when a peer has its hands full, without losing its place', () => {
    const pace = middle()
    pace.next('equal')
    assert.equal(pace.next('busy'), 750)
    assert.equal(pace.intervalMs, 4_000)
  })

  it('goes on at once, and at full pace afterwards, when there was more', () => {
    const pace = middle()
    for (let i = 0; i < 5; i++) pace.next('equal')
    assert.equal(pace.next('onward'), 0)
    assert.equal(pace.next('equal'), 4_000)
  })

  it(`leaves a peer that always has more after ${LIMITS.reconOnwardSessionsMax} sessions in a row`, () => {
    const pace = middle()
    for (let round = 0; round < 2; round++) {
      for (let i = 1; i < LIMITS.reconOnwardSessionsMax; i++) assert.equal(pace.next('onward'), 0)
      assert.equal(pace.next('onward'), 2_000)
    }
  })

  it('comes back to full pace when something was written here', () => {
    const pace = middle()
    for (let i = 0; i < 5; i++) pace.next('equal')
    assert.equal(pace.hurry(), 2_400)
    assert.equal(pace.next('equal'), 4_000)
  })

  it('strays by a fifth at most, and does stray', () => {
    const pace = new Pace(OPTIONS, { random: new SeededRandom('pace') })
    const pauses = Array.from({ length: 500 }, () => pace.next('different'))
    for (const pauseMs of pauses) assert.ok(pauseMs >= 1_600 && pauseMs <= 2_400)
    assert.ok(Math.min(...pauses) < 1_650 && Math.max(...pauses) > 2_350)
  })
})
