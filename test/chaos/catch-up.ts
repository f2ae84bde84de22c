/**
 * A daemon that was away while much was written. It is killed in the middle of catching up and started again: what it
 * had stored must still be there, it must go on from there, and at the end all show one digest. Then an empty newcomer
 * takes everything. How fast is printed and not judged: machines differ.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import { residentMiB } from '../perf/machine.ts'
import { sharedDeltas, until, withYard, type DaemonProcess } from '../support/daemons.ts'
import { equal, learn, startCompany } from './company.ts'
import { table } from './table.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DAEMONS = 2
const LEARNS = 100_000
const IN_FLIGHT_EACH = 32
const CAUGHT_UP_MS_MAX = 600_000
const ASK_MS = 50

interface Leg {
  readonly who: string
  readonly from: number
  readonly to: number
  readonly ms: number
  readonly residentMiB: number
}

/** `learns`: fewer in the short run. */
export function catchUp(options: ChaosOptions, learns = LEARNS): Promise<Verdict> {
  const { loops, say, daemons: size = DAEMONS, seed = `catch-up/${Date.now()}` } = options
  const random = new SeededRandom(seed)
  return withYard('catch-up', async (yard) => {
    const company = await startCompany(yard, size + 1, say)
    let sleeper = company.pop() as DaemonProcess
    let learned = 0
    let early = 0
    let forgotten = 0
    const legs: Leg[] = []
    for (let loop = 0; loop < loops; loop++) {
      await equal([...company, sleeper], learned, say)
      await sleeper.stop()
      await learn(company, learns, `while one was away, round ${loop}`, IN_FLIGHT_EACH)
      learned += learns
      await equal(company, learned, say, { timeoutMs: CAUGHT_UP_MS_MAX, everyMs: 500 })

      const before = learned - learns
      const target = before + Math.floor(learns * (0.2 + 0.4 * random.unit()))
      sleeper = await yard.start(sleeper.home)
      const first = await fill('was away, killed in the middle', sleeper, target)
      await sleeper.kill()
      legs.push(first)
      say(`killed with ${first.to} of ${learned} deltas`)
      if (first.to >= learned) early++

      sleeper = await yard.start(sleeper.home)
      const resumed = await fill('started again', sleeper, learned)
      legs.push(resumed)
      forgotten += Math.max(0, first.to - resumed.from)
      say(`started again with ${resumed.from}, had all after ${Math.round(resumed.ms)} ms`)

      const newcomer = await yard.start(await yard.joinHome(company[0] as DaemonProcess))
      legs.push(await fill('empty newcomer', newcomer, learned))
      await equal([...company, sleeper, newcomer], learned, say, { timeoutMs: CAUGHT_UP_MS_MAX, everyMs: 500 })
      await newcomer.stop()
    }
    for (const line of table(HEADINGS, legs.map(cells))) say(line)
    const rate = (who: RegExp): string => {
      const these = legs.filter((leg) => who.test(leg.who))
      return perSecond(
        these.reduce((sum, { from, to }) => sum + to - from, 0),
        these.reduce((sum, { ms }) => sum + ms, 0)
      )
    }
    const figures = {
      'daemons with everything': size,
      'deltas missed': learns,
      'kills in the middle': loops - early,
      'stored and not there after the kill': forgotten,
      'deltas/s of the one that was away': rate(/away|again/),
      'deltas/s of an empty newcomer': rate(/newcomer/)
    }
    const breaches = forgotten > 0 ? [`${forgotten} deltas were held before the kill and not after it`] : []
    return judge(figures, breaches, [early > 0 ? `${early} times it had everything before it was killed` : undefined])
  })
}

/** Waits until the daemon holds that many deltas, from the moment it answers. */
async function fill(who: string, daemon: DaemonProcess, target: number): Promise<Leg> {
  const startedMs = performance.now()
  const from = await sharedDeltas(daemon)
  let to = from
  let resident = 0
  await until(
    `${who}: it holds ${target} deltas`,
    async () => {
      to = await sharedDeltas(daemon)
      resident = Math.max(resident, residentMiB(daemon.pid) ?? 0)
      return to >= target
    },
    { timeoutMs: CAUGHT_UP_MS_MAX, everyMs: ASK_MS }
  )
  return { who, from, to, ms: performance.now() - startedMs, residentMiB: resident }
}

const perSecond = (deltas: number, ms: number): string => (ms <= 0 ? '-' : ((deltas / ms) * 1_000).toFixed(0))

const HEADINGS = ['daemon', 'from', 'to', 's', 'deltas/s', 'resident MiB']

function cells({ who, from, to, ms, residentMiB: resident }: Leg): (string | number)[] {
  return [who, from, to, (ms / 1_000).toFixed(1), perSecond(to - from, ms), resident.toFixed(0)]
}
