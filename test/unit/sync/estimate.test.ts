import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { estimate } from '../../../src/sync/estimate.ts'
import {
  TABLE_DROPPERS,
  TABLE_FANOUTS,
  TABLE_LINK_MS,
  TABLE_LOSSES,
  TABLE_ROWS,
  TABLE_SETTINGS,
  TABLE_SIZES
} from '../../../src/sync/estimate-table.ts'
import { meanLinkMs, tableRow, TABLE_WORLD } from '../../../simulations/model/make-estimate-table.ts'
import { Model, type ModelResult } from '../../../simulations/model/model.ts'
import { modelOptions, type ModelInput } from '../../../simulations/model/options.ts'

/** Means of the model over fresh seeds. Worlds of 1,000 nodes differ by 10 % among themselves: 24 of them leave 2 %. */
function simulated(input: Omit<ModelInput, 'seed'>, worlds: number): { t99Ms: number; t100Ms: number; copies: number } {
  const results: ModelResult[] = []
  for (let world = 0; world < worlds; world++) {
    const model = new Model({ ...TABLE_WORLD, ...input, seed: `fresh/${world}` })
    for (let message = 0; message < 4; message++) results.push(model.broadcast())
  }
  const mean = (of: (result: ModelResult) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0) / results.length
  return {
    t99Ms: mean(({ t99Ms }) => t99Ms as number),
    t100Ms: mean(({ t100Ms }) => t100Ms as number),
    copies: mean(({ copies }) => copies)
  }
}

function near(what: string, got: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(got / expected - 1) <= tolerance, `${what}: estimated ${got}, simulated ${expected}`)
}

describe('estimate, against the model', () => {
  for (const fanout of [2, 3, 4, 5]) {
    it(`is within 10 % of a fresh run without faults, on and between the sizes of the table, fanout ${fanout}`, () => {
      for (const [nodes, worlds] of [
        [30, 60],
        [100, 30],
        [400, 24],
        [1_000, 24]
      ] as const) {
        const fresh = simulated({ nodes, fanout }, worlds)
        const told = estimate({ nodes, fanout, linkMs: TABLE_LINK_MS })
        near(`${nodes} nodes, 99 %`, told.t99Ms, fresh.t99Ms, 0.1)
        near(`${nodes} nodes, all`, told.ms, fresh.t100Ms, 0.1)
        near(`${nodes} nodes, copies`, told.copies, fresh.copies, 0.1)
      }
    })
  }

  it('with faults: 99 % within 20 %, and copies within 10 %', () => {
    for (const [loss, droppers] of [
      [0.05, 0.1],
      [0.1, 0],
      [0.2, 0.3]
    ] as const) {
      const fresh = simulated({ nodes: 1_000, loss, droppers }, 16)
      const told = estimate({ nodes: 1_000, loss, droppers, linkMs: TABLE_LINK_MS })
      near(`loss ${loss}, droppers ${droppers}, 99 %`, told.t99Ms, fresh.t99Ms, 0.2)
      near(`loss ${loss}, droppers ${droppers}, copies`, told.copies, fresh.copies, 0.1)
      // The last node is the chance of chances: of the same size is all that a mean can say.
      assert.ok(told.ms > fresh.t100Ms / 2 && told.ms < fresh.t100Ms * 2, `${told.ms} for ${fresh.t100Ms}`)
    }
  })

  it('scales with the link: a local network is within 20 %', () => {
    const fresh = simulated({ nodes: 1_000, network: 'lan' }, 4)
    near('LAN, all', estimate({ nodes: 1_000, linkMs: 0.46 }).ms, fresh.t100Ms, 0.2)
  })

  it('its table was made with the settings the daemon has now', () => {
    const now = modelOptions({ seed: 'settings', nodes: 2 })
    for (const [name, value] of Object.entries(TABLE_SETTINGS)) {
      assert.deepEqual(now[name as keyof typeof now], value, `${name} changed: run make-estimate-table.ts again`)
    }
    assert.equal(TABLE_LINK_MS, meanLinkMs())
  })

  it('its table is what the model gives', () => {
    const size = TABLE_FANOUTS.length * TABLE_LOSSES.length * TABLE_DROPPERS.length * TABLE_SIZES.length
    assert.equal(TABLE_ROWS.length, size)
    for (const row of TABLE_ROWS) assert.ok(row.length === 6 && row.every((value) => value > 0))
    // Fanout 3, no loss, no droppers, 100 nodes; and fanout 5, the worst of faults, 10 nodes.
    const at = (fanout: number, loss: number, droppers: number, nodes: number): number =>
      ((fanout * TABLE_LOSSES.length + loss) * TABLE_DROPPERS.length + droppers) * TABLE_SIZES.length + nodes
    assert.deepEqual(TABLE_ROWS[at(1, 0, 0, 1)], tableRow(100, 3, 0, 0))
    assert.deepEqual(TABLE_ROWS[at(2, 2, 2, 0)], tableRow(10, 5, 0.2, 0.3))
  })
})

describe('estimate', () => {
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
    // Three messages, of which a fifth is lost and three tenths of the rest meet silence: 1.68 are left.
    const left = estimate({ nodes: 100, loss: 0.2, droppers: 0.3 }).infectAndDieCoverage
    assert.ok(Math.abs(left - (1 - Math.exp(-1.68 * left))) < 1e-9 && left > 0.6)
  })

  it('knows that few nodes are all neighbours', () => {
    assert.deepEqual([estimate({ nodes: 1 }).hops, estimate({ nodes: 1 }).ms, estimate({ nodes: 1 }).copies], [0, 0, 0])
    for (const nodes of [2, 5]) {
      const { hops, t50Ms, ms, copies } = estimate({ nodes, linkMs: 40 })
      assert.deepEqual([hops, t50Ms, ms, copies], [1, 40, 40, nodes - 1])
    }
    assert.ok(estimate({ nodes: 10 }).hops > 1)
  })

  it('never gets faster with more nodes, nor slower with more fanout', () => {
    const sizes = [1, 2, 5, 6, 10, 100, 1_000, 1e4, 1e5, 1e6, 1e9]
    for (const fanout of [2, 3, 5, 16]) {
      const answers = sizes.map((nodes) => estimate({ nodes, fanout }))
      for (let i = 1; i < answers.length; i++) {
        assert.ok((answers[i]?.ms ?? 0) >= (answers[i - 1]?.ms ?? 0), `${fanout} ${sizes[i]}`)
        assert.ok((answers[i]?.hops ?? 0) >= (answers[i - 1]?.hops ?? 0), `${fanout} ${sizes[i]}`)
      }
    }
    const byFanout = [2, 3, 4, 5, 8, 16, 128].map((fanout) => estimate({ nodes: 1e5, fanout }).ms)
    assert.deepEqual(
      byFanout,
      [...byFanout].sort((a, b) => b - a)
    )
  })

  it('is in order, and no quicker for what is lost', () => {
    for (const nodes of [1, 2, 7, 50, 1_000, 30_000, 1e7]) {
      for (const loss of [0, 0.02, 0.2]) {
        for (const droppers of [0, 0.05, 0.3]) {
          const { t50Ms, t99Ms, ms } = estimate({ nodes, loss, droppers })
          assert.ok(t50Ms <= t99Ms && t99Ms <= ms, `${nodes} ${loss} ${droppers}`)
          assert.ok(ms >= estimate({ nodes }).ms)
        }
      }
    }
  })

  it('says what it assumed', () => {
    const { assumptions } = estimate({ nodes: 10, fanout: 4, linkMs: 12, intervalMs: 250 })
    for (const part of ['250 ms', '12 ms', 'degree 5', 'No message is lost'])
      assert.ok(assumptions.some((sentence) => sentence.includes(part)))
    const told = estimate({ nodes: 1e6, fanout: 9, loss: 0.05, droppers: 0.1 }).assumptions.join(' ')
    for (const part of ['5 % of the gossip frames', '10 % of the nodes', 'Beyond 100000 nodes', 'Beyond a fanout of 5'])
      assert.ok(told.includes(part), part)
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
      ['intervalMs', { nodes: 10, intervalMs: -1 }],
      ['loss', { nodes: 10, loss: 0.21 }],
      ['loss', { nodes: 10, loss: -0.01 }],
      ['droppers', { nodes: 10, droppers: 0.31 }],
      ['droppers', { nodes: 10, droppers: Number.NaN }]
    ]
    for (const [name, input] of bad) {
      assert.throws(
        () => estimate(input),
        (error) =>
          isChrysalisError(error, 'invalid_argument') && error.message.includes(name) && error.hint !== undefined
      )
    }
    assert.equal(estimate({ nodes: 1e9 }).nodes, 1e9)
    assert.equal(estimate({ nodes: 10, loss: 0.2, droppers: 0.3 }).droppers, 0.3)
  })
})
