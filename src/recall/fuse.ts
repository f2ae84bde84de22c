/**
 * Reciprocal rank fusion: one order out of several (Cormack, Clarke and Büttcher 2009). score(d) = Σ over lists of
 * weight / (60 + rank of d), ranks from 1. Only ranks are read, so scores of different kinds never need a common scale,
 * and one list cannot shout the others down.
 *
 * What a list cannot tell apart shares a rank: between equal evidence other things than the order of a list decide.
 */

/** The constant of the paper: how little the very first places matter. */
const K = 60

export interface RankedList {
  readonly weight: number
  /** Best first, each at most once. */
  readonly keys: readonly string[]
  /** By which the list is ordered, as long as `keys`. Without scores no two share a rank. */
  readonly scores?: readonly number[]
}

/** Fused scores, scaled so that the first place in every list that is not empty makes 1. */
export function reciprocalRankFusion(lists: readonly RankedList[]): Map<string, number> {
  const scores = new Map<string, number>()
  let weightSum = 0
  for (const { weight, keys } of lists) if (keys.length > 0) weightSum += weight
  const scale = (K + 1) / weightSum
  for (const list of lists) {
    eachRank(list, (key, rank) => scores.set(key, (scores.get(key) ?? 0) + (scale * list.weight) / (K + rank)))
  }
  return scores
}

/** The rank of each key in one list, from 1; equal scores share the better one. */
export function ranksOf(list: Omit<RankedList, 'weight'>): Map<string, number> {
  const ranks = new Map<string, number>()
  eachRank(list, (key, rank) => ranks.set(key, rank))
  return ranks
}

function eachRank({ keys, scores }: Omit<RankedList, 'weight'>, visit: (key: string, rank: number) => void): void {
  let rank = 0
  keys.forEach((key, index) => {
    if (scores === undefined || index === 0 || scores[index] !== scores[index - 1]) rank = index + 1
    visit(key, rank)
  })
}
