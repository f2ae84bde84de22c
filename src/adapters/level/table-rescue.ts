/**
 * A damaged LevelDB table made whole again, minus the blocks that are really bad.
 *
 * LevelDB's own repair gives up a table whose index or footer it cannot read: two thousand rows for one bit. But data
 * blocks follow one another from the first byte on and each ends with a checksum over itself, so they are found without
 * any index. The sound ones are copied as they are, and a new index is written behind them; there is no filter, which
 * only makes look-ups a little slower until LevelDB merges the table into another.
 *
 * Rows inside a sound block are not looked at beyond their keys.
 */
import { compareBytes } from '../../base/bytes.ts'
import { crc32c, maskCrc } from './crc32c.ts'
import { TABLE_BYTES } from './keyspace.ts'
import { putVarint } from './manifest.ts'
import { snappyDecode } from './snappy.ts'
import { FOOTER_BYTES, MAGIC, TRAILER_BYTES, type BlockHandle } from './table-scan.ts'

/** Sequence number and kind, behind every key inside LevelDB. */
const KEY_TRAILER_BYTES = 8
/** A block holds 4 KiB, or one larger row; where no checksum fits within this, there is no block to be found. */
const BLOCK_BYTES_MAX = 4 * 1_048_576
const TABLE_BYTES_KNOWN: ReadonlySet<number> = new Set(Object.values(TABLE_BYTES))

export interface RescuedTable {
  /** A complete table file. */
  readonly bytes: Uint8Array
  readonly blocks: number
}

/**
 * `handles` are the data blocks by the table's own index; undefined when that cannot be read. Undefined when no block is
 * sound.
 */
export function rescueTable(
  damaged: Uint8Array,
  handles: readonly BlockHandle[] | undefined
): RescuedTable | undefined {
  const parts: Uint8Array[] = []
  const index: { key: Uint8Array; handle: BlockHandle }[] = []
  let at = 0
  let lastKey: Uint8Array | undefined
  for (const block of handles === undefined ? foundBlocks(damaged) : soundBlocks(damaged, handles)) {
    const keys = keysOf(block)
    // The old index looks like a block of rows too, but its keys begin again from the front.
    if (keys === undefined || (lastKey !== undefined && compareInternal(lastKey, keys.first) >= 0)) continue
    lastKey = keys.last
    parts.push(block)
    index.push({ key: keys.last, handle: { offset: at, bytes: block.length - TRAILER_BYTES } })
    at += block.length
  }
  if (index.length === 0) return undefined
  const metaindex = sealBlock(blockOf([]))
  const indexBlock = sealBlock(blockOf(index.map(({ key, handle }) => [key, encodeHandle(handle)] as const)))
  const footer = new Uint8Array(FOOTER_BYTES)
  footer.set([
    ...encodeHandle({ offset: at, bytes: metaindex.length - TRAILER_BYTES }),
    ...encodeHandle({ offset: at + metaindex.length, bytes: indexBlock.length - TRAILER_BYTES })
  ])
  footer.set(MAGIC, FOOTER_BYTES - MAGIC.length)
  return { bytes: Buffer.concat([...parts, metaindex, indexBlock, footer]), blocks: index.length }
}

function* soundBlocks(table: Uint8Array, handles: readonly BlockHandle[]): Generator<Uint8Array> {
  for (const { offset, bytes } of handles) {
    const block = table.subarray(offset, offset + bytes + TRAILER_BYTES)
    if (block.length !== bytes + TRAILER_BYTES) continue
    const crc = new DataView(block.buffer, block.byteOffset).getUint32(bytes + 1, true)
    if (maskCrc(crc32c(block, 0, bytes + 1)) === crc) yield block
  }
}

/** From the first byte on, each block being as long as its checksum says; ends where none fits. */
function* foundBlocks(table: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
  let from = 0
  while (from < table.length) {
    let crc = 0
    let end: number | undefined
    const last = Math.min(table.length, from + BLOCK_BYTES_MAX) - TRAILER_BYTES
    for (let at = from; at <= last; at++) {
      // The byte at `at` would be the kind of compression, which the checksum covers.
      const byte = table[at] as number
      crc = crc32c(table, at, at + 1, crc)
      if (byte <= 1 && at > from && maskCrc(crc) === view.getUint32(at + 1, true)) {
        end = at + TRAILER_BYTES
        break
      }
    }
    if (end === undefined) return
    yield table.subarray(from, end)
    from = end
  }
}

/** The first and last internal key of a data block, or undefined when it is none of ours. */
function keysOf(block: Uint8Array): { first: Uint8Array; last: Uint8Array } | undefined {
  const stored = block.subarray(0, block.length - TRAILER_BYTES)
  const content = block[stored.length] === 1 ? snappyDecode(stored, 16 * BLOCK_BYTES_MAX) : stored
  if (content === undefined || content.length < 4) return undefined
  const restarts = new DataView(content.buffer, content.byteOffset).getUint32(content.length - 4, true)
  const end = content.length - 4 - 4 * restarts
  const cursor = { at: 0 }
  let first: Uint8Array | undefined
  let key = new Uint8Array(0)
  while (cursor.at < end) {
    const shared = varint(content, cursor)
    const added = varint(content, cursor)
    const value = varint(content, cursor)
    if (shared === undefined || added === undefined || value === undefined) return undefined
    if (shared > key.length || cursor.at + added + value > end) return undefined
    const next = new Uint8Array(shared + added)
    next.set(key.subarray(0, shared))
    next.set(content.subarray(cursor.at, cursor.at + added), shared)
    if (!isOurs(next)) return undefined
    key = next
    first ??= key
    cursor.at += added + value
  }
  return first === undefined ? undefined : { first, last: key }
}

/** A table byte of the keyspace in front, and a sequence number that LevelDB gives to rows, not to index entries. */
function isOurs(internal: Uint8Array): boolean {
  if (internal.length <= KEY_TRAILER_BYTES || !TABLE_BYTES_KNOWN.has(internal[0] as number)) return false
  const trailer = internal.subarray(-KEY_TRAILER_BYTES)
  return (trailer[0] as number) <= 1 && trailer.subarray(1).some((byte) => byte !== 255)
}

/** LevelDB's order: keys ascending, and of one key the newest, with the greatest trailer, first. */
function compareInternal(a: Uint8Array, b: Uint8Array): number {
  const order = compareBytes(a.subarray(0, -KEY_TRAILER_BYTES), b.subarray(0, -KEY_TRAILER_BYTES))
  if (order !== 0) return order
  for (let i = 1; i <= KEY_TRAILER_BYTES; i++) {
    const difference = (b.at(-i) as number) - (a.at(-i) as number)
    if (difference !== 0) return difference
  }
  return 0
}

function varint(bytes: Uint8Array, cursor: { at: number }): number | undefined {
  let value = 0
  for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) return undefined
    value += (byte & 127) * scale
    if (byte < 128) return value
  }
  return undefined
}

function encodeHandle({ offset, bytes }: BlockHandle): Uint8Array {
  const encoded: number[] = []
  putVarint(encoded, offset)
  putVarint(encoded, bytes)
  return Uint8Array.from(encoded)
}

/** A block with these entries, each a restart point of its own, as LevelDB writes its indexes. */
function blockOf(entries: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
  const content: number[] = []
  const restarts: number[] = entries.length === 0 ? [0] : []
  for (const [key, value] of entries) {
    restarts.push(content.length)
    for (const part of [0, key.length, value.length]) putVarint(content, part)
    content.push(...key, ...value)
  }
  const block = new Uint8Array(content.length + 4 * restarts.length + 4)
  const view = new DataView(block.buffer)
  block.set(content)
  for (const [i, restart] of restarts.entries()) view.setUint32(content.length + 4 * i, restart, true)
  view.setUint32(block.length - 4, restarts.length, true)
  return block
}

/** Uncompressed, with its trailer. */
function sealBlock(content: Uint8Array): Uint8Array {
  const block = new Uint8Array(content.length + TRAILER_BYTES)
  block.set(content)
  new DataView(block.buffer).setUint32(content.length + 1, maskCrc(crc32c(block, 0, content.length + 1)), true)
  return block
}
