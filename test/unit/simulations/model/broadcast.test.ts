/** Worlds small and regular enough that a pencil knows what has to come out. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { completeGraph, graphOf, ringGraph, spread } from './worlds.ts'

describe('Broadcast, by closed form', () => {
  it('ring of odd N: the two fronts meet after (N − 1) / 2 links, and N + 1 copies are sent', () => {
    const run = spread({ mesh: ringGraph(11), delayMs: 10 })
    const arrivals = run.arrivalsMs()
    assert.deepEqual([...arrivals], [0, 10, 10, 20, 20, 30, 30, 40, 40, 50, 50])
    assert.equal(run.tally.payloads, 12)
    assert.equal(Math.max(...run.hops()), 5)
  })

  it('complete graph: everyone after one link, (N − 1)² copies', () => {
    const run = spread({ mesh: completeGraph(9), delayMs: 10 })
    assert.deepEqual([run.arrivalsMs()[1], run.arrivalsMs()[8], run.tally.payloads], [10, 10, 64])
  })

  it('star: two links, one copy a delivery', () => {
    const spokes = [1, 2, 3, 4, 5].map((v) => [v, 6] as const)
    const run = spread({ mesh: graphOf(7, [[0, 6], ...spokes]), delayMs: 7 }, { processingMs: 3 })
    assert.deepEqual([...run.arrivalsMs()], [0, 7, 17, 17, 17, 17, 17])
    assert.equal(run.tally.payloads, 6)
    assert.deepEqual(
      [...run.hops()].sort((a, b) => a - b),
      [0, 1, 2, 2, 2, 2, 2]
    )
  })

  it('sends nothing back to whoever sent it while it was being checked', () => {
    const run = spread({ mesh: ringGraph(4), delayMs: 10 }, { processingMs: 5 })
    assert.equal(run.tally.payloads, 4)
    assert.equal(run.arrivalsMs()[3], 25)
  })

  it('whoever publishes with a mesh below D reaches D connections', () => {
    const run = spread({ mesh: graphOf(6, [[0, 1]]), connections: completeGraph(6), delayMs: 10 })
    assert.equal(run.arrivalsMs().length, 5)
  })

  it('a dropper ends the way through it, and does not count', () => {
    const path = graphOf(4, [
      [0, 1],
      [1, 2],
      [2, 3]
    ])
    const run = spread({ mesh: path, delayMs: 10, droppers: [2] })
    assert.deepEqual([run.honest, run.arrivalsMs().length, run.covered], [3, 2, false])
  })
})

describe('Broadcast, repair', () => {
  const apart = graphOf(4, [
    [0, 1],
    [2, 3]
  ])

  it('an announcement crosses where the mesh does not: announced at the heartbeat, asked for, sent', () => {
    const connections = graphOf(4, [
      [0, 1],
      [2, 3],
      [1, 2]
    ])
    const run = spread({ mesh: apart, connections, delayMs: 10 }, { lazyDegree: 3 })
    // The heartbeat of node 1 is at 500; three ways of 10 ms follow, and one more to node 3.
    assert.deepEqual([...run.arrivalsMs()], [0, 10, 530, 540])
    assert.equal(run.tally.iwant, 1)
  })

  it('is announced at two heartbeats, to nobody of the mesh', () => {
    const run = spread({ mesh: graphOf(4, [[0, 1]]), connections: completeGraph(4), delayMs: 1 }, { lazyDegree: 1 })
    // Published to the whole world at once; then four nodes announce twice to one of those beside their mesh.
    assert.equal(run.tally.ihave, 8)
  })

  it('a comparison brings it where no gossip goes, and not before it has settled', () => {
    const run = spread({ mesh: apart, delayMs: 10 }, { antiEntropy: {} })
    assert.ok(run.covered)
    assert.ok((run.arrivalsMs()[2] as number) >= 2_000)
    assert.ok(run.tally.repairs >= 1)
    const never = spread({ mesh: apart, delayMs: 10 })
    assert.ok(!never.covered)
  })

  it('a partner that is silent holds up whoever asked it', () => {
    const pairs = [
      [0, 1],
      [2, 3]
    ] as const
    const lastMs = (silentMs: number): number => {
      const mesh = graphOf(12, pairs)
      const droppers = [4, 5, 6, 7, 8, 9, 10, 11]
      return spread({ mesh, delayMs: 10, droppers }, { antiEntropy: { silentMs } }).arrivalsMs()[3] as number
    }
    assert.ok(lastMs(10_000) > lastMs(0))
  })

  it('in a quiet network comparisons come late', () => {
    // A clique of 39 that gossips, and one node that nobody but chance leads to.
    const pairs = Array.from({ length: 39 }, (_, u) => Array.from({ length: u }, (__, v) => [u, v] as const)).flat()
    const lastMs = (quiet: boolean): number =>
      spread({ mesh: graphOf(40, pairs), delayMs: 10 }, { antiEntropy: { quiet } }).arrivalsMs()[39] as number
    assert.ok(lastMs(false) < 8_000, `${lastMs(false)}`)
    assert.ok(lastMs(true) > lastMs(false), `${lastMs(true)}`)
  })
})

describe('Broadcast, loss', () => {
  it('drop: on a path a lost frame is the end; tcp: it is a delay', () => {
    const path = graphOf(
      40,
      Array.from({ length: 39 }, (_, u) => [u, u + 1] as const)
    )
    assert.ok(!spread({ mesh: path, delayMs: 10 }, { loss: 0.3 }).covered)
    const run = spread({ mesh: path, delayMs: 10 }, { loss: 0.3, lossMode: 'tcp' })
    assert.ok(run.covered)
    const lateMs = (run.arrivalsMs()[39] as number) - 390
    assert.ok(lateMs > 0 && lateMs % 200 === 0, `${lateMs}`)
  })
})
