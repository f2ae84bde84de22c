/**
 * Promotion on whole engines: by call, and by being recalled in several sessions. What is refused, that it happens once
 * whatever happens in between, and that a restart forgets nothing.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { AddRequest, MemoryItem } from '../../../src/node/api.ts'
import { META } from '../../../src/node/rows.ts'
import { Bench, codeOf, PRIVATE_SPACE, type Engine } from '../../support/engine.ts'
import { SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

let seed = 160
const start = (setup: Partial<Parameters<Bench['start']>[0]> = {}): Promise<Engine> =>
  bench.start({ seed: seed++, hasPrivate: true, ...setup })

async function say({ node }: Engine, content: string, more: Partial<AddRequest> = {}): Promise<string> {
  return (await bench.finish(node.add({ content, dedupe: 'allow', ...more }))).id
}

const draft = (engine: Engine, content: string, more: Partial<AddRequest> = {}): Promise<string> =>
  say(engine, content, { tier: 'working', importance: 0.2, ...more })

async function item({ node }: Engine, id: string): Promise<MemoryItem> {
  const [found] = await node.get([id])
  assert.ok(found, id)
  return found
}

/** What the shared space holds. */
async function shared({ node }: Engine): Promise<readonly MemoryItem[]> {
  return (await node.list({ spaces: [SPACE] })).items
}

async function recall(engine: Engine, query: string, session?: string): Promise<void> {
  await bench.finish(engine.node.search({ query, ...(session === undefined ? {} : { session }) }))
}

describe('promotion by call', () => {
  it('shares a working memory whole, with its reason, and leaves the private one as its parent', async () => {
    const one = await start()
    const from = await draft(one, 'Retries need jitter', {
      kind: 'decision',
      tags: ['retry'],
      path: 'net',
      evidence: ['https://example.org/retries']
    })
    const { promoted } = await bench.finish(one.node.promote({ ids: [from], reason: 'the team needs it' }))
    assert.deepEqual(
      promoted.map(({ from: parent, space, created }) => [parent, space, created]),
      [[from, SPACE, true]]
    )
    const now = await item(one, promoted[0]?.id ?? '')
    assert.deepEqual(
      [now.content, now.kind, now.path, now.tags, now.parents, now.importance?.max],
      ['Retries need jitter', 'decision', 'net', ['retry'], [from], 0.2]
    )
    assert.deepEqual(now.evidence, ['https://example.org/retries', 'promoted: the team needs it'])
    assert.deepEqual((await item(one, from)).tags, ['retry'])
  })

  it('shares a private memory that was never a working one, when it is named', async () => {
    const one = await start()
    const from = await say(one, 'my own note', { space: PRIVATE_SPACE, importance: 1 })
    await bench.pass(5_000)
    assert.deepEqual(await shared(one), [], 'not by itself, whatever it weighs')
    const { promoted } = await bench.finish(one.node.promote({ ids: [from] }))
    assert.equal((await item(one, promoted[0]?.id ?? '')).spaceName, 'shared')
  })

  it('answers what it made of a memory before, instead of making it again', async () => {
    const one = await start()
    const from = await draft(one, 'once')
    const [first, second] = await bench.finish(
      Promise.all([one.node.promote({ ids: [from] }), one.node.promote({ ids: [from, from] })])
    )
    assert.deepEqual([first.promoted[0]?.created, second.promoted[0]?.created], [true, false])
    assert.equal(second.promoted[1]?.id, first.promoted[0]?.id)
    assert.equal((await shared(one)).length, 1)
  })

  it('claims no better origin than the private memory, or what that was made from, elsewhere too', async () => {
    const [one, other] = [await start(), await start()]
    one.network.link(other.network)
    await bench.pass(500)
    const page = await say(one, 'a page from the web', { space: PRIVATE_SPACE, origin: 'document' })
    const summary = await say(one, 'what the page says', { space: PRIVATE_SPACE, parents: [page] })
    const from = await draft(one, 'what I make of it', { parents: [summary] })
    const plain = await draft(one, 'what a tool printed', { origin: 'tool', agent: 'printer' })
    const { promoted } = await bench.finish(one.node.promote({ ids: [from, plain] }))
    await bench.pass(5_000)
    const tiers: unknown[] = []
    for (const { id } of promoted) tiers.push((await item(other, id)).trust.tier)
    assert.deepEqual(tiers, ['untrusted', 'known'])
    const { origins } = await item(other, promoted[1]?.id ?? '')
    assert.ok(
      origins.some((claim) => claim.class === 'tool' && claim.agent === 'printer'),
      JSON.stringify(origins)
    )
    assert.ok(!origins.some((claim) => claim.class === 'self'))
    assert.deepEqual((await item(other, promoted[0]?.id ?? '')).parents, [from], 'which the other does not have')
    assert.equal((await other.node.get([from]))[0], null)
  })

  it('finishes what a crash left half done, without sharing it twice', async () => {
    const one = await start()
    const from = await draft(one, 'half done')
    // The shared memory is written; then the disk fails, before the working tag is taken off.
    const write = one.store.batch.bind(one.store)
    let batches = 0
    one.store.batch = async (writes, options) => {
      if (writes.some(({ table }) => table === 'delta') && ++batches === 2) one.store.failWith = 'disk_full'
      return write(writes, options)
    }
    assert.equal(await codeOf(bench.finish(one.node.promote({ ids: [from] }))), 'disk_full')
    one.store.failWith = undefined
    await bench.pass(10_000)
    const [made] = await shared(one)
    assert.deepEqual([made?.parents, (await item(one, from)).tags], [[from], ['tier:working']])
    const again = await bench.restart(one)
    await bench.finish(again.node.indexed())
    const { promoted } = await bench.finish(again.node.promote({ ids: [from] }))
    assert.deepEqual(promoted, [{ from, id: made?.id, space: SPACE, created: false }])
    assert.deepEqual((await item(again, from)).tags, [])
    assert.equal((await shared(again)).length, 1)
  })

  it('refuses what cannot be shared, and then shares nothing of the list', async () => {
    const one = await start()
    const good = await draft(one, 'good')
    const gone = await draft(one, 'gone')
    await one.node.retract({ id: gone, reason: 'wrong' })
    const late = await draft(one, 'late', { expiresAt: one.clock.nowMs() + 10 })
    await bench.pass(1_000)
    const open = await say(one, 'in the open')
    const before = (await shared(one)).length
    const cases: [string[], string | undefined, string][] = [
      [[good, gone], undefined, 'invalid_state'],
      [[good, late], undefined, 'invalid_state'],
      [[good, open], undefined, 'invalid_state'],
      [[good, 'f'.repeat(64)], undefined, 'not_found'],
      [[good, 'abc'], undefined, 'invalid_argument'],
      [[good], 'mine', 'invalid_state'],
      [[good], 'nowhere', 'not_found'],
      [
        Array.from({ length: LIMITS.promoteIdsMax + 1 }, (_, i) => i.toString(16).padStart(64, '0')),
        undefined,
        'too_large'
      ]
    ]
    for (const [ids, space, code] of cases) {
      const request = { ids, ...(space === undefined ? {} : { space }) }
      assert.equal(await codeOf(bench.finish(one.node.promote(request))), code, JSON.stringify(request).slice(0, 200))
    }
    assert.equal((await shared(one)).length, before)
  })

  it('takes as many as the bound says', async () => {
    const one = await start()
    const ids: string[] = []
    for (let i = 0; i < LIMITS.promoteIdsMax; i++) ids.push(await draft(one, `draft ${i}`))
    const deltas = one.node.spaces()[0]?.deltas ?? 0
    const { promoted } = await bench.finish(one.node.promote({ ids }))
    assert.equal(new Set(promoted.map(({ id }) => id)).size, LIMITS.promoteIdsMax)
    assert.equal(one.node.spaces()[0]?.deltas, deltas + 1, 'all in one delta')
  })
})

describe('promotion by recall', () => {
  it('shares a working memory that two sessions recalled, once', async () => {
    const one = await start()
    const from = await draft(one, 'the cache is cold on Mondays')
    for (const session of ['a', 'a', undefined]) await recall(one, 'cold cache', session)
    await bench.pass(5_000)
    assert.deepEqual(await shared(one), [], 'one session, however often, and the nameless do not count')
    await recall(one, 'cold cache', 'b')
    await recall(one, 'cold cache', 'c')
    await bench.pass(5_000)
    assert.deepEqual(
      (await shared(one)).map(({ parents }) => parents),
      [[from]]
    )
    await recall(one, 'cold cache', 'd')
    await bench.pass(5_000)
    assert.equal((await shared(one)).length, 1)
  })

  it('leaves private memories that are no working ones, and those it is told to leave', async () => {
    const one = await start()
    await say(one, 'private thought', { space: PRIVATE_SPACE })
    const off = await start({ options: { promotion: { threshold: 0.7, sessions: 0 } } })
    await draft(off, 'private thought')
    for (const engine of [one, off]) {
      for (const session of ['a', 'b', 'c']) await recall(engine, 'private thought', session)
      await bench.pass(5_000)
      assert.deepEqual(await shared(engine), [])
    }
  })

  it('remembers over a restart who has recalled what', async () => {
    const one = await start()
    const from = await draft(one, 'remember the milk')
    await recall(one, 'milk', 'a')
    const again = await bench.restart(one)
    await bench.finish(again.node.indexed())
    await recall(again, 'milk', 'a')
    await bench.pass(5_000)
    assert.deepEqual(await shared(again), [], 'the same session as before')
    await recall(again, 'milk', 'b')
    await bench.pass(5_000)
    assert.equal((await shared(again)).length, 1)
    assert.equal(await again.store.get('meta', META.recalls(from)), undefined, 'then there is nothing to remember')
  })

  it('does not write down names of sessions', async () => {
    const one = await start()
    const from = await draft(one, 'whose session')
    await recall(one, 'whose session', 'secret-token-name')
    await bench.pass(5_000)
    const row = await one.store.get('meta', META.recalls(from))
    assert.equal(row?.length, 8)
    assert.ok(!Buffer.from(row ?? []).includes(Buffer.from(utf8('secret'))))
  })

  it('tries again when the disk had no room, and never holds up the search', async () => {
    const one = await start()
    await draft(one, 'patience')
    await recall(one, 'patience', 'a')
    await recall(one, 'patience', 'b')
    one.store.failWith = 'disk_full'
    await bench.pass(1_500)
    await recall(one, 'patience', 'c')
    one.store.failWith = undefined
    await bench.pass(10_000)
    await recall(one, 'patience', 'd')
    await bench.pass(5_000)
    assert.equal((await shared(one)).length, 1)
  })

  it('waits for no more sessions than the bound says', async () => {
    const one = await start({ options: { promotion: { threshold: 0.7, sessions: LIMITS.promotionSessionsMax + 5 } } })
    await draft(one, 'hard to please')
    for (let i = 1; i <= LIMITS.promotionSessionsMax; i++) {
      assert.deepEqual(await shared(one), [])
      await recall(one, 'hard to please', `session ${i}`)
      await bench.pass(2_000)
    }
    assert.equal((await shared(one)).length, 1)
  })
})
