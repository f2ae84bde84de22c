/**
 * The Model Context Protocol over one socket: newline-delimited JSON-RPC, the framing its specification allows for any
 * byte stream. It does what the library leaves open: a message has a longest length and a deepest nesting, a client that
 * does not read is not written to without end, and one that ends its half gets the answers to what it asked before.
 *
 * It knows neither tools nor memories; mcp/server.ts does.
 */
import type { Socket } from 'node:net'
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server'
import type { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { encodeFrame, LineFramer, parseFrame } from '../rpc/framing.ts'
import { errorFrame, INVALID_REQUEST, isObject, PARSE_ERROR, type RequestId } from '../rpc/messages.ts'

/** JSON-RPC leaves this range to servers; the protocol's own numbers begin below it. */
const BUSY = -32_000

export interface TransportTiming {
  readonly stallMs: number
  readonly closeMs: number
}

export interface SocketTransportOptions {
  readonly socket: Socket
  readonly timing: TransportTiming
  /** Called for every refusal, with a word for the counter. */
  readonly refused: (what: string) => void
  /** Sees every message on its way in; false: it has been refused and goes no further. */
  readonly inspect?: (message: JSONRPCMessage) => ChrysalisError | undefined
}

export class SocketTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  readonly #socket: Socket
  readonly #options: SocketTransportOptions
  readonly #framer = new LineFramer(LIMITS.mcpFrameBytesMax)
  readonly #unanswered = new Set<RequestId>()
  #ending = false
  #closed = false
  #stallTimer: NodeJS.Timeout | undefined

  constructor(options: SocketTransportOptions) {
    this.#options = options
    this.#socket = options.socket
  }

  /** Requests that have no answer yet. */
  get unanswered(): number {
    return this.#unanswered.size
  }

  /** More is written than the client reads. */
  full(): boolean {
    return this.#socket.writableLength > LIMITS.rpcOutboundBytesMax
  }

  start(): Promise<void> {
    this.#socket.on('data', (chunk: Buffer) => this.take(chunk))
    this.#socket.on('drain', () => this.#drained())
    this.#socket.on('end', () => this.finish())
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => void this.close())
    if (this.#socket.destroyed) setImmediate(() => void this.close())
    return Promise.resolve()
  }

  /** Bytes from the client; those that came behind the greeting are handed in by the door. */
  take(chunk: Uint8Array): void {
    if (this.#closed || this.#ending) return
    let lines: Uint8Array[]
    try {
      lines = this.#framer.push(chunk)
    } catch {
      this.#options.refused('oversize')
      const message = `A message is longer than ${LIMITS.mcpFrameBytesMax} bytes; it was not read.`
      this.#write(errorFrame(null, { code: INVALID_REQUEST, message }))
      this.finish()
      return
    }
    for (const line of lines) this.#receive(line)
  }

  /** Takes no more, answers what is in flight for a bounded time, and ends. */
  finish(): void {
    if (this.#ending) return
    this.#ending = true
    const late = setTimeout(() => this.#socket.destroy(), this.#options.timing.closeMs)
    this.#socket.once('close', () => clearTimeout(late))
    this.#endWhenAnswered()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#write(message)
    const id = 'id' in message && !('method' in message) ? message.id : undefined
    if (id !== undefined) this.#unanswered.delete(id)
    if (this.#ending) this.#endWhenAnswered()
    return Promise.resolve()
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    clearTimeout(this.#stallTimer)
    this.#unanswered.clear()
    this.#socket.end()
    // Whoever does not end its half as well is not waited for.
    const late = setTimeout(() => this.#socket.destroy(), this.#options.timing.closeMs)
    this.#socket.once('close', () => clearTimeout(late))
    if (this.#socket.destroyed) clearTimeout(late)
    this.onclose?.()
    return Promise.resolve()
  }

  #receive(line: Uint8Array): void {
    const frame = parseFrame(line)
    if (!frame.ok) return this.#refuse(null, 'malformed', PARSE_ERROR, frame.problem)
    const message = frame.value
    const id = isObject(message) ? requestId(message['id']) : null
    if (!isMessage(message)) return this.#refuse(id, 'malformed', INVALID_REQUEST, 'This is no JSON-RPC 2.0 message.')
    if (!('method' in message)) return this.onmessage?.(message)
    const refusal = this.#options.inspect?.(message)
    if (refusal !== undefined) {
      return this.#refuse(id, 'inspected', BUSY, `${refusal.message} ${refusal.hint ?? ''}`.trim())
    }
    if (id !== null) {
      if (this.#unanswered.size >= LIMITS.mcpUnansweredMax) {
        const text = `${LIMITS.mcpUnansweredMax} requests wait for an answer; nothing was done. Wait for one first.`
        return this.#refuse(id, 'in_flight', BUSY, text)
      }
      this.#unanswered.add(id)
    } else if (message.method === 'notifications/cancelled') {
      // The library answers a cancelled request with nothing at all.
      const cancelled = isObject(message.params) ? requestId(message.params['requestId']) : null
      if (cancelled !== null) this.#unanswered.delete(cancelled)
    }
    this.onmessage?.(message)
  }

  #refuse(id: RequestId | null, what: string, code: number, message: string): void {
    this.#options.refused(what)
    this.#write(errorFrame(id, { code, message }))
  }

  #write(message: object): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.write(encodeFrame(message))
    if (!this.full() || this.#stallTimer !== undefined) return
    this.#socket.pause()
    this.#stallTimer = setTimeout(() => {
      this.#options.refused('stalled')
      this.#socket.destroy()
    }, this.#options.timing.stallMs)
  }

  #drained(): void {
    clearTimeout(this.#stallTimer)
    this.#stallTimer = undefined
    this.#socket.resume()
  }

  #endWhenAnswered(): void {
    if (this.#unanswered.size === 0) void this.close()
  }
}

function requestId(value: unknown): RequestId | null {
  return typeof value === 'string' || typeof value === 'number' ? value : null
}

/** The shape the library expects; what the members hold is for the library to judge. */
function isMessage(value: unknown): value is JSONRPCMessage {
  if (!isObject(value) || value['jsonrpc'] !== '2.0') return false
  const { id, method, params } = value
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') return false
  if (method === undefined) return id !== undefined && (value['result'] !== undefined || value['error'] !== undefined)
  return typeof method === 'string' && (params === undefined || isObject(params))
}
