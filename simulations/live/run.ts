/**
 * The two tiers of real wires, for `chrysalis sim swarm` and `chrysalis sim cables`: a thousand nodes in one process,
 * packaged daemons behind cut cables. Exit status: 0 held, 1 violated, 2 failed to test.
 */
import { enterOwnNetwork } from '../../test/support/own-network.ts'
import { whyNot } from './bridge.ts'
import { cuts } from './cuts.ts'
import { swarm } from './swarm.ts'

type Say = (line: string) => void

const FRAME_BYTES = 400
const WRITES_PER_SECOND = 20
/** The specification's figure for a thousand agents. */
const EVERYBODY_MS_MAX = 5_000
const EQUAL_MS_MAX = 10_000

export interface SwarmCommand {
  readonly seed: string
  readonly nodes: number
  readonly dials: number
  readonly messages: number
}

/** As a command of the simulator comes back. */
export interface LiveOutcome {
  readonly data: unknown
  readonly lines: readonly string[]
  readonly exit: number
}

/** Real libp2p on loopback, all nodes in this process. `note` is told what goes on meanwhile. */
export async function runSwarm({ seed, nodes, dials, messages }: SwarmCommand, note: Say): Promise<LiveOutcome> {
  const report = await swarm({ seed, nodes, dials, messages, frameBytes: FRAME_BYTES, say: note })
  const { broadcasts } = report
  const slowest = (pick: (one: (typeof broadcasts)[number]) => number | undefined): number =>
    Math.max(...broadcasts.map((one) => pick(one) ?? Infinity))
  const complete = broadcasts.filter(({ t100Ms }) => t100Ms !== undefined).length
  const ms = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(0)} ms` : 'never')
  const held = complete === broadcasts.length && slowest(({ t100Ms }) => t100Ms) <= EVERYBODY_MS_MAX
  const lines = [
    `nodes        ${nodes}, ${report.links} links, ${report.rssMiBPerNode.toFixed(2)} MiB each`,
    `dialling     ${(report.dialMs / 1_000).toFixed(1)} s, then ${report.warmUps} broadcasts until the mesh reached all`,
    `delivery     ${complete} of ${broadcasts.length} broadcasts reached everybody`,
    `slowest      99 % ${ms(slowest(({ t99Ms }) => t99Ms))}, 100 % ${ms(slowest(({ t100Ms }) => t100Ms))}`,
    `processor    ${report.cpuSPerBroadcast.toFixed(2)} s a broadcast, all nodes together; ` +
      `${report.idleProcessors.toFixed(2)} of one busy when nobody speaks`,
    held
      ? 'verdict      held'
      : `verdict      VIOLATED: everybody is to be reached within ${EVERYBODY_MS_MAX / 1_000} s`
  ]
  return { data: report, lines, exit: held ? 0 : 1 }
}

export interface CutsCommand {
  readonly seed: string
  readonly daemons: number
  readonly seconds: number
  readonly loss: number
}

/** Packaged daemons in namespaces. Exit status 2 with the reason where that is impossible. */
export async function runCuts({ seed, daemons, seconds, loss }: CutsCommand, note: Say): Promise<LiveOutcome> {
  const reason = whyNot()
  if (reason !== undefined) {
    return { data: { skipped: reason }, lines: [`verdict      failed to test: ${reason}`], exit: 2 }
  }
  const elsewhere = enterOwnNetwork()
  // What that process says is what this one has to say.
  if (elsewhere !== undefined) return { data: undefined, lines: [], exit: await elsewhere }
  const report = await cuts({ seed, daemons, seconds, loss, writesPerSecond: WRITES_PER_SECOND, say: note })
  const { equalMs } = report
  const lines = [
    `injected     ${report.cuts} cuts: ${report.packetsCut} packets; lost on single ways: ${report.packetsLost} packets`,
    `writes       ${report.acknowledged} acknowledged, ${report.refused} refused, ${report.missing} missing somewhere`,
    `at healing   ${report.missingAtHeal} deltas were missing over all daemons`,
    `equal        ${equalMs === undefined ? 'NEVER' : `${(equalMs / 1_000).toFixed(1)} s after healing`}`,
    ...(report.died > 0 ? [`died         ${report.died} daemons`] : [])
  ]
  if (report.acknowledged === 0 || report.packetsCut === 0) {
    const why = 'verdict      failed to test: nothing was written, or nothing was cut'
    return { data: report, lines: [...lines, why], exit: 2 }
  }
  const held = report.missing === 0 && report.died === 0 && equalMs !== undefined && equalMs <= EQUAL_MS_MAX
  const violated = `verdict      VIOLATED: all are to be equal ${EQUAL_MS_MAX / 1_000} s after healing, with nothing missing`
  return { data: report, lines: [...lines, held ? 'verdict      held' : violated], exit: held ? 0 : 1 }
}
