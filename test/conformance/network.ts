/**
 * What every pane of ports/network must do, as one suite: the libp2p adapter and the simulated network both run it. It
 * speaks through the port alone and waits for conditions, never for a time; the patience is generous because the real
 * pane shares a busy machine with other tests.
 *
 * It does not test discovery, keys or anything else that only one pane has.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isChrysalisError } from '../../src/base/errors.ts'
import type { NetworkEvent } from '../../src/ports/network.ts'
import { PROTOCOL, rejects, runner, text, TOPIC, type NetworkFactory, type RunOn } from './network-bench.ts'
import { channelTests } from './network-channels.ts'
import { topicTests } from './network-topics.ts'

export type { NetworkFactory, NetworkPane, PaneOptions } from './network-bench.ts'

export function networkSuite(name: string, factory: NetworkFactory): void {
  describe(`${name}: ports/network`, () => {
    const on = runner(factory)
    connectionTests(on)
    topicTests(on)
    channelTests(on)
  })
}

function connectionTests(on: RunOn): void {
  it('tells its own name and addresses', async () =>
    on(2, async (t) => {
      assert.match(t.at(0).self, /^12D3Koo/)
      assert.notEqual(t.at(0).self, t.at(1).self)
      assert.ok(t.at(0).addresses().length > 0)
      for (const address of t.at(0).addresses()) assert.ok(address.endsWith(`/p2p/${t.at(0).self}`), address)
    }))

  it('reports connections and their end, and lists peers', async () =>
    on(2, async (t) => {
      const events: NetworkEvent[] = []
      const off = t.at(1).onEvent((event) => events.push(event))
      await t.link(0, 1)
      const has = (type: string): boolean => events.some((event) => event.type === type && event.peer === t.at(0).self)
      await t.until(() => has('peer-connected'), 'connected event')
      const seen = t
        .at(0)
        .peers()
        .find(({ peer }) => peer === t.at(1).self)
      assert.ok(seen?.connected)
      assert.equal(seen.direction, 'outbound')
      assert.equal(seen.bannedUntilMs, 0)
      assert.ok(seen.addresses.length > 0)
      await t.at(0).disconnect(t.at(1).self)
      await t.until(() => has('peer-disconnected'), 'disconnected event')
      off()
      const before = events.length
      await t.link(0, 1)
      await t.until(() => t.linked(1, 0), 'connected again')
      assert.equal(events.length, before, 'a listener that left hears nothing')
    }))

  it('refuses what is no address, and finds nobody at a dead one', async () =>
    on(2, async (t) => {
      await rejects(t.at(0).connect('not an address'), 'invalid_argument')
      const address = t.at(1).addresses()[0] as string
      await t.at(1).stop()
      await rejects(t.at(0).connect(address), 'unavailable')
    }))

  it('bans a peer that keeps breaking the rules, but never a slow one', async () =>
    on(3, async (t) => {
      const events: NetworkEvent[] = []
      t.at(0).onEvent((event) => events.push(event))
      await t.link(0, 1)
      await t.link(0, 2)
      for (let i = 0; i < 100; i++) t.at(0).report(t.at(2).self, 'timeout', 'slow')
      for (let i = 0; i < 5; i++) t.at(0).report(t.at(1).self, 'invalid', 'forged')
      await t.until(() => !t.linked(0, 1), 'the forger is disconnected')
      assert.ok(t.linked(0, 2), 'the slow one stays')
      const info = t
        .at(0)
        .peers()
        .find(({ peer }) => peer === t.at(1).self)
      assert.ok((info?.bannedUntilMs ?? 0) > 0)
      assert.ok((info?.score ?? 0) < 0)
      const bans = events.filter((event) => event.type === 'peer-banned')
      assert.deepEqual(
        bans.map(({ peer }) => peer),
        [t.at(1).self]
      )
      await rejects(t.at(0).connect(t.at(1).addresses()[0] as string), 'denied')
      await assert.rejects(
        t.at(1).connect(t.at(0).addresses()[0] as string),
        (error) => isChrysalisError(error, 'denied') || isChrysalisError(error, 'unavailable')
      )
    }))

  it('stops once, closes its channels and waits for its handlers', async () =>
    on(2, async (t) => {
      let inside = 0
      let outcome = 'none'
      t.at(1).serve(PROTOCOL, async (channel) => {
        inside++
        try {
          await channel.receive()
          outcome = 'frame'
        } catch (error) {
          outcome = isChrysalisError(error) ? error.code : 'other'
        } finally {
          for (let i = 0; i < 50; i++) await t.breathe()
          inside--
        }
      })
      await t.link(0, 1)
      const channel = await t.open(0, 1)
      await channel.send(new Uint8Array(0)).catch(() => undefined)
      await t.until(() => inside === 1 || outcome !== 'none', 'the handler runs')
      const second = await t.open(0, 1)
      await t.until(() => inside >= 1, 'the second handler waits for a frame')
      await Promise.all([t.at(1).stop(), t.at(1).stop()])
      await t.at(1).stop()
      assert.equal(inside, 0, 'no handler outlives stop')
      assert.equal(outcome, 'unavailable')
      await rejects(second.receive(), 'unavailable')
      assert.deepEqual(await t.at(1).publish(TOPIC, text('x')), { recipients: 0 })
      await rejects(t.at(1).open(t.at(0).self, PROTOCOL), 'unavailable')
    }))
}
