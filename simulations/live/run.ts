/**
 * The two tiers of real wires, for `npm run sim -- live …`: a swarm in one process, packaged daemons behind cut wires.
 * Each prints what it saw and answers the exit status: 0 held, 1 broken, 2 nothing was tested.
 */
import { enterOwnNetwork } from '../../test/support/own-network.ts'
import { whyNot } from './bridge.ts'
import { cuts } from './cuts.ts'
import { swarm } from './swarm.ts'

type Say = (line: string) => void

/** The specification's figure for a thousand agents. */
const EVERYBODY_MS_MAX = 5_000
const EQUAL_MS_MAX = 10_000

export interface SwarmCommand {
  readonly seed: string
  readonly nodes: number
  readonly dials: number
  readonly messages: number
}

/** Real libp2p on loopback, all nodes in this process. */
export async function runSwarm({ seed, nodes, dials, messages }: SwarmCommand, say: Say): Promise<number> {
  const report = await swarm({ seed, nodes, dials, messages, frameBytes: 400, say })
  const { broadcasts } = report
  const slowest = (pick: (one: (typeof broadcasts)[number]) => number | undefined): number =>
    Math.max(...broadcasts.map((one) => pick(one) ?? Infinity))
  const complete = broadcasts.filter(({ t100Ms }) => t100Ms !== undefined).length
  const ms = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(0)} ms` : 'never')
  say(`nodes        ${nodes}, ${report.links} links, ${report.rssMiBPerNode.toFixed(2)} MiB each`)
  say(
    `dialling     ${(report.dialMs / 1_000).toFixed(1)} s, then ${report.warmUps} broadcasts until the mesh reached all`
  )
  say(`delivery     ${complete} of ${broadcasts.length} broadcasts reached everybody`)
  say(`slowest      99 % ${ms(slowest(({ t99Ms }) => t99Ms))}, 100 % ${ms(slowest(({ t100Ms }) => t100Ms))}`)
  say(
    `processor    ${report.cpuSPerBroadcast.toFixed(2)} s a broadcast, all nodes together; ` +
      `${report.idleProcessors.toFixed(2)} of one busy when nobody speaks`
  )
  if (broadcasts.length === 0) return 2
  const held = complete === broadcasts.length && slowest(({ t100Ms }) => t100Ms) <= EVERYBODY_MS_MAX
  say(held ? 'held' : `BROKEN: every broadcast is to reach everybody within ${EVERYBODY_MS_MAX / 1_000} s`)
  return held ? 0 : 1
}

export interface CutsCommand {
  readonly seed: string
  readonly daemons: number
  readonly seconds: number
  readonly loss: number
}

/** Packaged daemons in namespaces. Exit status 2 with the reason where that is impossible. */
export async function runCuts({ seed, daemons, seconds, loss }: CutsCommand, say: Say): Promise<number> {
  const reason = whyNot()
  if (reason !== undefined) {
    say(`nothing was tested: ${reason}`)
    return 2
  }
  const elsewhere = enterOwnNetwork()
  if (elsewhere !== undefined) return elsewhere
  const report = await cuts({ seed, daemons, seconds, loss, writesPerSecond: 20, say })
  const { equalMs } = report
  say(
    `injected     ${report.cuts} cuts: ${report.packetsCut} packets; lost on single ways: ${report.packetsLost} packets`
  )
  say(
    `writes       ${report.acknowledged} acknowledged, ${report.refused} refused, ${report.missing} missing somewhere`
  )
  say(`at healing   ${report.missingAtHeal} deltas were missing over all daemons`)
  say(`equal        ${equalMs === undefined ? 'NEVER' : `${(equalMs / 1_000).toFixed(1)} s after healing`}`)
  if (report.died > 0) say(`died         ${report.died} daemons`)
  if (report.acknowledged === 0 || report.packetsCut === 0) {
    say('failed to test: nothing was written, or nothing was cut')
    return 2
  }
  const held = report.missing === 0 && report.died === 0 && equalMs !== undefined && equalMs <= EQUAL_MS_MAX
  say(held ? 'held' : `BROKEN: all are to be equal ${EQUAL_MS_MAX / 1_000} s after healing, with nothing missing`)
  return held ? 0 : 1
}
