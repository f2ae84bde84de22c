/**
 * Reads a LevelDB log (NNNNNN.log, and MANIFEST-NNNNNN, which has the same form) the way LevelDB will, and says what
 * LevelDB would pass over in silence. Its reader skips a damaged record, with everything up to the end of that 32 KiB
 * block, and goes on: rows in the middle are gone, later ones are there, and `open` says nothing.
 *
 * Form (leveldb/doc/log_format.md): blocks of 32,768 bytes; in them records `crc4 ‖ length2 ‖ type1 ‖ payload`, the
 * masked CRC-32C over type and payload, little-endian; a payload that crosses blocks is cut into first, middle and last.
 *
 * A crash leaves a log whose last record is unfinished, and a power cut perhaps zeros after it: that is `torn`, and
 * nothing that was ever synced is lost by it. A bad record that sound ones follow is `damage`. A fault that hits the very
 * last record looks like a crash from here; the tail mark (tail-mark.ts) tells the two apart.
 */
import { crc32c, maskCrc } from './crc32c.ts'

export const LOG_BLOCK_BYTES = 32_768
const HEADER_BYTES = 7

const FULL = 1
const FIRST = 2
const MIDDLE = 3
const LAST = 4

export interface LogScan {
  /** Whole records read. */
  readonly records: number
  /** One sentence for each place at which LevelDB would drop something that was written whole. */
  readonly damage: readonly string[]
  /** Where the unfinished end begins; undefined when the log ends with a whole record. */
  readonly tornAt: number | undefined
}

interface Piece {
  readonly type: number
  /** Of the payload. */
  readonly from: number
  readonly to: number
}

/**
 * Scans a whole log. `visit` sees the payload of each whole record in order, those included that LevelDB would drop with
 * the rest of a damaged block; the array is only valid during the call.
 */
export function scanLog(bytes: Uint8Array, visit: (payload: Uint8Array) => void = () => undefined): LogScan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const damage: string[] = []
  let records = 0
  let parts: Uint8Array[] | undefined
  let partsAt = 0
  /** Bad, and not yet known whether anything sound follows. */
  let badAt: number | undefined
  let at = 0
  const bad = (where: number): void => {
    badAt ??= parts === undefined ? where : partsAt
    parts = undefined
  }
  while (at < bytes.length) {
    const blockEnd = Math.min(bytes.length, (Math.floor(at / LOG_BLOCK_BYTES) + 1) * LOG_BLOCK_BYTES)
    if (blockEnd - at < HEADER_BYTES) {
      // Fewer bytes than a header are padding in a full block, and an unfinished header at the end of the file.
      if (blockEnd % LOG_BLOCK_BYTES !== 0) bad(at)
      at = blockEnd
      continue
    }
    const piece = pieceAt(bytes, view, at, blockEnd)
    if (piece === undefined) {
      bad(at)
      // LevelDB drops the rest of the block. What is whole in it shows that this is damage, and can be kept.
      at = soundPieceAfter(bytes, view, at, blockEnd) ?? blockEnd
      continue
    }
    if (badAt !== undefined) {
      damage.push(describe(badAt, at))
      badAt = undefined
    }
    const payload = bytes.subarray(piece.from, piece.to)
    if (piece.type === FULL || piece.type === FIRST) {
      if (parts !== undefined) damage.push(describe(partsAt, at))
      parts = piece.type === FIRST ? [payload] : undefined
      partsAt = at
      if (piece.type === FULL) {
        records++
        visit(payload)
      }
    } else if (parts !== undefined) {
      parts.push(payload)
      if (piece.type === LAST) {
        records++
        visit(joined(parts))
        parts = undefined
      }
    }
    // A middle or last piece without its beginning is what is left of a record already counted as bad.
    at = piece.to
  }
  return { records, damage, tornAt: badAt ?? (parts === undefined ? undefined : partsAt) }
}

function describe(from: number, to: number): string {
  return `bytes ${from} to ${to} are damaged, and sound records follow`
}

/** The piece that begins at `at`, or undefined when there is none that LevelDB would accept. */
function pieceAt(bytes: Uint8Array, view: DataView, at: number, blockEnd: number): Piece | undefined {
  const type = bytes[at + 6] as number
  const from = at + HEADER_BYTES
  const to = from + view.getUint16(at + 4, true)
  if (type < FULL || type > LAST || to > blockEnd) return undefined
  if (maskCrc(crc32c(bytes, at + 6, to)) !== view.getUint32(at, true)) return undefined
  return { type, from, to }
}

/** Where the next sound piece of the block begins: looked for first where the bad one says it ends, then anywhere. */
function soundPieceAfter(bytes: Uint8Array, view: DataView, at: number, blockEnd: number): number | undefined {
  const claimed = at + HEADER_BYTES + view.getUint16(at + 4, true)
  if (claimed + HEADER_BYTES <= blockEnd && pieceAt(bytes, view, claimed, blockEnd) !== undefined) return claimed
  for (let from = at + 1; from + HEADER_BYTES <= blockEnd; from++) {
    const piece = pieceAt(bytes, view, from, blockEnd)
    // Empty pieces are passed over: a checksum over one byte proves too little.
    if (piece !== undefined && piece.to > piece.from) return from
  }
  return undefined
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** A log with these records, from its beginning. */
export function writeLog(payloads: readonly Uint8Array[]): Uint8Array {
  const pieces: Uint8Array[] = []
  let at = 0
  for (const payload of payloads) {
    let from = 0
    do {
      let room = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES)
      if (room < HEADER_BYTES) {
        pieces.push(new Uint8Array(room))
        at += room
        room = LOG_BLOCK_BYTES
      }
      const to = Math.min(payload.length, from + room - HEADER_BYTES)
      const type = from === 0 ? (to === payload.length ? FULL : FIRST) : to === payload.length ? LAST : MIDDLE
      pieces.push(pieceOf(type, payload.subarray(from, to)))
      at += HEADER_BYTES + to - from
      from = to
    } while (from < payload.length)
  }
  return joined(pieces)
}

function pieceOf(type: number, payload: Uint8Array): Uint8Array {
  const piece = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(piece.buffer)
  piece.set(payload, HEADER_BYTES)
  piece[6] = type
  view.setUint16(4, payload.length, true)
  view.setUint32(0, maskCrc(crc32c(piece, 6)), true)
  return piece
}
