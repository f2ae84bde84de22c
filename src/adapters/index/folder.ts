/**
 * The folder of one index: what is in it, and whether it may be opened.
 *
 *     INDEX.json   whose index it is, of which format, and whether its writer closed it in order
 *     data.mdb     the database
 *     lock.mdb     who reads it (the library's)
 *
 * The library maps the database into memory and trusts every byte of it: of a file that is cut short it would read past
 * the end, which ends the process. So the two meta pages are read here first, as bytes, and the file must hold all pages
 * they name. Nothing is synced to the disk, for the index can be made anew: when a machine lost power with the index
 * open, it is of no use. What this cannot exclude: a file that is cut between the look and the reading, and bytes inside
 * of it that somebody changed.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { uptime } from 'node:os'
import path from 'node:path'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { FORMAT } from './layout.ts'

export const STATE_FILE = 'INDEX.json'
export const DATA_FILE = 'data.mdb'

/** Content of INDEX.json. */
export interface IndexFile {
  readonly format: number
  /** Version of the terms (ports/shared-index.ts). */
  readonly terms: string
  readonly space: string
  readonly name: string
  readonly isDefault: boolean
  /** The start of the machine under which it was opened last. */
  readonly boot: string
  /** Closed in order, and on the disk. */
  readonly clean: boolean
}

/** Which file lies there: a folder that was made anew has another. */
export interface DataIdentity {
  readonly device: number
  readonly inode: number
  readonly bytes: number
}

const AGAIN = 'Start the daemon of this home, or restart it: it makes the index anew from its store.'

/** Undefined when there is none; throws `corrupt` for one that cannot be read. */
export function readIndexFile(directory: string): IndexFile | undefined {
  let text: string
  try {
    text = readFileSync(path.join(directory, STATE_FILE), 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw unreadable(directory, messageOf(error))
  }
  try {
    const file = JSON.parse(text) as Partial<IndexFile>
    if (typeof file.format !== 'number' || typeof file.space !== 'string' || typeof file.terms !== 'string') {
      throw new Error('it is not what this program writes')
    }
    const { name = file.space, isDefault = false, boot = '', clean = false } = file
    return { format: file.format, terms: file.terms, space: file.space, name, isDefault, boot, clean }
  } catch (error) {
    throw unreadable(directory, messageOf(error))
  }
}

/** Throws what keeps the index in this folder from being opened: not_found, unsupported_version or corrupt. */
export function requireUsable(directory: string, terms: string): IndexFile {
  const file = readIndexFile(directory)
  if (file === undefined) {
    throw new ChrysalisError('not_found', `there is no shared index in ${directory}`, {
      hint: 'A daemon makes it while it runs with index.shared = true (for a private space also index.private = true).'
    })
  }
  if (file.format !== FORMAT || file.terms !== terms) {
    throw new ChrysalisError('unsupported_version', `the shared index in ${directory} was made by another version`, {
      hint: 'Run the daemon and this program in the same version; the daemon makes its index anew when it starts.',
      data: { format: file.format, terms: file.terms }
    })
  }
  if (!file.clean && !isThisBoot(file.boot)) {
    throw new ChrysalisError('corrupt', `the shared index in ${directory} was open when the machine stopped`, {
      hint: AGAIN
    })
  }
  requireWhole(path.join(directory, DATA_FILE))
  return file
}

/** What the meta pages say of the file. */
export interface DataFile {
  /** All pages of the newest state. */
  readonly bytesNeeded: number
  readonly bytes: number
}

const META_BYTES = 160
const LMDB_MAGIC = 0xbeefc0de

/** Undefined for a file that is no database of this library's format. Layout: 24 bytes of page header, then MDB_meta. */
export function inspectDataFile(file: string): DataFile | undefined {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    const bytes = fstatSync(descriptor).size
    const first = readMeta(descriptor, 0)
    if (first === undefined) return undefined
    const second = readMeta(descriptor, first.pageBytes)
    if (second === undefined || second.version !== first.version) return undefined
    const newest = second.transaction > first.transaction ? second : first
    return { bytes, bytesNeeded: (newest.lastPage + 1) * newest.pageBytes }
  } finally {
    closeSync(descriptor)
  }
}

function readMeta(
  descriptor: number,
  position: number
): Record<'version' | 'pageBytes' | 'lastPage' | 'transaction', number> | undefined {
  const bytes = new Uint8Array(META_BYTES)
  if (readSync(descriptor, bytes, 0, META_BYTES, position) < META_BYTES) return undefined
  const view = new DataView(bytes.buffer)
  const pageBytes = view.getUint32(48, true)
  if (view.getUint32(24, true) !== LMDB_MAGIC || pageBytes < 512 || pageBytes > 65_536) return undefined
  const lastPage = Number(view.getBigUint64(144, true))
  return { version: view.getUint32(28, true), pageBytes, lastPage, transaction: Number(view.getBigUint64(152, true)) }
}

function requireWhole(file: string): void {
  const found = inspectDataFile(file)
  if (found === undefined) {
    throw new ChrysalisError('corrupt', `${file} is missing or no database of this version`, { hint: AGAIN })
  }
  if (found.bytes < found.bytesNeeded) {
    throw new ChrysalisError(
      'corrupt',
      `${file} is cut short: it has ${found.bytes} of at least ${found.bytesNeeded} bytes`,
      { hint: AGAIN }
    )
  }
}

/** Pages at the end that were given up before they were written are counted all the same: the file is made to hold them. */
export function padDataFile(file: string): void {
  const found = inspectDataFile(file)
  if (found === undefined || found.bytes >= found.bytesNeeded) return
  const descriptor = openSync(file, 'r+')
  try {
    ftruncateSync(descriptor, found.bytesNeeded)
  } finally {
    closeSync(descriptor)
  }
}

/** From here on the file survives a loss of power. */
export function syncDataFile(file: string): void {
  const descriptor = openSync(file, 'r+')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Undefined when there is no file. */
export function identityOf(file: string): DataIdentity | undefined {
  const found = statSync(file, { throwIfNoEntry: false })
  return found === undefined ? undefined : { device: found.dev, inode: found.ino, bytes: found.size }
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
/** Where the system gives no id, a start is known by its time, which moves when the clock is set. */
const BOOT_SLACK_MS = 120_000

/** Names the present start of the machine. */
export function currentBoot(): string {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim()
  } catch {
    return `at ${Math.round(Date.now() - 1_000 * uptime())}`
  }
}

function isThisBoot(boot: string): boolean {
  const current = currentBoot()
  if (boot === current) return true
  const [then, now] = [boot, current].map((text) => (text.startsWith('at ') ? Number(text.slice(3)) : NaN))
  return Math.abs((then as number) - (now as number)) <= BOOT_SLACK_MS
}

function unreadable(directory: string, reason: string): ChrysalisError {
  return new ChrysalisError('corrupt', `the shared index in ${directory} cannot be read: ${reason}`, { hint: AGAIN })
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
