import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { estimate } from '../../../src/sync/estimate.ts'

/** Simulated time to the last node over wide-area links of 86 ms on average: fanout → [nodes, ms]. */
const SIMULATED: Record<number, [number, number][]> = {
  2: [
    [100, 444],
    [1_000, 559],
    [10_000, 657],
    [100_000, 804]
  ],
  3: [
    [100, 317],
    [1_000, 394],
    [10_000, 458],
    [100_000, 538]
  ],
  5: [
    [100, 275],
    [1_000, 334],
    [10_000, 355]
  ],
  7: [
    [100, 244],
    [1_000, 296],
    [10_000, 317],
    [100_000, 339]
  ]
}

describe('estimate', () => {
  for (const [fanout, rows] of Object.entries(SIMULATED)) {
    it(`is within 15 % of the simulated time at fanout ${fanout}`, () => {
      for (const [nodes, ms] of rows) {
        const estimated = estimate({ nodes, fanout: Number(fanout), linkMs: 86 }).ms
        assert.ok(Math.abs(estimated / ms - 1) <= 0.15, `${nodes} nodes: ${estimated} ms for ${ms} ms`)
      }
    })
  }

  it('gives the rounds of the specification', () => {
    const rounds = [1, 2, 3, 4, 10, 100, 1_000, 10_000, 100_000].map(
      (nodes) => estimate({ nodes }).specification.rounds
    )
    assert.deepEqual(rounds, [0, 1, 1, 2, 3, 5, 7, 9, 11])
    assert.equal(estimate({ nodes: 1_000 }).specification.ms, 3_500)
    assert.equal(estimate({ nodes: 1_000, intervalMs: 100 }).specification.ms, 700)
  })

  it('is exact at powers of the fanout, where logarithms are not', () => {
    for (let power = 0; power <= 18; power++) {
      assert.equal(estimate({ nodes: 3 ** power }).specification.rounds, power)
      assert.equal(estimate({ nodes: 3 ** power + 1 }).specification.rounds, power + 1)
    }
  })

  it('gives the share that infect-and-die reaches', () => {
    const shares = [2, 3, 4, 5, 6, 8].map((fanout) => estimate({ nodes: 100, fanout }).infectAndDieCoverage)
    const expected = [0.7968, 0.9405, 0.9802, 0.993, 0.9975, 0.9997]
    shares.forEach((share, i) => assert.ok(Math.abs(share - (expected[i] as number)) < 1e-4, `${share}`))
    for (const share of shares.slice(0, 1)) assert.ok(Math.abs(share - (1 - Math.exp(-2 * share))) < 1e-12)
  })

  it('knows that few nodes are all neighbours', () => {
    assert.deepEqual([estimate({ nodes: 1 }).hops, estimate({ nodes: 1 }).ms], [0, 0])
    for (const nodes of [2, 5]) {
      const { hops, ms } = estimate({ nodes, linkMs: 40 })
      assert.deepEqual([hops, ms], [1, 40])
    }
    assert.ok(estimate({ nodes: 6 }).hops > 1)
  })

  it('never gets faster with more nodes, nor slower with more fanout', () => {
    const sizes = [1, 2, 5, 6, 10, 100, 1_000, 1e6, 1e9]
    for (const fanout of [2, 3, 5, 16]) {
      const answers = sizes.map((nodes) => estimate({ nodes, fanout }))
      for (let i = 1; i < answers.length; i++) {
        assert.ok((answers[i]?.ms ?? 0) >= (answers[i - 1]?.ms ?? 0))
        assert.ok((answers[i]?.hops ?? 0) >= (answers[i - 1]?.hops ?? 0))
      }
    }
    assert.ok(estimate({ nodes: 1e5, fanout: 8 }).ms < estimate({ nodes: 1e5, fanout: 3 }).ms)
  })

  it('says what it assumed', () => {
    const { assumptions } = estimate({ nodes: 10, fanout: 4, linkMs: 12, intervalMs: 250 })
    for (const part of ['250 ms', '12 ms', 'degree 5'])
      assert.ok(assumptions.some((sentence) => sentence.includes(part)))
  })

  it('refuses numbers outside their range and says which', () => {
    const bad: [string, Parameters<typeof estimate>[0]][] = [
      ['nodes', { nodes: 0 }],
      ['nodes', { nodes: Number.NaN }],
      ['nodes', { nodes: 1.5 }],
      ['nodes', { nodes: 1e9 + 1 }],
      ['nodes', { nodes: Number.POSITIVE_INFINITY }],
      ['fanout', { nodes: 10, fanout: 1 }],
      ['fanout', { nodes: 10, fanout: 129 }],
      ['linkMs', { nodes: 10, linkMs: 0 }],
      ['linkMs', { nodes: 10, linkMs: Number.NaN }],
      ['intervalMs', { nodes: 10, intervalMs: -1 }]
    ]
    for (const [name, input] of bad) {
      assert.throws(
        () => estimate(input),
        (error) =>
          isChrysalisError(error, 'invalid_argument') && error.message.includes(name) && error.hint !== undefined
      )
    }
    assert.equal(estimate({ nodes: 1e9 }).nodes, 1e9)
  })
})
