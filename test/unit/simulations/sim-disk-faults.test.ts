/** What the simulated disk does to its process: slowness, power cuts in the middle, no room, bad reads, copies. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import type { StoreWrite } from '../../../src/ports/store.ts'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimDisk } from '../../../simulations/world/sim-store.ts'

const row = (n: number, value = n): StoreWrite => ({
  table: 'meta',
  key: new Uint8Array([n]),
  value: new Uint8Array([value])
})
const random = (): SeededRandom => new SeededRandom('disk')
const keysOf = async (disk: SimDisk): Promise<(number | undefined)[]> =>
  (await disk.rows.scan('meta', { limit: 99 })).map(({ key }) => key[0])

/** Starts a write of 100 virtual milliseconds and cuts the power so long after. */
async function cutAt(ms: number, tornBatch: boolean): Promise<{ answered: boolean; keys: (number | undefined)[] }> {
  const queue = new EventQueue()
  const disk = new SimDisk({ queue, random: random() })
  disk.faults.slowMs = 100
  disk.faults.tornBatch = tornBatch
  let answered = false
  const writing = disk
    .open()
    .batch([row(1)], { durable: true })
    .then(
      () => (answered = true),
      () => undefined
    )
  await queue.run(ms)
  const crashed = disk.crash(random())
  await queue.run(1_000)
  await Promise.all([crashed, writing])
  return { answered, keys: await keysOf(disk) }
}

suite('simulated disk, misbehaving', () => {
  test('power fails before the bytes, between bytes and sync, and after the answer', async () => {
    assert.deepEqual(await cutAt(20, false), { answered: false, keys: [] })
    assert.deepEqual(await cutAt(70, true), { answered: false, keys: [] }, 'torn off')
    assert.deepEqual(await cutAt(150, true), { answered: true, keys: [1] }, 'what was answered is durable')
    // Whether the bytes made it is drawn: over some disks both happen.
    const seen = new Set<number>()
    for (let seed = 0; seed < 20; seed++) {
      const queue = new EventQueue()
      const disk = new SimDisk({ queue })
      disk.faults.slowMs = 100
      const writing = disk
        .open()
        .batch([row(1)], { durable: true })
        .catch(() => undefined)
      await queue.run(70)
      const crashed = disk.crash(new SeededRandom(`${seed}`))
      await queue.run(1_000)
      await Promise.all([crashed, writing])
      seen.add((await keysOf(disk)).length)
    }
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [0, 1]
    )
  })

  test('a torn batch is the newest that was not durable, and only the next power cut tears one', async () => {
    const disk = new SimDisk()
    const store = disk.open()
    await store.batch([row(1)], { durable: true })
    await store.batch([row(2)], { durable: false })
    disk.faults.tornBatch = true
    const { lost } = await disk.crash(random())
    assert.equal(lost, 1)
    assert.deepEqual([await keysOf(disk), disk.faults.tornBatch], [[1], false])
  })

  test('batches that are on their way are counted', async () => {
    const queue = new EventQueue()
    const disk = new SimDisk({ queue })
    disk.faults.slowMs = 10
    const store = disk.open()
    const writes = [store.batch([row(1)], { durable: true }), store.batch([row(2)], { durable: true })]
    await queue.run(1)
    assert.equal(disk.inFlight, 2)
    await queue.run(100)
    await Promise.all(writes)
    assert.equal(disk.inFlight, 0)
  })

  test('a full disk refuses, and goes on refusing until it is reopened with room', async () => {
    const disk = new SimDisk()
    const store = disk.open()
    await store.batch([row(1)], { durable: true })
    disk.faults.full = true
    const isFull = (error: unknown): boolean => isChrysalisError(error, 'disk_full')
    await assert.rejects(store.batch([row(2)], { durable: true }), isFull)
    assert.deepEqual((await store.get('meta', new Uint8Array([1])))?.[0], 1, 'reading works')
    await assert.rejects(store.reopen(), isFull)
    disk.faults.full = false
    await assert.rejects(store.batch([row(2)], { durable: true }), isFull)
    await store.reopen()
    await store.batch([row(2)], { durable: true })
    assert.deepEqual(await keysOf(disk), [1, 2])
  })

  test('bad reads are an error of one row, or told to a scan that asks', async () => {
    const disk = new SimDisk({ random: random() })
    const store = disk.open()
    await store.batch(
      Array.from({ length: 20 }, (_, i) => row(i)),
      { durable: true }
    )
    disk.faults.readErrorShare = 0.5
    const damaged: number[] = []
    const sound = await store.scan('meta', { limit: 99, onDamaged: (key) => damaged.push(key[0] ?? -1) })
    assert.equal(sound.length + damaged.length, 20)
    assert.ok(damaged.length > 3 && damaged.length < 17, `${damaged.length}`)
    const isDamage = (error: unknown): boolean => isChrysalisError(error, 'corrupt')
    await assert.rejects(store.scan('meta', { limit: 99 }), isDamage)
    disk.faults.readErrorShare = 1
    await assert.rejects(store.get('meta', new Uint8Array([1])), isDamage)
    await assert.rejects(store.getMany('meta', [new Uint8Array([1])]), isDamage)
    assert.throws(() => store.getSync('meta', new Uint8Array([1])), isDamage)
    disk.faults.readErrorShare = 0
    assert.equal((await store.scan('meta', { limit: 99 })).length, 20, 'nothing is lost by it')
  })

  test('a disk that is held answers nothing until it is let go', async () => {
    const disk = new SimDisk()
    const store = disk.open()
    const release = disk.hold()
    let done = false
    const writing = store.batch([row(1)], { durable: true }).then(() => (done = true))
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([done, await keysOf(disk)], [false, []])
    release()
    await writing
    assert.deepEqual([done, await keysOf(disk)], [true, [1]])
  })

  test('a copy has what was there, and goes its own way', async () => {
    const disk = new SimDisk()
    const store = disk.open()
    await store.batch([row(1)], { durable: true })
    await store.batch([row(2)], { durable: false })
    const copy = await disk.copy()
    await store.batch([row(3)], { durable: true })
    await copy.open().batch([row(4)], { durable: true })
    assert.deepEqual(
      [await keysOf(disk), await keysOf(copy)],
      [
        [1, 2, 3],
        [1, 2, 4]
      ]
    )
  })
})
