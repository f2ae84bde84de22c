/**
 * Every way in which an earlier, document-wise merge was shown to break, replayed against this one. Each test keeps the
 * values of its counterexample, so that it reads as the story of one mistake and of why it cannot happen here.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '../../../src/base/assert.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { createHybridClock } from '../../../src/crdt/hybrid-clock.ts'
import { compareStamps, dotOf, hlcMs, hlcOf } from '../../../src/memory/ids.ts'
import type { MemoryView } from '../../../src/memory/memory-view.ts'
import { FIELDS, KINDS, type FieldValue, type Field, type KnownOp, type Target } from '../../../src/memory/ops.ts'
import { encodeRecord } from '../../../src/memory/record-codec.ts'
import { emptyRecord, joinRecords, MERGE_TABLE, type RecordState } from '../../../src/memory/record.ts'
import { viewRecord } from '../../../src/memory/view.ts'
import { epoch8, fold, id32, RECORD, type PlacedOp } from '../../support/ops-arbitrary.ts'

const target: Target = { by: 'id', id: RECORD }
const [A, B, C] = [id32(51), id32(52), id32(53)] as const

/** A delta by `author` at `ms`; its name stands for its hash. */
function delta(name: number, author: string, ms: number, ...ops: KnownOp[]): PlacedOp[] {
  return ops.map((op, index) => ({
    op,
    stamp: { hlc: hlcOf(ms), author, delta: id32(name), index },
    epoch: epoch8(0)
  }))
}

const set = (field: Field, value: FieldValue): KnownOp => ({ op: 'set', target, field, value })
const create = (source: string): KnownOp => ({ op: 'create', target, documentType: 'memory', memoryType: null, source })
const tag = (name: string): KnownOp => ({ op: 'tag', target, tag: name })

function view(record: RecordState): MemoryView {
  const seen = viewRecord(record, { space: '00'.repeat(16), nowMs: 0 })
  assert.ok(seen !== undefined)
  return seen
}

const bytes = (record: RecordState): string => toHex(encodeRecord(record))

/** Joins in every order and grouping of three give one state, which is returned. */
function joined(a: RecordState, b: RecordState, c: RecordState = emptyRecord(RECORD)): RecordState {
  const whole = joinRecords(joinRecords(a, b), c)
  for (const [x, y, z] of [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a]
  ] as const) {
    assert.equal(bytes(joinRecords(joinRecords(x, y), z)), bytes(whole), 'left grouping')
    assert.equal(bytes(joinRecords(x, joinRecords(y, z))), bytes(whole), 'right grouping')
  }
  return whole
}

test('a. merging a state with itself, or a delta twice, changes no version', () => {
  const record = fold(delta(1, A, 1, create('a'), set('content', 'x')))
  assert.equal(view(record).version, 1)
  assert.equal(bytes(joinRecords(record, record)), bytes(record))
  assert.equal(bytes(fold(delta(1, A, 1, create('a'), set('content', 'x')), record)), bytes(record))
})

test('b. the version does not depend on the grouping of merges', () => {
  const [a, b] = [fold(delta(1, A, 1, create('a'), set('content', 'a'))), fold(delta(2, B, 1, set('content', 'b')))]
  const five = [3, 4, 5, 6, 7].flatMap((name) => delta(name, C, name, set('content', `c${name}`)))
  assert.equal(view(joined(a, b, fold(five))).version, 7)
})

test('c. three writes of one millisecond give one result in all orders', () => {
  const [a, b, c] = [A, B, C].map((author, i) => fold(delta(i + 1, author, 5, create('s'), set('content', `v${i}`))))
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  assert.equal(view(joined(a, b, c)).content, 'v2')
})

test('d. writes that carry no time at all still have an order', () => {
  const whole = joined(
    fold(delta(1, A, 0, create('s'), set('content', 'x'))),
    fold(delta(2, A, 0, set('content', 'y'))),
    fold(delta(3, A, 0, set('content', 'z')))
  )
  assert.equal(view(whole).content, 'z')
})

test('e. a newer write to one field does not re-date the others', () => {
  const a = fold(delta(1, A, 2, create('s'), set('path', '/newer')))
  const b = fold(delta(2, B, 0, set('content', 'x')))
  const c = fold(delta(3, C, 1, set('content', 'y')))
  const whole = view(joined(a, b, c))
  assert.deepEqual([whole.content, whole.path], ['y', '/newer'])
})

test('f. an explicit clear is not undone by an older value', () => {
  const old = fold(delta(1, A, 1, create('s'), set('path', '/e1')))
  const cleared = fold(delta(2, A, 9, set('path', null)))
  assert.equal(view(joined(old, cleared, emptyRecord(RECORD))).path, null)
})

test('g. origin and creation time converge, whoever merges', () => {
  const x = fold(delta(1, A, 1, create('A'), set('content', 'x')))
  const z = fold(delta(2, C, 2, create('C'), set('content', 'z')))
  const whole = view(joined(x, z))
  assert.deepEqual([whole.source, whole.createdAt, whole.author], ['A', 1, A])
})

test('h. local knowledge is no part of a state, and provenance comes from the write itself', () => {
  const parts = Object.keys(MERGE_TABLE)
  for (const local of ['syncState', 'syncStatus', 'writer', 'embedding']) assert.ok(!parts.includes(local), local)
  const written = fold(delta(1, A, 1, create('s'), set('content', 'x')))
  const elsewhere = joined(written, fold(delta(2, B, 2, tag('seen'))))
  assert.equal(view(elsewhere).contentPeer, authorToPeerId(A), 'merging at B does not make B the writer')
})

test('i. sets have one order in bytes, and a field holds one value, never a union of two', () => {
  const tags = ['d', 'c', 'a', 'b']
  const forwards = fold(tags.flatMap((name, i) => delta(i, A, i, tag(name))))
  const backwards = fold([...tags.entries()].reverse().flatMap(([i, name]) => delta(i, A, i, tag(name))))
  assert.equal(bytes(forwards), bytes(backwards))
  const [first, second] = ['[0.1,0.2,0.1]', '[0.3,0.2,0.5]']
  const a = fold(delta(8, A, 1, create('s'), set('content', first)))
  const b = fold(delta(9, B, 2, set('content', second)))
  assert.equal(view(joined(a, b, forwards)).content, second)
  assert.deepEqual(view(joined(a, b, forwards)).tags, ['a', 'b', 'c', 'd'])
})

test('j. a removal survives a merge with a replica that still has the tag', () => {
  const added = delta(1, A, 1, create('s'), tag('x'))
  const removal = delta(2, B, 2, { op: 'untag', target, tag: 'x', dots: [dotOf(id32(1), 1)] })
  const replicaB = fold([...added, ...removal])
  assert.deepEqual(view(joined(replicaB, fold(added))).tags, [])
  assert.deepEqual(view(fold([...removal, ...added])).tags, [], 'and when it arrives first')
  const again = fold(delta(3, A, 2, tag('x')))
  assert.deepEqual(view(joined(replicaB, fold(added), again)).tags, ['x'], 'a concurrent add wins')
})

test('k. two writes by one author in one tick of the clock have an order', () => {
  const p = fold(delta(1, A, 1, create('s'), set('content', 'v1')))
  const q = fold(delta(2, A, 1, set('content', 'v2')))
  assert.equal(view(joined(p, q)).content, 'v2')
  const within = delta(4, B, 1, create('s'), set('content', 'first'), set('content', 'second'))
  assert.equal(view(fold(within)).content, 'second')
  assert.equal(view(fold([...within].reverse())).content, 'second')
})

test('l. a writer whose clock is a year ahead drags nobody along, and whoever saw a write can overwrite it', () => {
  const now = 1_700_000_000_000
  const clock = createHybridClock()
  assert.equal(clock.observe(hlcOf(now + 365 * 86_400_000), now), false)
  assert.equal(hlcMs(clock.tick(now)), now)
  const ahead = hlcOf(now + 100_000)
  assert.equal(clock.observe(ahead, now), true)
  const theirs = { hlc: ahead, author: C, delta: id32(99), index: 9 }
  const ours = { hlc: clock.tick(now), author: A, delta: id32(1), index: 0 }
  assert.ok(compareStamps(ours, theirs) > 0)
  for (const wrong of [Number.NaN, Infinity]) assert.throws(() => clock.tick(wrong), AssertionError)
})

test('m. concurrent counting counts everything', () => {
  const access = (total: number): KnownOp => ({ op: 'access', target, total })
  const base = delta(1, C, 1, create('s'), access(10))
  const a = fold([...base, ...delta(2, A, 2, access(3))])
  const b = fold([...base, ...delta(3, B, 2, access(4))])
  assert.equal(view(joined(a, b)).accessCount, 17)
})

test('n. one author cannot pin a number for everyone', () => {
  const claim = (name: number, author: string, value: number): PlacedOp[] =>
    delta(name, author, name, { op: 'importance', target, value })
  const honest = fold([...delta(1, A, 1, create('s')), ...claim(2, A, 2_000), ...claim(3, B, 3_000)])
  const whole = view(joined(honest, fold(claim(4, C, 10_000))))
  assert.deepEqual(whole.importance, { max: 1, effective: 0.3 })
})

test('o. no vector is merged beside a text it does not belong to', () => {
  assert.ok(![...FIELDS, ...Object.keys(MERGE_TABLE)].some((name) => /embed|vector/.test(name)))
  const a = fold(delta(1, A, 1, create('s'), set('content', 'text of A')))
  const b = fold(delta(2, B, 2, set('content', 'text of B')))
  const whole = view(joined(a, b))
  assert.deepEqual([whole.content, whole.contentBy], ['text of B', id32(2)], 'a text is named with its own delta')
})

test('p. receiving is not writing: times and authors stay those of the sender', () => {
  const sent = fold(delta(1, A, 1, create('s'), set('content', 'x')))
  const received = joinRecords(emptyRecord(RECORD), sent)
  assert.equal(bytes(received), bytes(sent))
  assert.deepEqual(received.updated, { hlc: hlcOf(1), author: A, delta: id32(1), index: 1 })
})

test('q. two answers about one memory are joined, neither overwrites the other', () => {
  const local = fold(delta(1, A, 3, create('s'), set('content', 'newer here'), tag('local')))
  const remote = fold(delta(2, B, 2, set('content', 'older there'), tag('remote')))
  const whole = view(joined(local, remote))
  assert.deepEqual([whole.content, whole.tags], ['newer here', ['local', 'remote']])
})

test('two replicas, four updates, another order, one delivered twice: 0 of 2,000 pairs diverge', () => {
  let diverged = 0
  for (let seed = 0; seed < 2_000; seed++) {
    const random = new SeededRandom(`regression-${seed}`)
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T
    const updates = [1, 2, 3, 4].map((name) => {
      const ops = [
        pick([create('s'), set('content', pick(['x', 'y', 'z'])), tag(pick(['p', 'q'])), set('kind', pick(KINDS))]),
        pick([set('path', pick([null, '/a'])), { op: 'importance', target, value: random.below(10_001) } as const])
      ]
      return delta(name, pick([A, B, C]), random.below(3), ...ops)
    })
    const shuffled = [...updates, pick(updates)]
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = random.below(i + 1)
      ;[shuffled[i], shuffled[j]] = [shuffled[j] as PlacedOp[], shuffled[i] as PlacedOp[]]
    }
    if (bytes(fold(updates.flat())) !== bytes(fold(shuffled.flat()))) diverged++
  }
  assert.equal(diverged, 0)
})
