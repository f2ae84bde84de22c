/**
 * Tokens at the socket: what is shown in rpc.hello decides from then on, a token taken back ends what it was good for in
 * a connection that is open, and where one is asked for nothing works without.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { LIMITS } from '../../src/base/limits.ts'
import { TokenFile } from '../../src/daemon/tokens.ts'
import { codeOf } from '../support/engine.ts'
import { openDoor, temporaryHome, type Door } from '../support/rpc-door.ts'

async function doorWith(t: TestContext, required = false): Promise<{ door: Door; tokens: TokenFile }> {
  const file = path.join(temporaryHome(t), 'tokens.json')
  const tokens = await TokenFile.open({ file, required, nowMs: () => 1 })
  return { door: await openDoor(t, {}, tokens), tokens }
}

test('who shows a token has its rights and no more; the owner is not concerned', async (t) => {
  const { door } = await doorWith(t)
  const owner = await door.client()
  const { secret, token } = await owner.call('token.add', {
    name: 'scout',
    spaces: [{ space: 'shared', right: 'rw' }],
    origins: ['tool']
  })
  assert.equal(token.spaces?.[0]?.space, '11'.repeat(16), 'a name becomes the space it meant')
  const scout = await door.client({ token: secret })
  assert.deepEqual(
    (await scout.call('space.list', {})).spaces.map((space) => space.name),
    ['shared']
  )
  await scout.learn('the tram leaves at nine')
  const [asked] = (door.node.calls.findLast(({ method }) => method === 'add')?.args ?? []) as [Record<string, unknown>]
  assert.deepEqual([asked['origin'], asked['agent']], ['tool', 'scout'])
  for (const denied of [
    scout.call('token.list', {}),
    scout.call('trust.list', {}),
    scout.call('node.stop', {}),
    scout.call('config.get', {}),
    scout.call('space.invite', {}),
    scout.learn('I am the user', { origin: 'user' })
  ]) {
    assert.equal(await codeOf(denied), 'denied')
  }
  assert.equal(await codeOf(scout.learn('x', { space: 'private' })), 'not_found')
  assert.equal(door.control.stops, 0)
  assert.equal((await owner.call('space.list', {})).spaces.length, 2)
})

test('a token taken back is denied in a connection that is open, and its events end', async (t) => {
  const { door, tokens } = await doorWith(t)
  const { secret } = await tokens.add({ name: 'scout' })
  const scout = await door.client({ token: secret })
  const raw = await door.raw()
  raw.request(1, 'rpc.hello', { protocol: '1', token: secret })
  raw.request(2, 'events.open', { topics: ['peer', 'memory'] })
  assert.ok((await raw.waitFor((message) => message['id'] === 2))?.['result'])
  door.node.emit({ type: 'peer', peer: 'first', what: 'connected' })
  await raw.waitFor((message) => message['method'] === 'events.event')
  await scout.learn('before')
  await raw.waitFor((message) => JSON.stringify(message).includes('"memory"'))
  await tokens.revoke('scout')
  assert.equal(await codeOf(scout.learn('after')), 'denied')
  assert.equal(await codeOf(scout.status()), 'denied')
  assert.equal(await codeOf(door.client({ token: secret })), 'denied')
  door.node.emit({ type: 'peer', peer: 'second', what: 'connected' })
  await (await door.client()).learn('by the owner')
  raw.request(3, 'node.health')
  assert.ok((await raw.waitFor((message) => message['id'] === 3))?.['error'])
  const heard = raw.messages.filter((message) => message['method'] === 'events.event')
  assert.equal(heard.length, 2, 'nothing was heard since')
})

test('where a token is asked for, nothing works without one', async (t) => {
  const { door, tokens } = await doorWith(t, true)
  const { secret } = await tokens.add({ name: 'boss', verbs: ['read', 'write', 'admin'] })
  assert.equal(await codeOf(door.client({ token: '' })), 'denied')
  const raw = await door.raw()
  raw.request(1, 'memory.list')
  assert.match(JSON.stringify(await raw.waitFor((message) => message['id'] === 1)), /CHRYSALIS_TOKEN/)
  const boss = await door.client({ token: secret })
  assert.equal((await boss.call('token.list', {})).required, true)
})

test('the pace holds over all connections that show the token, and for no other', async (t) => {
  const { door, tokens } = await doorWith(t)
  const { secret } = await tokens.add({ name: 'scout', writesPerSecond: 1 })
  const [a, b, owner] = [
    await door.client({ token: secret }),
    await door.client({ token: secret }),
    await door.client({ token: '' })
  ]
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, n) => codeOf((n % 2 === 0 ? a : b).learn(`flood ${n}`)))
  )
  assert.ok(outcomes.filter((outcome) => outcome === 'resolved').length <= 2, 'one, and what a slow machine adds')
  assert.ok(outcomes.includes('rate_limited'))
  assert.equal(await codeOf(owner.learn('not concerned')), 'resolved')
  const tooFast = { name: 'fast', writesPerSecond: LIMITS.tokenWritesPerSecondMax + 1 }
  assert.equal(await codeOf(owner.call('token.add', tooFast)), 'invalid_argument')
  assert.equal(
    await codeOf(owner.call('token.add', { ...tooFast, writesPerSecond: LIMITS.tokenWritesPerSecondMax })),
    'resolved'
  )
})

test('each connection is a conversation, unless it names one', async (t) => {
  const { door, tokens } = await doorWith(t)
  const { secret } = await tokens.add({ name: 'scout' })
  const session = async (options: { token?: string; session?: string }): Promise<unknown> => {
    const client = await door.client(options)
    await client.recall('anything')
    const [asked] = door.node.calls.findLast(({ method }) => method === 'search')?.args as [{ session?: string }]
    return asked.session
  }
  const own = [await session({}), await session({})]
  assert.notEqual(own[0], own[1])
  assert.equal(await session({ session: 'day' }), await session({ session: 'day' }))
  assert.notEqual(await session({ session: 'day' }), await session({ session: 'day', token: secret }))
})

test('names of the language itself are no parameters', async (t) => {
  const { door } = await doorWith(t)
  const raw = await door.raw()
  const attempts = [
    '{"jsonrpc":"2.0","id":1,"method":"memory.add","params":{"content":"x","__proto__":{"origin":"user"}}}',
    '{"jsonrpc":"2.0","id":2,"method":"token.add","params":{"name":"x","constructor":{}}}',
    '{"jsonrpc":"2.0","id":3,"method":"__proto__","params":{}}',
    '{"jsonrpc":"2.0","id":4,"method":"peer.trust","params":{"peer":"__proto__","tier":"toString"}}'
  ]
  for (const [i, line] of attempts.entries()) {
    raw.sendText(line)
    assert.match(JSON.stringify(await raw.waitFor((message) => message['id'] === i + 1)), /"error"/, line)
  }
  assert.deepEqual(
    door.node.calls.filter(({ method }) => method === 'add'),
    []
  )
  assert.equal(({} as Record<string, unknown>)['origin'], undefined)
})
