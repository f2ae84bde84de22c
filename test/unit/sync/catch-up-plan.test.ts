import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { CatchUpPlan, type Part, type PartResult } from '../../../src/sync/catch-up-plan.ts'

const parts = (count: number): Part[] =>
  Array.from({ length: count }, (_, i) => ({ prefix: `0${i.toString(16).padStart(3, '0')}`, count: 100 }))
const full: PartResult = { have: 100, ending: 'agreed' }
const short: PartResult = { have: 40, ending: 'agreed' }
const cut: PartResult = { have: 40, ending: 'cut' }
const broken: PartResult = { have: 0, ending: 'broken' }

function plan(count: number, peers: readonly string[]): CatchUpPlan {
  const made = new CatchUpPlan(parts(count).reverse())
  for (const peer of peers) assert.ok(made.join(peer))
  return made
}

describe('catch-up plan', () => {
  it('hands out the oldest part first, each to one peer', () => {
    const one = plan(3, ['a', 'b'])
    assert.equal(one.next('a', 0)?.prefix, '0000')
    assert.equal(one.next('b', 0)?.prefix, '0001')
    assert.equal(one.next('a', 0), undefined, 'one part a peer at a time')
    one.settle('a', full)
    assert.equal(one.next('a', 0)?.prefix, '0002')
    one.settle('a', full)
    assert.equal(one.ended, false, 'b still works')
    one.settle('b', full)
    assert.equal(one.ended, true)
    assert.equal(one.filled, 3)
  })

  it('gives a part that a peer lacks, or broke off, to somebody else, at its place in time', () => {
    for (const result of [short, broken]) {
      const one = plan(3, ['a', 'b'])
      one.next('a', 0)
      one.settle('a', result)
      assert.equal(one.next('a', 0)?.prefix, '0001', 'not the same one again')
      assert.equal(one.next('b', 0)?.prefix, '0000')
    }
  })

  it('lets a peer go on that was cut short while it had more', () => {
    const one = plan(2, ['a'])
    one.next('a', 0)
    one.settle('a', cut)
    assert.equal(one.next('a', 0)?.prefix, '0000')
  })

  it('lets a peer go after two failures in a row, not after two with a success between', () => {
    const one = plan(6, ['a', 'b'])
    for (const result of [broken, full, broken]) {
      assert.ok(one.next('a', 0) !== undefined)
      one.settle('a', result)
    }
    assert.ok(one.next('a', 0) !== undefined)
    one.settle('a', broken)
    assert.equal(one.next('a', 0), undefined)
    assert.equal(one.join('a'), false)
    assert.equal(one.ended, false, 'b can still have the rest')
  })

  it('ends when everybody left has tried what is left', () => {
    const one = plan(2, ['a', 'b'])
    for (const peer of ['a', 'b']) {
      while (one.next(peer, 0) !== undefined) one.settle(peer, short)
    }
    assert.equal(one.ended, true)
    assert.equal(one.isWanting, true)
    one.close()
    assert.deepEqual([one.filled, one.abandoned, one.isWanting], [0, 2, false])
  })

  it('goes on when somebody new comes', () => {
    const one = plan(1, ['a'])
    one.next('a', 0)
    one.settle('a', short)
    assert.equal(one.ended, true)
    assert.ok(one.join('b'))
    assert.equal(one.ended, false)
    assert.equal(one.next('b', 0)?.prefix, '0000')
  })

  it(`takes ${LIMITS.catchUpPeersMax} peers at once, another when one was let go, and not for ever`, () => {
    const one = plan(100, [])
    let joined = 0
    for (let i = 0; i < 100; i++) {
      const peer = `p${i}`
      if (!one.join(peer)) break
      joined++
      if (i < LIMITS.catchUpPeersMax) continue
    }
    assert.equal(joined, LIMITS.catchUpPeersMax)
    for (let i = joined - 1; i < 1_000; i++) {
      const peer = `p${i}`
      if (!one.join(peer)) continue
      joined = i + 1
      for (const _ of [1, 2]) {
        one.next(peer, 0)
        one.settle(peer, broken)
      }
    }
    assert.equal(joined, 4 * LIMITS.catchUpPeersMax)
    assert.equal(one.join('late'), false)
  })

  it(`interrupts a part after ${LIMITS.catchUpPartMsMax} ms, and only when another could have it`, () => {
    const one = plan(1, ['a', 'b'])
    one.next('a', 1_000)
    assert.deepEqual(one.overdue(1_000 + LIMITS.catchUpPartMsMax - 1), [])
    assert.deepEqual(one.overdue(1_000 + LIMITS.catchUpPartMsMax), ['a'])
    one.settle('a', broken)
    assert.equal(one.next('b', 20_000)?.prefix, '0000')
    assert.deepEqual(one.overdue(100_000), [], 'a has tried it already: b may take its time')
    const alone = plan(2, ['a'])
    alone.next('a', 0)
    assert.deepEqual(alone.overdue(LIMITS.catchUpPartMsMax), [])
  })

  it('ends whatever the peers do, and fills what an honest one has', () => {
    for (let seed = 0; seed < 50; seed++) {
      const random = new SeededRandom(`plan ${seed}`)
      const one = plan(20, ['honest', 'b', 'c'])
      let steps = 0
      while (!one.ended) {
        assert.ok(++steps < 1_000, 'it ends')
        for (const peer of ['b', 'honest', 'c']) {
          if (one.next(peer, steps) === undefined) continue
          one.settle(peer, peer === 'honest' ? full : [short, broken, cut, full][random.below(4)]!)
        }
      }
      assert.equal(one.filled, 20)
    }
  })
})
