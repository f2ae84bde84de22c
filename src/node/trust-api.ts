/** What the engine offers about trust: opinions of the owner, and what is hidden or doubtful. Plain JSON-able data. */
import type { Opinion } from '../trust/tier.ts'
import type { MemoryItem } from './api.ts'

// The doors above may not reach below the engine; these words are part of what it offers.
export { mayClaim, OPINIONS, TRUST_TIERS, type Opinion } from '../trust/tier.ts'

/** An opinion of the owner of this daemon about another author. */
export interface TrustEntry {
  readonly peer: string
  readonly author: string
  readonly tier: Opinion
  /** When it was formed. */
  readonly atMs: number
  readonly reason: string | null
}

export interface TrustList {
  /** What is thought of everybody else. */
  readonly newcomers: Opinion
  readonly entries: readonly TrustEntry[]
}

export interface TrustRequest {
  /** Peer id or raw key. */
  readonly peer: string
  /** null takes the opinion back. */
  readonly tier: Opinion | null
  readonly reason?: string
}

/**
 * hidden: not recalled by default, for whom it comes from · flagged: odd content · disputed: voted against by somebody,
 * or by a quorum.
 */
export const REVIEW_REASONS = ['hidden', 'flagged', 'disputed'] as const
export type ReviewReason = (typeof REVIEW_REASONS)[number]

export interface ReviewRequest {
  /** Every space when omitted. */
  readonly space?: string
  readonly limit?: number
  /** From a previous answer. */
  readonly cursor?: string
}

export interface ReviewAnswer {
  readonly items: readonly (MemoryItem & { readonly reasons: readonly ReviewReason[] })[]
  readonly cursor: string | null
}

export interface TrustApi {
  /** What the owner thinks of other authors. */
  trustList(): TrustList
  /** Forms an opinion, felt by everything that author had a hand in from the next question on. */
  trustPeer(request: TrustRequest): Promise<TrustEntry>
  /** Memories that want somebody to look at them, newest first. */
  review(request: ReviewRequest): Promise<ReviewAnswer>
}
