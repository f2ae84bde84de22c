/**
 * Whole engines that talk to each other over a network which loses, cuts and lies, on virtual time: what gossip misses
 * reconciliation repairs, nothing private leaves, and neither a liar nor a wrong clock hurts anybody else.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { utf8, toHex } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { encodeDelta, encodeFrame } from '../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { topicOf } from '../../src/memory/names.ts'
import { restoreDelta } from '../../src/memory/verify.ts'
import { runInitiator, type SessionOutcome } from '../../src/node/reconcile-driver.ts'
import { DeltaSet } from '../../src/sync/delta-set.ts'
import { RECON_PROTOCOL } from '../../src/sync/recon-codec.ts'
import { at, authorOf, Bench, PRIVATE_SPACE, START_MS, type Engine, type EngineOptions } from '../support/engine.ts'
import { Author } from '../support/replica-bench.ts'
import { identity, note, SPACE } from '../support/sealed.ts'

const YEAR_MS = 365 * 86_400_000

async function world(
  count: number,
  changes: (index: number) => Partial<EngineOptions> = () => ({})
): Promise<{ bench: Bench; engines: Engine[] }> {
  const bench = new Bench()
  const engines: Engine[] = []
  for (let i = 0; i < count; i++) engines.push(await bench.start({ seed: i + 1, ...changes(i) }))
  return { bench, engines }
}

function linkAll(engines: readonly Engine[]): void {
  for (const [i, a] of engines.entries()) for (const b of engines.slice(i + 1)) a.network.link(b.network)
}

/** Lets time pass until every engine has the same root over `deltas` deltas; then compares the whole states. */
async function agree(bench: Bench, engines: readonly Engine[], deltas: number, ms = 300_000): Promise<void> {
  const same = (): boolean => {
    const [first, ...others] = engines.map((engine) => engine.node.spaces()[0])
    return first?.deltas === deltas && others.every((space) => space?.root === first.root)
  }
  await bench.pass(ms, same)
  assert.deepEqual(
    engines.map((engine) => engine.node.spaces()[0]?.deltas),
    engines.map(() => deltas)
  )
  for (const engine of engines) await engine.node.idle()
  const [first, ...others] = await Promise.all(engines.map((engine) => engine.node.digest()))
  for (const digest of others) assert.deepEqual(digest, first)
}

async function storedDeltas(engine: Engine): Promise<VerifiedDelta[]> {
  const rows = await engine.store.rows.scan('delta', { limit: 10_000 })
  return rows.map((row) => {
    const delta = restoreDelta(row.value, identity(1))
    assert.ok(delta.ok)
    return delta.value
  })
}

describe('nodes', () => {
  it('pass every write on at once when nothing is in the way', async () => {
    const { bench, engines } = await world(4)
    linkAll(engines)
    await bench.pass(500)
    for (const [i, engine] of engines.entries()) await engine.node.add({ content: `from ${i}` })
    await agree(bench, engines, 4, 200)
    await bench.stop()
  })

  it('repair by reconciliation what gossip lost', async () => {
    const { bench, engines } = await world(4)
    const dice = new SeededRandom('loss')
    bench.air.loses = () => dice.unit() < 0.8
    linkAll(engines)
    for (let round = 0; round < 10; round++) {
      for (const [i, engine] of engines.entries())
        await engine.node.add({ content: `${round} from ${i}`, key: `k${round}` })
      await bench.pass(300)
    }
    await agree(bench, engines, 40)
    const repaired = engines.map((engine) => engine.metrics.snapshot()['chrysalis_recon_sessions_repaired_total'] ?? 0)
    assert.ok(repaired.reduce((sum, count) => sum + count, 0) > 0, 'some session had something to repair')
    await bench.stop()
  })

  it('fall silent once they agree', async () => {
    const { bench, engines } = await world(3)
    linkAll(engines)
    for (const engine of engines) await engine.node.add({ content: 'x' })
    await agree(bench, engines, 3)
    await bench.pass(10_000)
    bench.air.recording = true
    await bench.pass(120_000)
    assert.deepEqual(
      bench.air.carried.filter((one) => one.how === 'gossip'),
      []
    )
    // Each compares roots with one other at the slowest pace: a hello and its answer.
    assert.ok(bench.air.carried.length <= 3 * 2 * 8, `${bench.air.carried.length} frames`)
    await bench.stop()
  })

  it('agree again after a partition, each side having written on', async () => {
    const { bench, engines } = await world(5)
    linkAll(engines)
    const [a, b, c, d, e] = engines as [Engine, Engine, Engine, Engine, Engine]
    const { id } = await a.node.add({ content: 'before', key: 'shared', tags: ['both'] })
    await agree(bench, engines, 1)
    const heal = bench.air.partition([a.network, b.network], [c.network, d.network, e.network])
    await a.node.revise({ id, content: 'left', tagsRemove: ['both'] })
    await b.node.vote({ id, verdict: 'confirm' })
    await c.node.revise({ id, content: 'right', tagsAdd: ['right'], importance: 0.4 })
    await d.node.add({ content: 'more', key: 'shared', tags: ['both'] })
    await e.node.add({ content: 'elsewhere' })
    await agree(bench, [a, b], 3)
    await agree(bench, [c, d, e], 4)
    heal()
    await agree(bench, engines, 6)
    const views = await Promise.all(engines.map(async (engine) => (await engine.node.get([id]))[0]))
    for (const view of views) {
      assert.deepEqual(view?.tags, ['both', 'right'], 'the add that the remover had not seen stays')
      assert.equal(view.version, 4)
      assert.equal(view.content, views[0]?.content)
    }
    await bench.stop()
  })

  it('let a late joiner catch up with thousands, and carry them on through it', async () => {
    const { bench, engines } = await world(3)
    const [a, b, c] = engines as [Engine, Engine, Engine]
    for (let i = 0; i < 30; i++) {
      await Promise.all(Array.from({ length: 40 }, (_, j) => a.node.add({ content: `memory ${i} ${j}` })))
      await bench.pass(50)
    }
    a.network.link(b.network)
    b.network.link(c.network)
    await agree(bench, engines, 1_200)
    assert.equal((await c.node.search({ query: 'memory 29 39', limit: 1 })).items[0]?.content, 'memory 29 39')
    assert.equal((await c.node.verify({})).valid, 1_200)
    await bench.stop()
  })

  it('come back from a crash without what others hold being lost', async () => {
    const { bench, engines } = await world(3)
    linkAll(engines)
    for (const engine of engines)
      for (let i = 0; i < 5; i++) await engine.node.add({ content: `${engine.author} ${i}` })
    await agree(bench, engines, 15)
    const [a, b, c] = engines as [Engine, Engine, Engine]
    const again = await bench.restart(b)
    for (const other of [a, c]) again.network.link(other.network)
    await a.node.add({ content: 'while it was away' })
    await again.node.add({ content: 'back' })
    await agree(bench, [a, again, c], 17)
    await bench.stop()
  })
})

/** A stranger on the same network who holds nothing asks for everything of a space. */
async function askFor(bench: Bench, engine: Engine, space: string): Promise<SessionOutcome> {
  const curious = bench.air.create(`curious about ${space}`)
  await curious.start()
  curious.link(engine.network)
  const hasher = identity(40)
  const channel = await curious.open(engine.network.self, RECON_PROTOCOL)
  const session = { space, set: new DeltaSet(hasher).snapshot(), hasher, nonce: new Uint8Array(16), settlingMs: 0 }
  const ports = {
    clock: engine.clock,
    load: () => Promise.resolve([]),
    loadShort: () => Promise.resolve([]),
    deliver: (records: readonly Uint8Array[]) => Promise.resolve({ accepted: records.length, known: 0, refused: 0 })
  }
  return bench.finish(runInitiator(channel, session, ports))
}

describe('nodes: a private space', () => {
  it('never leaves, neither published nor served, whoever asks', async () => {
    const { bench, engines } = await world(3, () => ({ hasPrivate: true }))
    bench.air.recording = true
    linkAll(engines)
    const secret = 'the secret of the third shelf'
    const [a, b] = engines as [Engine, Engine]
    const { delta } = await a.node.add({ content: secret, space: 'mine', importance: 1 })
    await a.node.add({ content: 'half a thought about the third shelf', tier: 'working', importance: 0.2 })
    for (const engine of engines) await engine.node.add({ content: 'said to all' })
    await agree(bench, engines, 3)
    await bench.finish(b.node.syncNow({}))
    const own = a.node.spaces().find((space) => space.name === 'mine')
    assert.equal(own?.deltas, 2)
    assert.equal(a.node.spaceTable.byId(PRIVATE_SPACE)?.outbox.size, 0, 'it does not even wait to be sent')
    const asked = await askFor(bench, a, PRIVATE_SPACE)
    assert.deepEqual([asked.result, asked.received], ['failed', 0])
    assert.deepEqual((await askFor(bench, a, SPACE)).received, 3, 'the same question about the shared one is answered')
    assert.ok(
      bench.air.carried.some((one) => one.how === 'gossip') && bench.air.carried.some((one) => one.how === 'channel')
    )
    const needles = [utf8('third shelf'), utf8('secret')].map(toHex)
    needles.push(delta)
    for (const { bytes } of bench.air.carried) {
      const hex = toHex(bytes)
      for (const needle of needles) assert.ok(!hex.includes(needle))
    }
    assert.deepEqual(a.node.peers()[0]?.topics, [topicOf(SPACE)])
    assert.equal(await b.node.get([delta]).then(([item]) => item), null)
    await bench.stop()
  })
})

describe('nodes: somebody who signs twice', () => {
  it('is found out everywhere, and its votes count nowhere', async () => {
    const voters = [1, 2, 3, 9].map(authorOf)
    const { bench, engines } = await world(3, () => ({ options: { ballot: { voters } } }))
    linkAll(engines)
    const [a, b, c] = engines as [Engine, Engine, Engine]
    const { id } = await a.node.add({ content: 'to be judged' })
    await agree(bench, engines, 1)
    const liar = new Author(9)
    const twin = (verdict: 'confirm' | 'dispute') =>
      liar.forge({
        hlc: at(bench.queue.nowMs),
        ops: [{ op: 'vote', target: { by: 'id', id }, verdict, confidence: 10_000, reason: null }]
      })
    const [yes, no] = [twin('confirm'), twin('dispute')]
    const mouth = bench.air.create('the liar')
    await mouth.start()
    const tell = (engine: Engine, delta: VerifiedDelta): Promise<unknown> =>
      engine.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(delta)]), mouth)
    await tell(a, yes)
    await tell(b, no)
    for (const engine of engines) await engine.node.vote({ id, verdict: 'confirm', confidence: 0.8 })
    await agree(bench, engines, 6)
    for (const engine of engines) {
      const tally = await engine.node.tally(id)
      assert.deepEqual([tally.electorate, tally.cast, tally.uncounted, tally.status], [4, 3, 1, 'validated'])
      assert.deepEqual([tally.median, tally.mean], [0.8, 0.8])
      assert.deepEqual((await engine.node.verify({})).equivocators.length, 1)
      assert.equal(engine.network.reports.length, 0, 'whoever passed it on is not blamed')
    }
    const again = await bench.restart(c)
    assert.equal((await again.node.tally(id)).uncounted, 1)
    await bench.stop()
  })
})

describe('nodes: one identity on two machines', () => {
  it('ends with new epochs, and with every place used once from then on', async () => {
    const bench = new Bench()
    const epoch = 'cc'.repeat(8)
    const one = await bench.start({ seed: 1, epoch, random: 'one' })
    const other = await bench.start({ seed: 1, epoch, random: 'other' })
    const middle = await bench.start({ seed: 2 })
    for (let i = 0; i < 3; i++) {
      await one.node.add({ content: `one ${i}` })
      await other.node.add({ content: `other ${i}` })
      await bench.pass(10)
    }
    one.network.link(middle.network)
    await bench.pass(5_000)
    other.network.link(middle.network)
    await agree(bench, [one, other, middle], 6)
    assert.notEqual(one.node.epoch, epoch)
    assert.notEqual(other.node.epoch, epoch)
    assert.notEqual(one.node.epoch, other.node.epoch)
    const before = new Set((await storedDeltas(middle)).map((delta) => delta.id))
    for (let i = 0; i < 5; i++) {
      await one.node.add({ content: `one more ${i}` })
      await other.node.add({ content: `other more ${i}` })
      await bench.pass(100)
    }
    await agree(bench, [one, other, middle], 16)
    const places = new Map<string, number>()
    for (const { id, header } of await storedDeltas(middle)) {
      if (before.has(id)) continue
      const place = `${header.author}:${header.epoch}:${header.seq}`
      places.set(place, (places.get(place) ?? 0) + 1)
      assert.notEqual(header.epoch, epoch)
    }
    assert.equal(places.size, 10)
    for (const engine of [one, other]) {
      assert.ok(engine.log.some((line) => line.level === 'error' && line.message.includes('identity cloned')))
    }
    await bench.stop()
  })
})

describe('nodes: a clock a year ahead', () => {
  it('holds up nobody: its writes are held and shown, the others go on, and nothing is lost', async () => {
    const { bench, engines } = await world(3, (i) => (i === 2 ? { clockOffsetMs: YEAR_MS } : {}))
    const [a, b, wrong] = engines as [Engine, Engine, Engine]
    linkAll(engines)
    await bench.pass(500)
    const early = await wrong.node.add({ content: 'from next year' })
    const { id } = await a.node.add({ content: 'from today', key: 'k' })
    await b.node.add({ content: 'also from today' })
    await agree(bench, [a, b], 2)
    for (const engine of [a, b]) {
      assert.equal(engine.node.spaces()[0]?.pending, 1)
      assert.match(engine.node.status().reasons.join(), /dated ahead of this machine's clock/)
      assert.equal(engine.node.status().state, 'ready')
      assert.equal((await engine.node.search({ query: 'next year' })).items.length, 0)
    }
    assert.equal(wrong.node.spaces()[0]?.deltas, 3, 'it sees the others')
    const receipt = await a.node.revise({ id, content: 'still today' })
    assert.ok(receipt.atMs < START_MS + 3_600_000, 'their own clocks are not dragged along')
    await agree(bench, [a, b], 3)
    for (const engine of engines) assert.deepEqual(engine.network.reports, [])

    // A year passes in a moment: the clocks jump, and what was held comes out.
    for (const engine of [a, b]) engine.clock.offsetMs = YEAR_MS
    await agree(bench, engines, 4)
    for (const engine of [a, b]) {
      assert.equal(engine.node.spaces()[0]?.pending, 0)
      assert.deepEqual(engine.node.status().reasons, [])
      assert.equal((await engine.node.get([early.id]))[0]?.content, 'from next year')
    }
    await bench.stop()
  })
})

describe('nodes: a write storm', () => {
  it('of thousands of writers on one memory converges, and is written down', async () => {
    const WRITES = 1_500
    const { bench, engines } = await world(3)
    linkAll(engines)
    await bench.pass(500)
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        engines.flatMap((engine, i) =>
          Array.from({ length: WRITES / 15 }, (_, j) =>
            engine.node.add({ content: `${i} ${round} ${j}`, key: 'hot', tags: [`t${j % 5}`] })
          )
        )
      )
      await bench.pass(200)
    }
    await agree(bench, engines, WRITES)
    const id = await engines[0]?.node.resolve('key:hot')
    const views = await Promise.all(engines.map(async (engine) => (await engine.node.get([id ?? '']))[0]))
    for (const view of views) {
      assert.equal(view?.version, WRITES)
      assert.equal(view.content, views[0]?.content)
      assert.deepEqual(view.tags, ['t0', 't1', 't2', 't3', 't4'])
    }
    await bench.pass(20_000)
    for (const engine of engines) {
      const [storm] = (await engine.node.stats()).writeStorms
      assert.deepEqual([storm?.record, storm?.writes, storm?.version], [id, WRITES, WRITES])
      assert.equal(storm?.authors.length, 3)
    }
    await bench.stop()
  })
})

describe('nodes: a peer that sends rubbish', () => {
  it('is rejected, and changes nothing', async () => {
    const { bench, engines } = await world(2)
    linkAll(engines)
    const [a, b] = engines as [Engine, Engine]
    await a.node.add({ content: 'sound' })
    await agree(bench, engines, 1)
    const before = await b.node.digest()
    const rogue = bench.air.create('a rogue')
    await rogue.start()
    rogue.subscribe(topicOf(SPACE), () => Promise.resolve('accept'))
    rogue.link(b.network)
    const good = encodeDelta(new Author(7).write(at(0), note('forged')))
    const dice = new SeededRandom('rubbish')
    for (let i = 0; i < 100; i++) {
      const bent = good.slice()
      // Anywhere: no byte of a signed delta is free to change.
      const place = dice.below(bent.length)
      bent[place] = (bent[place] as number) ^ (1 + dice.below(255))
      await rogue.publish(topicOf(SPACE), encodeFrame([bent]))
      await rogue.publish(topicOf(SPACE), dice.bytes(1 + dice.below(300)))
    }
    await bench.pass(1_000)
    await b.node.idle()
    assert.deepEqual(await b.node.digest(), before)
    assert.equal(b.network.verdicts.filter((verdict) => verdict === 'reject').length, 200)
    assert.ok(!a.network.verdicts.includes('reject'), 'and nobody hears of it from an honest node')
    assert.deepEqual([...a.network.reports, ...b.network.reports], [], 'the verdict alone is held against the rogue')
    await bench.stop()
  })
})
