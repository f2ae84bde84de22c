/**
 * Each of the two roads by itself. First gossip is switched off and everything has to be found by comparing; then
 * comparing is switched off and gossip, with no loss on the way, has to bring everything. A company that has both would
 * hide a road that is closed.
 *
 * A daemon that has more to verify than it can sheds what gossip brings: without comparing that would be loss. So on
 * that road no more is under way at once than everyone can take.
 */
import { sharedDeltas, until, withYard, type DaemonProcess } from '../support/daemons.ts'
import { messageOf } from '../../src/base/errors.ts'
import { counted, COUNTERS, equal, grown, learn, startCompany, untilListening } from './company.ts'
import { table } from './table.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DAEMONS = 16
const LEARNS = 10_000
const EQUAL_MS_MAX = 300_000
/** Long enough for the gossip mesh to have been mended a few times. */
const MESH_MS = 3_000
/** Deltas under way at once on the road of gossip. */
const TURN = 250
const TURN_MS_MAX = 60_000
const WATCH = { timeoutMs: EQUAL_MS_MAX, everyMs: 200 }

const ROADS = [
  { name: 'anti-entropy alone', set: { 'sync.gossip': 'false' }, closed: COUNTERS.gossipFrames },
  { name: 'gossip alone', set: { 'sync.reconcile': 'false' }, closed: COUNTERS.sessions }
] as const

interface Trip {
  readonly road: string
  readonly learned: number
  readonly learnMs: number
  /** After the last acknowledgement; undefined when they never came to one digest. */
  readonly equalMs: number | undefined
  readonly missing: number
  readonly sessions: number
  readonly sessionBytes: number
  readonly metadataBytes: number
  readonly gossipBytes: number
  readonly shed: number
  /** Uses of the road that was said to be closed. */
  readonly strayed: number
}

/** `learns`: smaller in the short run. */
export async function antiEntropy(options: ChaosOptions, learns = LEARNS): Promise<Verdict> {
  const { loops, say, daemons: size = DAEMONS, only = '' } = options
  const trips: Trip[] = []
  for (let loop = 0; loop < loops; loop++) {
    for (const road of ROADS.filter(({ name }) => name.includes(only)))
      trips.push(await oneTrip(road, size, learns, say))
  }
  for (const line of table(HEADINGS, trips.map(cells))) say(line)
  const breaches = trips.flatMap(({ road, missing, equalMs }) => {
    if (missing > 0) return [`${road}: ${missing} deltas are missing somewhere after ${EQUAL_MS_MAX / 1_000} s`]
    return equalMs === undefined ? [`${road}: the digests differ`] : []
  })
  const strays = trips.flatMap(({ road, strayed }) =>
    strayed > 0 ? [`${road}: the other road was used ${strayed} times`] : []
  )
  const figures = Object.fromEntries(
    trips.flatMap(({ road, equalMs }) => [
      [`${road}: one digest after, s`, equalMs === undefined ? 'never' : (equalMs / 1_000).toFixed(1)]
    ])
  )
  const nothing = trips.length === 0 ? ['no road of that name'] : []
  return judge({ daemons: size, 'learned on each road': learns, ...figures }, breaches, [...strays, ...nothing])
}

function oneTrip(road: (typeof ROADS)[number], size: number, learns: number, say: ChaosOptions['say']): Promise<Trip> {
  return withYard('roads', async (yard) => {
    const daemons = await startCompany(yard, size, say, road.set)
    if (road.name === 'gossip alone') {
      await untilListening(daemons)
      await new Promise((resolve) => setTimeout(resolve, MESH_MS))
    }
    const before = await counted(daemons)
    const startedMs = performance.now()
    const learned =
      road.name === 'gossip alone'
        ? await learnInTurns(daemons, learns, road.name)
        : (await learn(daemons, learns, road.name)).length
    const learnMs = performance.now() - startedMs
    say(`${road.name}: ${learned} learned after ${Math.round(learnMs)} ms`)
    const equalMs = await equal(daemons, learned, say, WATCH).catch((error: unknown) => {
      say(messageOf(error))
      return undefined
    })
    const after = await counted(daemons)
    return {
      road: road.name,
      learned,
      learnMs,
      equalMs,
      missing: await missingOn(daemons, learned),
      sessions: grown(before, after, COUNTERS.sessions),
      sessionBytes: grown(before, after, COUNTERS.sessionBytes),
      metadataBytes: grown(before, after, COUNTERS.metadataBytes),
      gossipBytes: grown(before, after, COUNTERS.gossipReceived),
      shed: grown(before, after, COUNTERS.shed),
      strayed: grown(before, after, road.closed)
    }
  })
}

/** The next turn begins when the last has arrived everywhere. Answers how many were learned before one did not. */
async function learnInTurns(daemons: readonly DaemonProcess[], learns: number, label: string): Promise<number> {
  let learned = 0
  while (learned < learns) {
    const turn = Math.min(TURN, learns - learned)
    await learn(daemons, turn, `${label}, after ${learned}`)
    learned += turn
    const arrived = until('a turn has arrived', async () => (await missingOn(daemons, learned)) === 0, {
      timeoutMs: TURN_MS_MAX
    })
    await arrived.catch(() => undefined)
    if ((await missingOn(daemons, learned)) > 0) break
  }
  return learned
}

/** Over all daemons. */
async function missingOn(daemons: readonly DaemonProcess[], deltas: number): Promise<number> {
  const counts = await Promise.all(daemons.map(sharedDeltas))
  return counts.reduce((sum, count) => sum + Math.max(0, deltas - count), 0)
}

const HEADINGS = [
  'road',
  'learned',
  'learning s',
  'equal after s',
  'missing',
  'sessions, both ends',
  'session KiB, both ends',
  'of it metadata KiB',
  'gossip KiB received',
  'shed'
]

const kib = (bytes: number): string => (bytes / 1_024).toFixed(0)

function cells(trip: Trip): (string | number)[] {
  return [
    trip.road,
    trip.learned,
    (trip.learnMs / 1_000).toFixed(1),
    trip.equalMs === undefined ? 'NEVER' : (trip.equalMs / 1_000).toFixed(1),
    trip.missing,
    trip.sessions,
    kib(trip.sessionBytes),
    kib(trip.metadataBytes),
    kib(trip.gossipBytes),
    trip.shed
  ]
}
