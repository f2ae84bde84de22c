/**
 * A company of daemons on one machine: each learns something, all must come to hold and recall everything; then one
 * sleeps through thousands of writes and must catch up after it wakes.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import { sharedDeltas, until, untilConnected, withYard, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DAEMONS = 16
const STARTS_AT_ONCE = 2
const LEARNS = 1_000
const MISSED = 5_000
const IN_FLIGHT_EACH = 4
const SAMPLED_RECALLS = 20
/** The goal for the one that slept; it is printed, and only the wide bound below fails the run. */
const REJOIN_GOAL_MS = 20_000
const SPREAD_MS_MAX = 300_000

export function fleet({ loops, say }: ChaosOptions): Promise<Verdict> {
  return withYard('fleet', async (yard) => {
    const daemons = await startAll(yard, say)
    const breaches: string[] = []
    const ids: string[] = []
    let learned = 0
    let spreadMs = 0
    let rejoinMs = 0
    let recallsMissed = 0
    for (let loop = 0; loop < loops; loop++) {
      const fresh = await learn(daemons, LEARNS, `round ${loop}`)
      learned += fresh.length
      ids.push(...fresh)
      spreadMs = Math.max(spreadMs, await equal(daemons, learned, say))
      recallsMissed += await recallsMissing(daemons, fresh, `round ${loop}`)

      const sleeper = daemons.at(-1) as DaemonProcess
      await sleeper.stop()
      const awake = daemons.slice(0, -1)
      const missed = await learn(awake, MISSED, `while one slept, round ${loop}`)
      learned += missed.length
      await equal(awake, learned, say)
      const back = await yard.start(sleeper.home)
      daemons[daemons.length - 1] = back
      rejoinMs = Math.max(rejoinMs, await equal([awake[0] as DaemonProcess, back], learned, say))
      say(`the sleeper was level again after ${Math.round(rejoinMs)} ms`)
      await equal(daemons, learned, say)
    }
    const counts = await Promise.all(daemons.map(sharedDeltas))
    if (counts.some((count) => count !== learned))
      breaches.push(`deltas held: ${counts.join(', ')}; learned: ${learned}`)
    if (recallsMissed > 0) breaches.push(`${recallsMissed} sampled recalls did not find their memory`)
    const figures = {
      daemons: DAEMONS,
      learned,
      'equal digests after, ms': Math.round(spreadMs),
      'sampled recalls': SAMPLED_RECALLS * DAEMONS * loops,
      'recalls that missed': recallsMissed,
      'writes missed by the sleeper': MISSED,
      'level again after, ms': Math.round(rejoinMs),
      'goal of 20 s': rejoinMs <= REJOIN_GOAL_MS ? 'met' : 'MISSED'
    }
    return judge(figures, breaches, [])
  })
}

/** All in the network of the first, which is everyone's bootstrap. */
async function startAll(yard: Yard, say: ChaosOptions['say']): Promise<DaemonProcess[]> {
  const first = await yard.start(await yard.newHome())
  const daemons = [first]
  while (daemons.length < DAEMONS) {
    const count = Math.min(STARTS_AT_ONCE, DAEMONS - daemons.length)
    const homes: string[] = []
    for (let i = 0; i < count; i++) homes.push(await yard.joinHome(first))
    daemons.push(...(await Promise.all(homes.map((home) => yard.start(home)))))
  }
  for (const daemon of daemons) await untilConnected(daemon)
  say(`${daemons.length} daemons are connected`)
  return daemons
}

const textOf = (label: string, n: number): string => `${label} thing${n} was seen by scout${(n * 7_919) % 99_991}`

/** Spread evenly, a few at a time at each daemon. Answers the ids, in the order of their numbers. */
async function learn(daemons: readonly DaemonProcess[], count: number, label: string): Promise<string[]> {
  const ids = new Array<string>(count)
  let next = 0
  const loop = async (daemon: DaemonProcess): Promise<void> => {
    while (next < count) {
      const n = next++
      ids[n] = (await daemon.client.learn(textOf(label, n))).id
    }
  }
  await Promise.all(daemons.flatMap((daemon) => Array.from({ length: IN_FLIGHT_EACH }, () => loop(daemon))))
  return ids
}

/** Milliseconds until all show one digest over this many deltas. Rejects when they do not come to it. */
async function equal(daemons: readonly DaemonProcess[], deltas: number, say: ChaosOptions['say']): Promise<number> {
  const startedMs = performance.now()
  await until(
    `all daemons hold the same ${deltas} deltas`,
    async () => {
      const counts = await Promise.all(daemons.map(sharedDeltas))
      if (counts.some((count) => count !== deltas)) return false
      const digests = await Promise.all(daemons.map((daemon) => daemon.client.call('memory.digest', {})))
      return new Set(digests.map(({ root, state }) => `${root} ${state}`)).size === 1
    },
    { timeoutMs: SPREAD_MS_MAX, everyMs: 50 }
  )
  const ms = performance.now() - startedMs
  say(`${daemons.length} daemons are equal at ${deltas} deltas after ${Math.round(ms)} ms`)
  return ms
}

/** How many of a sample of memories some daemon does not recall by their own words. */
async function recallsMissing(
  daemons: readonly DaemonProcess[],
  ids: readonly string[],
  label: string
): Promise<number> {
  const random = new SeededRandom(label)
  let missing = 0
  for (let sample = 0; sample < SAMPLED_RECALLS; sample++) {
    const n = random.below(ids.length)
    for (const daemon of daemons) {
      const { items } = await daemon.client.recall(textOf(label, n), { limit: 10 })
      if (!items.some((item) => item.id === ids[n])) missing++
    }
  }
  return missing
}
