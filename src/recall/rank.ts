/**
 * From candidates to an answer. Three rankings, each a product or sum of a few named factors, all of which `explain`
 * shows:
 *
 * - `fused`: relevance (fuse.ts) × trust × recency × importance × novelty.
 * - `collective`: (similarity · 0.5 + confidence · 0.3 + min(access / 100, 1) · 0.2) × trust.
 * - `jaccard`: (Jaccard similarity + 1 when pinned) × trust: what is pinned comes first.
 *
 * recency = max(½, 2^(−age / half-life)) with a half-life by kind; importance = 0.9 + 0.2 × effective importance; a
 * text that nearly repeats a better hit has novelty ½. Then no author gets more than half of the answer while others
 * have something to say. Access counts never reach `fused`: whoever is read often would be read ever more.
 */
import { compareText } from '../base/bytes.ts'
import type { Kind } from '../memory/ops.ts'
import type { RecallDoc } from './recall-doc.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, type SimHash } from './similarity.ts'

const DAY_MS = 86_400_000

/** Days until a record of this kind counts half as much. A kind that is absent does not age. */
const HALF_LIFE_DAYS: Partial<Record<Kind, number>> = { signal: 1, observation: 14, fact: 180 }
const RECENCY_MIN = 0.5
/** What is assumed of a record that nobody rated. */
const UNRATED = 0.5
const ACCESSES_FULL = 100
const REPEAT_NOVELTY = 0.5

/** Every factor of a score by name. */
export type Factors = Readonly<Record<string, number>>

export interface Candidate {
  /** Names the record across spaces. */
  readonly key: string
  readonly doc: RecallDoc
  /** Undefined for a text without words. */
  readonly simHash: SimHash | undefined
  /** 0 to 1, of this query: fused ranks; and the plain similarities the classic rankings use. */
  readonly relevance: number
  readonly similarity: number
  readonly jaccard: number
  /** 0 hides, 1 is neutral. */
  readonly trust: number
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

/** Relevance first; what the record is worth by itself moves it within bounds. */
export function rankFused(candidates: readonly Candidate[], nowMs: number): Ranked[] {
  return sortRanked(
    candidates.map((candidate) => {
      const { doc, relevance, trust } = candidate
      const recency = recencyOf(doc, nowMs)
      const importance = importanceFactorOf(doc)
      const score = relevance * trust * recency * importance
      return { candidate, score, factors: { relevance, trust, recency, importance } }
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

/**
 * Halves the score of each hit among the first `depth` that nearly repeats the words of a better one, and sorts again.
 * It is still there: a repetition by another author is a second witness.
 */
export function demoteRepeats(ranked: readonly Ranked[], depth: number): Ranked[] {
  const originals: SimHash[] = []
  const judged = ranked.map((hit, index): Ranked => {
    const { simHash } = hit.candidate
    if (index >= depth || simHash === undefined) return hit
    const repeats = originals.some((original) => hammingDistance(original, simHash) <= NEAR_DUPLICATE_BITS)
    if (!repeats) {
      originals.push(simHash)
      return { ...hit, factors: { ...hit.factors, novelty: 1 } }
    }
    return {
      ...hit,
      score: hit.score * REPEAT_NOVELTY,
      factors: { ...hit.factors, novelty: REPEAT_NOVELTY }
    }
  })
  return sortRanked(judged)
}

/**
 * The first `limit` hits with at most ⌈limit / 2⌉ of one author, as long as others have hits to fill the rest; what was
 * passed over fills what they leave empty. Best first.
 */
export function capAuthors(ranked: readonly Ranked[], limit: number): Ranked[] {
  const share = Math.ceil(limit / 2)
  const taken = new Map<string, number>()
  const chosen: number[] = []
  const passedOver: number[] = []
  for (let index = 0; index < ranked.length && chosen.length < limit; index++) {
    const { author } = (ranked[index] as Ranked).candidate.doc
    const count = taken.get(author) ?? 0
    if (count >= share) passedOver.push(index)
    else {
      taken.set(author, count + 1)
      chosen.push(index)
    }
  }
  for (const index of passedOver) {
    if (chosen.length >= limit) break
    chosen.push(index)
  }
  return chosen.sort((a, b) => a - b).map((index) => ranked[index] as Ranked)
}

/** Best first; equal scores by id and then space, so that the answer never depends on insertion. */
function sortRanked(ranked: Ranked[]): Ranked[] {
  return ranked.sort((a, b) => b.score - a.score || compareText(a.candidate.key, b.candidate.key))
}
