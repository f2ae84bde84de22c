/** The parts of the runner that need no world: verdicts, cases, shrinking, summaries, comparison, progress. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PassThrough } from 'node:stream'
import { isChrysalisError } from '../../../src/base/errors.ts'
import type { Fault } from '../../../simulations/faults/plan.ts'
import { compare } from '../../../simulations/runner/compare.ts'
import { Progress } from '../../../simulations/runner/progress.ts'
import type { RunReport } from '../../../simulations/runner/report.ts'
import {
  checkSeed,
  formatCase,
  parseCase,
  parseSeedFile,
  parseSeeds,
  type SeedCase
} from '../../../simulations/runner/seed-case.ts'
import { shrink, type FullCase } from '../../../simulations/runner/shrink.ts'
import { summarise, type Summary } from '../../../simulations/runner/summary.ts'
import { casesOf, sweptByDefault } from '../../../simulations/runner/sweep.ts'
import { ACKNOWLEDGED_MIN, judge, REACH_SEEDS_MIN } from '../../../simulations/runner/verdict.ts'
import { loadScenario, scenarioNames } from '../../../simulations/scenarios/parse.ts'

const report = (changes: Partial<RunReport> = {}): RunReport => ({
  scenario: 'lossy',
  seed: '1',
  tier: 'engine',
  nodes: 5,
  verdict: 'held',
  violations: [],
  reached: [],
  faults: 2,
  faultKinds: { loss: 2 },
  liars: {},
  attempted: 60,
  acknowledged: 50,
  missing: 0,
  states: 1,
  root: 'ab',
  healMs: 100,
  virtualMs: 30_000,
  events: 10,
  trace: 'cd',
  deliveries: null,
  latencyByRegion: {},
  counters: {},
  ...changes
})
const many = (count: number, changes: Partial<RunReport> = {}): RunReport[] =>
  Array.from({ length: count }, (_, i) => report({ seed: `${i}`, ...changes }))

suite('verdicts', () => {
  const lossy = loadScenario('lossy')
  const calm = loadScenario('calm')

  test('enough writes and some fault: held; one write less, or no fault: failed to test', () => {
    assert.deepEqual(judge([lossy], [report({ acknowledged: ACKNOWLEDGED_MIN })]), { verdict: 'held', reasons: [] })
    const few = judge([lossy], [report({ acknowledged: ACKNOWLEDGED_MIN - 1 })])
    assert.equal(few.verdict, 'failed-to-test')
    assert.match(few.reasons[0] ?? '', /999 writes were acknowledged/)
    const spared = judge([lossy], [report({ acknowledged: 5_000, faults: 0 })])
    assert.deepEqual(spared, { verdict: 'failed-to-test', reasons: ['no fault was injected'] })
    assert.equal(judge([lossy], [report({ acknowledged: 5_000, faults: 0, liars: { dropper: 1 } })]).verdict, 'held')
    assert.equal(judge([lossy], []).verdict, 'failed-to-test')
  })

  test('a scenario without faults is not expected to inject any', () => {
    assert.equal(judge([calm], [report({ scenario: 'calm', acknowledged: 5_000, faults: 0 })]).verdict, 'held')
    assert.equal(judge([calm], [report({ scenario: 'calm', acknowledged: 5, faults: 0 })]).verdict, 'failed-to-test')
  })

  test('a violation outweighs everything', () => {
    const broken = report({ verdict: 'violated', violations: [{ invariant: 'I1', what: 'differs' }], acknowledged: 1 })
    assert.equal(judge([lossy], [broken]).verdict, 'violated')
  })

  test('a scenario has to reach, in enough seeds, what it is there to reach', () => {
    const seen = many(REACH_SEEDS_MIN, { reached: ['duplicate-delivered'] })
    const found = judge([lossy], seen)
    assert.equal(found.verdict, 'failed-to-test')
    assert.deepEqual(found.reasons, [`in ${REACH_SEEDS_MIN} seeds lossy never came to: repaired-by-anti-entropy`])
    assert.equal(judge([lossy], seen.slice(1)).verdict, 'held')
    assert.equal(judge([lossy], [...seen, report({ reached: ['repaired-by-anti-entropy'] })]).verdict, 'held')
  })
})

const FAULTS: readonly Fault[] = [
  { atMs: 5, kind: 'crash', target: [1], forMs: 400, size: 1 },
  { atMs: 9, kind: 'loss', target: [], size: 0.25 }
]

suite('cases', () => {
  test('what is printed can be read', () => {
    const cases: SeedCase[] = [
      { scenario: 'calm', seed: '7' },
      { scenario: 'calm', seed: 'a.b-c', nodes: 4, writes: 0, liars: [], faults: [] },
      { scenario: 'my/own.toml', seed: '1', liars: ['dropper', 'equivocator'], faults: FAULTS }
    ]
    for (const one of cases) assert.deepEqual(parseCase(formatCase(one)), one)
  })

  test('a file has one a line, and comments', () => {
    const text = `# what was found\ncalm 1\n\n  lossy 2 writes=5  # why\n`
    assert.deepEqual(parseSeedFile('f', text), [
      { scenario: 'calm', seed: '1' },
      { scenario: 'lossy', seed: '2', writes: 5 }
    ])
  })

  test('what is no case is refused with its place and what was meant', () => {
    const refused = (line: string, what: RegExp): void => {
      assert.throws(
        () => parseSeedFile('seeds.txt', `\n${line}`),
        (error) => {
          assert.ok(isChrysalisError(error, 'invalid_argument'))
          assert.match(`${error.message} ${error.hint}`, what)
          return true
        }
      )
    }
    refused('calm', /seeds\.txt:2 names no scenario and seed/)
    refused('calm 1 node=3', /seeds\.txt:2: node is nothing.*Did you mean nodes/)
    refused('calm 1 nodes=0', /nodes=0 is no number of nodes/)
    refused('calm 1 writes=x', /writes=x/)
    refused('calm 1 liars=droper', /droper is no liar.*Did you mean dropper/)
    refused('calm 1 faults=[', /its faults are no JSON/)
    refused('calm 1 faults={}', /its faults are no list/)
    refused('calm 1 faults=[{"atMs":1,"kind":"crush","target":[]}]', /is no fault/)
    refused('calm ä', /"ä" is no seed/)
  })

  test('seeds are a range, a count, a list or a word', () => {
    assert.deepEqual(parseSeeds('3..5'), ['3', '4', '5'])
    assert.deepEqual(parseSeeds('2'), ['1', '2'])
    assert.deepEqual(parseSeeds('7,9,x'), ['7', '9', 'x'])
    for (const wrong of ['5..3', '1..99999999', 'a b', '', '1,,2']) {
      assert.throws(
        () => parseSeeds(wrong),
        (error) => isChrysalisError(error, 'invalid_argument'),
        wrong
      )
    }
    assert.throws(
      () => checkSeed('x'.repeat(101)),
      (error) => isChrysalisError(error, 'invalid_argument')
    )
    assert.equal(checkSeed('x'.repeat(100)).length, 100)
  })

  test('scenarios take turns, or each has every seed', () => {
    const short = (each: boolean): string[] => casesOf(['a', 'b'], ['1', '2', '3'], each).map(formatCase)
    assert.deepEqual(short(false), ['a 1', 'b 2', 'a 3'])
    assert.deepEqual(short(true), ['a 1', 'a 2', 'a 3', 'b 1', 'b 2', 'b 3'])
    const swept = sweptByDefault(scenarioNames().map(loadScenario)).map(({ name }) => name)
    assert.ok(swept.includes('calm') && !swept.some((name) => name.startsWith('propagation')))
  })
})

suite('shrinking', () => {
  const start: FullCase = {
    scenario: 's',
    seed: '1',
    nodes: 9,
    writes: 80,
    liars: ['dropper', 'equivocator', 'replayer'],
    faults: Array.from({ length: 23 }, (_, i) => ({ atMs: i, kind: 'crash', target: [0] }))
  }
  const has = (one: FullCase, ...atMs: number[]): boolean => atMs.every((ms) => one.faults.some((f) => f.atMs === ms))

  test('it finds the least case: the two faults, the liar, the writes and the nodes it takes', async () => {
    const asked: FullCase[] = []
    const { smallest, isDone } = await shrink(
      start,
      async (one) => {
        asked.push(one)
        return has(one, 4, 17) && one.liars.includes('equivocator') && one.writes >= 13 && one.nodes >= 3
      },
      { budget: 500 }
    )
    assert.deepEqual([smallest.faults.map(({ atMs }) => atMs), smallest.liars], [[4, 17], ['equivocator']])
    assert.deepEqual([smallest.writes, smallest.nodes, isDone], [13, 3, true])
    assert.ok(asked.length < 120, `${asked.length} runs`)
  })

  test('the budget is kept, and what was found by then is returned', async () => {
    let runs = 0
    const shrunk = await shrink(start, async (one) => (runs++, has(one, 4)), { budget: 7 })
    assert.deepEqual([runs, shrunk.runs, shrunk.isDone], [7, 7, false])
    assert.ok(shrunk.smallest.faults.length < start.faults.length && has(shrunk.smallest, 4))
  })

  test('what cannot be made smaller stays as it is', async () => {
    const { smallest } = await shrink(start, async () => false, { budget: 1_000 })
    assert.equal(smallest, start)
  })
})

suite('sweeps', () => {
  const finished = (reports: readonly RunReport[]) => reports.map((one) => ({ report: one, cpuMs: 400 }))
  const summary = (reports: readonly RunReport[]): Summary =>
    summarise([loadScenario('lossy')], finished(reports), 9_000)

  test('a summary adds up, and names the failures with the commands that show them', () => {
    const broken = report({
      seed: '77',
      verdict: 'violated',
      violations: [{ invariant: 'I2', node: 'node-1', what: 'has lost it' }],
      healMs: null
    })
    const { scenarios, failures, seeds, verdict } = summary([...many(4), broken])
    assert.deepEqual([seeds, verdict], [5, 'violated'])
    const row = scenarios['lossy']
    assert.deepEqual([row?.runs, row?.held, row?.violated, row?.acknowledged, row?.faults], [5, 4, 1, 250, 10])
    assert.deepEqual([row?.faultKinds, row?.heal.p50Ms, row?.cpuMsPerSeed], [{ loss: 10 }, 100, 400])
    assert.deepEqual(failures, [
      {
        scenario: 'lossy',
        seed: '77',
        invariants: ['I2'],
        what: 'node-1: has lost it',
        replay: 'chrysalis sim replay lossy 77'
      }
    ])
  })

  test('what got worse is found, what is noise is not', () => {
    const of = (healMs: number, missing = 0): Summary => summary(many(20, { healMs, missing }))
    const judged = (before: Summary, after: Summary): string[] =>
      compare(before, after).differences.flatMap(({ figure, judgement }) =>
        judgement === 'same' ? [] : [`${judgement} ${figure}`]
      )
    assert.deepEqual(judged(of(1_000), of(1_400)), [], 'less than half a second more is noise')
    assert.deepEqual(judged(of(9_000), of(10_000)), [], 'a ninth more is noise')
    assert.deepEqual(judged(of(1_000), of(9_000)), ['worse heal, median ms', 'worse heal, 99 % ms'])
    assert.deepEqual(judged(of(9_000), of(1_000)), ['better heal, median ms', 'better heal, 99 % ms'])
    assert.deepEqual(judged(of(10), of(10, 1)), ['worse missing writes'], 'a lost write is never noise')
    assert.deepEqual(compare(of(1), summarise([], [], 1)).unmatched, ['lossy'])
  })

  test('progress says how far, how fast and how long still', () => {
    let nowMs = 0
    const stream = new PassThrough()
    const progress = new Progress({ stream, total: 100, nowMs: () => nowMs })
    nowMs = 10_000
    assert.equal(progress.line(20, 1), '20/100 seeds, 2.0 a second, 40 s left, 1 violated')
    progress.update(20, 1)
    assert.equal(stream.read(), null, 'not every moment, where nobody watches')
    nowMs = 16_000
    progress.update(32, 0)
    assert.equal(String(stream.read()), '32/100 seeds, 2.0 a second, 34 s left, 0 violated\n')
  })
})
