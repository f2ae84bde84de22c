/**
 * Backups put back, disks rolled back and homes copied, over and over. Each time the daemon has written more since the
 * copy was taken, and what it wrote is held by its peer, or by nobody at all; then it writes again. No number may ever
 * stand for two deltas (signed-numbers.ts), in the stores that were thrown away neither; and what was acknowledged and
 * reached the peer, or was written after the restore, must be on both.
 *
 * A clone is a second daemon with the same key: both write while both reach one peer, and one of them must say so.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { homePaths } from '../../src/daemon/home-files.ts'
import { until, untilConnected, withYard, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { deltaIds } from './acknowledged.ts'
import { createDisk, keepImage, removeDisk, rollBack, supported, type DiskImage } from './disk-image.ts'
import { copyOver } from './home-copy.ts'
import { areEqual } from './patients.ts'
import { SignedNumbers } from './signed-numbers.ts'
import { table } from './table.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DISK_BYTES = 192 * 1_024 * 1_024
const WRITES = 3
const EQUAL_MS_MAX = 60_000
const TOLD_MS_MAX = 10_000
/** The peer is stopped and its store read, which is the one that forgets nothing. */
const READ_PEER_EVERY = 20
const STOP_STATUS_OK = /with status (null|0)/

type What =
  | 'the whole home, another directory'
  | 'the whole home, in place'
  | 'data alone, another directory'
  | 'data alone, in place'
  | 'STATE alone'
  | 'the whole home, copied while it ran'
  | 'the disk, rolled back'
  | 'a live clone'
  | 'a clone of a stopped home'

const KINDS: readonly What[] = [
  'the whole home, another directory',
  'the disk, rolled back',
  'a live clone',
  'data alone, another directory',
  'the whole home, in place',
  'STATE alone',
  'a clone of a stopped home',
  'data alone, in place',
  'the whole home, copied while it ran'
]

interface Cycle {
  readonly what: What
  /** Of what was written between the copy and the restore. */
  readonly held: 'by the peer' | 'by nobody'
  readonly stop: 'clean' | 'killed'
  readonly newForks: number
  readonly equal: boolean
  /** Milliseconds until a clone was told; undefined when it never was, or was none. */
  readonly toldMs: number | undefined
  readonly trouble: readonly string[]
}

interface World {
  readonly yard: Yard
  readonly disk: DiskImage | undefined
  readonly numbers: SignedNumbers
  readonly random: SeededRandom
  /** Deltas that must be everywhere. */
  readonly must: Set<string>
  readonly home: string
  peer: DaemonProcess
  /** Where the peer listens, also after a restart: the others know no other address. */
  readonly peerListens: string
  acknowledged: number
  written: number
}

export function clone(options: ChaosOptions): Promise<Verdict> {
  const { loops, say, seed = `clone/${Date.now()}`, only = '' } = options
  return withYard('clone', async (yard) => {
    say(`seed ${seed}`)
    const impossible = supported()
    const kinds = KINDS.filter((what) => what.includes(only) && (impossible === undefined || !what.includes('disk')))
    if (kinds.length === 0) return { ending: 'SKIPPED', reasons: [impossible ?? 'no such case'], figures: {} }
    if (impossible !== undefined) say(`without rolling back a disk: ${impossible}`)
    const disk = impossible === undefined ? await createDisk(DISK_BYTES) : undefined
    try {
      const peer = await yard.start(await yard.newHome('peer'))
      const home = await yard.joinHome(peer, 'subject', disk?.mountPoint)
      const world: World = {
        yard,
        disk,
        numbers: new SignedNumbers(),
        random: new SeededRandom(seed),
        must: new Set(),
        home,
        peer,
        peerListens: (await peer.client.status()).addresses[0]?.replace(/\/p2p\/.*/, '') ?? '',
        acknowledged: 0,
        written: 0
      }
      const first = await yard.start(home)
      await write(world, first, 'begins')
      await first.stop()
      const cycles: Cycle[] = []
      for (let loop = 0; loop < loops; loop++) {
        const what = kinds[loop % kinds.length] as What
        const done = await oneCycle(world, what)
        cycles.push(done)
        if ((loop + 1) % READ_PEER_EVERY === 0) await readPeer(world)
        say(`cycle ${loop + 1}: ${describe(done)}; ${world.numbers.count} numbers`)
      }
      const missing = await lastLook(world)
      for (const line of table(HEADINGS, rows(cycles))) say(line)
      return verdictOf(world, cycles, missing)
    } finally {
      await yard.killAll()
      if (disk !== undefined) await removeDisk(disk)
    }
  })
}

/** Some memories, acknowledged. Answers their deltas. */
async function write(world: World, daemon: DaemonProcess, label: string): Promise<string[]> {
  const fresh = await Promise.all(
    Array.from({ length: WRITES }, () => daemon.client.learn(`${label}, memory ${world.written++}`))
  )
  world.acknowledged += fresh.length
  return fresh.map(({ delta }) => delta)
}

async function oneCycle(world: World, what: What): Promise<Cycle> {
  const { random, numbers } = world
  const held = random.below(3) === 0 ? 'by nobody' : 'by the peer'
  const stop = random.below(3) === 0 ? 'killed' : 'clean'
  const forksBefore = numbers.forks.length
  const trouble: string[] = []
  const isClone = what.includes('clone')
  const { equal, toldMs } = isClone
    ? await cloneCycle(world, what === 'a live clone', stop, trouble)
    : { equal: await restoreCycle(world, what, held, stop, trouble), toldMs: undefined }
  return {
    what,
    held: isClone ? 'by the peer' : held,
    stop,
    newForks: numbers.forks.length - forksBefore,
    equal,
    toldMs,
    trouble
  }
}

/** Copy, write on, put the copy back, write again. */
async function restoreCycle(
  world: World,
  what: What,
  held: Cycle['held'],
  stop: Cycle['stop'],
  trouble: string[]
): Promise<boolean> {
  const { yard, home, must, peer, disk } = world
  const backup = path.join(yard.root, 'backup')
  const runs = what === 'the whole home, copied while it ran'
  const image = what === 'the disk, rolled back' && disk !== undefined ? await keepImage(disk, 'kept') : undefined
  if (!runs && image === undefined) copyOver(home, backup)
  if (held === 'by nobody') setNeighboursAside(home, true)
  const daemon = await yard.start(home)
  if (held === 'by the peer') await untilConnected(daemon)
  if (runs) {
    const writing = write(world, daemon, 'written while it was copied')
    copyOver(home, backup)
    const copied = await writing
    if (held === 'by the peer') for (const id of copied) must.add(id)
  }
  const newer = await write(world, daemon, 'written after the copy')
  if (held === 'by the peer') {
    for (const id of newer) must.add(id)
    await equalOr(trouble, 'before the restore', [daemon, peer])
  }
  await end(daemon, stop, trouble)
  await world.numbers.read(homePaths(home).data)
  if (image !== undefined && disk !== undefined) await rollBack(disk, image)
  else putBack(what, backup, home)
  setNeighboursAside(home, false)

  const restored = await yard.start(home)
  // At once: a daemon that waits for its peers before it writes would be none.
  for (const id of await write(world, restored, 'written after the restore')) must.add(id)
  for (const id of await write(world, peer, 'written by the peer meanwhile')) must.add(id)
  const equal = await equalOr(trouble, 'after the restore', [restored, peer])
  for (const id of await write(world, restored, 'written when all was well again')) must.add(id)
  const still = await equalOr(trouble, 'at the end', [restored, peer])
  await end(restored, world.random.below(3) === 0 ? 'killed' : 'clean', trouble)
  await world.numbers.read(homePaths(home).data)
  rmSync(backup, { recursive: true, force: true })
  return equal && still
}

/** Two with one key, at one peer. Either may be the one that goes on. */
async function cloneCycle(
  world: World,
  live: boolean,
  stop: Cycle['stop'],
  trouble: string[]
): Promise<{ equal: boolean; toldMs: number | undefined }> {
  const { yard, home, must, peer, random } = world
  const second = path.join(yard.root, 'clone')
  if (!live) copyOver(home, second)
  const original = await yard.start(home)
  await untilConnected(original)
  if (live) copyOver(home, second)
  const copy = await yard.start(second)
  const startedMs = performance.now()
  const both = [original, copy]
  let toldMs: number | undefined
  const watch = until('a clone is told', async () => (await Promise.all(both.map(knowsOfClone))).includes(true), {
    timeoutMs: TOLD_MS_MAX
  }).then(
    () => (toldMs = performance.now() - startedMs),
    () => undefined
  )
  for (let round = 0; round < 2; round++) {
    for (const daemon of both) for (const id of await write(world, daemon, 'written by one of two')) must.add(id)
    for (const id of await write(world, peer, 'written by the peer of both')) must.add(id)
  }
  await watch
  const held = await until('the peer holds what both wrote', async () => isSubset(must, await deltaIds(peer.client)), {
    timeoutMs: EQUAL_MS_MAX,
    everyMs: 200
  }).then(
    () => true,
    () => false
  )
  if (!held) trouble.push('the peer does not hold all that both wrote')
  const keepsCopy = random.below(2) === 0
  await end(keepsCopy ? original : copy, stop, trouble)
  const left = keepsCopy ? copy : original
  const equal = await equalOr(trouble, 'once one of them was gone', [left, peer])
  await end(left, 'clean', trouble)
  for (const place of [home, second]) await world.numbers.read(homePaths(place).data)
  if (keepsCopy) copyOver(second, home)
  rmSync(second, { recursive: true, force: true })
  return { equal: equal && held, toldMs }
}

async function knowsOfClone(daemon: DaemonProcess): Promise<boolean> {
  const { reasons } = await daemon.client.status()
  return reasons.some((reason) => /clone|same identity|same key/i.test(reason))
}

/** Puts back what the name of the case says, and leaves the rest as it has become. */
function putBack(what: What, backup: string, home: string): void {
  const from = homePaths(backup)
  const to = homePaths(home)
  switch (what) {
    case 'the whole home, another directory':
    case 'the whole home, copied while it ran':
      return copyOver(backup, home)
    case 'the whole home, in place':
      return refill(backup, home)
    case 'data alone, another directory':
      return copyOver(from.data, to.data)
    case 'data alone, in place':
      return refill(from.data, to.data)
    case 'STATE alone':
      return copyOver(from.state, to.state)
    case 'the disk, rolled back':
    case 'a live clone':
    case 'a clone of a stopped home':
      throw new Error(`${what} is no copy to be put back`)
  }
}

/** As rsync --delete does it: the directories stay the same ones. */
function refill(from: string, to: string): void {
  for (const entry of readdirSync(to, { withFileTypes: true })) {
    if (!existsSync(path.join(from, entry.name))) rmSync(path.join(to, entry.name), { recursive: true, force: true })
  }
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)]
    if (entry.isDirectory() && existsSync(target)) refill(source, target)
    else copyOver(source, target)
  }
}

/** Without them a daemon finds nobody. */
function setNeighboursAside(home: string, aside: boolean): void {
  const { bootstrap, peers } = homePaths(home)
  for (const file of [bootstrap, peers]) {
    const [from, to] = aside ? [file, `${file}.aside`] : [`${file}.aside`, file]
    if (existsSync(from)) renameSync(from, to)
  }
}

async function equalOr(trouble: string[], when: string, daemons: readonly DaemonProcess[]): Promise<boolean> {
  try {
    await until('both are equal', () => areEqual(daemons), { timeoutMs: EQUAL_MS_MAX })
    return true
  } catch (error) {
    trouble.push(`${when}: ${messageOf(error)}`)
    return false
  }
}

async function end(daemon: DaemonProcess, stop: Cycle['stop'], trouble: string[]): Promise<void> {
  if (stop === 'killed') return daemon.kill()
  await daemon.stop().catch((error: unknown) => {
    if (!STOP_STATUS_OK.test(messageOf(error))) trouble.push(messageOf(error).split('\n')[0] ?? '')
  })
}

async function readPeer(world: World): Promise<void> {
  const { home } = world.peer
  await world.peer.stop()
  await world.numbers.read(homePaths(home).data)
  world.peer = await world.yard.start(home, { set: { 'network.listen': world.peerListens } })
}

/** What is missing at the end, on the peer or on the daemon itself. */
async function lastLook(world: World): Promise<number> {
  const { yard, home, must } = world
  const daemon = await yard.start(home)
  const trouble: string[] = []
  await equalOr(trouble, 'at last', [daemon, world.peer])
  const missing = new Set<string>()
  for (const one of [daemon, world.peer]) {
    const present = await deltaIds(one.client)
    for (const id of must) if (!present.has(id)) missing.add(id)
  }
  await daemon.stop()
  await world.numbers.read(homePaths(home).data)
  await readPeer(world)
  return missing.size
}

const isSubset = (part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean => {
  for (const one of part) if (!whole.has(one)) return false
  return true
}

function describe({ what, held, stop, newForks, equal, toldMs, trouble }: Cycle): string {
  const told = what.includes('clone')
    ? `, told ${toldMs === undefined ? 'NEVER' : `after ${Math.round(toldMs)} ms`}`
    : ''
  const more = trouble.length === 0 ? '' : `; ${trouble.join('; ')}`
  return `${what}, newer ${held}, ${stop}: ${newForks} forks, ${equal ? 'equal' : 'NOT EQUAL'}${told}${more}`
}

const HEADINGS = ['what was put back', 'cycles', 'newer held by nobody', 'killed', 'forks', 'not equal', 'told']

function rows(cycles: readonly Cycle[]): (string | number)[][] {
  return [...new Set(cycles.map(({ what }) => what))].map((what) => {
    const these = cycles.filter((cycle) => cycle.what === what)
    const count = (is: (cycle: Cycle) => boolean): number => these.filter(is).length
    return [
      what,
      these.length,
      count(({ held }) => held === 'by nobody'),
      count(({ stop }) => stop === 'killed'),
      these.reduce((sum, { newForks }) => sum + newForks, 0),
      count(({ equal }) => !equal),
      what.includes('clone') ? count(({ toldMs }) => toldMs !== undefined) : '-'
    ]
  })
}

function verdictOf(world: World, cycles: readonly Cycle[], missing: number): Verdict {
  const clones = cycles.filter(({ what }) => what.includes('clone'))
  const untold = clones.filter(({ toldMs }) => toldMs === undefined).length
  const unequal = cycles.filter(({ equal }) => !equal).length
  const toldMs = clones.flatMap((cycle) => cycle.toldMs ?? [])
  const { forks } = world.numbers
  const figures = {
    cycles: cycles.length,
    acknowledged: world.acknowledged,
    'numbers signed': world.numbers.count,
    'numbers with two contents': forks.length,
    'missing at the end': missing,
    'cycles without one digest': unequal,
    clones: clones.length,
    'clones told': clones.length - untold,
    'longest until told, ms': toldMs.length === 0 ? 'never' : Math.round(Math.max(...toldMs))
  }
  const breaches = [
    ...(forks.length > 0 ? [`${forks.length} numbers stand for two deltas, the first: ${forks[0]}`] : []),
    ...(missing > 0 ? [`${missing} acknowledged writes are missing`] : []),
    ...(unequal > 0 ? [`${unequal} cycles did not end with one digest`] : []),
    ...(untold > 0 ? [`${untold} of ${clones.length} clones were not told within ${TOLD_MS_MAX / 1_000} s`] : []),
    ...new Set(cycles.flatMap(({ trouble }) => trouble))
  ]
  return judge(figures, breaches, [cycles.length === 0 ? 'nothing was put back' : undefined])
}
