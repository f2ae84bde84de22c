/** What a sweep came to: one table row for each scenario, and the failures with the commands that show them again. */
import type { Sometimes } from '../checkers/checker.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { median, quantile, rounded } from './figures.ts'
import type { RunReport, Verdict } from './report.ts'
import { formatCase } from './seed-case.ts'
import { judge } from './verdict.ts'

export interface ScenarioSummary {
  readonly runs: number
  readonly held: number
  readonly violated: number
  readonly failedToTest: number
  readonly attempted: number
  readonly acknowledged: number
  readonly missing: number
  readonly faults: number
  readonly faultKinds: Readonly<Record<string, number>>
  readonly liars: Readonly<Record<string, number>>
  /** In how many runs each was seen. */
  readonly reached: Readonly<Partial<Record<Sometimes, number>>>
  readonly heal: { readonly p50Ms: number | null; readonly p99Ms: number | null; readonly maxMs: number | null }
  readonly t99Ms: number | null
  readonly copies: number | null
  readonly controlBytesPerDelta: number | null
  readonly events: number
  readonly virtualMs: number
  readonly cpuMsPerSeed: number
}

export interface Failure {
  readonly scenario: string
  readonly seed: string
  readonly invariants: readonly string[]
  readonly what: string
  readonly replay: string
}

export interface Summary {
  readonly verdict: Verdict
  readonly reasons: readonly string[]
  readonly seeds: number
  readonly acknowledged: number
  readonly faults: number
  readonly wallMs: number
  readonly scenarios: Readonly<Record<string, ScenarioSummary>>
  readonly failures: readonly Failure[]
}

/** One finished run and what it cost. */
export interface Finished {
  readonly report: RunReport
  readonly cpuMs: number
}

export function summarise(scenarios: readonly Scenario[], finished: readonly Finished[], wallMs: number): Summary {
  const reports = finished.map(({ report }) => report)
  const rows: Record<string, ScenarioSummary> = {}
  for (const { name } of scenarios) {
    const own = finished.filter(({ report }) => report.scenario === name)
    if (own.length > 0) rows[name] = summariseOne(own)
  }
  return {
    ...judge(scenarios, reports),
    seeds: reports.length,
    acknowledged: sum(reports.map(({ acknowledged }) => acknowledged)),
    faults: sum(reports.map(({ faults }) => faults)),
    wallMs: Math.round(wallMs),
    scenarios: rows,
    failures: reports.filter(({ verdict }) => verdict === 'violated').map(failureOf)
  }
}

function summariseOne(own: readonly Finished[]): ScenarioSummary {
  const reports = own.map(({ report }) => report)
  const count = (verdict: Verdict): number => reports.filter((report) => report.verdict === verdict).length
  const heals = reports.flatMap(({ healMs }) => healMs ?? [])
  const spread = reports.flatMap(({ deliveries }) => deliveries ?? [])
  return {
    runs: reports.length,
    held: count('held'),
    violated: count('violated'),
    failedToTest: count('failed-to-test'),
    attempted: sum(reports.map(({ attempted }) => attempted)),
    acknowledged: sum(reports.map(({ acknowledged }) => acknowledged)),
    missing: sum(reports.map(({ missing }) => missing)),
    faults: sum(reports.map(({ faults }) => faults)),
    faultKinds: added(reports.map(({ faultKinds }) => faultKinds)),
    liars: added(reports.map(({ liars }) => liars)),
    reached: added(reports.map(({ reached }) => Object.fromEntries(reached.map((what) => [what, 1])))),
    heal: { p50Ms: median(heals), p99Ms: quantile(heals, 0.99), maxMs: quantile(heals, 1) },
    t99Ms: median(spread.flatMap(({ t99Ms }) => t99Ms ?? [])),
    copies: median(spread.map(({ copies }) => copies)),
    controlBytesPerDelta: median(spread.map(({ controlBytesPerDelta }) => controlBytesPerDelta)),
    events: sum(reports.map(({ events }) => events)),
    virtualMs: sum(reports.map(({ virtualMs }) => virtualMs)),
    cpuMsPerSeed: rounded(sum(own.map(({ cpuMs }) => cpuMs)) / Math.max(1, own.length), 0)
  }
}

function failureOf({ scenario, seed, violations }: RunReport): Failure {
  const [first] = violations
  return {
    scenario,
    seed,
    invariants: [...new Set(violations.map(({ invariant }) => invariant))].sort(),
    what: first === undefined ? '' : first.node === undefined ? first.what : `${first.node}: ${first.what}`,
    replay: `chrysalis sim replay ${formatCase({ scenario, seed })}`
  }
}

function added(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const one of counts) for (const [name, value] of Object.entries(one)) all[name] = (all[name] ?? 0) + value
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
