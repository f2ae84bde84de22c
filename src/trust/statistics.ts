/**
 * Mean, median and trimmed mean over whole numbers. The inputs are basis points, so every sum is an exact integer and
 * each answer is made by exactly one division: the same bits on every machine, in every order of arrival. The trimmed
 * mean drops k values at each end; with at most k liars among the inputs what is left lies between the least and the
 * greatest honest value (Yin, Chen, Ramchandran and Bartlett 2018, "Byzantine-Robust Distributed Learning", §4).
 *
 * None of these says who is honest; they only bound what a minority can do to one number.
 */
import { assert } from '../base/assert.ts'

/** The answer is in the unit of `values`; undefined when there are none. */
export function mean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined
  return exactSum(values) / values.length
}

/** The middle value, or the mean of the two middle ones; undefined when there are none. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined
  const sorted = sortWhole(values)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/**
 * The mean of what is left when the `perSide` least and the `perSide` greatest values are dropped; undefined when
 * nothing is left. `perSide` is a whole number, 0 for the plain mean.
 */
export function trimmedMean(values: readonly number[], perSide: number): number | undefined {
  assert(Number.isSafeInteger(perSide) && perSide >= 0, 'a whole number of values is trimmed')
  if (values.length <= 2 * perSide) return undefined
  return mean(sortWhole(values).slice(perSide, values.length - perSide))
}

/** Values to drop at each end so that fewer than a third of `count` liars cannot move the mean out of honest hands. */
export function trimFor(count: number): number {
  return count === 0 ? 0 : Math.floor((count - 1) / 3)
}

function sortWhole(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b)
}

/** Integers below 2^53 add without rounding, so the order of addition cannot show. */
function exactSum(values: readonly number[]): number {
  let sum = 0
  for (const value of values) {
    assert(Number.isSafeInteger(value), 'statistics are taken over whole numbers')
    sum += value
  }
  assert(Number.isSafeInteger(sum), 'the sum is exact')
  return sum
}
