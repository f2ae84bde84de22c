/** Whatever bit of an index is flipped, a reader sees what was there before, and a moment later the disk does too. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { Mender } from '../../../src/node/mend.ts'
import { arrivalKey, deltaKey, META, recordKey } from '../../../src/node/rows.ts'
import { SoundStore } from '../../../src/node/sound-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Store, Table } from '../../../src/ports/store.ts'
import { Disk } from '../../support/damage.ts'
import { fill, startOn } from '../../support/damaged-engine.ts'
import { Bench, codeOf, FaultyStore } from '../../support/engine.ts'
import { identity, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

interface Guarded {
  readonly sound: SoundStore
  readonly suspected: string[]
  /** How often a row turned out to be none. */
  readonly told: { misplaced: number; rewritten: string[] }
}

/** As the engine makes it; `expected` are the deltas the set is known to hold. */
function guard(store: Store, expected: readonly string[] = [], by?: Mender): Guarded {
  const suspected: string[] = []
  const suspect = (_space: string, id: string): unknown => suspected.push(id)
  const expects = (_space: string, id: string): boolean => expected.includes(id)
  const mender = by ?? new Mender({ store, crypto: identity(), suspect, expects })
  const clock = new SimClock(new EventQueue())
  const told: Guarded['told'] = { misplaced: 0, rewritten: [] }
  const sound = new SoundStore({
    store,
    mender,
    clock,
    metrics: createMetrics(),
    logger: silentLogger,
    suspect,
    misplaced: () => told.misplaced++,
    rewritten: (_space, id) => told.rewritten.push(id)
  })
  return { sound, suspected, told }
}

/** Tables whose rows follow from the deltas. */
const DERIVED = ['range', 'arrival', 'author', 'record', 'history', 'link', 'proof'] as const
const EVERYTHING = { limit: 1_000 }

describe('sound store: one damaged row', () => {
  const disk = new Disk()
  let whole: Record<string, string> = {}
  before(async () => {
    const engine = await startOn(bench, disk, { seed: 1 })
    await fill(bench, engine)
    await bench.finish(engine.node.stop())
    whole = await disk.dump()
  })

  for (const table of DERIVED) {
    it(`of ${table}: every row reads as before, by key, among others and in a scan, and is written anew`, async () => {
      const { sound, told } = guard(disk.store)
      const rows = await disk.rows(table)
      assert.ok(rows.length > 0, `there are rows of ${table}`)
      for (const [n, { key, value }] of rows.entries()) {
        await disk.flipValue(table, key, 5 * n)
        assert.deepEqual(await sound.get(table, key), value)
        const keys = rows.map((row) => row.key)
        assert.deepEqual(
          await sound.getMany(table, keys),
          rows.map((row) => row.value)
        )
        assert.deepEqual(await sound.scan(table, EVERYTHING), rows)
        assert.deepEqual(await sound.scan(table, { ...EVERYTHING, reverse: true }), [...rows].reverse())
        await sound.mended()
        assert.deepEqual(await disk.damaged(), [])
      }
      assert.deepEqual(await disk.dump(), whole)
      const ids = rows.map(({ key }) => toHex(key.subarray(16)))
      assert.deepEqual(told, { misplaced: 0, rewritten: table === 'record' ? ids : [] })
    })

    it(`of ${table}, in its key: the row in the wrong place is no row, and goes`, async () => {
      const { sound, told } = guard(disk.store)
      const [{ key, value }] = (await disk.rows(table)) as [{ key: Uint8Array; value: Uint8Array }]
      const bits = [...Array(key.length).keys()].map((n) => 8 * n + (n % 8)).filter((bit) => bit % 3 === 0)
      for (const bit of table === 'arrival' ? [0, 20, 63] : bits) {
        const moved = await disk.flipKey(table, key, bit)
        const seen = await sound.scan(table, EVERYTHING)
        assert.ok(!seen.some((row) => toHex(row.key) === toHex(moved)), `bit ${bit}`)
        assert.equal(await sound.get(table, moved), undefined)
        await sound.mended()
        assert.deepEqual(await disk.damaged(), [])
        if (table !== 'proof') assert.equal(told.misplaced--, 1, 'somebody must look for the other one')
        sound.report(table, key, 'missing')
        await sound.mended()
        assert.deepEqual(await disk.store.get(table, key), value, 'missing where it should be: made again')
      }
      assert.deepEqual(await disk.dump(), whole)
    })
  }

  it('of the heads: the newest deltas that nobody names', async () => {
    const { sound } = guard(disk.store)
    const key = META.heads(SPACE)
    const stored = toHex((await disk.store.get('meta', key))!)
    await disk.flipValue('meta', key, 99)
    const mended = toHex((await sound.get('meta', key))!)
    const heads = (hex: string): string[] => (hex.match(/.{80}/g) ?? []).sort()
    assert.deepEqual(heads(mended), heads(stored))
    await sound.mended()
    assert.equal(toHex((await disk.store.get('meta', key))!), mended)
    await disk.store.batch([{ table: 'meta', key, value: fromHex(stored) }], { durable: false })
  })

  it('of a table that others make again: it is gone', async () => {
    const { sound } = guard(disk.store)
    for (const table of ['leaf', 'receipt', 'pending', 'audit', 'quarantine'] as const) {
      const key = new Uint8Array(20).fill(7)
      await disk.store.batch([{ table, key, value: key }], { durable: false })
      await disk.flipValue(table, key)
      assert.equal(await sound.get(table, key), undefined)
      await sound.mended()
      assert.equal(await disk.store.get(table, key), undefined)
    }
  })

  it('of the number of the layout: an error as before', async () => {
    const { sound } = guard(disk.store)
    const key = new TextEncoder().encode('schema')
    await disk.store.batch([{ table: 'meta', key, value: key }], { durable: false })
    await disk.flipValue('meta', key)
    assert.equal(await codeOf(sound.get('meta', key)), 'corrupt')
    await disk.remove('meta', key)
  })

  it('of a delta: an error, left out of a scan, and told', async () => {
    const { sound, suspected } = guard(disk.store)
    const rows = await disk.rows('delta')
    const { key } = rows[3]!
    await disk.flipValue('delta', key, 700)
    assert.equal(await codeOf(sound.get('delta', key)), 'corrupt')
    assert.equal(await codeOf(sound.getMany('delta', [key, rows[0]!.key])), 'corrupt')
    assert.equal((await sound.scan('delta', EVERYTHING)).length, rows.length - 1)
    const id = toHex(key.subarray(16))
    assert.ok(suspected.length > 0 && suspected.every((one) => one === id))
    await sound.mended()
    assert.deepEqual(await disk.damaged(), [`delta ${toHex(key)}`], 'nobody makes up a delta')
    await disk.store.batch(
      [rows[3]!].map((row) => ({ table: 'delta', ...row })),
      { durable: false }
    )
  })
})

describe('sound store: what cannot be mended yet', () => {
  it('shows no record while a delta of its history is gone, and the whole record once it is back', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 2 })
    const { id, delta } = await node.add({ content: 'one' })
    await node.revise({ id, content: 'two' })
    const { sound, suspected } = guard(disk.store, [delta])
    const key = recordKey(SPACE, id)
    const [record, row] = [await disk.store.get('record', key), await disk.store.get('delta', deltaKey(SPACE, delta))]
    await disk.flipValue('record', key)
    await disk.remove('delta', deltaKey(SPACE, delta))
    assert.equal(await codeOf(sound.get('record', key)), 'corrupt')
    assert.deepEqual(await sound.scan('record', EVERYTHING), [])
    assert.ok(suspected.includes(delta))
    await sound.mended()
    assert.equal(sound.damagedRows, 1)
    assert.deepEqual((await disk.damaged()).length, 1, 'it waits')
    await disk.store.batch([{ table: 'delta', key: deltaKey(SPACE, delta), value: row! }], { durable: false })
    sound.retry()
    await sound.mended()
    assert.deepEqual(await disk.store.get('record', key), record)
    assert.equal(sound.damagedRows, 0)
  })

  it('keeps rows that name a damaged delta, and lets go of those that name none', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 3 })
    const { delta } = await node.add({ content: 'one' })
    const tables = ['history', 'author'] as const
    const rowOf = async (table: Table): Promise<Uint8Array> => (await disk.rows(table))[0]!.key
    await disk.flipValue('delta', deltaKey(SPACE, delta), 900)
    const keys = { history: await rowOf('history'), author: await rowOf('author') }
    for (const table of tables) {
      await disk.flipValue(table, keys[table])
      const { sound } = guard(disk.store)
      assert.equal(await codeOf(sound.get(table, keys[table])), 'corrupt')
      await sound.mended()
      assert.equal((await disk.damaged([table])).length, 1)
    }
    await disk.remove('delta', deltaKey(SPACE, delta))
    for (const table of tables) {
      const known = guard(disk.store, [delta])
      assert.equal(await codeOf(known.sound.get(table, keys[table])), 'corrupt')
      const unknown = guard(disk.store)
      assert.equal(await unknown.sound.get(table, keys[table]), undefined)
      await unknown.sound.mended()
      assert.deepEqual(await disk.damaged([table]), [])
    }
  })

  it('lets a delta out of the set when both its rows are damaged, unless the set in memory holds it', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 4 })
    const { delta } = await node.add({ content: 'one' })
    const range = (await disk.rows('range'))[0]!
    await disk.flipValue('delta', deltaKey(SPACE, delta), 900)
    await disk.flipValue('range', range.key)
    assert.deepEqual(await guard(disk.store, [delta]).sound.get('range', range.key), range.value)
    assert.equal(await guard(disk.store).sound.get('range', range.key), undefined)
  })

  it('gives position zero to what the arrival log does not name', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 5 })
    await node.add({ content: 'one' })
    const range = (await disk.rows('range'))[0]!
    await disk.flipValue('range', range.key)
    await disk.remove('arrival', arrivalKey(1))
    assert.deepEqual(await guard(disk.store).sound.get('range', range.key), new Uint8Array(8))
  })
})

describe('sound store: rows that change', () => {
  it('never puts an old state over a newer one, whichever is first on its way', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 6 })
    const { id } = await node.add({ content: 'one' })
    const key = recordKey(SPACE, id)
    const newer = new Uint8Array([9, 9, 9])
    for (const order of ['batch first', 'mend first', 'together'] as const) {
      const slow = new FaultyStore(disk.store)
      const { sound } = guard(slow)
      await node.revise({ id, content: order })
      await disk.flipValue('record', key)
      sound.report('record', key)
      let open = (): void => undefined
      slow.gate = new Promise((resolve) => (open = resolve))
      const write = (): Promise<void> => sound.batch([{ table: 'record', key, value: newer }], { durable: false })
      const first = order === 'mend first' ? sound.mended() : write()
      const second =
        order === 'mend first'
          ? bench.pass(1).then(write)
          : order === 'together'
            ? sound.mended()
            : bench.pass(1).then(() => sound.mended())
      await bench.pass(1)
      open()
      await Promise.all([first, second])
      assert.deepEqual(await disk.store.get('record', key), newer, order)
    }
  })

  it('gives way to a batch that writes the row while it is being computed', async () => {
    const disk = new Disk()
    const key = recordKey(SPACE, 'aa'.repeat(32))
    const row = (byte: number): { table: 'record'; key: Uint8Array; value: Uint8Array } => ({
      table: 'record',
      key,
      value: new Uint8Array([byte])
    })
    await disk.store.batch([row(1)], { durable: false })
    await disk.flipValue('record', key)
    let asked = (): void => undefined
    let answer = (): void => undefined
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    const mayAnswer = new Promise<void>((resolve) => (answer = resolve))
    const mender = {
      mend: async () => {
        asked()
        await mayAnswer
        return { mended: 'row', value: new Uint8Array([1]) }
      }
    } as unknown as Mender
    const { sound } = guard(disk.store, [], mender)
    sound.report('record', key)
    const mended = sound.mended()
    await isAsked
    await sound.batch([row(2)], { durable: false })
    answer()
    await mended
    assert.deepEqual(await disk.store.get('record', key), new Uint8Array([2]))
  })

  it('lets no batch pass it on its way to the disk', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 8 })
    const { id } = await node.add({ content: 'one' })
    const key = recordKey(SPACE, id)
    await disk.flipValue('record', key)
    // The first batch is slow, the second would not be.
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    let begun = (): void => undefined
    const hasBegun = new Promise<void>((resolve) => (begun = resolve))
    let batches = 0
    const slow = new FaultyStore(disk.store)
    slow.batch = async (writes, options) => {
      if (batches++ === 0) {
        begun()
        await released
      }
      await disk.store.batch(writes, options)
    }
    const { sound } = guard(slow)
    sound.report('record', key)
    const mended = sound.mended()
    await hasBegun
    const written = sound.batch([{ table: 'record', key, value: new Uint8Array([7]) }], { durable: false })
    await bench.pass(1)
    release()
    await Promise.all([mended, written])
    assert.deepEqual(await disk.store.get('record', key), new Uint8Array([7]))
  })

  it('adds to a record what its history says besides, and takes nothing away', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 7 })
    const { id, delta } = await node.add({ content: 'one', tags: ['a'] })
    const key = recordKey(SPACE, id)
    const early = (await disk.store.get('record', key))!
    await node.revise({ id, content: 'two', tagsAdd: ['b'] })
    const late = (await disk.store.get('record', key))!
    const { sound, told } = guard(disk.store)
    await disk.store.batch([{ table: 'record', key, value: early }], { durable: false })
    sound.complete(key)
    await sound.mended()
    assert.deepEqual(await disk.store.get('record', key), late)
    const first = (await disk.rows('history')).find((row) => toHex(row.key).endsWith(delta))!
    await disk.remove('history', first.key)
    sound.complete(key)
    await sound.mended()
    assert.deepEqual(await disk.store.get('record', key), late)
    assert.deepEqual(told.rewritten, [id, id])
  })

  it('is not in the way of other rows, and hands their failure to whoever wrote them', async () => {
    const disk = new Disk()
    const store = new FaultyStore(disk.store)
    const { sound } = guard(store)
    await sound.batch([{ table: 'meta', key: META.epoch, value: new Uint8Array(8) }], { durable: true })
    assert.deepEqual(await disk.store.get('meta', META.epoch), new Uint8Array(8))
    store.failWith = 'disk_full'
    assert.equal(await codeOf(sound.batch([], { durable: false })), 'disk_full')
    await sound.stop()
  })

  it('forgets what is more than fits, and finds it again', async () => {
    const { sound } = guard(new Disk().store)
    const key = (n: number): Uint8Array => fromHex(n.toString(16).padStart(16, '0'))
    for (let n = 0; n <= LIMITS.mendRowsMax; n++) sound.report('arrival', key(n))
    assert.equal(sound.damagedRows, LIMITS.mendRowsMax)
    await sound.stop()
  })
})
