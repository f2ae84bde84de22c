/** What a search makes of trust: who is shown, what it does to a score, and whose word hides the words of others. */
import type { RecallDoc } from '../recall/recall-doc.ts'
import { reaches, TRUST_FACTOR, TRUST_TIERS, type TrustTier } from '../trust/tier.ts'
import type { MinTrust } from './api.ts'
import type { TrustJudge } from './trust-judge.ts'

/** What is blocked is shown only to who asks for it by name, last. */
const BLOCKED_FACTOR = 0.1

export interface TrustFilter {
  readonly trustOf: (doc: RecallDoc) => number
  readonly maySupersede: (doc: RecallDoc) => boolean
}

/** Hides what does not reach `least`. Only what is `known` or better, and shown, hides what it supersedes. */
export function trustAtLeast(judge: Pick<TrustJudge, 'tierOf'>, least: MinTrust): TrustFilter {
  const factors = Object.fromEntries(
    TRUST_TIERS.map((tier) => [tier, reaches(tier, least) ? Math.max(TRUST_FACTOR[tier], BLOCKED_FACTOR) : 0])
  ) as Record<TrustTier, number>
  return {
    trustOf: (doc) => factors[judge.tierOf(doc)],
    maySupersede: (doc) => {
      const tier = judge.tierOf(doc)
      return factors[tier] > 0 && reaches(tier, 'known')
    }
  }
}
