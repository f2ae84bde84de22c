/**
 * The daemon's own code in virtual time: two hundred seeds over all scenarios hold, runs that once broke something hold,
 * and a seed gives the same trace in another process. On failure the commands that show it again are printed.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { formatCase, parseSeedFile, type SeedCase } from '../../simulations/runner/seed-case.ts'
import { summarise, type Finished } from '../../simulations/runner/summary.ts'
import { casesOf, sweep, sweptByDefault } from '../../simulations/runner/sweep.ts'
import { loadScenario, scenarioNames } from '../../simulations/scenarios/parse.ts'

const SEEDS = 200
const jobs = Math.min(4, availableParallelism())

async function run(cases: readonly SeedCase[]): Promise<Finished[]> {
  const finished: Finished[] = []
  await sweep({ cases, jobs, finished: (one) => finished.push(one) })
  return finished
}

/** What to type to see each failure again, and its first violations. */
function failures(cases: readonly SeedCase[], finished: readonly Finished[]): string[] {
  return finished.flatMap(({ report }, index) => {
    if (report.verdict !== 'violated') return []
    const broken = report.violations
      .slice(0, 3)
      .map(({ invariant, node, what }) => `${invariant} ${node ?? ''} ${what}`)
    return [`chrysalis sim replay ${formatCase(cases[index] as SeedCase)}: ${broken.join('; ')}`]
  })
}

test(`${SEEDS} seeds over all scenarios hold, with faults and writes enough to mean it`, async () => {
  const scenarios = sweptByDefault(scenarioNames().map(loadScenario))
  const seeds = Array.from({ length: SEEDS }, (_, i) => `${i + 1}`)
  const cases = casesOf(
    scenarios.map(({ name }) => name),
    seeds,
    false
  )
  const finished = await run(cases)
  assert.deepEqual(failures(cases, finished), [])
  const { verdict, reasons, acknowledged, faults } = summarise(scenarios, finished, 0)
  assert.deepEqual([verdict, reasons], ['held', []])
  assert.ok(acknowledged > 10_000 && faults > 300, `${acknowledged} writes, ${faults} faults`)
})

test('runs that once broke something hold', async () => {
  const file = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'seeds.txt')
  const cases = parseSeedFile(file, readFileSync(file, 'utf8'))
  assert.ok(cases.length > 0)
  assert.deepEqual(failures(cases, await run(cases)), [])
})

test('one seed, two processes, one trace; another seed, another', async () => {
  const fifty = { scenario: 'calm', nodes: 50, writes: 25 }
  const troubled = { scenario: 'crash-restart', nodes: 6 }
  const cases = [
    { ...fifty, seed: '7' },
    { ...fifty, seed: '7' },
    { ...troubled, seed: '7' },
    { ...troubled, seed: '7' },
    { ...troubled, seed: '8' }
  ]
  const finished: Finished[] = []
  // A process for each run: nothing that one run leaves behind can make the next one equal to it.
  await sweep({ cases, jobs: 2, runsPerProcess: 1, finished: (one) => finished.push(one) })
  const [first, again, one, same, other] = finished.map(({ report: { trace, events, root } }) => ({
    trace,
    events,
    root
  }))
  assert.deepEqual(first, again)
  assert.deepEqual(one, same)
  assert.notEqual(one?.trace, other?.trace)
  assert.ok((first?.events ?? 0) > 1_000)
})

test('a worker that dies, or hangs, costs its run and nothing else', async () => {
  const good = { scenario: 'calm', seed: '1', nodes: 2, writes: 2 }
  const finished: Finished[] = []
  await sweep({
    cases: [good, { scenario: 'no-such-scenario', seed: '1' }, good],
    jobs: 1,
    finished: (one) => finished.push(one)
  })
  assert.deepEqual(
    finished.map(({ report }) => report.verdict),
    ['held', 'violated', 'held']
  )
  assert.match(finished[1]?.report.violations[0]?.what ?? '', /There is no scenario no-such-scenario/)
  const slow: Finished[] = []
  await sweep({ cases: [{ ...good, writes: 5_000 }], jobs: 1, patienceMs: 1, finished: (one) => slow.push(one) })
  assert.match(slow[0]?.report.violations[0]?.what ?? '', /not over after 1 ms of real time/)
})
