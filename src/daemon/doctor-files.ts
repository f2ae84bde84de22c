/**
 * What can be checked of a home without a daemon: one line a check, each with what to do when it fails.
 *
 * Every check runs, whatever the others found, and none changes anything. A check that cannot be made because an
 * earlier one failed says so instead of guessing. Of a store at rest the files are checked, down to the checksum of every
 * block; what its rows say is known to a running daemon only, and told by `chrysalis status` and `chrysalis verify`.
 */
import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { DiskSpace, mebibytes } from '../adapters/level/disk-space.ts'
import { COPY_INFIX } from '../adapters/level/salvage.ts'
import { inspectClosedDatabase, readSentinel, type Sentinel } from '../adapters/level/sentinel.ts'
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
    ['disk space', () => checkDiskSpace(paths, env)],
    ['socket path', () => checkSocketPath(paths, env)],
    ['store', () => checkStore(paths)],
    ['copies', () => checkCopies(paths)],
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

function checkDiskSpace(paths: HomePaths, env: Readonly<Record<string, string | undefined>>): Finding {
  const { store } = loadConfig({ home: paths.home, env }).config
  const report = new DiskSpace({ ...store, directory: paths.home }).report()
  const { freeBytes, floorBytes, ballastBytes, ballastHeldBytes } = report
  const floor = floorBytes === 0 ? 'no floor is set' : `nothing is written below ${mebibytes(floorBytes)}`
  const held = ballastHeldBytes === ballastBytes ? 'held' : 'not held, which a daemon makes good when there is room'
  const ballast = ballastBytes === 0 ? 'no ballast' : `ballast of ${mebibytes(ballastBytes)} ${held}`
  const detail = `${mebibytes(freeBytes)} free, ${floor}, ${ballast}`
  if (freeBytes >= Math.max(floorBytes, LIMITS.diskFreeBytesMin)) return detail
  return { ok: false, detail, hint: 'Free some space: with a full disk the daemon answers but refuses to write.' }
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
  if (!data && !state) return 'no store yet: no daemon has run here'
  if (!data) {
    return {
      ok: false,
      detail: `${paths.state} says that there was a store, and ${paths.data} is gone`,
      hint: 'Restore data/ from a backup. Or remove STATE as well: the daemon then starts empty and fetches from its peers.'
    }
  }
  const sentinel = state ? await readSentinel(paths.home) : undefined
  const run = readRunFile(paths.home)
  if (run !== undefined && processExists(run.pid) && (await answers(run.socket))) {
    return `in use by a daemon, ${sentinel?.deltas ?? 0} deltas when it was last written down`
  }
  const damage = await damageOf(paths, sentinel)
  if (damage.length > 0) {
    return {
      ok: false,
      detail: `damaged: ${damage.join('; ')}`,
      hint: 'Start the daemon: it makes a copy first, repairs what it can, and fetches the rest from its peers.'
    }
  }
  if (sentinel !== undefined) return `every file is whole, ${sentinel.deltas} deltas when it was last looked at`
  return {
    ok: false,
    detail: `${paths.data} is there without its sentinel ${paths.state}`,
    hint: 'Start the daemon: it then writes under a new epoch, in case its own last writes are missing, and makes a sentinel.'
  }
}

/** Sentences; all files are read, and none is touched. */
async function damageOf(paths: HomePaths, sentinel: Sentinel | undefined): Promise<string[]> {
  const { inspection } = await inspectClosedDatabase(sentinel, paths.data, { wholeBytesMax: Number.POSITIVE_INFINITY })
  return inspection.findings.map(({ what }) => what)
}

function checkCopies(paths: HomePaths): Finding {
  const copies = !existsSync(paths.home) ? [] : readdirSync(paths.home).filter((name) => name.includes(COPY_INFIX))
  if (copies.length === 0) return 'none: nothing was ever repaired here'
  const made = copies.map((name) => `${name} (${timeOf(name)})`)
  return `${made.join(', ')}; made before a repair, to be removed by hand once nothing is missed`
}

function timeOf(copy: string): string {
  const ms = Number(/-(\d+)$/.exec(copy)?.[1] ?? Number.NaN)
  return Number.isSafeInteger(ms) ? new Date(ms).toISOString() : 'at an unknown time'
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
