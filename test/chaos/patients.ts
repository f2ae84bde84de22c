/**
 * Homes to be damaged: filled once beside a healthy daemon, then copied for every case. One was stopped in order and
 * one killed, because what a daemon can know about its files differs: only an orderly stop leaves a list of them.
 *
 * A copy is another directory, and the daemon rightly distrusts those. The fault is to be the only thing that is wrong,
 * so the copy's STATE is made to name the copy. What is written to the shared space of such a copy would fork its
 * author; the cases write to the private space only.
 */
import { rmSync } from 'node:fs'
import path from 'node:path'
import { identityOf } from '../../src/adapters/level/file-marks.ts'
import { readSentinel, writeSentinel } from '../../src/adapters/level/sentinel.ts'
import { writeFileAtomic } from '../../src/adapters/system/atomic-file.ts'
import { homePaths, type HomePaths } from '../../src/daemon/home-files.ts'
import { until, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { Acknowledged } from './acknowledged.ts'
import { copyOver } from './home-copy.ts'

const IN_FLIGHT_OWN = 24
const IN_FLIGHT_FOREIGN = 8
const REVISE_EVERY = 12
const LINK_EVERY = 40

export interface Patient {
  readonly stop: 'clean' | 'killed'
  readonly home: string
  /** What was acknowledged, by this daemon or by the healthy one before this one held it. */
  readonly book: Acknowledged
}

export interface Fill {
  readonly memories: number
  /** Starts and stops on the way: LevelDB turns its log into a table at each start. */
  readonly sessions: number
  /** One patient for each. */
  readonly stops: readonly Patient['stop'][]
}

/** Own and foreign memories, some of them revised and linked, all of them also on the healthy daemon. */
export async function fillPatient(
  yard: Yard,
  healthy: DaemonProcess,
  stop: Patient['stop'],
  fill: Fill
): Promise<Patient> {
  const home = await yard.joinHome(healthy, stop)
  const book = new Acknowledged(path.join(yard.root, `acknowledged-${stop}`))
  for (let session = 1; session <= fill.sessions; session++) {
    const daemon = await yard.start(home)
    const before = new Set(book.ids)
    const isEnough = (): boolean => book.attempts >= (fill.memories * session) / fill.sessions
    await Promise.all([
      book.write(daemon.client, IN_FLIGHT_OWN, isEnough),
      book.write(healthy.client, IN_FLIGHT_FOREIGN, isEnough)
    ])
    await untilEqual([daemon, healthy])
    const fresh = [...book.ids].filter((id) => !before.has(id))
    for (let i = 0; i < fresh.length; i += REVISE_EVERY) await book.revise(daemon.client, fresh[i] as string)
    for (let i = 0; i + 1 < fresh.length; i += LINK_EVERY)
      await book.link(daemon.client, fresh[i + 1] as string, fresh[i] as string)
    await untilEqual([daemon, healthy])
    if (session === fill.sessions && stop === 'killed') await daemon.kill()
    else await daemon.stop()
  }
  return { stop, home, book }
}

/** Puts a copy of the patient to bed: an unharmed home that believes to have been there all the time. */
export async function layDown(patient: Patient, bed: string): Promise<HomePaths> {
  copyOver(patient.home, bed)
  const paths = homePaths(bed)
  const sentinel = await readSentinel(bed)
  const identity = await identityOf(paths.data)
  if (sentinel === undefined || identity === undefined) throw new Error('a patient has a store and its sentinel')
  await writeSentinel(bed, { ...sentinel, identity }, writeFileAtomic)
  return paths
}

/** Takes everything away by which the daemon would find its peers. */
export function isolate(paths: HomePaths): void {
  for (const file of [paths.bootstrap, paths.peers]) rmSync(file, { force: true })
}

/** Resolves once all show one digest. Rejects after two minutes. */
export async function untilEqual(daemons: readonly DaemonProcess[]): Promise<void> {
  await until('all show one digest', () => areEqual(daemons))
}

export async function areEqual(daemons: readonly DaemonProcess[]): Promise<boolean> {
  const digests = await Promise.all(daemons.map((daemon) => daemon.client.call('memory.digest', {})))
  return new Set(digests.map(({ deltas, root, state }) => `${deltas} ${root} ${state}`)).size === 1
}
