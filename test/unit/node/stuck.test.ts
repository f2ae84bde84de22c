import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { StuckWatch, type Sighting } from '../../../src/node/stuck.ts'
import { SPACE } from '../../support/sealed.ts'

const IDLE: Sighting = { differed: true, moved: 0, waiting: 0 }

function watching(sessions: number): StuckWatch {
  const watch = new StuckWatch()
  for (let i = 0; i < sessions; i++) watch.note('a', SPACE, IDLE)
  return watch
}

describe('stuck', () => {
  it(`begins with the session number ${LIMITS.reconStuckSessionsMin} that differs and moves nothing, and says so once`, () => {
    const watch = new StuckWatch()
    const said = Array.from({ length: LIMITS.reconStuckSessionsMin + 2 }, () => watch.note('a', SPACE, IDLE))
    const before = Array.from({ length: LIMITS.reconStuckSessionsMin - 1 }, () => undefined)
    assert.deepEqual(said, [...before, 'stuck', undefined, undefined])
    assert.deepEqual(watch.stuck(), [{ peer: 'a', space: SPACE, sessions: LIMITS.reconStuckSessionsMin + 2 }])
  })

  it('is not told one session before', () => {
    assert.deepEqual(watching(LIMITS.reconStuckSessionsMin - 1).stuck(), [])
  })

  it('ends when something moves, or when the two agree, and must be earned anew', () => {
    for (const sighting of [
      { ...IDLE, moved: 1 },
      { ...IDLE, differed: false }
    ]) {
      const watch = watching(LIMITS.reconStuckSessionsMin)
      assert.equal(watch.note('a', SPACE, sighting), 'free')
      assert.deepEqual(watch.stuck(), [])
      assert.equal(watch.note('a', SPACE, sighting), undefined)
      assert.equal(watch.note('a', SPACE, IDLE), undefined)
      assert.deepEqual(watch.stuck(), [])
    }
  })

  it('does not count what only has to wait, and does not forget what was counted', () => {
    const watch = watching(LIMITS.reconStuckSessionsMin - 1)
    for (let i = 0; i < 20; i++) assert.equal(watch.note('a', SPACE, { ...IDLE, waiting: 3 }), undefined)
    assert.equal(watch.note('a', SPACE, IDLE), 'stuck')
  })

  it('tells peers and spaces apart', () => {
    const watch = watching(LIMITS.reconStuckSessionsMin - 1)
    assert.equal(watch.note('b', SPACE, IDLE), undefined)
    assert.equal(watch.note('a', 'c3'.repeat(16), IDLE), undefined)
    assert.equal(watch.note('a', SPACE, IDLE), 'stuck')
  })
})
