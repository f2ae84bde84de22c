/**
 * LevelDB's lock on a directory, without opening the database in it: is it taken, and to hold it while files are mended.
 *
 * LevelDB locks the file LOCK for as long as a database is open, and its repair takes no lock at all. There is no other
 * way from here to take that lock than LevelDB itself. To ask, the database is opened on the condition that it does not
 * exist: the lock is tried before the condition. To hold, a scratch database is opened whose LOCK is a second name of
 * the same file.
 */
import { link, mkdtemp, open, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Level } from 'level'
import { isChrysalisError } from '../../base/errors.ts'
import { levelError } from './level-errors.ts'

/** Rejects with `home_locked` when a process has the database open. Changes nothing but LevelDB's diary. */
export async function probeLock(directory: string): Promise<void> {
  const database = new Level(directory, { createIfMissing: false, errorIfExists: true })
  try {
    await database.open()
  } catch (error) {
    // Everything but a taken lock is for others to find out.
    const failure = levelError(error, `locking ${directory}`)
    if (isChrysalisError(failure, 'home_locked')) throw failure
    return
  }
  await database.close()
}

/** Runs `act` while nobody else can open the database. Rejects with `home_locked`, or with what `act` rejects with. */
export async function withLock<T>(directory: string, act: () => Promise<T>): Promise<T> {
  // The system's locks do not keep a process from itself: LevelDB's own list of names does.
  await probeLock(directory)
  const lock = join(directory, 'LOCK')
  await (await open(lock, 'a', 0o600)).close()
  const scratch = await mkdtemp(`${directory}.lock-`)
  try {
    await link(lock, join(scratch, 'LOCK')).catch(() => symlink(resolve(lock), join(scratch, 'LOCK')))
    const database = new Level(scratch)
    try {
      await database.open()
    } catch (error) {
      throw levelError(error, `locking ${directory}`)
    }
    try {
      return await act()
    } finally {
      await database.close()
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
