/**
 * A company of daemons on one machine: each learns something, all must come to hold and recall everything; then one
 * sleeps through thousands of writes and must catch up after it wakes.
 */
import { sharedDeltas, withYard, type DaemonProcess } from '../support/daemons.ts'
import { equal, learn, recallsMissing, startCompany } from './company.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DAEMONS = 16
const LEARNS = 1_000
const MISSED = 5_000
const SAMPLED_RECALLS = 20
/** The goal for the one that slept; it is printed, and only the wide bound below fails the run. */
const REJOIN_GOAL_MS = 20_000

export function fleet({ loops, say, daemons: size = DAEMONS }: ChaosOptions): Promise<Verdict> {
  return withYard('fleet', async (yard) => {
    const daemons = await startCompany(yard, size, say)
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
      recallsMissed += await recallsMissing(daemons, fresh, `round ${loop}`, SAMPLED_RECALLS)

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
      daemons: size,
      learned,
      'equal digests after, ms': Math.round(spreadMs),
      'sampled recalls': SAMPLED_RECALLS * size * loops,
      'recalls that missed': recallsMissed,
      'writes missed by the sleeper': MISSED,
      'level again after, ms': Math.round(rejoinMs),
      'goal of 20 s': rejoinMs <= REJOIN_GOAL_MS ? 'met' : 'MISSED'
    }
    return judge(figures, breaches, [])
  })
}
