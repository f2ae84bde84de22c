/**
 * The rows of one index: keys, the row of figures, and how a memory is packed. One byte in front of a key says what kind
 * of row it is.
 *
 *     m                     figures (below): read first by everybody
 *     s                     the store it is derived from
 *     r                     present when memories were removed and their old bytes may be in free pages
 *     g                     by chunk of columns: the generation that wrote it last
 *     c chunk               columns of 512 documents (columns.ts)
 *     t term                postings of a term (postings.ts)
 *     b term 0 from         a block of its postings
 *     d document            the memory, packed
 *     i id                  document and stamp of a record
 *
 * A tag is a term as well, behind a byte no word begins with, so that filters read no memories. FORMAT is raised with
 * every change of any of this; an index of another format is deleted by the daemon and made anew, and refused by readers.
 */
import { pack, unpack } from 'msgpackr'
import { fromHex, putUtf8, utf8 } from '../../base/bytes.ts'
import type { SharedMemory } from '../../ports/shared-index.ts'

export const FORMAT = 1

/** Figures of an index, each one 64-bit float. */
export interface Figures {
  readonly generation: number
  /** Documents in it, and terms of all of them. */
  readonly count: number
  readonly lengthSum: number
  /** One more than the greatest document number ever used. */
  readonly capacity: number
  readonly complete: boolean
}

export const NO_FIGURES: Figures = { generation: 0, count: 0, lengthSum: 0, capacity: 0, complete: false }
const FIGURES_MAGIC = 0x43485a31
const FIGURES = 6

export function encodeFigures({ generation, count, lengthSum, capacity, complete }: Figures): Uint8Array {
  const row = new Float64Array([FIGURES_MAGIC, generation, count, lengthSum, capacity, complete ? 1 : 0])
  return new Uint8Array(row.buffer)
}

/** Undefined for bytes that are no such row. */
export function decodeFigures(bytes: Uint8Array): Figures | undefined {
  if (bytes.length !== 8 * FIGURES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const at = (index: number): number => view.getFloat64(8 * index, isLittleEndian)
  if (at(0) !== FIGURES_MAGIC) return undefined
  return { generation: at(1), count: at(2), lengthSum: at(3), capacity: at(4), complete: at(5) === 1 }
}

/**
 * Rows of 32-bit numbers, as postings are: a view where the bytes lie evenly, else a copy. Buffers the library uses again
 * are longer than their `length` says, so that is what counts.
 */
export function numbersOf(bytes: Uint8Array): Uint32Array {
  const even = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.prototype.slice.call(bytes, 0, bytes.length)
  return new Uint32Array(even.buffer, even.byteOffset, bytes.length >>> 2)
}

export function bytesOf(numbers: Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
}

/** Rows of 64-bit floats. */
export function decodeNumbers(bytes: Uint8Array): number[] {
  return [...new Float64Array(bytes.slice().buffer)]
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

// --- keys

const C = 0x63
const T = 0x74
const B = 0x62
const D = 0x64
const I = 0x69

export const FIGURES_KEY = Uint8Array.of(0x6d)
export const GENERATIONS_KEY = Uint8Array.of(0x67)
export const SOURCE_KEY = Uint8Array.of(0x73)
export const REMOVED_KEY = Uint8Array.of(0x72)
const TAG = '\u0001'

/** The term that stands for a tag. */
export function tagTerm(tag: string): string {
  return TAG + tag
}

export function isTagTerm(term: string): boolean {
  return term.startsWith(TAG)
}

export function chunkKey(chunk: number): Uint8Array {
  return numbered(C, chunk)
}

export function memoryKey(document: number): Uint8Array {
  return numbered(D, document)
}

export function idKey(id: string): Uint8Array {
  const key = new Uint8Array(33)
  key[0] = I
  key.set(fromHex(id), 1)
  return key
}

/** Bounds of all id keys. */
export const ID_KEYS = { start: Uint8Array.of(0x69), end: Uint8Array.of(0x6a) }

export function termKey(term: string): Uint8Array {
  const key = new Uint8Array(1 + 3 * term.length)
  key[0] = T
  return key.subarray(0, 1 + putUtf8(term, key, 1))
}

export function blockKey(term: string, from: number): Uint8Array {
  const bytes = utf8(term)
  const key = new Uint8Array(bytes.length + 6)
  key[0] = B
  key.set(bytes, 1)
  new DataView(key.buffer).setUint32(bytes.length + 2, from)
  return key
}

function numbered(kind: number, number: number): Uint8Array {
  return Uint8Array.of(kind, number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff)
}

// --- id rows

/** What an id leads to. */
export interface IdRow {
  readonly document: number
  readonly stamp: number
}

export function encodeIdRow({ document, stamp }: IdRow): Uint8Array {
  return new Uint8Array(new Float64Array([document, stamp]).buffer)
}

export function decodeIdRow(bytes: Uint8Array): IdRow {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  return { document: view.getFloat64(0, isLittleEndian), stamp: view.getFloat64(8, isLittleEndian) }
}

// --- memories

/** Fields by place, so that no names are stored. */
export function packMemory(memory: SharedMemory): Uint8Array {
  return pack([
    memory.id,
    memory.content,
    memory.kind,
    memory.tags,
    memory.peer,
    memory.contentPeer === memory.peer ? null : memory.contentPeer,
    memory.createdAt,
    memory.updatedAt,
    memory.pinned,
    memory.validated,
    memory.importance,
    memory.confidence,
    memory.key,
    memory.path,
    memory.memoryType,
    memory.source,
    memory.validFrom,
    memory.validTo,
    memory.expiresAt,
    memory.version,
    memory.parents,
    memory.supersedes,
    memory.flags
  ])
}

type Text = string | null
type Amount = number | null

type Packed = [
  ...[string, string, string, string[], string, Text, number, number, boolean, boolean, Amount, Amount, Text, Text],
  ...[Text, Text, Amount, Amount, Amount, number, string[], string[], string[]]
]

export function unpackMemory(bytes: Uint8Array): SharedMemory {
  const row = unpack(bytes) as Packed
  return {
    id: row[0],
    content: row[1],
    kind: row[2],
    tags: row[3],
    peer: row[4],
    contentPeer: row[5] ?? row[4],
    createdAt: row[6],
    updatedAt: row[7],
    pinned: row[8],
    validated: row[9],
    importance: row[10],
    confidence: row[11],
    key: row[12],
    path: row[13],
    memoryType: row[14],
    source: row[15],
    validFrom: row[16],
    validTo: row[17],
    expiresAt: row[18],
    version: row[19],
    parents: row[20],
    supersedes: row[21],
    flags: row[22]
  }
}
