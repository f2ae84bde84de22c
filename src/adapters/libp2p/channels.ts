/**
 * A Channel over one libp2p stream: frames with an unsigned-varint length in front (multiformats unsigned-varint;
 * it-length-prefixed speaks the same), read when asked for and not before.
 *
 * A libp2p 3 stream hands over bytes whether or not anybody reads, and buffers 4 MiB before it breaks. So the stream is
 * paused as soon as half a megabyte waits here: Yamux then stops opening its window and the sender waits in `send`. No
 * libp2p protocol has a read deadline of its own: every frame has one here, and so has the whole channel.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { decode, encode } from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import { ChrysalisError, isChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Channel, PeerId } from '../../ports/network.ts'

export interface ChannelDeadlines {
  /** For one frame, either way, in milliseconds. */
  readonly idleMs: number
  /** For the whole channel. */
  readonly totalMs: number
}

type Chunk = StreamMessageEvent['data']

export class StreamChannel implements Channel {
  readonly peer: PeerId
  readonly #stream: Stream
  readonly #clock: Clock
  readonly #deadlines: ChannelDeadlines
  readonly #inbox: Inbox
  readonly #frames: AsyncIterator<{ subarray(): Uint8Array }>
  readonly #cancelTotal: () => void
  readonly #onEnd: () => void
  #failure: ChrysalisError | undefined
  #closed = false

  /** Takes the stream over at once: bytes that arrive before the first `receive` are kept. */
  constructor(stream: Stream, peer: PeerId, clock: Clock, deadlines: ChannelDeadlines, onEnd: () => void = () => {}) {
    this.peer = peer
    this.#stream = stream
    this.#clock = clock
    this.#deadlines = deadlines
    this.#onEnd = onEnd
    this.#inbox = new Inbox(stream)
    const frames = pipe(this.#inbox, (source) => decode(source, { maxDataLength: LIMITS.reconFrameBytesMax }))
    this.#frames = frames[Symbol.asyncIterator]()
    this.#cancelTotal = clock.setTimer(deadlines.totalMs, () => {
      this.#fail(late(`The channel to ${this.peer} was open for ${deadlines.totalMs} ms`))
    })
  }

  async send(frame: Uint8Array): Promise<void> {
    if (frame.length > LIMITS.reconFrameBytesMax) {
      const message = `A frame of ${frame.length} bytes exceeds ${LIMITS.reconFrameBytesMax}. Nothing was sent.`
      throw new ChrysalisError('too_large', message, { hint: 'Send the answer in several frames.' })
    }
    this.#assertUsable()
    await this.#before(`${this.peer} did not take a frame`, async () => {
      if (!this.#stream.send(encode.single(frame))) await drained(this.#stream)
    })
  }

  async receive(): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closed) throw gone(`The channel to ${this.peer} is closed`)
    const next = await this.#before(`${this.peer} sent no frame`, async () => this.#frames.next())
    // The slice belongs to the caller; the network buffer behind it is used again.
    return next.done === true ? undefined : Uint8Array.from(next.value.subarray())
  }

  async close(): Promise<void> {
    if (this.#closed || this.#failure !== undefined) return
    this.#closed = true
    this.#end()
    try {
      await this.#within(this.#deadlines.idleMs, this.#stream.close())
    } catch (error) {
      this.#stream.abort(new Error(messageOf(error)))
    }
  }

  abort(reason: string): void {
    if (this.#closed) return
    this.#fail(gone(`The channel to ${this.peer} was given up: ${reason}`))
  }

  /** One step with a deadline. Whatever goes wrong ends the channel: half a frame can never be taken up again. */
  async #before<T>(what: string, step: () => Promise<T>): Promise<T> {
    try {
      return await this.#within(this.#deadlines.idleMs, step())
    } catch (error) {
      if (this.#failure === undefined) this.#fail(explain(error, what, this.#deadlines.idleMs))
      throw this.#failure ?? error
    }
  }

  async #within<T>(ms: number, work: Promise<T>): Promise<T> {
    const lapse = Promise.withResolvers<never>()
    const cancel = this.#clock.setTimer(ms, () => lapse.reject(late('The deadline passed')))
    try {
      return await Promise.race([work, lapse.promise])
    } finally {
      cancel()
    }
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closed) throw gone(`The channel to ${this.peer} is closed`)
  }

  #fail(failure: ChrysalisError): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    this.#stream.abort(failure)
    this.#inbox.fail(failure)
    this.#end()
  }

  #end(): void {
    this.#cancelTotal()
    this.#onEnd()
  }
}

/** The bytes of a stream as a source that is pulled. At most channelBufferBytesMax and one window wait in it. */
class Inbox implements AsyncIterable<Chunk>, AsyncIterator<Chunk> {
  readonly #stream: Stream
  readonly #chunks: Chunk[] = []
  #bytes = 0
  #ended = false
  #error: Error | undefined
  #waiting: PromiseWithResolvers<IteratorResult<Chunk>> | undefined

  constructor(stream: Stream) {
    this.#stream = stream
    stream.addEventListener('message', (event: StreamMessageEvent) => this.#take(event.data))
    stream.addEventListener('remoteCloseWrite', () => this.#finish())
    stream.addEventListener('close', (event: StreamCloseEvent) => this.#onClose(event.error))
    // A quick peer has sent, finished or reset before anybody could listen. The bytes it sent come in a microtask that
    // was queued by the first listener above; the end is looked at after it.
    queueMicrotask(() => {
      if (stream.status === 'open' && stream.remoteWriteStatus === 'closed') this.#finish()
      else if (stream.status !== 'open') this.#onClose(undefined)
    })
  }

  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    return this
  }

  next(): Promise<IteratorResult<Chunk>> {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.#bytes -= chunk.byteLength
      if (this.#bytes <= LIMITS.channelBufferBytesMax) this.#resume()
      return Promise.resolve({ done: false, value: chunk })
    }
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    this.#waiting = Promise.withResolvers<IteratorResult<Chunk>>()
    return this.#waiting.promise
  }

  fail(error: Error): void {
    this.#error ??= error
    this.#chunks.length = 0
    this.#bytes = 0
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }

  #take(chunk: Chunk): void {
    if (this.#error !== undefined) return
    if (this.#waiting !== undefined) {
      this.#waiting.resolve({ done: false, value: chunk })
      this.#waiting = undefined
      return
    }
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
    // Inside the listener a pause is undone by the very resume that dispatched the bytes; after it, it holds.
    if (this.#bytes > LIMITS.channelBufferBytesMax) queueMicrotask(() => this.#pause())
  }

  #finish(): void {
    // Bytes that arrived while paused are still inside the stream: take them out before the end is believed.
    this.#resume()
    this.#ended = true
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = undefined
  }

  /** A stream that closes without the peer having finished was torn: what came so far is no whole conversation. */
  #onClose(error: Error | undefined): void {
    if (error !== undefined || !this.#ended) this.fail(error ?? new Error('the stream was closed by the other side'))
  }

  #pause(): void {
    if (this.#bytes > LIMITS.channelBufferBytesMax && this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  #resume(): void {
    if (this.#stream.readStatus === 'paused') this.#stream.resume()
  }
}

/** Resolves when the stream takes bytes again. Its own `onDrain` waits only the first time it is called. */
async function drained(stream: Stream): Promise<void> {
  const done = Promise.withResolvers<void>()
  const onClose = (event: StreamCloseEvent): void => done.reject(event.error ?? new Error('the stream was closed'))
  stream.addEventListener('drain', () => done.resolve(), { once: true })
  stream.addEventListener('close', onClose, { once: true })
  try {
    await done.promise
  } finally {
    stream.removeEventListener('close', onClose)
  }
}

/** The words of libp2p and it-length-prefixed in ours. */
function explain(error: unknown, what: string, idleMs: number): ChrysalisError {
  if (isChrysalisError(error, 'timeout')) return late(`${what} for ${idleMs} ms`)
  const name = error instanceof Error ? error.name : ''
  if (name === 'InvalidDataLengthError' || name === 'InvalidDataLengthLengthError') {
    const message = `${what} of at most ${LIMITS.reconFrameBytesMax} bytes, but announced a longer one. Nothing was kept.`
    return new ChrysalisError('too_large', message, { hint: 'The peer breaks the protocol: report it.', cause: error })
  }
  return gone(`${what}: ${messageOf(error)}`, error)
}

function late(what: string): ChrysalisError {
  return new ChrysalisError('timeout', `${what}. The channel was closed; no state was touched.`, {
    hint: 'Try another peer, or this one again later.'
  })
}

function gone(what: string, cause?: unknown): ChrysalisError {
  return new ChrysalisError('unavailable', `${what}. No state was touched.`, {
    hint: 'Try another peer, or this one again later.',
    ...(cause === undefined ? {} : { cause })
  })
}
