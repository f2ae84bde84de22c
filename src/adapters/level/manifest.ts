/**
 * Reads a MANIFEST: the log of edits that says which tables make up a LevelDB database, how large each is, and from
 * which log on rows are still to be replayed. LevelDB itself believes whatever whole edits it finds: of a MANIFEST cut
 * in half it takes the first half, opens, and deletes the tables it has no longer heard of.
 *
 * Each edit is a row of tagged fields (leveldb/db/version_edit.cc); only those that name files are kept.
 */
import { scanLog } from './log-scan.ts'

export interface TableEntry {
  readonly level: number
  readonly bytes: number
  /** Internal keys: nothing in the table lies outside of them. */
  readonly smallest: Uint8Array
  readonly largest: Uint8Array
}

export interface Manifest {
  /** By the number in the file name. */
  readonly tables: ReadonlyMap<number, TableEntry>
  /** Greater than that of any file LevelDB has made. */
  readonly nextFile: number
  /** Rows in logs with this number or a greater one are in no table yet. Undefined when no edit says so. */
  readonly logNumber: number | undefined
  /** Why it cannot be what LevelDB last wrote, one sentence each. */
  readonly damage: readonly string[]
  /** The edits as they were written, to write them again. */
  readonly edits: readonly Uint8Array[]
}

const TAG = { comparator: 1, log: 2, nextFile: 3, lastSequence: 4, compactPointer: 5, deleted: 6, added: 7, prevLog: 9 }

/** Thrown inside this file only. */
class EditError extends Error {}

export function readManifest(bytes: Uint8Array): Manifest {
  const tables = new Map<number, TableEntry>()
  const numbers = new Map<number, number>()
  const damage: string[] = []
  const edits: Uint8Array[] = []
  const scan = scanLog(bytes, (payload) => {
    const edit = payload.slice()
    edits.push(edit)
    try {
      applyEdit(edit, tables, numbers)
    } catch (error) {
      if (!(error instanceof EditError)) throw error
      damage.push('an edit in it cannot be read')
    }
  })
  damage.push(...scan.damage)
  for (const [tag, name] of REQUIRED) if (!numbers.has(tag)) damage.push(`it names no ${name}`)
  return { tables, nextFile: numbers.get(TAG.nextFile) ?? 0, logNumber: numbers.get(TAG.log), damage, edits }
}

const REQUIRED = [
  [TAG.log, 'log number'],
  [TAG.nextFile, 'next file number'],
  [TAG.lastSequence, 'last sequence number']
] as const

function applyEdit(payload: Uint8Array, tables: Map<number, TableEntry>, numbers: Map<number, number>): void {
  const edit = new Edit(payload)
  // Deletions come before additions: a table that only changes its level is in both.
  while (!edit.done) {
    const tag = edit.varint()
    if (tag === TAG.comparator) edit.text()
    else if (tag === TAG.compactPointer) {
      edit.varint()
      edit.text()
    } else if (tag === TAG.deleted) {
      edit.varint()
      tables.delete(edit.varint())
    } else if (tag === TAG.added) {
      const level = edit.varint()
      const number = edit.varint()
      tables.set(number, { level, bytes: edit.varint(), smallest: edit.text(), largest: edit.text() })
    } else if (NUMBER_TAGS.has(tag)) numbers.set(tag, edit.varint())
    else throw new EditError()
  }
}

const NUMBER_TAGS: ReadonlySet<number> = new Set([TAG.log, TAG.nextFile, TAG.lastSequence, TAG.prevLog])

/** An edit that takes tables out and puts others in, with file numbers from `nextFile` on for what LevelDB makes next. */
export function encodeEdit(
  removed: ReadonlyMap<number, TableEntry>,
  added: ReadonlyMap<number, TableEntry>,
  nextFile: number
): Uint8Array {
  const bytes: number[] = []
  putVarint(bytes, TAG.nextFile)
  putVarint(bytes, nextFile)
  for (const [number, { level }] of removed) for (const part of [TAG.deleted, level, number]) putVarint(bytes, part)
  for (const [number, entry] of added) {
    for (const part of [TAG.added, entry.level, number, entry.bytes]) putVarint(bytes, part)
    for (const key of [entry.smallest, entry.largest]) {
      putVarint(bytes, key.length)
      bytes.push(...key)
    }
  }
  return Uint8Array.from(bytes)
}

/** LevelDB's variable-length numbers: seven bits a byte, least first. */
export function putVarint(bytes: number[], value: number): void {
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
}

/** A cursor over the fields of one edit. */
class Edit {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new EditError()
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new EditError()
  }

  /** Bytes with their length in front. */
  text(): Uint8Array {
    const length = this.varint()
    if (length > this.#bytes.length - this.#at) throw new EditError()
    const text = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return text
  }
}
