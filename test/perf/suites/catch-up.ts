/**
 * How long until a daemon that lacks much holds what the others do: one that is empty, and one that was away while others
 * wrote, served by one peer and by two. Processes on loopback, from the first connection to equal digests.
 */
import { GOALS } from '../goals.ts'
import { perSecond, type Goal } from '../measure.ts'
import { residentMiB } from '../machine.ts'
import { fill, type SuiteContext } from '../world.ts'
import type { Result } from '../../../src/rpc/schema/methods.ts'
import { sharedDeltas, until, untilConnected, type DaemonProcess } from '../../support/daemons.ts'

const CATCH_UP_MS_MAX = 600_000
/** Each question costs the one that is asked CPU that it should spend on catching up: ten small ones a second are noise. */
const POLL_MS = 100
/** `sync.status` walks the newest arrivals, tens of milliseconds while thousands a second come. */
const LOOK_MS = 1_000
/** What everybody holds before one goes away. */
const BEFORE = 10_000
const GOAL_DELTAS = 100_000

export async function catchUp(context: SuiteContext): Promise<void> {
  await empty(context)
  await away(context)
}

/** An empty daemon joins one that holds much. */
async function empty({ world, report, quick }: SuiteContext): Promise<void> {
  for (const count of quick ? [10_000] : [10_000, 100_000]) {
    const full = await world.filledDaemon(count)
    const newcomer = await world.yard.start(await world.yard.joinHome(full, 'newcomer'))
    const { ms } = await level(newcomer, [full], count)
    const params = { deltas: count, where: 'two processes on loopback', from: 'first connection' }
    const name = `${count / 1_000}k deltas`
    report(`catch-up of an empty daemon, ${name}`, ms, 'ms', {
      params,
      ...(count === 10_000 ? { goal: GOALS.catchUpTenThousandMs } : {})
    })
    report(`catch-up rate, ${name}`, perSecond(count, ms), 'deltas/s', {
      params,
      ...(count === GOAL_DELTAS ? { goal: GOALS.catchUpPerS } : {})
    })
    reportResident(report, newcomer, `newcomer, ${name}`, params, count === 10_000 ? GOALS.joiningRssMiB : undefined)
    await newcomer.kill()
    await world.release(count)
  }
}

/** Two daemons go away, and come back one after the other: the second finds two peers that can serve it. */
async function away({ world, report, quick }: SuiteContext): Promise<void> {
  const missing = quick ? 10_000 : GOAL_DELTAS
  const home = await world.yard.newHome('stays')
  await fill(home, 0, BEFORE)
  let stays = await world.yard.start(home)
  const homes: string[] = []
  for (const name of ['away', 'longer-away']) {
    const leaves = await world.yard.start(await world.yard.joinHome(stays, name))
    await level(leaves, [stays], BEFORE)
    homes.push(leaves.home)
    await leaves.stop()
  }
  await stays.stop()
  await fill(home, BEFORE, missing)
  stays = await world.yard.start(home)

  const serving = [stays]
  for (const absent of homes) {
    const back = await world.yard.start(absent)
    const { ms, sessions } = await level(back, serving, BEFORE + missing)
    const servers = `${serving.length} serving peer${serving.length === 1 ? '' : 's'}`
    const params = { held: BEFORE, missing, servers: serving.length, where: 'processes on loopback' }
    const name = `away for ${missing / 1_000}k deltas, ${servers}`
    report(`level again, ${name}`, ms, 'ms', { params })
    report(`catch-up rate, ${name}`, perSecond(missing, ms), 'deltas/s', {
      params,
      ...(missing === GOAL_DELTAS ? { goal: GOALS.catchUpPerS } : {})
    })
    const metadata = sessions.reduce((sum, session) => sum + session.metadataBytes, 0)
    report(`metadata of its sessions, ${name}`, metadata, 'bytes', {
      params: {
        ...params,
        sessions: sessions.length,
        // As many as were missing: then no session was overlooked between two questions.
        receivedInThem: sessions.reduce((sum, session) => sum + session.received, 0),
        bytesADelta: Math.round((100 * metadata) / missing) / 100,
        includes: 'the pages around the deltas'
      }
    })
    reportResident(report, back, `returned, ${name}`, params)
    serving.push(back)
  }
  for (const daemon of serving) await daemon.kill()
}

type Session = NonNullable<Result<'sync.status'>['peers'][number]['session']>

/**
 * From the first connection to all of `serving` until the daemon holds `count` deltas, the same as they: milliseconds, and
 * the sessions that ended meanwhile.
 */
async function level(
  daemon: DaemonProcess,
  serving: readonly DaemonProcess[],
  count: number
): Promise<{ readonly ms: number; readonly sessions: readonly Session[] }> {
  // Ports change with every start, and finding each other is not what is measured here.
  const addresses = await Promise.all(
    serving.map(async ({ client }) => (await client.call('node.id', {})).addresses[0])
  )
  for (const address of addresses) {
    if (address !== undefined) await daemon.client.call('peer.connect', { address })
  }
  await untilConnected(daemon, serving.length)
  const connectedMs = performance.now()
  const sessions = new Map<string, Session>()
  const look = async (): Promise<void> => {
    for (const { peer, session } of (await daemon.client.call('sync.status', {})).peers) {
      if (session !== null) sessions.set(`${peer} ${session.atMs} ${session.startedHere}`, session)
    }
  }
  let lookedMs = connectedMs
  const isLevel = async (): Promise<boolean> => {
    if (performance.now() - lookedMs > LOOK_MS) {
      await look()
      lookedMs = performance.now()
    }
    return (await sharedDeltas(daemon)) >= count
  }
  await until(`${count} deltas have arrived`, isLevel, { timeoutMs: CATCH_UP_MS_MAX, everyMs: POLL_MS })
  const ms = performance.now() - connectedMs
  const roots = new Set<string>()
  for (const { client } of [daemon, ...serving]) roots.add((await client.call('memory.digest', {})).root)
  if (roots.size !== 1) throw new Error('the daemon holds another set than those it caught up with')
  await look()
  return { ms, sessions: [...sessions.values()] }
}

function reportResident(
  report: SuiteContext['report'],
  { pid }: DaemonProcess,
  who: string,
  params: Readonly<Record<string, string | number>>,
  goal?: Goal
): void {
  const resident = residentMiB(pid)
  if (resident === undefined) return
  report(`resident memory of the ${who}`, resident, 'MiB', { params, ...(goal === undefined ? {} : { goal }) })
}
