import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { BASIS_POINTS, VERDICTS } from '../../src/memory/ops.ts'
import { tally, type BallotVote } from '../../src/trust/ballot.ts'
import { median, trimFor, trimmedMean } from '../../src/trust/statistics.ts'

const confidence = fc.nat(BASIS_POINTS)

const ballot = fc.uniqueArray(fc.nat(60), { maxLength: 30 }).chain((voters) =>
  fc.record({
    votes: fc.tuple(
      ...voters.map((voter) =>
        fc.record({ voter: fc.constant(`v${voter}`), verdict: fc.constantFrom(...VERDICTS), confidence })
      )
    ),
    roster: fc.uniqueArray(
      fc.nat(60).map((voter) => `v${voter}`),
      { maxLength: 30 }
    ),
    equivocators: fc.uniqueArray(
      fc.nat(60).map((voter) => `v${voter}`),
      { maxLength: 4 }
    )
  })
)

describe('tally, whatever was voted', () => {
  it('does not depend on the order of votes or roster', () => {
    fc.assert(
      fc.property(ballot, fc.infiniteStream(fc.nat()), ({ votes, roster, equivocators }, dice) => {
        const shuffle = <T>(items: readonly T[]): T[] =>
          items
            .map((item) => ({ item, at: dice.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ item }) => item)
        const first = tally({ votes, roster, equivocators: new Set(equivocators) })
        const again = { votes: shuffle(votes), roster: shuffle(roster), equivocators: new Set(shuffle(equivocators)) }
        assert.deepEqual(tally(again), first)
      })
    )
  })

  it('accounts for every vote and never shows a number below quorum', () => {
    fc.assert(
      fc.property(ballot, ({ votes, roster, equivocators }) => {
        const result = tally({ votes, roster, equivocators: new Set(equivocators) })
        assert.equal(result.confirm + result.dispute + result.abstain + result.flag, result.cast)
        assert.equal(result.cast + result.uncounted, votes.length)
        assert.equal(result.quorum, result.status !== 'unverified')
        if (!result.quorum) assert.ok(!('mean' in result) && !('median' in result) && !('trimmedMean' in result))
      })
    )
  })

  it('cannot be turned by votes that do not count', () => {
    fc.assert(
      fc.property(ballot, fc.array(confidence, { maxLength: 20 }), ({ votes, roster, equivocators }, noise) => {
        const strangers = noise.map((value, i): BallotVote => ({
          voter: `s${i}`,
          verdict: 'confirm',
          confidence: value
        }))
        const quiet = tally({ votes, roster, equivocators: new Set(equivocators) })
        const loud = tally({ votes: [...votes, ...strangers], roster, equivocators: new Set(equivocators) })
        assert.deepEqual({ ...loud, uncounted: 0 }, { ...quiet, uncounted: 0 })
      })
    )
  })

  it('stays within the honest range while liars are fewer than a third', () => {
    const scene = fc
      .array(confidence, { minLength: 1, maxLength: 40 })
      .chain((honest) =>
        fc.tuple(fc.constant(honest), fc.array(confidence, { maxLength: Math.floor((honest.length - 1) / 2) }))
      )
    fc.assert(
      fc.property(scene, ([honest, lies]) => {
        const all = [...lies, ...honest]
        assert.ok(lies.length * 3 < all.length)
        const [least, most] = [Math.min(...honest), Math.max(...honest)]
        for (const value of [median(all), trimmedMean(all, trimFor(all.length))]) {
          assert.ok(value !== undefined && value >= least && value <= most, `${value} outside ${least} to ${most}`)
        }
      }),
      { numRuns: 500 }
    )
  })
})
