/**
 * What can be checked of a home without a daemon: one line a check, each with what to do when it fails.
 *
 * Every check runs, whatever the others found, and none changes anything. A check that cannot be made because an
 * earlier one failed says so instead of guessing. The content of the store is not looked at: that takes the daemon's
 * lock and is the business of `chrysalis doctor --deep` and `chrysalis verify`.
 */
import { existsSync, lstatSync, realpathSync, statfsSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { readSentinel } from '../adapters/level/sentinel.ts'
import { utf8 } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { loadConfig } from './config.ts'
import { homePaths, type HomePaths } from './home-files.ts'
import { readBootstrap, readSpaces, requireFinished } from './home.ts'
import { assertPrivate, describeIdentity, readNetworkKey } from './keystore.ts'
import { plannedSocketPath, processExists, readRunFile, runFilePath } from './socket-path.ts'

export interface CheckResult {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
  readonly hint: string | null
}

/** What a check found; a thrown error is turned into a failure with the error's own hint. */
type Finding = string | { readonly ok: false; readonly detail: string; readonly hint: string }

/** Least Node.js that runs the daemon. */
const NODE_LEAST = [20, 19] as const

/** All checks in a fixed order. Never rejects. */
export async function doctorFiles(
  home: string,
  env: Readonly<Record<string, string | undefined>> = {}
): Promise<readonly CheckResult[]> {
  const paths = homePaths(home)
  const checks: readonly (readonly [string, () => Finding | Promise<Finding>])[] = [
    ['node', () => checkNode(process.versions.node)],
    ['home', () => checkHome(paths)],
    ['permissions', () => checkPermissions(paths)],
    ['identity', () => checkIdentity(paths)],
    ['network key', async () => `${(await readNetworkKey(paths.networkKey)).length} bytes, readable`],
    ['spaces', () => checkSpaces(paths)],
    ['configuration', () => checkConfiguration(paths, env)],
    ['disk space', () => checkDiskSpace(paths)],
    ['socket path', () => checkSocketPath(paths, env)],
    ['store', () => checkStore(paths)],
    ['run file', () => checkRunFile(paths)]
  ]
  const results: CheckResult[] = []
  for (const [check, run] of checks) results.push(await result(check, run))
  return results
}

async function result(check: string, run: () => Finding | Promise<Finding>): Promise<CheckResult> {
  try {
    const finding = await run()
    return typeof finding === 'string' ? { check, ok: true, detail: finding, hint: null } : { check, ...finding }
  } catch (error) {
    return { check, ok: false, detail: messageOf(error), hint: isChrysalisError(error) ? (error.hint ?? null) : null }
  }
}

/** Exported for the test, which cannot change the version it runs on. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [leastMajor, leastMinor] = NODE_LEAST
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return `Node.js ${version}`
  return {
    ok: false,
    detail: `Node.js ${version} is too old`,
    hint: `Install Node.js ${leastMajor}.${leastMinor} or newer; 22 or 24 is best.`
  }
}

function checkHome(paths: HomePaths): Finding {
  requireFinished(paths)
  return paths.home
}

function checkPermissions(paths: HomePaths): Finding {
  assertPrivate(realpathSync(paths.home), 'directory')
  for (const directory of [paths.run, paths.log, paths.data])
    if (existsSync(directory)) assertPrivate(directory, 'directory')
  for (const file of [paths.identity, paths.networkKey, paths.spaces]) assertPrivate(file, 'file')
  return 'the home and its secrets are yours alone'
}

async function checkIdentity(paths: HomePaths): Promise<Finding> {
  const { author, sealed } = await describeIdentity(paths.identity)
  const kept = sealed ? 'kept under a passphrase' : 'kept without a passphrase'
  return `${authorToPeerId(author)}, ${kept}`
}

async function checkSpaces(paths: HomePaths): Promise<Finding> {
  const spaces = await readSpaces(paths)
  const addresses = await readBootstrap(paths)
  const names = spaces.map(({ name, shared }) => (shared ? name : `${name} (never shared)`))
  return `${names.join(', ')}; ${addresses.length} addresses from tickets`
}

function checkConfiguration(paths: HomePaths, env: Readonly<Record<string, string | undefined>>): Finding {
  const { config, warnings } = loadConfig({ home: paths.home, env })
  if (warnings.length === 0) return `valid, preset ${config.preset}`
  return { ok: false, detail: warnings.join(' '), hint: 'Correct or unset the variable: it has no effect as it is.' }
}

function checkDiskSpace(paths: HomePaths): Finding {
  const stats = statfsSync(paths.home)
  const freeMiB = Math.floor((stats.bavail * stats.bsize) / 1_048_576)
  const leastMiB = Math.ceil(LIMITS.diskFreeBytesMin / 1_048_576)
  if (freeMiB >= leastMiB) return `${freeMiB} MiB free`
  return {
    ok: false,
    detail: `${freeMiB} MiB free, less than ${leastMiB}`,
    hint: 'Free some space: with a full disk the daemon answers but refuses to write.'
  }
}

function checkSocketPath(paths: HomePaths, env: Readonly<Record<string, string | undefined>>): Finding {
  const { config } = loadConfig({ home: paths.home, env })
  const socket = plannedSocketPath(paths.home, { configured: config.rpc.socket, env })
  const directory = path.dirname(socket)
  if (existsSync(directory)) assertPrivate(directory, 'directory')
  return `${socket} (${utf8(socket).length} of ${LIMITS.socketPathBytesMax} bytes)`
}

async function checkStore(paths: HomePaths): Promise<Finding> {
  const data = existsSync(paths.data)
  const state = existsSync(paths.state)
  if (data && state) {
    const sentinel = await readSentinel(paths.home)
    return `the store and its sentinel are there, ${sentinel?.deltas ?? 0} deltas when it was last looked at`
  }
  if (!data && !state) return 'no store yet: no daemon has run here'
  if (state) {
    return {
      ok: false,
      detail: `${paths.state} says that there was a store, and ${paths.data} is gone`,
      hint: 'Restore data/ from a backup. Or remove STATE as well: the daemon then starts empty and fetches from its peers.'
    }
  }
  return {
    ok: false,
    detail: `${paths.data} is there without its sentinel ${paths.state}`,
    hint: 'Start the daemon: it then writes under a new epoch, in case its own last writes are missing, and makes a sentinel.'
  }
}

async function checkRunFile(paths: HomePaths): Promise<Finding> {
  const file = runFilePath(paths.home)
  if (!existsSync(file)) return 'no daemon is recorded'
  const run = readRunFile(paths.home)
  if (run === undefined) return { ok: false, detail: `${file} cannot be understood`, hint: `Remove it: rm ${file}` }
  if (processExists(run.pid) && (await answers(run.socket))) return `process ${run.pid} listens on ${run.socket}`
  return {
    ok: false,
    detail: `${file} names process ${run.pid}, which does not answer on ${run.socket}`,
    hint: 'The daemon did not stop cleanly. Start it again: it clears this up by itself.'
  }
}

/** Whether anybody accepts on the socket. */
function answers(socket: string): Promise<boolean> {
  if (!socket.startsWith('\\\\') && lstatSync(socket, { throwIfNoEntry: false })?.isSocket() !== true) {
    return Promise.resolve(false)
  }
  return new Promise((resolve) => {
    const connection = connect(socket)
    connection.setTimeout(LIMITS.rpcFirstByteMsMax)
    const settle = (answer: boolean) => () => {
      connection.destroy()
      resolve(answer)
    }
    connection.once('connect', settle(true)).once('error', settle(false)).once('timeout', settle(false))
  })
}
