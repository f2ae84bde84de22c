import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addDelta,
  addDot,
  emptyOrSet,
  equalOrSets,
  hasElement,
  joinOrSetInto,
  joinOrSets,
  liveElements,
  observedDots,
  removeDelta,
  removeDots
} from '../../../src/crdt/or-set.ts'

test('an element leaves once every add of it has been removed', () => {
  const set = emptyOrSet<string>()
  addDot(set, 'x', 'a1')
  addDot(set, 'x', 'b1')
  removeDots(set, 'x', ['a1'])
  assert.equal(hasElement(set, 'x'), true)
  removeDots(set, 'x', ['b1'])
  assert.equal(hasElement(set, 'x'), false)
  assert.deepEqual(liveElements(set), [])
})

test('a removal that arrives before its add wins over exactly that add', () => {
  const set = emptyOrSet<string>()
  removeDots(set, 'x', ['a1'])
  addDot(set, 'x', 'a1')
  assert.equal(hasElement(set, 'x'), false)
  addDot(set, 'x', 'b1')
  assert.deepEqual(observedDots(set, 'x'), ['b1'])
})

test('a concurrent add survives a removal that had not seen it', () => {
  const left = addDelta('x', 'a1')
  const right = joinOrSets(left, emptyOrSet())
  joinOrSetInto(left, addDelta('x', 'a2'))
  joinOrSetInto(right, removeDelta(right, 'x'))
  const joined = joinOrSets(left, right)
  assert.deepEqual(observedDots(joined, 'x'), ['a2'])
  assert.equal(equalOrSets(joined, joinOrSets(right, left)), true)
})

test('an element can come back after it was removed', () => {
  const set = addDelta('x', 'a1')
  joinOrSetInto(set, removeDelta(set, 'x'))
  assert.equal(hasElement(set, 'x'), false)
  addDot(set, 'x', 'a2')
  assert.equal(hasElement(set, 'x'), true)
})

test('a removal of one element does not touch another that carries the same dot', () => {
  const inOrder = emptyOrSet<string>()
  addDot(inOrder, 'y', 'a1')
  removeDots(inOrder, 'x', ['a1'])
  const swapped = emptyOrSet<string>()
  removeDots(swapped, 'x', ['a1'])
  addDot(swapped, 'y', 'a1')
  assert.equal(hasElement(inOrder, 'y'), true)
  assert.equal(equalOrSets(inOrder, swapped), true)
})

test('removing nothing leaves no trace, so equal knowledge is an equal state', () => {
  const set = emptyOrSet<string>()
  removeDots(set, 'x', [])
  joinOrSetInto(set, removeDelta(set, 'x'))
  assert.equal(equalOrSets(set, emptyOrSet()), true)
})

test('a join shares no set with its arguments', () => {
  const a = addDelta('x', 'a1')
  const joined = joinOrSets(a, emptyOrSet())
  removeDots(joined, 'x', ['a1'])
  assert.equal(hasElement(a, 'x'), true)
})

test('equality sees live and removed dots', () => {
  const live = addDelta('x', 'a1')
  const removed = joinOrSets(live, removeDelta(live, 'x'))
  assert.equal(equalOrSets(live, removed), false)
  assert.equal(equalOrSets(removed, live), false)
  assert.equal(equalOrSets(addDelta('x', 'a1'), addDelta('y', 'a1')), false)
})
