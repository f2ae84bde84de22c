import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { rangeKeyMs } from '../../../src/sync/range-nodes.ts'
import { RangeTree, rangeLeafDigest, type RangeBranch } from '../../../src/sync/range-tree.ts'
import { hasher, key, someKeys } from './recon-pair.ts'

function treeOf(keys: readonly Uint8Array[]): RangeTree {
  const tree = new RangeTree(hasher)
  for (const one of keys) tree.insert(one)
  return tree
}

function sorted(keys: readonly Uint8Array[]): string[] {
  return keys.map(toHex).sort()
}

/** The definition, without any tree: the digest of a set of keys, from WIRE.md. */
function digestByDefinition(hexes: readonly string[]): Uint8Array {
  const keys = [...hexes].sort()
  if (keys.length <= 128) return hasher.sha384(Buffer.from(`00${keys.join('')}`, 'hex'))
  const first = keys[0] as string
  const last = keys[keys.length - 1] as string
  let depth = 0
  while (first[depth] === last[depth]) depth++
  const parts = [Buffer.from([1, depth])]
  for (let digit = 0; digit < 16; digit++) {
    const below = keys.filter((one) => one[depth] === digit.toString(16))
    if (below.length > 0) parts.push(Buffer.from([digit]), Buffer.from(digestByDefinition(below)))
  }
  return hasher.sha384(Buffer.concat(parts))
}

suite('range tree', () => {
  test('the empty set has a root of its own: the digest of a leaf without keys', () => {
    assert.deepEqual(new RangeTree(hasher).root(), hasher.sha384(new Uint8Array([0])))
    assert.equal(new RangeTree(hasher).count, 0)
  })

  test('a key is inserted once', () => {
    const tree = new RangeTree(hasher)
    assert.equal(tree.insert(key(1, 'a')), true)
    const root = tree.root()
    assert.equal(tree.insert(key(1, 'a')), false)
    assert.deepEqual(tree.root(), root)
    assert.equal(tree.count, 1)
    assert.equal(tree.has(key(1, 'a')), true)
    assert.equal(tree.has(key(2, 'a')), false)
  })

  test('it keeps its own copy of a key', () => {
    const tree = new RangeTree(hasher)
    const mine = key(1, 'a')
    tree.insert(mine)
    mine.fill(0)
    assert.equal(tree.has(key(1, 'a')), true)
  })

  for (const count of [1, 127, 128, 129, 130, 700, 5_000]) {
    test(`the root of ${count} keys is what the definition says`, () => {
      const keys = someKeys('definition', count)
      assert.equal(toHex(treeOf(keys).root()), toHex(digestByDefinition(keys.map(toHex))))
    })
  }

  test('keys that share almost all of their digits branch where they must', () => {
    const keys = Array.from({ length: LIMITS.rangeLeafKeysMax + 1 }, (_, i) => {
      const one = new Uint8Array(38).fill(7)
      one[37] = i
      return one
    })
    const branch = treeOf(keys).snapshot().branch('')
    assert.equal(branch?.prefix, toHex(keys[0] as Uint8Array).slice(0, 74))
    assert.equal(branch?.children.length, 9)
    assert.equal(toHex(treeOf(keys).root()), toHex(digestByDefinition(keys.map(toHex))))
  })

  test('a key that leaves a compressed path splits it above', () => {
    const near = Array.from({ length: 200 }, (_, i) => key(1_000_000 + i, `near ${i}`))
    const keys = [...near, key(900_000_000_000, 'far')]
    assert.equal(toHex(treeOf(keys).root()), toHex(digestByDefinition(keys.map(toHex))))
  })

  test('a snapshot stays what it was while the tree grows', () => {
    const keys = someKeys('grow', 3_000)
    const tree = treeOf(keys.slice(0, 1_500))
    const frozen = tree.snapshot()
    const root = toHex(frozen.root())
    for (const one of keys.slice(1_500)) tree.insert(one)
    assert.equal(frozen.count, 1_500)
    assert.equal(toHex(frozen.root()), root)
    assert.equal(toHex(treeOf(keys.slice(0, 1_500)).root()), root)
    assert.deepEqual(frozen.keysFrom(undefined, 9_999).map(toHex), sorted(keys.slice(0, 1_500)))
    assert.equal(frozen.has(keys[2_000] as Uint8Array), false)
    assert.equal(tree.count, 3_000)
    assert.equal(toHex(tree.root()), toHex(treeOf(keys).root()))
  })

  test('two snapshots of one state are one', () => {
    const tree = treeOf(someKeys('same', 10))
    assert.equal(tree.snapshot(), tree.snapshot())
  })

  test('every prefix has the count and digest of exactly the keys that begin with it', () => {
    const keys = someKeys('prefixes', 2_000, 600_000)
    const view = treeOf(keys).snapshot()
    const random = new SeededRandom('prefixes')
    const hexes = keys.map(toHex)
    for (let i = 0; i < 300; i++) {
      const prefix = (hexes[random.below(hexes.length)] as string).slice(0, random.below(77))
      const below = hexes.filter((one) => one.startsWith(prefix))
      const at = view.at(prefix)
      assert.equal(at?.count, below.length)
      assert.equal(toHex(at?.digest as Uint8Array), toHex(digestByDefinition(below)), `at ${prefix}`)
      assert.equal(view.countAt(prefix), below.length)
      assert.equal(toHex(view.list(prefix)), [...below].sort().join(''))
    }
  })

  test('a prefix nobody has is undefined, also off a compressed path', () => {
    const view = treeOf(someKeys('absent', 500)).snapshot()
    assert.equal(view.at('f'), undefined)
    assert.equal(view.at('ffff'), undefined)
    assert.equal(view.at('0' + 'e'.repeat(75)), undefined)
    assert.equal(view.countAt('f'), 0)
    assert.equal(view.branch('f'), undefined)
    assert.equal(view.list('f').length, 0)
    assert.throws(() => view.at('0'.repeat(77)), /76/)
  })

  test('the children of a branch are the ranges below it', () => {
    const view = treeOf(someKeys('children', 3_000, 60_000)).snapshot()
    const pending = ['']
    let leaves = 0
    for (let prefix = pending.pop(); prefix !== undefined; prefix = pending.pop()) {
      const branch: RangeBranch | undefined = view.branch(prefix)
      if (branch === undefined) {
        leaves++
        continue
      }
      assert.ok(branch.prefix.startsWith(prefix) && branch.children.length >= 2)
      let total = 0
      for (const child of branch.children) {
        const below: string = branch.prefix + child.digit.toString(16)
        assert.deepEqual(view.at(below), { count: child.count, digest: child.digest })
        total += child.count
        pending.push(below)
      }
      assert.equal(total, view.countAt(prefix))
    }
    assert.equal(leaves, 3_000)
  })

  test('keys come in order, by pages, from any key on', () => {
    const keys = someKeys('pages', 1_234, 400_000)
    const view = treeOf(keys).snapshot()
    const all = sorted(keys)
    for (const limit of [1, 7, 64, 2_000]) {
      const seen: string[] = []
      let after: Uint8Array | undefined
      for (;;) {
        const page = view.keysFrom(after, limit)
        assert.ok(page.length <= limit)
        seen.push(...page.map(toHex))
        after = page[page.length - 1]
        if (page.length < limit) break
      }
      assert.deepEqual(seen, all)
    }
    const between = new Uint8Array(Buffer.from(all[500] as string, 'hex'))
    between[37] = (between[37] as number) ^ 1
    assert.deepEqual(view.keysFrom(between, 3).map(toHex), all.filter((one) => one > toHex(between)).slice(0, 3))
    assert.deepEqual(view.keysFrom(new Uint8Array(38).fill(255), 5), [])
    assert.equal(view.keysFrom(new Uint8Array(38), 5).length, 5)
    const prefix = (all[600] as string).slice(0, 8)
    assert.deepEqual(
      view.keysUnder(prefix, undefined, 9_999).map(toHex),
      all.filter((one) => one.startsWith(prefix))
    )
  })

  test('a key tells its time', () => {
    assert.equal(rangeKeyMs(key(1_800_000_000_123, 'x')), 1_800_000_000_123)
  })

  test('the digest of a listed range is the digest the tree gives it', () => {
    const keys = someKeys('listed', 30)
    const view = treeOf(keys).snapshot()
    assert.deepEqual(rangeLeafDigest(hasher, view.list('')), view.root())
  })

  test('a key of another length is a programmer error', () => {
    assert.throws(() => new RangeTree(hasher).insert(new Uint8Array(32)), /38 bytes/)
  })
})
