/**
 * What the files of a stopped database look like from outside: whether they are still the same ones, in the same place.
 *
 * LevelDB notices little of what happens to its files while it is stopped: with a MANIFEST cut in half or a log missing
 * it opens without complaint, shows fewer rows and deletes the tables it no longer knows. After an orderly stop nothing
 * writes to them, so a list of sizes, with digests of the files that name all others, finds this before opening. Tables
 * are listed by size only: they are large, and their rows carry checksums.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { compareText } from '../../base/bytes.ts'

/** Which directory this is on this machine. A copy or a restored backup is another one, whatever its path. */
export interface DirectoryIdentity {
  /** Device and inode in decimal digits: both may exceed what a JSON number holds exactly. */
  readonly dev: string
  readonly ino: string
  /** 0 on file systems that do not record when a directory was made. */
  readonly birthtimeMs: number
}

export interface FileMark {
  readonly bytes: number
  /** SHA-256 in hexadecimal; null for tables. */
  readonly sha256: string | null
}

/** By file name, without those that LevelDB rewrites at will (LOCK, LOG). */
export type FileMarks = Readonly<Record<string, FileMark>>

/** Undefined when there is no such directory. Rejects with the system's error otherwise. */
export async function identityOf(directory: string): Promise<DirectoryIdentity | undefined> {
  try {
    const found = await stat(directory, { bigint: true })
    if (!found.isDirectory()) return undefined
    // Without a birth time the system reports the last change in its place, which moves with every new file.
    const birthKnown = found.birthtimeNs !== found.ctimeNs
    return { dev: String(found.dev), ino: String(found.ino), birthtimeMs: birthKnown ? Number(found.birthtimeMs) : 0 }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Call only while the database is closed. Reads CURRENT, the MANIFEST and the logs, at most some megabytes. */
export async function markFiles(directory: string): Promise<FileMarks> {
  const marks: Record<string, FileMark> = {}
  for (const name of (await readdir(directory)).sort(compareText)) {
    const isTable = /^\d+\.(ldb|sst)$/.test(name)
    if (!isTable && !/^(CURRENT|MANIFEST-\d+|\d+\.log)$/.test(name)) continue
    const path = join(directory, name)
    if (isTable) {
      marks[name] = { bytes: (await stat(path)).size, sha256: null }
    } else {
      const content = await readFile(path)
      marks[name] = { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }
    }
  }
  return marks
}

export interface FileChange {
  readonly name: string
  /** A sentence that names the file. */
  readonly what: string
}

/** What happened to the recorded files, one entry each; empty when they are as they were left. */
export function changedFiles(recorded: FileMarks, found: FileMarks): FileChange[] {
  const changes: FileChange[] = []
  for (const name of Object.keys(recorded).sort(compareText)) {
    const before = recorded[name]
    const after = Object.hasOwn(found, name) ? found[name] : undefined
    if (before === undefined) continue
    const note = (what: string): number => changes.push({ name, what: `${name} ${what}` })
    if (after === undefined) note('is gone')
    else if (after.bytes !== before.bytes) note(`has ${after.bytes} bytes instead of ${before.bytes}`)
    else if (after.sha256 !== before.sha256) note('has other content')
  }
  for (const name of Object.keys(found).sort(compareText)) {
    if (!Object.hasOwn(recorded, name)) changes.push({ name, what: `${name} is new` })
  }
  return changes
}
