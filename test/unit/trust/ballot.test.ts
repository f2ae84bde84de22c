import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BallotVerdict } from '../../../src/memory/ops.ts'
import { tally, type BallotVote } from '../../../src/trust/ballot.ts'

const roster = (size: number): string[] => Array.from({ length: size }, (_, i) => `voter${i}`)

function votes(verdict: BallotVerdict, confidences: number[], from = 0): BallotVote[] {
  return confidences.map((confidence, i) => ({ voter: `voter${from + i}`, verdict, confidence }))
}

const none: ReadonlySet<string> = new Set()

describe('tally', () => {
  it('gives the check vector of the design', () => {
    const cast = [
      ...votes('confirm', [9_000, 8_500, 9_000, 8_800, 9_200, 8_700, 9_100]),
      ...votes('dispute', [0, 1_000, 500], 7)
    ]
    assert.deepEqual(tally({ votes: cast, roster: roster(10), equivocators: none }), {
      electorate: 10,
      cast: 10,
      confirm: 7,
      dispute: 3,
      abstain: 0,
      flag: 0,
      uncounted: 0,
      quorum: true,
      status: 'validated',
      mean: 0.638,
      median: 0.875,
      trimmedMean: 0.875,
      trimmedPerSide: 3
    })
  })

  it('gives no number at two thirds and numbers one vote later', () => {
    const below = tally({
      votes: votes('confirm', [9_000, 9_000, 9_000, 9_000]),
      roster: roster(6),
      equivocators: none
    })
    assert.equal(below.quorum, false)
    assert.equal(below.status, 'unverified')
    assert.deepEqual(
      ['mean', 'median', 'trimmedMean', 'trimmedPerSide'].filter((name) => name in below),
      []
    )
    const above = tally({ votes: votes('confirm', Array(5).fill(9_000)), roster: roster(6), equivocators: none })
    assert.equal(above.quorum, true)
    assert.equal(above.status, 'validated')
    assert.equal(above.mean, 0.9)
  })

  it('needs the majority of the roster, not of those who came', () => {
    const cast = [...votes('confirm', [9_000, 9_000, 9_000, 9_000]), ...votes('abstain', [0], 4)]
    const result = tally({ votes: cast, roster: roster(6), equivocators: none })
    assert.equal(result.quorum, true)
    assert.equal(result.status, 'split')
  })

  it('counts abstentions for the quorum and leaves their confidence out', () => {
    const cast = [...votes('confirm', [8_000, 9_000]), ...votes('abstain', [0], 2)]
    const result = tally({ votes: cast, roster: roster(4), equivocators: none })
    assert.equal(result.cast, 3)
    assert.equal(result.mean, 0.85)
    const silent = tally({ votes: votes('abstain', [0, 0, 0]), roster: roster(3), equivocators: none })
    assert.equal(silent.status, 'split')
    assert.equal(silent.mean, undefined)
  })

  it('adds flags to disputes', () => {
    const cast = [...votes('dispute', [0, 0]), ...votes('flag', [0], 2), ...votes('confirm', [9_000], 3)]
    const result = tally({ votes: cast, roster: roster(4), equivocators: none })
    assert.equal(result.status, 'disputed')
    assert.deepEqual([result.dispute, result.flag, result.confirm], [2, 1, 1])
  })

  it('shows strangers and equivocators, and does not count them', () => {
    const cast = [
      ...votes('confirm', [9_000, 9_000, 9_000]),
      { voter: 'stranger', verdict: 'confirm' as const, confidence: 10_000 }
    ]
    const result = tally({ votes: cast, roster: roster(4), equivocators: new Set(['voter2']) })
    assert.equal(result.electorate, 4)
    assert.equal(result.cast, 2)
    assert.equal(result.uncounted, 2)
    assert.equal(result.confirm, 2)
    assert.equal(result.quorum, false)
  })

  it('is never verified without a roster, and counts a repeated name of it once', () => {
    const empty = tally({ votes: votes('confirm', [9_000]), roster: [], equivocators: none })
    assert.equal(empty.status, 'unverified')
    assert.equal(empty.uncounted, 1)
    const twice = tally({ votes: votes('confirm', [9_000]), roster: ['voter0', 'voter0'], equivocators: none })
    assert.equal(twice.electorate, 1)
    assert.equal(twice.status, 'validated')
  })

  it('needs every honest vote when exactly three of ten stay silent', () => {
    const seven = tally({ votes: votes('confirm', Array(7).fill(9_000)), roster: roster(10), equivocators: none })
    assert.equal(seven.status, 'validated')
    const six = tally({ votes: votes('confirm', Array(6).fill(9_000)), roster: roster(10), equivocators: none })
    assert.equal(six.status, 'unverified')
  })

  it('takes two votes of one voter for a fault of the caller', () => {
    const twice = [...votes('confirm', [1]), ...votes('dispute', [2])]
    assert.throws(() => tally({ votes: twice, roster: roster(3), equivocators: none }), /one vote/)
  })
})
