/** The bounds of a channel on a stream that only the test moves: what waits for a slow reader, and how long it may live. */
import '../../../../src/polyfill.ts'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { encode } from 'it-length-prefixed'
import { StreamChannel } from '../../../../src/adapters/libp2p/channels.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import type { Clock } from '../../../../src/ports/clock.ts'

/** As much of a libp2p stream as a channel uses. */
class HandStream extends EventTarget {
  readonly status = 'open'
  readonly remoteWriteStatus = 'writable'
  readStatus: 'readable' | 'paused' = 'readable'
  aborted: Error | undefined

  hand(bytes: Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: bytes }))
  }

  pause(): void {
    this.readStatus = 'paused'
  }

  resume(): void {
    this.readStatus = 'readable'
  }

  abort(error: Error): void {
    this.aborted = error
  }
}

class HandClock implements Clock {
  readonly timers: { delayMs: number; action: () => void }[] = []

  nowMs(): number {
    return 0
  }

  monotonicMs(): number {
    return 0
  }

  setTimer(delayMs: number, action: () => void): () => void {
    const timer = { delayMs, action }
    this.timers.push(timer)
    return () => {
      const at = this.timers.indexOf(timer)
      if (at >= 0) this.timers.splice(at, 1)
    }
  }
}

function open(): { stream: HandStream; clock: HandClock; channel: StreamChannel } {
  const stream = new HandStream()
  const clock = new HandClock()
  const deadlines = { idleMs: LIMITS.streamIdleMsMax, totalMs: LIMITS.streamTotalMsMax }
  return { stream, clock, channel: new StreamChannel(stream as unknown as Stream, 'somebody', clock, deadlines) }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a channel', () => {
  it('holds so many bytes for a reader that does not read, and pauses the stream at one more', async () => {
    const { stream, channel } = open()
    const half = encode.single(new Uint8Array(LIMITS.channelBufferBytesMax / 2 - 3)).subarray()
    assert.equal(half.length, LIMITS.channelBufferBytesMax / 2)
    stream.hand(half)
    stream.hand(half)
    await turn()
    assert.equal(stream.readStatus, 'readable', 'full, and not beyond it')
    stream.hand(encode.single(new Uint8Array(0)).subarray())
    await turn()
    assert.equal(stream.readStatus, 'paused')
    assert.equal((await channel.receive())?.length, LIMITS.channelBufferBytesMax / 2 - 3)
    assert.equal(stream.readStatus, 'readable', 'who reads lets more come')
  })

  it('ends after its whole life, however lively it was, and not before', async () => {
    const { stream, clock, channel } = open()
    stream.hand(encode.single(new Uint8Array(1)).subarray())
    await channel.receive()
    const [life] = clock.timers
    assert.equal(clock.timers.length, 1, 'the deadline of the frame is off, that of the channel stands')
    assert.equal(life?.delayMs, LIMITS.streamTotalMsMax)
    assert.equal(stream.aborted, undefined)
    life?.action()
    assert.match(String(stream.aborted), new RegExp(`open for ${LIMITS.streamTotalMsMax} ms`))
    await assert.rejects(channel.receive(), { code: 'timeout' })
    await assert.rejects(channel.send(new Uint8Array(1)), { code: 'timeout' })
  })

  it('takes no timer along when it ends before', async () => {
    const { clock, channel } = open()
    channel.abort('enough')
    assert.equal(clock.timers.length, 0)
  })
})
