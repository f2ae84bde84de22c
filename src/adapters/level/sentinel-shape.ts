/**
 * The fields of STATE, and how to read them without believing them: the file lies on a disk for years, and people edit
 * files. Every field is checked; unknown ones are ignored, so that a later version may add some.
 */
import { isHex } from '../../base/bytes.ts'
import type { DirectoryIdentity, FileMark, FileMarks } from './file-marks.ts'
import { newerSchema, SCHEMA } from './migrations.ts'

/** The newest own delta of a space. Ids and epochs in hexadecimal. */
export interface OwnHead {
  readonly epoch: string
  readonly seq: number
  readonly id: string
}

export interface SpaceState {
  readonly deltas: number
  /** Root of the range tree, hexadecimal. For people and doctors; the judgement does not use it. */
  readonly root: string
  readonly head: OwnHead | null
}

export interface Sentinel {
  /** Schema of the database (migrations.ts). */
  readonly schema: number
  /** Admitted deltas over all spaces. */
  readonly deltas: number
  /** By space id in hexadecimal. */
  readonly spaces: Readonly<Record<string, SpaceState>>
  /** Under which this daemon numbers its own deltas, hexadecimal. */
  readonly epoch: string
  /** true only when written by an orderly stop, after the database was closed. */
  readonly clean: boolean
  /** Drawn by that stop, hexadecimal; null otherwise. A note of it outside of the home shows that no later stop was. */
  readonly stopId: string | null
  /** Of the database directory. */
  readonly identity: DirectoryIdentity
  /** Of the closed database after an orderly stop; null while it is in use. */
  readonly files: FileMarks | null
  readonly writtenAtMs: number
}

type Fields = Readonly<Record<string, unknown>>

/** Thrown inside this file only, to leave a nested reader; the message names the field. */
class ShapeError extends Error {}

/** The sentinel, or which field is wrong. Throws `unsupported_version` when a newer version wrote it. */
export function parseSentinel(value: unknown): Sentinel | string {
  try {
    const fields = object(value, 'the file')
    const schema = whole(fields, 'schema')
    if (schema > SCHEMA) throw newerSchema(schema, SCHEMA)
    return {
      schema,
      deltas: whole(fields, 'deltas'),
      spaces: mapped(fields, 'spaces', spaceState, (name) => isHex(name, 16)),
      epoch: hex(fields, 'epoch', 8),
      clean: flag(fields, 'clean'),
      stopId: fields['stopId'] === null ? null : hex(fields, 'stopId', 8),
      identity: identity(object(fields['identity'], 'identity')),
      files: fields['files'] === null ? null : fileMarks(fields),
      writtenAtMs: whole(fields, 'writtenAtMs')
    }
  } catch (error) {
    if (error instanceof ShapeError) return error.message
    throw error
  }
}

function spaceState(value: unknown, where: string): SpaceState {
  const fields = object(value, where)
  const head = fields['head'] === null ? null : ownHead(object(fields['head'], `${where}.head`))
  return { deltas: whole(fields, 'deltas'), root: hex(fields, 'root'), head }
}

function ownHead(fields: Fields): OwnHead {
  return { epoch: hex(fields, 'epoch', 8), seq: whole(fields, 'seq'), id: hex(fields, 'id', 32) }
}

function identity(fields: Fields): DirectoryIdentity {
  return { dev: digits(fields, 'dev'), ino: digits(fields, 'ino'), birthtimeMs: whole(fields, 'birthtimeMs') }
}

function fileMarks(fields: Fields): FileMarks {
  return mapped(fields, 'files', fileMark, () => true)
}

function fileMark(value: unknown, where: string): FileMark {
  const fields = object(value, where)
  return { bytes: whole(fields, 'bytes'), sha256: fields['sha256'] === null ? null : hex(fields, 'sha256', 32) }
}

function mapped<T>(
  fields: Fields,
  name: string,
  read: (value: unknown, where: string) => T,
  keyOk: (key: string) => boolean
): Record<string, T> {
  const entries = Object.entries(object(fields[name], name))
  const wrong = entries.find(([key]) => !keyOk(key))
  if (wrong !== undefined) throw new ShapeError(`${name} has an unexpected key`)
  return Object.fromEntries(entries.map(([key, value]) => [key, read(value, `${name}.${key}`)]))
}

function object(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ShapeError(`${where} is no object`)
  return value as Fields
}

function whole(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new ShapeError(`${name} is no whole number`)
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (typeof value === 'boolean') return value
  throw new ShapeError(`${name} is neither true nor false`)
}

function digits(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value === 'string' && /^\d{1,39}$/.test(value)) return value
  throw new ShapeError(`${name} is no text of digits`)
}

function hex(fields: Fields, name: string, byteLength?: number): string {
  const value = fields[name]
  if (typeof value === 'string' && isHex(value, byteLength)) return value
  throw new ShapeError(`${name} is not hexadecimal`)
}
