/**
 * The checksum in front of every stored value (docs/WIRE.md §9.1): 64 bits over the key on disk and the value, so that a
 * row with a flipped bit, or a value that turned up under another key, is never taken for an answer.
 *
 * Two lanes of 32 bits read the same words, each with multipliers of its own (those of MurmurHash3, x86, 32 and 128 bit;
 * Appleby 2011). Within a lane every step is a bijection of the lane for a given word and of the word for a given lane:
 * damage that lies within one word always changes both lanes, any other passes with a chance of 2⁻⁶⁴. Both lengths enter
 * at the start, so that a byte that moves from key to value is damage too.
 *
 * It is no defence against somebody who can write to the disk, and need not be one: what deltas say is held to their own
 * hashes. SHA-256 cut to 64 bits, which stood here before, was as good against accidents and took 13 µs of the 330 µs
 * that a delta with its seven rows costs; this takes 2 µs.
 */

export const CHECKSUM_BYTES = 8

const START_A = 0x9e3779b9
const START_B = 0x7f4a7c15

/** Writes the checksum of `key` and `value` into `into` from `at` on. Both are read as they stand now. */
export function putRowChecksum(key: Uint8Array, value: Uint8Array, into: Uint8Array, at: number): void {
  const lengths = key.length ^ (value.length << 8)
  let a = START_A ^ lengths
  let b = START_B ^ lengths
  for (let part = 0; part < 2; part++) {
    const bytes = part === 0 ? key : value
    const whole = bytes.length & ~3
    for (let i = 0; i < whole; i += 4) {
      const word =
        (bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24)
      a = stepA(a, word)
      b = stepB(b, word)
    }
    if (whole === bytes.length) continue
    let rest = 0
    for (let i = whole; i < bytes.length; i++) rest |= (bytes[i] as number) << (8 * (i - whole))
    a = stepA(a, rest)
    b = stepB(b, rest)
  }
  putWord(finish(a), into, at)
  putWord(finish(b), into, at + 4)
}

/** Whether the checksum that stands in `row` from its first byte on is that of `key` and `value`. */
export function rowChecksumHolds(key: Uint8Array, value: Uint8Array, row: Uint8Array): boolean {
  putRowChecksum(key, value, expected, 0)
  for (let i = 0; i < CHECKSUM_BYTES; i++) if (row[i] !== expected[i]) return false
  return true
}

const expected = new Uint8Array(CHECKSUM_BYTES)

function stepA(lane: number, word: number): number {
  const mixed = Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593)
  return (Math.imul(rotate(lane ^ mixed, 13), 5) + 0xe6546b64) | 0
}

function stepB(lane: number, word: number): number {
  const mixed = Math.imul(rotate(Math.imul(word, 0xab0e9789), 16), 0x38b34ae5)
  return (Math.imul(rotate(lane ^ mixed, 17), 5) + 0x0bcaa747) | 0
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

function finish(lane: number): number {
  let mixed = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

function putWord(word: number, into: Uint8Array, at: number): void {
  into[at] = word >>> 24
  into[at + 1] = word >>> 16
  into[at + 2] = word >>> 8
  into[at + 3] = word
}
