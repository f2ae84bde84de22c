import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  counterValue,
  emptyGCounter,
  incrementDelta,
  joinGCounterInto,
  joinGCounters,
  raiseTotal
} from '../../../src/crdt/g-counter.ts'

test('concurrent increments all count', () => {
  const base = new Map([['a', 10]])
  const left = joinGCounters(base, incrementDelta(base, 'a', 3))
  const right = joinGCounters(base, incrementDelta(base, 'b', 4))
  assert.equal(counterValue(joinGCounters(left, right)), 17)
})

test('a delta delivered twice counts once', () => {
  const counter = emptyGCounter()
  const delta = incrementDelta(counter, 'a', 2)
  joinGCounterInto(counter, delta)
  joinGCounterInto(counter, delta)
  assert.equal(counterValue(counter), 2)
})

test('a total never falls', () => {
  const counter = new Map([['a', 10]])
  assert.equal(raiseTotal(counter, 'a', 7), false)
  assert.equal(counterValue(counter), 10)
})

test('the sum stops at the last safe integer in any order of the terms', () => {
  const max = Number.MAX_SAFE_INTEGER
  const one = new Map([
    ['a', max],
    ['b', 1],
    ['c', 1]
  ])
  const other = new Map([
    ['c', 1],
    ['b', 1],
    ['a', max]
  ])
  assert.equal(counterValue(one), max)
  assert.equal(counterValue(other), max)
  assert.equal(counterValue(new Map([['a', max]])), max)
  assert.equal(
    counterValue(
      new Map([
        ['a', max - 1],
        ['b', 1]
      ])
    ),
    max
  )
  assert.equal(incrementDelta(new Map([['a', max]]), 'a', 1).get('a'), max)
})
