/**
 * A daemon in the background: the same program as this one, detached, its log in the home. Returns when it answers.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ChrysalisError, ERRORS, messageOf, type ErrorCode } from '../base/errors.ts'
import type { ConfigFlags } from '../cli/local-actions.ts'
import { connect } from '../rpc/client.ts'
import { homePaths, type HomePaths } from './home-files.ts'
import { requireFinished } from './home.ts'
import { readRunFile } from './socket-path.ts'

const START_MS_MAX = 30_000
const POLL_MS = 50
/** Lines of the log shown when a daemon did not start. */
const LOG_LINES_SHOWN = 5

/** The launcher of this package: bin/chrysalis beside src/, or above dist/. */
export function launcherPath(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const candidate = path.join(directory, 'bin', 'chrysalis')
    if (existsSync(candidate)) return candidate
    const parent = path.dirname(directory)
    if (parent === directory)
      throw new ChrysalisError('failure', 'bin/chrysalis is missing from this package', { hint: 'Install it again.' })
    directory = parent
  }
}

/** Rejects with what the daemon said when it could not start, `timeout`, `not_initialised` or `permissions`. */
export async function spawnDaemon(options: { home: string; flags: ConfigFlags }): Promise<{ pid: number }> {
  const paths = homePaths(options.home)
  requireFinished(paths)
  const logFile = path.join(paths.log, 'daemon.log')
  const log = await openLog(paths, logFile)
  const child = spawn(
    process.execPath,
    [launcherPath(), '--home', paths.home, 'daemon', ...flagArguments(options.flags)],
    { detached: true, stdio: ['ignore', log, log], env: process.env }
  )
  closeSync(log)
  let status: number | null | undefined
  child.once('exit', (code) => {
    status = code
  })
  child.unref()
  const deadlineMs = performance.now() + START_MS_MAX
  while (performance.now() < deadlineMs) {
    if (await answers(paths, child.pid)) return { pid: child.pid ?? 0 }
    if (status !== undefined) throw startFailure(status, logFile)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new ChrysalisError('timeout', `the daemon did not answer within ${START_MS_MAX / 1000} s`, {
    hint: `See ${logFile}. It may still be starting: chrysalis status.`
  })
}

async function openLog(paths: HomePaths, logFile: string): Promise<number> {
  try {
    await mkdir(paths.log, { recursive: true, mode: 0o700 })
    return openSync(logFile, 'a', 0o600)
  } catch (error) {
    throw new ChrysalisError(
      'permissions',
      `no daemon can run in ${paths.home}: ${messageOf(error)}. Nothing was touched.`,
      {
        hint: 'A daemon writes to its home. Make it writable for you, remount it, or choose another with --home.',
        cause: error
      }
    )
  }
}

function flagArguments(flags: ConfigFlags): string[] {
  return Object.entries(flags).flatMap(([key, value]) => {
    const text = Array.isArray(value) ? value.join(',') : String(value)
    return ['--set', `${key}=${text}`]
  })
}

async function answers(paths: HomePaths, pid: number | undefined): Promise<boolean> {
  const run = readRunFile(paths.home)
  if (run === undefined || run.pid !== pid) return false
  try {
    // Whoever asks, an answer is enough: a token that is not good is for the caller to find out.
    const client = await connect(run.socket, { timeoutMs: 2_000, token: '' })
    await client.close()
    return true
  } catch {
    return false
  }
}

function startFailure(status: number | null, logFile: string): ChrysalisError {
  const codes = Object.keys(ERRORS) as ErrorCode[]
  const code = codes.find((one) => ERRORS[one].exit === status && status !== 1) ?? 'failure'
  const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n  ')
  return new ChrysalisError(code, `the daemon did not start (exit status ${String(status)}):\n  ${tail}`, {
    hint: `The whole log is ${logFile}; chrysalis doctor checks the home.`
  })
}
