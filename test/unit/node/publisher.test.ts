/** What an engine publishes for other processes, seen through an index in memory, on virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { Indexer } from '../../../src/node/indexer.ts'
import { Publisher, type PublisherPorts } from '../../../src/node/publisher.ts'
import type { Space } from '../../../src/node/space.ts'
import type { RecallDoc } from '../../../src/recall/recall-doc.ts'
import { TRUST_TIERS } from '../../../src/trust/tier.ts'
import { Bench, PRIVATE_SPACE, type Engine, type EngineOptions } from '../../support/engine.ts'
import { MemoryIndex } from '../../support/memory-index.ts'
import { SPACE } from '../../support/sealed.ts'
import { docOf, idOf } from '../recall/doc.ts'

async function withEngine(
  run: (bench: Bench, engine: Engine, index: MemoryIndex) => Promise<void>,
  setup: Partial<EngineOptions> = {},
  withPrivate = false
): Promise<void> {
  const bench = new Bench()
  const index = new MemoryIndex()
  try {
    await run(bench, await bench.start({ seed: 1, shared: { index, withPrivate }, ...setup }), index)
  } finally {
    await bench.stop()
  }
}

const SOON_MS = 1_000

test('what is written, changed, superseded and retracted here is published so, the index complete', () =>
  withEngine(async (bench, { node }, index) => {
    const told: string[] = []
    node.onEvent((event) => {
      if (event.type === 'node' && event.what === 'index.published') told.push(event.detail)
    })
    const one = await bench.finish(node.add({ content: 'one', tags: ['t'], kind: 'fact' }))
    await bench.pass(SOON_MS)
    const shelf = index.shelf(SPACE)
    assert.deepEqual(shelf.texts(), ['one'])
    assert.equal(shelf.complete, true)
    assert.equal(told.at(-1), `shared generation ${shelf.generation}, 1 memories`)
    assert.equal(TRUST_TIERS[shelf.entries.get(one.id)?.tier ?? 0], 'trusted')
    assert.deepEqual(shelf.entries.get(one.id)?.memory.tags, ['t'])
    const two = await bench.finish(node.add({ content: 'two', supersedes: [one.id] }))
    await bench.pass(SOON_MS)
    assert.deepEqual(shelf.texts(), ['two'], 'what is superseded is hidden')
    await bench.finish(node.retract({ id: two.id, reason: 'no' }))
    await bench.pass(SOON_MS)
    assert.deepEqual(shelf.texts(), ['one'], 'and comes back when that is retracted')
    assert.equal(shelf.entries.has(two.id), false, 'whose words are gone')
    await bench.finish(node.revise({ id: one.id, content: 'uno' }))
    await bench.pass(SOON_MS)
    assert.deepEqual(shelf.texts(), ['uno'])
    assert.equal(node.status().queues['publishing'], 0)
  }))

test('a private space is left out unless it is asked for', async () => {
  const learn = async (bench: Bench, { node }: Engine): Promise<void> => {
    await bench.finish(node.add({ content: 'mine', space: PRIVATE_SPACE }))
    await bench.pass(SOON_MS)
  }
  await withEngine(
    async (bench, engine, index) => {
      await learn(bench, engine)
      assert.deepEqual(index.kept, [SPACE], 'and what is left of another one is deleted')
      assert.equal(index.shelves.has(PRIVATE_SPACE), false)
    },
    { hasPrivate: true }
  )
  await withEngine(
    async (bench, engine, index) => {
      await learn(bench, engine)
      assert.deepEqual(index.shelf(PRIVATE_SPACE).texts(), ['mine'])
    },
    { hasPrivate: true },
    true
  )
})

test('an opinion that changes is published without any new record', () =>
  withEngine(async (bench, one, index) => {
    const other = await bench.start({ seed: 2 })
    one.network.link(other.network)
    const written = await bench.finish(other.node.add({ content: 'from afar' }))
    await bench.pass(10_000, () => (index.shelves.get(SPACE)?.size ?? 0) > 0)
    const tier = (): string | undefined => TRUST_TIERS[index.shelf(SPACE).entries.get(written.id)?.tier ?? 9]
    assert.equal(tier(), 'known')
    await bench.finish(one.node.trustPeer({ peer: other.network.self, tier: 'blocked' }))
    await bench.pass(6_000)
    assert.equal(tier(), 'blocked')
    const { generation } = index.shelf(SPACE)
    await bench.pass(120_000)
    assert.equal(index.shelf(SPACE).changes.length, generation, 'and nothing is written while nothing changes')
  }))

test('after a restart nothing is published again, and what was missed is', () =>
  withEngine(async (bench, engine, index) => {
    for (let n = 0; n < 5; n++) await bench.finish(engine.node.add({ content: `memory ${n}` }))
    await bench.pass(SOON_MS)
    const shelf = index.shelf(SPACE)
    const [gone] = [...shelf.entries.keys()]
    shelf.changes.length = 0
    const again = await bench.restart(engine)
    await bench.pass(SOON_MS)
    assert.deepEqual(
      shelf.changes.flatMap(({ puts }) => puts),
      []
    )
    // As after a crash between the store and the index, and a record the store no longer has.
    const [id, entry] = [...shelf.entries][1] as [string, NonNullable<ReturnType<typeof shelf.entries.get>>]
    shelf.entries.delete(gone as string)
    shelf.entries.set(id, { ...entry, stamp: -1 })
    shelf.entries.set('f'.repeat(64), { ...entry, id: 'f'.repeat(64) })
    await bench.restart(again)
    await bench.pass(SOON_MS)
    assert.deepEqual(shelf.changes.flatMap(({ puts }) => puts.map((put) => put.id)).sort(), [String(gone), id].sort())
    assert.equal(shelf.entries.has('f'.repeat(64)), false)
  }))

test('an index that cannot be written is said in the status, tried again, and filled whole', () =>
  withEngine(async (bench, { node }, index) => {
    index.failure = 'no room'
    await bench.finish(node.add({ content: 'one' }))
    await bench.pass(SOON_MS)
    assert.ok(node.status().reasons.some((reason) => reason.includes('no room')))
    assert.equal(node.status().state, 'ready', 'nothing else depends on it')
    index.failure = undefined
    await bench.finish(node.add({ content: 'two' }))
    await bench.pass(31_000)
    assert.deepEqual(index.shelf(SPACE).texts(), ['one', 'two'])
    assert.deepEqual(node.status().reasons, [])
  }))

test('an index somebody deleted is made anew, though nothing is written', () =>
  withEngine(async (bench, { node }, index) => {
    await bench.finish(node.add({ content: 'one' }))
    await bench.pass(SOON_MS)
    index.shelf(SPACE).intact = false
    await bench.pass(6_000)
    assert.equal(index.shelf(SPACE).intact, true)
    assert.deepEqual(index.shelf(SPACE).texts(), ['one'])
  }))

test('a burst is published in groups of bounded size, after a bounded wait', () =>
  withEngine(async (bench, { node }, index) => {
    await bench.finish(node.add({ content: 'first' }))
    await bench.pass(SOON_MS)
    const shelf = index.shelf(SPACE)
    shelf.changes.length = 0
    const contents = Array.from({ length: 3 * LIMITS.sharedGroupMax + 1 }, (_, n) => ({ content: `memory ${n}` }))
    await bench.finish(node.addMany(contents))
    await bench.finish(node.idle())
    assert.ok(
      await bench.pass(10 * LIMITS.sharedGroupMs, () => shelf.changes.length > 0),
      'the first group comes at once'
    )
    await bench.pass(SOON_MS)
    const sizes = shelf.changes.map(({ puts }) => puts.length)
    assert.equal(Math.max(...sizes), LIMITS.sharedGroupMax)
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      contents.length
    )
  }))

test('beyond the bound names are not kept: another walk finds the rest', async () => {
  const queue = new EventQueue()
  const clock = new SimClock(queue)
  const index = new MemoryIndex()
  const space = { id: SPACE, options: { id: SPACE, name: 'shared', shared: true, isDefault: true } } as unknown as Space
  let walks = 0
  const docs = new Map<string, RecallDoc>()
  const indexer = {
    complete: true,
    whenComplete: () => Promise.resolve(),
    index: {
      get: (id: string) => docs.get(id),
      isSuperseded: () => false,
      list: () => {
        walks++
        return [...docs.values()]
      }
    }
  } as unknown as Indexer
  const ports = {
    clock,
    isBusy: () => false,
    logger: { log: () => undefined },
    spaces: { all: [space] },
    events: { heard: false },
    judge: { onForgotten: () => undefined, tierOf: () => 'known' },
    records: {
      getMany: (_: string, ids: readonly string[]) => Promise.resolve(ids.map((id) => ({ state: id, lastArrival: 1 })))
    },
    items: {
      view: (_: Space, { state }: { state: string }) => ({ id: state, kind: 'note', content: state, retracted: null })
    }
  } as unknown as PublisherPorts
  const publisher = new Publisher({ index, withPrivate: false }, ports)
  for (let n = 0; n < LIMITS.sharedWaitingMax; n++) publisher.removed(space, idOf(n))
  assert.equal(publisher.behind, LIMITS.sharedWaitingMax)
  const last = docOf(LIMITS.sharedWaitingMax, { space: SPACE })
  docs.set(last.id, last)
  publisher.put(space, last.id, 1, last)
  assert.equal(publisher.behind, LIMITS.sharedWaitingMax, 'one more is not kept')
  publisher.put(space, idOf(7), 1, docOf(7))
  assert.equal(publisher.behind, LIMITS.sharedWaitingMax, 'one that waits already is')
  publisher.start(indexer, 'store')
  await queue.run(60_000, () => publisher.behind === 0 && walks > 0)
  await queue.run(queue.nowMs + 100)
  assert.equal(walks, 1)
  assert.deepEqual([...index.shelf(SPACE).entries.keys()], [last.id])
  await publisher.stop()
})
