/**
 * The pictures of a report as vega-lite specifications: what is drawn, with its title and the sentence below it. A chart
 * that has nothing to show is not made. Drawing is done in render.ts.
 */
import { infectAndDieShare, logisticShare } from '../model/theory.ts'
import { BASE, HEIGHT, ms, percent, seriesOf, whole, type Chart, type Spec } from './chart-parts.ts'
import { median, type Digest, type ScenarioDigest } from './digest.ts'
import { growthCharts } from './growth-charts.ts'
import type { GrowthPoint } from './growth.ts'
import { LIGHT } from './theme.ts'

const FANOUT = 3
const SCENARIOS_SHOWN = 4

/** All charts there is something for, in the order in which they are read. */
export function charts(digest: Digest, growth: readonly GrowthPoint[]): Chart[] {
  const all = [
    coverageChart(digest),
    hopsChart(digest),
    regionChart(digest),
    copiesChart(digest),
    healChart(digest),
    faultChart(digest),
    sometimesChart(digest),
    ...growthCharts(growth)
  ]
  return all.filter((chart) => chart !== undefined).map(titled)
}

/** The title is part of the picture, so that it goes where the picture goes. */
function titled(chart: Chart): Chart {
  const title = { text: chart.title, anchor: 'start', frame: 'bounds', color: LIGHT.ink, fontSize: 16, offset: 12 }
  return { ...chart, spec: { ...chart.spec, title } }
}

// --- how news spreads

function coverageChart({ scenarios }: Digest): Chart | undefined {
  const shown = scenarios
    .filter(({ coverage }) => coverage.length > 1)
    .sort(bySize)
    .slice(0, SCENARIOS_SHOWN)
  const [main] = shown
  if (main === undefined || main.t50Ms === null) return undefined
  // Everything that takes no time at all is drawn at a millisecond: the axis is logarithmic.
  const measured = shown.flatMap(({ scenario, coverage }) =>
    coverage.map(([ms, share]) => ({ ms: Math.max(1, ms), share, who: scenario }))
  )
  const lastMs = Math.max(...measured.map(({ ms }) => ms))
  const theory = theoryCurve(main, lastMs)
  const plateau = infectAndDieShare(FANOUT)
  const caption =
    `Share of nodes that have heard a message by gossip, against the time since it was published; whom gossip did not reach, comparisons did. ` +
    `A message in the middle is with half of them after ${ms(main.t50Ms)}, 99 % after ${ms(main.t99Ms)}, all after ${ms(main.t100Ms)} (${main.scenario}). ` +
    `Dashed: the logistic curve of news that everybody keeps telling, through the same half. ` +
    `Dotted: ${percent(plateau)}, where “tell ${FANOUT} others once and fall silent” ends for ever.`
  return {
    name: 'coverage',
    title: 'Coverage',
    caption,
    spec: {
      ...BASE,
      layer: [
        {
          data: { values: [{ share: plateau }] },
          mark: { type: 'rule', strokeDash: [2, 3], color: LIGHT.muted, strokeWidth: 1.5 },
          encoding: { y: { field: 'share', type: 'quantitative' } }
        },
        {
          data: { values: theory },
          mark: { type: 'line', strokeDash: [6, 4], color: LIGHT.muted, strokeWidth: 1.5 },
          encoding: { x: timeAxis(), y: shareAxis() }
        },
        {
          data: { values: measured },
          mark: { type: 'line', interpolate: 'step-after', strokeWidth: 2.2 },
          encoding: { x: timeAxis(), y: shareAxis(), color: seriesOf(shown.map(({ scenario }) => scenario)) }
        }
      ]
    }
  }
}

function theoryCurve({ nodesMax, t50Ms }: ScenarioDigest, lastMs: number): { ms: number; share: number }[] {
  const halfMs = Math.max(1, t50Ms ?? 1)
  const steps = 60
  const values = Array.from({ length: steps + 1 }, (_, step) => {
    const atMs = Math.exp((Math.log(lastMs) * step) / steps)
    return { ms: atMs, share: logisticShare(nodesMax, halfMs, atMs) }
  })
  return values
}

function hopsChart({ hops }: Digest): Chart | undefined {
  if (hops.length === 0) return undefined
  const mean = hops.reduce((sum, share, index) => sum + share * (index + 1), 0)
  return {
    name: 'hops',
    title: 'Hops',
    caption: `How many links the first copy came over: ${mean.toFixed(1)} on average, ${hops.length} at most. More than the fewest possible, because among many ways the fast one wins, not the short one.`,
    spec: {
      ...BASE,
      data: { values: hops.map((share, index) => ({ hops: index + 1, share })) },
      mark: { type: 'bar', color: LIGHT.first },
      encoding: {
        x: {
          field: 'hops',
          type: 'ordinal',
          axis: { title: 'links from the writer', labelAngle: 0, labelOverlap: true }
        },
        y: { field: 'share', type: 'quantitative', axis: { title: 'share of deliveries', format: '%', tickCount: 5 } }
      }
    }
  }
}

function regionChart({ regions }: Digest): Chart | undefined {
  if (regions.length < 2) return undefined
  const sorted = [...regions].sort((a, b) => a.p50Ms - b.p50Ms)
  const fastest = sorted[0] as (typeof sorted)[number]
  const slowest = sorted[sorted.length - 1] as (typeof sorted)[number]
  const y = { field: 'region', type: 'nominal', sort: null, axis: { title: null, labelLimit: 240 } } as const
  return {
    name: 'regions',
    title: 'Latency by region',
    caption: `From writing to arrival, by where the reader is: ● median, ｜ 99th percentile. ${fastest.region} hears first (${ms(fastest.p50Ms)}), ${slowest.region} last (${ms(slowest.p50Ms)}).`,
    spec: {
      ...BASE,
      height: Math.max(HEIGHT, 22 * sorted.length),
      data: { values: sorted },
      layer: [
        {
          mark: { type: 'rule', color: LIGHT.grid, strokeWidth: 3 },
          encoding: {
            y,
            x: { field: 'p50Ms', type: 'quantitative', axis: { title: 'milliseconds', tickCount: 5 } },
            x2: { field: 'p99Ms' }
          }
        },
        {
          mark: { type: 'tick', color: LIGHT.second, thickness: 2.5, size: 14 },
          encoding: { y, x: { field: 'p99Ms', type: 'quantitative' } }
        },
        {
          mark: { type: 'point', filled: true, color: LIGHT.first, size: 70, opacity: 1 },
          encoding: { y, x: { field: 'p50Ms', type: 'quantitative' } }
        }
      ]
    }
  }
}

function copiesChart({ scenarios }: Digest): Chart | undefined {
  const values = scenarios.flatMap(({ scenario, copies }) => (copies === null ? [] : [{ scenario, copies }]))
  if (values.length === 0) return undefined
  const most = values.reduce((a, b) => (b.copies > a.copies ? b : a))
  return {
    name: 'copies',
    title: 'Copies',
    caption: `Copies of a message received for each delivery, median over runs; 1 is the least there can be, ${most.copies.toFixed(1)} the most here (${most.scenario}). Redundancy is what survives loss and silent peers.`,
    spec: {
      ...BASE,
      height: Math.max(120, 20 * values.length),
      data: { values },
      layer: [
        {
          mark: { type: 'bar', color: LIGHT.third },
          encoding: {
            y: { field: 'scenario', type: 'nominal', sort: null, axis: { title: null, labelLimit: 240 } },
            x: { field: 'copies', type: 'quantitative', axis: { title: 'copies a delivery', tickCount: 5 } }
          }
        },
        {
          data: { values: [{ copies: 1 }] },
          mark: { type: 'rule', color: LIGHT.ink, strokeDash: [2, 3] },
          encoding: { x: { field: 'copies', type: 'quantitative' } }
        }
      ]
    }
  }
}

// --- how it survives

function healChart({ scenarios }: Digest): Chart | undefined {
  const healed = scenarios.filter(({ healMs }) => healMs.length > 0)
  if (healed.length === 0) return undefined
  const values = healed.flatMap(({ scenario, healMs }) => thinned(healMs).map((one) => ({ scenario, s: one / 1_000 })))
  const middles = healed.map(({ scenario, healMs }) => ({ scenario, s: (median(healMs) ?? 0) / 1_000 }))
  const worst = healed.reduce((a, b) => (last(b.healMs) > last(a.healMs) ? b : a))
  const y = { field: 'scenario', type: 'nominal', sort: null, axis: { title: null, labelLimit: 240 } } as const
  const x = { field: 's', type: 'quantitative', axis: { title: 'seconds', tickCount: 5 } } as const
  return {
    name: 'heal',
    title: 'Healing',
    caption: `From the last fault until every honest node held the same: one mark a run, ｜ the median. The slowest took ${(last(worst.healMs) / 1_000).toFixed(1)} s (${worst.scenario}).`,
    spec: {
      ...BASE,
      height: Math.max(120, 22 * healed.length),
      data: { values },
      layer: [
        { mark: { type: 'point', filled: true, color: LIGHT.first, size: 26, opacity: 0.35 }, encoding: { y, x } },
        {
          data: { values: middles },
          mark: { type: 'tick', color: LIGHT.second, thickness: 2.5, size: 15 },
          encoding: { y, x }
        }
      ]
    }
  }
}

function faultChart({ faultKinds, liarKinds, faults }: Digest): Chart | undefined {
  const values = [
    ...faultKinds.map(({ kind, count }) => ({ kind, count, sort: 'fault' })),
    ...liarKinds.map(({ kind, count }) => ({ kind, count, sort: 'liar' }))
  ]
  if (values.length === 0) return undefined
  const liars = liarKinds.reduce((sum, { count }) => sum + count, 0)
  return {
    name: 'faults',
    title: 'What was done to it',
    caption: `${whole(faults)} faults of ${faultKinds.length} kinds${liars > 0 ? ` and ${whole(liars)} liars of ${liarKinds.length} kinds` : ''} were injected.`,
    spec: {
      ...BASE,
      height: Math.max(120, 18 * values.length),
      data: { values },
      mark: { type: 'bar' },
      encoding: {
        y: { field: 'kind', type: 'nominal', sort: null, axis: { title: null, labelLimit: 240 } },
        x: {
          field: 'count',
          type: 'quantitative',
          axis: { title: 'times', tickCount: 5, tickMinStep: 1, format: ',d' }
        },
        color: seriesOf(liars > 0 ? ['fault', 'liar'] : ['fault'], 'sort')
      }
    }
  }
}

function sometimesChart({ sometimes, runs, scenarios }: Digest): Chart | undefined {
  if (scenarios.every(({ tier }) => tier === 'model')) return undefined
  const missed = sometimes.filter((one) => one.runs === 0).map(({ what }) => what)
  return {
    name: 'sometimes',
    title: 'What really happened',
    caption:
      missed.length === 0
        ? `A fault that has no effect tests nothing. Each of these was seen in some of the ${whole(runs)} runs.`
        : `A fault that has no effect tests nothing. Never seen in these ${whole(runs)} runs: ${missed.join(', ')}.`,
    spec: {
      ...BASE,
      height: 18 * sometimes.length,
      data: { values: sometimes.map(({ what, runs: seen }) => ({ what, seen })) },
      encoding: { y: { field: 'what', type: 'nominal', sort: null, axis: { title: null, labelLimit: 280 } } },
      layer: [
        {
          mark: { type: 'bar', color: LIGHT.third },
          encoding: {
            x: {
              field: 'seen',
              type: 'quantitative',
              axis: { title: 'runs', tickCount: 4, tickMinStep: 1, format: ',d' }
            }
          }
        },
        {
          transform: [{ filter: 'datum.seen === 0' }],
          mark: { type: 'text', text: 'never', align: 'left', dx: 4, color: LIGHT.bad, fontSize: 12 },
          encoding: { x: { field: 'seen', type: 'quantitative' } }
        }
      ]
    }
  }
}

// --- axes and marks

function timeAxis(): Spec {
  return {
    field: 'ms',
    type: 'quantitative',
    scale: { type: 'log', nice: false },
    axis: { title: 'milliseconds', format: ',d', values: [1, 10, 100, 1_000, 10_000, 100_000] }
  } as const
}

function shareAxis(): Spec {
  return {
    field: 'share',
    type: 'quantitative',
    scale: { domain: [0, 1] },
    axis: { title: null, format: '%', tickCount: 5 }
  } as const
}

/** The largest worlds say most about spreading. */
function bySize(a: ScenarioDigest, b: ScenarioDigest): number {
  return b.nodesMax - a.nodesMax || b.frames - a.frames || (a.scenario < b.scenario ? -1 : 1)
}

const MARKS_MAX = 60

function thinned(sorted: readonly number[]): number[] {
  if (sorted.length <= MARKS_MAX) return [...sorted]
  return Array.from(
    { length: MARKS_MAX },
    (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (MARKS_MAX - 1))] as number
  )
}

function last(values: readonly number[]): number {
  return values[values.length - 1] as number
}
