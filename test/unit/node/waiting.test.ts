/** Waiting until others hold something: alone on a fake schedule, and through the doors of whole engines. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { NodeApi } from '../../../src/node/api.ts'
import { Receipts } from '../../../src/node/receipts.ts'
import type { SessionReport } from '../../../src/node/sessions.ts'
import type { Space } from '../../../src/node/space.ts'
import { isHeld, notHeld, Waiting } from '../../../src/node/waiting.ts'
import { Bench, codeOf, type Engine } from '../../support/engine.ts'
import { SPACE } from '../../support/sealed.ts'

/** Peers that come to hold everything so long after they are asked; -1: answer at once and hold nothing; undefined: never answer. */
function stage(peers: Readonly<Record<string, number | undefined>>) {
  const queue = new EventQueue()
  const space = { id: SPACE, receipts: new Receipts(SPACE) } as unknown as Space
  const listeners = new Set<(report: SessionReport) => void>()
  const asked: string[] = []
  const waiting = new Waiting({
    clock: new SimClock(queue, 0),
    reconciliation: {
      present: () => Object.keys(peers),
      onSession: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      compare: async (_, peer) => {
        asked.push(peer)
        const afterMs = peers[peer]
        await queue.sleep(afterMs ?? 1e9)
        if (afterMs !== -1) space.receipts.raise(peer, 10)
        const report = { peer } as unknown as SessionReport
        for (const listener of listeners) listener(report)
        return report
      }
    }
  })
  const run = async (work: Promise<boolean>): Promise<[boolean, number]> => {
    let result: boolean | undefined
    void work.then((value) => (result = value))
    await queue.run(100_000, () => result !== undefined)
    return [result as boolean, queue.nowMs]
  }
  return { queue, space, waiting, asked, listeners, run, goal: { space, through: 10 } }
}

describe('waiting', () => {
  it('is over at once for what is held already, and asks nobody', async () => {
    const { space, waiting, asked, run, goal } = stage({ a: 5 })
    space.receipts.raise('a', 10)
    assert.deepEqual(await run(waiting.until([goal], { minPeers: 1 }, 1_000)), [true, 0])
    assert.deepEqual(asked, [])
  })

  it('ends the moment enough hold it, whoever else is silent', async () => {
    const { waiting, run, goal, listeners } = stage({ silent: undefined, a: 30, mute: undefined, b: 50 })
    const [held, atMs] = await run(waiting.until([goal], { minPeers: 2 }, 20_000))
    assert.equal(held, true)
    assert.ok(atMs <= 3_000, `${atMs} ms`)
    assert.equal(listeners.size, 0)
  })

  it('means each of the named peers, and no other', async () => {
    const { space, waiting, asked, run, goal } = stage({ a: 5, b: 5, c: 5 })
    assert.deepEqual((await run(waiting.until([goal], { peers: ['a', 'c'] }, 1_000)))[0], true)
    assert.deepEqual([...new Set(asked)].sort(), ['a', 'c'])
    assert.equal(isHeld(goal, { peers: ['a', 'c'] }), true)
    assert.equal(isHeld(goal, { peers: ['a', 'b'] }), false)
    assert.deepEqual(space.receipts.holdersOf(10), ['a', 'c'])
  })

  it('ends when the time is up, and says how far it got', async () => {
    const { waiting, run, goal } = stage({ a: 5, silent: undefined })
    assert.deepEqual(await run(waiting.until([goal], { minPeers: 2 }, 5_000)), [false, 5_000])
    const error = notHeld([goal], { minPeers: 2 }, 5_000, { hint: 'Wait.' })
    assert.deepEqual([error.code, error.message], ['timeout', '1 of 2 peers hold it after 5000 ms'])
    assert.deepEqual(error.data, { wanted: 2, holders: ['a'], goals: 1, held: 0, space: SPACE, cursor: '10' })
  })

  it('ends when the daemon stops', async () => {
    const { queue, waiting, run, goal } = stage({ silent: undefined })
    const work = waiting.until([goal], { minPeers: 1 }, 60_000)
    queue.after(1_000, () => waiting.stop())
    assert.deepEqual(await run(work), [false, 1_000])
  })

  it('asks those who answered in vain again after all the others', async () => {
    const peers = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`p${i}`, -1]))
    const { queue, waiting, asked, goal } = stage(peers)
    void waiting.until([goal], { minPeers: 3 }, 60_000)
    await queue.run(1_000)
    assert.equal(new Set(asked.slice(0, 12)).size, 12, asked.join())
    waiting.stop()
    await queue.run(1_001)
  })

  it(`asks ${LIMITS.reconAtOnceMax} peers at once at most, and not always the same ones`, async () => {
    const peers = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`p${i}`, undefined]))
    const { queue, waiting, asked, goal } = stage(peers)
    void waiting.until([goal], { minPeers: 20 }, 60_000)
    await queue.run(10)
    assert.equal(asked.length, LIMITS.reconAtOnceMax)
    await queue.run(30_000)
    assert.equal(new Set(asked).size, 20)
    waiting.stop()
    await queue.run(30_001)
  })
})

async function pair(): Promise<{ bench: Bench; a: Engine; b: Engine }> {
  const bench = new Bench()
  const a = await bench.start({ seed: 1, hasPrivate: true })
  const b = await bench.start({ seed: 2 })
  return { bench, a, b }
}

async function dataOf(promise: Promise<unknown>): Promise<Record<string, unknown> | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    assert.ok(error instanceof ChrysalisError)
    return { code: error.code, stateTouched: error.stateTouched, ...error.data }
  }
}

describe('waiting through the door', () => {
  it('resolves when a peer holds the memory, all that touched it included', async () => {
    const { bench, a, b } = await pair()
    const { id } = await a.node.add({ content: 'first' })
    const wait = (request: Parameters<NodeApi['syncWait']>[0]) => bench.finish(a.node.syncWait(request))
    assert.deepEqual(await dataOf(wait({ ids: [id], timeoutMs: 1_000 })), {
      code: 'timeout',
      stateTouched: false,
      wanted: 1,
      holders: [],
      goals: 1,
      held: 0,
      space: SPACE,
      cursor: '1'
    })
    a.network.link(b.network)
    const answer = await wait({ ids: [id], minPeers: 1 })
    assert.deepEqual([answer.memories, answer.cursor], [1, '1'])
    assert.deepEqual(answer.spaces, [{ space: SPACE, name: 'shared', holders: [b.network.self] }])
    await a.node.revise({ id, content: 'second' })
    assert.equal((await wait({ ids: [id], peers: [b.network.self] })).cursor, '2')
    assert.equal((await b.node.get([id]))[0]?.content, 'second')
    await bench.stop()
  })

  it('resolves when everything up to a cursor, or up to now, is held', async () => {
    const { bench, a, b } = await pair()
    await a.node.add({ content: 'mine alone', space: 'mine' })
    for (let i = 0; i < 5; i++) await a.node.add({ content: `${i}` })
    a.network.link(b.network)
    const { cursor } = await a.node.changes({ limit: 3 })
    assert.equal((await bench.finish(a.node.syncWait({ cursor }))).cursor, cursor)
    const all = await bench.finish(a.node.syncWait({}))
    assert.deepEqual([all.memories, all.cursor, all.spaces.map(({ name }) => name)], [0, '6', ['shared']])
    assert.equal(b.node.spaces()[0]?.deltas, 5)
    await bench.stop()
  })

  it('has nothing to wait for where nothing was written', async () => {
    const { bench, b } = await pair()
    assert.deepEqual((await bench.finish(b.node.syncWait({}))).spaces, [])
    await bench.stop()
  })

  it('refuses what can never be, or was not meant', async () => {
    const { bench, a } = await pair()
    const { id } = await a.node.add({ content: 'x', space: 'mine' })
    assert.equal(await codeOf(a.node.syncWait({ ids: [id] })), 'invalid_state')
    assert.equal(await codeOf(a.node.syncWait({ space: 'mine' })), 'invalid_state')
    assert.equal(await codeOf(a.node.syncWait({ ids: ['f'.repeat(64)] })), 'not_found')
    for (const request of [
      { ids: [id], cursor: '1' },
      { minPeers: 1, peers: ['x'] },
      { cursor: '99' },
      { cursor: 'soon' }
    ]) {
      assert.equal(await codeOf(a.node.syncWait(request)), 'invalid_argument', JSON.stringify(request))
    }
    await bench.stop()
  })
})

describe('sync now', () => {
  it('tells how each session went', async () => {
    const { bench, a, b } = await pair()
    a.network.link(b.network)
    await bench.pass(1_000)
    bench.air.loses = () => true
    await a.node.add({ content: 'x' })
    const { sessions } = await bench.finish(a.node.syncNow({ space: 'shared' }))
    assert.equal(sessions.length, 1)
    const [session] = sessions
    assert.deepEqual([session?.result, session?.sent, session?.received], ['repaired', 1, 0])
    assert.ok((session?.roundTrips ?? 0) >= 1)
    assert.ok((session?.bytes ?? 0) > (session?.metadataBytes ?? 0), 'the delta itself is no metadata')
    assert.notEqual(session?.method, 'none')
    await bench.stop()
  })

  it('waits until every session ends in agreement when asked to, and says so when they do not', async () => {
    const { bench, a, b } = await pair()
    a.network.link(b.network)
    bench.air.loses = () => true
    await a.node.add({ content: 'from a' })
    await b.node.add({ content: 'from b' })
    const { sessions } = await bench.finish(a.node.syncNow({ wait: true }))
    assert.deepEqual(
      sessions.map(({ result, sent, received }) => [result, sent, received]),
      [['repaired', 1, 1]]
    )
    assert.equal(a.node.spaces()[0]?.root, b.node.spaces()[0]?.root)
    b.network.open = a.network.open = () => Promise.reject(new ChrysalisError('unavailable', 'nobody is there'))
    const late = await dataOf(bench.finish(a.node.syncNow({ wait: true, timeoutMs: 2_000 })))
    assert.deepEqual([late?.['code'], late?.['agreed'], late?.['of']], ['timeout', 0, 1])
    await bench.stop()
  })
})
