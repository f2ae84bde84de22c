/**
 * A company that has nothing to say. Once all show one digest and nobody writes, no delta may move for a minute, and
 * what is still sent is measured: by the daemons' own counters, and by the system on a loopback of their own
 * (own-network.ts). The second knows nothing of protocols; so both roads are open at first, then each alone, then none.
 */
import { messageOf } from '../../src/base/errors.ts'
import { withYard } from '../support/daemons.ts'
import { counted, COUNTERS, equal, grown, learn, startCompany, untilListening } from './company.ts'
import { loopbackTraffic } from '../support/own-network.ts'
import { table } from './table.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DAEMONS = 8
const LEARNS = 200
const SETTLE_MS = 10_000
const WATCH_MS = 60_000
const EQUAL_MS_MAX = 30_000
/** Goal for a daemon, both ways. */
const BYTES_PER_SECOND_MAX = 200
/** Of IPv4 and TCP with time stamps. */
const PACKET_HEAD_BYTES = 52

const GOSSIP_OFF = { 'sync.gossip': 'false' }
const RECONCILE_OFF = { 'sync.reconcile': 'false' }

const COMPANIES = [
  { name: 'as it is', set: {} },
  { name: 'comparing only', set: GOSSIP_OFF },
  { name: 'gossip only', set: RECONCILE_OFF },
  { name: 'connections only', set: { ...GOSSIP_OFF, ...RECONCILE_OFF } }
] as const

export interface IdleSize {
  readonly settleMs: number
  readonly watchMs: number
  readonly companies: number
}

interface Quiet {
  readonly name: string
  readonly deltas: number
  readonly sessions: number
  readonly sessionBytesPerSecond: number
  readonly gossipBytesPerSecond: number
  readonly loopbackBytesPerSecond: number | undefined
  readonly payloadBytesPerSecond: number | undefined
  readonly packetsPerSecond: number | undefined
}

/** `size`: shorter in the short run. */
export async function idle(
  options: ChaosOptions,
  size: IdleSize = { settleMs: SETTLE_MS, watchMs: WATCH_MS, companies: COMPANIES.length }
): Promise<Verdict> {
  const { say, daemons = DAEMONS, only = '' } = options
  const quiets: Quiet[] = []
  if (loopbackTraffic() === undefined) say('loopback is shared with others here: only what the daemons count is known')
  for (const company of COMPANIES.slice(0, size.companies).filter(({ name }) => name.includes(only)))
    quiets.push(await watch(company, daemons, size, say))
  for (const line of table(HEADINGS, quiets.map(cells))) say(line)
  const breaches = quiets.flatMap(({ name, deltas, sessionBytesPerSecond, gossipBytesPerSecond }) => {
    const bytesPerSecond = sessionBytesPerSecond + gossipBytesPerSecond
    const found: string[] = []
    if (deltas > 0) found.push(`${name}: ${deltas} deltas moved although nobody wrote`)
    if (bytesPerSecond > BYTES_PER_SECOND_MAX)
      found.push(`${name}: ${bytesPerSecond.toFixed(0)} bytes a second and daemon, above ${BYTES_PER_SECOND_MAX}`)
    return found
  })
  const compared = quiets.reduce((sum, { sessions }) => sum + sessions, 0)
  const figures = {
    daemons,
    'watched, s': size.watchMs / 1_000,
    'sessions in it, both ends': compared,
    'deltas moved': quiets.reduce((sum, { deltas }) => sum + deltas, 0)
  }
  return judge(figures, breaches, [
    compared === 0 ? 'nobody compared anything: there was nothing to measure' : undefined
  ])
}

function watch(
  { name, set }: (typeof COMPANIES)[number],
  count: number,
  { settleMs, watchMs }: IdleSize,
  say: ChaosOptions['say']
): Promise<Quiet> {
  return withYard('idle', async (yard) => {
    const daemons = await startCompany(yard, count, say, set)
    // Without any road nothing would arrive: there each keeps to itself, and only the connections are measured.
    const isolated = name === 'connections only'
    if (!isolated) {
      if (set !== GOSSIP_OFF) await untilListening(daemons)
      await learn(daemons, LEARNS, name)
      // Gossip alone promises nothing while its mesh is still being made.
      await equal(daemons, LEARNS, say, { timeoutMs: EQUAL_MS_MAX }).catch((error: unknown) => say(messageOf(error)))
    }
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    const before = await counted(daemons)
    const trafficBefore = loopbackTraffic()
    const startedMs = performance.now()
    await new Promise((resolve) => setTimeout(resolve, watchMs))
    const seconds = (performance.now() - startedMs) / 1_000
    const traffic = loopbackTraffic()
    const after = await counted(daemons)
    const each = (sum: number): number => sum / seconds / count
    const sent = (of: 'bytes' | 'packets'): number | undefined =>
      traffic === undefined || trafficBefore === undefined ? undefined : each(traffic[of] - trafficBefore[of])
    const [bytes, packets] = [sent('bytes'), sent('packets')]
    return {
      name,
      deltas: grown(before, after, COUNTERS.ingested) + grown(before, after, COUNTERS.written),
      sessions: grown(before, after, COUNTERS.sessions),
      sessionBytesPerSecond: each(grown(before, after, COUNTERS.sessionBytes)),
      gossipBytesPerSecond: each(grown(before, after, COUNTERS.gossipReceived)),
      loopbackBytesPerSecond: bytes,
      payloadBytesPerSecond: bytes === undefined ? undefined : bytes - (packets ?? 0) * PACKET_HEAD_BYTES,
      packetsPerSecond: packets
    }
  })
}

const HEADINGS = [
  'company',
  'deltas moved',
  'sessions',
  'session B/s and daemon, both ways',
  'gossip frames B/s',
  'sent on loopback B/s and daemon',
  'without TCP/IP heads',
  'packets/s'
]

const shown = (value: number | undefined, digits = 0): string => value?.toFixed(digits) ?? 'unknown'

function cells(quiet: Quiet): (string | number)[] {
  return [
    quiet.name,
    quiet.deltas,
    quiet.sessions,
    shown(quiet.sessionBytesPerSecond, 1),
    shown(quiet.gossipBytesPerSecond, 1),
    shown(quiet.loopbackBytesPerSecond),
    shown(quiet.payloadBytesPerSecond),
    shown(quiet.packetsPerSecond, 1)
  ]
}
