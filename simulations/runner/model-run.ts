/**
 * A scenario of the abstract model, reported in the same form as one of the engine: some messages through one network,
 * medians over them, and the scenario's bounds as the only invariants.
 */
import { createHash } from 'node:crypto'
import type { Violation } from '../checkers/checker.ts'
import { Model, type ModelResult } from '../model/model.ts'
import { median, rounded } from './figures.ts'
import type { RunReport } from './report.ts'
import type { RunOptions } from './run.ts'

/** Synchronous work, answered as a promise like any other run. */
export function runModel({ scenario, seed, nodes, writes }: RunOptions): Promise<RunReport> {
  const { model } = scenario
  if (model === undefined) throw new Error(`${scenario.name} has no [model]`)
  const { t99MsMax, t100MsMax, copiesMax, messages, ...input } = model
  const world = new Model({ ...input, seed: `${scenario.name}/${seed}`, nodes: nodes ?? model.nodes })
  const results = Array.from({ length: writes ?? messages }, () => world.broadcast())
  const of = (pick: (result: ModelResult) => number | null): number | null =>
    median(results.flatMap((result) => pick(result) ?? []))
  const t99Ms = of(({ t99Ms: ms }) => ms)
  const t100Ms = of(({ t100Ms: ms }) => ms)
  const copies = of(({ copies: count }) => count) ?? 0
  const violations: Violation[] = []
  const bound = (name: string, value: number | null, max: number | undefined): void => {
    if (max === undefined || (value !== null && value <= max)) return
    violations.push({ invariant: 'budget', what: `${name} is ${value ?? 'never'}, at most ${max} was promised` })
  }
  const left = results.filter(({ reached, honest }) => reached < honest).length
  if (left > 0)
    violations.push({ invariant: 'I1', what: `${left} of ${results.length} messages did not reach everyone` })
  bound('t99Ms', t99Ms, t99MsMax)
  bound('t100Ms', t100Ms, t100MsMax)
  bound('copies', copies, copiesMax)
  const trace = createHash('sha256').update(JSON.stringify(results)).digest('hex').slice(0, 16)
  const last = results.at(-1)
  return Promise.resolve({
    scenario: scenario.name,
    seed,
    tier: 'model',
    nodes: world.options.nodes,
    verdict: violations.length > 0 ? 'violated' : 'held',
    violations,
    reached: [],
    faults: 0,
    faultKinds: {},
    liars: {},
    attempted: results.length,
    acknowledged: results.length,
    missing: left,
    states: 1,
    root: '',
    healMs: null,
    virtualMs: Math.round(results.reduce((sum, { t100Ms: ms }) => sum + (ms ?? 0), 0)),
    events: results.length,
    trace,
    deliveries: {
      frames: results.length,
      t50Ms: of(({ t50Ms: ms }) => ms),
      t99Ms,
      t100Ms,
      coverage: last?.coverage ?? [],
      hops: [],
      copies: rounded(copies, 3),
      controlBytesPerDelta: rounded(of(({ controlBytesPerDelivery: bytes }) => bytes) ?? 0, 1)
    },
    latencyByRegion: {},
    counters: {}
  })
}
