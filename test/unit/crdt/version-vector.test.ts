import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import {
  compareVersionVectors,
  covers,
  dominates,
  emptyVersionVector,
  extend,
  joinVersionVectorInto,
  joinVersionVectors,
  nextDelta,
  nextSeq
} from '../../../src/crdt/version-vector.ts'

test('a history grows by one event at a time, without gaps', () => {
  const vector = emptyVersionVector()
  assert.equal(nextSeq(vector, 'a'), 0)
  assert.equal(extend(vector, 'a', 1), false)
  assert.equal(extend(vector, 'a', 0), true)
  assert.equal(extend(vector, 'a', 0), false)
  assert.equal(extend(vector, 'a', 1), true)
  assert.equal(vector.get('a'), 1)
  assert.throws(() => extend(vector, 'a', -1), AssertionError)
})

test('the next event of an actor is a delta that extends it', () => {
  const vector = new Map([['a', 4]])
  joinVersionVectorInto(vector, nextDelta(vector, 'a'))
  joinVersionVectorInto(vector, nextDelta(vector, 'b'))
  assert.deepEqual(
    [...vector],
    [
      ['a', 5],
      ['b', 0]
    ]
  )
})

test('the first event counts: an actor at 0 is above an unknown one', () => {
  const one = new Map([['a', 0]])
  assert.equal(covers(one, 'a', 0), true)
  assert.equal(covers(emptyVersionVector(), 'a', 0), false)
  assert.equal(compareVersionVectors(one, emptyVersionVector()), 'after')
})

test('four ways in which two histories stand to each other', () => {
  const ab = new Map([
    ['a', 1],
    ['b', 1]
  ])
  assert.equal(
    compareVersionVectors(
      ab,
      new Map([
        ['b', 1],
        ['a', 1]
      ])
    ),
    'equal'
  )
  assert.equal(compareVersionVectors(new Map([['a', 1]]), ab), 'before')
  assert.equal(
    compareVersionVectors(
      ab,
      new Map([
        ['a', 0],
        ['b', 1]
      ])
    ),
    'after'
  )
  assert.equal(compareVersionVectors(ab, new Map([['a', 2]])), 'concurrent')
  assert.equal(dominates(ab, ab), true)
})

test('a join is the least history above both', () => {
  const a = new Map([['a', 2]])
  const b = new Map([
    ['a', 1],
    ['b', 3]
  ])
  const joined = joinVersionVectors(a, b)
  assert.equal(dominates(joined, a) && dominates(joined, b), true)
  assert.deepEqual(
    joined,
    new Map([
      ['a', 2],
      ['b', 3]
    ])
  )
})
