/**
 * What one run of one verb has in hand: the global options, the terminal, and a daemon, which is started when none runs
 * unless that was refused. It also says how a run ends: one JSON object, or lines and an exit status.
 */
import { homedir } from 'node:os'
import path from 'node:path'
import type { Command } from 'commander'
import { ChrysalisError, ERRORS, isChrysalisError, messageOf } from '../base/errors.ts'
import { Client } from '../rpc/client.ts'
import { durationMs } from './values.ts'
import { Terminal, type CliIo } from './terminal.ts'

/** What a verb comes back with. */
export interface Outcome {
  /** For --json. */
  readonly data: unknown
  /** For people, without --json. */
  readonly lines: readonly string[]
  /** The verb did its work and the news is bad: data is shown and the exit status is this error's. */
  readonly error?: ChrysalisError
}

export interface GlobalOptions {
  readonly home?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly timeout?: string
  readonly color: boolean
  readonly autostart: boolean
}

/** The conversation of runs that do not say theirs. */
const TERMINAL_SESSION = 'cli'

/** Raised in every envelope when an existing field changes its meaning; adding fields does not. */
const ENVELOPE_VERSION = 1

export class Context {
  readonly io: CliIo
  readonly home: string
  readonly json: boolean
  readonly timeoutMs: number | undefined
  readonly terminal: Terminal
  /** `sync now`, without the name of the program. */
  readonly command: string
  /** Whether a daemon may be started when none runs. */
  readonly autostart: boolean
  #client: Client | undefined

  constructor(io: CliIo, command: string, options: GlobalOptions) {
    this.io = io
    this.command = command
    this.home = path.resolve(options.home ?? io.env['CHRYSALIS_HOME'] ?? path.join(homedir(), '.chrysalis'))
    this.json = options.json === true
    this.terminal = new Terminal(io, options.color)
    this.terminal.quiet = options.quiet === true
    this.timeoutMs = options.timeout === undefined ? undefined : durationMs(options.timeout)
    this.autostart = options.autostart
  }

  nowMs(): number {
    return this.io.nowMs?.() ?? Date.now()
  }

  /** The running daemon. Rejects with `daemon_unreachable` when there is none. */
  async running(): Promise<Client> {
    if (this.#client !== undefined) return this.#client
    const client = new Client(this.io.socketPath(this.home), {
      name: 'chrysalis-cli',
      version: this.io.version,
      token: this.io.env['CHRYSALIS_TOKEN'] ?? '',
      // Which runs belong together nobody knows unless told: all of them are one conversation, so that looking at a
      // working memory twice from a terminal does not share it.
      session: this.io.env['CHRYSALIS_SESSION'] ?? TERMINAL_SESSION,
      ...(this.timeoutMs === undefined ? {} : { timeoutMs: this.timeoutMs })
    })
    await client.open()
    this.#client = client
    return client
  }

  /** The running daemon, started first when there is none. */
  async daemon(): Promise<Client> {
    try {
      return await this.running()
    } catch (error) {
      if (!this.autostart || !isChrysalisError(error, 'daemon_unreachable')) throw error
    }
    const { spawnDaemon } = await this.io.actions()
    const { pid } = await this.terminal.during('starting the daemon', spawnDaemon({ home: this.home, flags: {} }))
    this.terminal.note(`Started the daemon of ${this.home}, process ${pid}.`)
    return this.running()
  }

  async close(): Promise<void> {
    await this.#client?.close()
  }

  /** Rejects with `cancelled` when the user interrupts or stdout is closed; never resolves. */
  interrupted(): Promise<never> {
    return new Promise((_, reject) => {
      const stop = (): void => reject(new ChrysalisError('cancelled', 'Interrupted.'))
      if (this.io.signal?.aborted === true) stop()
      this.io.signal?.addEventListener('abort', stop, { once: true })
    })
  }

  /** One object of a stream. */
  emit(data: unknown, lines: readonly string[]): void {
    if (this.json) this.terminal.print(JSON.stringify({ ok: true, command: this.command, data, v: ENVELOPE_VERSION }))
    else for (const line of lines) this.terminal.print(line)
  }

  /** The result of a verb; returns the exit status. */
  finish(outcome: Outcome): number {
    const { data, lines, error } = outcome
    if (error === undefined) {
      this.emit(data, lines)
      return 0
    }
    if (this.json) this.terminal.print(failure(this.command, error, data))
    else {
      for (const line of lines) this.terminal.print(line)
      complain(this.terminal, error)
    }
    return ERRORS[error.code].exit
  }

  /** An error that ended the verb; returns the exit status. */
  fail(thrown: unknown): number {
    const error = asChrysalisError(thrown)
    if (this.json) this.terminal.print(failure(this.command, error))
    else complain(this.terminal, error)
    return ERRORS[error.code].exit
  }
}

export function asChrysalisError(thrown: unknown): ChrysalisError {
  if (isChrysalisError(thrown)) return thrown
  return new ChrysalisError('failure', `Chrysalis failed: ${messageOf(thrown)}`, {
    hint: 'chrysalis doctor looks for known causes.',
    stateTouched: true,
    cause: thrown
  })
}

function failure(command: string, error: ChrysalisError, data?: unknown): string {
  const { code, message, hint, retryable, stateTouched } = error
  return JSON.stringify({
    ok: false,
    command,
    ...(data === undefined ? {} : { data }),
    error: {
      code,
      message,
      hint: hint ?? null,
      retryable,
      stateTouched,
      exit: ERRORS[code].exit,
      ...(error.data === undefined ? {} : { details: error.data })
    },
    v: ENVELOPE_VERSION
  })
}

function complain(terminal: Terminal, error: ChrysalisError): void {
  terminal.complain(`chrysalis: ${error.message}`)
  if (error.hint !== undefined) terminal.complain(`hint: ${error.hint}`)
}

/** The path of a command below the program. */
export function commandPath(command: Command): string {
  const names: string[] = []
  for (let at: Command | null = command; at !== null && at.parent !== null; at = at.parent) names.unshift(at.name())
  return names.join(' ')
}
