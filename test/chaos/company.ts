/**
 * A company of daemons on one machine, in one network: started a few at a time, connected, made to learn, and watched
 * until all show one digest. The first is everyone's bootstrap; the others are introduced to each other here, as
 * multicast would do it on a real network. Left alone they would be a star, whose middle does all the work, and which
 * no gossip mesh of four links reaches.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import {
  sharedDeltas,
  until,
  untilConnected,
  type DaemonProcess,
  type StartOptions,
  type Yard
} from '../support/daemons.ts'

const STARTS_AT_ONCE = 2
const IN_FLIGHT_EACH = 4
/** So many links that each makes give twice as many on the average. */
const INTRODUCTIONS = 4
const EQUAL_MS_MAX = 300_000
const LISTENING_MS_MAX = 120_000

type Say = (line: string) => void

/** All of them connected. `set`: configuration of each. */
export async function startCompany(
  yard: Yard,
  count: number,
  say: Say,
  set: StartOptions['set'] = {}
): Promise<DaemonProcess[]> {
  const first = await yard.start(await yard.newHome(), { set })
  const daemons = [first]
  while (daemons.length < count) {
    const homes: string[] = []
    for (let i = 0; i < Math.min(STARTS_AT_ONCE, count - daemons.length); i++) homes.push(await yard.joinHome(first))
    daemons.push(...(await Promise.all(homes.map((home) => yard.start(home, { set })))))
  }
  for (const daemon of daemons) await untilConnected(daemon)
  await introduce(daemons)
  const statuses = await Promise.all(daemons.map((daemon) => daemon.client.status()))
  const links = statuses.reduce((sum, { peers }) => sum + peers.connected, 0) / 2
  say(`${daemons.length} daemons are connected by ${links} links`)
  return daemons
}

/** Each dials some that were started before it, those it has not met first. */
async function introduce(daemons: readonly DaemonProcess[]): Promise<void> {
  const random = new SeededRandom(`company of ${daemons.length}`)
  for (const [n, daemon] of daemons.entries()) {
    const others = new Set<number>()
    while (others.size < Math.min(INTRODUCTIONS, n)) others.add(random.below(n))
    for (const other of others) {
      const [address] = (await (daemons[other] as DaemonProcess).client.status()).addresses
      if (address !== undefined) await daemon.client.call('peer.connect', { address })
    }
  }
}

/** Resolves once each knows a connected peer that listens to its space. */
export async function untilListening(daemons: readonly DaemonProcess[]): Promise<void> {
  await until(
    'every daemon has somebody who listens',
    async () => {
      const lists = await Promise.all(daemons.map((daemon) => daemon.client.call('peer.list', {})))
      return lists.every(({ peers }) => peers.some((peer) => peer.connected && peer.topics.length > 0))
    },
    { timeoutMs: LISTENING_MS_MAX, everyMs: 100 }
  )
}

export const textOfThing = (label: string, n: number): string =>
  `${label} thing${n} was seen by scout${(n * 7_919) % 99_991}`

/** Spread evenly, a few at a time at each daemon. Answers the ids, in the order of their numbers. */
export async function learn(
  daemons: readonly DaemonProcess[],
  count: number,
  label: string,
  inFlightEach = IN_FLIGHT_EACH
): Promise<string[]> {
  const ids = new Array<string>(count)
  let next = 0
  const loop = async (daemon: DaemonProcess): Promise<void> => {
    while (next < count) {
      const n = next++
      ids[n] = (await daemon.client.learn(textOfThing(label, n))).id
    }
  }
  await Promise.all(daemons.flatMap((daemon) => Array.from({ length: inFlightEach }, () => loop(daemon))))
  return ids
}

export interface Watch {
  readonly timeoutMs?: number
  /** Asking costs the daemons something: seldom when there are many, or they hold much. */
  readonly everyMs?: number
}

/** Milliseconds until all show one digest over this many deltas. Rejects when they do not come to it. */
export async function equal(
  daemons: readonly DaemonProcess[],
  deltas: number,
  say: Say,
  { timeoutMs = EQUAL_MS_MAX, everyMs = 50 }: Watch = {}
): Promise<number> {
  const startedMs = performance.now()
  await until(
    `all daemons hold the same ${deltas} deltas`,
    async () => {
      const counts = await Promise.all(daemons.map(sharedDeltas))
      if (counts.some((count) => count !== deltas)) return false
      const digests = await Promise.all(
        daemons.map((daemon) => daemon.client.call('memory.digest', {}, { timeoutMs: 120_000 }))
      )
      return new Set(digests.map(({ root, state }) => `${root} ${state}`)).size === 1
    },
    { timeoutMs, everyMs }
  )
  const ms = performance.now() - startedMs
  say(`${daemons.length} daemons are equal at ${deltas} deltas after ${Math.round(ms)} ms`)
  return ms
}

/** How many of a sample of memories some daemon does not recall by their own words. */
export async function recallsMissing(
  daemons: readonly DaemonProcess[],
  ids: readonly string[],
  label: string,
  samples: number
): Promise<number> {
  const random = new SeededRandom(label)
  let missing = 0
  for (let sample = 0; sample < samples; sample++) {
    const n = random.below(ids.length)
    for (const daemon of daemons) {
      const { items } = await daemon.client.recall(textOfThing(label, n), { limit: 10 })
      if (!items.some((item) => item.id === ids[n])) missing++
    }
  }
  return missing
}

/** What all of them have counted so far, by name, added up. Gauges are of no use here. */
export async function counted(daemons: readonly DaemonProcess[]): Promise<Map<string, number>> {
  const total = new Map<string, number>()
  for (const { counters } of await Promise.all(daemons.map((daemon) => daemon.client.stats()))) {
    for (const [name, value] of Object.entries(counters)) total.set(name, (total.get(name) ?? 0) + value)
  }
  return total
}

/** What was counted between two looks, for names that match. */
export function grown(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  pattern: RegExp
): number {
  let sum = 0
  for (const [name, value] of after) if (pattern.test(name)) sum += value - (before.get(name) ?? 0)
  return sum
}

/** Counters by whom they tell of. */
export const COUNTERS = {
  /** Frames of sessions, both ways, each counted at both ends. */
  sessionBytes: /^chrysalis_recon_bytes$/,
  metadataBytes: /^chrysalis_recon_metadata_bytes$/,
  sessions: /^chrysalis_recon_sessions_\w+_total$/,
  /** Deltas in frames, as published and as received; not what gossipsub itself says. */
  gossipPublished: /^chrysalis_gossip_published_bytes$/,
  gossipReceived: /^chrysalis_gossip_received_bytes$/,
  gossipFrames: /^chrysalis_gossip_frames_total$/,
  ingested: /^chrysalis_node_ingested_total$/,
  written: /^chrysalis_node_written_total$/,
  shed: /^chrysalis_gossip_(shed|overflow)_total$/
} as const
