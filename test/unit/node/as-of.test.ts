/** What was true then: one engine on virtual time, an hour between two events. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import type { SearchRequest } from '../../../src/node/api.ts'
import { deltaKey } from '../../../src/node/rows.ts'
import { compareText, toHex } from '../../../src/base/bytes.ts'
import { Bench, codeOf, type Engine } from '../../support/engine.ts'

const HOUR_MS = 3_600_000

/** A world of its own for each test: many engines would tick through every hour. */
const benches: Bench[] = []
after(async () => {
  for (const bench of benches) await bench.stop()
})

async function start(): Promise<Engine & { readonly bench: Bench }> {
  const bench = new Bench()
  benches.push(bench)
  return { ...(await bench.start({ seed: 60 })), bench }
}

/** An hour goes by; answers a moment of the hour that has ended. */
async function hourOf({ clock, bench }: Engine & { readonly bench: Bench }): Promise<number> {
  await bench.pass(HOUR_MS / 2)
  const middle = clock.nowMs()
  await bench.pass(HOUR_MS / 2)
  return middle
}

async function said({ node }: Engine, query: string, asOfMs: number, rest: Partial<SearchRequest> = {}) {
  const { items } = await node.search({ query, asOfMs, ...rest })
  return items.map((item) => item.content ?? '').sort(compareText)
}

describe('a question about the past', () => {
  it('gets the words, fields and version of then', async () => {
    const engine = await start()
    const { node } = engine
    const before = engine.clock.nowMs() - 1
    const { id } = await node.add({ content: 'the port is 8080', kind: 'fact', tags: ['net'], importance: 0.2 })
    const first = await hourOf(engine)
    await node.revise({ id, content: 'the port is 9090', tagsAdd: ['tls'], tagsRemove: ['net'], pinned: true })
    const second = await hourOf(engine)
    assert.deepEqual(await said(engine, 'port', before), [])
    assert.deepEqual(await said(engine, 'port', first), ['the port is 8080'])
    assert.deepEqual(await said(engine, 'port', second), ['the port is 9090'])
    const [then, now, never] = [
      (await node.get([id], undefined, { asOfMs: first }))[0],
      (await node.get([id], undefined, { asOfMs: second }))[0],
      (await node.get([id], undefined, { asOfMs: before }))[0]
    ]
    assert.deepEqual([then?.content, then?.tags, then?.version, then?.pinned], ['the port is 8080', ['net'], 1, false])
    assert.deepEqual([now?.content, now?.tags, now?.version, now?.pinned], ['the port is 9090', ['tls'], 2, true])
    assert.equal(never, null)
    assert.equal(then?.verified, true)
    assert.notEqual(then?.fingerprint, now?.fingerprint)
    assert.deepEqual(await said(engine, 'port', first, { tagsAll: ['net'] }), ['the port is 8080'])
    assert.deepEqual(await said(engine, 'port', first, { tagsAll: ['tls'] }), [])
    assert.deepEqual(await said(engine, 'port', first, { pinnedOnly: true }), [])
    assert.deepEqual(await said(engine, ' ', first), ['the port is 8080'])
  })

  it('finds by the words of then, and not by those of now', async () => {
    const engine = await start()
    const { id } = await engine.node.add({ content: 'our office is in Oslo' })
    await engine.node.add({ content: 'the bakery of Bergen is closed' })
    const first = await hourOf(engine)
    await engine.node.revise({ id, content: 'our seat is in Bergen' })
    await hourOf(engine)
    assert.deepEqual(await said(engine, 'Oslo', first), ['our office is in Oslo'])
    assert.deepEqual(await said(engine, 'Bergen', first), ['the bakery of Bergen is closed'])
    assert.deepEqual(await said(engine, 'seat', first), [])
    const [hit] = (await engine.node.search({ query: 'Oslo', asOfMs: first, explain: true })).items
    assert.ok((hit?.why?.['past'] ?? 0) > 0)
  })

  it('sees what was not superseded yet, and hides what was', async () => {
    const engine = await start()
    const { node } = engine
    const old = await node.add({ content: 'deploys happen on monday' })
    const other = await node.add({ content: 'deploys happen at noon' })
    const first = await hourOf(engine)
    const newer = await node.add({ content: 'deploys happen on tuesday', supersedes: [old.id] })
    const second = await hourOf(engine)
    await node.link({ from: newer.id, to: other.id, relation: 'supersedes' })
    const third = await hourOf(engine)
    await node.retract({ id: newer.id, reason: 'it was a mistake' })
    const fourth = await hourOf(engine)
    const query = 'when do deploys happen'
    assert.deepEqual(await said(engine, query, first), ['deploys happen at noon', 'deploys happen on monday'])
    assert.deepEqual(await said(engine, query, second), ['deploys happen at noon', 'deploys happen on tuesday'])
    assert.deepEqual(await said(engine, query, third), ['deploys happen on tuesday'])
    assert.deepEqual(await said(engine, query, fourth), ['deploys happen at noon', 'deploys happen on monday'])
    assert.equal((await said(engine, query, third, { includeSuperseded: true })).length, 3)
  })

  it('judges retraction, validity and expiry at that time', async () => {
    const engine = await start()
    const { node, clock } = engine
    const startMs = clock.nowMs()
    const retracted = await node.add({ content: 'token one' })
    await node.add({ content: 'token two', expiresAt: startMs + HOUR_MS })
    await node.add({ content: 'token three', validFrom: startMs + HOUR_MS })
    const closed = await node.add({ content: 'token four' })
    const first = await hourOf(engine)
    await node.retract({ id: retracted.id, reason: 'leaked' })
    await node.revise({ id: closed.id, validTo: clock.nowMs() })
    const second = await hourOf(engine)
    assert.deepEqual(await said(engine, 'token', first), ['token four', 'token one', 'token two'])
    assert.deepEqual(await said(engine, 'token', second), ['token three'])
    const items = (await node.search({ query: 'token', asOfMs: first })).items
    assert.ok(items.every((item) => item.retracted === null && !item.expired))
    assert.equal((await node.search({ query: 'token' })).items.length, 1, 'and the present is what it was')
  })

  it('is answered for as many changed records as it may fold again, and says what it left out', async () => {
    const engine = await start()
    const { node } = engine
    const count = LIMITS.recallRefoldsMax + 5
    const receipts = await node.addMany(Array.from({ length: count }, (_, i) => ({ content: `same word ${i}` })))
    const first = await hourOf(engine)
    for (const { id } of receipts) await node.revise({ id, importance: 0.9 })
    await hourOf(engine)
    const { items, dropped } = await node.search({ query: 'same', asOfMs: first, limit: LIMITS.recallResultsMax })
    assert.equal(items.length, LIMITS.recallRefoldsMax)
    assert.equal(dropped, 5)
    assert.ok(items.every((item) => item.importance === null))
  })

  it('looks through the old words of so many and no more', async () => {
    const engine = await start()
    const { node } = engine
    const count = LIMITS.recallRescuesMax + 5
    const receipts = await node.addMany(Array.from({ length: count }, (_, i) => ({ content: `blue ${i}` })))
    const first = await hourOf(engine)
    for (const { id } of receipts) await node.revise({ id, content: 'green' })
    await hourOf(engine)
    const { items } = await node.search({ query: 'blue', asOfMs: first, limit: LIMITS.recallResultsMax, mmr: 1 })
    assert.equal(items.length, LIMITS.recallRescuesMax)
    assert.ok(items.every((item) => item.content?.startsWith('blue')))
  })

  it('leaves out what cannot be read whole, and says so when it is asked for by id', async () => {
    const engine = await start()
    const { node, store } = engine
    const { id, delta } = await node.add({ content: 'the vault code' })
    const first = await hourOf(engine)
    await node.revise({ id, content: 'the vault has no code' })
    await hourOf(engine)
    const key = toHex(deltaKey(engine.node.spaces()[0]!.id, delta))
    const { damage } = store
    store.damage = (table, at, value) =>
      table === 'delta' && toHex(at) === key
        ? value.map((byte, i) => (i === value.length - 1 ? byte ^ 1 : byte))
        : value
    assert.deepEqual(await said(engine, 'vault', first), [])
    assert.equal(await codeOf(node.get([id], undefined, { asOfMs: first })), 'corrupt')
    store.damage = damage
    assert.deepEqual(await said(engine, 'vault', first), ['the vault code'])
  })
})
