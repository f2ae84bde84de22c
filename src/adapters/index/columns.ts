/**
 * What a search reads of every document it touches, as columns by document number, in memory on both sides: the writer
 * changes them and stores the chunks that changed, a reader loads those that are newer than its own. 23 bytes a document.
 */
/** Documents of one stored chunk. */
export const CHUNK_BITS = 9
export const CHUNK = 1 << CHUNK_BITS

/** Bits of a document's flags. */
export const LIVE = 1
export const PINNED = 2
export const SUPERSEDED = 4
/** It expires, or is valid for a time only: its memory must be read to know. */
export const TIMED = 8

/** Bytes of one chunk: 8 + 4 + 4 + 2 + 2 + 1 + 1 + 1 for each document. */
const CHUNK_BYTES = CHUNK * 23

export interface Row {
  readonly flags: number
  readonly kind: number
  readonly tier: number
  readonly createdAt: number
  /** Terms, repetitions included; distinct ones; distinct ones that are no stop words. */
  readonly length: number
  readonly distinct: number
  readonly telling: number
  /** 32 bits of the author's name: equal for equal authors, and seldom for others. */
  readonly author: number
}

export class Columns {
  createdAt = new Float64Array(CHUNK)
  length = new Uint32Array(CHUNK)
  author = new Uint32Array(CHUNK)
  distinct = new Uint16Array(CHUNK)
  telling = new Uint16Array(CHUNK)
  flags = new Uint8Array(CHUNK)
  kind = new Uint8Array(CHUNK)
  tier = new Uint8Array(CHUNK)

  /** Documents there is room for; always whole chunks. */
  get capacity(): number {
    return this.flags.length
  }

  reserve(documents: number): void {
    if (documents <= this.capacity) return
    const capacity = Math.ceil(Math.max(documents, this.capacity * 1.5) / CHUNK) * CHUNK
    this.createdAt = grow(this.createdAt, capacity)
    this.length = grow(this.length, capacity)
    this.author = grow(this.author, capacity)
    this.distinct = grow(this.distinct, capacity)
    this.telling = grow(this.telling, capacity)
    this.flags = grow(this.flags, capacity)
    this.kind = grow(this.kind, capacity)
    this.tier = grow(this.tier, capacity)
  }

  set(document: number, row: Row): void {
    this.reserve(document + 1)
    this.createdAt[document] = row.createdAt
    this.length[document] = row.length
    this.author[document] = row.author
    this.distinct[document] = row.distinct
    this.telling[document] = row.telling
    this.flags[document] = row.flags
    this.kind[document] = row.kind
    this.tier[document] = row.tier
  }

  clear(document: number): void {
    this.set(document, NOTHING)
  }

  encodeChunk(chunk: number): Uint8Array {
    const bytes = new Uint8Array(CHUNK_BYTES)
    let at = 0
    for (const column of this.#all()) {
      const part = column.subarray(chunk * CHUNK, (chunk + 1) * CHUNK)
      bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at)
      at += part.byteLength
    }
    return bytes
  }

  /** Whether the bytes were a chunk. */
  decodeChunk(chunk: number, bytes: Uint8Array): boolean {
    if (bytes.length !== CHUNK_BYTES) return false
    this.reserve((chunk + 1) * CHUNK)
    let at = 0
    for (const column of this.#all()) {
      const part = column.subarray(chunk * CHUNK, (chunk + 1) * CHUNK)
      new Uint8Array(part.buffer, part.byteOffset, part.byteLength).set(bytes.subarray(at, at + part.byteLength))
      at += part.byteLength
    }
    return true
  }

  /** In the order they are stored in. */
  #all(): (Float64Array | Uint32Array | Uint16Array | Uint8Array)[] {
    return [this.createdAt, this.length, this.author, this.distinct, this.telling, this.flags, this.kind, this.tier]
  }
}

const NOTHING: Row = { flags: 0, kind: 0, tier: 0, createdAt: 0, length: 0, distinct: 0, telling: 0, author: 0 }

/** FNV-1a, as a column entry. */
export function nameHash(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

function grow<T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(column: T, length: number): T {
  const Longer = column.constructor as new (length: number) => T
  const longer = new Longer(length)
  longer.set(column as never)
  return longer
}
