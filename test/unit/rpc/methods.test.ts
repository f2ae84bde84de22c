import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { perform, prepare, type Call } from '../../../src/rpc/dispatch.ts'
import type { Session } from '../../../src/rpc/handlers.ts'
import { describeMethods, METHODS, type MethodName } from '../../../src/rpc/schema/methods.ts'
import { TOPICS } from '../../../src/rpc/schema/node-methods.ts'
import { isRead } from '../../../src/rpc/client.ts'
import { CLIENT_PROTOCOL, EVENT_TOPICS, MIN_TRUSTS, RANKINGS, RECALL_MODES } from '../../../src/rpc/vocabulary.ts'
import { TRUST_TIERS } from '../../../src/trust/tier.ts'
import { PROTOCOL } from '../../../src/rpc/schema/node-methods.ts'
import { createFakeControl, createFakeNode, OTHER_PEER, type FakeNode } from '../../support/fake-node.ts'

function session(node: FakeNode): Session {
  return {
    node,
    control: createFakeControl(),
    cancel: () => false,
    openEvents: async ({ cursor = '0' }) => ({ subscription: 's1', cursor }),
    closeEvents: () => true,
    afterAnswer: () => undefined
  }
}

function call(method: string, params: object): Call {
  const prepared = prepare({ id: 1, method, params: params as Record<string, unknown> })
  assert.ok(prepared.ok, prepared.ok ? '' : prepared.error.message)
  return prepared.call
}

function refusal(method: string, params: object) {
  const prepared = prepare({ id: 1, method, params: params as Record<string, unknown> })
  assert.ok(!prepared.ok, `${method} took ${JSON.stringify(params)}`)
  return {
    message: prepared.error.message,
    hint: prepared.error.hint ?? '',
    code: prepared.code,
    error: prepared.error
  }
}

test('every method answers with exactly the shape the table promises', async () => {
  const node = createFakeNode()
  const { id } = await node.add({ content: 'the first', key: 'first', tags: ['a'], importance: 0.5 })
  const params: Record<MethodName, object> = {
    'rpc.hello': { protocol: '1', client: { name: 'test', version: '1' } },
    'rpc.discover': {},
    'rpc.cancel': { id: 9 },
    'events.open': { topics: ['memory'], cursor: '0' },
    'events.close': { subscription: 's1' },
    'node.status': {},
    'node.health': {},
    'node.id': {},
    'node.stop': {},
    'config.get': { key: 'network' },
    'peer.list': {},
    'peer.connect': { address: '/ip4/127.0.0.1/tcp/1' },
    'peer.disconnect': { peer: OTHER_PEER },
    'peer.trust': { peer: OTHER_PEER, tier: 'blocked', reason: 'it lies' },
    'embed.status': {},
    'embed.test': { text: 'a text' },
    'embed.pending': { limit: 3 },
    'embed.put': { model: 'fake-model', items: [{ textHash: 'ab'.repeat(16), vector: [1, 0] }] },
    'trust.list': {},
    'memory.review': { limit: 5 },
    'token.add': { name: 'scout', spaces: [{ space: 'shared', right: 'r' }], origins: ['tool'] },
    'token.list': {},
    'token.revoke': { name: 'scout' },
    'sync.status': {},
    'sync.now': { space: 'shared' },
    'sync.wait': { ids: [id], minPeers: 1 },
    'sync.frontiers': { limit: 10 },
    'space.list': {},
    'space.invite': { space: 'shared', expiresInMs: 60_000, uses: 2 },
    'space.join': { ticket: 'chy1-ticket' },
    'gossip.estimate': { nodes: 1_000 },
    'memory.add': { content: 'another', ack: { replicas: 1 } },
    'memory.addMany': { items: [{ content: 'one' }, { content: 'two' }] },
    'memory.get': { ids: [id, 'f'.repeat(64)] },
    'memory.search': { query: 'first', explain: true },
    'memory.context': { goal: 'first', budgetTokens: 500, cursor: '0' },
    'memory.list': { limit: 5 },
    'memory.changes': { cursor: '0' },
    'memory.revise': { id, content: 'better' },
    'memory.link': { from: id, to: 'https://example.org', relation: 'evidence' },
    'memory.retract': { id, reason: 'wrong' },
    'memory.history': { id },
    'memory.lineage': { id, depth: 2 },
    'memory.verify': { ids: [id] },
    'memory.stats': {},
    'memory.digest': { space: 'shared' },
    'memory.ids': { limit: 10 },
    'memory.resolve': { reference: 'key:first' },
    'memory.promote': { ids: [id], space: 'shared', reason: 'needed' },
    'memory.consolidate': { dryRun: true, limit: 5 },
    'memory.undo': { id },
    'memory.restore': { id },
    'memory.audit': { limit: 5 },
    'vote.cast': { id, verdict: 'confirm', confidence: 0.9 },
    'vote.tally': { id }
  }
  for (const [method, given] of Object.entries(params) as [MethodName, object][]) {
    const result = JSON.parse(JSON.stringify(await perform(call(method, given), session(node)))) as unknown
    // Parsing leaves out what the table does not know, so equality says that nothing is missing and nothing is extra.
    assert.deepEqual(METHODS[method].result.parse(result), result, method)
  }
})

test('the words the client keeps without the table are those of the table', () => {
  for (const [method, row] of Object.entries(METHODS)) {
    assert.equal(isRead(method as MethodName), row.access === 'read', method)
  }
  assert.deepEqual(EVENT_TOPICS, TOPICS)
  assert.equal(CLIENT_PROTOCOL, PROTOCOL)
  for (const ranking of RANKINGS) call('memory.search', { query: 'x', ranking })
  for (const mode of RECALL_MODES) call('memory.search', { query: 'x', modes: [mode] })
  for (const minTrust of MIN_TRUSTS) call('memory.context', { minTrust })
  assert.deepEqual([...MIN_TRUSTS].sort(), [...TRUST_TIERS, 'any'].sort())
})

test('an unknown parameter names the nearest known one', () => {
  const unknown = refusal('memory.add', { content: 'x', improtance: 1 })
  assert.match(unknown.message, /unknown parameter improtance/)
  assert.equal(unknown.hint, 'Did you mean importance?')
  assert.equal(refusal('memory.add', { content: 'x', timeoutms: 1 }).hint, 'Did you mean timeoutMs?')
  assert.match(refusal('memory.stats', { wholly: 1 }).hint, /It takes space\./)
  assert.match(refusal('node.status', { zzzzzzzz: 1 }).hint, /It takes none/)
  assert.match(refusal('memory.addMany', { items: [{ content: 'x', q: 1 }] }).message, /items\.0\.q/)
})

test('an unknown method is -32601 and names the nearest', () => {
  const unknown = refusal('memory.serach', {})
  assert.deepEqual([unknown.code, unknown.hint], [-32601, 'Did you mean memory.search?'])
  for (const odd of ['__proto__', 'constructor', 'toString', '']) assert.equal(refusal(odd, {}).code, -32601)
})

test('bounds hold at the bound and not one beyond', () => {
  const ok = (method: string, params: object) => void call(method, params)
  ok('memory.add', { content: 'é'.repeat(LIMITS.contentBytesMax / 2) })
  refusal('memory.add', { content: `${'é'.repeat(LIMITS.contentBytesMax / 2)}x` })
  ok('memory.add', { content: 'x', tags: Array.from({ length: LIMITS.tagsPerRequestMax }, (_, i) => `t${i}`) })
  refusal('memory.add', { content: 'x', tags: Array.from({ length: LIMITS.tagsPerRequestMax + 1 }, (_, i) => `t${i}`) })
  const items = (length: number) => ({ items: Array.from({ length }, () => ({ content: 'x' })) })
  ok('memory.addMany', items(LIMITS.addManyItemsMax))
  refusal('memory.addMany', items(LIMITS.addManyItemsMax + 1))
  refusal('memory.addMany', items(0))
  ok('memory.search', { query: 'x', limit: LIMITS.recallResultsMax })
  refusal('memory.search', { query: 'x', limit: LIMITS.recallResultsMax + 1 })
  ok('memory.search', { query: 'x', budgetTokens: LIMITS.recallTokensMax })
  refusal('memory.search', { query: 'x', budgetTokens: LIMITS.recallTokensMax + 1 })
  refusal('memory.context', { budgetTokens: LIMITS.recallTokensMax + 1 })
  ok('node.health', { timeoutMs: LIMITS.rpcTimeoutMsMax })
  refusal('node.health', { timeoutMs: LIMITS.rpcTimeoutMsMax + 1 })
  for (const method of ['memory.ids', 'memory.changes']) {
    ok(method, { limit: LIMITS.rpcPageItemsMax })
    refusal(method, { limit: LIMITS.rpcPageItemsMax + 1 })
  }
  const references = (length: number) => ({ ids: Array.from({ length }, () => 'abcdef') })
  ok('memory.verify', references(LIMITS.rpcPageItemsMax))
  refusal('memory.verify', references(LIMITS.rpcPageItemsMax + 1))
  for (const importance of [-0.1, 1.1, Number.NaN, '1']) refusal('memory.add', { content: 'x', importance })
  refusal('memory.add', { content: '\ud800' })
  refusal('memory.add', { content: '' })
})

test('a record goes by full id, by prefix and by key; anything else is refused', async () => {
  const node = createFakeNode()
  const { id } = await node.add({ content: 'x', key: 'name' })
  const get = async (reference: string) => {
    const result = await perform(call('memory.get', { ids: [reference] }), session(node))
    return (result as { items: ({ id: string } | null)[] }).items[0]?.id
  }
  assert.equal(await get(id), id)
  assert.equal(await get(id.slice(0, 7)), id)
  assert.equal(await get('key:name'), id)
  assert.equal(await get('key:other'), undefined)
  assert.ok(!node.calls.some((one) => one.method === 'resolve' && one.args[0] === id), 'a full id is not looked up')
  for (const odd of [id.slice(0, 5), 'ABCDEF', 'key:', `${id}0`]) refusal('memory.get', { ids: [odd] })
})

test('evidence stays as it is, and links of a new memory are resolved', async () => {
  const node = createFakeNode()
  const { id } = await node.add({ content: 'x' })
  await perform(call('memory.link', { from: id, to: id.slice(0, 8), relation: 'evidence' }), session(node))
  await perform(call('memory.link', { from: id, to: id.slice(0, 8), relation: 'related' }), session(node))
  const links = node.calls.filter((one) => one.method === 'link').map((one) => (one.args[0] as { to: string }).to)
  assert.deepEqual(links, [id.slice(0, 8), id])
  await perform(call('memory.add', { content: 'y', parents: [id.slice(0, 8)] }), session(node))
  const add = node.calls.findLast((one) => one.method === 'add')
  assert.deepEqual((add?.args[0] as { parents: string[] }).parents, [id])
})

test('`__proto__` is a name like any other and refused like any other', () => {
  const params = JSON.parse('{"content":"x","__proto__":{"polluted":1}}') as object
  assert.match(refusal('memory.add', params).message, /__proto__/)
  assert.equal(({} as { polluted?: number }).polluted, undefined)
})

test('another protocol is refused by its own code', async () => {
  await assert.rejects(perform(call('rpc.hello', { protocol: '2' }), session(createFakeNode())), {
    code: 'unsupported_version'
  })
})

test('the table describes itself as JSON Schema', () => {
  const described = describeMethods()
  assert.equal(described.length, Object.keys(METHODS).length)
  const add = described.find((one) => one.name === 'memory.add')
  assert.deepEqual((add?.params as { required: string[] }).required, ['content'])
  for (const row of described) assert.match(row.summary, /^[A-Z0-9].*\.$/, row.name)
})
