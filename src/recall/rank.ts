/**
 * What each candidate is worth. Three rankings, each a product or sum of a few named factors, all of which `explain`
 * shows:
 *
 * - `fused`: relevance (fuse.ts) × strength × trust × recency × importance × caution; pick.ts adds novelty.
 * - `collective`: (similarity · 0.5 + confidence · 0.3 + min(access / 100, 1) · 0.2) × trust.
 * - `jaccard`: (Jaccard similarity + 1 when pinned) × trust: what is pinned comes first.
 *
 * Fused ranks alone say little about how much better the first is than the second, so that a record of importance 1
 * would overtake a text that holds the very word which was asked for. `strength` brings that back: 0.25 + 0.75 × the
 * best evidence of the record, as a share of the best of its kind. Between equal evidence importance decides, and a
 * text with three quarters of the evidence of another cannot pass it by importance alone.
 *
 * recency = max(½, 2^(−age / half-life)) with a half-life by kind; importance = 0.9 + 0.2 × effective importance;
 * caution = 0.7 for a text that gives orders to its reader. Access counts never reach `fused`: whoever is read often
 * would be read ever more.
 */
import { compareText } from '../base/bytes.ts'
import type { Kind } from '../memory/ops.ts'
import type { RecallDoc } from './recall-doc.ts'
import type { SimHash } from './similarity.ts'

const DAY_MS = 86_400_000

/** Days until a record of this kind counts half as much. A kind that is absent does not age. */
const HALF_LIFE_DAYS: Partial<Record<Kind, number>> = { signal: 1, observation: 14, fact: 180 }
const RECENCY_MIN = 0.5
/** What is assumed of a record that nobody rated. */
const UNRATED = 0.5
const ACCESSES_FULL = 100
/** What weak evidence still counts: a neighbour of a good hit has none of its own. */
const STRENGTH_MIN = 0.25
/** The flag of a text that tells its reader what to do, and how much it is held back: shown, but not first. */
const IMPERATIVE = 'imperative'
const IMPERATIVE_CAUTION = 0.7

/** Every factor of a score by name. */
export type Factors = Readonly<Record<string, number>>

export interface Candidate {
  /** Names the record across spaces. */
  readonly key: string
  readonly doc: RecallDoc
  /** Undefined for a text without words. */
  readonly simHash: SimHash | undefined
  /** 0 to 1, of this query: fused ranks, and the best evidence as a share of the best of its kind. */
  readonly relevance: number
  readonly evidence: number
  /** 0 to 1: the plain similarities the classic rankings use. */
  readonly similarity: number
  readonly jaccard: number
  /** 0 hides, 1 is neutral. */
  readonly trust: number
  /** What each source said, by name, for `explain`: `bm25`, `bm25Rank`, `vectorRank` and so on. */
  readonly sources?: Factors
}

export interface Ranked {
  readonly candidate: Candidate
  readonly score: number
  readonly factors: Factors
}

/** 1 for what is new, pinned or of a kind that does not age; never under ½. A time ahead of `nowMs` counts as now. */
export function recencyOf(doc: RecallDoc, nowMs: number): number {
  const halfLifeDays = HALF_LIFE_DAYS[doc.kind]
  if (doc.pinned || halfLifeDays === undefined) return 1
  const ageDays = Math.max(0, nowMs - doc.updatedAt) / DAY_MS
  return Math.max(RECENCY_MIN, 2 ** (-ageDays / halfLifeDays))
}

/** 0.9 to 1.1. */
export function importanceFactorOf(doc: RecallDoc): number {
  return 0.9 + 0.2 * (doc.importance ?? UNRATED)
}

/** 0.25 to 1. */
export function strengthOf(evidence: number): number {
  return STRENGTH_MIN + (1 - STRENGTH_MIN) * evidence
}

/** 0.7 for a text flagged as giving orders, else 1. */
export function cautionOf(doc: RecallDoc): number {
  return doc.flags.includes(IMPERATIVE) ? IMPERATIVE_CAUTION : 1
}

/** Relevance first; what the record is worth by itself moves it within bounds. */
export function rankFused(candidates: readonly Candidate[], nowMs: number): Ranked[] {
  return sortRanked(
    candidates.map((candidate) => {
      const { doc, relevance, trust } = candidate
      const strength = strengthOf(candidate.evidence)
      const recency = recencyOf(doc, nowMs)
      const importance = importanceFactorOf(doc)
      const caution = cautionOf(doc)
      const score = relevance * strength * trust * recency * importance * caution
      return { candidate, score, factors: { relevance, strength, trust, recency, importance, caution } }
    })
  )
}

/** The classic score of a collective: likeness, conviction and use. */
export function rankCollective(candidates: readonly Candidate[]): Ranked[] {
  return sortRanked(
    candidates.map((candidate) => {
      const { doc, similarity, trust } = candidate
      const confidence = doc.confidence ?? UNRATED
      const access = Math.min(doc.accessCount / ACCESSES_FULL, 1)
      const score = (similarity * 0.5 + confidence * 0.3 + access * 0.2) * trust
      return { candidate, score, factors: { similarity, confidence, access, trust } }
    })
  )
}

/** The classic order by shared words, pinned records before all others. */
export function rankJaccard(candidates: readonly Candidate[]): Ranked[] {
  return sortRanked(
    candidates.map((candidate) => {
      const { doc, jaccard, trust } = candidate
      const pinned = doc.pinned ? 1 : 0
      return { candidate, score: (jaccard + pinned) * trust, factors: { jaccard, pinned, trust } }
    })
  )
}

/** Best first; equal scores by id and then space, so that the answer never depends on insertion. Sorts in place. */
export function sortRanked(ranked: Ranked[]): Ranked[] {
  return ranked.sort((a, b) => b.score - a.score || compareText(a.candidate.key, b.candidate.key))
}
