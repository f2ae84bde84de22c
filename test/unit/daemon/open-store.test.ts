/**
 * Every fault in the files of a database at rest, after every way a run can end: the daemon's way of opening it serves
 * nothing wrong, loses no more than the fault has destroyed, and says so.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { DiskSpace } from '../../../src/adapters/level/disk-space.ts'
import { inspectFiles } from '../../../src/adapters/level/inspect.ts'
import { openLevelStore } from '../../../src/adapters/level/level-store.ts'
import { SCHEMA, SCHEMA_KEY } from '../../../src/adapters/level/migrations.ts'
import { TailMark } from '../../../src/adapters/level/tail-mark.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import type { HomePaths } from '../../../src/daemon/home-files.ts'
import { openStore, readWitness, type StoreOpening } from '../../../src/daemon/open-store.ts'
import { isRebuildDue } from '../../../src/node/rebuild.ts'
import {
  copiesOf,
  countRows,
  damagedHome,
  ENDINGS,
  FAULTS,
  flip,
  ROWS,
  type Count,
  type Ending
} from '../../support/damaged-home.ts'

const logger = { log: () => undefined }

async function open(paths: HomePaths, suspect = false): Promise<StoreOpening> {
  const space = new DiskSpace({ directory: paths.home, floorBytes: 0, ballastBytes: 0 })
  const witness = await readWitness(paths, [], logger)
  return openStore({ paths, space, logger, onDamage: () => undefined }, witness, { suspect })
}

async function withHome(ending: Ending, act: (paths: HomePaths) => Promise<void>): Promise<void> {
  const paths = await damagedHome(ending)
  try {
    await act(paths)
  } finally {
    rmSync(paths.home, { recursive: true, force: true })
  }
}

for (const ending of ENDINGS) {
  test(`undamaged, ${ending}: opened as it is, and nothing is said`, () =>
    withHome(ending, async (paths) => {
      const opening = await open(paths)
      assert.deepEqual([opening.salvaged, opening.notices, opening.lostTail], [[], [], false])
      assert.equal((await countRows(opening.opened.store)).right, ROWS)
      assert.deepEqual(copiesOf(paths), [])
      await opening.opened.close()
    }))

  for (const fault of FAULTS) {
    test(`${fault.name}, ${ending}: opened, nothing wrong, little lost, and told`, () =>
      withHome(ending, async (paths) => {
        fault.strike(paths)
        const opening = await open(paths)
        const count = await countRows(opening.opened.store)
        assert.equal(count.wrong, 0)
        const lost = ROWS - count.right
        assert.ok(lost <= fault.lossMax, `${lost} rows lost, ${fault.lossMax} expected at most`)
        const told = opening.salvaged.length > 0 || opening.lostTail
        assert.ok(told || lost === 0, `${lost} rows lost in silence`)
        if (told) assert.ok(opening.notices.length > 0, 'a person is told')
        assert.equal(await isRebuildDue(opening.opened.store), opening.salvaged.length > 0)
        assert.equal(copiesOf(paths).length > 0, opening.salvaged.length > 0, 'a copy before any repair')
        await opening.opened.close()
        await again(paths, count)
      }))
  }
}

/** What was mended stays mended. */
async function again(paths: HomePaths, before: Count): Promise<void> {
  rmSync(paths.state, { force: true })
  const opening = await open(paths)
  assert.deepEqual(opening.salvaged, [])
  assert.deepEqual(await countRows(opening.opened.store), before)
  await opening.opened.close()
}

const STATE_FAULTS: readonly (readonly [string, (paths: HomePaths) => void])[] = [
  ['a bit', (paths) => flip(0.3)(paths.state)],
  ['a bit in a number', (paths) => flip(0.02)(paths.state)],
  ['cut in half', (paths) => truncateSync(paths.state, 300)],
  ['empty', (paths) => truncateSync(paths.state, 0)]
]

for (const [name, strike] of STATE_FAULTS) {
  test(`STATE: ${name}: put aside, told, and every row is there`, () =>
    withHome('clean', async (paths) => {
      strike(paths)
      const notices: string[] = []
      const witness = await readWitness(paths, notices, logger)
      assert.deepEqual(witness, { sentinel: undefined, isUnreadable: true })
      assert.match(notices.join(), /STATE was damaged .* new epoch/)
      assert.equal(readdirSync(paths.home).filter((file) => file.startsWith('STATE.damaged-')).length, 1)
      const opening = await open(paths)
      assert.equal((await countRows(opening.opened.store)).right, ROWS)
      await opening.opened.close()
    }))
}

test('a STATE of a newer program is refused and not put aside', () =>
  withHome('clean', async (paths) => {
    writeFileSync(paths.state, JSON.stringify({ schema: 99 }))
    await assert.rejects(readWitness(paths, [], logger), (error: unknown) =>
      isChrysalisError(error, 'unsupported_version')
    )
    assert.ok(readdirSync(paths.home).includes('STATE'))
  }))

for (const [name, isGone] of [
  ['gone', true],
  ['emptied', false]
] as const) {
  test(`a database directory that is ${name} is refused, and no new one is made in its place`, () =>
    withHome('clean', async (paths) => {
      rmSync(paths.data, { recursive: true })
      if (!isGone) mkdirSync(paths.data)
      await assert.rejects(open(paths), (error: unknown) => isChrysalisError(error, 'corrupt'))
      // An unreadable STATE still says that there was a database.
      truncateSync(paths.state, 10)
      await assert.rejects(open(paths), (error: unknown) => isChrysalisError(error, 'corrupt'))
      if (!isGone)
        assert.deepEqual(
          readdirSync(paths.data).filter((file) => /^(CURRENT|MANIFEST|\d)/.test(file)),
          []
        )
    }))
}

test('the number of the layout is taken from STATE when its row is lost, and then all is rebuilt', () =>
  withHome('killed', async (paths) => {
    const store = await openLevelStore(paths.data)
    await store.batch([{ table: 'meta', key: SCHEMA_KEY, value: null }], { durable: true })
    await store.close()
    const opening = await open(paths)
    assert.match(opening.salvaged.join(), /layout/)
    assert.ok(await isRebuildDue(opening.opened.store))
    assert.equal((await opening.opened.store.get('meta', SCHEMA_KEY))?.at(-1), SCHEMA)
    await opening.opened.close()
  }))

test('without STATE and without a number nothing is guessed', () =>
  withHome('no STATE', async (paths) => {
    const store = await openLevelStore(paths.data)
    await store.batch([{ table: 'meta', key: SCHEMA_KEY, value: null }], { durable: true })
    await store.close()
    await assert.rejects(open(paths), (error: unknown) => isChrysalisError(error, 'corrupt'))
  }))

test('a database that another has open is neither looked at nor mended', () =>
  withHome('killed', async (paths) => {
    const holder = await openLevelStore(paths.data)
    // Damage that would be mended at once: the holder does not need the file.
    const manifest = readdirSync(paths.data).find((file) => file.startsWith('MANIFEST')) as string
    truncateSync(path.join(paths.data, manifest), 20)
    await assert.rejects(open(paths), (error: unknown) => isChrysalisError(error, 'home_locked'))
    assert.deepEqual(copiesOf(paths), [])
    await holder.close()
  }))

test('what a running daemon suspects is looked at whole, and repaired if no check finds it', () =>
  withHome('killed', async (paths) => {
    const opening = await open(paths, true)
    assert.match(opening.salvaged.join(), /no checksum shows/)
    assert.equal((await countRows(opening.opened.store)).right, ROWS)
    assert.equal(copiesOf(paths).length, 1)
    await opening.opened.close()
  }))

test('an empty home gets a new database, and an old mark does not count for it', () =>
  withHome('no STATE', async (paths) => {
    rmSync(paths.data, { recursive: true })
    const opening = await open(paths)
    assert.deepEqual([opening.salvaged, opening.notices, opening.lostTail], [[], [], false])
    assert.equal(opening.position, 0)
    await opening.opened.close()
  }))

test('own rows that were never synced and are gone are told, and are no reason to doubt the own log', () =>
  withHome('killed', async (paths) => {
    const mark = new TailMark(paths.tail)
    mark.begin(ROWS)
    mark.note(ROWS + 7, false)
    mark.close()
    const opening = await open(paths)
    assert.equal(opening.lostTail, false)
    assert.match(opening.notices.join(), /by others .*position 1507 was stored, the last one found is 1500/)
    await opening.opened.close()
  }))

test('at start as many tables are read whole as the bound allows, newest first, and the rest are left for later', () =>
  withHome('killed', async (paths) => {
    const inspect = (wholeBytesMax: number) => inspectFiles(paths.data, { wholeBytesMax })
    const all = (await inspect(0)).unread
    const newest = all[0] as string
    const bytes = statSync(path.join(paths.data, newest)).size
    assert.equal((await inspect(bytes - 1)).unread.includes(newest), true)
    assert.equal((await inspect(bytes)).unread.includes(newest), false)
    assert.equal((await inspect(bytes)).unread.length, all.length - 1)
    assert.deepEqual((await inspect(LIMITS.storeStartReadBytes)).unread, [])
  }))

test('a bit anywhere in any file, thirty times: nothing wrong, and no loss in silence', async () => {
  const random = new SeededRandom('anywhere')
  for (let turn = 0; turn < 30; turn++) {
    await withHome(ENDINGS[turn % ENDINGS.length] as Ending, async (paths) => {
      const files = readdirSync(paths.data).filter((name) => /^(CURRENT|MANIFEST|\d)/.test(name))
      const file = path.join(paths.data, files[random.below(files.length)] as string)
      const share = random.unit()
      flip(share)(file)
      const opening = await open(paths)
      const count = await countRows(opening.opened.store)
      const where = `${path.basename(file)} at ${share}: ${JSON.stringify(count)}`
      assert.equal(count.wrong, 0, where)
      assert.ok(count.right >= ROWS - 12, where)
      const told = opening.salvaged.length > 0 || opening.lostTail
      assert.ok(told || count.right + count.refused === ROWS, where)
      await opening.opened.close()
    })
  }
})
