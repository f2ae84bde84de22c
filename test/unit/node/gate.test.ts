/** Back-pressure: how many are inside, and in which order they come in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gate } from '../../../src/node/gate.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function entered(gate: Gate, count: number): { isIn: boolean } {
  const state = { isIn: false }
  void gate.enter(count).then(() => {
    state.isIn = true
  })
  return state
}

test('lets in up to its bound, the rest in the order in which they came', async () => {
  const gate = new Gate(10)
  const first = entered(gate, 6)
  const second = entered(gate, 4)
  const third = entered(gate, 1)
  const fourth = entered(gate, 6)
  await turn()
  assert.deepEqual([first.isIn, second.isIn, third.isIn, fourth.isIn], [true, true, false, false])
  assert.equal(gate.inside, 10)
  gate.leave(4)
  await turn()
  assert.deepEqual([third.isIn, fourth.isIn], [true, false], 'seven are inside; six more do not fit')
  const late = entered(gate, 1)
  await turn()
  assert.equal(late.isIn, false, 'nobody overtakes')
  gate.leave(6)
  await turn()
  assert.deepEqual([fourth.isIn, late.isIn], [true, true])
  assert.equal(gate.inside, 8)
})

test('more than the bound at once goes in alone', async () => {
  const gate = new Gate(3)
  const small = entered(gate, 1)
  const large = entered(gate, 5)
  await turn()
  assert.deepEqual([small.isIn, large.isIn], [true, false])
  gate.leave(1)
  await turn()
  assert.equal(large.isIn, true)
  assert.equal(gate.inside, 5)
})
