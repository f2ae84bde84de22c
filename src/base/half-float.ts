/**
 * Numbers of 16 bits (IEEE 754 binary16), in which vectors are stored: of a vector of length 1 they keep the cosine to
 * about 0.0005, in half the bytes of a float. Rounded to the nearest, ties to even.
 *
 * Reading goes through one table of all 65,536 values, because it is done for every component of a comparison.
 */
const FLOAT = new Float32Array(1)
const BITS = new Uint32Array(FLOAT.buffer)

/** The nearest half of a finite number; what is too large becomes an infinity. */
export function halfOf(value: number): number {
  FLOAT[0] = value
  const bits = BITS[0] as number
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00)
  if (magnitude < 0x38800000) {
    // Below the least normal half steps are 2^-24 apart; the product is exact, so Math.round only has ties to mend.
    const steps = Math.abs(FLOAT[0] as number) * 16_777_216
    const down = Math.floor(steps)
    const rest = steps - down
    return sign | (down + (rest > 0.5 || (rest === 0.5 && (down & 1) === 1) ? 1 : 0))
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

function floatOf(half: number): number {
  const sign = (half & 0x8000) === 0 ? 1 : -1
  const exponent = (half >>> 10) & 31
  const fraction = half & 0x3ff
  if (exponent === 0) return (sign * fraction) / 16_777_216
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15)
}

/** The value of every half, by its bits. */
export const HALF_VALUES: Float32Array = Float32Array.from({ length: 65_536 }, (_, half) => floatOf(half))

/** A fresh array. */
export function toHalves(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) halves[i] = halfOf(values[i] as number)
  return halves
}

/** A fresh array. */
export function fromHalves(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) values[i] = HALF_VALUES[halves[i] as number] as number
  return values
}
