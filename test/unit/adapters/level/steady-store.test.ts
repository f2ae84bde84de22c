/** The store of a running daemon: the floor, the ballast, damage, the shadow, and the mark behind each batch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiskReport } from '../../../../src/adapters/level/disk-space.ts'
import { SteadyStore, type OpenedDatabase } from '../../../../src/adapters/level/steady-store.ts'
import { uintBytes, utf8 } from '../../../../src/base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../../../src/base/errors.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import type { Store, StoreWrite } from '../../../../src/ports/store.ts'
import { createMemoryStore } from '../../../support/memory-store.ts'

const FLOOR = LIMITS.diskFreeBytesMin
const PLENTY = 10 * FLOOR
const isFull = (error: unknown): boolean => isChrysalisError(error, 'disk_full')
const row = (value = 1, key = 'k'): StoreWrite[] => [{ table: 'meta', key: utf8(key), value: Uint8Array.of(value) }]
const arrival = (position: number): StoreWrite[] => [
  { table: 'arrival', key: uintBytes(position, 8), value: new Uint8Array(1) }
]

/** A store whose writes can fail, and that counts. */
class Inner {
  readonly rows: Store = createMemoryStore()
  failWith: ChrysalisError | undefined
  reopened = 0
  batches = 0
  closed = 0
  readonly store: Store = {
    get: (table, key) => this.rows.get(table, key),
    getSync: (table, key) => this.rows.getSync(table, key),
    getMany: (table, keys) => this.rows.getMany(table, keys),
    scan: (table, options) => this.rows.scan(table, options),
    batch: async (writes, options) => {
      if (this.failWith !== undefined) throw this.failWith
      await this.rows.batch(writes, options)
      this.batches++
    },
    reopen: () => {
      if (this.failWith !== undefined) return Promise.reject(this.failWith)
      this.reopened++
      return Promise.resolve()
    },
    close: () => {
      this.closed++
      return Promise.resolve()
    }
  }
  readonly opened: OpenedDatabase = { store: this.store, isShadow: false, close: () => this.store.close() }
}

class World {
  readonly inner = new Inner()
  report: DiskReport = { freeBytes: PLENTY, floorBytes: FLOOR, ballastBytes: 64, ballastHeldBytes: 64 }
  nowMs = 0
  measured = 0
  released = 0
  readonly notes: [number, boolean][] = []
  readonly damage: ChrysalisError[] = []
  readonly store: SteadyStore

  constructor(
    opened?: OpenedDatabase,
    leaveShadow = (): Promise<OpenedDatabase> => Promise.resolve(this.inner.opened)
  ) {
    this.store = new SteadyStore(
      {
        leaveShadow,
        space: {
          report: () => {
            this.measured++
            return this.report
          },
          release: () => {
            this.released++
            return Promise.resolve(64)
          }
        },
        mark: { note: (position, synced) => this.notes.push([position, synced]), close: () => undefined },
        clock: { monotonicMs: () => this.nowMs },
        onDamage: (error) => this.damage.push(error)
      },
      opened ?? this.inner.opened
    )
  }

  free(freeBytes: number): void {
    this.report = { ...this.report, freeBytes }
    this.nowMs += 1_000
  }
}

test('at the floor everything is written, one byte below it nothing, and everything is read', async () => {
  const world = new World()
  world.free(FLOOR)
  await world.store.batch(row(1), { durable: true })
  world.free(FLOOR - 1)
  await assert.rejects(world.store.batch(row(2), { durable: true }), isFull)
  assert.equal(world.inner.batches, 1, 'the database was not touched')
  assert.deepEqual(await world.store.get('meta', utf8('k')), Uint8Array.of(1))
  assert.equal(world.released, 0, 'the ballast is for a disk that is really full')
})

test('below the floor it stays refused until it is reopened, and then for good reason or not at all', async () => {
  const world = new World()
  world.free(FLOOR - 1)
  await assert.rejects(world.store.batch(row(), { durable: true }), isFull)
  world.free(PLENTY)
  await assert.rejects(
    world.store.batch(row(), { durable: true }),
    isFull,
    'the engine has to read its heads again first'
  )
  world.free(FLOOR)
  await assert.rejects(world.store.reopen(), isFull, 'not for one byte')
  world.free(FLOOR + LIMITS.storeWriteBufferBytes)
  await world.store.reopen()
  await world.store.batch(row(), { durable: true })
  assert.equal(world.inner.reopened, 1, 'LevelDB may have met the end of the disk behind')
})

test('without a floor nothing is refused before the disk does', async () => {
  const world = new World()
  world.report = { ...world.report, floorBytes: 0 }
  world.free(0)
  await world.store.batch(row(), { durable: true })
  await world.store.reopen()
})

test('the disk is asked after so much time or so many bytes, not for every batch', async () => {
  const world = new World()
  for (let i = 0; i < 100; i++) await world.store.batch(row(i & 255), { durable: false })
  assert.equal(world.measured, 1)
  world.nowMs += 499
  await world.store.batch(row(), { durable: false })
  assert.equal(world.measured, 1)
  world.nowMs += 1
  await world.store.batch(row(), { durable: false })
  assert.equal(world.measured, 2)
  const big = [{ table: 'meta', key: utf8('big'), value: new Uint8Array(1_048_576) }] as const
  await world.store.batch(big, { durable: false })
  assert.equal(world.measured, 3)
})

test('a disk that is really full costs the ballast, and reopening closes and opens', async () => {
  const world = new World()
  world.inner.failWith = new ChrysalisError('disk_full', 'no space left')
  await assert.rejects(world.store.batch(row(), { durable: true }), isFull)
  assert.equal(world.released, 1)
  world.inner.failWith = undefined
  await assert.rejects(world.store.batch(row(), { durable: true }), isFull, 'refused until reopened')
  await world.store.reopen()
  assert.equal(world.inner.reopened, 1)
  await world.store.batch(row(), { durable: true })
})

test('the reason of another failure is kept', async () => {
  const world = new World()
  world.inner.failWith = new ChrysalisError('unavailable', 'the disk said no')
  await assert.rejects(world.store.batch(row(), { durable: true }), /the disk said no/)
  await assert.rejects(world.store.batch(row(), { durable: true }), (error: unknown) => {
    return isChrysalisError(error, 'unavailable') && error.message.includes('the disk said no')
  })
  assert.equal(world.released, 0)
})

test('damage ends writing for good and is told once; reading goes on', async () => {
  const world = new World()
  await world.store.batch(row(5), { durable: true })
  const error = new ChrysalisError('corrupt', 'a table is cut')
  world.store.damaged(error)
  world.store.damaged(new ChrysalisError('corrupt', 'another'))
  assert.deepEqual(world.damage, [error])
  const isDamage = (thrown: unknown): boolean =>
    isChrysalisError(thrown, 'corrupt') && /a table is cut/.test(thrown.message)
  await assert.rejects(world.store.batch(row(), { durable: true }), isDamage)
  await assert.rejects(world.store.reopen(), isDamage, 'it has to be opened anew, with salvage')
  assert.deepEqual(await world.store.get('meta', utf8('k')), Uint8Array.of(5))
})

test('a shadow is read and never written; with room it is left for the real database', async () => {
  const shadow = new Inner()
  await shadow.rows.batch(row(9), { durable: true })
  const world = new World({ ...shadow.opened, isShadow: true })
  assert.equal(world.store.isShadow, true)
  assert.deepEqual(await world.store.get('meta', utf8('k')), Uint8Array.of(9))
  await assert.rejects(world.store.batch(row(), { durable: true }), isFull)
  assert.equal(shadow.batches, 0)
  world.free(FLOOR - 65)
  await assert.rejects(world.store.reopen(), isFull)
  assert.equal(world.store.isShadow, true)
  world.free(PLENTY)
  await world.store.reopen()
  assert.equal(world.store.isShadow, false)
  await world.store.batch(row(), { durable: true })
  assert.equal(world.inner.batches, 1)
})

test('where the real database still cannot be opened the next shadow serves', async () => {
  const first = new Inner()
  const second = new Inner()
  const world = new World({ ...first.opened, isShadow: true }, () =>
    Promise.resolve({ ...second.opened, isShadow: true })
  )
  await assert.rejects(world.store.reopen(), isFull)
  await second.rows.batch(row(3), { durable: true })
  assert.deepEqual(await world.store.get('meta', utf8('k')), Uint8Array.of(3))
})

test('the mark follows each batch that was stored, and no other', async () => {
  const world = new World()
  await world.store.batch(arrival(4), { durable: true })
  await world.store.batch(row(), { durable: true })
  await world.store.batch(arrival(5), { durable: false })
  world.inner.failWith = new ChrysalisError('unavailable', 'no')
  await assert.rejects(world.store.batch(arrival(6), { durable: true }))
  assert.deepEqual(world.notes, [
    [4, true],
    [5, false]
  ])
})

test('closing closes what is open, once', async () => {
  const world = new World()
  await world.store.close()
  await world.store.close()
  assert.equal(world.inner.closed, 1)
})
