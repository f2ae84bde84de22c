/** The door without a socket: the same checks, the same answers and the same refusals as over the wire. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { localCaller } from '../../../src/rpc/local.ts'
import { createFakeControl, createFakeNode } from '../../support/fake-node.ts'

function setUp() {
  const node = createFakeNode()
  const control = createFakeControl()
  return { node, control, caller: localCaller(node, control) }
}

test('a call is answered as the table says', async () => {
  const { caller } = setUp()
  const { id } = await caller.call('memory.add', { content: 'one' })
  const { items } = await caller.call('memory.get', { ids: [id.slice(0, 8)] })
  assert.equal(items[0]?.content, 'one')
})

test('what the table does not allow is refused in its words', async () => {
  const { caller, node } = setUp()
  await assert.rejects(caller.call('memory.add', { content: '' }), { code: 'invalid_argument' })
  const typo = caller.call('memory.add', { content: 'x', contnt: 'y' } as never)
  await assert.rejects(typo, { code: 'invalid_argument', hint: 'Did you mean content?' })
  await assert.rejects(caller.call('memory.nope' as never, {} as never), { code: 'invalid_argument' })
  await assert.rejects(caller.call('memory.add', ['x'] as never), { code: 'invalid_argument' })
  assert.equal(node.calls.length, 0)
})

test('a slow engine is not waited for longer than was said, and finishes all the same', async () => {
  const { caller, node } = setUp()
  const release = node.hold('add')
  const late = caller.call('memory.add', { content: 'slow' }, { timeoutMs: 10 })
  await assert.rejects(late, { code: 'timeout', stateTouched: true })
  release()
  await new Promise((resolve) => setImmediate(resolve))
  const { items } = await caller.call('memory.list', {})
  assert.equal(items[0]?.content, 'slow')
})

test('errors of the engine come through', async () => {
  const { caller, node } = setUp()
  node.fail('search', new Error('disk on fire'))
  await assert.rejects(caller.call('memory.search', { query: 'x' }), /disk on fire/)
  await assert.rejects(caller.call('memory.resolve', { reference: 'abcdef' }), { code: 'not_found' })
})

test('events need a connection', async () => {
  const { caller } = setUp()
  await assert.rejects(caller.call('events.open', {}), { code: 'invalid_argument' })
  assert.deepEqual(await caller.call('events.close', { subscription: 's1' }), { closed: false })
  assert.deepEqual(await caller.call('rpc.cancel', { id: 1 }), { cancelled: false })
})

test('what happens after the answer happens after it', async () => {
  const { caller, control } = setUp()
  const answer = await caller.call('node.stop', {})
  assert.deepEqual([answer, control.stops], [{ stopping: true }, 0])
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(control.stops, 1)
})
