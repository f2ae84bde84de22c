/**
 * Power cuts without a plug: an ext4 file system inside a file, which holds at every moment exactly what a disk would.
 *
 * The file lies on a tmpfs and is mounted through a loop device. What a writer has only in the page cache of the mounted
 * file system is not in it; what the file system has submitted to its "disk" is. So a power cut is: stop the writer,
 * copy the file until two copies agree (the kernel may still be writing back), and mount the copy, whose journal is then
 * replayed as after a real cut. Killing a process loses nothing that way or this; only this method loses unsynced writes
 * (LazyFS and the SQLite crash tests rest on the same idea).
 *
 * It models a disk that keeps what it was given, in order; not one that lies about its cache. Needs Linux and root.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where the images live: memory, so that the loop device's own writes wait for no real disk. */
const MEMORY = '/dev/shm'

const COPIES_MAX = 20

export interface DiskImage {
  /** Holds everything below; removed by `removeDisk`. */
  readonly directory: string
  /** What is on the disk. */
  readonly file: string
  /** Where the writer sees it. */
  readonly mountPoint: string
}

/** Why power cuts cannot be played here, or undefined when they can. */
export function supported(): string | undefined {
  if (process.platform !== 'linux') return 'power cuts need Linux'
  if (process.getuid?.() !== 0) return 'power cuts need root, to mount a disk image'
  if (!existsSync('/dev/loop-control')) return 'power cuts need loop devices'
  if (!existsSync(MEMORY)) return `power cuts need a file system in memory at ${MEMORY}`
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/sbin', '/usr/sbin']
  const missing = ['mkfs.ext4', 'mount', 'umount', 'cp', 'cmp'].find(
    (program) => !directories.some((directory) => existsSync(join(directory, program)))
  )
  return missing === undefined ? undefined : `power cuts need the program ${missing}`
}

/** Makes an empty disk of `bytes` (at least some 32 MiB, for the journal) and mounts it. */
export async function createDisk(bytes: number): Promise<DiskImage> {
  const directory = await mkdtemp(join(MEMORY, 'chrysalis-disk-'))
  const disk = { directory, file: join(directory, 'disk.img'), mountPoint: join(directory, 'mounted') }
  try {
    const handle = await open(disk.file, 'w')
    await handle.truncate(bytes)
    await handle.close()
    await run('mkfs.ext4', ['-q', '-F', disk.file])
    await mkdir(disk.mountPoint)
    await run('mount', ['-o', 'loop,data=ordered', disk.file, disk.mountPoint])
    return disk
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** Unmounts and deletes. The writer must have ended. */
export async function removeDisk(disk: DiskImage): Promise<void> {
  await unmount(disk.mountPoint)
  await rm(disk.directory, { recursive: true, force: true })
}

/**
 * Starts a writer whose standard output, where it notes what was acknowledged to it, goes to a file outside the disk:
 * at the cut that file is complete, where a pipe might still hold lines nobody has read.
 */
export async function startWriter(
  disk: DiskImage,
  command: string,
  parameters: readonly string[]
): Promise<{ child: ChildProcess; acknowledged: () => Promise<string> }> {
  const path = join(disk.directory, 'acknowledged')
  const output = await open(path, 'a')
  try {
    const child = spawn(command, parameters, { stdio: ['ignore', output.fd, 'inherit'] })
    return { child, acknowledged: () => readFile(path, 'utf8') }
  } finally {
    await output.close()
  }
}

/**
 * Cuts the power: afterwards the writer is dead and the returned file is what the disk held. All of the writer's threads
 * stand still while it is copied. Rejects when the disk does not come to rest.
 */
export async function cutPower(disk: DiskImage, writer: ChildProcess): Promise<string> {
  const { pid } = writer
  if (pid === undefined || writer.exitCode !== null) throw new Error('the writer is not running')
  const ended = new Promise<void>((resolve) => {
    writer.once('exit', () => {
      resolve()
    })
  })
  try {
    process.kill(pid, 'SIGSTOP')
    await stoodStill(pid)
    return await copyAtRest(disk)
  } finally {
    process.kill(pid, 'SIGKILL')
    await ended
  }
}

/** Mounts a copy made by `cutPower`, which replays its journal, and gives its mount point to `look`. */
export async function withDiskAfterCut<T>(copy: string, look: (mountPoint: string) => Promise<T>): Promise<T> {
  const mountPoint = `${copy}-mounted`
  await mkdir(mountPoint)
  await run('mount', ['-o', 'loop', copy, mountPoint])
  try {
    return await look(mountPoint)
  } finally {
    await unmount(mountPoint)
  }
}

/** SIGSTOP returns before every thread has stopped: one may be inside a system call. */
async function stoodStill(pid: number): Promise<void> {
  for (;;) {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The state follows the name, which is in parentheses and may itself hold some.
    const state = status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3)
    if (state === 'T') return
    if (state === 'Z' || state === 'X') throw new Error('the writer has ended')
    await new Promise(setImmediate)
  }
}

async function copyAtRest(disk: DiskImage): Promise<string> {
  const first = join(disk.directory, 'cut.img')
  const second = join(disk.directory, 'cut-again.img')
  try {
    for (let attempt = 0; attempt < COPIES_MAX; attempt++) {
      await run('cp', ['--sparse=always', disk.file, first])
      await run('cp', ['--sparse=always', disk.file, second])
      if (await isSame(first, second)) return first
    }
  } finally {
    await rm(second, { force: true })
  }
  throw new Error(`the disk did not come to rest in ${COPIES_MAX} copies`)
}

async function isSame(first: string, second: string): Promise<boolean> {
  try {
    await run('cmp', ['-s', first, second])
    return true
  } catch (error) {
    // 1 is "different"; anything else is trouble.
    if (error instanceof Error && 'code' in error && error.code === 1) return false
    throw error
  }
}

/** Lazily as a last resort: a mount left behind outlives the test. */
async function unmount(mountPoint: string): Promise<void> {
  try {
    await run('umount', [mountPoint])
  } catch {
    await run('umount', ['-l', mountPoint])
  }
}
