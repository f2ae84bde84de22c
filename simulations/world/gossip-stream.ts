/**
 * A libp2p message stream over simulated air, as far as gossipsub uses one: bytes go one way, from the end that opened it
 * to the end that was handed it, in order; `message`, `remoteCloseWrite` and `close` are told to listeners. Each `send` is
 * one RPC, and loses its frames, as a whole, where the air loses them; what concerns the standing of the link is only ever
 * late, as on a real connection, because it is never said again.
 *
 * There is no backpressure: what gossipsub sends, it sends without asking.
 */
import { messageId } from '../../src/adapters/libp2p/gossip-options.ts'
import { toHex } from '../../src/base/bytes.ts'
import type { PeerId } from '../../src/ports/network.ts'
import { Fifo } from '../net/fifo.ts'
import { scanRpc } from '../net/rpc-scan.ts'
import { short, type SimAir } from './sim-air.ts'

export interface StreamEvent {
  readonly data?: Uint8Array
  readonly error?: Error
}

type StreamEventName = 'message' | 'remoteCloseWrite' | 'close'
type StreamListener = (event: StreamEvent) => void

interface Registered {
  readonly name: string
  readonly listener: StreamListener
  readonly once: boolean
}

/** One array, or several that are read as one. */
type Sendable = Uint8Array | { subarray(): Uint8Array }

export class GossipStream {
  readonly protocol: string
  /** Set by gossipsub; there is no buffer here that it could bound. */
  maxWriteBufferLength = 0
  writeStatus: 'writable' | 'closed' = 'writable'
  readonly #air: SimAir
  readonly #from: PeerId
  readonly #to: PeerId
  #listeners: readonly Registered[] = []
  #wire: Fifo<Uint8Array | 'end'> | undefined = undefined
  #isOver = false

  private constructor(air: SimAir, protocol: string, ends: { from: PeerId; to: PeerId }) {
    this.#air = air
    this.protocol = protocol
    this.#from = ends.from
    this.#to = ends.to
  }

  /** `near` is for `from`, which sends; `far` for `to`, which listens. */
  static pair(air: SimAir, protocol: string, from: PeerId, to: PeerId): { near: GossipStream; far: GossipStream } {
    const near = new GossipStream(air, protocol, { from, to })
    const far = new GossipStream(air, protocol, { from: to, to: from })
    const deliver = (item: Uint8Array | 'end'): void => far.#take(item)
    near.#wire = new Fifo(air, { from, to }, deliver, () => far.#isOver)
    return { near, far }
  }

  addEventListener(name: string, listener: StreamListener, options?: { readonly once?: boolean }): void {
    this.#listeners = [...this.#listeners, { name, listener, once: options?.once === true }]
  }

  removeEventListener(name: string, listener: StreamListener): void {
    this.#listeners = this.#listeners.filter((one) => one.name !== name || one.listener !== listener)
  }

  /** Takes one RPC with its length in front. Throws when the stream is closed. */
  send(data: Sendable): boolean {
    if (this.writeStatus === 'closed' || this.#wire === undefined) throw new Error('the stream is closed for writing')
    const bytes = Uint8Array.from(data.subarray())
    const { frames, isStanding } = scanRpc(bytes)
    const payloadBytes = frames.reduce((sum, frame) => sum + frame.length, 0)
    this.#air.count('gossip-payload', payloadBytes)
    this.#air.count('gossip-control', bytes.length - payloadBytes)
    for (const frame of frames) this.#air.deliveries.sent(frameId(frame))
    if (isStanding) {
      this.#wire.put(bytes, bytes.length)
      return true
    }
    const perishable = this.#air.options.lossMode === 'drop'
    for (let left = this.#air.copies(this.#from, this.#to); left > 0; left--) {
      this.#wire.put(bytes, bytes.length, { perishable })
    }
    return true
  }

  /** Nothing more is sent. The end that only listens goes on listening, as a stream does that was closed for writing. */
  async close(): Promise<void> {
    this.writeStatus = 'closed'
    if (this.#isOver || this.#wire === undefined) return
    this.#wire.put('end', 0)
    this.#end()
  }

  abort(): void {
    this.break()
  }

  /** The connection is gone: nothing on the way arrives. */
  break(): void {
    this.#wire?.clear()
    this.#end()
  }

  #end(): void {
    this.writeStatus = 'closed'
    if (this.#isOver) return
    this.#isOver = true
    this.#tell('close', {})
    this.#listeners = []
  }

  #take(item: Uint8Array | 'end'): void {
    if (this.#isOver) return
    if (item === 'end') {
      this.#tell('remoteCloseWrite', {})
      return
    }
    const { queue, trace } = this.#air
    trace.note(queue.nowMs, 'rpc', short(this.#to), short(this.#from), item.length)
    this.#tell('message', { data: item })
  }

  #tell(name: StreamEventName, event: StreamEvent): void {
    for (const one of this.#listeners) {
      if (one.name !== name) continue
      if (one.once) this.#listeners = this.#listeners.filter((other) => other !== one)
      one.listener(event)
    }
  }
}

/** How a frame is named in traces and books. */
export function frameId(frame: Uint8Array): string {
  return toHex(messageId(frame).subarray(0, 8))
}
