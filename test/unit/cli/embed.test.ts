/** `chrysalis embed`: what reaches the daemon, and what a person sees. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openDoor } from '../../support/rpc-door.ts'
import { run, type Ran } from './cli-run.ts'

async function cli(t: TestContext) {
  const door = await openDoor(t)
  return {
    asked: (method: string) => door.node.calls.filter((call) => call.method === method).map((call) => call.args[0]),
    $: (...argv: string[]): Promise<Ran> => run(argv, { socket: door.path, home: door.home })
  }
}

test('embed shows how the embedder stands', async (t) => {
  const { $ } = await cli(t)
  const shown = await $('embed')
  assert.equal(
    shown.out,
    [
      'provider    client',
      'model       fake-model',
      'dimensions  4',
      'state       stale',
      'texts       3, with a vector: 2',
      'waiting     1',
      ''
    ].join('\n')
  )
  const { data } = JSON.parse((await $('embed', 'status', '--json')).out) as { data: { indexed: number } }
  assert.equal(data.indexed, 2)
})

test('embed test sends a text of its own, or the one that is given', async (t) => {
  const { $, asked } = await cli(t)
  assert.equal((await $('embed', 'test')).out, 'fake-model answered in 7 ms with 4 components.\n')
  await $('embed', 'test', 'my text')
  const [first, second] = asked('embedTest')
  assert.ok(typeof first === 'string' && first.length > 10)
  assert.equal(second, 'my text')
})

test('what cannot be meant is said', async (t) => {
  const { $ } = await cli(t)
  assert.equal((await $('embed', 'status', 'text')).status, 2)
  assert.equal((await $('embed', 'frobnicate')).status, 2)
})
