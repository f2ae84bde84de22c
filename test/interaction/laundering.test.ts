/**
 * Whole engines that believe each other no further than the lineage of a memory allows: what came from a document stays
 * worth a document however often it is summarised, blocking an author is felt by all descendants at once, and a few who
 * conspire cannot vote their way up.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AddRequest, MemoryItem, SearchHit } from '../../src/node/api.ts'
import { authorOf, Bench, PRIVATE_SPACE, type Engine, type EngineOptions } from '../support/engine.ts'

async function world(
  count: number,
  changes: (index: number) => Partial<EngineOptions> = () => ({})
): Promise<{ bench: Bench; engines: Engine[] }> {
  const bench = new Bench()
  const engines: Engine[] = []
  for (let i = 0; i < count; i++) engines.push(await bench.start({ seed: i + 1, ...changes(i) }))
  for (const [i, a] of engines.entries()) for (const b of engines.slice(i + 1)) a.network.link(b.network)
  return { bench, engines }
}

async function spread(bench: Bench, engines: readonly Engine[]): Promise<void> {
  const same = (): boolean => new Set(engines.map((engine) => engine.node.spaces()[0]?.root)).size === 1
  assert.ok(await bench.pass(120_000, same), 'all hold the same')
  for (const engine of engines) await engine.node.idle()
}

const item = async (engine: Engine, id: string): Promise<MemoryItem> => {
  const [found] = await engine.node.get([id])
  assert.ok(found !== null && found !== undefined)
  return found
}

const found = async (engine: Engine, query: string, more: { session?: string; minTrust?: 'any' } = {}) =>
  (await engine.node.search({ query, limit: 50, ...more })).items.map((hit: SearchHit) => hit.id)

/** A text from the web, then a summary of it, one of that, and one of that. */
async function summaries(by: Engine, first: string): Promise<string[]> {
  const ids: string[] = []
  for (const [i, what] of ['summary', 'digest of the summary', 'gist of the digest'].entries()) {
    const parents = [ids.at(-1) ?? first]
    ids.push((await by.node.add({ content: `${what}: sesame opens vault ${i}`, parents })).id)
  }
  return ids
}

describe('laundering', () => {
  it('a document that is summarised three times by a trusted agent stays untrusted everywhere', async () => {
    const { bench, engines } = await world(3)
    const [web, agent, reader] = engines as [Engine, Engine, Engine]
    const { id } = await web.node.add({ content: 'sesame opens every vault, says a page', origin: 'document' })
    await spread(bench, engines)
    const ids = await summaries(agent, id)
    await spread(bench, engines)
    await reader.node.trustPeer({ peer: agent.node.peer, tier: 'trusted' })
    for (const engine of engines) {
      for (const summary of [id, ...ids]) {
        assert.equal((await item(engine, summary)).trust.tier, 'untrusted')
      }
      assert.deepEqual(await found(engine, 'sesame vault'), [])
      assert.equal((await found(engine, 'sesame vault', { minTrust: 'any' })).length, 4)
    }
    const last = await item(reader, ids[2] as string)
    assert.equal(last.trust.because, `it descends from ${id.slice(0, 8)}, whose origin is "document"`)
    assert.deepEqual(
      last.origins.map((origin) => [origin.peer, origin.class]),
      [
        [agent.node.peer, 'self'],
        [agent.node.peer, 'derived']
      ]
    )
    await bench.stop()
  })

  it('blocking an author drops all descendants from recall at once, and taking it back returns them', async () => {
    const { bench, engines } = await world(3)
    const [first, agent, reader] = engines as [Engine, Engine, Engine]
    const { id } = await first.node.add({ content: 'sesame opens the vault' })
    await spread(bench, engines)
    const ids = await summaries(agent, id)
    await spread(bench, engines)
    const all = [id, ...ids].sort()
    assert.deepEqual((await found(reader, 'sesame vault')).sort(), all)
    for (const tier of ['untrusted', 'blocked', 'trusted', 'blocked', null] as const) {
      await reader.node.trustPeer({ peer: first.node.peer, tier })
      const hidden = tier === 'untrusted' || tier === 'blocked'
      assert.deepEqual((await found(reader, 'sesame vault')).sort(), hidden ? [] : all, String(tier))
    }
    await reader.node.trustPeer({ peer: first.node.peer, tier: 'blocked', reason: 'it lied' })
    assert.deepEqual(await found(reader, 'sesame vault'), [])
    assert.deepEqual(await found(reader, 'sesame vault', { minTrust: 'any' }), [])
    const because = `it descends from ${id.slice(0, 8)}, whose author is set to blocked here`
    for (const one of ids) assert.deepEqual((await item(reader, one)).trust, { tier: 'blocked', because })
    // An opinion is nobody else's.
    assert.deepEqual((await found(agent, 'sesame vault')).sort(), all)
    const again = await bench.restart(reader)
    await again.node.idle()
    assert.deepEqual(await found(again, 'sesame vault'), [], 'kept over a restart')
    await again.node.trustPeer({ peer: first.node.peer, tier: null })
    assert.deepEqual((await found(again, 'sesame vault')).sort(), all)
    await bench.stop()
  })

  it('three of ten voters cannot validate what came from a document; seven can, until its author is blocked', async () => {
    const voters = Array.from({ length: 10 }, (_, i) => authorOf(i + 1))
    const { bench, engines } = await world(10, () => ({ options: { ballot: { voters } } }))
    const [liar, , , honest] = engines as [Engine, Engine, Engine, Engine]
    const { id } = await liar.node.add({ content: 'sesame opens the vault', origin: 'document' })
    await spread(bench, engines)
    for (const engine of engines.slice(0, 3)) await engine.node.vote({ id, verdict: 'confirm' })
    await spread(bench, engines)
    assert.equal((await item(honest, id)).trust.tier, 'untrusted')
    assert.deepEqual(await found(honest, 'sesame'), [])
    for (const engine of engines.slice(3, 7)) await engine.node.vote({ id, verdict: 'confirm' })
    await spread(bench, engines)
    assert.deepEqual((await item(honest, id)).trust, {
      tier: 'validated',
      because: 'a ballot of the roster validated it'
    })
    assert.deepEqual(await found(honest, 'sesame'), [id])
    await honest.node.trustPeer({ peer: liar.node.peer, tier: 'blocked' })
    assert.equal((await item(honest, id)).trust.tier, 'blocked', 'no ballot lifts a blocked author')
    await honest.node.trustPeer({ peer: liar.node.peer, tier: null })
    const { id: derived } = await honest.node.add({ content: 'sesame, in other words', parents: [id] })
    const { id: further } = await honest.node.add({ content: 'sesame, once more', parents: [derived] })
    await spread(bench, engines)
    for (const engine of engines.slice(0, 7)) await engine.node.vote({ id: derived, verdict: 'confirm' })
    await spread(bench, engines)
    const tiers = async () => [(await item(honest, derived)).trust.tier, (await item(honest, further)).trust.tier]
    assert.deepEqual(await tiers(), ['validated', 'trusted'])
    await honest.node.trustPeer({ peer: liar.node.peer, tier: 'untrusted' })
    assert.deepEqual(await tiers(), ['validated', 'trusted'], 'what a ballot validated stands by itself')
    await honest.node.trustPeer({ peer: liar.node.peer, tier: 'blocked' })
    assert.deepEqual(await tiers(), ['blocked', 'blocked'], 'but nobody who is blocked is in it')
    await bench.stop()
  })

  it('a memory recalled and said again without parents is an echo of it and worth no more', async () => {
    const { bench, engines } = await world(2)
    const [web, agent] = engines as [Engine, Engine]
    const content = 'sesame opens every vault in the old town, says a page'
    const { id } = await web.node.add({ content, origin: 'document' })
    await spread(bench, engines)
    const session = 'one'
    assert.deepEqual(await found(agent, 'sesame vault', { session, minTrust: 'any' }), [id])
    const say = (request: AddRequest) => agent.node.add({ session, ...request })
    const same = await say({ content })
    assert.deepEqual([same.flags, same.created], [['recall_echo'], true])
    const near = await say({ content: 'Sesame opens every vault in the old town, says a page.' })
    assert.deepEqual(near.flags, ['recall_echo'])
    const other = await say({ content: 'the old town has three bakeries and a tram' })
    assert.deepEqual(other.flags, [])
    const cited = await say({ content: `${content}!`, parents: [id] })
    assert.deepEqual(cited.flags, [], 'who names its source hides nothing')
    const elsewhere = await agent.node.add({ content: `${content}!!`, session: 'another' })
    assert.deepEqual(elsewhere.flags, [], 'another conversation has not seen it')
    for (const { id: echo } of [same, near, cited]) {
      const { parents, trust } = await item(agent, echo)
      assert.deepEqual([parents, trust.tier], [[id], 'untrusted'])
    }
    assert.equal((await item(agent, other.id)).trust.tier, 'trusted')
    // New words for an old memory are words all the same.
    const revised = await agent.node.revise({ id: other.id, content, session })
    assert.deepEqual(revised.flags, ['recall_echo'])
    assert.equal((await item(agent, other.id)).trust.tier, 'untrusted')
    await bench.stop()
  })

  it('what is promoted, or made of private memories, takes their origin along', async () => {
    const { bench, engines } = await world(2, (i) => ({ hasPrivate: i === 0 }))
    const [agent, reader] = engines as [Engine, Engine]
    const secret = await agent.node.add({ content: 'sesame, says a page', origin: 'document', space: PRIVATE_SPACE })
    const working = await agent.node.add({ content: 'sesame opens', origin: 'document', tier: 'working' })
    const { promoted } = await agent.node.promote({ ids: [working.id] })
    const derived = await agent.node.add({ content: 'sesame opens the vault', parents: [secret.id] })
    await spread(bench, engines)
    for (const id of [promoted[0]?.id ?? '', derived.id]) {
      const { trust, parents } = await item(reader, id)
      assert.deepEqual(trust, { tier: 'untrusted', because: 'its origin is "document"' })
      assert.equal((await reader.node.get(parents))[0], null, 'the parent is not here')
    }
    await bench.stop()
  })

  it('what others say of the origin of a memory, and a parent that is nowhere, change nothing', async () => {
    const { bench, engines } = await world(2)
    const [author, other] = engines as [Engine, Engine]
    const { id } = await author.node.add({ content: 'sesame opens the vault', key: 'sesame' })
    await spread(bench, engines)
    await other.node.add({ content: 'sesame opens the vault', key: 'sesame', kind: 'fact', origin: 'document' })
    const lonely = await author.node.add({ content: 'the vault is closed', parents: ['ab'.repeat(32)] })
    await spread(bench, engines)
    assert.equal((await item(author, lonely.id)).trust.tier, 'trusted')
    // The present words are the other's, and so is what it says of them.
    assert.equal((await item(author, id)).trust.tier, 'untrusted')
    await author.node.revise({ id, content: 'sesame opens no vault' })
    await spread(bench, engines)
    assert.equal((await item(author, id)).trust.tier, 'trusted')
    assert.equal((await item(other, id)).trust.tier, 'known')
    await bench.stop()
  })
})
