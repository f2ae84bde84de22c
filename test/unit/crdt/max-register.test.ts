import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMaxMap, equalMaxMaps, joinMaxMaps, largest, raise, raiseDelta } from '../../../src/crdt/max-register.ts'

test('a value rises and never falls', () => {
  const map = emptyMaxMap()
  assert.equal(raise(map, 'a', 5), true)
  assert.equal(raise(map, 'a', 5), false)
  assert.equal(raise(map, 'a', 4), false)
  assert.equal(raise(map, 'a', 6), true)
  assert.equal(map.get('a'), 6)
})

test('saying 0 differs from saying nothing', () => {
  const map = emptyMaxMap()
  assert.equal(raise(map, 'a', 0), true)
  assert.equal(equalMaxMaps(map, emptyMaxMap()), false)
  assert.equal(largest(map), 0)
  assert.equal(largest(emptyMaxMap()), undefined)
})

test('actors do not touch each other', () => {
  const joined = joinMaxMaps(
    new Map([['a', 5]]),
    new Map([
      ['b', 9],
      ['a', 3]
    ])
  )
  assert.deepEqual(
    joined,
    new Map([
      ['a', 5],
      ['b', 9]
    ])
  )
  assert.equal(largest(joined), 9)
})

test('a delta holds a rise only', () => {
  const map = new Map([['a', 5]])
  assert.equal(raiseDelta(map, 'a', 5).size, 0)
  assert.deepEqual([...raiseDelta(map, 'a', 6)], [['a', 6]])
  assert.equal(map.get('a'), 5)
})

test('a join leaves its arguments alone', () => {
  const a = new Map([['a', 1]])
  joinMaxMaps(a, new Map([['a', 2]]))
  assert.equal(a.get('a'), 1)
})
