import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { CALM_AIR, SimAir, type AirOptions } from '../../../simulations/world/sim-air.ts'
import { SimClock, WORLD_EPOCH_MS } from '../../../simulations/world/sim-clock.ts'
import { createSimCrypto } from '../../../simulations/world/sim-crypto.ts'
import { buildMesh } from '../../../simulations/world/sim-mesh.ts'
import { SimNetwork } from '../../../simulations/world/sim-network.ts'
import { SimDisk } from '../../../simulations/world/sim-store.ts'
import { Trace } from '../../../simulations/world/trace.ts'
import { World } from '../../../simulations/world/world.ts'

const TOPIC = '/chrysalis/1/00'

suite('virtual time', () => {
  test('events run by time, then by the order in which they were scheduled', async () => {
    const queue = new EventQueue()
    const ran: string[] = []
    queue.after(20, () => ran.push('c'))
    queue.after(10, () => ran.push('a'))
    queue.after(10, () => ran.push('b'))
    queue.after(99, () => ran.push('too late'))
    await queue.run(50)
    assert.deepEqual(ran, ['a', 'b', 'c'])
    assert.equal(queue.nowMs, 50)
    assert.equal(queue.size, 1)
  })

  test('promises settle before time goes on', async () => {
    const queue = new EventQueue()
    const ran: string[] = []
    queue.after(1, () => {
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve()
        ran.push(`settled at ${queue.nowMs}`)
        queue.after(0, () => ran.push('at once'))
      })()
    })
    queue.after(2, () => ran.push('later'))
    await queue.run(10)
    assert.deepEqual(ran, ['settled at 1', 'at once', 'later'])
  })

  test('what is scheduled for this very instant waits until promises have settled', async () => {
    const queue = new EventQueue()
    const ran: string[] = []
    queue.after(1, () => {
      void Promise.resolve().then(() => ran.push('promise'))
      queue.after(0, () => ran.push('event'))
    })
    await queue.run(1)
    assert.deepEqual(ran, ['promise', 'event'])
  })

  test('a cancelled event does not run, and cancelling twice is fine', async () => {
    const queue = new EventQueue()
    let ran = false
    const cancel = queue.after(1, () => {
      ran = true
    })
    cancel()
    cancel()
    await queue.run(5)
    assert.equal(ran, false)
  })

  test('it stops as soon as there is enough', async () => {
    const queue = new EventQueue()
    let count = 0
    for (let i = 1; i <= 10; i++) queue.after(i, () => count++)
    assert.equal(await queue.run(100, () => count === 4), true)
    assert.equal(queue.nowMs, 4)
    assert.equal(await queue.run(100, () => count === 99), false)
  })

  test('a clock has an offset of its own, timers do not, and none fires after the end', async () => {
    const queue = new EventQueue()
    const clock = new SimClock(queue, -250)
    assert.equal(clock.nowMs(), WORLD_EPOCH_MS - 250)
    const fired: number[] = []
    clock.setTimer(10, () => fired.push(queue.nowMs))
    clock.setTimer(30, () => fired.push(queue.nowMs))
    clock.offsetMs += 3_600_000
    await queue.run(20)
    assert.deepEqual(fired, [10])
    assert.equal(clock.nowMs(), WORLD_EPOCH_MS - 250 + 3_600_000 + 20)
    clock.halt()
    await queue.run(50)
    assert.deepEqual(fired, [10])
  })
})

interface Hearing {
  readonly queue: EventQueue
  readonly air: SimAir
  readonly networks: readonly SimNetwork[]
  /** Messages heard, by node. */
  readonly heard: readonly string[][]
}

/** `count` nodes in a ring with chords, all following one topic. */
async function hearing(count: number, options: Partial<AirOptions>, seed = 'hearing'): Promise<Hearing> {
  const queue = new EventQueue()
  const air = new SimAir(queue, new Trace(), new SeededRandom(seed), { ...CALM_AIR, ...options })
  const heard: string[][] = []
  const networks: SimNetwork[] = []
  for (let i = 0; i < count; i++) {
    const network = new SimNetwork(air, authorToPeerId(toHex(createSimCrypto(`n${i}`).publicKey)), new SimClock(queue))
    const messages: string[] = []
    network.subscribe(TOPIC, (bytes) => {
      messages.push(new TextDecoder().decode(bytes))
      return Promise.resolve('accept')
    })
    await network.start()
    networks.push(network)
    heard.push(messages)
  }
  for (let i = 0; i < count; i++) {
    for (const step of [1, 3]) {
      const other = networks[(i + step) % count] as SimNetwork
      if (other !== networks[i]) void networks[i]?.connect(other.addresses()[0] as string)
    }
  }
  await queue.run(5_000)
  return { queue, air, networks, heard }
}

async function say(world: Hearing, from: number, words: string): Promise<void> {
  await world.networks[from]?.publish(TOPIC, new TextEncoder().encode(words))
  await world.queue.run(world.queue.nowMs + 5_000)
}

const reached = (world: Hearing, words: string): number => world.heard.filter((heard) => heard.includes(words)).length

suite('simulated air', () => {
  test('a message reaches everyone once, whatever is doubled', async () => {
    const world = await hearing(12, { duplication: 0.5 })
    await say(world, 0, 'hello')
    assert.equal(reached(world, 'hello'), 11)
    assert.ok(world.heard.every((heard) => heard.length <= 1))
  })

  test('with all hops lost nobody hears anything; channels get through late', async () => {
    const world = await hearing(4, {})
    world.air.options = { ...world.air.options, loss: 0.9 }
    const totals: number[] = []
    for (let i = 0; i < 20; i++) await say(world, 0, `try ${i}`)
    for (let i = 0; i < 20; i++) totals.push(reached(world, `try ${i}`))
    assert.ok(totals.reduce((a, b) => a + b) < 30)
    world.networks[1]?.serve('/p', async (channel) => channel.send((await channel.receive()) as Uint8Array))
    const answered = world.networks[0]?.open(world.networks[1]?.self ?? '', '/p').then(async (channel) => {
      await channel.send(new Uint8Array([1, 2]))
      return channel.receive()
    })
    await world.queue.run(world.queue.nowMs + 60_000)
    assert.deepEqual(await answered, new Uint8Array([1, 2]))
  })

  test('a partition stops everything between its sides and nothing within them', async () => {
    const world = await hearing(10, { degree: 9 })
    const peers = world.networks.map((network) => network.self)
    const heal = world.air.partition(new Set(peers.slice(0, 5)), new Set(peers.slice(5)))
    await say(world, 0, 'here')
    assert.ok(world.heard.slice(5).every((heard) => heard.length === 0))
    assert.ok(world.heard.slice(1, 5).some((heard) => heard.includes('here')))
    heal()
    await say(world, 0, 'there')
    assert.equal(reached(world, 'there'), 9)
  })

  test('an asymmetric partition lets the other direction through', async () => {
    const world = await hearing(2, {})
    const [a, b] = world.networks.map((network) => network.self) as [string, string]
    world.air.partition(new Set([a]), new Set([b]), false)
    await say(world, 0, 'unheard')
    await say(world, 1, 'heard')
    assert.deepEqual([world.heard[0], world.heard[1]], [['heard'], []])
  })

  test('an open channel waits out a short cut and gives up on a long one', async () => {
    const world = await hearing(2, {})
    const [near, far] = world.networks as [SimNetwork, SimNetwork]
    far.serve('/echo', async (channel) => {
      for (let frame = await channel.receive(); frame !== undefined; frame = await channel.receive()) {
        await channel.send(frame)
      }
    })
    const opening = near.open(far.self, '/echo')
    await world.queue.run(world.queue.nowMs + 1_000)
    const channel = await opening
    const heal = world.air.partition(new Set([near.self]), new Set([far.self]))
    const answer = channel.send(new Uint8Array([7])).then(() => channel.receive())
    await world.queue.run(world.queue.nowMs + 3_000)
    heal()
    await world.queue.run(world.queue.nowMs + 3_000)
    assert.deepEqual(await answer, new Uint8Array([7]))
    world.air.partition(new Set([near.self]), new Set([far.self]))
    const never = assert.rejects(channel.receive(), (error) => isChrysalisError(error, 'timeout'))
    await world.queue.run(world.queue.nowMs + 60_000)
    await never
  })

  test('a mesh is symmetric, connected, within the links, and of the degree', () => {
    const names = Array.from({ length: 60 }, (_, i) => `n${String(i).padStart(2, '0')}`)
    const members = names.map((self) => ({ self, isLinked: (peer: string) => peer !== self }))
    const mesh = buildMesh(members, 4, new SeededRandom('mesh'))
    const seen = new Set(['n00'])
    for (const name of seen) for (const next of mesh.get(name) ?? []) seen.add(next)
    assert.equal(seen.size, 60)
    for (const name of names) {
      const neighbours = mesh.get(name) ?? []
      assert.ok(neighbours.length >= 3 && neighbours.length <= 4)
      for (const neighbour of neighbours) assert.ok(mesh.get(neighbour)?.includes(name))
    }
    assert.notDeepEqual(mesh, buildMesh(members, 4, new SeededRandom('another')))
    const line = ['a', 'b', 'c'].map((self) => ({ self, isLinked: (peer: string) => self === 'b' || peer === 'b' }))
    assert.deepEqual([...(buildMesh(line, 1, new SeededRandom('x')).get('b') ?? [])].sort(), ['a', 'c'])
  })
})

suite('simulated disk', () => {
  const row = (n: number): { table: 'meta'; key: Uint8Array; value: Uint8Array } => ({
    table: 'meta',
    key: new Uint8Array([n]),
    value: new Uint8Array([n, n])
  })

  test('a power cut keeps all that was durable and loses whole batches from the end', async () => {
    const left = new Set<number>()
    for (let seed = 0; seed < 12; seed++) {
      const disk = new SimDisk()
      const store = disk.open()
      await store.batch([row(1)], { durable: true })
      await store.batch([row(2), row(3)], { durable: false })
      await store.batch([{ ...row(1), value: new Uint8Array([9]) }, row(4)], { durable: false })
      const { lost } = await disk.crash(new SeededRandom(`cut ${seed}`))
      left.add(lost)
      const after = disk.open()
      const keys = (await after.scan('meta', { limit: 10 })).map(({ key }) => key[0])
      assert.deepEqual(keys, lost === 2 ? [1] : lost === 1 ? [1, 2, 3] : [1, 2, 3, 4])
      assert.deepEqual(await after.get('meta', new Uint8Array([1])), new Uint8Array(lost === 0 ? [9] : [1, 1]))
    }
    assert.deepEqual(
      [...left].sort((a, b) => a - b),
      [0, 1, 2]
    )
  })

  test('a durable batch makes durable all that was written before it', async () => {
    const disk = new SimDisk()
    const store = disk.open()
    await store.batch([row(1)], { durable: false })
    await store.batch([row(2)], { durable: true })
    assert.deepEqual(await disk.crash(new SeededRandom('cut')), { lost: 0 })
    assert.equal((await disk.open().scan('meta', { limit: 10 })).length, 2)
  })

  test('the store of a dead process answers nothing more', async () => {
    const disk = new SimDisk()
    const store = disk.open()
    await disk.crash(new SeededRandom('cut'))
    await assert.rejects(store.get('meta', new Uint8Array([1])), (error) => isChrysalisError(error, 'unavailable'))
    await assert.rejects(store.batch([row(1)], { durable: true }), (error) => isChrysalisError(error, 'unavailable'))
  })
})

suite('simulated world', () => {
  test('on the plain mesh too, equal seeds give equal traces, another seed another', async () => {
    const trace = async (seed: string): Promise<string> => {
      const world = new World({ seed, nodes: 5, air: { loss: 0.1, duplication: 0.02 }, clockSkewMs: 500 })
      await world.start()
      for (const [i, node] of world.nodes.entries()) await world.settled(node.engine.add({ content: `m${i}` }))
      assert.equal(await world.queue.run(world.queue.nowMs + 60_000, () => world.converged()), true)
      await world.stop()
      return world.trace.digest()
    }
    const first = await trace('a')
    assert.equal(await trace('a'), first)
    assert.notEqual(await trace('b'), first)
  })

  test('a world without reconciliation does not converge: the scenario can fail', async () => {
    const world = new World({
      seed: 'deaf',
      nodes: 4,
      air: { loss: 0.9 },
      sync: { reconcile: false }
    })
    await world.start()
    await world.queue.run(5_000)
    for (let i = 0; i < 10; i++)
      await world.settled(world.nodes[0]?.engine.add({ content: `m${i}` }) as Promise<unknown>)
    assert.equal(await world.queue.run(20_000, () => world.converged()), false)
    await world.stop()
  })

  test('a clean stop keeps the identity and its epoch; a crash draws a new one', async () => {
    const world = new World({ seed: 'epochs', nodes: 2 })
    await world.start()
    const [node] = world.nodes
    assert.ok(node !== undefined)
    const first = node.engine.status().epoch
    await world.settled(node.stop())
    await world.settled(node.start())
    assert.equal(node.engine.status().epoch, first)
    await world.settled(node.crash())
    await world.settled(node.start())
    assert.notEqual(node.engine.status().epoch, first)
    await world.stop()
  })
})
