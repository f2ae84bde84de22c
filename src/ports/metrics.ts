/** Counters and gauges, named chrysalis_<room>_<what>_<unit>. Every refusal is counted somewhere. */
export interface Metrics {
  count(name: string, by?: number): void
  gauge(name: string, value: number): void
  /** All current values, by name. */
  snapshot(): Readonly<Record<string, number>>
}
