/** The driver of a catch-up on a stage: who is asked for what, what is told of it, and when it is given up. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { CatchUp, partDeltasMax } from '../../../src/node/catch-up.ts'
import { Events } from '../../../src/node/events.ts'
import type { NodeEvent } from '../../../src/node/api.ts'
import type { Comparison, SessionReport } from '../../../src/node/sessions.ts'
import type { Space } from '../../../src/node/space.ts'
import type { Part } from '../../../src/sync/catch-up-plan.ts'
import type { SessionOutcome } from '../../../src/sync/recon-session.ts'
import { SPACE } from '../../support/sealed.ts'

const PARTS: readonly Part[] = Array.from({ length: 8 }, (_, i) => ({ prefix: `${i}`, count: 500 }))

interface Behaviour {
  /** Milliseconds a part takes. */
  readonly ms: number
  /** Deltas it has of each part. */
  readonly has?: number
  /** Says it is busy so often before it serves. */
  busy?: number
}

function stage(peers: Readonly<Record<string, Behaviour>>, outline: readonly Part[] | Error = PARTS) {
  const queue = new EventQueue()
  const clock = new SimClock(queue, 0)
  const logger = { log: () => undefined }
  const events: (NodeEvent & { type: 'catch-up' })[] = []
  const told = new Events({ clock, logger })
  told.on((event) => {
    if (event.type === 'catch-up') events.push(event)
  })
  const held = new Map<string, number>()
  const count = (): number => [...held.values()].reduce((sum, one) => sum + one, 0)
  const space = {
    id: SPACE,
    replica: {
      tree: {
        get count() {
          return count()
        },
        snapshot: () => ({ countAt: (prefix: string) => held.get(prefix) ?? 0 })
      }
    }
  } as unknown as Space
  const asked: { peer: string; prefix: string; atMs: number }[] = []
  const finished: string[] = []
  let outlines = 0
  const running = new Map<string, Comparison>()
  const compare = (_: Space, peer: string, { prefix = '' }: { prefix?: string }): Comparison => {
    asked.push({ peer, prefix, atMs: queue.nowMs })
    const behaviour = peers[peer] as Behaviour
    let done: (report: SessionReport) => void = () => undefined
    const report = new Promise<SessionReport>((resolve) => {
      done = resolve
    })
    const end = (outcome: Partial<SessionOutcome>): void => {
      running.delete(peer)
      done({ outcome: { result: 'repaired', accepted: 0, cut: false, ...outcome } } as SessionReport)
    }
    if ((behaviour.busy ?? 0) > 0) {
      behaviour.busy = (behaviour.busy ?? 0) - 1
      end({ result: 'failed', refusal: 'busy', detail: 'the peer refused: busy' })
    } else {
      queue.after(behaviour.ms, () => {
        const before = held.get(prefix) ?? 0
        held.set(prefix, Math.max(before, behaviour.has ?? 500))
        end({ accepted: (held.get(prefix) ?? 0) - before })
      })
    }
    const comparison = {
      reached: Promise.resolve(),
      report,
      abandon: (detail: string) => end({ result: 'failed', detail })
    }
    running.set(peer, comparison)
    return comparison
  }
  const catchUp = new CatchUp({
    clock,
    logger,
    metrics: createMetrics(),
    events: told,
    sessions: {
      running: (_, peer) => running.get(peer),
      compare,
      outline: async () => {
        outlines++
        if (outline instanceof Error) throw outline
        return outline
      }
    },
    partners: () => Object.keys(peers),
    known: () => Object.keys(peers).length,
    finished: (_, peer) => void finished.push(peer)
  })
  return { queue, space, catchUp, asked, events, finished, held, count, outlines: () => outlines }
}

describe('catch-up', () => {
  it('hands every peer a part at a time, the oldest first, and leaves out what is here', async () => {
    const one = stage({ a: { ms: 100 }, b: { ms: 100 } })
    one.held.set('0', 500)
    one.catchUp.begin(one.space, 'a', 3_500)
    assert.equal(one.catchUp.isActive(SPACE), true)
    await one.queue.run(10_000)
    assert.deepEqual(
      one.asked.map(({ peer, prefix }) => `${peer}${prefix}`),
      ['a1', 'b2', 'a3', 'b4', 'a5', 'b6', 'a7']
    )
    assert.equal(one.count(), 4_000)
    assert.deepEqual([one.finished, one.catchUp.isActive(SPACE)], [['a'], false])
  })

  it('asks a busy peer again, and loses no part by it', async () => {
    const one = stage({ a: { ms: 10, busy: 3 } })
    one.catchUp.begin(one.space, 'a', 4_000)
    await one.queue.run(20_000)
    assert.equal(one.count(), 4_000)
    assert.equal(one.asked.length, 8 + 3)
  })

  it('interrupts a slow peer when another has nothing to do', async () => {
    const one = stage({ slow: { ms: 1e7 }, quick: { ms: 10 } })
    one.catchUp.begin(one.space, 'quick', 4_000)
    await one.queue.run(LIMITS.catchUpPartMsMax - 100)
    assert.equal(one.count(), 3_500)
    assert.equal(one.catchUp.isActive(SPACE), true)
    await one.queue.run(LIMITS.catchUpPartMsMax + 2_000)
    assert.equal(one.count(), 4_000)
    assert.equal(one.catchUp.isActive(SPACE), false)
  })

  it('tells progress with a rate and the time left', async () => {
    const one = stage({ a: { ms: 1_000 } })
    one.catchUp.begin(one.space, 'a', 4_000)
    await one.queue.run(4_500)
    const progress = one.catchUp.progress(SPACE)
    assert.deepEqual([progress?.have, progress?.target, progress?.peers], [2_000, 4_000, 1])
    assert.ok((progress?.perSecond ?? 0) >= 400 && (progress?.perSecond ?? 0) <= 500, JSON.stringify(progress))
    assert.ok((progress?.etaMs ?? 0) >= 4_000 && (progress?.etaMs ?? 0) <= 5_000)
    await one.queue.run(60_000)
    assert.equal(one.catchUp.progress(SPACE), null)
    assert.deepEqual([one.events[0]?.what, one.events.at(-1)?.what], ['started', 'finished'])
    const times = one.events.filter(({ what }) => what === 'progress').map(({ atMs }) => atMs)
    assert.ok(times.length >= 6)
    for (const [i, atMs] of times.entries())
      assert.ok(i === 0 || atMs - (times[i - 1] ?? 0) >= 1_000, 'one a second at most')
  })

  it('does not believe a peer again soon that promised much and had little, nor one that gives no outline', async () => {
    const boaster = stage({ a: { ms: 10, has: 10 } })
    boaster.catchUp.begin(boaster.space, 'a', 4_000)
    await boaster.queue.run(60_000)
    assert.deepEqual([boaster.finished.length, boaster.outlines()], [1, 1])
    for (const atMs of [60_000, LIMITS.reconStrangerMsMax - 1]) {
      await boaster.queue.run(atMs)
      boaster.catchUp.begin(boaster.space, 'a', 4_000)
      assert.equal(boaster.catchUp.isActive(SPACE), false)
    }
    await boaster.queue.run(LIMITS.reconStrangerMsMax + 1_000)
    boaster.catchUp.begin(boaster.space, 'a', 4_000)
    assert.equal(boaster.catchUp.isActive(SPACE), true)
    const mute = stage({ a: { ms: 10 } }, new Error('no outline'))
    mute.catchUp.begin(mute.space, 'a', 4_000)
    await mute.queue.run(10_000)
    assert.deepEqual([mute.finished, mute.catchUp.isActive(SPACE)], [['a'], false])
    mute.catchUp.begin(mute.space, 'a', 4_000)
    assert.equal(mute.catchUp.isActive(SPACE), false)
  })

  it('is one at a time in a space, and none after the stop', async () => {
    const one = stage({ a: { ms: 100 } })
    one.catchUp.begin(one.space, 'a', 4_000)
    one.catchUp.begin(one.space, 'a', 4_000)
    await one.queue.run(150)
    assert.equal(one.outlines(), 1)
    one.catchUp.stop()
    await one.catchUp.ended(SPACE)
    const asked = one.asked.length
    await one.queue.run(10_000)
    assert.equal(one.asked.length, asked)
  })
})

describe('the size of a part', () => {
  const { catchUpPartDeltasMin: least, catchUpPartDeltasMax: most, catchUpPeersMax: peers } = LIMITS

  it(`gives each peer two or more, of ${least} to ${most} deltas`, () => {
    const gaps = [1, 2 * peers * least, 2 * peers * least + 1, 2 * peers * most, 2 * peers * most + 1, 1e9]
    assert.deepEqual(
      gaps.map((gap) => partDeltasMax(gap, peers)),
      [least, least, least + 1, most, most, most]
    )
    assert.equal(partDeltasMax(8_000, 2), 2_000)
    assert.equal(partDeltasMax(8_000, peers + 5), partDeltasMax(8_000, peers), 'no more than these take part')
  })

  it(`is ${LIMITS.catchUpLonePartDeltasMax} deltas where there is nobody to share with`, () => {
    for (const gap of [1, 1e9]) assert.equal(partDeltasMax(gap, 1), LIMITS.catchUpLonePartDeltasMax)
    assert.ok(LIMITS.catchUpLonePartDeltasMax <= LIMITS.reconSessionDeltasMax)
  })
})
