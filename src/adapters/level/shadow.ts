/**
 * A database on a disk that is full to the last block, opened for reading all the same.
 *
 * LevelDB cannot open a database without writing: it turns the log into a table and starts a new log. So it is given
 * another directory, on another disk or in memory, with copies of the few small files and links to the tables, which it
 * only reads. What it writes goes there; what it would delete are links. Everything is served, nothing is kept, and the
 * real directory is not touched.
 */
import { copyFile, mkdtemp, readdir, rm, stat, statfs, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ChrysalisError } from '../../base/errors.ts'
import type { Store } from '../../ports/store.ts'
import { tableNumber } from './inspect.ts'
import { openLevelStore, replayBytes, type LevelStoreOptions } from './level-store.ts'

export interface Shadow {
  readonly store: Store
  readonly directory: string
  /** Closes the store and removes the directory. */
  readonly close: () => Promise<void>
}

/**
 * Opens a shadow of `directory` below the first of `places` that has room. Rejects with `disk_full` when none has,
 * otherwise as `openLevelStore`. Call while nobody has the database open.
 */
export async function openShadow(
  directory: string,
  options: LevelStoreOptions,
  places: readonly string[] = [tmpdir(), '/dev/shm']
): Promise<Shadow> {
  // The logs are copied, and written once more as tables.
  const neededBytes = 2 * (await replayBytes(directory))
  for (const place of places) {
    await sweep(place)
    if (!(await hasRoom(place, neededBytes))) continue
    const shadow = await mkdtemp(join(place, `${SHADOW_PREFIX}${process.pid}-`))
    const remove = (): Promise<void> => rm(shadow, { recursive: true, force: true })
    try {
      await fill(directory, shadow)
      const store = await openLevelStore(shadow, { ...options, mustExist: true })
      return { store, directory: shadow, close: () => store.close().finally(remove) }
    } catch (error) {
      await remove()
      throw error
    }
  }
  throw new ChrysalisError(
    'disk_full',
    `the database in ${directory} cannot be opened: its disk is full, and no other place has ${neededBytes} bytes for a copy of its log; nothing was touched`,
    { hint: `Free some space on this disk, or set TMPDIR to a directory on another one.`, data: { neededBytes } }
  )
}

const SHADOW_PREFIX = 'chrysalis-shadow-'

/** Shadows of processes that were killed: they hold copies of memories, and room. */
async function sweep(place: string): Promise<void> {
  for (const name of await readdir(place).catch(() => [])) {
    const pid = Number(/^chrysalis-shadow-(\d+)-/.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(pid) || isAlive(pid)) continue
    // One that belongs to somebody else is refused by the system.
    await rm(join(place, name), { recursive: true, force: true }).catch(() => undefined)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

async function hasRoom(place: string, neededBytes: number): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(place)
    return (await stat(place)).isDirectory() && bavail * bsize >= neededBytes
  } catch {
    return false
  }
}

async function fill(directory: string, shadow: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const from = resolve(directory, name)
    if (tableNumber(name) !== undefined) await symlink(from, join(shadow, name))
    else if (/^(CURRENT|MANIFEST-\d+|\d+\.log)$/.test(name)) await copyFile(from, join(shadow, name))
  }
}
