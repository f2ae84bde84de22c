/**
 * One connection of a client: requests out, answers and notifications in. It ends once and for good; rpc/client makes
 * another when it is needed. Answers that nobody waits for any more (time-out, cancel) are dropped.
 */
import net from 'node:net'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { encodeFrame, LineFramer, parseFrame } from './framing.ts'
import { fromWireError, isObject } from './messages.ts'
import { checkPathLength } from './socket-file.ts'

export interface LinkOptions {
  readonly path: string
  /** Longest wait for the connection itself. */
  readonly connectMs: number
  /** Called for each notification, in order. */
  readonly onNotification?: (method: string, params: Record<string, unknown>) => void
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: ChrysalisError): void
}

export class Link {
  readonly #socket: net.Socket
  readonly #framer = new LineFramer(LIMITS.rpcFrameBytesMax)
  readonly #waiting = new Map<number, Waiting>()
  readonly #onNotification: LinkOptions['onNotification']
  readonly ended: Promise<void>
  #nextId = 1
  #end: ChrysalisError | undefined

  private constructor(socket: net.Socket, onNotification: LinkOptions['onNotification']) {
    this.#socket = socket
    this.#onNotification = onNotification
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#finish(lost(error)))
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#finish(lost())
        resolve()
      })
    })
  }

  /** Rejects with `daemon_unreachable`, `permissions`, `timeout` or `config` (path too long). */
  static open(options: LinkOptions): Promise<Link> {
    return new Promise((resolve, reject) => {
      checkPathLength(options.path)
      const socket = net.connect(options.path)
      const timer = setTimeout(() => {
        socket.destroy()
        const hint = 'It may be overloaded or stopped by a debugger; chrysalis doctor looks closer.'
        reject(new ChrysalisError('timeout', `The daemon did not take the connection on ${options.path}.`, { hint }))
      }, options.connectMs)
      const refused = (error: NodeJS.ErrnoException): void => {
        clearTimeout(timer)
        reject(cannotConnect(options.path, error))
      }
      socket.once('error', refused)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.off('error', refused)
        resolve(new Link(socket, options.onNotification))
      })
    })
  }

  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** A link with nothing to wait for does not keep the process alive. */
  setIdle(idle: boolean): void {
    if (idle) this.#socket.unref()
    else this.#socket.ref()
  }

  /**
   * Sends a request; `writes` says what a lost connection means for the caller's state. Returns the id (for rpc.cancel)
   * and the answer, which rejects with ChrysalisError only.
   */
  request(method: string, params: object, writes: boolean): { id: number; answer: Promise<unknown> } {
    const id = this.#nextId++
    const answer = new Promise<unknown>((resolve, reject) => {
      const frame = encodeFrame({ jsonrpc: '2.0', id, method, params })
      if (this.#end !== undefined) reject(this.#end)
      else if (frame.length - 1 > LIMITS.rpcFrameBytesMax) reject(frameTooLarge(method, frame.length))
      else {
        this.#waiting.set(id, {
          resolve,
          reject: (error) => reject(writes && !error.stateTouched && error === this.#end ? unsure(error) : error)
        })
        this.#socket.write(frame)
      }
    })
    return { id, answer }
  }

  /** Nobody waits for this answer any more. */
  forget(id: number): void {
    this.#waiting.delete(id)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends politely; answers still waited for are rejected. Idempotent. */
  async close(): Promise<void> {
    this.#finish(new ChrysalisError('cancelled', 'The connection was closed by this client.'))
    this.#socket.ref()
    this.#socket.resume()
    this.#socket.end()
    this.#socket.destroySoon()
    await this.ended
  }

  #take(chunk: Buffer): void {
    let lines: Uint8Array[]
    try {
      lines = this.#framer.push(chunk)
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : undefined)
      return
    }
    for (const line of lines) {
      const frame = parseFrame(line)
      if (!frame.ok || !isObject(frame.value)) {
        this.#socket.destroy(new Error('the daemon sent something that is no answer'))
        return
      }
      this.#receive(frame.value)
    }
  }

  #receive(message: Record<string, unknown>): void {
    const { id, method, params, error } = message
    if (typeof method === 'string') {
      if (isObject(params)) this.#onNotification?.(method, params)
      return
    }
    if (id === null) {
      // Not about one request: the daemon turned this client away, or could not read it. Nothing more will come.
      this.#finish(fromWireError(error))
      this.#socket.destroy()
      return
    }
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined
    if (waiting === undefined || typeof id !== 'number') return
    this.#waiting.delete(id)
    if (error !== undefined) waiting.reject(fromWireError(error))
    else waiting.resolve(message['result'])
  }

  #finish(error: ChrysalisError): void {
    if (this.#end !== undefined) return
    this.#end = error
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(error)
  }
}

function lost(cause?: Error): ChrysalisError {
  return new ChrysalisError('daemon_unreachable', 'The connection to the daemon was lost.', {
    hint: 'Ask again: the client connects anew. chrysalis status tells whether the daemon runs.',
    cause
  })
}

function unsure(error: ChrysalisError): ChrysalisError {
  return new ChrysalisError(error.code, `${error.message} The write may have been done.`, {
    hint: 'Read before writing again: the daemon may have stored it before the connection was lost.',
    stateTouched: true,
    cause: error
  })
}

function frameTooLarge(method: string, bytes: number): ChrysalisError {
  return new ChrysalisError('too_large', `The request ${method} has ${bytes} bytes; nothing was sent.`, {
    hint: `A frame holds ${LIMITS.rpcFrameBytesMax} bytes: send fewer items at once.`
  })
}

function cannotConnect(path: string, error: NodeJS.ErrnoException): ChrysalisError {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new ChrysalisError('permissions', `You may not use the daemon at ${path}.`, {
      hint: 'A daemon serves the user who started it only: run as that user, or start your own.',
      cause: error
    })
  }
  return new ChrysalisError('daemon_unreachable', `No daemon answers at ${path}.`, {
    hint: 'Start one with: chrysalis daemon --detach',
    cause: error
  })
}
