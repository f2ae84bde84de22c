/**
 * First aid for a damaged database that is closed: copy everything, then let LevelDB rebuild its list of tables from the
 * tables and logs that are there.
 *
 * The order is the point. Opening a database whose MANIFEST lost its end deletes the tables it no longer names, and no
 * repair brings them back; repaired before it is opened, every row was there again. LevelDB's repair keeps what it can
 * read and sorts old versions of a row below new ones, but it may bring back rows that had been deleted and it does not
 * know which rows belonged to one batch: what comes out is checked like anything else, and completed by peers.
 *
 * LevelDB's repair takes no lock: repairing a database that is open elsewhere destroys it. Whoever calls this must hold
 * the home, so that no daemon can be running on it.
 *
 * It decides nothing: `inspectClosedDatabase` (sentinel.ts) finds damage, the daemon and its doctor ask for this.
 */
import { chmod, cp, rm } from 'node:fs/promises'
import { Level } from 'level'
import { levelError } from './level-errors.ts'

/** `level` is LevelDB itself under Node, but its types cover only what a browser has as well. */
const LevelDb = Level as unknown as { repair(location: string): Promise<void> }

/**
 * Copies `directory` to `copy`, which must not exist, and repairs the original in place. Resolves when the database may
 * be opened. Rejects with `disk_full` when there is no room for the copy (which is then removed again, the original
 * untouched), otherwise with the code of what went wrong; an earlier copy of that name is left as it is.
 */
export async function salvageDatabase(directory: string, copy: string): Promise<void> {
  try {
    await cp(directory, copy, { recursive: true, preserveTimestamps: true, errorOnExist: true, force: false })
    await chmod(copy, 0o700)
  } catch (error) {
    const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
    // Half a copy is worth nothing, but one that was there before is not ours to remove.
    if (code !== 'ERR_FS_CP_EEXIST') await rm(copy, { recursive: true, force: true })
    throw levelError(error, `copying ${directory} to ${copy} before repairing it`)
  }
  try {
    await LevelDb.repair(directory)
  } catch (error) {
    throw levelError(error, `repairing ${directory}, of which ${copy} is a copy`)
  }
}
