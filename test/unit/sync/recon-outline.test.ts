import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeReconFrame, encodeReconFrame, type Part } from '../../../src/sync/recon-codec.ts'
import { outlineOf } from '../../../src/sync/recon-outline.ts'
import { RangeTree, type RangeTreeView } from '../../../src/sync/range-tree.ts'
import { hasher, key, NOW_MS, someKeys } from './recon-pair.ts'

function treeOf(keys: readonly Uint8Array[]): RangeTreeView {
  const tree = new RangeTree(hasher)
  for (const one of keys) tree.insert(one)
  return tree.snapshot()
}

/** Together all the keys under the prefix, each exactly once, in a frame that decodes. */
function check(view: RangeTreeView, prefix: string, parts: readonly Part[]): void {
  assert.equal(
    parts.reduce((sum, part) => sum + part.count, 0),
    view.countAt(prefix)
  )
  for (const part of parts) {
    assert.ok(part.prefix.startsWith(prefix))
    assert.equal(view.countAt(part.prefix), part.count)
  }
  assert.deepEqual(decodeReconFrame(encodeReconFrame({ frame: 'parts', parts })), { frame: 'parts', parts })
}

suite('the outline of a set', () => {
  const keys = someKeys('outline', 20_000)
  const view = treeOf(keys)

  test('no part is larger than asked, and there are no more than are needed to say so', () => {
    for (const max of [20_000, 5_000, 1_000, 500]) {
      const parts = outlineOf(view, '', max)
      check(view, '', parts)
      assert.ok(parts.every((part) => part.count <= max))
      assert.ok(parts.length < (20_000 / max) * 16)
    }
    assert.deepEqual(outlineOf(view, '', 20_000), [{ prefix: '', count: 20_000 }])
  })

  test('of a prefix only what is below it', () => {
    const prefix = toHex(keys[0] as Uint8Array).slice(0, 6)
    const parts = outlineOf(view, prefix, 100)
    assert.ok(parts.length > 1)
    check(view, prefix, parts)
  })

  test('nothing has no parts', () => {
    assert.deepEqual(outlineOf(treeOf([]), '', 10), [])
    assert.deepEqual(outlineOf(view, 'ffff', 10), [])
  })

  test('there are never more parts than the bound: then they are larger, the largest cut first', () => {
    const parts = outlineOf(view, '', 1)
    check(view, '', parts)
    assert.ok(parts.length <= LIMITS.reconPartsMax && parts.length > LIMITS.reconPartsMax - 16)
    const largest = Math.max(...parts.map((part) => part.count))
    assert.ok(largest < 500, `${largest}`)
    // Every part can be asked about in its turn.
    const deeper = outlineOf(view, parts.find((part) => part.count === largest)?.prefix ?? '', 1)
    assert.ok(deeper.length > 1)
  })

  test('keys that share all but their last digits', () => {
    const same = Array.from({ length: 40 }, (_, i) => {
      const one = key(NOW_MS, 'same')
      one[37] = i
      return one
    })
    const deep = treeOf(same)
    check(deep, '', outlineOf(deep, '', 1))
    assert.equal(outlineOf(deep, '', 1).length, 40)
  })

  test('two who hold the same cut it alike', () => {
    assert.deepEqual(outlineOf(treeOf([...keys].reverse()), '', 700), outlineOf(view, '', 700))
  })
})
