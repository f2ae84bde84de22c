/**
 * As many hits as fit a number of tokens (base/tokens.ts). The best hit is always given, because an answer of nothing
 * helps nobody; if it alone is too large the answer is that hit. Behind it, what does not fit is passed over, and a
 * smaller one may still find room.
 */
import { itemTokens } from '../base/tokens.ts'

export interface Budgeted<T> {
  readonly items: readonly T[]
  /** Estimated tokens of `items`. */
  readonly usedTokens: number
  /** Something was left out, or the only item is larger than the budget. */
  readonly overflow: boolean
}

/** `items` best first; without a budget all of them. */
export function fillBudget<T extends { readonly content: string | null }>(
  items: readonly T[],
  budgetTokens: number | undefined
): Budgeted<T> {
  const budget = budgetTokens ?? Infinity
  const kept: T[] = []
  let usedTokens = 0
  for (const item of items) {
    const tokens = itemTokens(item.content)
    if (kept.length > 0 && usedTokens + tokens > budget) continue
    kept.push(item)
    usedTokens += tokens
  }
  return { items: kept, usedTokens, overflow: kept.length < items.length || usedTokens > budget }
}
