/**
 * One fault in the files of a stopped daemon: a flipped bit, a cut or missing file. Then it is started again, once alone
 * and once beside a peer that holds everything. Whatever is shown must be right; whatever is missing must be said, by a
 * refusal to start, by an error, or by a reason in the status; and with the peer everything must come back.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isChrysalisError, messageOf } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { homePaths } from '../../src/daemon/home-files.ts'
import { sharedDeltas, until, withYard, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { Acknowledged, type Reading } from './acknowledged.ts'
import { judge, tooFewAcks, type ChaosOptions, type Verdict } from './verdict.ts'

const MEMORIES = 1_200
const IN_FLIGHT = 32
const RESTORE_MS_MAX = 60_000

interface Fault {
  readonly name: string
  /** Damages the newest file that matches; `share` is where, 0 to 1. False when there is no such file. */
  readonly strike: (data: string, share: number) => boolean
}

const on =
  (pattern: RegExp, act: (file: string, share: number) => void) =>
  (data: string, share: number): boolean => {
    const file = readdirSync(data)
      .filter((name) => pattern.test(name))
      .sort()
      .at(-1)
    if (file === undefined) return false
    act(path.join(data, file), share)
    return true
  }

const flip = (file: string, share: number): void => {
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length * share)
  bytes[at] = (bytes[at] ?? 0) ^ 0x40
  writeFileSync(file, bytes)
}
const zero = (file: string, share: number): void => {
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length * share)
  writeFileSync(file, bytes.fill(0, at, at + 4_096))
}
const cut = (file: string, share: number): void => truncateSync(file, Math.floor(statSync(file).size * share))
const empty = (file: string): void => truncateSync(file, 0)
const remove = (file: string): void => rmSync(file)

const LOG = /^\d+\.log$/
const TABLE = /\.ldb$/
const MANIFEST = /^MANIFEST/
const CURRENT = /^CURRENT$/

const FAULTS: readonly Fault[] = [
  { name: 'log: one bit', strike: on(LOG, flip) },
  { name: 'log: 4 KiB of zeros', strike: on(LOG, zero) },
  { name: 'log: cut', strike: on(LOG, cut) },
  { name: 'log: gone', strike: on(LOG, remove) },
  { name: 'table: one bit', strike: on(TABLE, flip) },
  { name: 'table: cut', strike: on(TABLE, cut) },
  { name: 'table: gone', strike: on(TABLE, remove) },
  { name: 'manifest: one bit', strike: on(MANIFEST, flip) },
  { name: 'manifest: cut', strike: on(MANIFEST, cut) },
  { name: 'manifest: gone', strike: on(MANIFEST, remove) },
  { name: 'CURRENT: empty', strike: on(CURRENT, empty) },
  { name: 'CURRENT: gone', strike: on(CURRENT, remove) }
]

interface Outcome {
  readonly wrong: number
  readonly missing: number
  /** What the daemon said about it: nothing at all is the worst. */
  readonly said: readonly string[]
  readonly restored: boolean
}

export function corrupt({ loops, say }: ChaosOptions): Promise<Verdict> {
  return withYard('corrupt', async (yard) => {
    const random = new SeededRandom(`corrupt/${Date.now()}`)
    const book = new Acknowledged(path.join(yard.root, 'acknowledged'))
    const healthy = await yard.start(await yard.newHome('healthy'))
    const template = await fill(yard, healthy, book)
    const figures = {
      cases: 0,
      acknowledged: book.count,
      'served wrong': 0,
      'lost silently': 0,
      'lost, and said so': 0,
      restored: 0
    }
    const breaches: string[] = []
    for (let loop = 0; loop < loops; loop++) {
      for (const fault of FAULTS) {
        const share = 0.05 + 0.9 * random.unit()
        for (const alone of [true, false]) {
          const label = `${fault.name} at ${share.toFixed(2)}, ${alone ? 'alone' : 'beside a peer'}`
          const outcome = await oneCase(yard, template, fault, share, alone, book)
          if (outcome === undefined) continue
          figures.cases++
          figures['served wrong'] += outcome.wrong
          if (outcome.missing > 0 && outcome.said.length === 0) figures['lost silently']++
          if (alone && outcome.missing > 0 && outcome.said.length > 0) figures['lost, and said so']++
          if (outcome.restored) figures.restored++
          if (outcome.wrong > 0) breaches.push(`${label}: ${outcome.wrong} memories were served wrong`)
          if (alone && outcome.missing > 0 && outcome.said.length === 0)
            breaches.push(`${label}: ${outcome.missing} memories are gone and nothing says so`)
          if (!alone && !outcome.restored)
            breaches.push(`${label}: not whole again: ${outcome.missing} missing; ${outcome.said.join(' ')}`)
          say(
            `${label}: ${outcome.missing} missing, ${outcome.wrong} wrong, said: ${outcome.said[0]?.slice(0, 100) ?? 'nothing'}`
          )
        }
      }
    }
    book.close()
    const unhurt = figures.cases === 0 ? 'no file was damaged' : undefined
    return judge(figures, breaches, [tooFewAcks(book.count), unhurt])
  })
}

/** A stopped home whose memories are half in tables and half in the log, and all of them on the healthy daemon as well. */
async function fill(yard: Yard, healthy: DaemonProcess, book: Acknowledged): Promise<string> {
  const home = await yard.joinHome(healthy, 'template')
  // LevelDB turns the log into a table when it opens a database.
  for (const share of [MEMORIES / 2, MEMORIES]) {
    const daemon = await yard.start(home)
    await book.write(daemon.client, IN_FLIGHT, () => book.attempts >= share)
    await until('the healthy daemon holds all', async () => (await sharedDeltas(healthy)) >= book.count)
    await daemon.stop()
  }
  return home
}

async function oneCase(
  yard: Yard,
  template: string,
  fault: Fault,
  share: number,
  alone: boolean,
  book: Acknowledged
): Promise<Outcome | undefined> {
  const home = path.join(yard.root, 'case')
  rmSync(home, { recursive: true, force: true })
  cpSync(template, home, { recursive: true, preserveTimestamps: true })
  const paths = homePaths(home)
  if (alone) for (const file of [paths.bootstrap, paths.peers]) rmSync(file, { force: true })
  if (!fault.strike(paths.data, share)) return undefined
  const daemon = yard.launch(home)
  try {
    await daemon.answered()
    if (alone) return await look(daemon, book)
    let last: Outcome | undefined
    await until('it is whole again', async () => (last = await look(daemon, book)).restored, {
      timeoutMs: RESTORE_MS_MAX,
      everyMs: 250
    }).catch(() => undefined)
    return last
  } catch (error) {
    // Refusing to start is an answer too, as long as it says why.
    return { wrong: 0, missing: book.count, said: [messageOf(error).split('\n').at(-1) ?? ''], restored: false }
  } finally {
    await daemon.kill()
  }
}

async function look(daemon: DaemonProcess, book: Acknowledged): Promise<Outcome> {
  const said: string[] = []
  let reading: Reading = { lost: [...book.ids], wrong: [], unverified: [], refused: [], present: 0 }
  try {
    reading = await book.check(daemon.client, 'all')
    if (reading.refused.length > 0) said.push(`${reading.refused.length} memories are refused as damaged`)
    if (reading.unverified.length > 0) said.push(`${reading.unverified.length} memories are shown as not verified`)
    const report = await daemon.client.call('memory.verify', {}, { timeoutMs: 120_000 })
    if (report.invalid.length > 0) said.push(`${report.invalid.length} stored deltas are invalid`)
  } catch (error) {
    if (!isChrysalisError(error)) throw error
    said.push(error.message)
  }
  const { reasons } = await daemon.client.status()
  const missing = reading.lost.length
  return {
    wrong: reading.wrong.length,
    missing,
    said: [...said, ...reasons],
    restored: missing + reading.wrong.length + said.length === 0
  }
}
