/** How messages spread in a run, from what the simulated wire counted: for reports and pictures. */
import type { World } from '../world/world.ts'
import type { Deliveries, RunReport } from './report.ts'

/** Shares of nodes at which the curve is sampled, and frames that are counted as having reached everybody. */
const CURVE_STEPS = 40

/** Null when nothing was published. Nodes that were not there count as not reached: the curve says so. */
export function deliveriesOf(world: World): Deliveries | null {
  const frames = world.deliveries
  const others = world.nodes.length - 1
  if (frames.length === 0 || others <= 0) return null
  const honest = new Set(world.nodes.map(({ peer }) => peer))
  const delays: number[] = []
  const hops: number[] = []
  const timesTo: { readonly [share: string]: number[] } = { '0.5': [], '0.99': [], '1': [] }
  let copies = 0
  let arrived = 0
  for (const frame of frames) {
    const arrivals = frame.arrivals.filter(({ node }) => honest.has(node) && node !== frame.publisher)
    for (const arrival of arrivals) {
      delays.push(arrival.atMs - frame.atMs)
      hops[arrival.hops - 1] = (hops[arrival.hops - 1] ?? 0) + 1
    }
    copies += frame.copies
    arrived += arrivals.length
    for (const [share, times] of Object.entries(timesTo)) {
      const needed = Math.ceil(others * Number(share))
      const last = arrivals[needed - 1]
      if (last !== undefined) times.push(last.atMs - frame.atMs)
    }
  }
  delays.sort((a, b) => a - b)
  const control = world.air.bytes()['gossip-control']
  return {
    frames: frames.length,
    t50Ms: median(timesTo['0.5'] ?? []),
    t99Ms: median(timesTo['0.99'] ?? []),
    t100Ms: median(timesTo['1'] ?? []),
    coverage: curveOf(delays, frames.length * others),
    hops: Array.from(hops, (count) => count ?? 0),
    copies: arrived === 0 ? 0 : rounded(copies / arrived, 3),
    controlBytesPerDelta: arrived === 0 ? 0 : rounded(control / arrived, 1)
  }
}

/** Ascending in both. */
function curveOf(delays: readonly number[], all: number): [ms: number, share: number][] {
  const curve: [number, number][] = []
  for (let step = 1; step <= CURVE_STEPS; step++) {
    const index = Math.ceil((delays.length * step) / CURVE_STEPS) - 1
    const delay = delays[index]
    if (delay !== undefined) curve.push([rounded(delay, 1), rounded((index + 1) / all, 4)])
  }
  return curve
}

export function latencyByRegionOf(world: World): RunReport['latencyByRegion'] {
  const byRegion = new Map<string, number[]>()
  for (const frame of world.deliveries) {
    for (const { node, atMs } of frame.arrivals) {
      const region = world.air.regionOf(node)
      const delays = byRegion.get(region) ?? []
      delays.push(atMs - frame.atMs)
      byRegion.set(region, delays)
    }
  }
  return Object.fromEntries(
    [...byRegion]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([region, delays]) => [region, { p50Ms: quantile(delays, 0.5) ?? 0, p99Ms: quantile(delays, 0.99) ?? 0 }])
  )
}

/** Nearest rank; null of nothing. */
export function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
  return value === undefined ? null : rounded(value, 1)
}

export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5)
}

export function rounded(value: number, digits: number): number {
  const scale = 10 ** digits
  return Math.round(value * scale) / scale
}
