/**
 * A newcomer fills a large gap from several peers at once, on virtual time: each gives its share, one that stops or lies
 * costs time and nothing else, and what was stored before a crash is not asked for again.
 */
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { LIMITS } from '../../src/base/limits.ts'
import type { NodeEvent } from '../../src/node/api.ts'
import type { Channel } from '../../src/ports/network.ts'
import { decodeReconFrame, encodeReconFrame, RECON_PROTOCOL } from '../../src/sync/recon-codec.ts'
import { Bench, FaultyStore, START_MS, type Engine } from '../support/engine.ts'
import type { FakeNetwork } from '../support/fake-network.ts'
import { createMemoryStore } from '../support/memory-store.ts'
import { TABLES } from '../../src/ports/store.ts'

/** Enough for a catch-up, even when the first parts have come. */
const DELTAS = LIMITS.catchUpDeltasMin + 600
/** They are written within one range of the tree that has sixteen below it: many small parts. */
const RANGE_MS = 16 ** 4

type CatchUpEvent = NodeEvent & { type: 'catch-up' }

/** The rows of an engine that wrote DELTAS deltas, made once: signing them is most of the work. It is not there any more. */
const full = new FaultyStore()

async function copyOf(store: FaultyStore): Promise<FaultyStore> {
  const copy = createMemoryStore()
  for (const table of TABLES) {
    const found = await store.rows.scan(table, { limit: 1_000_000 })
    await copy.batch(
      found.map(({ key, value }) => ({ table, key, value })),
      { durable: false }
    )
  }
  return new FaultyStore(copy)
}

before(async () => {
  const bench = new Bench()
  const engine = await bench.start({ seed: 7, store: full })
  await bench.pass(RANGE_MS - (START_MS % RANGE_MS))
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: DELTAS / 20 }, (_, j) => engine.node.add({ content: `${i} ${j}` })))
    await bench.pass(3_000)
  }
  await bench.stop()
})

interface World {
  readonly bench: Bench
  readonly holders: Engine[]
  readonly newcomer: Engine
  readonly events: CatchUpEvent[]
}

/** Holders of everything, long after it was written, and a newcomer that is linked to nobody yet. */
async function world(holderCount: number): Promise<World> {
  const bench = new Bench()
  await bench.pass(3_600_000)
  const holders: Engine[] = []
  for (let i = 0; i < holderCount; i++) {
    holders.push(await bench.start({ seed: i + 1, store: await copyOf(full) }))
  }
  const newcomer = await bench.start({ seed: 9 })
  return { bench, holders, newcomer, events: watch(newcomer) }
}

function watch(engine: Engine): CatchUpEvent[] {
  const events: CatchUpEvent[] = []
  engine.node.onEvent((event) => {
    if (event.type === 'catch-up') events.push(event)
  })
  return events
}

const deltasOf = (engine: Engine): number => engine.node.spaces()[0]?.deltas ?? 0
const rootOf = (engine: Engine): string => engine.node.spaces()[0]?.root ?? ''
const count = (engine: Engine, name: string): number => engine.metrics.snapshot()[name] ?? 0

function bytesFrom(bench: Bench, from: FakeNetwork, to: FakeNetwork): number {
  return bench.air.carried
    .filter((one) => one.from === from && one.to === to && one.how === 'channel')
    .reduce((sum, one) => sum + one.bytes.length, 0)
}

async function agree({ bench, holders, newcomer }: World, engine = newcomer, ms = 120_000): Promise<void> {
  const honest = holders[0] as Engine
  const same = (): boolean => rootOf(engine) === rootOf(honest)
  assert.ok(await bench.pass(ms, same), `${deltasOf(engine)} of ${deltasOf(honest)} deltas`)
}

describe('catch-up', () => {
  it('takes a share from each of three peers, tells how it goes, and ends equal', async () => {
    const one = await world(3)
    const { bench, holders, newcomer, events } = one
    bench.air.recording = true
    for (const holder of holders) newcomer.network.link(holder.network)
    await agree(one)
    const shares = holders.map(({ network }) => bytesFrom(bench, network, newcomer.network))
    const all = shares.reduce((sum, share) => sum + share, 0)
    for (const share of shares) assert.ok(share > all / 10, shares.join())
    assert.equal(count(newcomer, 'chrysalis_node_ingested_total'), DELTAS)
    await bench.pass(10_000)
    assert.deepEqual([events[0]?.what, events.at(-1)?.what], ['started', 'finished'])
    assert.deepEqual([events[0]?.have, events[0]?.target], [0, DELTAS])
    assert.deepEqual([events.at(-1)?.have, events.at(-1)?.target, events.at(-1)?.peers], [DELTAS, DELTAS, 0])
    assert.equal((await newcomer.node.syncStatus()).spaces[0]?.catchUp, null)
    assert.equal(count(newcomer, 'chrysalis_catch_ups_total'), 1, 'one is enough')
    for (const engine of [newcomer, ...holders]) {
      assert.deepEqual(engine.network.reports, [])
      assert.equal(count(engine, 'chrysalis_recon_sessions_failed_total'), 0)
    }
    const [peer] = (await newcomer.node.syncStatus()).peers.filter((book) => book.lastResult === 'equal')
    assert.ok(peer !== undefined, 'an ordinary session has proven it')
    await bench.stop()
  })

  it('answers no other session meanwhile, which nobody takes for a failure', async () => {
    const one = await world(2)
    const { bench, holders, newcomer } = one
    for (const holder of holders) newcomer.network.link(holder.network)
    await bench.pass(60_000, () => deltasOf(newcomer) > 0)
    const [holder] = holders as [Engine]
    const { sessions } = await bench.finish(holder.node.syncNow({ peer: newcomer.network.self }))
    assert.deepEqual(
      sessions.map(({ result, sent, detail }) => [result, sent, detail]),
      [['failed', 0, 'the peer refused: busy']]
    )
    await agree(one)
    const book = (await holder.node.syncStatus()).peers.find(({ peer }) => peer === newcomer.network.self)
    assert.equal(book?.failures, 0)
    assert.equal(count(holder, 'chrysalis_recon_sessions_failed_total'), 0)
    await bench.stop()
  })

  it('goes on without a peer that stops in the middle', async () => {
    const one = await world(3)
    const { bench, holders, newcomer, events } = one
    const stopped = holders[2] as Engine
    stopped.network.serve(RECON_PROTOCOL, async (channel: Channel) => {
      // Takes the request and never says a word.
      await channel.receive()
      await channel.receive().catch(() => undefined)
    })
    for (const holder of holders) newcomer.network.link(holder.network)
    await agree(one, newcomer, 90_000)
    assert.equal(deltasOf(newcomer), DELTAS)
    await bench.pass(60_000)
    assert.ok(events.some((event) => event.what === 'finished'))
    await bench.stop()
  })

  it('is not led astray by a peer that promises what it has not', async () => {
    const one = await world(1)
    const { bench, holders, newcomer, events } = one
    const liar = bench.air.create('a liar')
    await liar.start()
    let outlines = 0
    liar.serve(RECON_PROTOCOL, async (channel: Channel) => {
      const bytes = await channel.receive()
      const frame = bytes === undefined ? undefined : decodeReconFrame(bytes)
      if (frame?.frame !== 'outline') return channel.abort('no')
      outlines++
      const parts = Array.from({ length: 16 }, (_, digit) => ({ prefix: digit.toString(16), count: 1_000_000 }))
      await channel.send(encodeReconFrame({ frame: 'parts', parts }))
      await channel.close()
    })
    newcomer.network.link(liar)
    await bench.pass(30_000)
    assert.ok(events.length > 0, 'it was believed at first')
    newcomer.network.link((holders[0] as Engine).network)
    await agree(one, newcomer, 60_000)
    await bench.pass(LIMITS.reconStrangerMsMax / 2)
    assert.ok(outlines <= 6, `${outlines} outlines: it is not asked again and again`)
    assert.equal(events.at(-1)?.what, 'finished')
    await bench.stop()
  })

  it('asks only for what is missing after a crash in the middle', async () => {
    const one = await world(2)
    const { bench, holders, newcomer } = one
    for (const holder of holders) newcomer.network.link(holder.network)
    await bench.pass(60_000, () => deltasOf(newcomer) > 0)
    // As a crash leaves it: what was stored is there, and nothing else is known.
    const store = await copyOf(newcomer.store)
    await bench.finish(newcomer.node.stop())
    const again = await bench.start({ seed: 9, store, epoch: newcomer.node.epoch })
    const had = deltasOf(again)
    assert.ok(had > 0 && had < DELTAS, `${had} deltas`)
    const events = watch(again)
    for (const holder of holders) again.network.link(holder.network)
    await agree(one, again)
    assert.equal(count(again, 'chrysalis_node_ingested_total'), DELTAS - had)
    const started = events.find((event) => event.what === 'started')
    assert.deepEqual([started?.have, started?.target], [had, DELTAS])
    await bench.stop()
  })

  it(`begins at ${LIMITS.catchUpDeltasMin} deltas and not one below`, async () => {
    for (const [missing, begins] of [
      [LIMITS.catchUpDeltasMin - 1, false],
      [LIMITS.catchUpDeltasMin, true]
    ] as const) {
      const one = await world(1)
      const { bench, holders, newcomer, events } = one
      // Deltas that the holder lacks, and does not hear of before they meet, make up for its surplus.
      bench.air.loses = () => true
      for (let i = 0; i < DELTAS - missing; i++) await newcomer.node.add({ content: `mine ${i}` })
      newcomer.network.link((holders[0] as Engine).network)
      await agree(one)
      assert.equal(events.length > 0, begins, `${missing} missing`)
      assert.equal(deltasOf(newcomer), DELTAS + DELTAS - missing)
      await bench.stop()
    }
  })
})
