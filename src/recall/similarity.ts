/**
 * How alike two texts are, by their words. Jaccard's coefficient compares two sets exactly; SimHash (Charikar 2002,
 * Manku, Jain and Das Sarma 2007) squeezes a text into 64 bits such that texts with few different words differ in few
 * bits, so that near duplicates are found without keeping any text.
 *
 * Neither knows synonyms, and one `not` changes a meaning but hardly a number: what these find is reported or shown
 * later, never merged or hidden.
 */

/** 64 bits as two signed 32-bit halves, which are cheap to keep. */
export interface SimHash {
  readonly high: number
  readonly low: number
}

/** Bits by which near duplicates differ at most (Manku et al. §3). */
export const NEAR_DUPLICATE_BITS = 3

/** |a ∩ b| / |a ∪ b|, 0 to 1; two empty sets have nothing in common and get 0. */
export function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0
  for (const item of a) if (b.has(item)) shared++
  const union = a.size + b.size - shared
  return union === 0 ? 0 : shared / union
}

/**
 * Each term votes on each bit once for each time it occurs. Undefined for a text without terms.
 *
 * The votes are counted for all bits at once, in binary: `planes[2 * i]` and the next hold digit i of the number of
 * terms that have each bit set, and a term is added to them like a number, carry by carry.
 */
export function simHash(terms: readonly string[]): SimHash | undefined {
  if (terms.length === 0) return undefined
  const digits = 32 - Math.clz32(terms.length)
  const planes = new Int32Array(2 * digits)
  for (const term of terms) {
    let { high, low } = hashText(term)
    for (let i = 0; (high | low) !== 0; i += 2) {
      const highPlane = planes[i] as number
      const lowPlane = planes[i + 1] as number
      planes[i] = highPlane ^ high
      planes[i + 1] = lowPlane ^ low
      high &= highPlane
      low &= lowPlane
    }
  }
  let high = 0
  let low = 0
  for (let bit = 0; bit < 32; bit++) {
    let highVotes = 0
    let lowVotes = 0
    for (let digit = 0; digit < digits; digit++) {
      highVotes |= (((planes[2 * digit] as number) >>> bit) & 1) << digit
      lowVotes |= (((planes[2 * digit + 1] as number) >>> bit) & 1) << digit
    }
    if (2 * highVotes > terms.length) high |= 1 << bit
    if (2 * lowVotes > terms.length) low |= 1 << bit
  }
  return { high, low }
}

/** Differing bits, 0 to 64. */
export function hammingDistance(a: SimHash, b: SimHash): number {
  return bitCount(a.high ^ b.high) + bitCount(a.low ^ b.low)
}

/**
 * 64 bits of a text for comparison on this daemon only: fast, well mixed, and no match for someone who wants two texts
 * to collide. Two FNV-1a walks with different starts, each finished by the mixer of MurmurHash3.
 */
export function hashText(text: string): SimHash {
  let high = 0x811c9dc5
  let low = 0x3c6ef372
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 0x01000193)
    low = Math.imul(low ^ unit, 0x01000193)
  }
  return { high: mix(high), low: mix(low ^ text.length) }
}

function mix(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

function bitCount(value: number): number {
  let x = value - ((value >>> 1) & 0x55555555)
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333)
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
