/** For any two sets the sessions end with both holding the union; for any bytes on the wire nothing throws or breaks. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { NOW_MS, Side, key, session, settle } from '../unit/sync/recon-pair.ts'

/** Few times and labels: ranges crowded enough to branch, and sets that overlap. */
const someKey = fc.tuple(fc.nat(60), fc.nat(80)).map(([ms, label]) => key(NOW_MS - 9_000_000 + ms * 1_013, `${label}`))
const someSet = fc.array(someKey, { maxLength: 500, size: 'max' })
const padding = fc.constantFrom(0, 300, 30_000)

function union(a: readonly Uint8Array[], b: readonly Uint8Array[]): string[] {
  return [...new Set([...a, ...b].map(toHex))].sort()
}

suite('reconciler, for all sets', () => {
  test('one session leaves both with the union', () => {
    fc.assert(
      fc.property(someSet, someSet, padding, (left, right, bytes) => {
        const a = new Side(left, bytes)
        const b = new Side(right, bytes)
        const expected = union(left, right)
        const same = toHex(a.tree.root()) === toHex(b.tree.root())
        const log = session(a, b)
        assert.equal(log.initiator.result, same ? 'equal' : 'repaired')
        for (const side of [a, b]) {
          assert.deepEqual(side.tree.snapshot().keysFrom(undefined, 2_000).map(toHex), expected)
          assert.deepEqual([...side.records.keys()].sort(), expected)
        }
        assert.equal(log.initiator.received, log.responder.sent)
        assert.equal(log.initiator.sent, log.responder.received)
        assert.equal(log.initiator.received, union(left, right).length - new Set(left.map(toHex)).size)
      }),
      { numRuns: 60 }
    )
  })

  test('a frame cut short, changed, repeated or replaced never throws and never adds what neither had', () => {
    fc.assert(
      fc.property(
        someSet,
        someSet,
        fc.nat(12),
        fc.constantFrom('cut', 'flip', 'replace', 'repeat'),
        fc.nat(),
        fc.uint8Array({ maxLength: 80 }),
        (left, right, at, how, place, garbage) => {
          const a = new Side(left)
          const b = new Side(right)
          let previous: Uint8Array = garbage
          session(a, b, {
            tamper: (frame, index) => {
              const before = previous
              previous = frame
              if (index !== at) return frame
              if (how === 'cut') return frame.slice(0, place % frame.length)
              if (how === 'repeat') return before
              if (how === 'replace') return garbage
              const changed = frame.slice()
              changed[place % frame.length] = (changed[place % frame.length] as number) ^ (1 << (place % 8))
              return changed
            }
          })
          // Without signatures a changed record counts as another; every other key must be somebody's.
          const expected = new Set(union(left, right))
          const strangers = [...a.records.keys(), ...b.records.keys()].filter((one) => !expected.has(one))
          assert.ok(new Set(strangers).size <= 1)
          for (const one of left) assert.ok(a.tree.has(one))
          for (const one of right) assert.ok(b.tree.has(one))
          for (const side of [a, b]) assert.equal(side.tree.count, side.records.size)
        }
      ),
      { numRuns: 150 }
    )
  })

  test('any bytes at any point end a session or are answered, and nothing throws', () => {
    fc.assert(
      fc.property(someSet, fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (keys, frames) => {
        const side = new Side(keys)
        for (const machine of [side.initiator(), side.responder()]) {
          settle(machine, side, { event: 'start' })
          for (const bytes of frames) settle(machine, side, { event: 'frame', bytes })
        }
        assert.equal(side.tree.count, new Set(keys.map(toHex)).size)
      }),
      { numRuns: 100 }
    )
  })

  test('sessions between many replicas in any order bring all to one set', () => {
    const pairs = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 12 })
    fc.assert(
      fc.property(fc.array(someSet, { minLength: 5, maxLength: 5 }), pairs, (sets, order) => {
        const sides = sets.map((one) => new Side(one))
        const meet = (i: number, j: number): void => {
          if (i !== j) session(sides[i] as Side, sides[j] as Side)
        }
        for (const [i, j] of order) meet(i, j)
        for (let i = 1; i < 5; i++) meet(0, i)
        for (let i = 1; i < 5; i++) meet(i, 0)
        const roots = new Set(sides.map((side) => toHex(side.tree.root())))
        assert.equal(roots.size, 1)
      }),
      { numRuns: 15 }
    )
  })
})
