/**
 * The log: one line an entry, to a stream such as standard error or to a file of its own.
 *
 * Logging must never be the reason why the daemon stops or grows: `log` does not throw and does not wait. What a slow
 * disk or pipe has not taken stays in a bounded buffer; beyond it lines are dropped, and the first line that fits again
 * says how many. A file that fails, on a full disk for instance, is opened again after a while.
 *
 * It does not rotate files: it opens them for appending, so whoever rotates may cut them (copytruncate).
 */
import { closeSync, createWriteStream, fchmodSync, fstatSync, openSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger, LogLevel } from '../../ports/logger.ts'
import { systemClock } from './clock.ts'
import { logLine, type LogFormat } from './log-line.ts'

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/** Between two attempts to open a log file that failed. */
const REOPEN_INTERVAL_MS = 5_000

export interface LoggerOptions {
  /** Where lines go. A stream stays open when the logger closes; a file, created 0600, is the logger's own. */
  readonly target: { readonly stream: Writable } | { readonly file: string }
  /** Entries below it are not written. Default `info`. */
  readonly level?: LogLevel
  /** `json`: NDJSON for machines. `text`: for people. Default `json`. */
  readonly format?: LogFormat
  readonly clock?: Pick<Clock, 'nowMs' | 'monotonicMs'>
  /** Bytes that may wait to be written. */
  readonly bufferBytesMax?: number
}

export interface SystemLogger extends Logger {
  /** Entries lost so far to a full buffer or a failed target. */
  readonly dropped: number
  /**
   * Resolves once every accepted line was handed to the system, or the target failed; as late as a stuck target lets
   * it, so a caller in a hurry must not wait for it without a deadline. Later entries are dropped.
   */
  close(): Promise<void>
}

/** Rejects nothing and throws only here: `permissions` when the file cannot be opened for appending. */
export function createLogger(options: LoggerOptions): SystemLogger {
  return new LineLogger(options)
}

class LineLogger implements SystemLogger {
  readonly #options: LoggerOptions
  readonly #clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  readonly #threshold: number
  readonly #bufferBytesMax: number
  #sink: Writable | undefined
  #failedAtMs = 0
  #closed = false
  #dropped = 0
  #droppedUnsaid = 0
  readonly #onError = (): void => {
    this.#abandon()
  }

  constructor(options: LoggerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#threshold = SEVERITY[options.level ?? 'info']
    this.#bufferBytesMax = options.bufferBytesMax ?? LIMITS.logBufferBytesMax
    this.#sink = this.#openTarget()
  }

  get dropped(): number {
    return this.#dropped
  }

  log(level: LogLevel, message: string, data?: Record<string, unknown>): void {
    if (SEVERITY[level] < this.#threshold) return
    try {
      this.#write(level, message, data)
    } catch {
      // A stream destroyed by someone else may throw; a lost line is counted like any other.
      this.#drop()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const sink = this.#sink
    this.#sink = undefined
    if (sink === undefined) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        resolve()
      }
      sink.once('error', done)
      sink.once('close', done)
      if ('file' in this.#options.target) sink.end(done)
      else sink.write('', done)
    })
    // The listener for errors stays: a late one, of a pipe closed by its reader, must not end the process.
  }

  #write(level: LogLevel, message: string, data: Record<string, unknown> | undefined): void {
    if (this.#sink?.destroyed) this.#abandon()
    const sink = this.#sink ?? this.#openAgain()
    if (sink === undefined) {
      this.#drop()
      return
    }
    const format = this.#options.format ?? 'json'
    let text = logLine({ atMs: this.#clock.nowMs(), level, message, data }, format)
    if (this.#droppedUnsaid > 0) {
      const lost = { atMs: this.#clock.nowMs(), level: 'warn', message: 'log entries were dropped' } as const
      text = logLine({ ...lost, data: { count: this.#droppedUnsaid } }, format) + text
    }
    if (sink.writableLength + Buffer.byteLength(text) > this.#bufferBytesMax) {
      this.#drop()
      return
    }
    this.#droppedUnsaid = 0
    sink.write(text)
  }

  #drop(): void {
    this.#dropped++
    this.#droppedUnsaid++
  }

  #openTarget(): Writable {
    const { target } = this.#options
    const sink = 'file' in target ? openLogFile(target.file) : target.stream
    sink.on('error', this.#onError)
    return sink
  }

  #openAgain(): Writable | undefined {
    if (this.#closed || !('file' in this.#options.target)) return undefined
    if (this.#clock.monotonicMs() - this.#failedAtMs < REOPEN_INTERVAL_MS) return undefined
    try {
      this.#sink = this.#openTarget()
    } catch {
      this.#failedAtMs = this.#clock.monotonicMs()
    }
    return this.#sink
  }

  /** The lines that were waiting in a failed target are gone, uncounted: it does not say how many it had taken. */
  #abandon(): void {
    this.#sink = undefined
    this.#failedAtMs = this.#clock.monotonicMs()
  }
}

function openLogFile(path: string): Writable {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'a', 0o600)
    // A log that was left readable by others becomes private; a device or a pipe is not the logger's to change.
    if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, 0o600)
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor)
    throw new ChrysalisError('permissions', `the log file ${path} cannot be opened (${messageOf(error)})`, {
      hint: 'Choose another log file, or make its directory writable for the user who runs the daemon.',
      cause: error
    })
  }
  return createWriteStream(path, { fd: descriptor, flags: 'a' })
}
