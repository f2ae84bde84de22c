/**
 * The parent's end of a worker process (worker.ts): one case at a time goes out and a report comes back. A process that dies,
 * hangs or cannot be started answers too, with what is known of it.
 */
import { fork, type ChildProcess } from 'node:child_process'
import type { SeedCase } from './seed-case.ts'
import type { Reply } from './worker.ts'

/** Of what it wrote on its stderr, the end is kept. */
const SAID_MAX = 4_000

export interface SeedWorkerOptions {
  /** Path of worker.ts, or of what it was compiled to. */
  readonly file: string
  /** Whether it runs through tsx. */
  readonly isSource: boolean
  readonly cwd?: string
}

export class SeedWorker {
  readonly #child: ChildProcess
  #settle: ((reply: Reply | 'aborted') => void) | undefined = undefined
  #said = ''

  constructor({ file, isSource, cwd }: SeedWorkerOptions) {
    this.#child = fork(file, [], {
      execArgv: isSource ? ['--import', import.meta.resolve('tsx')] : [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...(cwd === undefined ? {} : { cwd })
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString('utf8')}`.slice(-SAID_MAX)
    })
    this.#child.on('message', (reply: Reply) => this.#done(reply))
    this.#child.on('error', (error) => this.#done({ broken: error.message }))
    this.#child.on('exit', (code, signal) => {
      const last = this.#said.split('\n').find((line) => /[Ee]rror/.test(line)) ?? ''
      this.#done({ broken: `the process ended with ${signal ?? `status ${code}`}. ${last}`.trim() })
    })
  }

  /** Never rejects. `patienceMs`: real milliseconds after which the run is given up. */
  run(job: SeedCase, patienceMs: number, signal?: AbortSignal): Promise<Reply | 'aborted'> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#done({ broken: `it was not over after ${patienceMs} ms of real time` })
      }, patienceMs)
      const abort = (): void => this.#done('aborted')
      signal?.addEventListener('abort', abort, { once: true })
      this.#settle = (reply) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        resolve(reply)
      }
      // Dead already: its end was reported to nobody.
      if (this.#child.exitCode !== null) this.#done({ broken: 'the process ended before it was asked' })
      else this.#child.send(job)
    })
  }

  #done(reply: Reply | 'aborted'): void {
    this.#settle?.(reply)
    this.#settle = undefined
  }

  end(): void {
    this.#child.removeAllListeners()
    this.#child.on('error', () => undefined)
    this.#child.kill('SIGKILL')
  }
}
