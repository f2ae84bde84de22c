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
  /** 60 million bytes. */
  setMiBPerMillion: atMost(57.2),
  restartCpuMsPerMillion: atMost(500),
  recallOverRpcP50Ms: atMost(1),
  recallOverRpcP99Ms: atMost(5),
  /** With vectors, from a service that answers at once. */
  hybridOverRpcP50Ms: atMost(3),
  hybridOverRpcP99Ms: atMost(10),
  /** In another process, at a hundred thousand memories, four words. */
  sharedSearchP50Ms: atMost(0.3),
  sharedSearchP99Ms: atMost(1),
  sharedVisibleP50Ms: atMost(1),
  sharedWriteCostPercent: atMost(5),
  rssIdleMiB: atMost(256),
  visibilityP95Ms: atMost(100),
  /** Beside the peers: p50 and p99 while nothing else happens. */
  visibilityIdleP50Ms: atMost(5),
  visibilityIdleP99Ms: atMost(20),
  catchUpPerS: atLeast(10_000),
  catchUpTenThousandMs: atMost(2_000),
  joiningRssMiB: atMost(150),
  restartReadyMs: atMost(2_000),
  /** Bytes of metadata both ways, and answers waited for, to find this many differences spread over 1 M deltas. */
  reconBytes: {
    0: atMost(64),
    10: atMost(640),
    100: atMost(3_200),
    1_000: atMost(33_000),
    10_000: atMost(260_000)
  } as Readonly<Record<number, Goal>>,
  reconRoundTrips: {
    0: atMost(1),
    10: atMost(1),
    100: atMost(3),
    1_000: atMost(3),
    10_000: atMost(3)
  } as Readonly<Record<number, Goal>>,
  /** Both sides together, a hundred differences in 1 M deltas. */
  reconHundredCpuMs: atMost(10),
  /** A hundred differences in 1 M deltas by the tree alone. */
  reconTreeBytes: atMost(32_000),
  reconTreeRoundTrips: atMost(4),
  /** Away for the newest ten thousand. */
  reconBlockBytes: atMost(2_000)
} as const
