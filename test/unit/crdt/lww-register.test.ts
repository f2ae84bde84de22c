import assert from 'node:assert/strict'
import { test } from 'node:test'
import { laterOf, lwwRegister, reversed, writeDelta, type Order } from '../../../src/crdt/lww-register.ts'

const byNumber: Order<number> = (a, b) => a - b

test('the later write stays, whichever comes first', () => {
  const early = { value: 'old', stamp: 1 }
  const late = { value: 'new', stamp: 2 }
  assert.equal(laterOf(early, late, byNumber), late)
  assert.equal(laterOf(late, early, byNumber), late)
  assert.equal(laterOf(undefined, early, byNumber), early)
  assert.equal(laterOf(null, early, byNumber), early)
})

test('a write repeated changes nothing', () => {
  const register = { value: 'x', stamp: 1 }
  assert.equal(laterOf(register, { value: 'x', stamp: 1 }, byNumber), register)
})

test('an explicit clear is a write like any other', () => {
  const set = { value: 'x' as string | null, stamp: 1 }
  const clear = { value: null, stamp: 2 }
  assert.equal(laterOf(set, clear, byNumber).value, null)
  assert.equal(laterOf(clear, set, byNumber).value, null)
})

test('with the order reversed the first writer wins', () => {
  const early = { value: 'first', stamp: 1 }
  const late = { value: 'second', stamp: 2 }
  const first = lwwRegister<string, number>(reversed(byNumber))
  assert.equal(first.join(late, early).value, 'first')
  assert.equal(first.join(early, late).value, 'first')
})

test('the delta of a write is the write, or nothing when it comes too late', () => {
  assert.deepEqual(writeDelta(null, 'x', 1, byNumber), { value: 'x', stamp: 1 })
  assert.deepEqual(writeDelta({ value: 'x', stamp: 1 }, 'y', 2, byNumber), { value: 'y', stamp: 2 })
  assert.equal(writeDelta({ value: 'x', stamp: 2 }, 'y', 1, byNumber), null)
  assert.equal(writeDelta({ value: 'x', stamp: 2 }, 'x', 2, byNumber), null)
})

test('registers are equal when they hold the same write', () => {
  const { equals } = lwwRegister<string, number>(byNumber)
  assert.equal(equals({ value: 'x', stamp: 1 }, { value: 'x', stamp: 1 }), true)
  assert.equal(equals({ value: 'x', stamp: 1 }, { value: 'x', stamp: 2 }), false)
})
