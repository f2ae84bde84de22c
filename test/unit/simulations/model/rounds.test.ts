import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runRounds, type RoundOptions } from '../../../../simulations/model/rounds.ts'
import { infectAndDieShare, logisticShare, treeRounds } from '../../../../simulations/model/theory.ts'

const mean = (seeds: number, of: (seed: string) => number): number => {
  let sum = 0
  for (let seed = 0; seed < seeds; seed++) sum += of(`${seed}`)
  return sum / seeds
}

const run = (options: Omit<RoundOptions, 'fanout'> & { fanout?: number }): ReturnType<typeof runRounds> =>
  runRounds({ fanout: 3, ...options })

describe('runRounds', () => {
  it('infect-and-die with fanout 3 ends at 94.05 %', () => {
    const share = mean(5, (seed) => run({ protocol: 'infect-and-die', seed, nodes: 20_000 }).coverage.at(-1) as number)
    assert.ok(Math.abs(share - 0.9405) < 0.003, `${share}`)
  })

  it('with faults it ends where the fanout that is left ends', () => {
    const options = { protocol: 'infect-and-die', nodes: 20_000, fanout: 5, loss: 0.2, droppers: 0.1 } as const
    const share = mean(5, (seed) => run({ ...options, seed }).coverage.at(-1) as number)
    assert.ok(Math.abs(share - infectAndDieShare(5 * 0.8 * 0.9)) < 0.005, `${share}`)
  })

  it('push-forever takes about log₄ N + ln N / 3 rounds to all, and the 99 % round is the ⌈log₃ N⌉ of the table', () => {
    for (const nodes of [100, 1_000, 10_000]) {
      const to = (share: 'to99' | 'to100'): number =>
        mean(10, (seed) => run({ protocol: 'push-forever', seed, nodes })[share] as number)
      const pittel = Math.log(nodes) / Math.log(4) + Math.log(nodes) / 3
      assert.ok(Math.abs(to('to100') - pittel) < 1.5, `${nodes}: ${to('to100')} for ${pittel}`)
      assert.ok(Math.abs(to('to99') - treeRounds(nodes, 3)) < 0.6, `${nodes}: ${to('to99')}`)
    }
  })

  it('the specification reaches all in the end, with about three copies a delivery', () => {
    const { coverage, to100, copies } = run({ protocol: 'specification', seed: '1', nodes: 2_000 })
    assert.equal(coverage.at(-1), 1)
    assert.ok(to100 !== null && copies > 2.8 && copies < 3.4)
    const faulty = run({ protocol: 'specification', seed: '1', nodes: 2_000, loss: 0.2, droppers: 0.3 })
    assert.ok((faulty.to100 as number) > (to100 as number))
  })

  it('never loses ground, repeats itself for a seed, and copes with one node', () => {
    for (const protocol of ['infect-and-die', 'push-forever', 'specification'] as const) {
      const options = { protocol, seed: 'x', nodes: 50, loss: 0.1, droppers: 0.2 }
      const { coverage } = run(options)
      for (let i = 1; i < coverage.length; i++) assert.ok(coverage[i]! >= coverage[i - 1]!)
      assert.deepEqual(run(options), run(options))
      assert.equal(run({ protocol, seed: 'x', nodes: 1 }).rounds, 0)
    }
  })
})

describe('theory', () => {
  it('the logistic curve begins with one node and has half at its half', () => {
    assert.ok(Math.abs(logisticShare(1_000, 200, 0) - 0.001) < 1e-9)
    assert.ok(Math.abs(logisticShare(1_000, 200, 200) - 0.5) < 1e-9)
    assert.ok(logisticShare(1_000, 200, 600) > 0.999)
  })

  it('infect-and-die: a fixed point, and nothing at a fanout of one', () => {
    for (const [fanout, share] of [
      [2, 0.7968],
      [3, 0.9405],
      [4, 0.9802]
    ] as const) {
      assert.ok(Math.abs(infectAndDieShare(fanout) - share) < 1e-4)
    }
    assert.equal(infectAndDieShare(1), 0)
  })

  it('the rounds of a perfect tree', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 10, 100, 1_000, 10_000, 100_000].map((nodes) => treeRounds(nodes, 3)),
      [0, 1, 1, 2, 3, 5, 7, 9, 11]
    )
  })
})
