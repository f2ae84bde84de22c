/** Channels of ports/network: frames, ends, deadlines and bounds. Called by network.ts. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isChrysalisError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Channel } from '../../src/ports/network.ts'
import { echo, pattern, PROTOCOL, rejects, text, untext, type RunOn } from './network-bench.ts'

export function channelTests(on: RunOn): void {
  it('carries frames both ways, in order, unchanged', async () =>
    on(2, async (t) => {
      const sizes = [0, 1, 127, 128, 16_383, 16_384, LIMITS.reconFrameBytesMax]
      t.at(1).serve(PROTOCOL, async (channel) => {
        assert.equal(channel.peer, t.at(0).self)
        for (let frame = await channel.receive(); frame !== undefined; frame = await channel.receive()) {
          await channel.send(frame)
        }
        await channel.close()
      })
      await t.link(0, 1)
      const channel = await t.open(0, 1)
      assert.equal(channel.peer, t.at(1).self)
      for (const size of sizes) await channel.send(pattern(size))
      for (const size of sizes) assert.deepEqual(await channel.receive(), pattern(size))
      await channel.close()
      await channel.close()
      await rejects(channel.send(text('late')), 'unavailable')
    }))

  it('ends with undefined after the peer has finished', async () =>
    on(2, async (t) => {
      t.at(1).serve(PROTOCOL, async (channel) => {
        await channel.send(text('one'))
        await channel.send(text('two'))
        await channel.close()
      })
      await t.link(0, 1)
      const channel = await t.open(0, 1)
      assert.equal(untext((await channel.receive()) as Uint8Array), 'one')
      assert.equal(untext((await channel.receive()) as Uint8Array), 'two')
      assert.equal(await channel.receive(), undefined)
      await channel.close()
    }))

  it('refuses a frame above the limit before it is sent', async () =>
    on(2, async (t) => {
      t.at(1).serve(PROTOCOL, echo)
      await t.link(0, 1)
      const channel = await t.open(0, 1)
      await rejects(channel.send(new Uint8Array(LIMITS.reconFrameBytesMax + 1)), 'too_large')
      await channel.send(text('still alive'))
      assert.equal(untext((await channel.receive()) as Uint8Array), 'still alive')
      channel.abort('done')
    }))

  it('tells an abort from a polite end', async () =>
    on(2, async (t) => {
      t.at(1).serve(PROTOCOL, async (channel) => {
        await channel.receive()
        channel.abort('planned')
      })
      await t.link(0, 1)
      const channel = await t.open(0, 1)
      await channel.send(text('go'))
      await rejects(channel.receive(), 'unavailable')
      channel.abort('twice')
      channel.abort('is fine')
      await rejects(channel.receive(), 'unavailable')
    }))

  it('turns a failing handler into an error at the other end', async () =>
    on(2, async (t) => {
      t.at(1).serve(PROTOCOL, async () => {
        throw new Error('planned')
      })
      await t.link(0, 1)
      const channel = await t.open(0, 1)
      await rejects(channel.receive(), 'unavailable')
    }))

  it('gives up on a peer that says nothing', async () =>
    on(
      2,
      async (t) => {
        let release: () => void = () => {}
        const silence = new Promise<void>((resolve) => {
          release = resolve
        })
        let outcome = 'none'
        t.at(1).serve(PROTOCOL, async (channel) => {
          await silence
          outcome = await channel.receive().then(
            () => 'frame',
            (error) => (isChrysalisError(error) ? error.code : 'other')
          )
        })
        await t.link(0, 1)
        const channel = await t.open(0, 1)
        await rejects(channel.receive(), 'timeout')
        await rejects(channel.send(text('too late')), 'timeout')
        release()
        await t.until(() => outcome === 'unavailable', 'the silent side is told')
      },
      { streamIdleMs: 300 }
    ))

  it('finds nobody for an unknown protocol or an unknown peer', async () =>
    on(3, async (t) => {
      await t.link(0, 1)
      await rejects(t.at(0).open(t.at(1).self, '/chrysalis/never/1'), 'unavailable')
      await rejects(t.at(0).open(t.at(2).self, PROTOCOL), 'unavailable')
    }))

  it('dials a known peer that is not connected, but not one that was hung up on', async () =>
    on(2, async (t) => {
      t.at(1).serve(PROTOCOL, echo)
      await t.link(0, 1)
      // The other side ends it: here the peer stays known.
      await t.at(1).disconnect(t.at(0).self)
      await t.until(
        () =>
          !t
            .at(0)
            .peers()
            .some((peer) => peer.connected),
        'the connection is gone'
      )
      const channel = await t.open(0, 1)
      await channel.send(text('again'))
      assert.equal(untext((await channel.receive()) as Uint8Array), 'again')
      channel.abort('done')
      await t.at(0).disconnect(t.at(1).self)
      await t.until(
        () =>
          !t
            .at(0)
            .peers()
            .some((peer) => peer.connected),
        'the connection is gone'
      )
      await rejects(t.at(0).open(t.at(1).self, PROTOCOL), 'unavailable')
    }))

  it('serves a bounded number of channels for one peer, and makes room again', async () =>
    on(2, async (t) => {
      const held: Channel[] = []
      t.at(1).serve(PROTOCOL, async (channel) => {
        held.push(channel)
        await channel.send(text('welcome'))
        await channel.receive()
      })
      await t.link(0, 1)
      const channels: Channel[] = []
      for (let i = 0; i < LIMITS.inboundStreamsPerPeerMax; i++) {
        const channel = await t.open(0, 1)
        assert.equal(untext((await channel.receive()) as Uint8Array), 'welcome')
        channels.push(channel)
      }
      await rejects(
        t.open(0, 1).then(async (channel) => channel.receive()),
        'unavailable'
      )
      assert.equal(held.length, LIMITS.inboundStreamsPerPeerMax)
      await channels[0]?.close()
      await t.retry(async () => {
        const channel = await t.open(0, 1)
        assert.equal(untext((await channel.receive()) as Uint8Array), 'welcome')
      }, 'a place is free again')
    }))

  it('serves a bounded number of channels in all', async () =>
    on(4, async (t) => {
      let serving = 0
      t.at(0).serve(PROTOCOL, async (channel) => {
        serving++
        await channel.send(text('welcome'))
        await channel.receive()
      })
      for (let i = 1; i < 4; i++) await t.link(i, 0)
      let welcomed = 0
      for (let round = 0; round < LIMITS.inboundStreamsPerPeerMax; round++) {
        for (let i = 1; i < 4; i++) {
          const answer = await t.open(i, 0).then(
            async (channel) => channel.receive().catch(() => undefined),
            () => undefined
          )
          if (answer !== undefined) welcomed++
        }
      }
      assert.equal(welcomed, LIMITS.inboundStreamsPerProtocolMax)
      assert.equal(serving, LIMITS.inboundStreamsPerProtocolMax)
    }))

  it('makes a sender wait for a reader that does not read', async () =>
    on(
      2,
      async (t) => {
        let release: () => void = () => {}
        const released = new Promise<void>((resolve) => {
          release = resolve
        })
        t.at(1).serve(PROTOCOL, async () => released)
        await t.link(0, 1)
        const channel = await t.open(0, 1)
        let sent = 0
        const flood = async (): Promise<void> => {
          // 64 MiB would fit nowhere; a channel that waits gives up long before.
          for (; sent < 256; sent++) await channel.send(pattern(LIMITS.reconFrameBytesMax))
        }
        await rejects(flood(), 'timeout')
        assert.ok(sent * LIMITS.reconFrameBytesMax < 16 * 1_048_576, `${sent} frames were taken`)
        release()
      },
      { streamIdleMs: 500 }
    ))
}
