/** From nothing but delta rows the same tables again: whatever was lost, and however often the work was cut off. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { bytesToUint, toHex, utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta } from '../../../src/memory/delta-codec.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { rangeKey } from '../../../src/memory/names.ts'
import { parseRangeRowKey } from '../../../src/node/derive.ts'
import {
  isRebuildDue,
  readPositions,
  rebuildFromDeltas,
  wantRebuild,
  type RebuildProgress
} from '../../../src/node/rebuild.ts'
import { arrivalKey, deltaKey, META, parseRecordValue, pendingKey } from '../../../src/node/rows.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import type { Store, StoreWrite, Table } from '../../../src/ports/store.ts'
import { Disk } from '../../support/damage.ts'
import { fill, restart, startOn, type DamagedEngine } from '../../support/damaged-engine.ts'
import { Bench, codeOf } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { identity, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

const DERIVED = ['range', 'arrival', 'author', 'record', 'history', 'link', 'proof'] as const
const crypto = identity()

let seed = 1
/** A disk with rows in every table, nobody at work on it any more. */
async function filled(memories = 6): Promise<{ disk: Disk; engine: DamagedEngine; ids: string[] }> {
  const disk = new Disk()
  const engine = await startOn(bench, disk, { seed: seed++ })
  const ids = await fill(bench, engine, memories)
  await bench.finish(engine.node.stop())
  return { disk, engine, ids }
}

async function wipe(disk: Disk, tables: readonly Table[]): Promise<void> {
  for (const table of tables) {
    const writes = (await disk.rows(table)).map(({ key }) => ({ table, key, value: null }))
    await disk.store.batch(writes, { durable: false })
  }
}

async function headsOf(disk: Disk): Promise<string[]> {
  const row = await disk.store.get('meta', META.heads(SPACE))
  return (toHex(row!).match(/.{80}/g) ?? []).sort()
}

const rebuild = (disk: Disk, pageRows = 4): ReturnType<typeof rebuildFromDeltas> =>
  rebuildFromDeltas(disk.store, crypto, [SPACE], { pageRows })

describe('rebuild: the same tables', () => {
  for (const [what, tables] of [
    ['from sound ones', []],
    ['when all but deltas and arrivals are gone', ['range', 'author', 'record', 'history', 'link', 'proof', 'meta']]
  ] as const) {
    it(what, async () => {
      const { disk } = await filled()
      const before = await disk.dump(DERIVED)
      const heads = await headsOf(disk)
      const deltas = (await disk.rows('delta')).length
      await wipe(disk, tables)
      const report = await rebuild(disk)
      assert.deepEqual(await disk.dump(DERIVED), before)
      assert.deepEqual(await headsOf(disk), heads)
      assert.deepEqual([report.deltas, report.appended, report.dropped], [deltas, 0, 0])
      assert.equal(await isRebuildDue(disk.store), false)
    })
  }

  it('whatever stands in them instead', async () => {
    const { disk } = await filled()
    const before = await disk.dump(DERIVED)
    const junk = (table: Table, byte: number, bytes: number): StoreWrite => ({
      table,
      key: new Uint8Array(bytes).fill(byte),
      value: new Uint8Array(30).fill(byte)
    })
    await disk.store.batch(
      [
        junk('range', 0, 54),
        junk('arrival', 1, 8),
        junk('author', 2, 96),
        junk('record', 3, 48),
        junk('history', 4, 88),
        junk('link', 5, 81),
        junk('proof', 6, 64),
        junk('leaf', 7, 20),
        junk('quarantine', 8, 48),
        { table: 'meta', key: utf8('a watermark'), value: new Uint8Array(3) }
      ],
      { durable: false }
    )
    for (const table of DERIVED) await disk.flipValue(table, (await disk.rows(table))[0]!.key)
    // The first position of the log cannot be read any more: its delta comes again at the end.
    const lost = Object.keys(before).find((row) => row.startsWith('arrival'))!
    const place = before[lost]!
    const { newest } = await rebuild(disk)
    const rebuilt = await disk.dump(DERIVED)
    assert.equal(rebuilt[`arrival ${toHex(arrivalKey(newest))}`], place)
    assert.equal(rebuilt[lost], undefined)
    assert.deepEqual(Object.keys(rebuilt).length, Object.keys(before).length)
    assert.deepEqual(await disk.rows('leaf'), [])
    assert.deepEqual(await disk.rows('quarantine'), [])
    assert.equal(await disk.store.get('meta', utf8('a watermark')), undefined)
    assert.deepEqual(await disk.damaged(), [])
  })

  it('for bulk deltas that touch more records than one page takes', async () => {
    const disk = new Disk()
    const engine = await startOn(bench, disk, { seed: seed++ })
    for (let n = 0; n < 4; n++) {
      await engine.node.addMany(Array.from({ length: 400 }, (_, i) => ({ content: `${n} ${i}`, tags: ['a'] })))
    }
    await engine.node.add({ content: 'one more' })
    await bench.finish(engine.node.stop())
    const before = await disk.dump(DERIVED)
    await rebuildFromDeltas(disk.store, crypto, [SPACE])
    assert.deepEqual(await disk.dump(DERIVED), before)
    await wipe(disk, DERIVED)
    const { appended } = await rebuildFromDeltas(disk.store, crypto, [SPACE])
    assert.equal(appended, 5)
    assert.equal((await disk.rows('record')).length, 1_601)
  })

  it('of an empty store', async () => {
    const disk = new Disk()
    const report = await rebuild(disk)
    assert.equal(report.deltas, 0)
    assert.deepEqual(await headsOf(disk), [])
  })
})

describe('rebuild: the arrival log', () => {
  it('keeps what survives at its positions, and puts the rest behind all that was ever handed out, in time order', async () => {
    const { disk } = await filled()
    const arrivals = await disk.rows('arrival')
    const last = Number(bytesToUint(arrivals.at(-1)!.key))
    const lost = [2, 3, last]
    for (const n of lost) await disk.remove('arrival', arrivalKey(n))
    const report = await rebuild(disk)
    assert.equal(report.appended, 3)
    const after = await disk.rows('arrival')
    assert.deepEqual(
      after.slice(0, -3),
      arrivals.filter((row) => !lost.includes(Number(bytesToUint(row.key))))
    )
    const added = after.slice(-3)
    const times = added.map((row) => toHex(row.value))
    assert.deepEqual(times, [...times].sort())
    const first = Number(bytesToUint(added[0]!.key))
    assert.equal(first, last - 1 + LIMITS.arrivalGapMin + 1)
    assert.ok(LIMITS.arrivalGapMin > 2 * LIMITS.reconSessionDeltasMax, 'no lost tail is longer')
    for (const { key, value } of added) {
      assert.equal(toHex((await disk.store.get('range', value))!), toHex(key), 'range says the same')
    }
    const positions = await readPositions(disk.store)
    assert.equal(positions.floor, first + 2)
    assert.equal(positions.floor - positions.unused, report.deltas)
    const newest = (await disk.rows('record')).map((row) => parseRecordValue(row.value).lastArrival)
    assert.equal(Math.max(...newest), first + 2)
  })

  it('drops what names no delta, and the second row of a delta that has two', async () => {
    const { disk } = await filled()
    const [one, two, three] = await disk.rows('arrival')
    await disk.remove('delta', deltaKey(SPACE, parseRangeRowKey(two!.value).id))
    await disk.store.batch([{ table: 'arrival', key: arrivalKey(500), value: one!.value }], { durable: false })
    const wrong = three!.value.slice()
    wrong[20] = (wrong[20] as number) ^ 1
    await disk.store.batch([{ table: 'arrival', key: three!.key, value: wrong }], { durable: false })
    const report = await rebuild(disk)
    assert.equal(await disk.store.get('arrival', two!.key), undefined)
    assert.equal(await disk.store.get('arrival', arrivalKey(500)), undefined)
    assert.equal(report.appended, 1, 'the third, whose row said another time')
    assert.equal((await disk.rows('range')).length, report.deltas)
    assert.equal((await readPositions(disk.store)).floor, 501 + LIMITS.arrivalGapMin)
  })

  it('never goes below a position of an earlier rebuild, also when nothing was left of the log', async () => {
    const { disk } = await filled()
    await wipe(disk, ['arrival'])
    const first = await rebuild(disk)
    await wipe(disk, ['arrival', 'delta'])
    const second = await rebuild(disk)
    assert.equal(second.newest, first.newest + LIMITS.arrivalGapMin)
    await disk.flipValue('meta', META.positions)
    assert.deepEqual(await readPositions(disk.store), { floor: 0, unused: 0 })
  })
})

describe('rebuild: rows that are the truth', () => {
  it('lets damaged deltas go, and nothing names them any more', async () => {
    const { disk, engine } = await filled()
    const rows = await disk.rows('delta')
    await disk.flipValue('delta', rows[1]!.key, 999)
    await disk.store.batch([{ table: 'delta', key: rows[2]!.key, value: rows[3]!.value }], { durable: false })
    const lost = [rows[1]!, rows[2]!].map((row) => toHex(row.key.subarray(16)))
    const report = await rebuild(disk)
    assert.deepEqual([report.deltas, report.dropped], [rows.length - 2, 2])
    assert.equal((await disk.rows('delta')).length, rows.length - 2)
    const rest = Object.entries(await disk.dump(['range', 'arrival', 'author', 'history']))
      .flat()
      .join()
    for (const id of lost) assert.ok(!rest.includes(id))
    const again = await restart(bench, engine)
    assert.equal(again.node.spaces()[0]?.deltas, rows.length - 2)
    assert.deepEqual((await again.node.verify({})).invalid, [])
  })

  it('keeps held deltas, except damaged ones and those that were admitted since', async () => {
    const { disk } = await filled()
    const admitted = (await disk.rows('delta'))[0]!
    const range = (await disk.rows('range')).find((row) => toHex(row.key).endsWith(toHex(admitted.key.subarray(16))))!
    const later = [0, 1, 2].map((n) => new Author(207 + n).write(hlcOf(Date.UTC(2050, 0), n)))
    const rows = later.map((delta) => ({
      table: 'pending' as const,
      key: pendingKey(SPACE, rangeKey(delta.header.hlc, delta.id)),
      value: encodeDelta(delta)
    }))
    rows[2]!.value = encodeDelta(later[1]!)
    await disk.store.batch([...rows, { table: 'pending', key: range.key, value: admitted.value }], { durable: false })
    await disk.flipValue('pending', rows[1]!.key, 444)
    const report = await rebuild(disk)
    assert.equal(report.dropped, 2)
    assert.deepEqual(
      (await disk.rows('pending')).map((row) => toHex(row.key)),
      [toHex(rows[0]!.key)]
    )
  })
})

/** Fails at one batch, as if the process had died there. */
function dying(store: Store, atBatch: number): Store {
  let batches = 0
  return {
    get: (table, key) => store.get(table, key),
    getSync: (table, key) => store.getSync(table, key),
    getMany: (table, keys) => store.getMany(table, keys),
    scan: (table, options) => store.scan(table, options),
    reopen: () => store.reopen(),
    close: () => store.close(),
    batch: (writes, options) => {
      if (++batches >= atBatch) return Promise.reject(new ChrysalisError('unavailable', 'the process died'))
      return store.batch(writes, options)
    }
  }
}

describe('rebuild: cut off', () => {
  it('goes on where it was, wherever that is, and ends the same', async () => {
    const { disk } = await filled(4)
    for (const n of [1, 4]) await disk.remove('arrival', arrivalKey(n))
    const image = await disk.dump()
    const steps: RebuildProgress[] = []
    await rebuildFromDeltas(disk.store, crypto, [SPACE], { pageRows: 5, progress: (step) => steps.push(step) })
    const whole = await disk.dump()
    assert.deepEqual(new Set(steps.map((step) => step.phase)).size, 7)
    for (let batch = 2; batch <= steps.length + 1; batch++) {
      const copy = new Disk()
      await load(copy, image)
      const cut = rebuildFromDeltas(dying(copy.store, batch), crypto, [SPACE], { pageRows: 5 })
      assert.equal(await codeOf(cut), 'unavailable')
      assert.equal(await isRebuildDue(copy.store), true)
      let rows = 0
      await rebuildFromDeltas(copy.store, crypto, [SPACE], { pageRows: 5, progress: () => rows++ })
      assert.equal(rows, steps.length - (batch - 2), 'nothing is done twice')
      assert.deepEqual(await copy.dump(), whole, `cut off at batch ${batch}`)
    }
  })

  it('begins anew when told to, or when the mark does not say where it was', async () => {
    const { disk } = await filled(3)
    await assert.rejects(rebuildFromDeltas(dying(disk.store, 12), crypto, [SPACE], { pageRows: 3 }))
    const mark = await disk.store.get('meta', META.rebuilding)
    const phases: string[] = []
    const progress = (step: RebuildProgress): unknown => phases.push(step.phase)
    await rebuildFromDeltas(disk.store, crypto, [SPACE], { fresh: true, progress: (step) => void progress(step) })
    assert.equal(phases[0], 'clear')
    for (const text of [
      '',
      '{}',
      'null',
      '7',
      '{"phase":"later"}',
      '{"phase":"append","after":"zz","tally":{}}',
      '{"phase":"append","after":null,"tally":{}}'
    ]) {
      await disk.store.batch([{ table: 'meta', key: META.rebuilding, value: utf8(text) }], { durable: false })
      phases.length = 0
      await rebuildFromDeltas(disk.store, crypto, [SPACE], { progress: (step) => void progress(step) })
      assert.equal(phases[0], 'clear', text)
    }
    await disk.store.batch([{ table: 'meta', key: META.rebuilding, value: mark! }], { durable: false })
    await disk.flipValue('meta', META.rebuilding)
    assert.equal(await isRebuildDue(disk.store), true)
    await rebuild(disk)
    assert.equal(await isRebuildDue(disk.store), false)
  })
})

async function load(disk: Disk, image: Record<string, string>): Promise<void> {
  const writes = Object.entries(image).map(([row, value]) => {
    const [table, key] = row.split(' ') as [Table, string]
    return { table, key: Buffer.from(key, 'hex'), value: Buffer.from(value, 'hex') }
  })
  await disk.store.batch(writes, { durable: false })
}

describe('rebuild: at the start of an engine', () => {
  it('runs when the database was salvaged or somebody wants it, and a new epoch begins', async () => {
    const { disk, engine } = await filled()
    const state = async (one: DamagedEngine): Promise<unknown> => [
      await one.node.digest(),
      (await one.node.changes({})).changes
    ]
    const plain = await restart(bench, engine)
    const before = await state(plain)
    assert.equal(plain.node.epoch, engine.node.epoch)
    await bench.finish(plain.node.stop())
    await wipe(disk, ['history', 'author', 'range', 'record'])
    const salvaged = await restart(bench, plain, { options: { salvaged: ['a table was gone'] } })
    assert.deepEqual(await state(salvaged), before)
    assert.notEqual(salvaged.node.epoch, plain.node.epoch)
    assert.ok(salvaged.log.some((line) => line.message.includes('rebuilt')))
    await bench.finish(salvaged.node.stop())
    await disk.store.batch([wantRebuild()], { durable: false })
    await wipe(disk, ['history', 'author', 'range', 'record'])
    const wanted = await restart(bench, salvaged, { options: {} })
    assert.deepEqual(await state(wanted), before)
    assert.notEqual(wanted.node.epoch, salvaged.node.epoch)
    assert.equal(await isRebuildDue(disk.store), false)
  })

  it('lets a reader go on with its cursor, missing nothing', async () => {
    const { disk, engine } = await filled()
    const again = await restart(bench, engine)
    const first = await again.node.changes({ limit: 5 })
    const all = (await again.node.changes({})).changes
    await bench.finish(again.node.stop())
    // The end of the log is lost, and with it one delta; the row of another is.
    const arrivals = await disk.rows('arrival')
    const [lost, unplaced] = [arrivals.at(-1)!, arrivals.at(2)!]
    await disk.remove('delta', deltaKey(SPACE, parseRangeRowKey(lost.value).id))
    await disk.remove('arrival', lost.key)
    await disk.remove('arrival', unplaced.key)
    const after = await restart(bench, again, { options: { salvaged: ['the log was cut'] } })
    const { delta } = await after.node.add({ content: 'written after it' })
    const rest = (await after.node.changes({ cursor: first.cursor })).changes.map((change) => change.delta)
    const unseen = all.slice(5, -1).map((change) => change.delta)
    for (const id of unseen) assert.ok(rest.includes(id))
    assert.ok(rest.includes(parseRangeRowKey(unplaced.value).id), 'seen before, and again')
    assert.ok(rest.includes(delta))
    // A reader that had come to the very end goes on behind it: what is new has never had an old position.
    const end = all.at(-1)!.cursor
    const news = (await after.node.changes({ cursor: end })).changes.map((change) => change.delta)
    assert.ok(news.includes(delta))
  })
})
