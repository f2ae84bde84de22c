/** Worlds in which the real gossipsub runs under the engine, in virtual time. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { afterEach, suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import type { PeerId } from '../../../src/ports/network.ts'
import { virtualGlobals } from '../../../simulations/kernel/globals.ts'
import { measurePropagation, type PropagationOptions } from '../../../simulations/net/propagation.ts'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { CALM_AIR, SimAir } from '../../../simulations/world/sim-air.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { createIdentities } from '../../../simulations/world/sim-crypto.ts'
import { SimGossip } from '../../../simulations/world/sim-gossip.ts'
import { SimNetwork } from '../../../simulations/world/sim-network.ts'
import type { SimNode } from '../../../simulations/world/sim-node.ts'
import { Trace } from '../../../simulations/world/trace.ts'
import { World, type WorldOptions } from '../../../simulations/world/world.ts'
import { fingerprint } from '../../support/gossip-fingerprint.ts'

const TOPIC = '/chrysalis/test/topic'
let open: World | undefined

async function create(options: Partial<WorldOptions> & { nodes: number }): Promise<World> {
  open = new World({ seed: 'gossip', overlay: 'gossipsub', network: 'wan8', crypto: 'fast', ...options })
  await open.start()
  return open
}

const nodeOf = (world: World, index: number): SimNode => world.nodes[index] as SimNode
const pass = (world: World, ms: number): Promise<boolean> => world.queue.run(world.queue.nowMs + ms)

async function write(world: World, index: number, content: string): Promise<void> {
  await world.settled(nodeOf(world, index).engine.add({ content }))
}

afterEach(async () => {
  await open?.stop()
  open = undefined
})

suite('engines on the real gossipsub', () => {
  test('20 nodes: the same seed is the same run, in this process and in another; another seed is another', async () => {
    const first = await fingerprint('one')
    assert.equal(await fingerprint('one'), first)
    assert.notEqual(await fingerprint('two'), first)
    const code = `
      await import('./src/polyfill.ts')
      const { fingerprint } = await import('./test/support/gossip-fingerprint.ts')
      console.log('fingerprint ' + (await fingerprint('one')))`
    const args = ['--import', 'tsx', '--input-type=module', '-e', code]
    const said = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000 })
    assert.ok(said.includes(`fingerprint ${first}`), said.slice(0, 500))
  })

  test('a write reaches everybody by gossip alone, in less than a second, and its way is on the books', async () => {
    const world = await create({ nodes: 12, sync: { reconcile: false } })
    await pass(world, 3_000)
    await write(world, 0, 'hello')
    await pass(world, 1_500)
    assert.equal(world.converged(), true)
    const [delivery] = world.deliveries
    assert.equal(world.deliveries.length, 1)
    assert.equal(delivery?.publisher, nodeOf(world, 0).peer)
    assert.equal(delivery.arrivals.length, 11)
    assert.ok(delivery.copies >= 11 && delivery.copies < 60, String(delivery.copies))
    assert.ok(delivery.arrivals.every(({ hops, atMs }) => hops >= 1 && hops <= 11 && atMs > delivery.atMs))
    const bytes = world.air.bytes()
    assert.ok(bytes['gossip-payload'] > delivery.copies * 100 && bytes['gossip-control'] > 0)
    assert.equal(bytes.channel, 0, 'no session ran')
  })

  test('a real timer that was set is told of, also when the world has ended', async () => {
    const real = setTimeout
    const world = await create({ nodes: 2 })
    assert.equal(world.escaped, 0)
    const timer = real(() => undefined, 60_000)
    await world.stop()
    assert.equal(world.escaped, 1)
    clearTimeout(timer)
  })

  test('a mesh of fanout 3 stands: from 3 to 6 links, on both sides', async () => {
    const world = await create({ nodes: 20, dials: 6 })
    await pass(world, 5_000)
    const topic = nodeOf(world, 0)
      .network?.peers()
      .find(({ topics }) => topics.length > 0)?.topics[0] as string
    const meshes = new Map<PeerId, readonly PeerId[]>()
    for (const { peer, network } of world.nodes) {
      const overlay = network?.overlay
      assert.ok(overlay instanceof SimGossip)
      meshes.set(peer, overlay.meshOf(topic))
    }
    for (const [peer, mesh] of meshes) {
      assert.ok(mesh.length >= 3 && mesh.length <= 6, `${mesh.length} links`)
      for (const other of mesh) assert.ok(meshes.get(other)?.includes(peer), 'both sides')
    }
  })

  test('a stopped and a crashed node leave no timer behind', async () => {
    const world = await create({ nodes: 2 })
    await pass(world, 3_000)
    await world.settled(nodeOf(world, 0).crash())
    await world.settled(nodeOf(world, 1).stop())
    // Packets that were on the way, and timers of the clock that was halted, run out; nothing new is set.
    await pass(world, 10_000_000)
    assert.equal(world.queue.live, 0)
    assert.equal(world.escaped, 0)
  })

  test('a network that vanished has no timer from that instant on', async () => {
    const queue = new EventQueue()
    const globals = virtualGlobals(queue, new SeededRandom('alone'))
    try {
      const air = new SimAir(queue, new Trace(), new SeededRandom('air'), CALM_AIR, { overlay: 'gossipsub' })
      const peer = authorToPeerId(toHex(createIdentities('fast')('alone').publicKey))
      const network = new SimNetwork(air, peer, new SimClock(queue))
      network.subscribe(TOPIC, () => Promise.resolve('accept'))
      await network.start()
      await queue.run(2_000)
      assert.ok(queue.live > 0, 'it has heartbeats')
      network.vanish()
      await queue.run(queue.nowMs)
      assert.equal(queue.live, 0)
    } finally {
      globals.restore()
    }
  })

  test('lost frames are lost in mode drop, and late in mode tcp', async () => {
    const reached = async (lossMode: 'drop' | 'tcp'): Promise<number> => {
      const world = await create({ nodes: 8, sync: { reconcile: false }, air: { lossMode } })
      await pass(world, 3_000)
      world.air.options = { ...world.air.options, loss: 0.9 }
      await write(world, 0, 'hello')
      await pass(world, 60_000)
      await world.stop()
      return world.deliveries[0]?.arrivals.length ?? 0
    }
    const dropped = await reached('drop')
    assert.ok(dropped < 7, String(dropped))
    assert.equal(await reached('tcp'), 7)
  })

  test('what is said only once over a connection is never lost, only late', async () => {
    const world = await create({ nodes: 6, air: { loss: 0.6 }, sync: { reconcile: false } })
    await pass(world, 30_000)
    for (const { network } of world.nodes) {
      for (const { connected, topics } of network?.peers() ?? []) if (connected) assert.equal(topics.length, 1)
    }
  })

  test('a link that breaks is gone from the mesh at once, and gossip goes on when it is back', async () => {
    const world = await create({ nodes: 2, sync: { reconcile: false } })
    await pass(world, 3_000)
    const [a, b] = [nodeOf(world, 0), nodeOf(world, 1)]
    const fast = world.air.slow(a.peer, 100)
    await write(world, 0, 'on the way when it breaks')
    fast()
    for (const node of world.nodes) node.setUnreachable(true)
    a.network?.lost(b.peer)
    assert.deepEqual([a.network?.isLinked(b.peer), b.network?.isLinked(a.peer)], [false, false])
    assert.deepEqual(await world.settled(a.network?.publish(TOPIC, new Uint8Array([1])) as Promise<unknown>), {
      recipients: 0
    })
    await pass(world, 30_000)
    assert.equal(b.engine.spaces()[0]?.deltas, 0, 'what was on the way is lost')
    for (const node of world.nodes) node.setUnreachable(false)
    await pass(world, 5_000)
    await write(world, 0, 'again')
    await pass(world, 2_000)
    assert.equal(b.engine.spaces()[0]?.deltas, 1, 'the second one is not')
  })

  test('a partition is survived: the two sides are told what they missed', async () => {
    const world = await create({ nodes: 6 })
    await pass(world, 2_000)
    const peers = world.nodes.map(({ peer }) => peer)
    const heal = world.air.partition(new Set(peers.slice(0, 3)), new Set(peers.slice(3)))
    await write(world, 0, 'left')
    await write(world, 5, 'right')
    await pass(world, 10_000)
    assert.equal(world.roots().size, 2)
    heal()
    assert.equal(await world.queue.run(world.queue.nowMs + 60_000, () => world.converged()), true)
  })

  test('banned peers are out of the overlay, and so is what they publish', async () => {
    const world = await create({ nodes: 3, sync: { reconcile: false } })
    await pass(world, 3_000)
    const bad = nodeOf(world, 2)
    for (const node of world.nodes.slice(0, 2)) {
      for (let i = 0; i < 5; i++) node.network?.report(bad.peer, 'invalid', 'planted')
    }
    await pass(world, 3_000)
    await write(world, 2, 'nobody hears this')
    await pass(world, 5_000)
    assert.equal(world.deliveries.length, 0)
    assert.equal(nodeOf(world, 0).network?.isLinked(bad.peer), false)
  })
})

suite('worlds', () => {
  test('either half of reconciliation is enough, and without both nothing would move', async () => {
    for (const half of [{ pushOff: true }, { pullOff: true }, {}]) {
      const world = await create({ nodes: 5, ...half, sync: { gossip: false } })
      for (let i = 0; i < 5; i++) for (let n = 0; n < 8; n++) await write(world, i, `${n} of ${i}`)
      const name = JSON.stringify(half)
      assert.equal(await world.queue.run(world.queue.nowMs + 120_000, () => world.converged()), true, name)
      const counted = world.nodes.map(({ metrics }) => metrics.snapshot())
      const sum = (key: string): number => counted.reduce((total, one) => total + (one[key] ?? 0), 0)
      assert.ok(
        sum('chrysalis_recon_sessions_repaired_total') + sum('chrysalis_recon_sessions_partial_total') > 0,
        name
      )
      assert.equal(
        Object.keys(counted[0] ?? {}).some((key) => key.includes('offence')),
        false,
        name
      )
      await world.stop()
    }
    assert.throws(() => new World({ seed: 'x', nodes: 2, pushOff: true, pullOff: true }), /moves nothing/)
  })

  test('with push off whoever opens a session only gains by it, with pull off only the other one', async () => {
    for (const [half, afterFirst] of [
      [{ pushOff: true }, [2, 1]],
      [{ pullOff: true }, [1, 2]],
      [{}, [2, 2]]
    ] as const) {
      const rarely = { reconcileIntervalMs: 3_600_000, reconcileIntervalMsMax: 3_600_000 }
      const world = await create({ nodes: 2, ...half, sync: { gossip: false, ...rarely } })
      await write(world, 0, 'of the first')
      await write(world, 1, 'of the second')
      // Old enough that nobody leaves it to gossip.
      await pass(world, 5_000)
      const counts = (): number[] => world.nodes.map(({ engine }) => engine.spaces()[0]?.deltas ?? 0)
      await world.settled(nodeOf(world, 0).engine.syncNow({}))
      assert.deepEqual(counts(), afterFirst)
      await world.settled(nodeOf(world, 1).engine.syncNow({}))
      assert.deepEqual(counts(), [2, 2])
      await world.stop()
    }
  })

  test('a node behind an address translator is dialled by nobody, and dials', async () => {
    const world = await create({ nodes: 3 })
    const [a, b] = [nodeOf(world, 0), nodeOf(world, 1)]
    a.setUnreachable(true)
    a.dropLinks()
    const [address] = a.addresses()
    const dialling = b.network?.connect(address as string) as Promise<unknown>
    await assert.rejects(world.settled(dialling), (error) => isChrysalisError(error, 'unavailable'))
    await pass(world, 5_000)
    assert.equal(a.network?.isLinked(b.peer), true, 'it has dialled itself')
    a.setUnreachable(false)
    a.dropLinks()
    await world.settled(b.network?.connect(address as string) as Promise<unknown>)
  })

  test('a clone with the same identity has an address and connections of its own', async () => {
    const world = await create({ nodes: 3 })
    await pass(world, 2_000)
    const clone = await world.settled(nodeOf(world, 0).cloneTo('clone'))
    await world.settled(clone.start())
    await pass(world, 3_000)
    assert.equal(clone.peer, nodeOf(world, 0).peer)
    assert.notDeepEqual(clone.addresses(), nodeOf(world, 0).addresses())
    await world.settled(clone.engine.add({ content: 'of the clone' }))
    await pass(world, 10_000)
    assert.deepEqual(
      world.nodes.map(({ engine }) => engine.spaces()[0]?.deltas),
      [1, 1, 1],
      'it is heard, also beside the original'
    )
    nodeOf(world, 1).network?.serve('/echo', async (channel) => channel.send((await channel.receive()) as Uint8Array))
    const echo = clone.network?.open(nodeOf(world, 1).peer, '/echo').then(async (channel) => {
      await channel.send(new Uint8Array([7]))
      return channel.receive()
    })
    assert.deepEqual(await world.settled(echo as Promise<unknown>), new Uint8Array([7]), 'and answered')
    const lost: string[] = []
    for (const { network } of world.nodes) network?.onEvent((event) => lost.push(event.type))
    await world.settled(clone.crash())
    assert.equal(lost.includes('peer-disconnected'), false, 'the connections of the original stay')
    await write(world, 1, 'after the clone')
    assert.equal(await world.queue.run(world.queue.nowMs + 60_000, () => world.converged()), true)
  })

  test('outsiders are linked like nodes, hear what nodes hear, and come back after a stop', async () => {
    const world = await create({ nodes: 6, outsiders: 2 })
    const [outsider] = world.outsiders
    assert.ok(outsider !== undefined && world.outsiders.length === 2)
    await pass(world, 2_000)
    const topic = nodeOf(world, 0)
      .network?.peers()
      .find(({ topics }) => topics.length > 0)?.topics[0] as string
    const heard: number[] = []
    const listen = async (): Promise<void> => {
      outsider.network.subscribe(topic, async (bytes) => {
        heard.push(bytes.length)
        return 'ignore'
      })
      await outsider.start()
      await pass(world, 3_000)
    }
    await listen()
    await write(world, 0, 'hello')
    await pass(world, 2_000)
    assert.equal(heard.length, 1)
    await world.settled(outsider.stop())
    await write(world, 0, 'unheard')
    await pass(world, 2_000)
    await listen()
    await write(world, 0, 'hello again')
    await pass(world, 2_000)
    assert.equal(heard.length, 2)
    assert.notEqual(outsider.peer, world.outsiders[1]?.peer)
  })

  test('fast signatures: real keys, and nobody but the holder signs', () => {
    const fast = createIdentities('fast')
    const real = createIdentities('ed25519')
    const [a, b] = [fast('a'), fast('b')]
    const message = new Uint8Array([1, 2, 3])
    assert.deepEqual(a.publicKey, real('a').publicKey)
    const signature = a.sign(message)
    assert.equal(signature.length, 64)
    const check = { publicKey: a.publicKey, message, signature }
    assert.equal(b.verify(check), true)
    assert.equal(b.verify({ ...check, publicKey: b.publicKey }), false)
    assert.equal(b.verify({ ...check, message: new Uint8Array([1, 2, 4]) }), false)
    assert.equal(b.verify({ ...check, signature: b.sign(message) }), false)
    assert.equal(b.verify({ ...check, signature: real('a').sign(message) }), false)
    assert.equal(createIdentities('fast')('b').verify(check), false, 'another world knows nothing of it')
    assert.deepEqual([b.keyOk(a.publicKey), b.keyOk(new Uint8Array(32))], [true, false])
  })
})

suite('propagation', () => {
  const options: PropagationOptions = { nodes: 40, seed: 'p', network: 'wan8', messages: 2 }

  test('frames reach everybody, in about four copies each at most; equal options, equal results', async () => {
    const results = await measurePropagation(options)
    assert.deepEqual(await measurePropagation(options), results)
    assert.equal(results.length, 2)
    for (const { coverage, copies, meshDegree, t50Ms, t99Ms, t100Ms, hops, hopsMax, curve } of results) {
      assert.equal(coverage, 1)
      assert.ok(copies > 1 && copies < 5, String(copies))
      assert.ok(Math.abs(meshDegree - 1 - copies) < 0.5, 'what comes on one link leaves on the others')
      assert.ok(t50Ms !== undefined && t99Ms !== undefined && t100Ms !== undefined)
      assert.ok(t50Ms > 20 && t50Ms <= t99Ms && t99Ms <= t100Ms && t100Ms < 1_500, `${t50Ms} ${t100Ms}`)
      assert.ok(hops >= 1 && hops <= hopsMax)
      assert.equal(curve.length, 39)
      assert.deepEqual(curve.at(-1), [t100Ms, 1])
    }
  })

  test('where everybody else drops, only neighbours of the publisher hear it', async () => {
    const [result] = await measurePropagation({ ...options, messages: 1, droppers: 0.95 })
    assert.ok(result !== undefined && result.coverage < 1 && result.t100Ms === undefined)
  })
})
