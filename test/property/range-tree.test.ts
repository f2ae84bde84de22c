/** The root is a function of the set: no history, no accident of order, and no view that moves under its reader. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { RangeTree } from '../../src/sync/range-tree.ts'
import { hasher, key } from '../unit/sync/recon-pair.ts'

/** Few times and few labels, so that sets overlap and ranges get crowded enough to split. */
const someKey = fc.tuple(fc.nat(40), fc.nat(60)).map(([ms, label]) => key(1_700_000_000_000 + ms * 977, String(label)))
const someSet = fc.array(someKey, { maxLength: 600, size: 'max' })

function treeOf(keys: readonly Uint8Array[]): RangeTree {
  const tree = new RangeTree(hasher)
  for (const one of keys) tree.insert(one)
  return tree
}

suite('range tree, for all sets', () => {
  test('any order of insertion, with repeats and snapshots in between, gives one root', () => {
    fc.assert(
      fc.property(someSet, fc.infiniteStream(fc.nat()), (keys, dice) => {
        const plain = treeOf(keys)
        const shuffled = keys
          .map((one) => ({ one, at: dice.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ one }) => one)
        const other = new RangeTree(hasher)
        for (const [index, one] of [...shuffled, ...shuffled.slice(0, 20)].entries()) {
          other.insert(one)
          if (index % 7 === 0) other.snapshot()
          if (index % 31 === 0) other.root()
        }
        assert.equal(other.count, new Set(keys.map(toHex)).size)
        assert.equal(toHex(other.root()), toHex(plain.root()))
      }),
      { numRuns: 40 }
    )
  })

  test('roots are equal exactly when the sets are', () => {
    fc.assert(
      fc.property(someSet, someSet, fc.boolean(), (a, b, same) => {
        const second = same ? [...a].reverse() : b
        const equalSets =
          JSON.stringify([...new Set(a.map(toHex))].sort()) === JSON.stringify([...new Set(second.map(toHex))].sort())
        assert.equal(toHex(treeOf(a).root()) === toHex(treeOf(second).root()), equalSets)
      }),
      { numRuns: 40 }
    )
  })

  test('a snapshot answers as before whatever is inserted afterwards', () => {
    fc.assert(
      fc.property(someSet, someSet, (before, after) => {
        const tree = treeOf(before)
        const frozen = tree.snapshot()
        for (const one of after) tree.insert(one)
        const alone = treeOf(before).snapshot()
        assert.equal(toHex(frozen.root()), toHex(alone.root()))
        assert.deepEqual(frozen.keysFrom(undefined, 10_000).map(toHex), alone.keysFrom(undefined, 10_000).map(toHex))
        const union = treeOf([...before, ...after])
        assert.equal(toHex(tree.root()), toHex(union.root()))
      }),
      { numRuns: 40 }
    )
  })
})
