import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { DeltaSet } from '../../../src/sync/delta-set.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { Sketch } from '../../../src/sync/sketch.ts'
import { hasher, keysOf } from '../../support/range-keys.ts'

suite('delta set', () => {
  test('tree and sketch hold the same set; repeats change neither', () => {
    const set = new DeltaSet(hasher)
    const keys = keysOf('set', 300)
    for (const key of [...keys, ...keys]) set.insert(key)
    const plain = new Sketch()
    for (const key of keys) plain.add(key.subarray(6, 14))
    assert.equal(set.count, 300)
    assert.ok(keys.every((key) => !set.insert(key)))
    const { tree, sketch } = set.snapshot()
    assert.equal(tree.count, 300)
    assert.equal(sketch?.size, 300)
    assert.deepEqual(sketch.cells(0, 16_384), plain.snapshot().cells(0, 16_384))
  })

  test('both halves of a snapshot are of one moment', () => {
    const set = new DeltaSet(hasher)
    const keys = keysOf('moment', 200)
    keys.slice(0, 100).forEach((key) => set.insert(key))
    const frozen = set.snapshot()
    const root = frozen.tree.root()
    keys.slice(100).forEach((key) => set.insert(key))
    assert.equal(frozen.tree.count, 100)
    assert.equal(frozen.sketch?.size, 100)
    assert.deepEqual(frozen.tree.root(), root)
    assert.equal(set.snapshot().sketch?.size, 200)
  })

  test('a set that is served to nobody has no sketch', () => {
    const set = new DeltaSet(hasher, { sketch: null })
    for (const key of keysOf('private', 10)) set.insert(key)
    assert.equal(set.snapshot().sketch, undefined)
    assert.equal(set.snapshot().tree.count, 10)
  })

  test('a tree and a sketch of different sets are not put together', () => {
    const tree = new RangeTree(hasher)
    for (const key of keysOf('other', 3)) tree.insert(key)
    assert.throws(() => new DeltaSet(hasher, { tree }), /the same set/)
    assert.equal(new DeltaSet(hasher, { tree, sketch: null }).count, 3)
  })
})
