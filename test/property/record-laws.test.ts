/**
 * A record is a function of the set of operations that name it: not of their order, number, grouping, nor of the
 * replicas they passed. States are compared by their encoded bytes, which are what daemons compare.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { equalBytes, toHex } from '../../src/base/bytes.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { decodeRecord, encodeRecord } from '../../src/memory/record-codec.ts'
import { cloneRecord, emptyRecord, equalRecords, joinRecords, type RecordState } from '../../src/memory/record.ts'
import { viewRecord } from '../../src/memory/view.ts'
import { fold, history, RECORD } from '../support/ops-arbitrary.ts'

const same = (a: RecordState, b: RecordState, what: string): void => {
  assert.equal(toHex(encodeRecord(a)), toHex(encodeRecord(b)), what)
  assert.ok(equalRecords(a, b), what)
}

test('operations in any order, each any number of times, give the same bytes and the same view', () => {
  const scenario = history.chain((ops) =>
    fc.tuple(fc.constant(ops), fc.shuffledSubarray([...ops, ...ops], { minLength: 2 * ops.length }))
  )
  const options = { space: '00'.repeat(16), nowMs: 1_700_000_000_000 }
  fc.assert(
    fc.property(scenario, ([ops, shuffled]) => {
      const [a, b] = [fold(ops), fold(shuffled)]
      same(a, b, 'order and repetition do not matter')
      assert.deepEqual(viewRecord(a, options), viewRecord(b, options))
    }),
    { numRuns: 400 }
  )
})

test('replicas that hold different parts agree once joined, whichever joins first', () => {
  const scenario = history.chain((ops) =>
    fc.tuple(fc.constant(ops), fc.subarray(ops), fc.subarray(ops), fc.subarray(ops))
  )
  fc.assert(
    fc.property(scenario, ([ops, p, q, r]) => {
      const [whole, a, b, c] = [fold(ops), fold(p), fold(q), fold(r)]
      same(joinRecords(joinRecords(a, b), c), joinRecords(a, joinRecords(b, c)), 'associative')
      same(joinRecords(a, b), joinRecords(b, a), 'commutative')
      same(joinRecords(a, a), a, 'idempotent')
      same(joinRecords(emptyRecord(RECORD), a), a, 'empty is neutral')
      same(joinRecords(a, whole), whole, 'a part adds nothing to the whole')
      same(fold(ops, joinRecords(b, c)), whole, 'operations on top of a join')
    }),
    { numRuns: 300 }
  )
})

test('an operation is a delta: applying it is joining the state it makes of an empty record', () => {
  const scenario = history.filter((ops) => ops.length > 0)
  fc.assert(
    fc.property(scenario, (ops) => {
      const last = ops.slice(-1)
      const before = fold(ops.slice(0, -1))
      same(joinRecords(before, fold(last)), fold(ops), 'delta-join is state-join')
      same(joinRecords(before, fold(ops)), fold(ops), 'and it only climbs')
    })
  )
})

test('a clone and a join change with nothing else', () => {
  fc.assert(
    fc.property(history, history, (p, q) => {
      const record = fold(p)
      const bytes = encodeRecord(record)
      fold(q, cloneRecord(record))
      fold(q, joinRecords(record, record))
      fold(q, joinRecords(emptyRecord(RECORD), record))
      assert.ok(equalBytes(bytes, encodeRecord(record)))
    })
  )
})

test('decoding an encoding gives the state back, and encoding that the same bytes', () => {
  fc.assert(
    fc.property(history, (ops) => {
      const record = fold(ops)
      const bytes = encodeRecord(record)
      const decoded = decodeRecord(bytes)
      assert.deepEqual(decoded, record)
      assert.ok(equalBytes(encodeRecord(decoded), bytes))
    }),
    { numRuns: 400 }
  )
})

test('a record goes on growing the same way after it was stored', () => {
  fc.assert(
    fc.property(history, fc.nat(32), (ops, cut) => {
      const stored = decodeRecord(encodeRecord(fold(ops.slice(0, cut))))
      same(fold(ops, stored), fold(ops), 'restart in between')
    })
  )
})

test('a byte changed in a stored record is refused, or is the encoding of some other state', () => {
  const mutation = fc.tuple(history, fc.nat(), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(mutation, ([ops, place, flip]) => {
      const bytes = encodeRecord(fold(ops))
      const at = place % bytes.length
      bytes[at] = (bytes[at] as number) ^ flip
      try {
        assert.ok(equalBytes(encodeRecord(decodeRecord(bytes)), bytes))
      } catch (error) {
        assert.ok(isChrysalisError(error, 'corrupt'), String(error))
      }
    }),
    { numRuns: 1_000 }
  )
})

test('bytes cut short or added to are refused', () => {
  fc.assert(
    fc.property(history, fc.nat(), (ops, place) => {
      const bytes = encodeRecord(fold(ops))
      const isCorrupt = (error: unknown): boolean => isChrysalisError(error, 'corrupt')
      assert.throws(() => decodeRecord(bytes.slice(0, place % bytes.length)), isCorrupt)
      assert.throws(() => decodeRecord(Uint8Array.of(...bytes, 0)), isCorrupt)
    })
  )
})
