/**
 * Numbers somebody else made, as a vector of length 1: the form in which vectors are stored and compared. A vector with a
 * component that is no finite number, or without a length, has no direction, and would be near to everything or nothing.
 */

/** Below this the direction of a vector is rounding noise. */
const LENGTH_MIN = 1e-12

/** A fresh array; undefined when these numbers have no direction. */
export function unitVector(numbers: readonly unknown[]): Float32Array | undefined {
  let squares = 0
  for (const component of numbers) {
    if (typeof component !== 'number' || !Number.isFinite(component)) return undefined
    squares += component * component
  }
  const length = Math.sqrt(squares)
  // Also when the squares overflow.
  if (!Number.isFinite(length) || length < LENGTH_MIN) return undefined
  return Float32Array.from(numbers as readonly number[], (component) => component / length)
}
