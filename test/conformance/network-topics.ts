/** Topics of ports/network: who hears what, what a verdict does, what is too much. Called by network.ts. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isChrysalisError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { NetworkEvent, Verdict } from '../../src/ports/network.ts'
import { hear, rejects, text, TOPIC, untext, type RunOn } from './network-bench.ts'

export function topicTests(on: RunOn): void {
  it('publishes to nobody without an error, and again when somebody listens', async () =>
    on(2, async (t) => {
      const heard: string[] = []
      t.at(0).subscribe(TOPIC, hear([]))
      await t.link(0, 1)
      assert.deepEqual(await t.at(0).publish(TOPIC, text('early')), { recipients: 0 })
      t.at(1).subscribe(TOPIC, hear(heard))
      await t.until(() => t.listens(0, 1), 'subscription seen')
      // The very same bytes: what reached nobody must not count as a duplicate.
      assert.deepEqual(await t.at(0).publish(TOPIC, text('early')), { recipients: 1 })
      await t.until(() => heard.includes('early'), 'delivery')
    }))

  it('knows who listened before it followed the topic itself', async () =>
    on(2, async (t) => {
      const heard: string[] = []
      t.at(1).subscribe(TOPIC, hear(heard))
      t.at(1).subscribe('/another/topic', hear([]))
      t.at(0).subscribe('/another/topic', hear([]))
      await t.link(0, 1)
      // What is said about both topics comes in one breath: whoever knows of one was told of the other.
      await t.until(() => t.info(0, 1)?.topics.includes('/another/topic') === true, 'the announcement')
      assert.ok(!t.listens(0, 1), 'a topic that is not followed is not listed')
      t.at(0).subscribe(TOPIC, hear([]))
      await t.until(() => t.listens(0, 1), 'earlier subscription seen')
      await t.publishUntil(0, () => heard.length > 0, 'delivery')
    }))

  it('tells who subscribed', async () =>
    on(2, async (t) => {
      const events: NetworkEvent[] = []
      t.at(0).onEvent((event) => events.push(event))
      t.at(0).subscribe(TOPIC, hear([]))
      await t.link(0, 1)
      t.at(1).subscribe(TOPIC, hear([]))
      const wanted = (event: NetworkEvent): boolean =>
        event.type === 'peer-subscribed' && event.peer === t.at(1).self && event.topic === TOPIC
      await t.until(() => events.some(wanted), 'subscribed event')
    }))

  it('delivers to every subscriber, names the forwarder, and hands out copies', async () =>
    on(4, async (t) => {
      const heard: string[][] = [[], [], [], []]
      const froms = new Set<string>()
      for (let i = 0; i < 4; i++) {
        t.at(i).subscribe(TOPIC, async (bytes, from) => {
          froms.add(from)
          heard[i]?.push(untext(bytes))
          bytes.fill(0)
          return 'accept'
        })
      }
      for (let i = 1; i < 4; i++) await t.link(0, i)
      await t.until(() => [1, 2, 3].every((i) => t.listens(0, i)), 'subscriptions')
      const mine = text('from one end')
      await t.publishUntil(1, () => [0, 2, 3].every((i) => (heard[i]?.length ?? 0) > 0), 'delivery to all')
      const publishing = t.at(1).publish(TOPIC, mine)
      mine.fill(0)
      assert.deepEqual(await publishing, { recipients: 1 })
      await t.until(() => [0, 2, 3].every((i) => heard[i]?.includes('from one end')), 'delivery to all, once more')
      assert.ok(!froms.has('') && froms.has(t.at(0).self))
      assert.equal(heard[1]?.length, 0, 'a publisher does not hear itself')
    }))

  for (const verdict of ['ignore', 'reject'] as const) {
    it(`stops a frame that is judged ${verdict} on a line A-B-C`, async () =>
      on(3, async (t) => {
        const heard: string[] = []
        const judged: string[] = []
        t.at(0).subscribe(TOPIC, hear([]))
        t.at(1).subscribe(TOPIC, async (bytes): Promise<Verdict> => {
          judged.push(untext(bytes))
          return untext(bytes).startsWith('bad') ? verdict : 'accept'
        })
        t.at(2).subscribe(TOPIC, hear(heard))
        await t.link(0, 1)
        await t.link(1, 2)
        await t.until(() => t.listens(0, 1) && t.listens(1, 2), 'subscriptions')
        await t.publishUntil(0, () => heard.length > 0, 'the line carries')
        await t.at(0).publish(TOPIC, text('bad news'))
        await t.until(() => judged.includes('bad news'), 'the bad frame was judged')
        const before = heard.length
        await t.publishUntil(0, () => heard.length > before, 'a good frame after it')
        assert.ok(!heard.includes('bad news'))
        const score =
          t
            .at(1)
            .peers()
            .find(({ peer }) => peer === t.at(0).self)?.score ?? 0
        if (verdict === 'reject') assert.ok(score < 0, `the forwarder pays, score ${score}`)
        else assert.equal(score, 0)
      }))
  }

  it('survives a handler that throws', async () =>
    on(2, async (t) => {
      const heard: string[] = []
      t.at(1).subscribe(TOPIC, async (bytes) => {
        heard.push(untext(bytes))
        if (heard.length === 1) throw new Error('planned')
        return 'accept'
      })
      t.at(0).subscribe(TOPIC, hear([]))
      await t.link(0, 1)
      await t.publishUntil(0, () => heard.length >= 2, 'delivery after the failure')
      assert.ok(t.linked(0, 1))
    }))

  it('hears no more after it left a topic', async () =>
    on(2, async (t) => {
      const heard: string[] = []
      t.at(0).subscribe(TOPIC, hear([]))
      t.at(1).subscribe(TOPIC, hear(heard))
      await t.link(0, 1)
      await t.publishUntil(0, () => heard.length > 0, 'delivery')
      t.at(1).unsubscribe(TOPIC)
      await t.until(() => !t.listens(0, 1), 'departure seen')
      const before = heard.length
      assert.deepEqual(await t.at(0).publish(TOPIC, text('into the void')), { recipients: 0 })
      assert.equal(heard.length, before)
    }))

  it('takes frames up to the limit and refuses one byte more', async () =>
    on(2, async (t) => {
      let largest = 0
      t.at(0).subscribe(TOPIC, hear([]))
      t.at(1).subscribe(TOPIC, async (bytes) => {
        largest = Math.max(largest, bytes.length)
        return 'accept'
      })
      await t.link(0, 1)
      await t.until(() => t.listens(0, 1), 'subscription')
      await rejects(t.at(0).publish(TOPIC, new Uint8Array(LIMITS.gossipFrameBytesMax + 1)), 'too_large')
      // Fresh bytes each time: a frame may be lost while the link forms, and one that was heard is not heard again.
      let attempt = 0
      await t.retry(async () => {
        await t.at(0).publish(TOPIC, new Uint8Array(LIMITS.gossipFrameBytesMax).fill(++attempt))
        await t.breathe()
        if (largest !== LIMITS.gossipFrameBytesMax) throw new Error('not yet')
      }, 'the largest frame arrives')
    }))

  it('follows a bounded number of topics', async () =>
    on(1, async (t) => {
      for (let i = 0; i < LIMITS.topicsMax; i++) t.at(0).subscribe(`/topic/${i}`, hear([]))
      t.at(0).subscribe('/topic/0', hear([]))
      assert.throws(
        () => t.at(0).subscribe('/one/more', hear([])),
        (error) => isChrysalisError(error, 'quota')
      )
      t.at(0).unsubscribe('/topic/0')
      t.at(0).subscribe('/one/more', hear([]))
    }))
}
