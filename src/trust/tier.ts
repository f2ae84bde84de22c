/**
 * How far a memory may be believed, from its inputs: who created it, who wrote the words now shown, what those two say
 * of where the words came from, and what it was made from. The tier is the least of them all, so that a summary of a
 * text from the web is worth what that text is worth, however often it is summarised and by whom.
 *
 * No tier is stored or sent anywhere: it follows from inputs at reading. Blocking an author, or unblocking it, therefore
 * changes everything that descends from it at once. A ballot of the roster is the one way up. What reads the inputs from
 * records, and walks the lineage, is node/trust-judge.ts.
 */
import { ORIGIN_CLASSES, type OriginClass } from '../memory/ops.ts'

/** From nothing to all; the order counts. */
export const TRUST_TIERS = ['blocked', 'untrusted', 'unknown', 'known', 'trusted', 'validated'] as const
export type TrustTier = (typeof TRUST_TIERS)[number]

/** What a reader may think of an author. `validated` is for memories only: a ballot is about a text, not about a peer. */
export const OPINIONS = ['blocked', 'untrusted', 'unknown', 'known', 'trusted'] as const
export type Opinion = (typeof OPINIONS)[number]

/** What the tier does to a score. */
export const TRUST_FACTOR: Readonly<Record<TrustTier, number>> = {
  blocked: 0,
  untrusted: 0.25,
  unknown: 0.5,
  known: 0.8,
  trusted: 1,
  validated: 1.1
}

/** What a text of this origin can be worth at most. Anybody may have written a document; what was derived is worth what it was derived from. */
export const CLASS_TIER: Readonly<Record<OriginClass, Opinion>> = {
  user: 'trusted',
  self: 'trusted',
  tool: 'known',
  peer: 'known',
  document: 'untrusted',
  import: 'unknown',
  derived: 'trusted'
}

export function tierRank(tier: TrustTier): number {
  return TRUST_TIERS.indexOf(tier)
}

/** The lesser of two. */
export function leastTier<T extends TrustTier>(a: T, b: T): T {
  return tierRank(b) < tierRank(a) ? b : a
}

/** Whether a memory of this tier is shown to one who asks for `least`. `any` shows all but what is blocked. */
export function reaches(tier: TrustTier, least: TrustTier | 'any'): boolean {
  return tierRank(tier) >= (least === 'any' ? tierRank('untrusted') : tierRank(least))
}

/** Least tier of some classes; `trusted` for none, because a claim not made lowers nothing. */
export function tierOfClasses(classes: Iterable<OriginClass>): Opinion {
  let least: Opinion = 'trusted'
  for (const origin of classes) least = leastTier(least, CLASS_TIER[origin])
  return least
}

/** The class that is worth least, and of equal ones the last of the table; undefined for none. */
export function worstClass(classes: Iterable<OriginClass>): OriginClass | undefined {
  let worst: OriginClass | undefined
  for (const origin of classes) {
    if (worst === undefined || compareClasses(origin, worst) < 0) worst = origin
  }
  return worst
}

/**
 * Whether somebody who may claim `entitled` may claim `wanted`: what it was given, or anything that is worth strictly
 * less than the best of it. `derived` alone would be worth as much as anything and can only be added to another.
 */
export function mayClaim(entitled: readonly OriginClass[], wanted: OriginClass): boolean {
  if (entitled.includes(wanted)) return true
  if (wanted === 'derived') return false
  const best = Math.max(-1, ...entitled.map((origin) => tierRank(CLASS_TIER[origin])))
  return tierRank(CLASS_TIER[wanted]) < best
}

/** Worst first. */
function compareClasses(a: OriginClass, b: OriginClass): number {
  return tierRank(CLASS_TIER[a]) - tierRank(CLASS_TIER[b]) || ORIGIN_CLASSES.indexOf(b) - ORIGIN_CLASSES.indexOf(a)
}
