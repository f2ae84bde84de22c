/** Models of latency, and the parts the air is made of: queues, obstacles, ordered connections, books. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { RPC } from '@libp2p/gossipsub/message'
import { SeededRandom } from '../../../src/base/prng.ts'
import { Deliveries } from '../../../simulations/net/deliveries.ts'
import { Fifo } from '../../../simulations/net/fifo.ts'
import { createLatencyModel, NETWORK_MODELS, type LatencyModel } from '../../../simulations/net/latency.ts'
import { Obstacles } from '../../../simulations/net/obstacles.ts'
import { scanRpc } from '../../../simulations/net/rpc-scan.ts'
import { Uplinks } from '../../../simulations/net/uplinks.ts'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { CALM_AIR, SimAir, type AirOptions } from '../../../simulations/world/sim-air.ts'
import { Trace } from '../../../simulations/world/trace.ts'

const PEERS = Array.from({ length: 400 }, (_, i) => `peer-${i}`)

const pairs = (count: number): [string, string][] => {
  const random = new SeededRandom('pairs')
  return Array.from({ length: count }, () => [
    PEERS[random.below(200)] as string,
    PEERS[200 + random.below(200)] as string
  ])
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length

function delays(model: LatencyModel, count = 4_000): number[] {
  const dice = new SeededRandom('packets')
  return pairs(count).map(([a, b]) => model.delayMs(a, b, dice))
}

const create = (name: LatencyModel['name'], seed = 'places'): LatencyModel =>
  createLatencyModel(name, new SeededRandom(seed))

suite('latency models', () => {
  test('a path is as long one way as the other, and no packet is faster than its path', () => {
    for (const name of NETWORK_MODELS) {
      const model = create(name)
      const dice = new SeededRandom('packets')
      for (const [a, b] of pairs(200)) {
        assert.equal(model.baseMs(a, b), model.baseMs(b, a), name)
        if (name !== 'uniform') assert.ok(model.delayMs(a, b, dice) >= model.baseMs(a, b), name)
      }
    }
  })

  test('lan: under a millisecond, one region', () => {
    const model = create('lan')
    const all = delays(model)
    assert.ok(Math.abs(mean(all) - 0.46) < 0.02, String(mean(all)))
    assert.deepEqual([model.regionOf('peer-1'), ...model.regions], ['here', 'here'])
  })

  test('uniform: from 10 to 50 ms', () => {
    const all = delays(create('uniform'))
    assert.ok(Math.min(...all) >= 10 && Math.max(...all) <= 50)
    assert.ok(Math.abs(mean(all) - 30) < 1, String(mean(all)))
  })

  test('wan8: the mean one-way delay and the shares of the regions are those of the data', () => {
    const model = create('wan8')
    const all = delays(model)
    assert.ok(mean(all) > 60 && mean(all) < 100, String(mean(all)))
    const sorted = [...all].sort((a, b) => a - b)
    const p99 = sorted[Math.floor(sorted.length * 0.99)] as number
    assert.ok(p99 > 160 && p99 < 320, String(p99))
    const many = Array.from({ length: 4_000 }, (_, i) => model.regionOf(`node ${i}`))
    const share = (region: string): number => many.filter((one) => one === region).length / many.length
    assert.ok(Math.abs(share('europe') - 0.494) < 0.03, String(share('europe')))
    assert.ok(Math.abs(share('na-east') - 0.255) < 0.03, String(share('na-east')))
    assert.equal(model.regions.length, 8)
  })

  test('wan8: distances are the matrix plus two last miles around 3 ms', () => {
    const model = create('wan8')
    const extra: number[] = []
    for (const [a, b] of pairs(4_000)) {
      const regions = [model.regionOf(a), model.regionOf(b)]
      if (regions.includes('europe') && regions.includes('na-west')) extra.push(model.baseMs(a, b) - 110)
    }
    assert.ok(extra.length > 100 && Math.min(...extra) > 0)
    // Lognormal around 3 with sigma 0.6: the mean is 3.6 each.
    assert.ok(Math.abs(mean(extra) - 7.2) < 0.8, String(mean(extra)))
  })

  test('wan19: great circles', () => {
    const model = create('wan19')
    assert.equal(model.regions.length, 19)
    const at = (region: string): string => PEERS.find((peer) => model.regionOf(peer) === region) as string
    // London to Sydney is about 17,000 km, London to Paris about 344 km.
    const far = model.baseMs(at('london'), at('sydney'))
    const near = model.baseMs(at('london'), at('paris'))
    assert.ok(Math.abs(far - (4 + 16_990 / 75) / 2) < 1, String(far))
    assert.ok(Math.abs(near - (4 + 344 / 75) / 2) < 0.1, String(near))
    assert.equal(model.baseMs(at('tokyo'), at('tokyo')), 2)
    const seen = new Set(PEERS.map((peer) => model.regionOf(peer)))
    assert.equal(seen.size, 19)
  })

  test('a place depends on the seed and the peer alone', () => {
    const one = create('wan8')
    const other = create('wan8')
    for (const peer of [...PEERS].reverse()) other.regionOf(peer)
    for (const [a, b] of pairs(100)) assert.equal(one.baseMs(a, b), other.baseMs(a, b))
    const elsewhere = create('wan8', 'another seed')
    assert.ok(pairs(100).some(([a, b]) => one.baseMs(a, b) !== elsewhere.baseMs(a, b)))
  })
})

function createAir(options: Partial<AirOptions> = {}): SimAir {
  const calm = { ...CALM_AIR, straggling: 0 }
  return new SimAir(new EventQueue(), new Trace(), new SeededRandom('air'), { ...calm, ...options })
}

suite('uplinks', () => {
  test('a packet waits for those before it, for bytes / bandwidth each', () => {
    const uplinks = new Uplinks()
    assert.equal(uplinks.depart('a', 500, 1_000, 0), 500)
    assert.equal(uplinks.depart('a', 250, 1_000, 100), 650)
    assert.equal(uplinks.depart('b', 250, 1_000, 100), 250, 'lines are separate')
    assert.equal(uplinks.depart('a', 1_000, 1_000, 5_000), 1_000, 'an idle line owes nothing')
    assert.equal(uplinks.depart('a', 1_000_000, 0, 5_000), 0, 'no limit')
  })

  test('a narrow line delays everything its node sends, and nothing else', async () => {
    const air = createAir({ bandwidthBytesPerS: 10_000, delayMs: [1, 1] })
    const arrived: [string, number][] = []
    const note = (what: string) => () => void arrived.push([what, air.queue.nowMs])
    air.toss('a', 'b', 1_000, note('first'))
    air.toss('a', 'c', 2_000, note('second'))
    air.carry('a', 'b', note('third'), 500)
    air.toss('b', 'c', 100, note('other'))
    await air.queue.run(1_000)
    assert.deepEqual(arrived, [
      ['other', 11],
      ['first', 101],
      ['second', 301],
      ['third', 351]
    ])
  })
})

suite('obstacles', () => {
  test('a cut can be one way, and overlapping cuts are healed one by one', () => {
    const obstacles = new Obstacles()
    const [a, b] = [new Set(['a']), new Set(['b'])]
    const oneWay = obstacles.cut(a, b, false)
    assert.deepEqual([obstacles.isCut('a', 'b'), obstacles.isCut('b', 'a')], [true, false])
    const both = obstacles.cut(b, a, true)
    oneWay()
    assert.deepEqual([obstacles.isCut('a', 'b'), obstacles.isCut('b', 'a')], [true, true])
    both()
    both()
    assert.deepEqual([obstacles.isCut('a', 'b'), obstacles.isCut('b', 'a')], [false, false])
  })

  test('slow peers multiply', async () => {
    const air = createAir({ delayMs: [10, 10] })
    const slow = air.slow('a', 3)
    air.slow('b', 2)
    assert.deepEqual([air.delayMs('a', 'c'), air.delayMs('c', 'a'), air.delayMs('a', 'b')], [30, 30, 60])
    slow()
    assert.deepEqual([air.delayMs('a', 'c'), air.delayMs('b', 'c')], [10, 20])
  })

  test('what is clogged arrives in order when it is released, through a second clog only when that is gone too', async () => {
    const air = createAir({ delayMs: [1, 1] })
    const arrived: string[] = []
    const free = air.clog(new Set(['a']), new Set(['b', 'c']))
    const freeLater = air.clog(new Set(['a']), new Set(['c']))
    const fifo = new Fifo<string>(air, { from: 'a', to: 'b' }, (item) => arrived.push(item))
    fifo.put('one', 0)
    fifo.put('two', 0)
    air.toss('a', 'b', 0, () => arrived.push('tossed'))
    air.carry('a', 'c', () => arrived.push('to c'))
    air.carry('b', 'a', () => arrived.push('back'))
    await air.queue.run(100)
    assert.deepEqual(arrived, ['back'])
    free()
    free()
    await air.queue.run(200)
    assert.deepEqual(arrived, ['back', 'one', 'tossed', 'two'])
    freeLater()
    await air.queue.run(300)
    assert.deepEqual(arrived.at(-1), 'to c')
  })
})

suite('ordered connections', () => {
  test('items never overtake each other, however their delays fall', async () => {
    const air = createAir({ delayMs: [1, 200], loss: 0.3, straggling: 0.5 })
    const arrived: number[] = []
    const fifo = new Fifo<number>(air, { from: 'a', to: 'b' }, (item) => arrived.push(item))
    for (let i = 0; i < 100; i++) {
      fifo.put(i, 10)
      await air.queue.run(air.queue.nowMs + 5)
    }
    await air.queue.run(60_000)
    assert.deepEqual(
      arrived,
      Array.from({ length: 100 }, (_, i) => i)
    )
  })

  test('a cut holds items back, and destroys perishable ones', async () => {
    const air = createAir({ delayMs: [10, 10] })
    const arrived: [string, number][] = []
    const fifo = new Fifo<string>(air, { from: 'a', to: 'b' }, (item) => arrived.push([item, air.queue.nowMs]))
    const heal = air.partition(new Set(['a']), new Set(['b']))
    fifo.put('perishable', 1, { perishable: true })
    fifo.put('lasting', 1)
    await air.queue.run(500)
    assert.deepEqual(arrived, [])
    heal()
    await air.queue.run(1_000)
    assert.deepEqual(arrived, [['lasting', 610]])
  })

  test('what is cleared is gone; what is put afterwards arrives in its own time', async () => {
    const air = createAir({ delayMs: [10, 10] })
    const arrived: [string, number][] = []
    const fifo = new Fifo<string>(air, { from: 'a', to: 'b' }, (item) => arrived.push([item, air.queue.nowMs]))
    fifo.put('gone', 1)
    await air.queue.run(5)
    fifo.clear()
    fifo.put('stays', 1)
    await air.queue.run(100)
    assert.deepEqual(arrived, [['stays', 15]])
  })
})

suite('loss', () => {
  const lost = async (options: Partial<AirOptions>): Promise<number> => {
    const air = createAir(options)
    let arrived = 0
    for (let i = 0; i < 1_000; i++) air.toss('a', 'b', 10, () => arrived++)
    await air.queue.run(600_000)
    return 1_000 - arrived
  }

  test('drop: the share is lost; tcp: everything arrives, later', async () => {
    const dropped = await lost({ loss: 0.3, lossMode: 'drop' })
    assert.ok(Math.abs(dropped - 300) < 50, String(dropped))
    assert.equal(await lost({ loss: 0.3, lossMode: 'tcp' }), 0)
    const air = createAir({ loss: 0.5, lossMode: 'tcp', delayMs: [10, 10] })
    const delayed = Array.from({ length: 2_000 }, () => air.streamDelayMs('a', 'b'))
    // One retransmission of 200 ms on average.
    assert.ok(Math.abs(mean(delayed) - 210) < 20, String(mean(delayed)))
  })
})

suite('what an RPC carries', () => {
  const frame = new Uint8Array(300).fill(7)
  const framed = (rpc: Parameters<typeof RPC.encode>[0]): Uint8Array => {
    const body = RPC.encode(rpc)
    const head = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7]
    return Uint8Array.from([...head, ...body])
  }

  test('frames are found, and whether the link changes its standing', () => {
    const messages = [
      { topic: 't', data: frame },
      { topic: 'u', data: new Uint8Array([1, 2]) }
    ]
    const told = scanRpc(framed({ subscriptions: [], messages }))
    assert.deepEqual(told, { frames: [frame, new Uint8Array([1, 2])], isStanding: false })
    const subscriptions = [{ subscribe: true, topic: 't' }]
    assert.equal(scanRpc(framed({ subscriptions, messages: [] })).isStanding, true)
    const control = { ihave: [], iwant: [], graft: [], prune: [], idontwant: [] }
    const withControl = (part: object): boolean =>
      scanRpc(framed({ subscriptions: [], messages: [], control: { ...control, ...part } })).isStanding
    assert.equal(withControl({ graft: [{ topicID: 't' }] }), true)
    assert.equal(withControl({ prune: [{ topicID: 't', peers: [], backoff: 60 }] }), true)
    assert.equal(withControl({ ihave: [{ topicID: 't', messageIDs: [frame] }] }), false)
    assert.equal(withControl({ iwant: [{ messageIDs: [frame] }] }), false)
  })

  test('bytes that are no RPC carry nothing', () => {
    for (const bytes of [[], [255, 255, 255, 255, 255, 255], [3, 18, 90, 1], [2, 9, 1], [1, 128]]) {
      assert.deepEqual(scanRpc(Uint8Array.from(bytes)), { frames: [], isStanding: false }, String(bytes))
    }
  })
})

suite('deliveries', () => {
  test('first arrivals, hops and copies', () => {
    const deliveries = new Deliveries()
    deliveries.published('f', 'a', 100)
    for (let i = 0; i < 3; i++) deliveries.sent('f')
    deliveries.sent('unknown')
    deliveries.arrived('f', 'b', 'a', 110)
    deliveries.arrived('f', 'c', 'b', 130)
    deliveries.arrived('f', 'b', 'c', 140)
    deliveries.arrived('f', 'a', 'c', 150)
    const frame = deliveries.get('f')
    assert.deepEqual([frame?.publisher, frame?.atMs, frame?.copies], ['a', 100, 3])
    assert.deepEqual(frame?.arrivals, [
      { node: 'b', atMs: 110, hops: 1 },
      { node: 'c', atMs: 130, hops: 2 }
    ])
  })

  test('whoever publishes a known frame again is a second source, and what nobody took is forgotten', () => {
    const deliveries = new Deliveries()
    deliveries.published('f', 'a', 0)
    deliveries.withdraw('f')
    assert.equal(deliveries.all().length, 0)
    deliveries.published('f', 'a', 5)
    deliveries.sent('f')
    deliveries.withdraw('f')
    deliveries.published('f', 'z', 9)
    deliveries.arrived('f', 'b', 'z', 10)
    assert.deepEqual(deliveries.get('f')?.arrivals, [{ node: 'b', atMs: 10, hops: 1 }])
    assert.equal(deliveries.get('f')?.publisher, 'a')
  })

  test('a bounded number of frames: the oldest is forgotten, and counted', () => {
    const deliveries = new Deliveries(3)
    for (const id of ['a', 'b', 'c']) deliveries.published(id, 'x', 0)
    assert.deepEqual([deliveries.all().length, deliveries.forgotten], [3, 0])
    deliveries.published('d', 'x', 0)
    assert.deepEqual(
      deliveries.all().map(({ id }) => id),
      ['b', 'c', 'd']
    )
    assert.equal(deliveries.forgotten, 1)
  })
})
