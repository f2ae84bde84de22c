/**
 * The own-log guard against everything people do to a home: backups restored whole, in part and in place, snapshots rolled
 * back, running homes copied, machines restarted. Whatever the order, no number of an epoch is ever signed twice; and a
 * home that is only stopped and started goes on under its epoch.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { fromHex, toHex, uintBytes, bytesToUint } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { EpochGuard } from '../../../src/daemon/epoch-guard.ts'
import { homePaths } from '../../../src/daemon/home-files.ts'
import { HomeStore } from '../../../src/daemon/home-store.ts'
import { StopWitness } from '../../../src/daemon/stop-witness.ts'
import type { Progress } from '../../../src/node/hooks.ts'
import { scanPrefix } from '../../../src/node/restore.ts'

const SPACE = 'a1'.repeat(16)
const logger = { log: () => undefined }
// Hundreds of lives, each with some syncs: memory is fast enough, and the disk has nothing to do with it.
const scratch = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'chrysalis-guard-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

type End = 'clean' | 'killed'

/** One author on one machine, with all its homes; keeps the book of everything that was ever signed. */
class World {
  readonly place: string
  readonly session: string
  readonly random: SeededRandom
  /** `epoch:seq` → what was signed with it. */
  readonly signed = new Map<string, string>()
  homes = 0
  backups = 0

  constructor(name: string) {
    this.place = path.join(scratch, name)
    this.session = path.join(this.place, 'session')
    mkdirSync(this.session, { recursive: true })
    this.random = new SeededRandom(name)
  }

  newHome(): string {
    const home = path.join(this.place, `home-${this.homes++}`)
    mkdirSync(home)
    return home
  }

  /** A daemon's life: open, judge, sign, end. `meanwhile` happens after half of the writes. Answers the epoch. */
  async live(
    home: string,
    end: End,
    writes = 2,
    meanwhile: () => Promise<void> = () => Promise.resolve()
  ): Promise<string> {
    const paths = homePaths(home)
    const store = await HomeStore.open(paths, { floorBytes: 0, ballastBytes: 0 }, logger)
    const stops = new StopWitness({ XDG_RUNTIME_DIR: this.session })
    const guard = new EpochGuard({ paths, store, notices: [], logger, stops })
    let epoch = store.witness.sentinel?.epoch ?? toHex(this.random.bytes(8))
    let found = await ownLog(store, epoch)
    if (!(await guard.mayKeep(progress(epoch, found.deltas, found.head)))) {
      epoch = toHex(this.random.bytes(8))
      found = await ownLog(store, epoch)
    }
    await guard.write(progress(epoch, found.deltas, found.head), false)
    let head = found.head
    for (let i = 0; i < writes; i++) {
      if (i === writes >> 1) await meanwhile()
      head = await this.#sign(store, epoch, (head?.seq ?? -1) + 1)
    }
    await store.close()
    if (end === 'clean') await guard.write(progress(epoch, found.deltas + writes, head), true)
    return epoch
  }

  async #sign(store: HomeStore, epoch: string, seq: number): Promise<Head> {
    const id = toHex(this.random.bytes(32))
    const slot = `${epoch}:${seq}`
    assert.equal(this.signed.get(slot), undefined, `number ${seq} of epoch ${epoch} is signed twice`)
    this.signed.set(slot, id)
    const key = new Uint8Array([...fromHex(SPACE), ...fromHex(epoch), ...uintBytes(seq, 8), ...fromHex(id)])
    const arrival = uintBytes(this.signed.size, 8)
    await store.store.batch(
      [
        { table: 'author', key, value: new Uint8Array(0) },
        { table: 'arrival', key: arrival, value: key }
      ],
      { durable: true }
    )
    return { epoch, seq, id }
  }

  backup(home: string): string {
    const copy = path.join(this.place, `backup-${this.backups++}`)
    cpSync(home, copy, { recursive: true, preserveTimestamps: true })
    return copy
  }
}

interface Head {
  readonly epoch: string
  readonly seq: number
  readonly id: string
}

/** What the database says of the own log, as the engine reads it. */
async function ownLog(store: HomeStore, epoch: string): Promise<{ deltas: number; head: Head | null }> {
  let deltas = 0
  let head: Head | null = null
  for await (const { key } of scanPrefix(store.store, 'author', fromHex(SPACE))) {
    deltas++
    if (toHex(key.subarray(16, 24)) !== epoch) continue
    head = { epoch, seq: Number(bytesToUint(key.slice(24, 32))), id: toHex(key.subarray(32)) }
  }
  return { deltas, head }
}

function progress(epoch: string, deltas: number, head: Head | null): Progress {
  return { deltas, epoch, spaces: [{ id: SPACE, deltas, root: '', head }] }
}

/** The content of `from` in the files of `to`, which stay the same files in the same directories: rsync, or a snapshot. */
function setBack(from: string, to: string, part: (name: string) => boolean = () => true): void {
  for (const name of readdirSync(to))
    if (part(name) && !existsSync(path.join(from, name))) rmSync(path.join(to, name), { recursive: true })
  for (const name of readdirSync(from)) {
    if (!part(name)) continue
    const [source, target] = [path.join(from, name), path.join(to, name)]
    if (statSync(source).isDirectory()) {
      mkdirSync(target, { recursive: true })
      setBack(source, target)
    } else writeFileSync(target, readFileSync(source))
  }
}

test('stopped and started, again and again, it goes on under one epoch', async () => {
  const world = new World('orderly')
  const home = world.newHome()
  const first = await world.live(home, 'clean')
  for (let i = 0; i < 4; i++) assert.equal(await world.live(home, 'clean'), first)
  assert.equal(await world.live(home, 'clean', 0), first, 'also when it wrote nothing')
  assert.equal(await world.live(home, 'clean'), first)
})

test('killed, or after a restart of the machine, it begins a new one', async () => {
  const world = new World('killed')
  const home = world.newHome()
  const first = await world.live(home, 'killed')
  const second = await world.live(home, 'clean')
  assert.notEqual(second, first)
  rmSync(world.session, { recursive: true })
  mkdirSync(world.session)
  assert.notEqual(await world.live(home, 'clean'), second)
})

const RESTORES: readonly (readonly [string, (world: World, home: string, backup: string) => void])[] = [
  [
    'the whole home, copied anew',
    (_, home, backup) => {
      rmSync(home, { recursive: true })
      cpSync(backup, home, { recursive: true, preserveTimestamps: true })
    }
  ],
  ['the whole home, in place, as a snapshot does', (_, home, backup) => setBack(backup, home)],
  ['data alone, in place', (_, home, backup) => setBack(backup, home, (name) => name === 'data')],
  [
    'data alone, copied anew',
    (_, home, backup) => {
      rmSync(path.join(home, 'data'), { recursive: true })
      cpSync(path.join(backup, 'data'), path.join(home, 'data'), { recursive: true })
    }
  ],
  ['STATE alone', (_, home, backup) => setBack(backup, home, (name) => name === 'STATE')],
  ['STATE and TAIL', (_, home, backup) => setBack(backup, home, (name) => name !== 'data')],
  ['data and TAIL, without STATE', (_, home, backup) => setBack(backup, home, (name) => name !== 'STATE')],
  ['all but STATE lost', (_, home) => rmSync(path.join(home, 'STATE'))]
]

for (const [name, restore] of RESTORES) {
  for (const [backupEnd, lastEnd] of [
    ['clean', 'clean'],
    ['clean', 'killed'],
    ['killed', 'clean'],
    ['killed', 'killed']
  ] as const) {
    test(`restored: ${name}, backup of a ${backupEnd} home, last run ${lastEnd}`, async () => {
      const world = new World(`${name} ${backupEnd} ${lastEnd}`.replaceAll(/\W+/g, '-'))
      const home = world.newHome()
      await world.live(home, backupEnd)
      const backup = world.backup(home)
      await world.live(home, lastEnd, 3)
      restore(world, home, backup)
      await world.live(home, 'clean', 4)
      restore(world, home, backup)
      await world.live(home, 'clean', 5)
    })
  }
}

test('a home copied while it runs writes under another epoch, and the first goes on under its own', async () => {
  const world = new World('clone')
  const home = world.newHome()
  await world.live(home, 'clean')
  let copy = ''
  let cloned = ''
  const epoch = await world.live(home, 'clean', 4, async () => {
    copy = world.backup(home)
    cloned = await world.live(copy, 'clean', 4)
  })
  assert.notEqual(cloned, epoch)
  assert.equal(await world.live(home, 'clean'), epoch)
  assert.equal(await world.live(copy, 'clean'), cloned, 'the copy has a life of its own')
})

test('two hundred turns of fate sign no number twice', async () => {
  const world = new World('fate')
  const homes = [world.newHome()]
  const backups: string[] = []
  const turns = new SeededRandom('turns')
  const pick = <T>(list: readonly T[]): T => list[turns.below(list.length)] as T
  for (let turn = 0; turn < 200; turn++) {
    const home = pick(homes)
    const end = turns.below(3) === 0 ? 'killed' : 'clean'
    const act = turns.below(8)
    const whole = existsSync(path.join(home, 'data'))
    if (act === 0 && whole && backups.length < 12) backups.push(world.backup(home))
    if (act === 1 && backups.length > 0 && whole) pick(RESTORES)[1](world, home, pick(backups))
    if (act === 2 && whole && homes.length < 5) {
      await world.live(home, end, 2, async () => {
        const copy = world.backup(home)
        homes.push(copy)
        await world.live(copy, 'clean', 1)
      })
    } else if (act === 3) {
      rmSync(world.session, { recursive: true })
      mkdirSync(world.session)
    } else await world.live(home, end, turns.below(3))
  }
  assert.ok(world.signed.size > 100, `${world.signed.size} numbers were signed`)
})

test('the notes of stops are private, used once, and bounded', async () => {
  const session = path.join(scratch, 'notes')
  mkdirSync(session)
  const stops = new StopWitness({ XDG_RUNTIME_DIR: session })
  const identity = { dev: '1', ino: '2', birthtimeMs: 3 }
  assert.equal(await stops.take(identity), undefined)
  await stops.leave(identity, 'aa')
  assert.equal(await stops.take({ ...identity, ino: '3' }), undefined)
  assert.equal(await stops.take(identity), 'aa')
  assert.equal(await stops.take(identity), undefined)
  const [folder] = readdirSync(session) as [string]
  if (process.platform !== 'win32') assert.equal(statSync(path.join(session, folder)).mode & 0o777, 0o700)
  for (let i = 0; i < LIMITS.stopNotesMax; i++) writeFileSync(path.join(session, folder, `old-${i}`), '')
  await stops.leave(identity, 'bb')
  assert.equal(readdirSync(path.join(session, folder)).length, LIMITS.stopNotesMax)
  assert.equal(await stops.take(identity), 'bb')
})

test('a folder that others may write to proves nothing', { skip: process.platform === 'win32' }, async () => {
  const session = path.join(scratch, 'foreign')
  mkdirSync(session)
  const stops = new StopWitness({ XDG_RUNTIME_DIR: session })
  const identity = { dev: '1', ino: '2', birthtimeMs: 3 }
  mkdirSync(path.join(session, `chrysalis-stops-${process.getuid?.() ?? 'me'}`), { mode: 0o777 })
  const [folder] = readdirSync(session) as [string]
  chmodSync(path.join(session, folder), 0o777)
  await stops.leave(identity, 'aa')
  assert.deepEqual(readdirSync(path.join(session, folder)), [])
  assert.equal(await stops.take(identity), undefined)
})
