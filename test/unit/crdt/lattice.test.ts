import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gSetLattice } from '../../../src/crdt/g-set.ts'
import { isAtMost, mapLattice, optional, type Semilattice } from '../../../src/crdt/lattice.ts'

const sets = mapLattice<string, Set<string>>(gSetLattice<string>())
const largest: Semilattice<number> = { join: (a, b) => Math.max(a, b), equals: (a, b) => a === b }

test('maps join key by key', () => {
  const a = new Map([
    ['k', new Set(['x'])],
    ['only', new Set(['y'])]
  ])
  const b = new Map([['k', new Set(['z'])]])
  const joined = sets.join(a, b)
  assert.deepEqual([...(joined.get('k') ?? [])].sort(), ['x', 'z'])
  assert.deepEqual([...(joined.get('only') ?? [])], ['y'])
  assert.equal(sets.equals(a, joined), false)
  assert.equal(sets.equals(sets.join(b, a), joined), true)
})

test('a joined map shares no state with either argument', () => {
  const a = new Map([['left', new Set(['x'])]])
  const b = new Map([['right', new Set(['y'])]])
  const joined = sets.join(a, b)
  joined.get('left')?.add('new')
  joined.get('right')?.add('new')
  assert.deepEqual([a.get('left')?.size, b.get('right')?.size], [1, 1])
})

test('null is below every state of an optional lattice', () => {
  const lattice = optional(largest)
  assert.equal(lattice.join(null, 3), 3)
  assert.equal(lattice.join(3, null), 3)
  assert.equal(lattice.join(null, null), null)
  assert.equal(lattice.equals(null, 3), false)
  assert.equal(isAtMost(lattice, null, 3), true)
  assert.equal(isAtMost(lattice, 3, null), false)
})

test('the order is the one the join defines', () => {
  assert.equal(isAtMost(gSetLattice<string>(), new Set(['a']), new Set(['a', 'b'])), true)
  assert.equal(isAtMost(gSetLattice<string>(), new Set(['c']), new Set(['a', 'b'])), false)
})
