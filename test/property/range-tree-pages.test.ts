/**
 * A tree that is checkpointed, paged out, thrown away and loaded again, in any mixture, is the tree of its set; and a
 * snapshot shows what it showed, whatever is written to the rows below it meanwhile.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import type { TreeCheckpoint } from '../../src/sync/range-checkpoint.ts'
import { RangeTreeLoader } from '../../src/sync/range-load.ts'
import { RangeTree, type RangeTreeView } from '../../src/sync/range-tree.ts'
import { hasher, keyOf } from '../support/range-keys.ts'

/** Few times, so that ranges get crowded enough to split more than once. */
const someKey = fc.tuple(fc.nat(40), fc.nat(60)).map(([ms, label]) => keyOf(1_700_000_000_000 + ms * 977, `${label}`))
const someSet = fc.array(someKey, { maxLength: 900, size: 'max' })

const STEPS = ['insert', 'insert', 'insert', 'checkpoint', 'lost', 'page', 'reload', 'snapshot', 'look'] as const

function treeOf(keys: readonly Uint8Array[]): RangeTree {
  const tree = new RangeTree(hasher)
  for (const key of keys) tree.insert(key)
  return tree
}

class Disk {
  readonly rows = new Map<string, Uint8Array>()

  read(prefix: string): Uint8Array | undefined {
    return this.rows.get(prefix)?.slice()
  }

  write({ leaves, removed }: TreeCheckpoint): void {
    for (const prefix of removed) this.rows.delete(prefix)
    for (const { prefix, packed } of leaves) this.rows.set(prefix, packed.slice())
  }

  /** In the order of the rows, which is not that of the keys: shorter names first. */
  load(residentKeysMax: number): RangeTree {
    const loader = new RangeTreeLoader(hasher, { source: this, residentKeysMax })
    const order = (name: string): string => String.fromCharCode(name.length) + name
    const names = [...this.rows.keys()].sort((a, b) => (order(a) < order(b) ? -1 : 1))
    for (const name of names) loader.add(name, this.read(name) as Uint8Array)
    const loaded = loader.finish()
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.reason)
    return loaded.tree
  }
}

function textOf(view: RangeTreeView): string {
  return view.keysFrom(undefined, 10_000).map(toHex).join()
}

suite('range tree on disk, for all sets', () => {
  test('any mixture of inserting, checkpointing, paging, reloading, gives the one root', () => {
    const steps = fc.array(fc.constantFrom(...STEPS), { minLength: 10, maxLength: 40, size: 'max' })
    fc.assert(
      fc.property(someSet, steps, fc.constantFrom(0, 100, 400), (keys, course, residentKeysMax) => {
        const disk = new Disk()
        let tree = new RangeTree(hasher, { source: disk, residentKeysMax })
        let stored = 0
        let next = 0
        const portion = Math.ceil(keys.length / Math.max(1, course.filter((step) => step === 'insert').length))
        const views: { view: RangeTreeView; keys: string }[] = []
        for (const step of course) {
          if (step === 'insert') for (const key of keys.slice(next, (next += portion))) tree.insert(key)
          if (step === 'snapshot')
            views.push({ view: tree.snapshot(), keys: textOf(treeOf(keys.slice(0, next)).snapshot()) })
          if (step === 'page') tree.pageOut()
          // Not known to be stored, and not stored: nothing may rely on it.
          if (step === 'lost') tree.checkpoint()
          if (step === 'checkpoint') {
            const checkpoint = tree.checkpoint()
            disk.write(checkpoint)
            checkpoint.confirm()
            stored = next
            assert.equal(tree.checkpoint().leaves.length, 0)
          }
          if (step === 'reload') {
            tree = disk.load(residentKeysMax)
            next = stored
            // Views of the old tree are those of another process.
            views.length = 0
          }
          if (step === 'look') assert.deepEqual(tree.root(), treeOf(keys.slice(0, next)).root())
        }
        const plain = treeOf(keys.slice(0, next))
        assert.equal(tree.count, plain.count)
        assert.deepEqual(tree.root(), plain.root())
        assert.equal(textOf(tree.snapshot()), textOf(plain.snapshot()))
        for (const key of keys) assert.equal(tree.has(key), plain.has(key))
        for (const { view, keys: before } of views) assert.equal(textOf(view), before)
      }),
      { numRuns: 60 }
    )
  })

  test('the rows of a tree are those of its set: none missing, none left over', () => {
    fc.assert(
      fc.property(fc.array(someSet, { minLength: 1, maxLength: 4 }), (parts) => {
        const disk = new Disk()
        const tree = new RangeTree(hasher)
        for (const part of parts) {
          for (const key of part) tree.insert(key)
          const checkpoint = tree.checkpoint()
          disk.write(checkpoint)
          checkpoint.confirm()
        }
        const once = new Disk()
        once.write(treeOf(parts.flat()).checkpoint())
        const shown = (one: Disk): string[] => [...one.rows].map(([name, row]) => `${name}=${toHex(row)}`).sort()
        assert.deepEqual(shown(disk), shown(once))
      }),
      { numRuns: 30 }
    )
  })

  test('rows that were damaged, lost or mixed up are refused, or are not the set and show it', () => {
    const damage = fc.tuple(fc.constantFrom('flip', 'lose', 'name', 'double', 'cut', 'swap'), fc.nat(), fc.nat())
    fc.assert(
      fc.property(someSet, fc.array(damage, { minLength: 1, maxLength: 3 }), (keys, damages) => {
        const tree = treeOf(keys)
        const disk = new Disk()
        disk.write(tree.checkpoint())
        const whole = new Map(disk.rows)
        for (const [what, which, where] of damages) {
          const names = [...disk.rows.keys()]
          if (names.length === 0) return
          const name = names[which % names.length] as string
          const row = (disk.rows.get(name) as Uint8Array).slice()
          if (what === 'flip') row[where % row.length] = (row[where % row.length] as number) ^ (1 << (which % 8))
          if (what !== 'lose') disk.rows.set(name, what === 'cut' ? row.slice(0, -1 - (where % 40)) : row)
          if (what === 'lose' || what === 'name') disk.rows.delete(name)
          if (what === 'name') disk.rows.set(name.slice(0, -1) + (where % 16).toString(16), row)
          if (what === 'double') disk.rows.set(name + (where % 16).toString(16), row)
          if (what === 'swap') disk.rows.set(names[where % names.length] as string, row)
        }
        const same =
          disk.rows.size === whole.size &&
          [...whole].every(([n, r]) => toHex(disk.rows.get(n) ?? r.slice(1)) === toHex(r))
        const loader = new RangeTreeLoader(hasher)
        for (const [name, row] of disk.rows) loader.add(name, row)
        const loaded = loader.finish()
        const isSet = loaded.ok && toHex(loaded.tree.root()) === toHex(tree.root())
        assert.equal(isSet, same)
      }),
      { numRuns: 150 }
    )
  })
})
