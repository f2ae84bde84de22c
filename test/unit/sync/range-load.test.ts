import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { concatBytes, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { StoredLeaf } from '../../../src/sync/range-checkpoint.ts'
import { RangeTreeLoader, type LoadedTree } from '../../../src/sync/range-load.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { hasher, keyOf, keysOf } from '../../support/range-keys.ts'

function treeOf(keys: readonly Uint8Array[]): RangeTree {
  const tree = new RangeTree(hasher)
  for (const key of keys) tree.insert(key)
  return tree
}

function load(leaves: readonly StoredLeaf[]): LoadedTree {
  const loader = new RangeTreeLoader(hasher)
  for (const { prefix, packed } of leaves) loader.add(prefix, packed.slice())
  return loader.finish()
}

function reasonOf(leaves: readonly StoredLeaf[]): string {
  const loaded = load(leaves)
  assert.ok(!loaded.ok)
  return loaded.reason
}

const leavesOf = (keys: readonly Uint8Array[]): StoredLeaf[] => [...treeOf(keys).checkpoint().leaves]

suite('range tree from rows', () => {
  test('no rows are the empty set', () => {
    const loaded = load([])
    assert.ok(loaded.ok)
    assert.equal(loaded.tree.count, 0)
    assert.deepEqual(loaded.tree.root(), new RangeTree(hasher).root())
  })

  test('in any order they are the tree, which then goes on as the original would', () => {
    for (const count of [1, 128, 129, 3_000]) {
      const keys = keysOf(`whole/${count}`, count)
      const leaves = leavesOf(keys)
      for (const order of [leaves, [...leaves].reverse()]) {
        const loaded = load(order)
        assert.ok(loaded.ok)
        const original = treeOf(keys)
        assert.equal(loaded.tree.count, count)
        assert.deepEqual(loaded.tree.root(), original.root())
        assert.equal(loaded.tree.checkpoint().leaves.length, 0, 'it is what is stored')
        for (const key of keysOf('later', 300)) [loaded.tree, original].forEach((tree) => tree.insert(key))
        assert.deepEqual(loaded.tree.root(), original.root())
      }
    }
  })

  test('a key far from all others gets a leaf of its own, where its name says', () => {
    const near = Array.from({ length: 200 }, (_, i) => keyOf(1_700_000_000_000 + i, `near ${i}`))
    const tree = treeOf([...near, keyOf(5, 'far')])
    const { leaves } = tree.checkpoint()
    assert.equal(leaves[0]?.prefix, '00')
    const loaded = load(leaves)
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.reason)
    assert.deepEqual(loaded.tree.root(), tree.root())
  })

  test('a row that is no leaf', () => {
    const keys = keysOf('row', 5).sort((a, b) => Buffer.compare(a, b))
    const [a, b] = keys as [Uint8Array, Uint8Array]
    const packed = concatBytes(...keys)
    const tooMany = concatBytes(...keysOf('many', LIMITS.rangeLeafKeysMax + 1).sort((x, y) => Buffer.compare(x, y)))
    assert.match(reasonOf([{ prefix: '', packed: new Uint8Array(0) }]), /holds no 1 to 128 keys/)
    assert.match(reasonOf([{ prefix: '', packed: packed.slice(0, -1) }]), /holds no 1 to 128 keys/)
    assert.match(reasonOf([{ prefix: '', packed: tooMany }]), /holds no 1 to 128 keys/)
    assert.ok(load([{ prefix: '', packed: tooMany.slice(38) }]).ok, 'rangeLeafKeysMax keys are a leaf')
    assert.match(reasonOf([{ prefix: '', packed: concatBytes(b, a) }]), /do not ascend/)
    assert.match(reasonOf([{ prefix: '', packed: concatBytes(a, a) }]), /do not ascend/)
    assert.match(reasonOf([{ prefix: 'f', packed }]), /begin with its name/)
    const [early, late] = [keyOf(0x100000000000, 'early'), keyOf(0x200000000000, 'late')]
    assert.match(reasonOf([{ prefix: '1', packed: concatBytes(early, late) }]), /begin with its name/)
    assert.match(reasonOf([{ prefix: '2', packed: concatBytes(early, late) }]), /begin with its name/)
    assert.match(reasonOf([{ prefix: `${toHex(a)}0`, packed: a }]), /longer than a key/)
  })

  test('a leaf that is not where its name says', () => {
    const leaves = leavesOf(keysOf('place', 400))
    const [first, ...rest] = leaves as [StoredLeaf, ...StoredLeaf[]]
    const deeper = { prefix: toHex(first.packed.slice(0, 38)).slice(0, first.prefix.length + 1), packed: first.packed }
    const one = { prefix: deeper.prefix, packed: first.packed.slice(0, 38) }
    assert.match(reasonOf([one, ...rest]), /no branch above it/)
    assert.match(reasonOf([first, one, ...rest]), /another lies inside it/)
    assert.match(reasonOf([first, first, ...rest]), /another lies inside it/)
    assert.match(reasonOf([{ prefix: '0', packed: keyOf(1, 'alone') }]), /no branch above it/)
  })

  test('leaves that would be one leaf', () => {
    const keys = keysOf('one', 100).sort((a, b) => Buffer.compare(a, b))
    const leaves = leavesOf(keysOf('one', 400))
    assert.ok(leaves.length > 2)
    const few = leaves.map(({ prefix, packed }) => ({ prefix, packed: packed.slice(0, 38) }))
    assert.match(reasonOf(few), /are one leaf/)
    assert.ok(load([{ prefix: '', packed: concatBytes(...keys) }]).ok)
  })

  test('a missing leaf shows in the count, or leaves a branch that cannot be', () => {
    const keys = keysOf('missing', 1_000)
    const leaves = leavesOf(keys)
    for (let gone = 0; gone < leaves.length; gone++) {
      const loaded = load(leaves.filter((_, i) => i !== gone))
      assert.ok(!loaded.ok || loaded.tree.count < keys.length)
    }
  })

  test('more keys than may stay in memory never all stay while loading', () => {
    const leaves = leavesOf(keysOf('large', 4_000))
    const rows = new Map(leaves.map(({ prefix, packed }) => [prefix, packed]))
    const loader = new RangeTreeLoader(hasher, {
      source: { read: (prefix) => rows.get(prefix)?.slice() },
      residentKeysMax: 500
    })
    let most = 0
    for (const { prefix, packed } of leaves) {
      loader.add(prefix, packed.slice())
      most = Math.max(most, loader.residentKeys)
    }
    assert.ok(most <= 750, `${most} keys at once`)
    const loaded = loader.finish()
    assert.ok(loaded.ok)
    assert.ok(loaded.tree.residentKeys <= 500, `${loaded.tree.residentKeys} keys`)
    assert.ok(loaded.tree.residentKeys > 0)
    assert.deepEqual(loaded.tree.root(), treeOf(keysOf('large', 4_000)).root())
  })
})
