/**
 * One end of a simulated channel: frames arrive in order, late when the air is lossy, not at all while the path is cut.
 * Backpressure and deadlines are those of the port: a sender waits for a reader that does not read, and whoever waits too
 * long gives up and tells the other end.
 */
import { ChrysalisError, type ErrorCode } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Channel, PeerId } from '../../src/ports/network.ts'
import { Fifo } from '../net/fifo.ts'
import { short, type SimAir } from './sim-air.ts'

/** Bytes taken from a sender before the reader has read any: about a yamux window and some socket buffers. */
const WINDOW_BYTES = 1_048_576

type Wire = { readonly frame: Uint8Array } | 'end' | { readonly abort: string }

interface Waiter {
  readonly resolve: (frame: Uint8Array | undefined) => void
  readonly reject: (error: ChrysalisError) => void
}

export class SimChannel implements Channel {
  readonly peer: PeerId
  readonly #self: PeerId
  readonly #air: SimAir
  readonly #idleMs: number
  #other: SimChannel | undefined = undefined
  #failure: ChrysalisError | undefined = undefined
  #finished = false
  #otherFinished = false
  /** Received and not yet read. */
  readonly #inbox: (Uint8Array | 'end')[] = []
  #waiter: Waiter | undefined = undefined
  readonly #wire: Fifo<Wire>
  /** Bytes the other end has not read. */
  #unreadBytes = 0
  #room: (() => void)[] = []

  constructor(air: SimAir, self: PeerId, peer: PeerId, idleMs: number) {
    this.#air = air
    this.#self = self
    this.peer = peer
    this.#idleMs = idleMs
    const ends = { from: self, to: peer }
    this.#wire = new Fifo<Wire>(
      air,
      ends,
      (item) => this.#other?.take(item),
      () => this.#other?.gone === true
    )
  }

  static pair(
    air: SimAir,
    from: PeerId,
    to: PeerId,
    idleMs: { from: number; to: number }
  ): { near: SimChannel; far: SimChannel } {
    const near = new SimChannel(air, from, to, idleMs.from)
    const far = new SimChannel(air, to, from, idleMs.to)
    near.#other = far
    far.#other = near
    return { near, far }
  }

  async send(frame: Uint8Array): Promise<void> {
    this.#assertOpen()
    if (frame.length > LIMITS.reconFrameBytesMax) {
      throw new ChrysalisError(
        'too_large',
        `A frame has at most ${LIMITS.reconFrameBytesMax} bytes, this one has ${frame.length}`,
        {
          hint: 'Send it in pages.'
        }
      )
    }
    const copy = frame.slice()
    while (this.#unreadBytes >= WINDOW_BYTES) {
      await this.#deadline('the peer does not read', (done) => {
        this.#room.push(done)
      })
      this.#assertOpen()
    }
    this.#unreadBytes += copy.length
    this.#put({ frame: copy })
  }

  receive(): Promise<Uint8Array | undefined> {
    const next = this.#inbox[0]
    if (next !== undefined && this.#failure === undefined) {
      if (next === 'end') return Promise.resolve(undefined)
      this.#inbox.shift()
      this.#other?.read(next.length)
      return Promise.resolve(next)
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const cancel = this.#air.queue.after(this.#idleMs, () => {
        this.#giveUp('the peer says nothing')
      })
      this.#waiter = {
        resolve: (frame) => {
          cancel()
          resolve(frame)
        },
        reject: (error) => {
          cancel()
          reject(error)
        }
      }
    })
  }

  async close(): Promise<void> {
    if (this.#finished || this.#failure !== undefined) return
    this.#finished = true
    this.#put('end')
  }

  abort(reason: string): void {
    if (this.#failure !== undefined) return
    this.fail('unavailable', `the channel was given up: ${reason}`)
    this.#wire.clear()
    this.#put({ abort: reason })
  }

  /** The channel is broken from here on; the other end is not told. */
  fail(code: ErrorCode, what: string): void {
    if (this.#failure !== undefined) return
    this.#failure = new ChrysalisError(code, `The channel to ${this.peer} failed: ${what}`, {
      hint: 'Open another one, or ask another peer.'
    })
    this.#waiter?.reject(this.#failure)
    this.#waiter = undefined
    this.#makeRoom()
  }

  /** The other end has read this many bytes. */
  read(bytes: number): void {
    this.#unreadBytes -= bytes
    if (this.#unreadBytes < WINDOW_BYTES) this.#makeRoom()
  }

  #makeRoom(): void {
    const waiting = this.#room
    this.#room = []
    for (const done of waiting) done()
  }

  #assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#finished) return
    throw new ChrysalisError('unavailable', 'The channel is closed; nothing was sent', { hint: 'Open another one.' })
  }

  #giveUp(what: string): void {
    if (this.#failure !== undefined) return
    this.fail('timeout', `${what} for ${this.#idleMs} ms`)
    this.#wire.clear()
    this.#put({ abort: what })
  }

  #deadline(what: string, wait: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#air.queue.after(this.#idleMs, () => {
        this.#giveUp(what)
      })
      wait(() => {
        cancel()
        resolve()
      })
    })
  }

  #put(item: Wire): void {
    const bytes = typeof item === 'object' && 'frame' in item ? item.frame.length : 0
    this.#air.count('channel', bytes)
    this.#wire.put(item, bytes)
  }

  /** Nothing can come of it any more: it is broken, or both ends have finished. */
  get isOver(): boolean {
    return this.gone || (this.#finished && this.#otherFinished)
  }

  /** Nobody is at this end any more. */
  get gone(): boolean {
    return this.#failure !== undefined
  }

  take(item: Wire): void {
    if (this.#failure !== undefined) return
    if (typeof item === 'object' && 'abort' in item) {
      this.fail('unavailable', `the peer gave up: ${item.abort}`)
      return
    }
    this.#otherFinished ||= item === 'end'
    const bytes = item === 'end' ? 0 : item.frame.length
    this.#air.trace.note(this.#air.queue.nowMs, 'frame', short(this.peer), short(this.#self), bytes)
    const waiter = this.#waiter
    if (waiter === undefined) {
      this.#inbox.push(item === 'end' ? item : item.frame)
      return
    }
    this.#waiter = undefined
    if (item === 'end') this.#inbox.push(item)
    else this.#other?.read(bytes)
    waiter.resolve(item === 'end' ? undefined : item.frame)
  }
}
