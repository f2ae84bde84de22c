/**
 * Packaged daemons behind real wires that keep breaking. Each lives in a network namespace of its own; for minutes every
 * few seconds other wires are cut (one daemon, a half, single ways) while on others a share of the packets is lost in one
 * direction only, and agents go on learning. Then everything is healed, and all must come to one digest within seconds,
 * holding whatever was acknowledged. Everything is asked over RPC, as an agent would.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import type { Random } from '../../src/ports/random.ts'
import {
  sharedDeltas,
  until,
  untilConnected,
  withYard,
  type DaemonProcess,
  type Yard
} from '../../test/support/daemons.ts'
import { Bridge, waysBetween, type Way } from './bridge.ts'

export interface CutsOptions {
  readonly seed: string
  readonly daemons: number
  /** How long wires are cut. */
  readonly seconds: number
  /** Share of the packets lost on half of the ways. */
  readonly loss: number
  readonly writesPerSecond: number
  readonly say: (line: string) => void
}

export interface CutsReport {
  readonly daemons: number
  readonly cuts: number
  readonly packetsCut: number
  readonly packetsLost: number
  readonly acknowledged: number
  readonly refused: number
  /** Deltas missing over all daemons when the wires were healed. */
  readonly missingAtHeal: number
  /** Milliseconds from healing to one digest over all of them; undefined when that never came. */
  readonly equalMs: number | undefined
  readonly missing: number
  readonly died: number
}

const EVERY_MS = 5_000
const LINKS_EACH = 4
const HEAL_MS_MAX = 120_000

/** In a network namespace of one's own (test/support/own-network.ts). */
export async function cuts(options: CutsOptions): Promise<CutsReport> {
  const { daemons: count, say } = options
  const random = new SeededRandom(options.seed)
  const bridge = await Bridge.lay(count)
  try {
    return await withYard('cuts', async (yard) => {
      const daemons = await startAll(yard, bridge, count, random.fork('links'))
      say(`${count} daemons, each in a namespace of its own, are connected`)
      bridge.lose(someWays(count, random.fork('lossy')), options.loss)
      const work = new Work(daemons, random.fork('work'), options.writesPerSecond)
      const rounds = Math.max(1, Math.round((options.seconds * 1_000) / EVERY_MS))
      const dice = random.fork('cuts')
      for (let round = 1; round <= rounds; round++) {
        const { name, ways } = drawCut(count, dice)
        bridge.cut(ways)
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
        if (round % 6 === 0) say(`${round} of ${rounds} cuts, the last ${name}; ${work.acknowledged} acknowledged`)
      }
      const dropped = bridge.dropped()
      const acknowledged = await work.stop()
      bridge.cut([])
      bridge.lose([], 0)
      const healedMs = performance.now()
      const missingAtHeal = await missing(daemons, acknowledged)
      say(`healed: ${missingAtHeal} deltas are missing over all daemons`)
      const equalMs = await equal(daemons, acknowledged).then(
        () => performance.now() - healedMs,
        () => undefined
      )
      return {
        daemons: count,
        cuts: rounds,
        packetsCut: dropped.cut,
        packetsLost: dropped.lost,
        acknowledged,
        refused: work.refused,
        missingAtHeal,
        equalMs,
        missing: await missing(daemons, acknowledged),
        died: daemons.filter((daemon) => !daemon.running).length
      }
    })
  } finally {
    bridge.close()
  }
}

async function startAll(yard: Yard, bridge: Bridge, count: number, random: Random): Promise<DaemonProcess[]> {
  const daemons: DaemonProcess[] = []
  for (let place = 0; place < count; place++) {
    const [first] = daemons
    const home = await (first === undefined ? yard.newHome() : yard.joinHome(first))
    const set = { 'network.listen': '/ip4/0.0.0.0/tcp/0' }
    const daemon = await yard.start(home, { set, entrance: bridge.entrance(place) })
    const others = new Set<number>()
    while (others.size < Math.min(LINKS_EACH, place)) others.add(random.below(place))
    for (const other of others) {
      const { addresses } = await (daemons[other] as DaemonProcess).client.call('node.id', {})
      const address = addresses.find((one) => one.includes(`/${bridge.address(other)}/`))
      if (address === undefined) throw new Error(`daemon ${other} has no address on the bridge: ${addresses.join(' ')}`)
      await daemon.client.call('peer.connect', { address })
    }
    daemons.push(daemon)
  }
  for (const daemon of daemons) await untilConnected(daemon)
  return daemons
}

/** Each way with an even chance. */
function someWays(count: number, random: Random): Way[] {
  const all = Array.from({ length: count }, (_, place) => place)
  return waysBetween(all, all, false).filter(([from, to]) => from !== to && random.unit() < 0.5)
}

/** One daemon alone, two parts, or single ways; in both directions or in one. */
function drawCut(count: number, random: Random): { readonly name: string; readonly ways: readonly Way[] } {
  const all = Array.from({ length: count }, (_, place) => place)
  const symmetric = random.unit() < 0.5
  const direction = symmetric ? 'in both directions' : 'in one direction'
  const kind = random.below(3)
  if (kind === 2) return { name: 'single ways', ways: someWays(count, random) }
  const alone = random.below(count)
  const some = kind === 0 ? [alone] : all.filter(() => random.unit() < 0.5)
  const others = all.filter((place) => !some.includes(place))
  return { name: `${some.length} from ${others.length} ${direction}`, ways: waysBetween(some, others, symmetric) }
}

/** Agents that learn at a steady pace, now here, now there. */
class Work {
  acknowledged = 0
  refused = 0
  #stopped = false
  readonly #running: Promise<void>

  constructor(daemons: readonly DaemonProcess[], random: Random, perSecond: number) {
    this.#running = this.#go(daemons, random, perSecond)
  }

  async #go(daemons: readonly DaemonProcess[], random: Random, perSecond: number): Promise<void> {
    const startedMs = performance.now()
    for (let n = 0; !this.#stopped; n++) {
      const daemon = daemons[random.below(daemons.length)] as DaemonProcess
      await daemon.client.learn(`thing ${n} was seen while the wires broke`).then(
        () => this.acknowledged++,
        () => this.refused++
      )
      const aheadMs = ((n + 1) * 1_000) / perSecond - (performance.now() - startedMs)
      if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs))
    }
  }

  /** How many were acknowledged. */
  async stop(): Promise<number> {
    this.#stopped = true
    await this.#running
    return this.acknowledged
  }
}

async function missing(daemons: readonly DaemonProcess[], deltas: number): Promise<number> {
  const counts = await Promise.all(daemons.map(sharedDeltas))
  return counts.reduce((sum, count) => sum + Math.max(0, deltas - count), 0)
}

async function equal(daemons: readonly DaemonProcess[], deltas: number): Promise<void> {
  const isEqual = async (): Promise<boolean> => {
    if ((await missing(daemons, deltas)) > 0) return false
    const digests = await Promise.all(daemons.map((daemon) => daemon.client.call('memory.digest', {})))
    return new Set(digests.map(({ root, state }) => `${root} ${state}`)).size === 1
  }
  await until('all show one digest', isEqual, { timeoutMs: HEAL_MS_MAX, everyMs: 100 })
}
