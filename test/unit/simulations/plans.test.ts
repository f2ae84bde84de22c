/** Faults as data: drawn purely, within bounds, by streams that do not disturb each other. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { SeededRandom } from '../../../src/base/prng.ts'
import {
  drawAppetite,
  drawFaults,
  FAULT_NAMES,
  type Fault,
  type FaultAppetite
} from '../../../simulations/faults/plan.ts'
import { drawPlan } from '../../../simulations/runner/draw.ts'
import { loadScenario, parseScenario } from '../../../simulations/scenarios/parse.ts'

const EVERYTHING: FaultAppetite = Object.fromEntries(FAULT_NAMES.map((kind) => [kind, 3]))
const draw = (seed: string, appetite = EVERYTHING, nodes = 7): Fault[] =>
  drawFaults(new SeededRandom(seed), appetite, nodes, 20_000)

suite('drawing faults', () => {
  test('equal seeds draw equal faults, another seed others', () => {
    assert.deepEqual(draw('a'), draw('a'))
    assert.notDeepEqual(draw('a'), draw('b'))
  })

  test('as many as expected, in time, upon nodes that exist, each kind within its bounds', () => {
    let count = 0
    for (let seed = 0; seed < 60; seed++) {
      const faults = draw(`${seed}`)
      count += faults.length
      for (const [i, { atMs, target, forMs, kind, size }] of faults.entries()) {
        assert.ok(atMs >= (faults[i - 1]?.atMs ?? 0) && atMs < 16_000)
        assert.ok(target.length < 7 && new Set(target).size === target.length)
        assert.ok(target.every((node) => Number.isInteger(node) && node >= 0 && node < 7))
        assert.equal(target.length === 0, ['loss', 'duplication', 'straggling'].includes(kind))
        assert.ok(forMs === undefined || (forMs > 0 && forMs <= 15_000))
        if (kind === 'loss') assert.ok(size !== undefined && size >= 0 && size <= 0.3)
        // A daemon accepts what is dated up to two minutes ahead: a faster jump would tell of nothing but that.
        if (kind === 'clock-jump') assert.ok(size !== undefined && size >= -3_600_000 && size <= 90_000)
      }
    }
    assert.equal(count, 60 * 3 * FAULT_NAMES.length)
  })

  test('a fraction is a probability', () => {
    let count = 0
    for (let seed = 0; seed < 1_000; seed++) count += draw(`${seed}`, { crash: 0.3 }).length
    assert.ok(count > 240 && count < 360, `${count}`)
  })

  test('one kind more changes nothing about the others', () => {
    const pauses = (appetite: FaultAppetite): Fault[] => draw('x', appetite).filter(({ kind }) => kind === 'pause')
    assert.equal(pauses({ pause: 3 }).length, 3)
    assert.deepEqual(pauses({ pause: 3 }), pauses({ loss: 4, pause: 3, crash: 2 }))
  })

  test('with one node there is nobody else to choose', () => {
    for (const fault of draw('one', EVERYTHING, 1)) assert.ok(fault.target.every((node) => node === 0))
  })

  test('each seed leaves kinds out and exaggerates others', () => {
    const left = new Map<string, number>()
    for (let seed = 0; seed < 300; seed++) {
      const appetite = drawAppetite(new SeededRandom(`${seed}`), { crash: 2, loss: 1 })
      assert.ok((appetite.crash ?? 0) <= 4 && (appetite.loss ?? 0) <= 2)
      for (const kind of ['crash', 'loss'] as const)
        if (appetite[kind] === undefined) left.set(kind, (left.get(kind) ?? 0) + 1)
    }
    for (const kind of ['crash', 'loss']) assert.ok(Math.abs((left.get(kind) ?? 0) - 100) < 30, `${left.get(kind)}`)
  })
})

suite('drawing a run', () => {
  const scenario = loadScenario('byzantine-third')

  test('the same seed gives the same plan; an override changes only what it names', () => {
    const plan = drawPlan({ scenario, seed: '7' })
    assert.deepEqual(drawPlan({ scenario, seed: '7' }), plan)
    assert.notDeepEqual(drawPlan({ scenario, seed: '8' }), plan)
    assert.deepEqual(drawPlan({ scenario, seed: '7', writes: 3 }), { ...plan, writes: 3 })
    assert.deepEqual(drawPlan({ scenario, seed: '7', faults: [] }), { ...plan, faults: [] })
    assert.deepEqual(drawPlan({ scenario, seed: '7', liars: ['dropper'] }), { ...plan, liars: ['dropper'] })
  })

  test('liars are half as many as the honest, of kinds that differ', () => {
    for (let seed = 0; seed < 50; seed++) {
      const { liars, nodes } = drawPlan({ scenario, seed: `${seed}` })
      assert.equal(liars.length, Math.floor(nodes / 2))
      assert.equal(new Set(liars).size, liars.length)
    }
  })

  test('a tenth of the seeds does without push, a tenth without pull, and a tenth has real signatures', () => {
    const plans = Array.from({ length: 1_000 }, (_, seed) => drawPlan({ scenario, seed: `${seed}` }))
    const share = (holds: (plan: (typeof plans)[number]) => boolean): number => plans.filter(holds).length / 1_000
    for (const held of [
      share(({ off }) => off === 'push'),
      share(({ off }) => off === 'pull'),
      share(({ crypto }) => crypto === 'ed25519')
    ]) {
      assert.ok(held > 0.07 && held < 0.13, `${held}`)
    }
  })

  test('a planned share is of the nodes there are, never all of them', () => {
    const half = parseScenario(
      'half.toml',
      'shows = "x"\n[world]\nnodes = 6\n[[fault]]\nkind = "partition"\natMs = 1\nshare = 1\n'
    )
    const { faults } = drawPlan({ scenario: half, seed: '1' })
    assert.equal(faults[0]?.target.length, 5)
  })
})
