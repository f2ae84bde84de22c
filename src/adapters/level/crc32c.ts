/**
 * CRC-32C (Castagnoli), the checksum LevelDB puts on its log records and table blocks, so that files can be judged
 * before LevelDB opens them. Node has the other CRC-32 only. Eight table look-ups at a time ("slicing by 8", Kounavis and
 * Berry 2005): some hundred megabytes a second, enough for a log of eight.
 *
 * It guards against accidents, not against people.
 */

/** Reversed Castagnoli polynomial. */
const POLYNOMIAL = 0x82f63b78
const MASK_DELTA = 0xa282ead8

/** Eight tables of 256 in a row: the k-th gives the effect of a byte that k more bytes follow. */
const TABLE = makeTables()

function makeTables(): Uint32Array {
  const table = new Uint32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    table[byte] = crc
  }
  for (let i = 256; i < table.length; i++) {
    const before = table[i - 256] as number
    table[i] = (before >>> 8) ^ (table[before & 255] as number)
  }
  return table
}

/** Of `bytes` from `from` up to `to`; `seed` is the value of what came before, to go on from. Unsigned. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, seed = 0): number {
  const table = TABLE
  let crc = ~seed
  let at = from
  for (; at + 8 <= to; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (table[1792 + (low & 255)] as number) ^
      (table[1536 + ((low >>> 8) & 255)] as number) ^
      (table[1280 + ((low >>> 16) & 255)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (bytes[at + 4] as number)] as number) ^
      (table[512 + (bytes[at + 5] as number)] as number) ^
      (table[256 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number)
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 255] as number)
  return ~crc >>> 0
}

/** LevelDB stores checksums rotated and shifted, so that the checksum of data that holds checksums is none of them. */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0
}
