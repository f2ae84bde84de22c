/** Every kind of fault does to a world what it says, and ends. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { SeededRandom } from '../../../src/base/prng.ts'
import { FaultInjector } from '../../../simulations/faults/apply.ts'
import { FAULT_NAMES, type Fault, type FaultKind } from '../../../simulations/faults/plan.ts'
import type { SimNode } from '../../../simulations/world/sim-node.ts'
import { World } from '../../../simulations/world/world.ts'

interface Staged {
  readonly world: World
  readonly injector: FaultInjector
  readonly node: (index: number) => SimNode
  /** Lets virtual time come to so many milliseconds after the beginning. */
  readonly at: (ms: number) => Promise<void>
  readonly add: (index: number, content: string) => Promise<string>
  readonly shows: (index: number, id: string) => Promise<boolean>
}

async function staged(faults: readonly Fault[], nodes = 4): Promise<Staged> {
  const world = new World({ seed: 'faults', nodes, dials: nodes - 1 })
  const injector = new FaultInjector(world, faults, new SeededRandom('faults'))
  await world.start(injector.absentAtStart())
  await world.queue.run(world.queue.nowMs + 3_000)
  const originMs = world.queue.nowMs
  injector.schedule()
  const node = (index: number): SimNode => world.nodes[index] as SimNode
  return {
    world,
    injector,
    node,
    at: async (ms) => void (await world.queue.run(originMs + ms)),
    add: async (index, content) => (await world.settled(node(index).engine.add({ content }))).id,
    shows: async (index, id) => (await world.settled(node(index).engine.get([id])))[0] !== null
  }
}

const fault = (kind: FaultKind, changes: Partial<Fault> = {}): Fault => ({
  atMs: 1_000,
  kind,
  target: [1],
  forMs: 2_000,
  ...changes
})

async function healed({ world, injector }: Staged): Promise<void> {
  await world.settled(injector.heal())
  assert.equal(await world.queue.run(world.queue.nowMs + 120_000, () => world.converged()), true, 'converges')
  await world.stop()
}

suite('faults happen, and end', () => {
  test('crash: down, and up again under another epoch', async () => {
    const stage = await staged([fault('crash')])
    const { epoch } = stage.node(1).engine.status()
    await stage.at(1_500)
    assert.equal(stage.node(1).running, false)
    assert.equal(stage.injector.isAnswering(stage.node(1)), false)
    await stage.at(3_500)
    assert.equal(stage.injector.isAnswering(stage.node(1)), true)
    assert.notEqual(stage.node(1).engine.status().epoch, epoch)
    await healed(stage)
  })

  test('pause: nothing runs meanwhile, and everything is done afterwards', async () => {
    const stage = await staged([fault('pause')])
    const fired: number[] = []
    stage.node(1).clock.setTimer(2_000, () => fired.push(stage.world.queue.nowMs))
    await stage.at(1_500)
    const id = await stage.add(0, 'said while it stood still')
    await stage.at(2_900)
    assert.deepEqual([stage.node(1).paused, fired], [true, []])
    assert.equal(stage.node(1).disk.rows === undefined, false)
    await stage.at(3_200)
    assert.deepEqual([stage.node(1).paused, fired.length], [false, 1])
    assert.equal(await stage.shows(1, id), true)
    await healed(stage)
  })

  test('flap: links break and are dialled again', async () => {
    const stage = await staged([fault('flap', { size: 2 })])
    const linked = (): number =>
      stage
        .node(1)
        .engine.peers()
        .filter(({ connected }) => connected).length
    assert.equal(linked(), 3)
    await stage.at(1_001)
    assert.equal(linked(), 0)
    await stage.at(6_000)
    assert.equal(linked(), 3)
    await healed(stage)
  })

  test('reformat: it comes back empty, with the same identity and a new epoch, and catches up', async () => {
    const stage = await staged([fault('reformat')])
    const id = await stage.add(1, 'written before the disk was wiped')
    await stage.at(900)
    const { author } = stage.node(1)
    const { epoch } = stage.node(1).engine.status()
    await stage.at(1_500)
    assert.equal((await stage.node(1).disk.rows.scan('delta', { limit: 1 })).length, 0)
    // Before a peer can have told it what it once wrote.
    await stage.at(3_001)
    assert.notEqual(stage.node(1).engine.status().epoch, epoch)
    assert.deepEqual(stage.injector.lostDisks, [{ node: 'node-1', atMs: stage.injector.lostDisks[0]?.atMs }])
    await healed(stage)
    assert.equal(stage.node(1).author, author)
    await stage.node(1).start()
    assert.notEqual(stage.node(1).engine.status().epoch, epoch)
    assert.equal(await stage.shows(1, id), true)
    await stage.world.stop()
  })

  test('restore: the disk is as it was when the fault began, and peers give back the rest', async () => {
    const stage = await staged([fault('restore')])
    await stage.at(1_500)
    const id = await stage.add(1, 'written after the copy was made')
    await stage.at(2_500)
    const before = (await stage.node(1).disk.rows.scan('delta', { limit: 10 })).length
    stage.world.air.partition(new Set([stage.node(1).peer]), new Set([0, 2, 3].map((i) => stage.node(i).peer)))
    await stage.at(3_100)
    assert.equal((await stage.node(1).disk.rows.scan('delta', { limit: 10 })).length, before - 1)
    assert.equal(stage.injector.lostDisks.length, 1)
    assert.equal(await stage.shows(0, id), true)
  })

  test('clone: two processes write under one identity and never number two deltas alike', async () => {
    const stage = await staged([fault('clone', { forMs: 6_000 })])
    await stage.add(1, 'before')
    await stage.at(2_000)
    const [clone] = stage.injector.clones
    assert.ok(clone !== undefined && clone.running)
    assert.equal(clone.author, stage.node(1).author)
    assert.notEqual(clone.engine.status().epoch, stage.node(1).engine.status().epoch)
    await stage.world.settled(clone.engine.add({ content: 'by the copy' }))
    await stage.add(1, 'by the original')
    await stage.at(9_000)
    assert.equal(clone.running, false)
    await healed(stage)
    assert.equal((await stage.node(0).disk.rows.scan('proof', { limit: 1 })).length, 0)
  })

  test('clock-jump: the clock is off by as much, and right again afterwards', async () => {
    const stage = await staged([fault('clock-jump', { size: -60_000 })])
    const aheadMs = (): number => stage.node(1).clock.nowMs() - stage.node(0).clock.nowMs()
    await stage.at(1_500)
    assert.equal(aheadMs(), -60_000)
    await stage.at(3_500)
    assert.equal(aheadMs(), 0)
    await healed(stage)
  })

  test('clock-strobe: the clock trembles, and is right again afterwards', async () => {
    const stage = await staged([fault('clock-strobe', { size: 700 })])
    const seen = new Set<number>()
    for (let ms = 1_000; ms < 3_000; ms += 20) {
      await stage.at(ms)
      seen.add(stage.node(1).clock.offsetMs)
    }
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [0, 700]
    )
    await stage.at(3_500)
    assert.equal(stage.node(1).clock.offsetMs, 0)
    await healed(stage)
  })

  test('slow-disk: a write takes that long', async () => {
    const stage = await staged([fault('slow-disk', { size: 300 })])
    await stage.at(1_500)
    const startedMs = stage.world.queue.nowMs
    await stage.add(1, 'slowly')
    assert.ok(stage.world.queue.nowMs - startedMs >= 300)
    await stage.at(3_500)
    assert.equal(stage.node(1).disk.faults.slowMs, 0)
    await healed(stage)
  })

  test('disk-full: writing is refused, reading is not, and writing comes back by itself', async () => {
    const stage = await staged([fault('disk-full')])
    const id = await stage.add(0, 'known before')
    await stage.at(1_500)
    await assert.rejects(stage.world.settled(stage.node(1).engine.add({ content: 'no room' })))
    assert.equal(await stage.shows(1, id), true)
    await healed(stage)
    assert.equal(stage.node(1).disk.faults.full, false)
  })

  test('read-error: reads fail and the daemon lives', async () => {
    const stage = await staged([fault('read-error', { size: 1 })])
    await stage.add(1, 'hard to read')
    await stage.at(1_500)
    await assert.rejects(
      stage
        .node(1)
        .disk.open()
        .get('meta', new Uint8Array([1]))
    )
    stage.node(1).disk.faults.readErrorShare = 0
    await stage.world.settled(stage.injector.heal())
  })

  test('partition: nothing passes; one-way: only from the rest', async () => {
    for (const [kind, back] of [
      ['partition', true],
      ['one-way', false]
    ] as const) {
      const stage = await staged([fault(kind)])
      await stage.at(1_500)
      const [inside, outside] = [stage.node(1).peer, stage.node(0).peer]
      assert.deepEqual([stage.world.air.isCut(inside, outside), stage.world.air.isCut(outside, inside)], [true, back])
      await stage.at(3_500)
      assert.equal(stage.world.air.isCut(inside, outside), false)
      await healed(stage)
    }
  })

  test('clog and swizzle-clog: what is sent is held back, and arrives', async () => {
    for (const kind of ['clog', 'swizzle-clog'] as const) {
      const stage = await staged([fault(kind)])
      let arrivedMs = 0
      await stage.at(1_600)
      stage.world.air.pass(stage.node(1).peer, stage.node(0).peer, () => {
        arrivedMs = stage.world.queue.nowMs
      })
      await stage.at(1_700)
      assert.equal(arrivedMs, 0, kind)
      await stage.at(4_000)
      assert.ok(arrivedMs > 0, kind)
      await healed(stage)
    }
  })

  test('slow-peer, loss, duplication, straggling: the air is worse, and as before afterwards', async () => {
    const stage = await staged([
      fault('loss', { target: [], size: 0.3, forMs: 1_000 }),
      fault('loss', { target: [], size: 0.2 }),
      fault('duplication', { target: [], size: 0.4 }),
      fault('straggling', { target: [], size: 0.5 })
    ])
    const before = { ...stage.world.air.options }
    await stage.at(1_500)
    assert.deepEqual({ ...before, loss: 0.3, duplication: 0.4, straggling: 0.5 }, stage.world.air.options)
    await stage.at(2_500)
    assert.equal(stage.world.air.options.loss, 0.2, 'the stronger one is over')
    await stage.at(3_500)
    assert.deepEqual(stage.world.air.options, before)
    await healed(stage)
    const slow = await staged([fault('slow-peer', { size: 100 })])
    await slow.at(1_500)
    assert.ok(slow.world.air.delayMs(slow.node(1).peer, slow.node(0).peer) > 400)
    await healed(slow)
  })

  test('nat: nobody can dial it, and it dials', async () => {
    const stage = await staged([fault('nat')])
    await stage.at(1_500)
    assert.equal(stage.world.air.unreachable.has(stage.node(1).peer), true)
    await stage.at(3_500)
    assert.equal(stage.world.air.unreachable.has(stage.node(1).peer), false)
    await healed(stage)
  })

  test('late-start: it is not there, then it is', async () => {
    const stage = await staged([fault('late-start')])
    assert.deepEqual([stage.node(1).running, stage.injector.isAnswering(stage.node(1))], [false, false])
    await stage.at(2_000)
    assert.deepEqual([stage.node(1).running, stage.injector.isAnswering(stage.node(1))], [true, true])
    await healed(stage)
  })

  test('other-version: it stops, and starts as another version under the same epoch', async () => {
    const stage = await staged([fault('other-version')])
    const { epoch, version } = stage.node(1).engine.status()
    await stage.at(2_000)
    const now = stage.node(1).engine.status()
    assert.deepEqual([now.epoch, now.version === version], [epoch, false])
    await healed(stage)
  })
})

suite('the injector', () => {
  test('a fault that makes no sense does not happen and is not counted', async () => {
    const stage = await staged([
      fault('crash'),
      fault('crash', { atMs: 1_500 }),
      fault('pause', { atMs: 1_600 }),
      fault('clone', { atMs: 1_700 }),
      fault('crash', { atMs: 1_800, target: [99] }),
      fault('partition', { atMs: 1_900, target: [0, 1, 2, 3] })
    ])
    await stage.at(2_500)
    assert.deepEqual(
      stage.injector.injected.map(({ kind }) => kind),
      ['crash']
    )
    await healed(stage)
  })

  test('healing ends what lasts, begins nothing more, and brings everybody up', async () => {
    const stage = await staged([
      { atMs: 500, kind: 'crash', target: [0] },
      { atMs: 600, kind: 'partition', target: [1, 2] },
      { atMs: 700, kind: 'disk-full', target: [3] },
      fault('crash', { atMs: 3_000, target: [3] })
    ])
    await stage.at(1_000)
    assert.equal(stage.injector.injected.length, 3)
    await stage.world.settled(stage.injector.heal())
    await stage.at(3_500)
    assert.equal(stage.node(3).running, true)
    await healed(stage)
    assert.equal(stage.injector.injected.length, 3)
  })

  test('a daemon that cannot start is started again and again', async () => {
    const stage = await staged([fault('crash', { forMs: 500 })])
    const node = stage.node(1)
    const start = node.start.bind(node)
    let attempts = 0
    node.start = () => (++attempts < 4 ? Promise.reject(new Error('not yet')) : start())
    await stage.at(4_000)
    assert.equal(stage.injector.isAnswering(stage.node(1)), false)
    await stage.at(7_000)
    assert.deepEqual([stage.injector.isAnswering(node), attempts], [true, 4])
    await healed(stage)
  })

  test('every kind was tried here', () => {
    const tried = ['crash', 'pause', 'flap', 'reformat', 'restore', 'clone', 'clock-jump', 'clock-strobe', 'slow-disk']
    tried.push('disk-full', 'read-error', 'partition', 'one-way', 'clog', 'swizzle-clog', 'slow-peer', 'loss')
    tried.push('duplication', 'straggling', 'late-start', 'nat', 'other-version')
    assert.deepEqual([...FAULT_NAMES].sort(), tried.sort())
  })
})
