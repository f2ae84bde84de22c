/**
 * Configurations of other programs on disk: read whole, and replaced whole or not at all. A link is followed, the mode
 * stays, and the file as it was before the first change is kept beside it once.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import path from 'node:path'
import { utf8 } from '../../base/bytes.ts'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'

export interface ConfigFile {
  /** As it was named. */
  readonly file: string
  /** Where a link leads to; the same when it is none. */
  readonly target: string
  /** undefined when there is no such file. */
  readonly text: string | undefined
}

const BACKUP_SUFFIX = '.before-chrysalis'
/** Such files often hold keys of other services. */
const NEW_MODE = 0o600

/** Throws `config` when it is no text, `too_large`, `permissions` when it cannot be read. */
export function readConfigFile(file: string): ConfigFile {
  try {
    const target = targetOf(file)
    if (!existsSync(target)) return { file, target, text: undefined }
    const { size } = statSync(target)
    if (size > LIMITS.clientConfigBytesMax) {
      throw new ChrysalisError(
        'too_large',
        `${file} has ${size} bytes; at most ${LIMITS.clientConfigBytesMax} are read. Nothing was touched.`,
        { hint: 'This does not look like a configuration. Add the entry by hand if it is one.' }
      )
    }
    return { file, target, text: decoded(file, readFileSync(target)) }
  } catch (error) {
    throw inWords(error, `${file} cannot be read`)
  }
}

/**
 * Writes the new text, or removes the file where it is undefined. Answers the copy that was kept, if one was made now.
 * Throws `conflict` when somebody changed the file since it was read, `permissions`; the old file is then untouched.
 */
export function writeConfigFile({ file, target, text: before }: ConfigFile, text: string | undefined): string | null {
  try {
    if (readConfigFile(file).text !== before) {
      throw new ChrysalisError('conflict', `${file} was changed just now by another program; nothing was written.`, {
        hint: 'Run the command again.'
      })
    }
    if (before === undefined) {
      if (text === undefined) return null
      mkdirSync(path.dirname(target), { recursive: true })
      replace(target, text, NEW_MODE)
      return null
    }
    const { mode } = statSync(target)
    // A rename would replace a read-only file without asking; whoever made it so had a reason.
    if ((mode & 0o222) === 0) throw readOnly(file)
    const backup = `${target}${BACKUP_SUFFIX}`
    const isFirst = text !== undefined && !existsSync(backup)
    if (isFirst) copyFileSync(target, backup, constants.COPYFILE_EXCL)
    if (text === undefined) rmSync(target)
    else replace(target, text, mode & 0o7777)
    return isFirst ? backup : null
  } catch (error) {
    throw inWords(error, `${file} cannot be written`)
  }
}

/** A link to nothing names the file that is to be made. */
function targetOf(file: string): string {
  if (existsSync(file)) return realpathSync(file)
  const isLink = lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true
  return isLink ? path.resolve(path.dirname(file), readlinkSync(file)) : file
}

/** The old file or the new one, whole, at every moment; both are on disk before this returns. */
function replace(target: string, text: string, mode: number): void {
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = openSync(temporary, 'wx', 0o600)
    try {
      const bytes = utf8(text)
      for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    chmodSync(temporary, mode)
    renameSync(temporary, target)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

function decoded(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new ChrysalisError('config', `${file} is no text in UTF-8; nothing was touched.`, {
      hint: 'Save it as UTF-8, or move it aside.',
      cause: error
    })
  }
}

function readOnly(file: string): ChrysalisError {
  return new ChrysalisError('permissions', `${file} is read-only; nothing was written.`, {
    hint: 'Make it writable for you, or add what the diff shows by hand.'
  })
}

function inWords(error: unknown, what: string): ChrysalisError {
  if (error instanceof ChrysalisError) return error
  return new ChrysalisError('permissions', `${what}: ${messageOf(error)}. It is as it was.`, {
    hint: 'Check who owns the file and its folder.',
    cause: error
  })
}
