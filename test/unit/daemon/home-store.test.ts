/**
 * The store of a home on a disk that fills up, for real: a small file system in memory. Nothing acknowledged is lost,
 * everything is read at every moment, and writing resumes when there is room, also when the daemon is started on the
 * full disk.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { BALLAST_NAME, DiskSpace } from '../../../src/adapters/level/disk-space.ts'
import { openShadow } from '../../../src/adapters/level/shadow.ts'
import { equalBytes, uintBytes } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { homePaths, type HomePaths } from '../../../src/daemon/home-files.ts'
import { diskNotices, HomeStore } from '../../../src/daemon/home-store.ts'
import type { Store } from '../../../src/ports/store.ts'

const MIB = 1_048_576
const DISK_BYTES = 96 * MIB
const BALLAST_BYTES = 24 * MIB
const ROW_BYTES = 60_000
const logger = { log: () => undefined }
const isFull = (error: unknown): boolean => isChrysalisError(error, 'disk_full')

interface SmallDisk {
  readonly paths: HomePaths
  readonly filler: string
  free(): number
  /** Takes all room but so many bytes. */
  fill(leave: number): void
  /** Gives back what `fill` took. */
  clear(): void
}

/** Undefined, and the test skipped, where no small disk can be mounted. */
function smallDisk(context: TestContext): SmallDisk | undefined {
  const place = mkdtempSync(path.join(tmpdir(), 'chrysalis-small-'))
  let isMounted = false
  context.after(() => {
    if (isMounted) execFileSync('umount', ['-l', place])
    rmSync(place, { recursive: true, force: true })
  })
  try {
    if (process.platform !== 'linux') throw new Error('needs Linux')
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', place], { stdio: 'pipe' })
  } catch {
    context.skip('a small disk needs Linux and root')
    return undefined
  }
  isMounted = true
  const filler = path.join(place, 'filler')
  const free = (): number => statfsSync(place).bavail * statfsSync(place).bsize
  return {
    paths: homePaths(place),
    filler,
    free,
    fill: (leave) => {
      const held = existsSync(filler) ? statSync(filler).size : 0
      writeFileSync(filler, new Uint8Array(held + Math.max(0, free() - leave)))
    },
    clear: () => rmSync(filler, { force: true })
  }
}

const open = (paths: HomePaths, floorBytes: number, ballastBytes = BALLAST_BYTES): Promise<HomeStore> =>
  HomeStore.open(paths, { floorBytes, ballastBytes }, logger)

/** Without LevelDB's diary, which it begins anew at every attempt. */
function filesOf(paths: HomePaths): string[] {
  return readdirSync(paths.data)
    .filter((name) => !name.startsWith('LOG'))
    .sort()
}

const payload = randomBytes(ROW_BYTES)
const valueOf = (i: number): Uint8Array => {
  const value = Uint8Array.from(payload)
  value.set(uintBytes(i, 4))
  return value
}

/** Rows that were acknowledged. */
class Book {
  count = 0

  async write(store: Store): Promise<void> {
    await store.batch([{ table: 'delta', key: uintBytes(this.count, 4), value: valueOf(this.count) }], {
      durable: true
    })
    this.count++
  }

  async writeUntilFull(store: Store): Promise<void> {
    for (let i = 0; i < 20_000; i++) {
      try {
        await this.write(store)
      } catch (error) {
        assert.ok(isFull(error), String(error))
        return
      }
    }
    assert.fail('the disk was never full')
  }

  async check(store: Store): Promise<void> {
    for (let i = 0; i < this.count; i++) {
      const value = await store.get('delta', uintBytes(i, 4))
      assert.ok(value !== undefined && equalBytes(value, valueOf(i)), `row ${i} of ${this.count}`)
    }
  }
}

async function holdBallast(paths: HomePaths): Promise<void> {
  const space = new DiskSpace({ directory: paths.home, floorBytes: 0, ballastBytes: BALLAST_BYTES })
  assert.equal(await space.refill(), true)
}

test('the ballast is of real blocks, goes at once, and is taken in only where there is room', async (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  const space = new DiskSpace({ directory: disk.paths.home, floorBytes: MIB, ballastBytes: BALLAST_BYTES })
  const before = disk.free()
  assert.equal(await space.refill(), true)
  assert.ok(before - disk.free() >= BALLAST_BYTES, 'not sparse')
  assert.equal(space.report().ballastHeldBytes, BALLAST_BYTES)
  assert.equal(await space.refill(), true, 'held already')
  assert.equal(await space.release(), BALLAST_BYTES)
  assert.equal(disk.free(), before)
  disk.fill(2 * BALLAST_BYTES + MIB - 8_192)
  assert.equal(await space.refill(), false)
  assert.equal(space.report().ballastHeldBytes, 0)
  disk.clear()
  // Half a ballast, left by a crash, is made whole; one that is no longer wanted goes.
  writeFileSync(path.join(disk.paths.home, BALLAST_NAME), new Uint8Array(1_000))
  assert.equal(await space.refill(), true)
  assert.equal(space.report().ballastHeldBytes, BALLAST_BYTES)
  await new DiskSpace({ directory: disk.paths.home, floorBytes: 0, ballastBytes: 0 }).refill()
  assert.equal(space.report().ballastHeldBytes, 0)
})

test('a small disk has a small floor', (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  const floorOf = (floorBytes: number): number =>
    new DiskSpace({ directory: disk.paths.home, floorBytes, ballastBytes: 0 }).report().floorBytes
  assert.equal(floorOf(MIB), MIB)
  assert.equal(floorOf(LIMITS.diskFreeBytesMin), Math.floor(DISK_BYTES * 0.05))
  assert.equal(floorOf(0), 0)
})

test('the ballast makes the room that closing and opening take at their largest', () => {
  assert.ok(LIMITS.diskBallastBytes >= 4 * LIMITS.storeWriteBufferBytes)
})

test('below the floor nothing is written, everything is read, and writing resumes with the room', async (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  const home = await open(disk.paths, 4 * MIB)
  const book = new Book()
  disk.fill(20 * MIB)
  await book.writeUntilFull(home.store)
  assert.ok(book.count > 50, `${book.count} rows`)
  await book.check(home.store)
  // LevelDB may have made room meanwhile, by merging.
  disk.fill(2 * MIB)
  assert.match(diskNotices(home.disk()).join(), /nearly full/)
  await assert.rejects(home.store.reopen(), isFull)
  await book.check(home.store)
  disk.clear()
  await home.store.reopen()
  await book.write(home.store)
  await book.check(home.store)
  assert.deepEqual(diskNotices(home.disk()), [])
  await home.close()
})

test('a disk filled by others to the last block costs the ballast and no acknowledged row', async (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  await holdBallast(disk.paths)
  const home = await open(disk.paths, 0)
  const book = new Book()
  for (let cycle = 0; cycle < 3; cycle++) {
    for (let i = 0; i < 40; i++) await book.write(home.store)
    disk.fill(0)
    await book.writeUntilFull(home.store)
    assert.equal(home.disk()?.ballastHeldBytes, 0)
    await book.check(home.store)
    // The ballast made the room for this.
    await home.store.reopen()
    await book.check(home.store)
    await book.write(home.store)
    disk.clear()
    await holdBallast(disk.paths)
  }
  await home.close()
  const again = await open(disk.paths, 0)
  await book.check(again.store)
  await again.close()
})

test('started on a full disk it throws the ballast off and reads everything', async (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  await holdBallast(disk.paths)
  const book = new Book()
  const first = await open(disk.paths, 0)
  for (let i = 0; i < 100; i++) await book.write(first.store)
  await first.close()
  disk.fill(0)
  const home = await open(disk.paths, 4 * MIB)
  assert.equal(home.store.isShadow, false)
  assert.equal(home.disk()?.ballastHeldBytes, 0)
  await book.check(home.store)
  await home.close()
})

test('started on a full disk without ballast it reads from another place, and comes back', async (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  const book = new Book()
  const first = await open(disk.paths, 0, 0)
  for (let i = 0; i < 100; i++) await book.write(first.store)
  await first.close()
  disk.fill(0)
  const shadows = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('chrysalis-shadow-'))
  // Of a process that was killed: no number of a process is that large.
  const stale = path.join(tmpdir(), 'chrysalis-shadow-4194305-stale')
  mkdirSync(stale, { recursive: true })
  const before = shadows().filter((name) => !stale.endsWith(name)).length
  const files = filesOf(disk.paths)
  const home = await open(disk.paths, MIB, 0)
  assert.equal(home.store.isShadow, true)
  assert.equal(shadows().length, before + 1)
  assert.equal(existsSync(stale), false)
  await book.check(home.store)
  await assert.rejects(book.write(home.store), isFull)
  await assert.rejects(home.store.reopen(), isFull)
  assert.deepEqual(filesOf(disk.paths), files, 'the real directory is as it was')
  disk.clear()
  await home.store.reopen()
  assert.equal(home.store.isShadow, false)
  assert.equal(shadows().length, before, 'and the place is cleared')
  await book.write(home.store)
  await book.check(home.store)
  assert.deepEqual([...home.salvaged], [])
  await home.close()
})

test('where no place has room it says what is missing, and touches nothing', async (context) => {
  const disk = smallDisk(context)
  if (disk === undefined) return
  const first = await open(disk.paths, 0, 0)
  await new Book().write(first.store)
  await first.close()
  disk.fill(0)
  const files = filesOf(disk.paths)
  await assert.rejects(openShadow(disk.paths.data, {}, [disk.paths.home, '/nowhere']), (error: unknown) => {
    assert.ok(isChrysalisError(error, 'disk_full'))
    assert.match(error.message, /no other place has \d+ bytes/)
    assert.match(error.hint ?? '', /TMPDIR/)
    return true
  })
  assert.deepEqual(filesOf(disk.paths), files)
  truncateSync(disk.filler, 0)
})
