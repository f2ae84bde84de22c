/**
 * The value that separates the best few from the rest, without sorting the rest: quickselect (Hoare 1961) with the
 * median of three as pivot. Expected time is linear; equal values cost nothing extra.
 */
import { assert } from '../base/assert.ts'

/** The `rank`-th greatest (from 1) of the first `count` values, which are left in another order. */
export function greatest(values: Float64Array, count: number, rank: number): number {
  assert(rank >= 1 && rank <= count && count <= values.length, 'the rank is within the values')
  const place = rank - 1
  let low = 0
  let high = count - 1
  while (low < high) {
    const pivot = medianOfThree(values[low] as number, values[(low + high) >> 1] as number, values[high] as number)
    let left = low
    let right = high
    while (left <= right) {
      while ((values[left] as number) > pivot) left++
      while ((values[right] as number) < pivot) right--
      if (left > right) break
      const swapped = values[left] as number
      values[left++] = values[right] as number
      values[right--] = swapped
    }
    // Now everything up to `right` is at least the pivot, everything from `left` at most; between them lies the pivot.
    if (place <= right) high = right
    else if (place >= left) low = left
    else return pivot
  }
  return values[place] as number
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
}
