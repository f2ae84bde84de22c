/**
 * The figures the project sets itself, as numbers. A suite hangs one on the figure it measures; figures without a goal
 * are there to be compared over time.
 */
import type { Goal } from './measure.ts'

const atMost = (value: number): Goal => ({ is: 'at most', value })
const atLeast = (value: number): Goal => ({ is: 'at least', value })

export const GOALS = {
  /** Durable writes, signed and synced. The milliseconds hold for a disk whose bare fdatasync takes at most 4 ms. */
  writeSerialP50Ms: atMost(6),
  writeSerialP99Ms: atMost(20),
  writeSerialRatio: atMost(1.5),
  writesConcurrentPerS: atLeast(10_000),
  readInDaemonP50Ms: atMost(0.1),
  readOverRpcP50Ms: atMost(0.3),
  readsPerS: atLeast(20_000),
  mergeDeltaMicros: atMost(2),
  mergeGSetMicros: atMost(45),
  ingestPerS: atLeast(4_000),
  rangeInsertMicros: atMost(6),
  recallOverRpcP50Ms: atMost(1),
  recallOverRpcP99Ms: atMost(5),
  rssIdleMiB: atMost(256),
  visibilityP95Ms: atMost(100),
  /** Beside the peers: p50 and p99 while nothing else happens. */
  visibilityIdleP50Ms: atMost(5),
  visibilityIdleP99Ms: atMost(20),
  catchUpPerS: atLeast(10_000),
  catchUpTenThousandMs: atMost(2_000),
  restartReadyMs: atMost(2_000)
} as const
