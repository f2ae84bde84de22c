/** trust, review and token at the command line, and what learning says of repeats, flags and secrets. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { TokenFile } from '../../../src/daemon/tokens.ts'
import type { WriteReceipt } from '../../../src/node/api.ts'
import { OTHER_PEER } from '../../support/fake-node.ts'
import { openDoor, temporaryHome, type Door } from '../../support/rpc-door.ts'
import { run, type Ran, type RunOptions } from './cli-run.ts'

async function withDoor(
  t: TestContext
): Promise<{ door: Door; $: (options: RunOptions, ...argv: string[]) => Promise<Ran> }> {
  const file = path.join(temporaryHome(t), 'tokens.json')
  const door = await openDoor(t, {}, await TokenFile.open({ file, required: false, nowMs: () => 1_700_000_000_000 }))
  return { door, $: (options, ...argv) => run(argv, { socket: door.path, ...options }) }
}

const lastAdd = (door: Door): Record<string, unknown> =>
  door.node.calls.findLast((call) => call.method === 'add')?.args[0] as Record<string, unknown>

test('what is typed at a terminal is the user’s, what is piped or run by a program is the agent’s own', async (t) => {
  const { door, $ } = await withDoor(t)
  await $({ typed: true }, 'learn', 'typed by hand')
  assert.equal(lastAdd(door)['origin'], 'user')
  await $({}, 'learn', 'run by a program')
  assert.equal(lastAdd(door)['origin'], 'self')
  await $({ typed: true }, 'learn', 'read somewhere', '--origin', 'document', '--allow-secret')
  assert.deepEqual([lastAdd(door)['origin'], lastAdd(door)['allowSecret']], ['document', true])
  const made = await $({}, 'token', 'add', 'scout', '--space', 'shared:rw', '--origin', 'tool', '--origin', 'import')
  const env = { CHRYSALIS_TOKEN: made.out.trim() }
  await $({ typed: true, env }, 'learn', 'with a token')
  assert.deepEqual([lastAdd(door)['origin'], lastAdd(door)['agent']], ['tool', 'scout'])
  assert.equal((await $({ env }, 'learn', 'x', '--origin', 'user')).status, 5)
})

test('learning says what is known already, what nearly says it, and what is odd', async (t) => {
  const { door, $ } = await withDoor(t)
  const { add } = door.node
  const answer = (more: Partial<WriteReceipt>): void => {
    door.node.add = async (request, options) => ({ ...(await add(request, options)), ...more })
  }
  answer({ created: false, duplicateOf: 'ab'.repeat(32) })
  assert.match((await $({}, 'learn', 'x')).out, /already known/)
  answer({ similar: [{ id: 'cd'.repeat(32), score: 0.97, content: 'nearly\u001b[31m x' }] })
  const similar = await $({}, 'learn', 'x', '--if-new')
  assert.match(similar.out, /cdcdcdcd.*nearly says the same: nearly/)
  assert.ok(!similar.out.includes('\u001b'))
  assert.equal(lastAdd(door)['dedupe'], 'report')
  answer({ flags: ['imperative', 'recall_echo'] })
  const odd = await $({}, 'learn', 'x', '--dedupe', 'allow')
  assert.match(odd.err, /reads like an order[^]*now its parent/)
  assert.equal(lastAdd(door)['dedupe'], 'allow')
  door.node.add = () =>
    Promise.reject(new ChrysalisError('secret_refused', 'content: a secret', { hint: 'pass --allow-secret' }))
  const refused = await $({}, 'learn', 'x')
  assert.deepEqual([refused.status, /--allow-secret/.test(refused.err)], [2, true])
})

test('trust says and lists opinions', async (t) => {
  const { door, $ } = await withDoor(t)
  assert.equal((await $({}, 'trust', OTHER_PEER, 'blocked', '--reason', 'it lies')).status, 0)
  assert.deepEqual(door.node.calls.at(-1), { method: 'trustPeer', args: [OTHER_PEER, 'blocked'] })
  assert.match((await $({}, 'trust', OTHER_PEER, 'default')).out, /as everybody is/)
  assert.deepEqual(door.node.calls.at(-1)?.args, [OTHER_PEER, null])
  assert.match((await $({}, 'trust')).err, /Everybody else is known/)
  assert.deepEqual((await $({}, 'trust', '--json')).json.data, { newcomers: 'known', entries: [] })
  assert.equal((await $({}, 'trust', OTHER_PEER)).status, 2)
  assert.equal((await $({}, 'trust', OTHER_PEER, 'validated')).status, 2, 'a ballot is no opinion')
})

test('review shows why', async (t) => {
  const { door, $ } = await withDoor(t)
  assert.match((await $({}, 'review')).err, /Nothing wants to be looked at/)
  const { id } = await door.node.add({ content: 'odd\u001b[31m' })
  const [item] = await door.node.get([id])
  assert.ok(item !== null && item !== undefined)
  const trust = { tier: 'untrusted', because: 'its origin is "document"' } as const
  const found = { ...item, trust, flags: ['imperative'], reasons: ['hidden', 'flagged'] as const }
  door.node.review = async () => ({ items: [found], cursor: 'next' })
  const { out, err } = await $({}, 'review', '--limit', '1')
  assert.match(out, /untrusted.*flagged, imperative, its origin is "document"/)
  assert.match(err, /--cursor next/)
  assert.ok(!out.includes('\u001b'))
})

test('token makes, lists and takes back', async (t) => {
  const { door, $ } = await withDoor(t)
  const made = await $(
    {},
    'token',
    'add',
    'scout',
    '-s',
    'shared:rw',
    '-s',
    'private',
    '--rate',
    '5',
    '--origin',
    'tool'
  )
  assert.match(made.out, /^chz-tok1:[\w-]{43}\n$/, 'the secret alone is data')
  const { json, out } = await $({}, 'token', 'list', '--json')
  assert.deepEqual(json.data, {
    required: false,
    tokens: [
      {
        name: 'scout',
        spaces: [
          { space: '11'.repeat(16), right: 'rw' },
          { space: '22'.repeat(16), right: 'r' }
        ],
        origins: ['tool'],
        verbs: ['read', 'write'],
        writesPerSecond: 5,
        createdAtMs: 1_700_000_000_000
      }
    ]
  })
  assert.ok(!out.includes(made.out.trim()))
  assert.match((await $({}, 'token', 'list')).out, /scout +shared:rw private:r +read write +tool +5\/s/)
  assert.equal((await $({}, 'token', 'add', 'scout')).status, 7)
  assert.equal((await $({}, 'token', 'add', 'other', '-s', 'shared:x')).status, 2)
  assert.equal((await $({}, 'token', 'add', 'other', '-s', 'nowhere:r')).status, 4)
  assert.equal((await $({}, 'token', 'add', 'other', '--origin', 'derived')).status, 2)
  const reader = await $({}, 'token', 'add', 'reader', '--read', '--admin', '--json')
  assert.deepEqual((reader.json.data?.['token'] as { verbs: string[] }).verbs, ['read', 'admin'])
  assert.match((await $({}, 'token', 'revoke', 'scout')).out, /revoked/)
  assert.equal((await $({}, 'token', 'revoke', 'scout')).status, 4)
  assert.equal((await $({ env: { CHRYSALIS_TOKEN: made.out.trim() } }, 'status')).status, 5)
  assert.equal(door.control.tokens.list().length, 1)
})
