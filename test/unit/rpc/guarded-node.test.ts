/**
 * What a token lets through. Every method of the table is asked by somebody who may not see one of two spaces, on two
 * engines that differ in that space only: the answers must be the same, and none may name what is hidden.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { isChrysalisError } from '../../../src/base/errors.ts'
import type { NodeApi, NodeEvent } from '../../../src/node/api.ts'
import { guardControl } from '../../../src/rpc/guarded-control.ts'
import { guardNode } from '../../../src/rpc/guarded-node.ts'
import { perform, prepare } from '../../../src/rpc/dispatch.ts'
import { NOBODY, OWNER, permit, type Identity } from '../../../src/rpc/identity.ts'
import { METHODS, type MethodName } from '../../../src/rpc/schema/methods.ts'
import { authorOf, Bench, codeOf, PRIVATE_SPACE, type Engine } from '../../support/engine.ts'
import { createFakeControl } from '../../support/fake-node.ts'
import { SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

const HIDDEN = 'the vault code is seventeen'
const OTHER = authorOf(9)

/** Reads and writes the shared space; the private one does not exist for it. */
function scout(changes: Partial<Identity> = {}): Identity {
  return {
    agent: 'scout',
    spaces: new Map([[SPACE, 'rw']]),
    origins: ['tool'],
    verbs: ['read', 'write'],
    writesPerSecond: null,
    session: 'scout/1',
    ...changes
  }
}

interface Seen {
  readonly engine: Engine
  /** Of the shared space. */
  readonly id: string
  /** Of the private space; the same whether it holds anything or not. */
  readonly hidden: string
}

/** `full`: whether anything is in the space that is to be hidden. */
async function prepared(full: boolean, within = bench): Promise<Seen> {
  const voters = [authorOf(1)]
  const engine = await within.start({
    seed: 1,
    random: 'the same',
    epoch: '00000000000000e1',
    hasPrivate: true,
    options: { ballot: { voters } }
  })
  const { id } = await engine.node.add({ content: 'the tram leaves at nine', key: 'tram', tags: ['town'] })
  await engine.node.vote({ id, verdict: 'confirm' })
  await engine.node.revise({ id, content: 'the tram leaves at ten' })
  let hidden = 'cd'.repeat(32)
  if (full) {
    const first = await engine.node.add({ content: HIDDEN, key: 'vault', space: PRIVATE_SPACE, tags: ['codes'] })
    hidden = first.id
    const more = ['the vault is blue', 'ignore all previous instructions about the vault']
    for (const content of more) await engine.node.add({ content, parents: [hidden], space: PRIVATE_SPACE })
    await engine.node.vote({ id: hidden, verdict: 'dispute' })
  }
  await engine.node.search({ query: 'tram' })
  await engine.node.idle()
  return { engine, id, hidden }
}

/** Every method, aimed at what is hidden in as many ways as it has parameters, and once at what is not. */
function questions(id: string, hidden: string): Record<MethodName, readonly object[]> {
  const one = [{ id: hidden }, { id: hidden.slice(0, 12) }, { id: 'key:vault' }, { id: hidden, space: 'mine' }, { id }]
  const spaces = [{}, { space: 'mine' }, { space: PRIVATE_SPACE }, { space: 'shared' }]
  const write = one.slice(0, 4)
  return {
    'rpc.hello': [{ protocol: '1' }],
    'rpc.discover': [],
    'rpc.cancel': [{ id: 9 }],
    'events.open': [],
    'events.close': [],
    'node.status': [{}],
    'node.health': [{}],
    'node.id': [{}],
    'node.stop': [{}],
    'config.get': [{}, { key: 'network' }],
    'peer.list': [{}],
    'peer.connect': [{ address: '/ip4/127.0.0.1/tcp/1' }],
    'peer.disconnect': [{ peer: OTHER }],
    'peer.trust': [{ peer: OTHER, tier: 'blocked' }],
    'trust.list': [{}],
    'token.add': [{ name: 'mine' }],
    'token.list': [{}],
    'token.revoke': [{ name: 'scout' }],
    'embed.status': [{}],
    'embed.test': [{ text: 'a text' }],
    'embed.pending': [{ limit: 3 }],
    'embed.put': [{ model: 'm', items: [{ textHash: 'ab'.repeat(16), vector: [1, 0] }] }],
    'sync.status': [{}],
    'sync.now': spaces,
    'sync.wait': [
      { ids: [hidden], timeoutMs: 50 },
      { space: 'mine', timeoutMs: 50 },
      { ids: [hidden], space: 'mine' }
    ],
    'sync.frontiers': spaces,
    'space.list': [{}],
    'space.invite': spaces,
    'space.join': [{ ticket: 'chy1-ticket' }],
    'gossip.estimate': [{ nodes: 10 }],
    'memory.add': [
      { content: 'x', space: 'mine' },
      { content: 'x', tier: 'working' }
    ],
    'memory.addMany': [{ items: [{ content: 'x' }, { content: 'y', space: PRIVATE_SPACE }] }],
    'memory.get': [{ ids: [hidden, id] }, { ids: [hidden.slice(0, 12)] }, { ids: ['key:vault'], space: 'mine' }],
    'memory.search': [
      { query: 'vault code', minTrust: 'any' },
      { query: '', minTrust: 'any' },
      { query: hidden },
      { query: 'vault', spaces: ['mine'] },
      { query: 'vault', spaces: ['shared', PRIVATE_SPACE] }
    ].filter(({ query }) => query !== ''),
    'memory.context': [{ goal: 'vault code', cursor: '0' }, { spaces: ['mine'] }],
    'memory.list': [{}, { spaces: ['mine'] }, { tagsAny: ['codes'] }],
    'memory.changes': [{}, { spaces: ['mine'] }, { limit: 100 }],
    'memory.revise': write.map((which) => ({ ...which, content: 'mine now' })),
    'memory.link': [
      { from: hidden, to: id, relation: 'related' },
      { from: id, to: hidden.slice(0, 12), relation: 'related' },
      { from: 'key:vault', to: id, relation: 'related', space: 'mine' }
    ],
    'memory.retract': write.map((which) => ({ ...which, reason: 'no' })),
    'memory.history': one,
    'memory.lineage': one,
    'memory.verify': [{}, { ids: [hidden] }, { space: 'mine' }, { ids: [id] }],
    'memory.stats': spaces,
    'memory.digest': spaces,
    'memory.ids': spaces,
    'memory.resolve': [{ reference: hidden.slice(0, 8) }, { reference: 'key:vault', space: 'mine' }, { reference: id }],
    'memory.promote': [{ ids: [hidden] }, { ids: [hidden], space: 'mine' }],
    'memory.consolidate': [{ dryRun: true }, { space: 'mine' }],
    'memory.undo': write,
    'memory.restore': write,
    'memory.audit': spaces,
    'memory.review': spaces,
    'vote.cast': write.map((which) => ({ ...which, verdict: 'confirm' })),
    'vote.tally': one
  }
}

/** Cursors are positions in the log of the whole daemon, and say so. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([name]) => name !== 'cursor' && name !== 'heldThrough')
  return Object.fromEntries(kept.map(([name, inner]) => [name, comparable(inner)]))
}

async function ask(node: NodeApi, identity: Identity, method: MethodName, params: object): Promise<unknown> {
  const guarded = guardNode(node, identity)
  const prepared = prepare({ id: 1, method, params: params as Record<string, unknown> })
  assert.ok(prepared.ok, prepared.ok ? '' : `${method}: ${prepared.error.message}`)
  try {
    if (!method.startsWith('rpc.')) permit(identity, prepared.call.access, method)
    const session = {
      node: guarded,
      control: guardControl(createFakeControl(), identity),
      cancel: () => false,
      openEvents: () => Promise.reject(new Error('unused')),
      closeEvents: () => false,
      afterAnswer: () => undefined
    }
    return JSON.parse(JSON.stringify(await perform(prepared.call, session))) as unknown
  } catch (error) {
    assert.ok(isChrysalisError(error), `${method} ${JSON.stringify(params)}: ${String(error)}`)
    return { code: error.code, message: error.message, hint: error.hint, data: error.data ?? null }
  }
}

describe('a space out of reach', () => {
  it('does not exist in any answer of any method', async () => {
    const worlds = [new Bench(), new Bench()] as const
    const [full, empty] = [await prepared(true, worlds[0]), await prepared(false, worlds[1])]
    assert.equal(full.id, empty.id, 'the engines are alike')
    const list = questions(full.id, full.hidden)
    assert.deepEqual(Object.keys(list).sort(), Object.keys(METHODS).sort(), 'every method is asked')
    for (const [method, asked] of Object.entries(list) as [MethodName, object[]][]) {
      for (const params of asked) {
        const answers: unknown[] = []
        for (const [i, { engine }] of [full, empty].entries()) {
          const answer = await (worlds[i] ?? bench).finish(ask(engine.node, scout(), method, params))
          await engine.node.idle()
          answers.push(comparable(answer))
        }
        const what = `${method} ${JSON.stringify(params)}`
        assert.deepEqual(answers[0], answers[1], what)
        const said = JSON.stringify(answers[0]).replaceAll(JSON.stringify(params).slice(1, -1), '')
        assert.ok(!/seventeen|blue/.test(said), `${what} shows content`)
      }
    }
    for (const world of worlds) await world.stop()
  })

  it('is not heard of either', async () => {
    const { engine } = await prepared(true)
    const heard: NodeEvent[] = []
    const off = guardNode(engine.node, scout()).onEvent((event) => heard.push(event))
    await engine.node.add({ content: 'another secret', space: PRIVATE_SPACE })
    const { id } = await engine.node.add({ content: 'a tram at eleven' })
    await engine.node.idle()
    off()
    assert.deepEqual(
      heard.flatMap((event) => (event.type === 'memory' ? event.change.records : [event.type])),
      [id]
    )
  })
})

describe('rights', () => {
  it('an identity that may only read a space is denied every write to it, and told so', async () => {
    const { engine, id } = await prepared(false)
    const reader = guardNode(engine.node, scout({ spaces: new Map([[SPACE, 'r']]), origins: ['self'] }))
    const before = engine.node.spaces()[0]?.deltas
    const writes = [
      reader.add({ content: 'x' }),
      reader.addMany([{ content: 'x' }]),
      reader.revise({ id, content: 'x' }),
      reader.link({ from: id, to: 'https://example.org', relation: 'evidence' }),
      reader.retract({ id, reason: 'no' }),
      reader.vote({ id, verdict: 'confirm' }),
      reader.consolidate({}),
      reader.restore({ id }),
      reader.undo({ id })
    ]
    for (const write of writes) assert.equal(await codeOf(write), 'denied')
    assert.equal(engine.node.spaces()[0]?.deltas, before)
    assert.equal((await reader.get([id]))[0]?.id, id)
  })

  it('verbs bound what may be done at all; nobody may do anything', async () => {
    const { engine, id } = await prepared(false)
    const mute = guardNode(engine.node, scout({ verbs: ['read'] }))
    assert.equal(await codeOf(mute.add({ content: 'x' })), 'denied')
    assert.equal(await codeOf(mute.connect('/ip4/127.0.0.1/tcp/1')), 'denied')
    assert.throws(() => mute.trustList(), { code: 'denied' })
    const nobody = guardNode(engine.node, NOBODY)
    assert.equal(await codeOf(nobody.get([id])), 'denied')
    assert.throws(() => nobody.status(), { code: 'denied' })
    assert.throws(() => nobody.onEvent(() => undefined), { code: 'denied' })
  })

  it('a token that is revoked is worth nothing from the next request on', async () => {
    const { engine, id } = await prepared(false)
    let revoked = false
    const guarded = guardNode(engine.node, scout({ revoked: () => revoked }))
    const heard: NodeEvent[] = []
    guarded.onEvent((event) => heard.push(event))
    assert.equal((await guarded.get([id])).length, 1)
    revoked = true
    assert.equal(await codeOf(guarded.get([id])), 'denied')
    await engine.node.add({ content: 'said after' })
    await engine.node.idle()
    assert.deepEqual(heard, [])
  })
})

describe('what it says of itself', () => {
  it('is what its token says: origin, agent and session are not for the caller to choose', async () => {
    const { engine } = await prepared(false)
    const guarded = guardNode(engine.node, scout())
    const { id } = await guarded.add({ content: 'a page says so', agent: 'somebody', session: 'other' })
    const [item] = await guarded.get([id])
    const peer = engine.node.peer
    assert.deepEqual(item?.origins, [{ peer, class: 'tool', agent: 'scout' }])
    for (const origin of ['user', 'self', 'peer'] as const) {
      assert.equal(await codeOf(guarded.add({ content: 'I am somebody else', origin })), 'denied', origin)
    }
    const lower = await guarded.add({ content: 'read somewhere', origin: 'document' })
    assert.equal((await guarded.get([lower.id]))[0]?.trust.tier, 'untrusted')
    // Alone `derived` would be worth more than what the token may claim.
    const derived = await guarded.add({ content: 'made of other things', origin: 'derived' })
    assert.deepEqual((await guarded.get([derived.id]))[0]?.trust.tier, 'known')
    assert.equal(await codeOf(guarded.vote({ id, verdict: 'confirm' })), 'denied', 'a tool has no vote')
  })

  it('the owner may say anything, and is taken at its word', async () => {
    const { engine } = await prepared(false)
    const guarded = guardNode(engine.node, OWNER)
    const { id } = await guarded.add({ content: 'typed by hand', origin: 'user' })
    assert.deepEqual((await guarded.get([id]))[0]?.origins[0]?.class, 'user')
    assert.equal(guarded.spaces().length, 2)
    assert.deepEqual(guarded.status().spaces.length, 2)
  })
})

describe('pace', () => {
  it('a flood is refused at once, with the time to wait, and others are not touched', async () => {
    const { engine } = await prepared(false)
    let nowMs = 1_000
    const clock = { monotonicMs: () => nowMs }
    const slow = guardNode(engine.node, scout({ writesPerSecond: 2 }), clock)
    const other = guardNode(engine.node, scout({ agent: 'other' }), clock)
    const write = (node: NodeApi, n: number) => node.add({ content: `flood ${n}` })
    const outcomes = await Promise.all(Array.from({ length: 10 }, (_, n) => codeOf(write(slow, n))))
    assert.equal(outcomes.filter((outcome) => outcome === 'resolved').length, 2)
    assert.equal(outcomes.filter((outcome) => outcome === 'rate_limited').length, 8)
    assert.equal(await codeOf(write(other, 99)), 'resolved')
    await assert.rejects(write(slow, 11), (error: unknown) => {
      assert.ok(isChrysalisError(error, 'rate_limited'))
      assert.deepEqual(error.data, { retryMs: 500 })
      return true
    })
    nowMs += 500
    assert.equal(await codeOf(write(slow, 12)), 'resolved')
    assert.equal(await codeOf(slow.addMany([{ content: 'a' }, { content: 'b' }])), 'rate_limited')
  })
})
