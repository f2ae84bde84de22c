/**
 * Where the daemon of a home listens, and the run file that says so.
 *
 * The socket belongs into the home, run/rpc.sock. But a system cuts a socket path after about a hundred bytes, in
 * silence, and then two homes could share one socket; so a longer path is replaced by a short one in the user's runtime
 * directory, or in a private directory of the temporary one, named by a hash of the home. The run file tells everyone
 * which it was. It says where a daemon was last, never that it lives: only the lock of the store and an answer on the
 * socket say that.
 */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readFileSync, realpathSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { writeFileAtomic } from '../adapters/system/atomic-file.ts'
import { utf8 } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { assertPrivate } from './keystore.ts'

export interface SocketPlace {
  /** Which of the doors; agents' programs come to `rpc`, models to `mcp`. `rpc` when omitted. */
  readonly door?: 'rpc' | 'mcp'
  /** `rpc.socket` of the configuration; a relative path is taken from the home. */
  readonly configured?: string | null
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Directory for temporary files; the system's when omitted. */
  readonly temporary?: string
  readonly platform?: NodeJS.Platform
}

/**
 * The socket a daemon of this home would listen on. Throws ChrysalisError `config` when the configured path is too long
 * for the system; every other path is made to fit.
 */
export function plannedSocketPath(home: string, place: SocketPlace = {}): string {
  const root = canonicalHome(home)
  const { door = 'rpc' } = place
  const suffix = door === 'rpc' ? '' : `-${door}`
  const hash = createHash('sha256').update(root).digest('hex').slice(0, 16)
  // Named pipes have no directories and no such bound; access is the pipe's own.
  if ((place.platform ?? process.platform) === 'win32') return `\\\\.\\pipe\\chrysalis-${hash}${suffix}`

  if (place.configured !== undefined && place.configured !== null) {
    const configured = path.resolve(root, place.configured)
    if (fits(configured)) return configured
    throw new ChrysalisError('config', `rpc.socket is ${utf8(configured).length} bytes long; nothing was touched.`, {
      hint: `A socket path may have ${LIMITS.socketPathBytesMax} bytes. Choose a shorter one, or leave rpc.socket out.`,
      data: { socket: configured }
    })
  }
  const usual = path.join(root, 'run', `${door}.sock`)
  if (fits(usual)) return usual

  const runtime = place.env?.['XDG_RUNTIME_DIR']
  const user = process.getuid?.() ?? 0
  const candidates = [
    ...(runtime !== undefined && path.isAbsolute(runtime) ? [path.join(runtime, 'chrysalis')] : []),
    path.join(place.temporary ?? tmpdir(), `chrysalis-${user}`),
    `/tmp/chrysalis-${user}`
  ]
  const socket = candidates.map((directory) => path.join(directory, `${hash}${suffix}.sock`)).find(fits)
  // The last candidate is shorter than fifty bytes for every user number there is.
  return socket as string
}

function fits(socket: string): boolean {
  return utf8(socket).length <= LIMITS.socketPathBytesMax
}

/** Two spellings of one home must give one socket; a home that is not there yet is named by its nearest parent. */
function canonicalHome(home: string): string {
  const absolute = path.resolve(home)
  try {
    return realpathSync(absolute)
  } catch {
    const parent = path.dirname(absolute)
    return parent === absolute ? absolute : path.join(canonicalHome(parent), path.basename(absolute))
  }
}

/**
 * Makes the directory of a socket, 0700 and ours. Throws ChrysalisError `permissions` when it exists and belongs to
 * somebody else or is open to others: whoever can write there can answer in the daemon's place.
 */
export function prepareSocketDirectory(socket: string): void {
  if (socket.startsWith('\\\\')) return
  const directory = path.dirname(socket)
  try {
    if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(directory, 0o700)
  } catch (error) {
    throw new ChrysalisError('permissions', `${directory} cannot be made: ${messageOf(error)}. Nothing was touched.`, {
      hint: 'Make the parent directory writable for the user that runs the daemon, or set rpc.socket.',
      cause: error
    })
  }
  assertPrivate(directory, 'directory')
}

/** <home>/run/daemon.json */
export interface RunFile {
  readonly pid: number
  readonly version: string
  readonly socket: string
  /** Absent where the door for models is closed. */
  readonly mcpSocket?: string
  readonly startedAtMs: number
}

export function runFilePath(home: string): string {
  return path.join(home, 'run', 'daemon.json')
}

/** Written once the socket listens, so that whoever reads it can connect. Rejects with the system's error. */
export async function writeRunFile(home: string, run: RunFile): Promise<void> {
  const file = runFilePath(home)
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  await writeFileAtomic(file, utf8(`${JSON.stringify(run)}\n`), 0o600)
}

/** undefined when there is none, or none that can be understood: it is advice, and the socket has the last word. */
export function readRunFile(home: string): RunFile | undefined {
  let content: Partial<RunFile> | null
  try {
    content = JSON.parse(readFileSync(runFilePath(home), 'utf8')) as Partial<RunFile> | null
  } catch {
    return undefined
  }
  if (typeof content !== 'object' || content === null) return undefined
  const { pid, version, socket, mcpSocket, startedAtMs } = content
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  if (typeof version !== 'string' || typeof socket !== 'string' || typeof startedAtMs !== 'number') return undefined
  return { pid, version, socket, ...(typeof mcpSocket === 'string' ? { mcpSocket } : {}), startedAtMs }
}

/** Removes the run file if it is still that of `pid`: a successor may have written its own. */
export function removeRunFile(home: string, pid: number): void {
  if (readRunFile(home)?.pid !== pid) return
  try {
    unlinkSync(runFilePath(home))
  } catch {
    // Gone already, or the disk is read-only: either way it no longer matters, for nobody trusts it alone.
  }
}

/** Whether a process with this number exists. A number may have been given to another program since. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Where to find the daemon of this home: where its run file says, else where it would listen. */
export function socketPath(home: string, place: SocketPlace = {}): string {
  const run = readRunFile(home)
  const recorded = place.door === 'mcp' ? run?.mcpSocket : run?.socket
  if (
    recorded !== undefined &&
    (recorded.startsWith('\\\\') || lstatSync(recorded, { throwIfNoEntry: false })?.isSocket())
  ) {
    return recorded
  }
  return plannedSocketPath(home, place)
}
