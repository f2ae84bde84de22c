/**
 * What a run says about itself. Plain data: it is a line of a sweep's `runs.jsonl`, what pictures are drawn from, and
 * what two runs of one seed are compared by.
 */
import type { Sometimes, Violation } from '../checkers/checker.ts'

export type Verdict = 'held' | 'violated' | 'failed-to-test'

export interface RunReport {
  readonly scenario: string
  readonly seed: string
  readonly tier: 'engine' | 'model'
  readonly nodes: number
  readonly verdict: Verdict
  readonly violations: readonly Violation[]
  /** Things that happened, of those that some seed has to see. */
  readonly reached: readonly Sometimes[]
  /** Faults that were injected, and by kind. */
  readonly faults: number
  readonly faultKinds: Readonly<Record<string, number>>
  readonly liars: Readonly<Record<string, number>>
  /** Writes that were tried, acknowledged, and of these missing on some honest node at the end. */
  readonly attempted: number
  readonly acknowledged: number
  readonly missing: number
  /** Distinct digests of all records over the honest nodes: 1 when every node shows the same. */
  readonly states: number
  readonly root: string
  /** Virtual milliseconds from the last healing to convergence; null when it never came. */
  readonly healMs: number | null
  readonly virtualMs: number
  readonly events: number
  readonly trace: string
  readonly deliveries: Deliveries | null
  /** One-way milliseconds from writing to arrival, by region of the receiver: median and 99th percentile. */
  readonly latencyByRegion: Readonly<Record<string, { readonly p50Ms: number; readonly p99Ms: number }>>
  /** Sums over all honest nodes. */
  readonly counters: Readonly<Record<string, number>>
}

/** How published frames spread. Times are medians over the frames of a run. */
export interface Deliveries {
  readonly frames: number
  readonly t50Ms: number | null
  readonly t99Ms: number | null
  readonly t100Ms: number | null
  /** Share of nodes reached against milliseconds since publishing, over all frames. */
  readonly coverage: readonly (readonly [ms: number, share: number])[]
  /** Deliveries by number of hops; index 0 is one hop. */
  readonly hops: readonly number[]
  /** Copies received for each delivery. */
  readonly copies: number
  readonly controlBytesPerDelta: number
}
