/**
 * A daemon whose disk (small-disk.ts) runs full, again and again: by its own writes, or because somebody else takes all
 * there is while it writes. Nothing acknowledged may be lost, everything must be readable, every write must be refused
 * with `disk_full`, and once there is room writes must be taken again within ten seconds, without a restart. Every
 * other time it is also ended and started on the full disk, and must answer there.
 *
 * A peer with a disk of its own goes on writing; when there is room again both must come to one digest.
 */
import path from 'node:path'
import { isChrysalisError, messageOf } from '../../src/base/errors.ts'
import { until, untilConnected, withYard, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { Acknowledged } from './acknowledged.ts'
import { areEqual } from './patients.ts'
import { impossible, SmallDisk } from './small-disk.ts'
import { table } from './table.ts'
import { judge, skipped, tooFewAcks, type ChaosOptions, type Verdict } from './verdict.ts'

const MIB = 1_048_576
const DISK_BYTES = 96 * MIB
const FLOOR_BYTES = 4 * MIB
const BALLAST_BYTES = 12 * MIB
/** Room above the floor for a daemon that is to fill the disk itself. */
const OWN_BYTES = 3 * MIB
const IN_FLIGHT = 16
const PRELUDE_WRITES = 300
const FULL_MS_MAX = 60_000
const REFUSALS = 30
const FOREIGN_WRITES = 10
const RESUME_MS_MAX = 10_000
const EQUAL_MS_MAX = 60_000

const SETTINGS = {
  'store.floorBytes': String(FLOOR_BYTES),
  'store.ballastBytes': String(BALLAST_BYTES),
  // What is written beside the store must not bring it down either.
  'index.shared': 'true'
}

type Way = 'own writes' | 'at once'
type Restart = 'none' | 'stopped' | 'killed'

/** Every way with every restart, in turns. */
const CYCLES: readonly (readonly [Way, Restart])[] = [
  ['own writes', 'none'],
  ['at once', 'stopped'],
  ['at once', 'none'],
  ['own writes', 'killed'],
  ['own writes', 'stopped'],
  ['at once', 'killed']
]

interface Cycle {
  readonly way: Way
  readonly restart: Restart
  readonly acknowledged: number
  readonly lost: number
  readonly wrong: number
  readonly refused: number
  /** Writes that were answered otherwise than with `disk_full`, by what they were answered with. */
  readonly otherwise: readonly string[]
  readonly told: boolean
  /** Undefined when it was not started on the full disk. */
  readonly startedFull: string | undefined
  /** Undefined when writes were never taken again without a restart. */
  readonly resumeMs: number | undefined
  readonly equal: boolean
}

export async function full(options: ChaosOptions): Promise<Verdict> {
  return withYard('full', async (yard) => {
    const place = path.join(yard.root, 'disk')
    const why = await impossible(place)
    if (why !== undefined) return skipped(why)
    const disk = await SmallDisk.create(place, DISK_BYTES)
    const book = new Acknowledged(path.join(yard.root, 'acknowledged'))
    try {
      const peer = await yard.start(await yard.newHome('peer'))
      const home = await yard.joinHome(peer, 'full', place)
      let daemon = await yard.start(home, { set: SETTINGS })
      await untilConnected(daemon)
      const cycles: Cycle[] = []
      for (let loop = 0; loop < options.loops; loop++) {
        const [way, restart] = CYCLES[loop % CYCLES.length] as (typeof CYCLES)[number]
        const parts = { yard, disk, book, peer, daemon, home }
        const done = await oneCycle(parts, way, restart)
        daemon = parts.daemon
        cycles.push(done)
        options.say(`cycle ${loop + 1}: ${HEADINGS.map((heading, i) => `${heading} ${cells(done)[i]}`).join(', ')}`)
      }
      for (const line of table(HEADINGS, cycles.map(cells))) options.say(line)
      return verdictOf(cycles, book.count, options.acksMin)
    } finally {
      await yard.killAll()
      book.close()
      await disk.remove()
    }
  })
}

interface Parts {
  readonly yard: Yard
  readonly disk: SmallDisk
  readonly book: Acknowledged
  readonly peer: DaemonProcess
  daemon: DaemonProcess
  readonly home: string
}

async function oneCycle(parts: Parts, way: Way, restart: Restart): Promise<Cycle> {
  const { disk, book, peer } = parts
  const target = book.count + PRELUDE_WRITES
  await book.write(parts.daemon.client, IN_FLIGHT, () => book.count >= target)
  const otherwise: string[] = []
  if (way === 'own writes') disk.fill(FLOOR_BYTES + OWN_BYTES)
  await untilRefused(parts, way, otherwise)
  disk.fill()
  let startedFull: string | undefined
  let crashed = !parts.daemon.running
  if (restart !== 'none' || crashed) {
    if (restart === 'stopped' && !crashed)
      await parts.daemon.stop().catch((error: unknown) => otherwise.push(messageOf(error)))
    await parts.daemon.kill()
    parts.daemon = parts.yard.launch(parts.home, { set: SETTINGS })
    startedFull = await parts.daemon.answered().then(
      () => 'answers',
      () => `refused (${String(parts.daemon.child.exitCode)}): ${parts.daemon.logTail().split('\n').at(-1) ?? ''}`
    )
    // Whatever it has given up to be able to start is taken as well.
    disk.fill()
  }
  const answers = startedFull === undefined || startedFull === 'answers'
  const foreign = Array.from({ length: FOREIGN_WRITES }, (_, n) => peer.client.learn(`written while full, ${n}`))
  await Promise.all(foreign)
  const reading = answers ? await book.check(parts.daemon.client, 'all') : undefined
  let refused = 0
  for (let n = 0; answers && n < REFUSALS; n++) {
    const answer = await oneWrite(parts)
    if (answer === 'disk_full') refused++
    else otherwise.push(answer)
  }
  const told = answers && (await tellsFull(parts.daemon))
  const acknowledged = book.count
  disk.clear()
  const freedMs = performance.now()
  if (!answers) {
    await parts.daemon.kill()
    parts.daemon = await parts.yard.start(parts.home, { set: SETTINGS })
  }
  const resumed = await until('writes are taken again', async () => (await oneWrite(parts)) === 'taken', {
    timeoutMs: FULL_MS_MAX,
    everyMs: 50
  }).then(
    () => true,
    () => false
  )
  const resumeMs = resumed ? performance.now() - freedMs : undefined
  crashed ||= !parts.daemon.running
  if (crashed) otherwise.push('the daemon ended')
  if (!resumed || !parts.daemon.running) {
    await parts.daemon.kill()
    parts.daemon = await parts.yard.start(parts.home, { set: SETTINGS })
  }
  const after = await book.check(parts.daemon.client, 'all')
  const equal = await until('both are equal', () => areEqual([parts.daemon, peer]), { timeoutMs: EQUAL_MS_MAX }).then(
    () => true,
    () => false
  )
  const gone = new Set([reading, after].flatMap((one) => (one === undefined ? [] : [...one.lost, ...one.refused])))
  const wrong = after.wrong.length + (reading?.wrong.length ?? 0)
  return { way, restart, acknowledged, lost: gone.size, wrong, refused, otherwise, told, startedFull, resumeMs, equal }
}

/** Writes until the daemon refuses; `at once`: somebody takes the whole disk meanwhile. */
async function untilRefused({ book, daemon, disk }: Parts, way: Way, otherwise: string[]): Promise<void> {
  let isOver = false
  const writing = book
    .write(daemon.client, IN_FLIGHT, () => isOver)
    .catch((error: unknown) => {
      if (!isChrysalisError(error, 'disk_full')) otherwise.push(messageOf(error))
    })
  const late = new Promise<void>((resolve) => {
    setTimeout(() => {
      isOver = true
      resolve()
    }, FULL_MS_MAX).unref()
  })
  if (way === 'at once') {
    await new Promise((resolve) => setTimeout(resolve, 100))
    disk.fill()
  }
  await Promise.race([writing, late])
  if (isOver) otherwise.push(`writes were still taken after ${FULL_MS_MAX / 1_000} s`)
  isOver = true
}

async function oneWrite({ book, daemon }: Parts): Promise<string> {
  const before = book.count
  const attempts = book.attempts
  try {
    await book.write(daemon.client, 1, () => book.attempts > attempts)
    return book.count > before ? 'taken' : 'no answer'
  } catch (error) {
    return isChrysalisError(error) ? error.code : messageOf(error)
  }
}

async function tellsFull(daemon: DaemonProcess): Promise<boolean> {
  const { state, reasons } = await daemon.client.status()
  return state !== 'ready' && reasons.some((reason) => /disk|space|room/.test(reason))
}

const HEADINGS = [
  'filled',
  'restart',
  'acks',
  'lost',
  'wrong',
  'disk_full',
  'otherwise',
  'told',
  'start on full',
  'resume s',
  'equal'
]

function cells(cycle: Cycle): (string | number)[] {
  const { way, restart, acknowledged, lost, wrong, refused, otherwise, told, startedFull, resumeMs, equal } = cycle
  return [
    way,
    restart,
    acknowledged,
    lost,
    wrong,
    `${refused}/${REFUSALS}`,
    otherwise.length === 0 ? '-' : `${otherwise.length} (${otherwise[0]})`,
    told ? 'yes' : 'NO',
    startedFull ?? '-',
    resumeMs === undefined ? 'NEVER' : (resumeMs / 1_000).toFixed(1),
    equal ? 'yes' : 'NO'
  ]
}

function verdictOf(cycles: readonly Cycle[], acknowledged: number, acksMin: number | undefined): Verdict {
  const breaches = cycles.flatMap((cycle, n) => {
    const { lost, wrong, refused, otherwise, told, startedFull, resumeMs, equal } = cycle
    const found: string[] = []
    if (lost > 0) found.push(`${lost} acknowledged writes could not be read`)
    if (wrong > 0) found.push(`${wrong} acknowledged writes read differently`)
    if (startedFull !== undefined && startedFull !== 'answers') found.push(`on the full disk it ${startedFull}`)
    else if (refused < REFUSALS) found.push(`${REFUSALS - refused} writes were not refused with disk_full`)
    if (otherwise.length > 0) found.push(`${otherwise.length} times something else: ${otherwise[0]}`)
    if (!told) found.push('the status did not say that the disk is full')
    if (resumeMs === undefined) found.push('writes were not taken again without a restart')
    else if (resumeMs > RESUME_MS_MAX) found.push(`writes were taken again only after ${Math.round(resumeMs)} ms`)
    if (!equal) found.push('it did not come to one digest with its peer')
    return found.map((what) => `cycle ${n + 1} (${cycle.way}, ${cycle.restart}): ${what}`)
  })
  const sum = (of: (cycle: Cycle) => number): number => cycles.reduce((total, cycle) => total + of(cycle), 0)
  const figures = {
    'times full': cycles.length,
    acknowledged,
    lost: sum(({ lost }) => lost),
    wrong: sum(({ wrong }) => wrong),
    'writes refused with disk_full': sum(({ refused }) => refused),
    'starts on the full disk': cycles.filter(({ startedFull }) => startedFull !== undefined).length,
    'longest until writes were taken, ms': Math.round(Math.max(...cycles.map(({ resumeMs }) => resumeMs ?? Infinity)))
  }
  const unhurt = sum(({ refused }) => refused) === 0 && breaches.length === 0 ? 'the disk was never full' : undefined
  return judge(figures, breaches, [tooFewAcks(acknowledged, acksMin), unhurt])
}
