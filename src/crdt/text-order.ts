/**
 * The one order of texts that all machines share: the order of their UTF-8 bytes, which is the order of their code
 * points. JavaScript compares UTF-16 units instead, and the two disagree where a character beyond U+FFFF meets one from
 * U+E000 to U+FFFF; a second implementation in another language would sort those differently.
 *
 * It is a byte order only: it knows no language, no case and no equivalence of composed characters.
 */

const SURROGATES_FROM = 0xd800
const SURROGATES_TO = 0xdfff

/** Negative, zero or positive, as for Array.prototype.sort. Both texts are free of lone surrogates. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** Half of a pair belongs to a code point above every single unit, so it is lifted over U+FFFF. */
function rank(unit: number): number {
  return unit >= SURROGATES_FROM && unit <= SURROGATES_TO ? unit + 0x10000 : unit
}
