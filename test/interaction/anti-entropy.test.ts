/**
 * The schedule of anti-entropy among whole engines on virtual time: it suffices alone, it is quiet when there is nothing to
 * do, and neither the dead nor the stubborn hold it up.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../src/base/limits.ts'
import { topicOf } from '../../src/memory/names.ts'
import type { NodeOptions, SpaceOptions } from '../../src/node/options.ts'
import type { ChannelHandler } from '../../src/ports/network.ts'
import { RECON_PROTOCOL } from '../../src/sync/recon-codec.ts'
import { authorOf, Bench, codeOf, type Engine, type EngineOptions } from '../support/engine.ts'
import { SPACE } from '../support/sealed.ts'

type Sync = Partial<NodeOptions['sync']>

async function world(
  count: number,
  sync: Sync = {},
  more: Partial<EngineOptions> = {}
): Promise<{ bench: Bench; engines: Engine[] }> {
  const bench = new Bench()
  const engines: Engine[] = []
  for (let i = 0; i < count; i++) engines.push(await bench.start({ seed: i + 1, options: { sync }, ...more }))
  return { bench, engines }
}

function linkRing(engines: readonly Engine[]): void {
  engines.forEach((engine, i) => engine.network.link((engines[(i + 1) % engines.length] as Engine).network))
}

function linkAll(engines: readonly Engine[]): void {
  for (const [i, a] of engines.entries()) for (const b of engines.slice(i + 1)) a.network.link(b.network)
}

const rootOf = (engine: Engine): string => engine.node.spaces()[0]?.root ?? ''
const deltasOf = (engine: Engine): number => engine.node.spaces()[0]?.deltas ?? 0
const count = (engine: Engine, name: string): number => engine.metrics.snapshot()[name] ?? 0
const agree = (engines: readonly Engine[], deltas: number): boolean =>
  engines.every((engine) => deltasOf(engine) === deltas && rootOf(engine) === rootOf(engines[0] as Engine))

/** When this engine opened channels of reconciliation, in virtual milliseconds, and with whom. */
function watchOpens(bench: Bench, engine: Engine): { atMs: number; peer: string }[] {
  const opens: { atMs: number; peer: string }[] = []
  const open = engine.network.open.bind(engine.network)
  engine.network.open = (peer, protocol) => {
    if (protocol === RECON_PROTOCOL) opens.push({ atMs: bench.queue.nowMs, peer })
    return open(peer, protocol)
  }
  return opens
}

describe('anti-entropy alone', () => {
  it('makes eight nodes in a ring agree, with gossip switched off entirely', async () => {
    const { bench, engines } = await world(8, { gossip: false })
    linkRing(engines)
    bench.air.recording = true
    for (const [i, engine] of engines.entries()) {
      for (let j = 0; j < 5; j++) await engine.node.add({ content: `${j} from ${i}` })
    }
    assert.ok(await bench.pass(60_000, () => agree(engines, 40)), `${engines.map(deltasOf).join()} deltas`)
    assert.deepEqual(
      bench.air.carried.filter((one) => one.how === 'gossip'),
      []
    )
    await bench.stop()
  })

  it('spreads what it recovered by gossip to those who are waiting for it', async () => {
    // b hears of the write by a session only; c is no neighbour of a and asks nobody by itself.
    const { bench, engines } = await world(3)
    const [a, b, c] = engines as [Engine, Engine, Engine]
    await c.node.stop()
    const quiet = await bench.restart(c, {
      options: { sync: { reconcileIntervalMs: 3_600_000, reconcileIntervalMsMax: 3_600_000 } }
    })
    bench.air.loses = (from) => from === a.network
    a.network.link(b.network)
    b.network.link(quiet.network)
    await bench.pass(5_000)
    await a.node.add({ content: 'lost on its way' })
    assert.ok(await bench.pass(30_000, () => deltasOf(b) === 1))
    const sessions = count(quiet, 'chrysalis_recon_bytes')
    assert.ok(await bench.pass(1_000, () => deltasOf(quiet) === 1), 'within a second of its recovery')
    assert.equal(count(quiet, 'chrysalis_recon_bytes'), sessions, 'and by no session of its own')
    assert.ok(count(quiet, 'chrysalis_gossip_frames_total') > 0)
    await bench.stop()
  })
})

describe('gossip alone', () => {
  it('makes nodes agree where nothing is lost, and no session is opened or answered', async () => {
    const { bench, engines } = await world(4, { reconcile: false })
    linkAll(engines)
    await bench.pass(500)
    bench.air.recording = true
    for (const [i, engine] of engines.entries()) await engine.node.add({ content: `from ${i}` })
    assert.ok(await bench.pass(2_000, () => agree(engines, 4)))
    const [a, b] = engines as [Engine, Engine]
    assert.equal(await codeOf(a.node.syncNow({ peer: b.network.self })), 'invalid_state')
    await bench.pass(60_000)
    assert.deepEqual(
      bench.air.carried.filter((one) => one.how === 'channel'),
      []
    )
    await bench.stop()
  })
})

describe('the schedule', () => {
  it('costs next to nothing when everything is equal', async () => {
    const { bench, engines } = await world(5)
    linkAll(engines)
    for (const engine of engines) await engine.node.add({ content: 'x' })
    await bench.pass(60_000, () => agree(engines, 5))
    await bench.pass(5_000)
    bench.air.recording = true
    const seconds = 600
    await bench.pass(seconds * 1_000)
    for (const { network } of engines) {
      const sent = bench.air.carried
        .filter((one) => one.from === network)
        .reduce((sum, one) => sum + one.bytes.length, 0)
      assert.ok(sent > 0, 'it does look')
      assert.ok(sent / seconds <= 200, `${sent / seconds} bytes a second`)
    }
    await bench.stop()
  })

  it('slows down while nothing differs, and is back at full pace after a write', async () => {
    const { bench, engines } = await world(2)
    const [a, b] = engines as [Engine, Engine]
    // Only a asks.
    b.network.open = () => Promise.reject(new Error('not today'))
    a.network.link(b.network)
    await bench.pass(400_000)
    const opens = watchOpens(bench, a)
    await bench.pass(180_000)
    assert.ok(opens.length >= 2 && opens.length <= 4, `${opens.length} sessions in three quiet minutes`)
    const wroteMs = bench.queue.nowMs
    opens.length = 0
    await a.node.add({ content: 'news' })
    await bench.pass(2_500)
    assert.ok(opens.length >= 1, 'within the interval and its fifth')
    await bench.pass(10_000)
    const pauses = opens.slice(1).map((open, i) => open.atMs - (opens[i] as { atMs: number }).atMs)
    assert.ok((pauses[0] ?? Infinity) <= 4_800 + 100, `${pauses.join()} after ${(opens[0]?.atMs ?? 0) - wroteMs}`)
    await bench.stop()
  })

  it('is back at full pace when gossip shows a gap', async () => {
    const { bench, engines } = await world(2)
    const [a, b] = engines as [Engine, Engine]
    a.network.open = () => Promise.reject(new Error('only b asks'))
    a.network.link(b.network)
    await a.node.add({ content: 'first' })
    await bench.pass(400_000)
    assert.equal(deltasOf(b), 1)
    bench.air.loses = () => true
    await a.node.add({ content: 'lost' })
    await bench.pass(100)
    bench.air.loses = () => false
    const opens = watchOpens(bench, b)
    await bench.pass(500)
    assert.equal(opens.length, 0)
    await a.node.add({ content: 'heard' })
    assert.ok(await bench.pass(6_000, () => deltasOf(b) === 3), 'long before the slow beat')
    await bench.stop()
  })

  it('asks somebody else within a second when a peer fails, and never the same one', async () => {
    const { bench, engines } = await world(3)
    const [a, b, c] = engines as [Engine, Engine, Engine]
    linkAll(engines)
    await bench.pass(10_000)
    const opens = watchOpens(bench, a)
    const good = a.network.open
    a.network.open = (peer, protocol) => (peer === b.network.self ? good('nobody', protocol) : good(peer, protocol))
    await bench.pass(600_000)
    const failures = opens.map((open, i) => ({ ...open, next: opens[i + 1] })).filter((open) => open.peer === 'nobody')
    assert.ok(failures.length >= 3, `${failures.length} failures`)
    for (const { atMs, next } of failures.slice(0, -1)) {
      assert.equal(next?.peer, c.network.self)
      assert.ok((next?.atMs ?? 0) - atMs <= 1_000, `${(next?.atMs ?? 0) - atMs} ms`)
    }
    await bench.stop()
  })

  it('is not held up by a saved peer that is dead, silent ones included', async () => {
    for (const reachable of ['no', 'silent'] as const) {
      const { bench, engines } = await world(2, { gossip: false })
      const [a, b] = engines as [Engine, Engine]
      const dead = bench.air.create(`dead ${reachable}`)
      dead.reachable = reachable
      a.network.saved.add(dead)
      a.network.link(b.network)
      await bench.pass(30_000)
      for (let i = 0; i < 10; i++) {
        await a.node.add({ content: `${i}` })
        const wroteMs = bench.queue.nowMs
        assert.ok(
          await bench.pass(6_000, () => deltasOf(b) === i + 1),
          `write ${i} after ${bench.queue.nowMs - wroteMs} ms`
        )
      }
      // The longer it is dead, the less it is tried.
      const opens = watchOpens(bench, a)
      await bench.pass(600_000)
      const tried = opens.filter((open) => open.peer === dead.self)
      if (reachable === 'silent') {
        // It is given up on before the dial is, and somebody else is asked soon after.
        for (const { atMs } of tried.slice(0, 3)) {
          const next = opens.find((open) => open.atMs > atMs)
          const waitedMs = (next?.atMs ?? Infinity) - atMs
          assert.equal(next?.peer, b.network.self)
          assert.ok(waitedMs > LIMITS.reconAnswerMsMax && waitedMs <= LIMITS.reconAnswerMsMax + 1_000, `${waitedMs} ms`)
        }
      }
      assert.ok(tried.length >= 3 && tried.length <= 15, `${tried.length} dials of the dead in ten minutes`)
      await bench.stop()
    }
  })

  it('is not held up by connections that were cut without a word: channels open, and nothing comes back', async () => {
    const { bench, engines } = await world(4, { gossip: false })
    const [a, b, ...mute] = engines as [Engine, Engine, Engine, Engine]
    const swallow: ChannelHandler = async (channel) => {
      while ((await channel.receive().catch(() => undefined)) !== undefined);
    }
    for (const { network } of mute) network.serve(RECON_PROTOCOL, swallow)
    for (const { network } of [b, ...mute]) a.network.link(network)
    await bench.pass(30_000)
    for (let i = 0; i < 10; i++) {
      await a.node.add({ content: `${i}` })
      const wroteMs = bench.queue.nowMs
      const inTime = await bench.pass(LIMITS.reconStillMsMax, () => deltasOf(b) === i + 1)
      assert.ok(inTime, `write ${i} not there after ${bench.queue.nowMs - wroteMs} ms`)
    }
    await bench.stop()
  })

  it('dials a saved peer that is back, though nobody told', async () => {
    const { bench, engines } = await world(2)
    const [a, b] = engines as [Engine, Engine]
    a.network.saved.add(b.network)
    b.network.reachable = 'no'
    await a.node.add({ content: 'x' })
    await bench.pass(120_000)
    assert.equal(deltasOf(b), 0)
    b.network.reachable = 'yes'
    assert.ok(await bench.pass(75_000, () => deltasOf(b) === 1))
    await bench.stop()
  })

  it(`walks the tree after ${LIMITS.reconSketchedSessionsMax} unequal sessions in a row, whatever the sketch says`, async () => {
    const { bench, engines } = await world(2, { gossip: false })
    const [a, b] = engines as [Engine, Engine]
    for (let i = 0; i < 100; i++) await a.node.add({ content: `${i}` })
    b.network.open = () => Promise.reject(new Error('only a asks'))
    a.network.link(b.network)
    await bench.pass(10_000, () => agree(engines, 100))
    const methods = new Map<number, string>()
    for (let second = 0; second < 120; second++) {
      // There is always something young to differ in.
      await a.node.add({ content: `second ${second}` })
      await bench.pass(1_000)
      const session = (await a.node.syncStatus()).peers[0]?.session
      if (session?.startedHere === true) methods.set(session.atMs, session.method)
    }
    const told = [...methods.values()]
    const walks = told.flatMap((method, i) => (method === 'tree' ? [i] : []))
    assert.ok(walks.length >= 2, told.join())
    assert.equal((walks.at(-1) ?? 0) - (walks.at(-2) ?? 0), LIMITS.reconSketchedSessionsMax, told.join())
    assert.ok(told.filter((method) => method === 'sketch').length > 2 * walks.length)
    await bench.stop()
  })

  it('books no failure when two ask each other at the same time', async () => {
    const { bench, engines } = await world(2)
    const [a, b] = engines as [Engine, Engine]
    linkAll(engines)
    for (let round = 0; round < 20; round++) {
      await a.node.add({ content: `a ${round}` })
      await b.node.add({ content: `b ${round}` })
      await bench.finish(Promise.all([a.node.syncNow({}), b.node.syncNow({})]))
    }
    await bench.pass(10_000, () => agree(engines, 40))
    assert.ok(agree(engines, 40))
    const busy = count(a, 'chrysalis_recon_sessions_busy_total') + count(b, 'chrysalis_recon_sessions_busy_total')
    assert.ok(busy > 0, 'it did happen')
    for (const engine of engines) {
      assert.equal(count(engine, 'chrysalis_recon_sessions_failed_total'), 0)
      const { peers } = await engine.node.syncStatus()
      for (const peer of peers) assert.deepEqual([peer.failures, peer.session?.detail ?? null], [0, null])
    }
    await bench.stop()
  })

  it('leaves alone a peer that is not in the space, and asks again when it joins', async () => {
    const { bench, engines } = await world(1)
    const [a] = engines as [Engine]
    const elsewhere: SpaceOptions = {
      id: 'e1'.repeat(16),
      name: 'other',
      shared: true,
      isDefault: true,
      creator: authorOf(1),
      policy: 'open'
    }
    const other = await bench.start({ seed: 9, options: { spaces: [elsewhere], sync: { gossip: false } } })
    const opens = watchOpens(bench, a)
    a.network.link(other.network)
    await bench.pass(LIMITS.reconStrangerMsMax - 10_000)
    // One question how much it has, and one session: both refused.
    assert.ok(opens.length <= 2, `${opens.length} times`)
    assert.equal(count(a, 'chrysalis_peer_offence_protocol_total'), 0)
    opens.length = 0
    other.network.subscribe(topicOf(SPACE), () => Promise.resolve('ignore'))
    await bench.pass(2_000)
    assert.ok(opens.length > 0, 'it listens to the space now')
    await bench.stop()
  })
})

describe('a difference that does not go away', () => {
  it('is told after five sessions in which nothing moved, and taken back when they agree', async () => {
    const bench = new Bench()
    const space = { id: SPACE, name: 'shared', shared: true, isDefault: true } as const
    const a = await bench.start({ seed: 1 })
    // Judges by another rule: only its own author may write.
    const b = await bench.start({
      seed: 2,
      options: { spaces: [{ ...space, creator: authorOf(2), policy: 'private' }], sync: { gossip: false } }
    })
    const told: string[] = []
    a.node.onEvent((event) => {
      if (event.type === 'node') told.push(event.what)
    })
    a.network.link(b.network)
    await a.node.add({ content: 'not for b' })
    await bench.pass(60_000, () => told.length > 0)
    assert.deepEqual(told, ['recon-stuck'])
    assert.equal(count(a, 'chrysalis_recon_stuck_total'), 1)
    assert.match(a.node.status().reasons.join(), /shared differs from peer .* moved nothing/)
    assert.equal((await a.node.syncStatus()).peers[0]?.stuck, true)
    assert.ok(a.log.some((line) => line.level === 'warn' && /stay different/.test(line.message)))
    assert.equal(a.node.status().state, 'ready')
    await b.node.add({ content: 'for both' })
    await bench.pass(30_000, () => told.length > 1)
    assert.deepEqual(told, ['recon-stuck', 'recon-moving'])
    assert.deepEqual(a.node.status().reasons, [])
    await bench.stop()
  })
})
