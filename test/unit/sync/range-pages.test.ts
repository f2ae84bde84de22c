import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { hasher, keyOf, keysOf } from '../../support/range-keys.ts'

/** Rows of one tree, and how often they were read. */
class Rows {
  readonly rows = new Map<string, Uint8Array>()
  reads = 0

  read(prefix: string): Uint8Array | undefined {
    this.reads++
    return this.rows.get(prefix)?.slice()
  }
}

function store(tree: RangeTree, rows: Rows): void {
  const { leaves, removed, confirm } = tree.checkpoint()
  for (const prefix of removed) rows.rows.delete(prefix)
  for (const { prefix, packed } of leaves) rows.rows.set(prefix, packed.slice())
  confirm()
}

/** A tree of `count` keys, stored and paged out to nothing. */
function paged(seed: string, count: number, residentKeysMax = 0): { tree: RangeTree; rows: Rows; keys: Uint8Array[] } {
  const rows = new Rows()
  const tree = new RangeTree(hasher, { source: rows, residentKeysMax })
  const keys = keysOf(seed, count)
  for (const key of keys) tree.insert(key)
  store(tree, rows)
  tree.pageOut()
  return { tree, rows, keys }
}

const isCorrupt = (error: unknown): boolean => isChrysalisError(error, 'corrupt') && error.data?.['table'] === 'leaf'

suite('range tree, checkpoints', () => {
  test('only what changed is written, and a split leaf is deleted', () => {
    const tree = new RangeTree(hasher)
    const rows = new Rows()
    for (const key of keysOf('few', 128)) tree.insert(key)
    const first = tree.checkpoint()
    assert.deepEqual(
      first.leaves.map(({ prefix, packed }) => [prefix, packed.length]),
      [['', 128 * 38]]
    )
    assert.deepEqual(first.removed, [])
    store(tree, rows)
    assert.deepEqual(tree.checkpoint().leaves, [])
    tree.insert(keyOf(1_700_000_000_500, 'one more'))
    const second = tree.checkpoint()
    assert.deepEqual(second.removed, [''])
    assert.ok(second.leaves.length > 1)
    store(tree, rows)
    assert.ok(!rows.rows.has(''))
    const [name] = [...rows.rows.keys()] as [string]
    const sample = rows.rows.get(name)?.slice(0, 38) as Uint8Array
    sample[37] = (sample[37] as number) ^ 1
    tree.insert(sample)
    assert.deepEqual(
      tree.checkpoint().leaves.map(({ prefix }) => prefix),
      [name]
    )
  })

  test('what was not confirmed is written again; what came meanwhile is not taken for stored', () => {
    const tree = new RangeTree(hasher)
    const keys = keysOf('meanwhile', 50)
    for (const key of keys.slice(0, 40)) tree.insert(key)
    const lost = tree.checkpoint()
    assert.equal(lost.leaves.length, 1)
    const again = tree.checkpoint()
    assert.equal(again.leaves.length, 1)
    for (const key of keys.slice(40)) tree.insert(key)
    again.confirm()
    assert.equal(again.view.count, 40)
    assert.equal(again.leaves[0]?.packed.length, 40 * 38)
    assert.equal(tree.checkpoint().leaves[0]?.packed.length, 50 * 38)
  })
})

suite('range tree, paging', () => {
  test('nothing goes at the bound, and an eighth is free above it', () => {
    const { tree } = paged('bound', 2_000, 2_000)
    assert.equal(tree.residentKeys, 2_000, 'residentKeysMax keys may stay')
    const above = paged('bound', 2_001, 2_000)
    assert.ok(above.tree.residentKeys <= 1_750)
    assert.ok(above.tree.residentKeys > 1_750 - 128, 'and no more than needed goes')
  })

  test('the oldest go, the newest stay', () => {
    const { tree, rows, keys } = paged('oldest', 3_000, 1_000)
    const sorted = keys.map(toHex).sort()
    rows.reads = 0
    for (const hex of sorted.slice(-700)) assert.ok(tree.has(new Uint8Array(Buffer.from(hex, 'hex'))))
    assert.equal(rows.reads, 0)
    assert.ok(tree.has(new Uint8Array(Buffer.from(sorted[0] as string, 'hex'))))
    assert.equal(rows.reads, 1)
  })

  test('leaves that are not stored stay, and so does everything without a source', () => {
    const tree = new RangeTree(hasher, { source: new Rows(), residentKeysMax: 0 })
    const plain = new RangeTree(hasher, { residentKeysMax: 0 })
    for (const key of keysOf('unstored', 500)) [tree, plain].forEach((one) => one.insert(key))
    assert.equal(tree.pageOut(), 0)
    store(plain, new Rows())
    assert.equal(plain.pageOut(), 0)
    assert.equal(plain.residentKeys, 500)
  })

  test('a paged tree answers everything, and reads only what the answer needs', () => {
    const { tree, rows, keys } = paged('answers', 2_000)
    const plain = new RangeTree(hasher)
    for (const key of keys) plain.insert(key)
    assert.equal(tree.residentKeys, 0)
    rows.reads = 0
    const [view, whole] = [tree.snapshot(), plain.snapshot()]
    assert.deepEqual(view.root(), whole.root())
    const branch = view.branch('')
    assert.deepEqual(branch, whole.branch(''))
    for (const { digit } of branch?.children ?? []) {
      const prefix = (branch?.prefix ?? '') + digit.toString(16)
      assert.deepEqual(view.at(prefix), whole.at(prefix))
      assert.equal(view.countAt(prefix), whole.countAt(prefix))
    }
    assert.equal(rows.reads, 0, 'counts and digests are in memory')
    assert.deepEqual(view.list(''), whole.list(''))
    assert.deepEqual(view.keysFrom(keys[0], 500), whole.keysFrom(keys[0], 500))
    const name = [...rows.rows.keys()][0] as string
    assert.deepEqual(view.branch(name), whole.branch(name))
    for (const deeper of ['0', '7', 'f']) assert.deepEqual(view.at(name + deeper), whole.at(name + deeper))
    assert.ok(keys.every((key) => view.has(key) && tree.has(key)))
    assert.ok(!tree.has(keyOf(1_700_000_000_000, 'nowhere')))
    assert.equal(tree.residentKeys, 0, 'reading keeps nothing')
  })

  test('one leaf asked for several times in a row is read once', () => {
    const { tree, rows } = paged('memo', 600)
    const view = tree.snapshot()
    const name = [...rows.rows.keys()][0] as string
    rows.reads = 0
    view.list(name)
    view.branch(name)
    view.keysUnder(name, undefined, 10)
    assert.equal(rows.reads, 1)
  })

  test('a key that is there already brings no bytes back for good', () => {
    const { tree, keys } = paged('known', 600)
    for (const key of keys) assert.ok(!tree.insert(key))
    assert.equal(tree.residentKeys, 0)
  })

  test('a snapshot shows the leaf it had, whatever becomes of its row', () => {
    const { tree, rows, keys } = paged('frozen', 1_000)
    const before = tree.snapshot()
    const sorted = keys.map(toHex).sort()
    const more = keys.map((key) => {
      const other = key.slice()
      other[37] = (other[37] as number) ^ 255
      return other
    })
    for (const key of more) tree.insert(key)
    store(tree, rows)
    tree.pageOut()
    assert.equal(tree.residentKeys, 0)
    assert.deepEqual(before.keysFrom(undefined, 5_000).map(toHex), sorted)
    assert.equal(tree.snapshot().keysFrom(undefined, 5_000).length, 2_000)
  })

  test('a leaf read for an insert, stored and paged out again is read anew', () => {
    const { tree, rows, keys } = paged('again', 100)
    assert.deepEqual([...rows.rows.keys()], [''])
    assert.ok(tree.has(keys[0] as Uint8Array))
    const one = keyOf(1_700_000_000_001, 'new')
    tree.insert(one)
    store(tree, rows)
    tree.pageOut()
    assert.equal(tree.residentKeys, 0)
    assert.ok(tree.has(one), 'and not answered from the bytes read before')
    assert.equal(tree.snapshot().list('').length, 101 * 38)
  })
})

suite('range tree, damaged rows', () => {
  test('a row that is missing or wrong ends the act with `corrupt`, and nothing has changed', () => {
    for (const harm of ['missing', 'bit', 'longer', 'other leaf'] as const) {
      const { tree, rows, keys } = paged(`harm/${harm}`, 400)
      const root = tree.root()
      const names = [...rows.rows.keys()].sort()
      const name = names[0] as string
      const row = rows.rows.get(name) as Uint8Array
      const inside = keys.find((key) => toHex(key).startsWith(name)) as Uint8Array
      const fresh = inside.slice()
      fresh[37] = (fresh[37] as number) ^ 1
      if (harm === 'missing') rows.rows.delete(name)
      if (harm === 'bit') row[5] = (row[5] as number) ^ 4
      if (harm === 'longer') rows.rows.set(name, new Uint8Array([...row, ...fresh]))
      if (harm === 'other leaf') rows.rows.set(name, rows.rows.get(names[1] as string) as Uint8Array)
      assert.throws(() => tree.has(inside), isCorrupt, harm)
      assert.throws(() => tree.insert(fresh), isCorrupt, harm)
      assert.throws(() => tree.snapshot().list(''), isCorrupt, harm)
      assert.throws(() => tree.snapshot().keysFrom(undefined, 10), isCorrupt, harm)
      assert.equal(tree.count, 400)
      assert.deepEqual(tree.root(), root)
      const elsewhere = keyOf(1_800_000_000_000, 'elsewhere')
      assert.ok(tree.insert(elsewhere), 'other leaves are as good as ever')
      assert.equal(tree.count, 401)
    }
  })

  test('what the source throws comes through', () => {
    const { tree, keys } = paged('throws', 10)
    const dead = new RangeTree(hasher, {
      residentKeysMax: 0,
      source: {
        read: () => {
          throw new RangeError('no disk')
        }
      }
    })
    for (const key of keys) dead.insert(key)
    dead.checkpoint().confirm()
    dead.pageOut()
    assert.throws(() => dead.has(keys[0] as Uint8Array), /no disk/)
    assert.ok(tree.has(keys[0] as Uint8Array))
  })
})
