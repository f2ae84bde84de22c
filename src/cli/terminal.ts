/**
 * The three streams of the command line. Data goes to stdout, everything else to stderr; a closed pipe (`… | head`) is
 * the reader's way of saying that it has had enough and never an error. Colour and spinners appear only where a person
 * is looking.
 */
import picocolors from 'picocolors'
import type { Readable, Writable } from 'node:stream'
import type { LocalActions } from './local-actions.ts'

export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** Everything the command line knows of the world. */
export interface CliIo {
  /** Loads what works without a daemon; only the verbs that need it pay for loading it. */
  readonly actions: () => Promise<LocalActions>
  /** Where the daemon of a home listens. */
  readonly socketPath: (home: string) => string
  /** Where it listens for models. */
  readonly mcpSocketPath: (home: string) => string
  readonly version: string
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts when the user interrupts. */
  readonly signal?: AbortSignal
  readonly nowMs?: () => number
}

export type Paint = ReturnType<typeof picocolors.createColors>

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const SPINNER_FRAME_MS = 90

export class Terminal {
  readonly #io: CliIo
  readonly #closed = new AbortController()
  readonly paint: Paint
  quiet = false

  constructor(io: CliIo, color: boolean) {
    this.#io = io
    const wanted = color && (io.env['NO_COLOR'] ?? '') === ''
    this.paint = picocolors.createColors(wanted && io.stdout.isTTY === true && io.env['TERM'] !== 'dumb')
    for (const stream of [io.stdout, io.stderr]) {
      stream.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') throw error
        if (stream === io.stdout) this.#closed.abort()
      })
    }
  }

  /** Aborts when nobody reads stdout any more. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** Columns to fit human output into; wide when it goes to a file. */
  get columns(): number {
    return this.#io.stdout.columns ?? 160
  }

  /** One line of data. */
  print(line: string): void {
    if (!this.closed.aborted) this.#io.stdout.write(`${line}\n`)
  }

  /** One line for the person beside the data. */
  note(line: string): void {
    if (!this.quiet) this.#io.stderr.write(`${line}\n`)
  }

  /** Errors are said even when quiet. */
  complain(line: string): void {
    this.#io.stderr.write(`${line}\n`)
  }

  /** Whether a person is there to see how it goes. */
  get isWatched(): boolean {
    return this.#io.stderr.isTTY === true && !this.quiet
  }

  /** Shows that something is going on while `work` runs, as a word or as it changes; nothing when nobody watches. */
  async during<T>(what: string | (() => string), work: Promise<T>): Promise<T> {
    const { stderr } = this.#io
    if (!this.isWatched) return work
    const say = typeof what === 'string' ? (): string => what : what
    let frame = 0
    const draw = (): void => void stderr.write(`\r${SPINNER[frame++ % SPINNER.length] ?? ''} ${say()}\x1b[K`)
    const timer = setInterval(draw, SPINNER_FRAME_MS)
    try {
      return await work
    } finally {
      clearInterval(timer)
      if (frame > 0) stderr.write('\r\x1b[K')
    }
  }

  /** All of stdin as text. */
  async readInput(): Promise<string> {
    const chunks: Buffer[] = []
    for await (const chunk of this.#io.stdin) chunks.push(Buffer.from(chunk as Uint8Array | string))
    return Buffer.concat(chunks).toString('utf8')
  }
}
