/** For any two sets the sessions end with both holding the union; for any bytes on the wire nothing throws or breaks. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { NOW_MS, Side, key, session, settle, someKeys } from '../unit/sync/recon-pair.ts'

/** Few times and labels: ranges crowded enough to branch, and sets that overlap. An id has one time, as hashes have it. */
const someKey = fc
  .tuple(fc.nat(60), fc.nat(80))
  .map(([ms, label]) => key(NOW_MS - 9_000_000 + ms * 1_013, `${ms}/${label}`))
const someSet = fc.array(someKey, { maxLength: 500, size: 'max' })
const padding = fc.constantFrom(0, 300, 30_000)

function union(a: readonly Uint8Array[], b: readonly Uint8Array[]): string[] {
  return [...new Set([...a, ...b].map(toHex))].sort()
}

suite('reconciler, for all sets', () => {
  test('one session leaves both with the union, with or without a sketch, in whatever order things happen', () => {
    fc.assert(
      fc.property(
        someSet,
        someSet,
        padding,
        fc.boolean(),
        fc.boolean(),
        fc.option(fc.nat(1_000)),
        (left, right, bytes, sketch, expectEqual, shuffled) => {
          const a = new Side(left, bytes)
          const b = new Side(right, bytes)
          const expected = union(left, right)
          const [countA, countB] = [a.tree.count, b.tree.count]
          const same = toHex(a.tree.root()) === toHex(b.tree.root())
          const shuffle = shuffled === null ? {} : { shuffle: new SeededRandom(`${shuffled}`) }
          const log = session(a, b, { sketch, expectEqual, ...shuffle })
          for (const end of [log.initiator, log.responder]) assert.equal(end.result, same ? 'equal' : 'repaired')
          for (const side of [a, b]) {
            assert.deepEqual(side.tree.snapshot().keysFrom(undefined, 2_000).map(toHex), expected)
            assert.deepEqual([...side.records.keys()].sort(), expected)
          }
          assert.deepEqual(
            [log.initiator.received, log.responder.sent],
            [expected.length - countA, expected.length - countA]
          )
          assert.deepEqual(
            [log.responder.received, log.initiator.sent],
            [expected.length - countB, expected.length - countB]
          )
          assert.deepEqual([log.initiator.known, log.responder.known], [0, 0])
          assert.equal(log.initiator.metadataBytes, log.responder.metadataBytes)
        }
      ),
      { numRuns: 40 }
    )
  })

  test('scattered differences between sets of thousands', () => {
    const common = someKeys('common', 4_000)
    fc.assert(
      fc.property(fc.nat(400), fc.nat(400), fc.nat(1_000_000), fc.boolean(), (onlyA, onlyB, seed, sketch) => {
        const a = new Side([...common, ...someKeys(`a ${seed}`, onlyA)], 20)
        const b = new Side([...common, ...someKeys(`b ${seed}`, onlyB)], 20)
        const log = session(a, b, { sketch })
        assert.equal(log.initiator.result, onlyA + onlyB === 0 ? 'equal' : 'repaired')
        assert.deepEqual(a.tree.root(), b.tree.root())
        assert.deepEqual([log.initiator.received, log.responder.received], [onlyB, onlyA])
      }),
      { numRuns: 12 }
    )
  })

  test('however little a session may do, sessions in a row reach the union, and none blames anybody', () => {
    const bounds = fc.record({
      frameBytes: fc.constantFrom(200, 1_000, 5_000),
      compareBytes: fc.constantFrom(3_000, 10_000, 700_000),
      openRanges: fc.constantFrom(20, 8_192),
      windowPages: fc.constantFrom(1, 2, 4),
      deltas: fc.constantFrom(60, 300, 20_000)
    })
    fc.assert(
      fc.property(someSet, someSet, bounds, fc.boolean(), fc.nat(1_000), (left, right, narrow, sketch, seed) => {
        const [a, b] = [new Side(left), new Side(right)]
        const expected = union(left, right).length
        for (let round = 0; a.tree.count < expected || b.tree.count < expected; round++) {
          assert.ok(round < 300, 'each session gets somewhere')
          const shuffle = new SeededRandom(`${seed} ${round}`)
          const turn = round % 2 === 0 ? ([a, b] as const) : ([b, a] as const)
          const log = session(...turn, { sketch: sketch && narrow.compareBytes > 10_000, bounds: narrow, shuffle })
          for (const end of [log.initiator, log.responder]) {
            assert.deepEqual([end.violation, end.detail], [undefined, undefined])
            assert.ok(end.compareBytes <= narrow.compareBytes && Math.max(end.sent, end.received) <= narrow.deltas)
            assert.equal(end.result === 'repaired' || end.result === 'equal', !end.cut)
          }
        }
      }),
      { numRuns: 20 }
    )
  })

  test('a frame lost, cut short, changed, repeated or replaced never throws and never adds what neither had', () => {
    fc.assert(
      fc.property(
        someSet,
        someSet,
        fc.nat(12),
        fc.constantFrom('lose', 'cut', 'flip', 'replace', 'repeat'),
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
              if (how === 'lose') return undefined
              if (how === 'cut') return frame.slice(0, place % frame.length)
              if (how === 'repeat') return before
              if (how === 'replace') return garbage
              const changed = frame.slice()
              changed[place % frame.length] = (changed[place % frame.length] as number) ^ (1 << (place % 8))
              return changed
            }
          })
          // Without signatures a changed record counts as another; a changed length, as two. All others are somebody's.
          const expected = new Set(union(left, right))
          const strangers = [...a.records.keys(), ...b.records.keys()].filter((one) => !expected.has(one))
          assert.ok(new Set(strangers).size <= 2)
          for (const one of left) assert.ok(a.tree.has(one))
          for (const one of right) assert.ok(b.tree.has(one))
          for (const side of [a, b]) assert.equal(side.tree.count, side.records.size)
        }
      ),
      { numRuns: 200 }
    )
  })

  test('any bytes at any point end a session or are answered, and nothing throws', () => {
    // Half of them begin with the code of a frame.
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .tuple(fc.integer({ min: 1, max: 14 }), fc.uint8Array({ maxLength: 60 }))
        .map(([code, rest]) => Uint8Array.of(code, ...rest))
    )
    fc.assert(
      fc.property(someSet, fc.array(bytes, { maxLength: 6 }), (keys, frames) => {
        const side = new Side(keys)
        for (const machine of [side.initiator(), side.responder()]) {
          settle(machine, side, { event: 'start' })
          for (const one of frames) settle(machine, side, { event: 'frame', bytes: one })
        }
      }),
      { numRuns: 200 }
    )
  })

  test('sessions between many replicas in any order bring all to one set', () => {
    const pairs = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 12 })
    fc.assert(
      fc.property(fc.array(someSet, { minLength: 5, maxLength: 5 }), pairs, fc.boolean(), (sets, order, sketch) => {
        const sides = sets.map((one) => new Side(one))
        const meet = (i: number, j: number): void => {
          if (i !== j) session(sides[i] as Side, sides[j] as Side, { sketch })
        }
        for (const [i, j] of order) meet(i, j)
        for (let i = 1; i < 5; i++) meet(0, i)
        for (let i = 1; i < 5; i++) meet(i, 0)
        const roots = new Set(sides.map((side) => toHex(side.tree.root())))
        assert.equal(roots.size, 1)
      }),
      { numRuns: 8 }
    )
  })
})
