/**
 * The count of a ballot on one memory. The electorate is a named roster, never the open network: identities are free,
 * so a share of "everyone" means nothing. A quorum is more than two thirds of the roster, abstentions included; below
 * it the answer is `unverified` and no number is given, because a number would be believed. The confidences of those
 * who took a side are shown as mean, median and trimmed mean (trust/statistics.ts); the mean is for comparison only,
 * one liar moves it.
 *
 * With fewer than a third of the roster lying, `validated` and `disputed` cannot both be reached by lies, and median
 * and trimmed mean stay within the honest range as long as liars are fewer than a third of the votes cast. A ballot
 * says what a roster believes, not what is true.
 */
import { assert } from '../base/assert.ts'
import type { AuthorId } from '../memory/ids.ts'
import { BASIS_POINTS, type BallotVerdict } from '../memory/ops.ts'
import { mean, median, trimFor, trimmedMean } from './statistics.ts'

export interface BallotVote {
  readonly voter: AuthorId
  readonly verdict: BallotVerdict
  /** Basis points: how sure the voter is that the memory holds. Of no effect in an abstention. */
  readonly confidence: number
}

export interface Ballot {
  /** The latest vote of each voter: one entry a voter, in any order. */
  readonly votes: readonly BallotVote[]
  /** Who may vote, in the form of `BallotVote.voter`. Repetitions count once. */
  readonly roster: readonly AuthorId[]
  /** Authors proven to have signed two deltas with one sequence number. */
  readonly equivocators: ReadonlySet<AuthorId>
}

export interface Tally {
  /** Voters of the roster. Proven equivocators stay in it: a proof must not make a quorum easier to reach. */
  readonly electorate: number
  /** Votes that count, abstentions included. */
  readonly cast: number
  readonly confirm: number
  readonly dispute: number
  readonly abstain: number
  readonly flag: number
  /** Seen but not counted: not on the roster, or proven equivocators. */
  readonly uncounted: number
  readonly quorum: boolean
  readonly status: 'unverified' | 'validated' | 'disputed' | 'split'
  /** The numbers are absent below quorum, and when everyone abstained. 0 to 1. */
  readonly mean?: number
  readonly median?: number
  readonly trimmedMean?: number
  /** Votes dropped at each end for the trimmed mean. */
  readonly trimmedPerSide?: number
}

/** Counts a ballot. A pure function of the sets given: the order of votes and roster cannot show in the answer. */
export function tally(ballot: Ballot): Tally {
  const roster = new Set(ballot.roster)
  const counts = { confirm: 0, dispute: 0, abstain: 0, flag: 0 }
  const confidences: number[] = []
  const seen = new Set<AuthorId>()
  let uncounted = 0
  for (const vote of ballot.votes) {
    assert(!seen.has(vote.voter), 'a voter has one vote')
    seen.add(vote.voter)
    if (!roster.has(vote.voter) || ballot.equivocators.has(vote.voter)) {
      uncounted++
      continue
    }
    counts[vote.verdict]++
    if (vote.verdict !== 'abstain') confidences.push(vote.confidence)
  }
  const electorate = roster.size
  const cast = seen.size - uncounted
  const quorum = exceedsTwoThirds(cast, electorate)
  const base = { electorate, cast, ...counts, uncounted, quorum }
  if (!quorum) return { ...base, status: 'unverified' }
  return { ...base, status: statusOf(counts, electorate), ...numbersOf(confidences) }
}

/** Strictly more than two thirds, in whole numbers. Of nothing there is no majority. */
export function exceedsTwoThirds(part: number, whole: number): boolean {
  return whole > 0 && part * 3 > whole * 2
}

/** A majority is taken of the whole roster, so those who stayed away count against either side alike. */
function statusOf(
  counts: { readonly confirm: number; readonly dispute: number; readonly flag: number },
  electorate: number
): Tally['status'] {
  if (exceedsTwoThirds(counts.confirm, electorate)) return 'validated'
  if (exceedsTwoThirds(counts.dispute + counts.flag, electorate)) return 'disputed'
  return 'split'
}

type Numbers = Pick<Tally, 'mean' | 'median' | 'trimmedMean' | 'trimmedPerSide'>

function numbersOf(confidences: readonly number[]): Numbers {
  const trimmedPerSide = trimFor(confidences.length)
  const average = mean(confidences)
  const middle = median(confidences)
  const trimmed = trimmedMean(confidences, trimmedPerSide)
  if (average === undefined || middle === undefined || trimmed === undefined) return {}
  return {
    mean: average / BASIS_POINTS,
    median: middle / BASIS_POINTS,
    trimmedMean: trimmed / BASIS_POINTS,
    trimmedPerSide
  }
}
