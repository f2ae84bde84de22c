/** Runs one command line against captured streams, a fake door, and local actions that only take notes. */
import { PassThrough, Readable } from 'node:stream'
import { ChrysalisError } from '../../../src/base/errors.ts'
import type { LocalActions } from '../../../src/cli/local-actions.ts'
import { runCli } from '../../../src/cli/program.ts'
import { parseToml } from '../../../src/daemon/config-toml.ts'

export interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
  /** Of the last line of stdout. */
  readonly json: Envelope
}

export interface Envelope {
  readonly ok: boolean
  readonly command: string
  readonly v: number
  readonly data?: Record<string, unknown>
  readonly error?: { code: string; message: string; hint: string | null; exit: number; stateTouched: boolean }
}

export interface RunOptions {
  readonly socket?: string
  readonly mcpSocket?: string
  readonly home?: string
  readonly input?: string
  readonly env?: Record<string, string>
  readonly signal?: AbortSignal
  readonly actions?: Partial<LocalActions>
  readonly onOutput?: (text: string) => void
  readonly tty?: boolean
  /** A person types. */
  readonly typed?: boolean
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const stdout = Object.assign(new PassThrough(), { isTTY: options.tty === true, columns: 120 })
  const stderr = Object.assign(new PassThrough(), { isTTY: options.tty === true })
  let out = ''
  let err = ''
  stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    options.onOutput?.(out)
  })
  stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const status = await runCli(argv, {
    actions: async () => ({ ...noActions, ...options.actions }),
    socketPath: () => options.socket ?? '/nonexistent/rpc.sock',
    mcpSocketPath: () => options.mcpSocket ?? '/nonexistent/mcp.sock',
    version: '1.2.3',
    stdout,
    stderr,
    stdin: Object.assign(Readable.from(options.input === undefined ? [] : [options.input]), {
      isTTY: options.typed === true
    }),
    env: { CHRYSALIS_HOME: options.home ?? '/nonexistent', ...options.env },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    nowMs: () => 1_800_000_090_000
  })
  const ran = { status, out, err }
  return {
    ...ran,
    get json() {
      return JSON.parse(out.trim().split('\n').at(-1) ?? '') as Envelope
    }
  }
}

function refused(what: string): never {
  throw new ChrysalisError('not_initialised', `No home, so no ${what}.`, { hint: 'Run: chrysalis init' })
}

const noActions: LocalActions = {
  init: async () => refused('init'),
  daemon: async () => refused('daemon'),
  spawnDaemon: async () => refused('daemon'),
  socketPath: () => '/nonexistent/rpc.sock',
  join: async () => refused('join'),
  config: () => refused('config'),
  demo: async () => 0,
  parseToml,
  searchShared: async () => refused('shared index'),
  doctorFiles: async () => []
}
