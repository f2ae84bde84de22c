/** Who is shown, by how far it is believed: two engines that gossip, and one of them reads. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { compareText } from '../../../src/base/bytes.ts'
import type { SearchRequest } from '../../../src/node/api.ts'
import { trustAtLeast } from '../../../src/node/trust-filter.ts'
import { TRUST_FACTOR, TRUST_TIERS, type TrustTier } from '../../../src/trust/tier.ts'
import { docOf } from '../recall/doc.ts'
import { Bench, type Engine } from '../../support/engine.ts'

const benches: Bench[] = []
after(async () => {
  for (const bench of benches) await bench.stop()
})

async function pair(): Promise<{ bench: Bench; reader: Engine; other: Engine }> {
  const bench = new Bench()
  benches.push(bench)
  const reader = await bench.start({ seed: 40 })
  const other = await bench.start({ seed: 41 })
  reader.network.link(other.network)
  return { bench, reader, other }
}

async function arrived(bench: Bench, { node }: Engine, records: number): Promise<void> {
  const enough = (): boolean => (node.spaces()[0]?.records ?? 0) >= records
  await bench.pass(60_000, enough)
  assert.ok(enough(), 'it has come over')
}

const said = async ({ node }: Engine, request: Partial<SearchRequest>) => {
  const { items, hidden } = await node.search({ query: 'port', ...request })
  return { contents: items.map((item) => item.content ?? '').sort(compareText), hidden }
}

describe('trustAtLeast', () => {
  const of = (least: Parameters<typeof trustAtLeast>[1], tier: TrustTier) => {
    const filter = trustAtLeast({ tierOf: () => tier }, least)
    return [filter.trustOf(docOf(1)), filter.maySupersede(docOf(1))]
  }

  it('hides what does not reach the tier, and keeps the factor of what does', () => {
    for (const tier of TRUST_TIERS) {
      for (const least of TRUST_TIERS) {
        const isShown = TRUST_TIERS.indexOf(tier) >= TRUST_TIERS.indexOf(least)
        const factor = tier === 'blocked' ? 0.1 : TRUST_FACTOR[tier]
        assert.equal(of(least, tier)[0], isShown ? factor : 0, `${tier} for ${least}`)
      }
      assert.equal(of('any', tier)[0], tier === 'blocked' ? 0 : TRUST_FACTOR[tier])
    }
  })

  it('lets only what is known and shown hide others', () => {
    assert.deepEqual(
      TRUST_TIERS.map((tier) => of('any', tier)[1]),
      [false, false, false, true, true, true]
    )
    assert.equal(of('blocked', 'blocked')[1], false)
    assert.equal(of('trusted', 'known')[1], false)
  })
})

describe('reads: trust', () => {
  it('shows known and better by default, counts the rest, and nothing changes what is blocked but its name', async () => {
    const { bench, reader, other } = await pair()
    await reader.node.add({ content: 'port 80 as I say' })
    await reader.node.add({ content: 'port 81 as a page says', origin: 'document' })
    await other.node.add({ content: 'port 82 as they say' })
    await arrived(bench, reader, 3)
    const [mine, page, theirs] = ['port 80 as I say', 'port 81 as a page says', 'port 82 as they say']
    assert.deepEqual(await said(reader, {}), { contents: [mine, theirs], hidden: 1 })
    assert.deepEqual(await said(reader, { minTrust: 'trusted' }), { contents: [mine], hidden: 2 })
    assert.deepEqual(await said(reader, { minTrust: 'any' }), { contents: [mine, page, theirs], hidden: 0 })
    assert.deepEqual(await said(reader, { query: ' ' }), { contents: [mine, theirs], hidden: 1 })
    await reader.node.trustPeer({ peer: other.node.peer, tier: 'blocked' })
    assert.deepEqual(await said(reader, {}), { contents: [mine], hidden: 2 })
    assert.deepEqual(await said(reader, { minTrust: 'any' }), { contents: [mine, page], hidden: 1 })
    const all = await reader.node.search({ query: 'port', minTrust: 'blocked' })
    assert.deepEqual(all.items.at(-1)?.content, theirs, 'last of all')
    assert.equal((await reader.node.list({})).items.length, 2, 'lists show all but what is blocked')
    assert.equal((await reader.node.list({ minTrust: 'known' })).items.length, 1)
    await reader.node.trustPeer({ peer: other.node.peer, tier: 'trusted' })
    assert.deepEqual(await said(reader, { minTrust: 'trusted' }), { contents: [mine, theirs], hidden: 1 })
    const past = await said(reader, { minTrust: 'known', asOfMs: reader.clock.nowMs() })
    assert.deepEqual(past, { contents: [mine, theirs], hidden: 1 }, 'so does a question about the past')
  })

  it('lets no memory of little worth hide a better one, even when it is asked for', async () => {
    const { reader } = await pair()
    const { id } = await reader.node.add({ content: 'port is 80' })
    await reader.node.add({ content: 'port is 66', origin: 'document', supersedes: [id] })
    assert.deepEqual((await said(reader, {})).contents, ['port is 80'])
    assert.deepEqual((await said(reader, { minTrust: 'any' })).contents, ['port is 66', 'port is 80'])
    assert.equal((await reader.node.list({})).items.length, 2)
    await reader.node.add({ content: 'port is 443', supersedes: [id] })
    assert.deepEqual((await said(reader, {})).contents, ['port is 443'])
  })

  it('says how large an answer is, and keeps to a budget', async () => {
    const { reader } = await pair()
    for (let i = 0; i < 8; i++) await reader.node.add({ content: `port ${i} ${`w${i} `.repeat(20)}` })
    const all = await reader.node.search({ query: 'port' })
    assert.deepEqual([all.items.length, all.overflow, all.dropped], [8, false, 0])
    const half = await reader.node.search({ query: 'port', budgetTokens: Math.floor(all.usedTokens / 2) })
    assert.ok(half.usedTokens <= all.usedTokens / 2 && half.items.length >= 3)
    assert.deepEqual([half.overflow, half.dropped], [true, 8 - half.items.length])
    const one = await reader.node.search({ query: 'port', budgetTokens: 1 })
    assert.deepEqual([one.items.length, one.overflow, one.dropped], [1, true, 7])
    for (const ranking of ['collective', 'jaccard'] as const) {
      const classic = await reader.node.search({ query: 'port', ranking, budgetTokens: half.usedTokens })
      assert.ok(classic.overflow && classic.items.length >= 1 && classic.usedTokens <= half.usedTokens, ranking)
    }
    assert.equal(one.items[0]?.id, all.items[0]?.id)
    assert.equal(all.index.vector, 'off')
  })
})
