/**
 * From a ranking to an answer: no text twice, and no author alone.
 *
 * - Collapse: what nearly repeats a better hit of the same author counts a tenth, and of another author at most half:
 *   that one is a second witness.
 * - Sameness: maximal marginal relevance (Carbonell and Goldstein 1998) on SimHash. The paper takes, one after the
 *   other, the hit with the greatest λ·relevance − (1 − λ)·likeness to what was taken; here both sides are divided by
 *   λ·relevance, which makes the penalty a factor, novelty = 1 − likeness · (1 − λ)/λ. The order of the first picks is
 *   the same, scores stay products, and each pick scores at most what the one before did.
 * - Cap: one author gives at most 30 % of the answer while others have something to say. What they leave empty is
 *   filled with what was held back, the best first and copies last.
 *
 * Likeness is 1 for near duplicates and 0 from 20 differing bits on: two unrelated texts differ in 32 of 64 bits, give
 * or take 4, so smaller differences than these are no accident.
 */
import type { Ranked } from './rank.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, type SimHash } from './similarity.ts'

/** The part of an answer one author may fill while others have something to say. */
const AUTHOR_SHARE = 0.3
const UNLIKE_BITS = 20
const COPY_NOVELTY = 0.1
const WITNESS_NOVELTY = 0.5

export interface PickOptions {
  readonly limit: number
  /** 0 to 1: λ of maximal marginal relevance. 1: only copies are held back. */
  readonly mmr: number
}

/** 0 to 1. A text without words is like no other. */
export function likenessOf(a: SimHash | undefined, b: SimHash | undefined): number {
  if (a === undefined || b === undefined) return 0
  const distance = hammingDistance(a, b)
  if (distance <= NEAR_DUPLICATE_BITS) return 1
  return Math.max(0, (UNLIKE_BITS - distance) / (UNLIKE_BITS - NEAR_DUPLICATE_BITS))
}

/** Hits of one author in an answer of `limit` while others have something to say. */
export function authorShare(limit: number): number {
  return Math.max(1, Math.floor(AUTHOR_SHARE * limit))
}

/** At most `limit` of the ranked hits, best first, each with its `novelty` among the factors. */
export function pickDiverse(ranked: readonly Ranked[], { limit, mmr }: PickOptions): Ranked[] {
  let rest = ranked.map((hit): Open => ({ hit, novelty: 1, compared: 0, isCopy: false }))
  const picks: Ranked[] = []
  const cap = new AuthorCap(limit, ranked)
  while (rest.length > 0 && !cap.isFull) {
    const [best] = rest.splice(bestOf(rest, picks, mmr), 1) as [Open]
    // Whatever is like a copy is like the text it was copied from.
    if (!best.isCopy) picks.push(best.hit)
    if (cap.offer(settled(best), best.isCopy)) continue
    const { author } = best.hit.candidate.doc
    if (cap.hasEnough) rest = rest.filter((open) => open.hit.candidate.doc.author !== author)
  }
  return cap.chosen()
}

/** The same without regard to sameness, for the classic rankings: their scores stay as they are. */
export function pickCapped(ranked: readonly Ranked[], limit: number): Ranked[] {
  const cap = new AuthorCap(limit, ranked)
  for (const hit of ranked) {
    if (cap.isFull) break
    cap.offer(hit, false)
  }
  return cap.chosen()
}

/** A hit that is not picked yet. */
interface Open {
  readonly hit: Ranked
  /** Against the first `compared` picks. */
  novelty: number
  compared: number
  /** Whether it nearly repeats a pick of its own author. */
  isCopy: boolean
}

function settled({ hit, novelty }: Open): Ranked {
  return { ...hit, score: hit.score * novelty, factors: { ...hit.factors, novelty } }
}

/**
 * The place of the hit with the greatest score × novelty. Novelty only falls, so a hit whose plain score is below the
 * best so far ends the search: the list is in order of plain scores.
 */
function bestOf(rest: readonly Open[], picks: readonly Ranked[], mmr: number): number {
  let best = 0
  let bestScore = -1
  for (let i = 0; i < rest.length; i++) {
    const open = rest[i] as Open
    if (open.hit.score <= bestScore) break
    for (; open.compared < picks.length; open.compared++) judge(open, picks[open.compared] as Ranked, mmr)
    const score = open.hit.score * open.novelty
    if (score > bestScore) {
      best = i
      bestScore = score
    }
  }
  return best
}

function judge(open: Open, pick: Ranked, mmr: number): void {
  const { candidate } = open.hit
  const likeness = likenessOf(candidate.simHash, pick.candidate.simHash)
  if (likeness === 0) return
  const penalty = mmr >= 1 ? 0 : mmr <= 0 ? 1 : (likeness * (1 - mmr)) / mmr
  let novelty = Math.max(0, 1 - penalty)
  if (likeness === 1) {
    const isCopy = candidate.doc.author === pick.candidate.doc.author
    open.isCopy ||= isCopy
    novelty = Math.min(novelty, isCopy ? COPY_NOVELTY : WITNESS_NOVELTY)
  }
  open.novelty = Math.min(open.novelty, novelty)
}

/** Takes hits best first, and holds back those of an author who has had a share. */
class AuthorCap {
  readonly #limit: number
  readonly #share: number
  readonly #taken = new Map<string, number>()
  readonly #chosen: Ranked[] = []
  readonly #heldBack: Ranked[] = []
  readonly #copies: Ranked[] = []

  constructor(limit: number, ranked: readonly Ranked[]) {
    this.#limit = limit
    const author = ranked[0]?.candidate.doc.author
    const isAlone = ranked.every((hit) => hit.candidate.doc.author === author)
    this.#share = isAlone ? limit : authorShare(limit)
  }

  get isFull(): boolean {
    return this.#chosen.length >= this.#limit
  }

  /** Whether enough was held back to fill the answer: what its authors have beside that need not be looked at. */
  get hasEnough(): boolean {
    return this.#heldBack.length >= this.#limit
  }

  /** False when the hit was held back. */
  offer(hit: Ranked, isCopy: boolean): boolean {
    const { author } = hit.candidate.doc
    const count = this.#taken.get(author) ?? 0
    if (count >= this.#share) {
      const held = isCopy ? this.#copies : this.#heldBack
      held.push(hit)
      return false
    }
    this.#taken.set(author, count + 1)
    this.#chosen.push(hit)
    return true
  }

  /** What was held back fills what is empty. Best first. */
  chosen(): Ranked[] {
    const room = this.#limit - this.#chosen.length
    const filling = [...this.#heldBack, ...this.#copies].slice(0, room)
    return [...this.#chosen, ...filling].sort((a, b) => b.score - a.score)
  }
}
