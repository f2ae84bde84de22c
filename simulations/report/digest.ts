/**
 * What a crowd of runs says together: pure arithmetic over their reports, nothing drawn and nothing read. Times of a
 * scenario are medians over its runs, coverage is the mean over them.
 */
import { SOMETIMES, type Sometimes } from '../checkers/checker.ts'
import type { RunReport, Verdict } from '../runner/report.ts'
import { formatCase } from '../runner/seed-case.ts'

export interface ScenarioDigest {
  readonly scenario: string
  readonly tier: RunReport['tier']
  readonly runs: number
  readonly nodesMin: number
  readonly nodesMax: number
  readonly verdicts: Readonly<Record<Verdict, number>>
  readonly acknowledged: number
  readonly missing: number
  readonly faults: number
  readonly healMs: readonly number[]
  readonly t50Ms: number | null
  readonly t99Ms: number | null
  readonly t100Ms: number | null
  readonly copies: number | null
  readonly controlBytes: number | null
  /** Mean over the runs, at times where something happens. */
  readonly coverage: readonly (readonly [ms: number, share: number])[]
  /** Frames these are drawn from. */
  readonly frames: number
}

export interface FoundViolation {
  readonly scenario: string
  readonly seed: string
  readonly invariant: string
  readonly node: string | null
  readonly what: string
  /** What to type to see it again. */
  readonly replay: string
}

export interface Digest {
  readonly runs: number
  readonly verdict: Verdict
  readonly scenarios: readonly ScenarioDigest[]
  readonly acknowledged: number
  readonly missing: number
  readonly faults: number
  readonly nodesMax: number
  readonly virtualMs: number
  readonly events: number
  /** Deliveries by hops, as a share of all; index 0 is one hop. */
  readonly hops: readonly number[]
  readonly regions: readonly { readonly region: string; readonly p50Ms: number; readonly p99Ms: number }[]
  readonly faultKinds: readonly { readonly kind: string; readonly count: number }[]
  readonly liarKinds: readonly { readonly kind: string; readonly count: number }[]
  readonly sometimes: readonly { readonly what: Sometimes; readonly runs: number }[]
  readonly violations: readonly FoundViolation[]
}

const CURVE_POINTS = 80

export function digest(runs: readonly RunReport[]): Digest {
  const names = [...new Set(runs.map(({ scenario }) => scenario))].sort()
  const scenarios = names.map((name) => digestOf(runs.filter(({ scenario }) => scenario === name)))
  const sum = (of: (run: RunReport) => number): number => runs.reduce((total, run) => total + of(run), 0)
  const violations = runs.flatMap(violationsOf)
  return {
    runs: runs.length,
    verdict: worst(runs),
    scenarios,
    acknowledged: sum((run) => run.acknowledged),
    missing: sum((run) => run.missing),
    faults: sum((run) => run.faults),
    nodesMax: runs.reduce((most, { nodes }) => Math.max(most, nodes), 0),
    virtualMs: sum((run) => run.virtualMs),
    events: sum((run) => run.events),
    hops: hopsOf(runs),
    regions: regionsOf(runs),
    faultKinds: counted(runs, ({ faultKinds }) => faultKinds),
    liarKinds: counted(runs, ({ liars }) => liars),
    sometimes: SOMETIMES.map((what) => ({ what, runs: runs.filter(({ reached }) => reached.includes(what)).length })),
    violations
  }
}

function worst(runs: readonly RunReport[]): Verdict {
  const has = (verdict: Verdict): boolean => runs.some((run) => run.verdict === verdict)
  if (has('violated')) return 'violated'
  return runs.length === 0 || has('failed-to-test') ? 'failed-to-test' : 'held'
}

function digestOf(runs: readonly RunReport[]): ScenarioDigest {
  const [first] = runs as [RunReport]
  const spread = runs.flatMap(({ deliveries }) => (deliveries === null || deliveries.frames === 0 ? [] : [deliveries]))
  const verdicts: Record<Verdict, number> = { held: 0, violated: 0, 'failed-to-test': 0 }
  for (const { verdict } of runs) verdicts[verdict]++
  const nodes = runs.map((run) => run.nodes)
  return {
    scenario: first.scenario,
    tier: first.tier,
    runs: runs.length,
    nodesMin: Math.min(...nodes),
    nodesMax: Math.max(...nodes),
    verdicts,
    acknowledged: runs.reduce((total, run) => total + run.acknowledged, 0),
    missing: runs.reduce((total, run) => total + run.missing, 0),
    faults: runs.reduce((total, run) => total + run.faults, 0),
    healMs: runs.flatMap(({ healMs }) => healMs ?? []).sort((a, b) => a - b),
    t50Ms: median(spread.flatMap(({ t50Ms }) => t50Ms ?? [])),
    t99Ms: median(spread.flatMap(({ t99Ms }) => t99Ms ?? [])),
    t100Ms: median(spread.flatMap(({ t100Ms }) => t100Ms ?? [])),
    copies: median(spread.map(({ copies }) => copies)),
    controlBytes: median(spread.map(({ controlBytesPerDelta }) => controlBytesPerDelta)),
    coverage: meanCurve(spread.map(({ coverage }) => coverage)),
    frames: spread.reduce((total, { frames }) => total + frames, 0)
  }
}

function violationsOf(run: RunReport): FoundViolation[] {
  return run.violations.map(({ invariant, node, what }) => ({
    scenario: run.scenario,
    seed: run.seed,
    invariant,
    node: node ?? null,
    what,
    replay: replayCommand(run)
  }))
}

/** What a person types to see a run again. */
export function replayCommand({ scenario, seed }: Pick<RunReport, 'scenario' | 'seed'>): string {
  return `chrysalis sim replay ${formatCase({ scenario, seed })}`
}

function hopsOf(runs: readonly RunReport[]): number[] {
  const total: number[] = []
  for (const { deliveries } of runs) {
    for (const [index, count] of (deliveries?.hops ?? []).entries()) total[index] = (total[index] ?? 0) + count
  }
  const all = total.reduce((sum, count) => sum + count, 0)
  return all === 0 ? [] : Array.from(total, (count) => (count ?? 0) / all)
}

function regionsOf(runs: readonly RunReport[]): { region: string; p50Ms: number; p99Ms: number }[] {
  const regions = [...new Set(runs.flatMap(({ latencyByRegion }) => Object.keys(latencyByRegion)))].sort()
  return regions.map((region) => {
    const seen = runs.flatMap(({ latencyByRegion }) => latencyByRegion[region] ?? [])
    return {
      region,
      p50Ms: median(seen.map(({ p50Ms }) => p50Ms)) ?? 0,
      p99Ms: median(seen.map(({ p99Ms }) => p99Ms)) ?? 0
    }
  })
}

/** Most first; equals by name. */
function counted(
  runs: readonly RunReport[],
  of: (run: RunReport) => Readonly<Record<string, number>>
): { kind: string; count: number }[] {
  const total = new Map<string, number>()
  for (const run of runs) {
    for (const [kind, count] of Object.entries(of(run))) total.set(kind, (total.get(kind) ?? 0) + count)
  }
  return [...total]
    .map(([kind, count]) => ({ kind, count }))
    .sort((a, b) => b.count - a.count || (a.kind < b.kind ? -1 : 1))
}

/** The mean of the two in the middle; null for none. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)] as number
  const high = sorted[Math.ceil((sorted.length - 1) / 2)] as number
  return (low + high) / 2
}

type Curve = readonly (readonly [ms: number, share: number])[]

/** Mean share over several curves, at times taken evenly from all of theirs. */
export function meanCurve(curves: readonly Curve[]): [ms: number, share: number][] {
  const times = curves.flatMap((curve) => curve.map(([ms]) => ms)).sort((a, b) => a - b)
  const points = Math.min(CURVE_POINTS, times.length)
  const mean: [number, number][] = []
  for (let point = 0; point < points; point++) {
    const ms = times[points === 1 ? 0 : Math.round((point * (times.length - 1)) / (points - 1))] as number
    if (mean.at(-1)?.[0] === ms) continue
    const share = curves.reduce((sum, curve) => sum + shareAt(curve, ms), 0) / curves.length
    mean.push([ms, share])
  }
  return mean
}

/** The share reached by then. */
export function shareAt(curve: Curve, ms: number): number {
  let share = 0
  for (const [atMs, reached] of curve) {
    if (atMs > ms) break
    share = reached
  }
  return share
}
