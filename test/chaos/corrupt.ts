/**
 * One fault in the files of a stopped daemon (faults.ts), after an orderly stop and after kill -9. Then it is started
 * again, once beside a peer that holds everything and once alone. Whatever is shown must be right. With the peer all of
 * it must come back within a minute. Alone, whatever is missing must be said, by a refusal to start or by a reason in
 * the status, and it must come back when the peer does.
 *
 * A home without any fault goes through the same cases: were it called damaged too, a reason would prove nothing.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { HomePaths } from '../../src/daemon/home-files.ts'
import { homePaths } from '../../src/daemon/home-files.ts'
import { until, withYard, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { textOf } from './acknowledged.ts'
import { FAULTS, UNHARMED, type Fault } from './faults.ts'
import { copyOver } from './home-copy.ts'
import { findGaps } from './other-doors.ts'
import { areEqual, fillPatient, isolate, layDown, type Fill, type Patient } from './patients.ts'
import { unusualReasons } from './reasons.ts'
import { table } from './table.ts'
import { judge, tooFewAcks, type ChaosOptions, type Verdict } from './verdict.ts'

const FILL: Fill = { memories: 1_000, sessions: 4, stops: ['clean', 'killed'] }
const RESTORE_MS_MAX = 60_000
const INDEX_MS_MAX = 20_000
const RECALLS = 10
const VERIFY_MS_MAX = 120_000

interface Look {
  readonly state: string
  readonly wrong: number
  /** Acknowledged and not shown, wholly or in part, without an error. */
  readonly missing: number
  /** The first of those that only another door than `memory.get` lacks. */
  readonly gap: string | undefined
  /** Answered with an error that says why, or marked as not verified. */
  readonly flagged: number
  /** What the status says about it. */
  readonly told: readonly string[]
}

/** How one start ended. */
type Start = { readonly opened: true; readonly look: Look; readonly wholeMs: number | undefined } | Refusal
interface Refusal {
  readonly opened: false
  readonly exit: number | null
  readonly said: string
}

interface Case {
  readonly fault: Fault
  readonly stop: Patient['stop']
  readonly injected: string
  readonly beside: Start
  readonly alone: Start
  /** After the alone one, with the peer back and lost keys put back. */
  readonly later: Start
}

/** `fill` and `faults` are smaller in the short run. */
export function corrupt(
  options: ChaosOptions,
  fill: Fill = FILL,
  faults: readonly Fault[] = [UNHARMED, ...FAULTS]
): Promise<Verdict> {
  const { loops, say, seed = `corrupt/${Date.now()}`, only = '' } = options
  const wanted = faults.filter((fault) => fault === UNHARMED || fault.name.includes(only))
  return withYard('corrupt', async (yard) => {
    say(`seed ${seed}`)
    const healthy = await yard.start(await yard.newHome('healthy'))
    const patients: Patient[] = []
    for (const stop of fill.stops) patients.push(await fillPatient(yard, healthy, stop, fill))
    const cases: Case[] = []
    const unhurt = new Set<string>()
    for (let loop = 0; loop < loops; loop++) {
      for (const fault of wanted) {
        for (const patient of patients) {
          const random = new SeededRandom(`${seed}/${loop}/${fault.name}/${patient.stop}`)
          const done = await oneCase({ yard, healthy, patient, fault }, random, loop === 0)
          if (done === undefined) unhurt.add(fault.name)
          else cases.push(done)
          say(done === undefined ? `${fault.name}: there is nothing to damage` : describe(done))
        }
      }
    }
    for (const line of table(HEADINGS, cases.map(cells))) say(line)
    for (const { book } of patients) book.close()
    const acks = patients.reduce((sum, { book }) => sum + book.count, 0)
    const control = cases.filter(({ fault }) => fault === UNHARMED).flatMap(falseAlarms)
    return judge(figuresOf(cases, acks), cases.flatMap(breachesOf), [
      tooFewAcks(acks, options.acksMin),
      ...control,
      ...[...unhurt].map((name) => `${name}: there was nothing to damage`)
    ])
  })
}

interface Bed {
  readonly yard: Yard
  readonly healthy: DaemonProcess
  readonly patient: Patient
  readonly fault: Fault
}

async function oneCase(bed: Bed, random: SeededRandom, firstRound: boolean): Promise<Case | undefined> {
  const { yard, patient, fault } = bed
  const place = path.join(yard.root, 'case')
  const strike = async (): Promise<{ paths: HomePaths; injected: string | undefined }> => {
    const paths = await layDown(patient, place)
    // The same dice for both, so that both have the same fault.
    return { paths, injected: await fault.strike(paths, { random: random.fork('strike'), firstRound }) }
  }
  const first = await strike()
  if (first.injected === undefined) return undefined
  const beside = await startBeside(bed, first.paths)
  const second = await strike()
  isolate(second.paths)
  const alone = await startAlone(bed, second.paths)
  const whole = homePaths(patient.home)
  if (fault.refused) for (const key of KEYS) copyOver(whole[key], second.paths[key])
  for (const file of ['bootstrap', 'peers'] as const)
    if (existsSync(whole[file])) copyOver(whole[file], second.paths[file])
  const later = await startBeside(bed, second.paths)
  return { fault, stop: patient.stop, injected: first.injected, beside, alone, later }
}

const KEYS = ['identity', 'networkKey', 'spaces'] as const

async function startBeside({ yard, healthy, patient }: Bed, { home }: HomePaths): Promise<Start> {
  const startedMs = performance.now()
  const daemon = yard.launch(home)
  return ending(daemon, async () => {
    let wholeMs: number | undefined
    let look: Look | undefined
    let wrong = 0
    await until(
      'it is whole again',
      async () => {
        if (!(await areEqual([daemon, healthy]))) return false
        look = await lookAt(daemon, patient)
        wrong = Math.max(wrong, look.wrong)
        const { invalid } = await daemon.client.call('memory.verify', {}, { timeoutMs: VERIFY_MS_MAX })
        if (look.wrong + look.missing + look.flagged + invalid.length > 0) return false
        wholeMs = performance.now() - startedMs
        return true
      },
      { timeoutMs: RESTORE_MS_MAX, everyMs: 100 }
    ).catch((error: unknown) => {
      if (!daemon.running) throw error
    })
    look = wholeMs === undefined || look === undefined ? await lookAt(daemon, patient) : look
    await usable(daemon)
    return { opened: true, look: { ...look, wrong: Math.max(wrong, look.wrong) }, wholeMs }
  })
}

async function startAlone({ yard, patient }: Bed, { home }: HomePaths): Promise<Start> {
  const daemon = yard.launch(home)
  return ending(daemon, async () => {
    await until('the index is complete', async () => (await daemon.client.status()).index.state === 'complete', {
      timeoutMs: INDEX_MS_MAX
    }).catch((error: unknown) => {
      if (!daemon.running) throw error
    })
    const look = await lookAt(daemon, patient)
    if (look.state === 'ready') await usable(daemon)
    return { opened: true, look, wholeMs: undefined }
  })
}

/** Waits for the first answer, lets `act` look, and stops the daemon. A daemon that ends by itself has refused. */
async function ending(daemon: DaemonProcess, act: () => Promise<Start>): Promise<Start> {
  try {
    await daemon.answered()
    const start = await act()
    await daemon.stop()
    return start
  } catch (error) {
    if (daemon.running) {
      await daemon.kill()
      throw error
    }
    await daemon.ended()
    const { exitCode } = daemon.child
    return { opened: false, exit: exitCode, said: complaint(daemon.logTail()) || messageOf(error) }
  }
}

/** What the end of the log says: the line of the error, not its hint. */
function complaint(tail: string): string {
  const lines = tail.split('\n').filter((line) => line.trim() !== '')
  return lines.filter((line) => !line.startsWith('hint:')).at(-1) ?? ''
}

/** A daemon that is called ready takes writes. To the private space: see patients.ts. */
async function usable(daemon: DaemonProcess): Promise<void> {
  if ((await daemon.client.status()).state !== 'ready') return
  await daemon.client.learn('still here', { space: 'private' })
}

async function lookAt(daemon: DaemonProcess, { book }: Patient): Promise<Look> {
  const reading = await book.check(daemon.client, 'all')
  let recalledWrong = 0
  const step = Math.max(1, Math.floor(book.count / RECALLS))
  for (let n = 0; n < book.count; n += step) {
    const { items } = await daemon.client.recall(textOf(n), { limit: 5 })
    for (const { id, content, tags } of items) {
      if (book.numberOf(id) !== undefined && book.isWrong(id, { content, tags })) recalledWrong++
    }
  }
  const gone = new Set([...reading.lost, ...reading.partial, ...reading.refused])
  const gaps = await findGaps(daemon.client, book, gone)
  const status = await daemon.client.status()
  return {
    state: status.state,
    wrong: reading.wrong.length + recalledWrong,
    missing: reading.lost.length + reading.partial.length + gaps.missing.length,
    gap: gaps.missing[0],
    flagged: reading.refused.length + reading.unverified.length + gaps.refused,
    told: unusualReasons(status)
  }
}

const isSilent = (start: Start): boolean => start.opened && start.look.missing > 0 && start.look.told.length === 0
const wrongIn = (start: Start): number => (start.opened ? start.look.wrong : 0)

function breachesOf({ fault, stop, injected, beside, alone, later }: Case): string[] {
  const label = `${fault.name}, after ${stop === 'clean' ? 'an orderly stop' : 'kill -9'} (${injected})`
  const breaches: string[] = []
  const wrong = wrongIn(beside) + wrongIn(alone) + wrongIn(later)
  if (wrong > 0) breaches.push(`${label}: ${wrong} memories were served wrong`)
  if (isSilent(alone) && alone.opened)
    breaches.push(`${label}: alone, ${alone.look.missing} memories are gone and nothing says so`)
  if (!alone.opened && alone.said === '') breaches.push(`${label}: alone, it ended without a word`)
  const mustHeal: readonly (readonly [string, Start])[] = fault.refused
    ? [['with what was damaged put back', later]]
    : [
        ['beside a peer', beside],
        ['when the peer came back', later]
      ]
  for (const [when, start] of mustHeal) {
    if (!start.opened) breaches.push(`${label}: ${when}, it refused to start (${String(start.exit)}): ${start.said}`)
    else if (start.wholeMs === undefined)
      breaches.push(`${label}: ${when}, it was not whole after ${RESTORE_MS_MAX / 1_000} s: ${short(start.look)}`)
  }
  // A bit that changes no meaning may be passed over; anything else must not be guessed.
  if (fault.refused && alone.opened && alone.look.missing + alone.look.flagged > 0)
    breaches.push(`${label}: it started all the same`)
  return breaches
}

function falseAlarms({ alone, stop }: Case): string[] {
  if (!alone.opened) return [`a home without any fault refused to start: ${alone.said}`]
  const { told } = alone.look
  return told.length === 0 ? [] : [`an unharmed home (${stop}) is called damaged as well: ${told.join('; ')}`]
}

function figuresOf(cases: readonly Case[], acknowledged: number): Verdict['figures'] {
  const harmed = cases.filter(({ fault }) => fault !== UNHARMED)
  const starts = harmed.flatMap(({ beside, alone, later }) => [beside, alone, later])
  const healMs = harmed.flatMap(({ beside, later }) =>
    [beside, later].flatMap((start) => (start.opened && start.wholeMs !== undefined ? [start.wholeMs] : []))
  )
  return {
    'faults injected': harmed.length * 2,
    starts: starts.length,
    acknowledged,
    'served wrong': starts.reduce((sum, start) => sum + wrongIn(start), 0),
    'lost silently': harmed.filter(({ alone }) => isSilent(alone)).length,
    'lost, and said so': harmed.filter(({ alone }) => alone.opened && alone.look.missing > 0 && !isSilent(alone))
      .length,
    'refused to start alone, and said why': harmed.filter(({ alone }) => !alone.opened && alone.said !== '').length,
    'whole again beside a peer': healMs.length,
    'longest until whole, s': healMs.length === 0 ? 'never' : (Math.max(...healMs) / 1_000).toFixed(1)
  }
}

const short = ({ state, missing, gap, flagged, told }: Look): string =>
  `${state}, ${missing} missing${gap === undefined ? '' : ` (${gap})`}, ${flagged} flagged${told.length > 0 ? `, it says: ${told.join('; ')}` : ''}`

function describe({ fault, stop, injected, beside, alone, later }: Case): string {
  const shown = (start: Start): string => {
    if (!start.opened) return `refused (${String(start.exit)}: ${start.said})`
    return start.wholeMs === undefined ? short(start.look) : `whole after ${(start.wholeMs / 1_000).toFixed(1)} s`
  }
  return `${fault.name} [${stop}]: ${injected} | beside: ${shown(beside)} | alone: ${shown(alone)} | later: ${shown(later)}`
}

const HEADINGS = [
  'fault',
  'stop',
  'with peer: whole after s',
  'lost',
  'alone: opened',
  'state',
  'told',
  'missing',
  'flagged',
  'wrong',
  'silent',
  'later: whole after s'
]

function cells({ fault, stop, beside, alone, later }: Case): (string | number)[] {
  const whole = (start: Start): string =>
    !start.opened ? `refused ${String(start.exit)}` : start.wholeMs === undefined ? 'NEVER' : seconds(start.wholeMs)
  const lost = !beside.opened ? '-' : beside.look.missing + beside.look.flagged
  const shown = alone.opened
    ? [alone.look.state, tell(alone.look), alone.look.missing, alone.look.flagged]
    : [`exit ${String(alone.exit)}`, alone.said === '' ? 'NO' : 'yes', '-', '-']
  const wrong = wrongIn(beside) + wrongIn(alone) + wrongIn(later)
  return [
    fault.name,
    stop,
    whole(beside),
    lost,
    alone.opened ? 'yes' : 'no',
    ...shown,
    wrong,
    isSilent(alone) ? 'SILENT' : 0,
    whole(later)
  ]
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(1)
const tell = ({ told, missing }: Look): string => (told.length > 0 ? 'yes' : missing > 0 ? 'NO' : '-')
