/**
 * STATE: a small file beside the database that says what the database held when it was last looked at.
 *
 * A database that lost its tail, was restored from a backup or was cloned looks healthy from inside; only a witness
 * outside can tell. An author that went on numbering after such a loss would sign two deltas with one sequence number,
 * which other daemons rightly take for a forgery. So an epoch is kept only when everything matches and the daemon
 * stopped in order; in any doubt a new one is drawn, which costs nothing but a few bytes.
 *
 * It does not repair, and it says nothing about single rows: those carry checksums. The layout is in docs/WIRE.md §9.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareText, fromUtf8, utf8 } from '../../base/bytes.ts'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { changedFiles, identityOf, markFiles, type DirectoryIdentity } from './file-marks.ts'
import { inspectFiles, type Finding, type Inspection } from './inspect.ts'
import { DOCTOR_HINT } from './level-errors.ts'
import { parseSentinel, type OwnHead, type Sentinel } from './sentinel-shape.ts'

export type { OwnHead, Sentinel, SpaceState } from './sentinel-shape.ts'

/** In the directory that also holds the database directory, so that copying the database alone leaves it behind. */
export const SENTINEL_NAME = 'STATE'

const SENTINEL_MODE = 0o600

/** What the opened database itself says. */
export interface Observed {
  readonly identity: DirectoryIdentity
  /** What the note of the last stop says, outside of the home; undefined when there is none. */
  readonly stopId: string | undefined
  readonly deltas: number
  /** Own heads by space id; a space without own deltas may be left out or null. */
  readonly heads: Readonly<Record<string, OwnHead | null>>
}

export interface Judgement {
  /** Neither a sentinel nor a delta: nothing to compare, and nothing wrong. */
  readonly fresh: boolean
  /** The sentinel's epoch may be used on. */
  readonly keepEpoch: boolean
  /** Rows that were recorded are missing: fetch them back from peers. */
  readonly lostTail: boolean
  /** Why the epoch is not kept, one sentence each; empty when it is kept or the store is fresh. */
  readonly reasons: readonly string[]
}

/** How a file is replaced in one step, durably: `writeFileAtomic` in the daemon. */
export type WriteFile = (path: string, bytes: Uint8Array, mode: number) => Promise<void>

/** 64 digits in the place of the checksum while it is computed. */
const NO_SUM = '0'.repeat(64)
const SUM_FIELD = /("sum": ")([0-9a-f]{64})(")/

/**
 * The sentinel in `directory`, or undefined when there is none. Rejects with `unsupported_version` when a newer version
 * wrote it, `corrupt` when it cannot be read as one or is not what was written.
 */
export async function readSentinel(directory: string): Promise<Sentinel | undefined> {
  const path = join(directory, SENTINEL_NAME)
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  let text: string
  let value: unknown
  try {
    text = fromUtf8(bytes)
    value = JSON.parse(text)
  } catch (error) {
    throw unreadable(path, messageOf(error))
  }
  const parsed = parseSentinel(value)
  if (typeof parsed === 'string') throw unreadable(path, parsed)
  const sum = SUM_FIELD.exec(text)?.[2]
  if (sum !== sumOf(text.replace(SUM_FIELD, `$1${NO_SUM}$3`))) throw unreadable(path, 'it fails its checksum')
  return parsed
}

function sumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Replaces the sentinel in one step, readable by its owner only. Rejects with what `writeFile` rejects with. */
export async function writeSentinel(directory: string, sentinel: Sentinel, writeFile: WriteFile): Promise<void> {
  const text = `${JSON.stringify({ ...sentinel, sum: NO_SUM }, null, 2)}\n`
  await writeFile(join(directory, SENTINEL_NAME), utf8(text.replace(SUM_FIELD, `$1${sumOf(text)}$3`)), SENTINEL_MODE)
}

/**
 * Looks at a database that is still closed. `mustExist` goes to `openLevelStore`. The findings say what is wrong with
 * its files, and after an orderly stop also what is not as it was left: when there are any, salvage before opening.
 * Rejects with `corrupt` when a sentinel says that there was a database and its directory is gone or empty; `wasThere` is for a
 * sentinel that can no longer be read.
 */
export async function inspectClosedDatabase(
  sentinel: Sentinel | undefined,
  databaseDirectory: string,
  options: { wholeBytesMax: number; wasThere?: boolean }
): Promise<{ mustExist: boolean; inspection: Inspection }> {
  const mustExist = sentinel !== undefined || options.wasThere === true
  const identity = await identityOf(databaseDirectory)
  if (identity === undefined && mustExist) throw goneDatabase('is gone', databaseDirectory, sentinel)
  const inspection = await inspectFiles(databaseDirectory, options)
  // Whoever emptied it may have moved the files elsewhere: there is nothing to mend, and nothing to begin anew.
  if (inspection.isEmpty && mustExist) throw goneDatabase('is empty', databaseDirectory, sentinel)
  if (sentinel?.clean !== true || sentinel.files === null) return { mustExist, inspection }
  const known = new Set(inspection.findings.map(({ file }) => file))
  const findings = changedFiles(sentinel.files, await markFiles(databaseDirectory))
    .filter(({ name }) => !known.has(name))
    .map(({ name, what }): Finding => ({ file: name, what, remedy: namesFiles(name) ? 'repair' : 'none' }))
  return { mustExist, inspection: { ...inspection, findings: [...inspection.findings, ...findings] } }
}

/** The files that say which others count. Changed since an orderly stop, they cannot be believed even if they are whole. */
function namesFiles(name: string): boolean {
  return name === 'CURRENT' || name.startsWith('MANIFEST-')
}

function goneDatabase(what: string, databaseDirectory: string, sentinel: Sentinel | undefined): ChrysalisError {
  const held = sentinel === undefined ? 'there was one' : `it held ${sentinel.deltas} deltas`
  return new ChrysalisError(
    'corrupt',
    `the database directory ${databaseDirectory} ${what}, but ${SENTINEL_NAME} says ${held}; nothing was touched`,
    {
      hint: `Bring its files back from where they were moved to, or from a backup. To begin again with nothing, delete ${SENTINEL_NAME} as well.`,
      data: { databaseDirectory, deltas: sentinel?.deltas ?? null }
    }
  )
}

/** Whether the author may go on under its epoch. Pure. */
export function judgeSentinel(sentinel: Sentinel | undefined, observed: Observed): Judgement {
  const ownSpaces = Object.keys(observed.heads).filter((space) => headOf(observed, space) !== null)
  if (sentinel === undefined) {
    const fresh = observed.deltas === 0 && ownSpaces.length === 0
    const reasons = fresh
      ? []
      : [`missing ${SENTINEL_NAME}: ${observed.deltas} deltas found and nothing to compare with`]
    return { fresh, keepEpoch: false, lostTail: false, reasons }
  }
  const reasons: string[] = []
  let lostTail = false
  if (!sentinel.clean) reasons.push('unclean stop: the last run did not end in order')
  if (sentinel.clean && sentinel.stopId !== observed.stopId) {
    reasons.push(
      observed.stopId === undefined
        ? 'no note of the last stop: the machine was restarted, or the home was set back'
        : `the home was set back: a later stop than that of ${SENTINEL_NAME} was noted`
    )
  }
  if (!sameDirectory(sentinel.identity, observed.identity)) {
    reasons.push('copied or restored directory: the database is not in the directory where it was last closed')
  }
  if (observed.deltas < sentinel.deltas) {
    lostTail = true
    reasons.push(`lost tail: ${sentinel.deltas} deltas recorded, ${observed.deltas} found`)
  } else if (sentinel.clean && observed.deltas > sentinel.deltas) {
    reasons.push(`older ${SENTINEL_NAME}: ${sentinel.deltas} deltas recorded, ${observed.deltas} found`)
  }
  const spaces = new Set([...Object.keys(sentinel.spaces), ...ownSpaces])
  for (const space of [...spaces].sort(compareText)) {
    const recorded = Object.hasOwn(sentinel.spaces, space) ? (sentinel.spaces[space]?.head ?? null) : null
    const found = headOf(observed, space)
    if (sameHead(recorded, found)) continue
    const behind = isBehind(found, recorded)
    lostTail ||= behind
    // After an unclean stop the record is older than the database; only falling behind it is news.
    if (sentinel.clean || behind) {
      reasons.push(`own head of space ${space}: ${describeHead(recorded)} recorded, ${describeHead(found)} found`)
    }
  }
  return { fresh: false, keepEpoch: reasons.length === 0, lostTail, reasons }
}

function headOf(observed: Observed, space: string): OwnHead | null {
  return Object.hasOwn(observed.heads, space) ? (observed.heads[space] ?? null) : null
}

function sameDirectory(a: DirectoryIdentity, b: DirectoryIdentity): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.birthtimeMs === b.birthtimeMs
}

function sameHead(a: OwnHead | null, b: OwnHead | null): boolean {
  if (a === null || b === null) return a === b
  return a.epoch === b.epoch && a.seq === b.seq && a.id === b.id
}

function isBehind(found: OwnHead | null, recorded: OwnHead | null): boolean {
  if (recorded === null) return false
  return found === null || (found.epoch === recorded.epoch && found.seq < recorded.seq)
}

function describeHead(head: OwnHead | null): string {
  return head === null ? 'none' : `seq ${head.seq} of epoch ${head.epoch} (${head.id.slice(0, 12)})`
}

function unreadable(path: string, detail: string): ChrysalisError {
  return new ChrysalisError('corrupt', `${path} cannot be read (${detail}); nothing was touched`, {
    hint: `${DOCTOR_HINT} Moving the file away also works: the daemon then numbers its deltas under a new epoch.`,
    data: { path }
  })
}
