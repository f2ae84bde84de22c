/**
 * Checks the blocks of a LevelDB table (NNNNNN.ldb) against their own checksums. LevelDB stores a CRC with each block,
 * but this binding never asks it to look at them: a flipped bit in a data block comes out as a wrong or a missing row, in
 * the filter as a row that seems not to be there, in the index as many.
 *
 * Form (leveldb/doc/table_format.md): data blocks, filter, metaindex, index, footer; a block is
 * `content ‖ compression1 ‖ crc4`, the masked CRC-32C over the first two; the footer of 48 bytes points at the last two
 * blocks, and the index at all data blocks.
 *
 * It does not read rows: those carry checksums of our own.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import { crc32c, maskCrc } from './crc32c.ts'
import { snappyDecode } from './snappy.ts'

export const FOOTER_BYTES = 48
export const TRAILER_BYTES = 5
export const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb)
/** An index block decompresses to some ten times its size at most; a larger claim is damage. */
const INDEX_BYTES_MAX = 64 * 1_048_576

/** Where a block lies, its trailer of 5 bytes not counted. */
export interface BlockHandle {
  readonly offset: number
  readonly bytes: number
}

export interface TableCheck {
  /** Why LevelDB could not find its way in this table: then every row of it is in doubt. */
  readonly lost: string | undefined
  /** Data blocks that fail their checksum; empty unless the whole table was read. */
  readonly badBlocks: readonly BlockHandle[]
  /** All data blocks by the index; undefined when the table is lost. */
  readonly blocks: readonly BlockHandle[] | undefined
}

/** Thrown inside this file only; the message says what is wrong. */
class TableError extends Error {}

/**
 * `ends`: length, footer, index, metaindex and filter, about a fiftieth of the file. `whole`: the data blocks as well.
 * `bytesExpected` is what the MANIFEST says, undefined when nobody knows. Rejects with the system's error only when the
 * file cannot be opened.
 */
export async function checkTable(
  path: string,
  bytesExpected: number | undefined,
  depth: 'ends' | 'whole'
): Promise<TableCheck> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (bytesExpected !== undefined && size !== bytesExpected) {
      return lost(`it has ${size} bytes instead of ${bytesExpected}`)
    }
    return await checkBlocks(depth === 'ends' ? new Source(file) : new Source(file, await file.readFile()), size)
  } catch (error) {
    if (error instanceof TableError) return lost(error.message)
    // A sector that cannot be read is damage like any other.
    if (error instanceof Error && 'code' in error && error.code === 'EIO') return lost(messageOf(error))
    throw error
  } finally {
    await file.close()
  }
}

function lost(why: string): TableCheck {
  return { lost: why, badBlocks: [], blocks: undefined }
}

async function checkBlocks(source: Source, size: number): Promise<TableCheck> {
  const footer = await readFooter(source, size)
  const index = await readSound(source, footer.index, 'index')
  const meta = await readSound(source, footer.metaindex, 'metaindex')
  for (const handle of handlesIn(meta)) await readSound(source, handle, 'filter')
  const blocks = handlesIn(index)
  const badBlocks: BlockHandle[] = []
  if (source.isWhole) {
    for (const handle of blocks) if (!isSealed(await source.block(handle))) badBlocks.push(handle)
  }
  return { lost: undefined, badBlocks, blocks }
}

/** Where bytes come from: the file, or all of it in memory, which spares a thousand small reads. */
class Source {
  readonly #file: FileHandle
  readonly #content: Uint8Array | undefined

  constructor(file: FileHandle, content?: Uint8Array) {
    this.#file = file
    this.#content = content
  }

  get isWhole(): boolean {
    return this.#content !== undefined
  }

  block({ offset, bytes }: BlockHandle): Promise<Uint8Array> | Uint8Array {
    if (bytes > INDEX_BYTES_MAX) throw new TableError('a block of it has an impossible length')
    return this.read(offset, bytes + TRAILER_BYTES)
  }

  read(offset: number, bytes: number): Promise<Uint8Array> | Uint8Array {
    if (this.#content === undefined) return readAt(this.#file, offset, bytes)
    if (offset + bytes > this.#content.length) throw new TableError('a block of it lies beyond its end')
    return this.#content.subarray(offset, offset + bytes)
  }
}

async function readFooter(source: Source, size: number): Promise<{ index: BlockHandle; metaindex: BlockHandle }> {
  if (size < FOOTER_BYTES) throw new TableError('it is too short for a table')
  const footer = await source.read(size - FOOTER_BYTES, FOOTER_BYTES)
  if (MAGIC.some((byte, i) => footer[FOOTER_BYTES - MAGIC.length + i] !== byte)) {
    throw new TableError('it does not end as a table does')
  }
  const cursor = { at: 0 }
  const metaindex = handleAt(footer, cursor)
  return { metaindex, index: handleAt(footer, cursor) }
}

/** A block with its trailer. */
async function readSound(source: Source, handle: BlockHandle, name: string): Promise<Uint8Array> {
  const block = await source.block(handle)
  if (!isSealed(block)) throw new TableError(`its ${name} fails its checksum`)
  return block
}

async function readAt(file: FileHandle, offset: number, bytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytes)
  const { bytesRead } = await file.read(buffer, 0, bytes, offset)
  if (bytesRead < bytes) throw new TableError('a block of it lies beyond its end')
  return buffer
}

function isSealed(block: Uint8Array): boolean {
  const bytes = block.length - TRAILER_BYTES
  const crc = new DataView(block.buffer, block.byteOffset).getUint32(bytes + 1, true)
  return maskCrc(crc32c(block, 0, bytes + 1)) === crc
}

/** The handles that a metaindex or index block holds as values. */
function handlesIn(block: Uint8Array): BlockHandle[] {
  const stored = block.subarray(0, block.length - TRAILER_BYTES)
  const content = block[stored.length] === 1 ? snappyDecode(stored, INDEX_BYTES_MAX) : stored
  if (content === undefined || content.length < 4) throw new TableError('a block of it cannot be decompressed')
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
  const end = content.length - 4 - 4 * view.getUint32(content.length - 4, true)
  const handles: BlockHandle[] = []
  const cursor = { at: 0 }
  while (cursor.at < end) {
    varintAt(content, cursor)
    const keyBytes = varintAt(content, cursor)
    const valueBytes = varintAt(content, cursor)
    cursor.at += keyBytes
    const next = cursor.at + valueBytes
    handles.push(handleAt(content, cursor))
    cursor.at = next
  }
  return handles
}

function handleAt(bytes: Uint8Array, cursor: { at: number }): BlockHandle {
  const offset = varintAt(bytes, cursor)
  return { offset, bytes: varintAt(bytes, cursor) }
}

function varintAt(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0
  for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) break
    value += (byte & 127) * scale
    if (byte < 128) return value
  }
  throw new TableError('an entry of its index cannot be read')
}
