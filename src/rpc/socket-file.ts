/**
 * The file behind the local door. A Unix socket has no lock and no password: who can reach it owns the daemon, so it
 * lies in a directory only its owner can enter, has mode 0600 whatever the umask, and is taken over only when nobody
 * answers on it (a killed daemon leaves its path behind). Windows has named pipes instead, which need none of this.
 */
import { chmodSync, lstatSync, mkdirSync, unlinkSync, type Stats } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'

const PIPE_PREFIX = '\\\\.\\pipe\\'

export function isPipe(socketPath: string): boolean {
  return socketPath.startsWith(PIPE_PREFIX)
}

/** Throws `config` when the system would silently cut the path. */
export function checkPathLength(socketPath: string): void {
  const bytes = Buffer.byteLength(socketPath)
  if (isPipe(socketPath) || bytes <= LIMITS.socketPathBytesMax) return
  throw new ChrysalisError(
    'config',
    `The socket path has ${bytes} bytes; the system takes ${LIMITS.socketPathBytesMax}: ${socketPath}`,
    { hint: 'Set rpc.socket to a shorter path, or use a home with a shorter path.' }
  )
}

/** Makes the directory 0700, or refuses one that others can enter. Throws `permissions`. */
export function secureDirectory(socketPath: string): void {
  const directory = path.dirname(socketPath)
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new ChrysalisError('permissions', `The directory ${directory} could not be made; no socket was opened.`, {
      hint: 'Use a home in a directory you can write to.',
      cause: error
    })
  }
  const stats = lstatSync(directory)
  if (!stats.isDirectory()) throw notOurs(directory, 'is not a directory')
  if (process.getuid !== undefined && stats.uid !== process.getuid())
    throw notOurs(directory, 'belongs to another user')
  // A directory that was there before is left as it is: it may be shared on purpose, and then it is no place for this.
  if ((stats.mode & 0o077) !== 0) {
    throw new ChrysalisError('permissions', `Others can enter ${directory}; no socket was opened.`, {
      hint: `Run: chmod 700 ${directory}`
    })
  }
}

function notOurs(directory: string, what: string): ChrysalisError {
  return new ChrysalisError('permissions', `${directory} ${what}; no socket was opened.`, {
    hint: 'Set rpc.socket to a path in a directory of your own.'
  })
}

/**
 * Clears a path left behind by a daemon that is gone. Rejects with `home_locked` when somebody answers there, and with
 * `permissions` when the path is something else than a socket; neither is touched.
 */
export async function clearStale(socketPath: string): Promise<void> {
  const stats = statOf(socketPath)
  if (stats === undefined) return
  if (!stats.isSocket()) {
    throw new ChrysalisError('permissions', `${socketPath} exists and is not a socket; it was left alone.`, {
      hint: 'Move it away, or set rpc.socket to another path.'
    })
  }
  if (await somebodyAnswers(socketPath)) {
    throw new ChrysalisError('home_locked', `A daemon is answering on ${socketPath}.`, {
      hint: 'Use it as it is, or stop it first: chrysalis stop'
    })
  }
  unlinkSync(socketPath)
}

function statOf(socketPath: string): Stats | undefined {
  return lstatSync(socketPath, { throwIfNoEntry: false })
}

/** Only a refusal proves that nobody is there; any other failure might hide a living daemon. */
function somebodyAnswers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(socketPath)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}

/** Runs `bind` (which must create the socket before it returns) so that the file is 0600 from its first instant. */
export function bindPrivately(socketPath: string, bind: () => void): void {
  if (isPipe(socketPath)) {
    bind()
    return
  }
  const before = process.umask(0o177)
  try {
    bind()
  } finally {
    process.umask(before)
  }
}

/** Sets the mode once more and looks: throws `permissions` when the file is anything but a socket of ours with 0600. */
export function checkSocketMode(socketPath: string): void {
  if (isPipe(socketPath)) return
  chmodSync(socketPath, 0o600)
  const stats = lstatSync(socketPath)
  if (!stats.isSocket() || (stats.mode & 0o777) !== 0o600) {
    throw new ChrysalisError('permissions', `${socketPath} could not be made private; the socket was closed.`, {
      hint: 'Use a home on a file system that keeps permissions.'
    })
  }
}
