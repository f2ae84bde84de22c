/**
 * The directory of a LevelDB database, before LevelDB sees it.
 *
 * LevelDB takes a directory without the file CURRENT for an empty one, makes a new database in it and deletes the tables
 * it finds. So what is there is looked at first, without touching anything, and a directory that has lost its CURRENT
 * or its MANIFEST is an error. Tables that are damaged inside are not found here: each row has its checksum.
 */
import { constants } from 'node:fs'
import { access, chmod, mkdir, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ChrysalisError } from '../../base/errors.ts'
import { DOCTOR_HINT } from './level-errors.ts'

/** Files that hold rows: tables and logs. A MANIFEST alone is what a crash during the first creation leaves. */
const ROW_FILE = /^\d+\.(ldb|sst|log)$/

/**
 * Makes the directory if there is none, and private (0700 whatever the umask). `exists` says whether it holds a
 * database. Rejects with `corrupt`, nothing touched, when rows are there and the files that name them are not; with
 * `mustExist` also when there is nothing at all.
 */
export async function prepareDirectory(directory: string, mustExist: boolean): Promise<{ exists: boolean }> {
  const names = await namesIn(directory)
  const exists = names?.includes('CURRENT') ?? false
  if (exists) {
    await requireManifest(directory, names ?? [])
  } else if (mustExist || names?.some((name) => ROW_FILE.test(name))) {
    throw damaged(directory, names === undefined ? 'the directory is gone' : 'the file CURRENT is gone')
  }
  if (names === undefined) {
    // Where the file system is read-only, a recursive mkdir says that the parent is not there. It says so only here.
    await access(dirname(directory), constants.W_OK).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await mkdir(directory, { recursive: true, mode: 0o700 })
  }
  await chmod(directory, 0o700)
  return { exists }
}

async function namesIn(directory: string): Promise<string[] | undefined> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function requireManifest(directory: string, names: readonly string[]): Promise<void> {
  const current = await readFile(join(directory, 'CURRENT'), 'latin1')
  const manifest = current.trimEnd()
  if (!/^MANIFEST-\d+$/.test(manifest)) throw damaged(directory, 'the file CURRENT does not name a MANIFEST')
  if (!names.includes(manifest)) throw damaged(directory, `the file ${manifest} is gone`)
}

function damaged(directory: string, what: string): ChrysalisError {
  return new ChrysalisError('corrupt', `a database was expected in ${directory}, but ${what}; nothing was touched`, {
    hint: `${DOCTOR_HINT} If a backup exists, restore it.`,
    data: { directory }
  })
}
