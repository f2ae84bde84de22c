import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addElement, addElementDelta, emptyGSet, equalGSets, joinGSetInto, joinGSets } from '../../../src/crdt/g-set.ts'

test('an element is added once and stays', () => {
  const set = emptyGSet<string>()
  assert.equal(addElement(set, 'a'), true)
  assert.equal(addElement(set, 'a'), false)
  assert.deepEqual([...set], ['a'])
})

test('the delta of an add holds what is new and nothing else', () => {
  const set = new Set(['a'])
  assert.deepEqual([...addElementDelta(set, 'b')], ['b'])
  assert.equal(addElementDelta(set, 'a').size, 0)
  assert.deepEqual([...set], ['a'], 'a delta changes nothing by itself')
})

test('a join is the union and leaves its arguments alone', () => {
  const a = new Set(['x'])
  const b = new Set(['y'])
  const joined = joinGSets(a, b)
  assert.equal(equalGSets(joined, new Set(['y', 'x'])), true)
  joined.add('z')
  assert.deepEqual([[...a], [...b]], [['x'], ['y']])
  joinGSetInto(a, b)
  assert.equal(equalGSets(a, new Set(['x', 'y'])), true)
})

test('equality looks at elements, not at sizes alone', () => {
  assert.equal(equalGSets(new Set(['a']), new Set(['b'])), false)
  assert.equal(equalGSets(new Set(['a']), new Set(['a', 'b'])), false)
})
