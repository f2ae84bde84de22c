/**
 * Counters and gauges in one map, read by status, statistics and the metrics page. Names ending in `_total` or `_bytes`
 * that were counted only grow; whoever serves them decides how to present them.
 *
 * Bounded in names, so that a name built from a peer's input by mistake cannot eat the memory.
 */
import { compareText } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Metrics } from '../../ports/metrics.ts'

/** Values that could not be kept: not finite, a counter going down, or one name too many. */
export const REFUSED_METRIC = 'chrysalis_metrics_refused_total'

export function createMetrics(namesMax: number = LIMITS.metricNamesMax): Metrics {
  // The refusals have their place from the start: they must be countable when every other place is taken.
  const values = new Map<string, number>([[REFUSED_METRIC, 0]])

  const refuse = (): void => {
    values.set(REFUSED_METRIC, (values.get(REFUSED_METRIC) ?? 0) + 1)
  }
  const store = (name: string, value: number): void => {
    if (!Number.isFinite(value) || (!values.has(name) && values.size > namesMax)) refuse()
    else values.set(name, value)
  }

  return {
    count(name, by = 1) {
      if (by < 0) refuse()
      else store(name, (values.get(name) ?? 0) + by)
    },
    gauge: store,
    snapshot() {
      const sorted = [...values].sort(([a], [b]) => compareText(a, b))
      return Object.fromEntries(sorted)
    }
  }
}
