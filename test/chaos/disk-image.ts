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
import { execFile, type ChildProcess } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mount, unmount } from './mounts.ts'

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
  /** Removes it when this process is ended early. */
  readonly onExit: () => void
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
  const onExit = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', onExit)
  const disk = { directory, onExit, file: join(directory, 'disk.img'), mountPoint: join(directory, 'mounted') }
  try {
    const handle = await open(disk.file, 'w')
    await handle.truncate(bytes)
    await handle.close()
    await run('mkfs.ext4', ['-q', '-F', disk.file])
    await mkdir(disk.mountPoint)
    await mount(['-o', 'loop,data=ordered', disk.file, disk.mountPoint])
    return disk
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    process.off('exit', onExit)
    throw error
  }
}

/** Unmounts and deletes. The writer must have ended. */
export async function removeDisk(disk: DiskImage): Promise<void> {
  await unmount(disk.mountPoint)
  await rm(disk.directory, { recursive: true, force: true })
  process.off('exit', disk.onExit)
}

/**
 * Keeps the disk as it is now, for `rollBack`. Nothing may have files open on it: it is unmounted for the copy, so that
 * this is a disk after an orderly shutdown of the machine.
 */
export async function keepImage(disk: DiskImage, name: string): Promise<string> {
  const kept = join(disk.directory, `${name}.img`)
  await unmount(disk.mountPoint)
  await run('cp', ['--sparse=always', disk.file, kept])
  await mount(['-o', 'loop,data=ordered', disk.file, disk.mountPoint])
  return kept
}

/** The disk is again what it was when it was kept, as when a virtual machine is put back to a snapshot. */
export async function rollBack(disk: DiskImage, kept: string): Promise<void> {
  await unmount(disk.mountPoint)
  await run('cp', ['--sparse=always', kept, disk.file])
  await mount(['-o', 'loop,data=ordered', disk.file, disk.mountPoint])
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
  await mount(['-o', 'loop', copy, mountPoint])
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
