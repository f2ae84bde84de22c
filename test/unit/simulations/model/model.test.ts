import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isChrysalisError } from '../../../../src/base/errors.ts'
import { SeededRandom } from '../../../../src/base/prng.ts'
import { createLand } from '../../../../simulations/model/land.ts'
import { coverageCurve, CURVE_POINTS_MAX, Model, timeOfShare } from '../../../../simulations/model/model.ts'
import type { ModelInput } from '../../../../simulations/model/options.ts'
import { createLatencyModel, NETWORK_MODELS } from '../../../../simulations/net/latency.ts'

describe('Model', () => {
  it('does the same for the same seed, and something else for another', () => {
    const runs = (seed: string): unknown => {
      const model = new Model({ seed, nodes: 300, loss: 0.1, droppers: 0.2 })
      return [model.broadcast(), model.broadcast(), model.measures()]
    }
    assert.deepEqual(runs('a'), runs('a'))
    assert.notDeepEqual(runs('a'), runs('b'))
  })

  it('reaches everyone without faults and without repair, in any network', () => {
    for (const network of NETWORK_MODELS) {
      for (const nodes of [1, 2, 3, 5, 17, 400]) {
        const { reached, honest, t100Ms } = new Model({ seed: 'calm', nodes, network, antiEntropy: false }).broadcast()
        assert.deepEqual([reached, honest], [nodes, nodes])
        assert.ok(t100Ms !== null)
      }
    }
  })

  it('keeps what is always true, whatever goes wrong', () => {
    const input: fc.Arbitrary<ModelInput> = fc.record({
      seed: fc.string(),
      nodes: fc.integer({ min: 1, max: 120 }),
      network: fc.constantFrom(...NETWORK_MODELS),
      fanout: fc.integer({ min: 2, max: 6 }),
      loss: fc.constantFrom(0, 0.05, 0.3),
      lossMode: fc.constantFrom('drop' as const, 'tcp' as const),
      droppers: fc.constantFrom(0, 0.1, 0.4)
    })
    fc.assert(
      fc.property(input, (options) => {
        const result = new Model(options).broadcast()
        const { honest, reached, coverage, hopsMax, copies, tally } = result
        assert.equal(honest, options.nodes - Math.min(options.nodes - 1, Math.round(options.nodes * options.droppers!)))
        // Comparisons repair whatever gossip lost.
        assert.equal(reached, honest)
        const times = [result.t50Ms, result.t90Ms, result.t99Ms, result.t999Ms, result.t100Ms]
        for (let i = 1; i < times.length; i++) assert.ok((times[i] as number) >= (times[i - 1] as number))
        for (let i = 1; i < coverage.length; i++) {
          assert.ok(coverage[i]![0] >= coverage[i - 1]![0] && coverage[i]![1] > coverage[i - 1]![1])
        }
        assert.equal(coverage.at(-1)?.[1], 1)
        assert.ok(hopsMax < honest + 255 && copies >= 0 && tally.payloads + tally.repairs >= reached - 1)
      }),
      { numRuns: 60 }
    )
  })

  it('takes its map from simulations/net', () => {
    for (const name of NETWORK_MODELS) {
      const random = new SeededRandom('map')
      const land = createLand(name, 60, random)
      const model = createLatencyModel(name, random.fork('places'))
      let sum = 0
      let expected = 0
      for (let u = 0; u < 60; u++) {
        assert.equal(land.regionOf(u), model.regionOf(`node-${u}`))
        for (let v = 0; v < 60; v++) {
          assert.ok(Math.abs(land.usualMs(u, v) - model.baseMs(`node-${u}`, `node-${v}`)) < 1e-9)
          sum += land.delayMs(u, v)
          expected += model.delayMs(`node-${u}`, `node-${v}`, random)
        }
      }
      assert.ok(Math.abs(sum / expected - 1) < 0.05, `${name}: ${sum / expected}`)
    }
  })

  it('sends 100,000 nodes a message within 3 s of processor time and 300 MB', () => {
    // Not a timing assertion but a budget: a mistake that makes the model quadratic shows as minutes.
    const before = process.cpuUsage()
    const result = new Model({ seed: 'large', nodes: 100_000 }).broadcast()
    const { user, system } = process.cpuUsage(before)
    assert.equal(result.reached, 100_000)
    assert.ok(process.memoryUsage().rss <= 300e6, `${process.memoryUsage().rss / 1e6} MB`)
    assert.ok((user + system) / 1e6 < 30, `${(user + system) / 1e6} s`)
  })

  it('refuses worlds that cannot be', () => {
    const bad: [string, Partial<ModelInput>][] = [
      ['nodes', { nodes: 0 }],
      ['nodes', { nodes: 1e6 + 1 }],
      ['nodes', { nodes: 2.5 }],
      ['loss', { loss: 0.95 }],
      ['loss', { loss: Number.NaN }],
      ['droppers', { droppers: -0.1 }],
      ['dials', { dials: 0 }]
    ]
    for (const [name, input] of bad) {
      assert.throws(
        () => new Model({ seed: 'bad', nodes: 10, ...input }),
        (error) => isChrysalisError(error, 'invalid_argument') && error.message.includes(name)
      )
    }
    assert.throws(() => new Model({ seed: 'bad', nodes: 10, fanout: 1 }), /fanout/)
  })
})

describe('curves', () => {
  it('timeOfShare is the time of the ⌈share × honest⌉-th', () => {
    const arrivals = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert.deepEqual(
      [0.05, 0.1, 0.11, 0.5, 0.99, 1].map((share) => timeOfShare(arrivals, 10, share)),
      [0, 0, 1, 4, 9, 9]
    )
    assert.equal(timeOfShare(arrivals, 11, 1), null)
  })

  it('coverageCurve keeps both ends and no more points than it may', () => {
    const arrivals = Float64Array.from({ length: 5_000 }, (_, i) => i)
    const curve = coverageCurve(arrivals, 10_000)
    assert.equal(curve.length, CURVE_POINTS_MAX)
    assert.deepEqual(
      [curve[0], curve.at(-1)],
      [
        [0, 0.0001],
        [4_999, 0.5]
      ]
    )
    assert.deepEqual(coverageCurve([3], 1), [[3, 1]])
    assert.deepEqual(coverageCurve([], 5), [])
  })
})
