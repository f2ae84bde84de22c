/**
 * Small files that are either the old one or the new one, whole, at every moment and after a power cut.
 *
 * The bytes go to a new file in the same directory, are synced, and take the name by rename; then the directory is
 * synced, because the name lives there (the method of every mail server; see rename(2), fsync(2)). Readers need no lock.
 * Two writers at once do not mix: the later rename wins.
 */
import { randomBytes } from 'node:crypto'
import { open, readFile, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Writes `bytes` to `path` with exactly the permissions `mode`, whatever the umask. Resolves once the file and its
 * name are on disk. Rejects with the system's error, and then the old file, if any, is untouched.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string, mode = 0o600): Promise<void> {
  const directory = dirname(path)
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await writeSynced(temporary, bytes, mode)
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw error
  }
  await syncDirectory(directory)
}

/** The content, or undefined when there is no such file. Other errors are the system's. */
export async function readIfExists(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes created, renamed and removed names durable. Does nothing on Windows, which cannot open a directory. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeSynced(path: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  // Exclusive creation, closed to others until it has its final mode: a secret is never readable, not even briefly.
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.chmod(mode)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
