/**
 * Questions about the past on two daemons: what matters is when something was said, not when it was heard, so that both
 * tell the same past once they hold the same.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { compareText } from '../../src/base/bytes.ts'
import { Bench, type Engine } from '../support/engine.ts'

const HOUR_MS = 3_600_000
const bench = new Bench()
after(() => bench.stop())

async function said({ node }: Engine, asOfMs?: number): Promise<string[]> {
  const { items } = await node.search({ query: 'deploys', limit: 50, ...(asOfMs === undefined ? {} : { asOfMs }) })
  return items.map((item) => item.content ?? '').sort(compareText)
}

describe('the past of two daemons', () => {
  it('is one, whoever heard of it when', async () => {
    const a = await bench.start({ seed: 120 })
    const b = await bench.start({ seed: 121 })
    a.network.link(b.network)
    const same = (): boolean => a.node.spaces()[0]!.root === b.node.spaces()[0]!.root
    const kept = await a.node.add({ content: 'deploys need a review' })
    const revised = await a.node.add({ content: 'deploys run on monday' })
    const retracted = await b.node.add({ content: 'deploys are free for all' })
    assert.ok(await bench.pass(60_000, same))
    const first = a.clock.nowMs()
    await bench.pass(HOUR_MS)

    const apart = bench.air.partition([a.network], [b.network])
    await a.node.revise({ id: revised.id, content: 'deploys run on tuesday' })
    await a.node.add({ content: 'deploys need two reviews', supersedes: [kept.id] })
    await b.node.retract({ id: retracted.id, reason: 'not any more' })
    await bench.pass(HOUR_MS)
    const second = a.clock.nowMs()
    const unheard = await said(b, second)
    assert.deepEqual(unheard, ['deploys need a review', 'deploys run on monday'], 'it answers with what it knows')
    await bench.pass(HOUR_MS)
    apart()
    assert.ok(await bench.pass(10 * 60_000, same))

    for (const engine of [a, b]) {
      assert.deepEqual(await said(engine, first), [
        'deploys are free for all',
        'deploys need a review',
        'deploys run on monday'
      ])
      assert.deepEqual(await said(engine, second), ['deploys need two reviews', 'deploys run on tuesday'])
      assert.deepEqual(await said(engine), ['deploys need two reviews', 'deploys run on tuesday'])
    }
    const [then] = await b.node.get([revised.id], undefined, { asOfMs: first })
    assert.deepEqual([then?.content, then?.version], ['deploys run on monday', 1])
  })
})
