/**
 * Sets made to look alike to whoever compares them by something cheaper than a keyed hash: linear dependencies over
 * GF(2) for whoever XORs, equal sums for whoever adds, birthdays for whoever cuts digests short, and ids that a sketch
 * cannot tell apart. What takes an attacker hours of hashing with real ids is done at once where a test may choose them.
 */
import { createHash } from 'node:crypto'
import { concatBytes, fromHex, toHex, uintBytes } from '../../src/base/bytes.ts'
import type { SeededRandom } from '../../src/base/prng.ts'

const ID_BYTES = 32
const SUM_MODULUS = 2n ** 256n

/**
 * Two disjoint lists of equal length whose elements have the same XOR, as indices into `vectors`. Needs two vectors more
 * than they have bits: Gaussian elimination over one further coordinate, always 1, so that the number found is even.
 */
export function equalXor(vectors: readonly Uint8Array[]): [number[], number[]] {
  const dependent = dependency(vectors.map((vector) => (numberOf(vector) << 1n) | 1n))
  return [dependent.slice(0, dependent.length / 2), dependent.slice(dependent.length / 2)]
}

/** Indices of rows that XOR to zero. */
function dependency(rows: readonly bigint[]): number[] {
  const basis = new Map<number, { row: bigint; members: bigint }>()
  for (const [index, start] of rows.entries()) {
    let row = start
    let members = 1n << BigInt(index)
    while (row !== 0n) {
      const pivot = row.toString(2).length
      const other = basis.get(pivot)
      if (other === undefined) {
        basis.set(pivot, { row, members })
        break
      }
      row ^= other.row
      members ^= other.members
    }
    if (row === 0n) return rows.flatMap((_, i) => ((members >> BigInt(i)) & 1n ? [i] : []))
  }
  throw new Error('the vectors are independent: there must be more of them than bits')
}

/** Two disjoint lists of `count` ids with the same sum modulo 2^256, read little-endian as the baseline does. */
export function equalSums(random: SeededRandom, count: number): [Uint8Array[], Uint8Array[]] {
  const near = Array.from({ length: count }, () => random.bytes(ID_BYTES))
  const far = Array.from({ length: count - 1 }, () => random.bytes(ID_BYTES))
  const rest = (sumOf(near) - sumOf(far) + SUM_MODULUS) % SUM_MODULUS
  return [near, [...far, fromHex(rest.toString(16).padStart(2 * ID_BYTES, '0')).reverse()]]
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`)
}

/** Modulo 2^256, ids read little-endian. */
export function sumOf(ids: readonly Uint8Array[]): bigint {
  return ids.reduce((sum, id) => (sum + numberOf(id.slice().reverse())) % SUM_MODULUS, 0n)
}

export function xorOf(ids: readonly Uint8Array[]): bigint {
  return ids.reduce((sum, id) => sum ^ numberOf(id), 0n)
}

/** The first two of `make(0)`, `make(1)`, … whose `name` is the same: a birthday, found after about the root of all names. */
export function birthday<T>(make: (n: number) => T, name: (made: T) => string): [T, T] {
  const seen = new Map<string, number>()
  for (let n = 0; ; n++) {
    const made = make(n)
    const known = seen.get(name(made))
    if (known !== undefined) return [make(known), made]
    seen.set(name(made), n)
  }
}

/** An id that begins with the given bytes; the rest is the hash of `label`. */
export function idBeginning(head: Uint8Array, label: string): Uint8Array {
  return concatBytes(head, createHash('sha256').update(label).digest().subarray(head.length))
}

/** What an odd 32-bit number must be multiplied with to give 1. */
function inverse(odd: number): number {
  let found = odd
  // Each round doubles the number of right bits, of which the first guess has three.
  for (let round = 0; round < 5; round++) found = Math.imul(found, 2 - Math.imul(odd, found))
  return found
}

/**
 * Short ids (8 bytes) that a sketch puts into its first cell and into no other of 16,384: the walk of sync/sketch.ts run
 * backwards from the least draws, whose jumps are the longest. One id in a hundred million is like that by chance.
 */
export function lonelyShortIds(count: number): Uint8Array[] {
  const least = 8
  return Array.from({ length: count }, (_, n) => {
    const draw = 1 + (n % least)
    const product = Math.imul(draw, inverse(5))
    const hi = Math.imul((product >>> 5) | (product << 27), inverse(0x9e3779bb)) >>> 0
    const lo = Math.floor(n / least) * 0x01000193 + 7
    return concatBytes(uintBytes(hi, 4), uintBytes(lo % 2 ** 32, 4))
  })
}
