import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { Receipts } from '../../../src/node/receipts.ts'
import { Unoffered } from '../../../src/node/unoffered.ts'
import { SPACE } from '../../support/sealed.ts'

describe('receipts', () => {
  it('rise, and are stored only when they do', () => {
    const receipts = new Receipts(SPACE)
    assert.equal(receipts.through('a'), 0)
    assert.equal(receipts.raise('a', 0), undefined)
    assert.ok(receipts.raise('a', 5) !== undefined)
    assert.equal(receipts.raise('a', 5), undefined)
    assert.equal(receipts.raise('a', 4), undefined)
    assert.equal(receipts.through('a'), 5)
  })

  it('fall below what a peer turned out to lack', () => {
    const receipts = new Receipts(SPACE)
    receipts.raise('a', 10)
    assert.equal(receipts.lower('a', 11), undefined, 'it was never said to hold that')
    assert.ok(receipts.lower('a', 10) !== undefined)
    assert.equal(receipts.through('a'), 9)
    receipts.lower('a', 1)
    assert.equal(receipts.through('a'), 0)
    assert.equal(receipts.lower('nobody', 1), undefined)
  })

  it('count who holds a position, and find the position that enough hold', () => {
    const receipts = new Receipts(SPACE)
    assert.deepEqual([receipts.holders(1), receipts.heldBy(1), receipts.furthest()], [0, 0, 0])
    receipts.raise('a', 10)
    receipts.raise('b', 20)
    receipts.raise('c', 5)
    assert.deepEqual(
      [5, 6, 10, 11, 20, 21].map((arrival) => receipts.holders(arrival)),
      [3, 2, 2, 1, 1, 0]
    )
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((count) => receipts.heldBy(count)),
      [20, 20, 10, 5, 0]
    )
    assert.equal(receipts.furthest(), 20)
  })

  it('come back from their rows', () => {
    const receipts = new Receipts(SPACE)
    const rows = [receipts.raise('peer one', 7), receipts.raise('peer two', 2 ** 40)]
    const again = new Receipts(SPACE)
    again.restore(rows.map((row) => ({ key: row?.key as Uint8Array, value: row?.value as Uint8Array })))
    assert.equal(again.through('peer one'), 7)
    assert.equal(again.through('peer two'), 2 ** 40)
  })

  it(`remember ${LIMITS.savedPeersMax} peers`, () => {
    const receipts = new Receipts(SPACE)
    for (let i = 0; i < LIMITS.savedPeersMax; i++) receipts.raise(`${i}`, 1)
    assert.equal(receipts.holders(1), LIMITS.savedPeersMax)
    receipts.raise('one more', 1)
    assert.equal(receipts.holders(1), LIMITS.savedPeersMax)
    assert.equal(receipts.through('0'), 0)
  })
})

describe('unoffered', () => {
  it('forgets what was offered, by delta or by position', () => {
    const unoffered = new Unoffered()
    unoffered.add('a', 1)
    unoffered.add('b', 2)
    unoffered.add('c', 3)
    unoffered.offered('b')
    unoffered.offered('b')
    unoffered.offered('unheard of')
    assert.deepEqual(
      [1, 2, 3].map((arrival) => unoffered.has(arrival)),
      [true, false, true]
    )
    unoffered.offeredThrough(2)
    assert.equal(unoffered.size, 1)
    unoffered.offeredThrough(3)
    assert.equal(unoffered.size, 0)
  })
})
