/**
 * The byte pipe between a program that speaks the Model Context Protocol on its standard streams and the daemon that
 * serves it. It understands nothing but the one line each way at the beginning: a host starts such a process for every
 * window it opens, so it loads no protocol and no schema, and costs what a bare process costs.
 */
import net from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { decodeWelcome, encodePreamble, type Preamble } from '../rpc/preamble.ts'

const NEWLINE = 0x0a
/** Bytes of the daemon's first line; a refusal is a sentence or two. */
const WELCOME_BYTES_MAX = 65_536

/** Connects. Rejects with `daemon_unreachable` when nobody listens there, and with `permissions`. */
export function connectPipe(path: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path, allowHalfOpen: true })
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES' || error.code === 'EPERM') {
        const hint = 'Run it as the user the daemon belongs to.'
        reject(new ChrysalisError('permissions', `${path} cannot be opened by this user.`, { hint, cause: error }))
        return
      }
      reject(
        new ChrysalisError('daemon_unreachable', `No daemon listens for models on ${path}: ${messageOf(error)}`, {
          hint: 'See whether it runs with chrysalis status, and whether mcp.enabled is true with chrysalis config get mcp.',
          cause: error
        })
      )
    })
  })
}

export interface PipeEnds {
  readonly input: Readable
  readonly output: Writable
  /** Ends the pipe at once. */
  readonly signal: AbortSignal
}

/**
 * Copies bytes both ways. Resolves when this side has ended and everything the daemon still had to say is written.
 * Rejects with what the daemon refused the greeting with, with `daemon_unreachable` when it ended first, and with
 * `cancelled`.
 */
export function runPipe(socket: net.Socket, preamble: Preamble, ends: PipeEnds): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    new Pipe(socket, ends, resolve, reject).start(preamble)
  }).finally(() => {
    socket.destroy()
    // Standard input held open would keep the process alive.
    ends.input.destroy()
  })
}

class Pipe {
  readonly #socket: net.Socket
  readonly #ends: PipeEnds
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void
  #inputEnded = false
  #welcomed = false
  #first: Buffer[] = []
  #firstBytes = 0

  constructor(socket: net.Socket, ends: PipeEnds, resolve: () => void, reject: (error: unknown) => void) {
    this.#socket = socket
    this.#ends = ends
    this.#resolve = resolve
    this.#reject = reject
  }

  start(preamble: Preamble): void {
    const { input, output, signal } = this.#ends
    const stop = (): void => this.#reject(new ChrysalisError('cancelled', 'Interrupted.'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    this.#socket.on('data', this.#welcome)
    this.#socket.on('end', () => this.#ended())
    this.#socket.on('error', () => this.#ended())
    this.#socket.on('close', () => this.#ended())
    // Whoever stops reading has gone: there is nobody to tell.
    output.on('error', () => this.#resolve())
    output.on('close', () => this.#resolve())
    input.on('error', () => this.#inputOver())
    input.on('end', () => this.#inputOver())
    input.on('close', () => this.#inputOver())
    this.#socket.write(encodePreamble(preamble))
    input.pipe(this.#socket, { end: false })
  }

  #inputOver(): void {
    if (this.#inputEnded) return
    this.#inputEnded = true
    // The daemon answers what it was asked, then ends its half as well.
    this.#socket.end()
  }

  readonly #welcome = (chunk: Buffer): void => {
    const end = chunk.indexOf(NEWLINE)
    this.#first.push(chunk)
    this.#firstBytes += chunk.length
    if (end === -1 && this.#firstBytes <= WELCOME_BYTES_MAX) return
    const all = Buffer.concat(this.#first)
    const length = all.indexOf(NEWLINE)
    try {
      decodeWelcome(all.subarray(0, length === -1 ? all.length : length))
    } catch (error) {
      this.#reject(error)
      return
    }
    this.#welcomed = true
    this.#first = []
    this.#socket.off('data', this.#welcome)
    this.#ends.output.write(all.subarray(length + 1))
    this.#socket.pipe(this.#ends.output, { end: false })
  }

  #ended(): void {
    if (this.#inputEnded && this.#welcomed) {
      this.#ends.output.write('', () => this.#resolve())
      return
    }
    this.#reject(
      new ChrysalisError('daemon_unreachable', 'The daemon ended the connection: it has stopped, or it starts again.', {
        hint: 'Start this server again from your client; chrysalis status tells how the daemon is.'
      })
    )
  }
}
