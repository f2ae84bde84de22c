/**
 * Reciprocal rank fusion: one order out of several (Cormack, Clarke and Büttcher 2009). score(d) = Σ over lists of
 * weight / (60 + rank of d), ranks from 1. Only ranks are read, so scores of different kinds never need a common scale,
 * and one list cannot shout the others down.
 */

/** The constant of the paper: how little the very first places matter. */
const K = 60

export interface RankedList {
  readonly weight: number
  /** Best first, each at most once. */
  readonly keys: readonly string[]
}

/** Fused scores, scaled so that the first place in every list that is not empty makes 1. */
export function reciprocalRankFusion(lists: readonly RankedList[]): Map<string, number> {
  const scores = new Map<string, number>()
  let weightSum = 0
  for (const { weight, keys } of lists) if (keys.length > 0) weightSum += weight
  const scale = (K + 1) / weightSum
  for (const { weight, keys } of lists) {
    keys.forEach((key, index) => {
      scores.set(key, (scores.get(key) ?? 0) + (scale * weight) / (K + index + 1))
    })
  }
  return scores
}
