/** Damage is found before it is needed, by a walk that nobody notices. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { fromUtf8, toHex } from '../../../src/base/bytes.ts'
import { encodeDelta } from '../../../src/memory/delta-codec.ts'
import { isRebuildDue } from '../../../src/node/rebuild.ts'
import { deltaKey, META } from '../../../src/node/rows.ts'
import type { Table } from '../../../src/ports/store.ts'
import { Disk } from '../../support/damage.ts'
import { fill, hear, restart, startOn, type DamagedEngine } from '../../support/damaged-engine.ts'
import { at, Bench } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { note, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

const HOUR_MS = 3_600_000
const TABLES_OF_INDEX = ['range', 'arrival', 'author', 'history', 'record', 'link', 'proof'] as const

let seed = 1
async function start(): Promise<DamagedEngine> {
  const engine = await startOn(bench, new Disk(), { seed: seed++ })
  await fill(bench, engine)
  return engine
}

describe('scrub: all at once', () => {
  it('reads every row and finds nothing where nothing is', async () => {
    const engine = await start()
    const before = await engine.disk.dump()
    const report = await bench.finish(engine.node.scrub())
    const deltas = (await engine.disk.rows('delta')).length
    assert.deepEqual(report, {
      rows: Object.keys(before).length,
      deltas,
      damaged: {},
      missing: {},
      strays: 0,
      partial: 0
    })
    assert.deepEqual(await engine.disk.dump(), before)
    assert.deepEqual(engine.node.status().reasons, [])
  })

  for (const table of TABLES_OF_INDEX) {
    it(`makes rows of ${table} again, damaged or gone`, async () => {
      const engine = await start()
      const before = await engine.disk.dump()
      const rows = await engine.disk.rows(table)
      const acts = ['flip', 'remove', 'move'] as const
      for (const [n, act] of acts.entries()) {
        const { key } = rows[n % rows.length]!
        if (act === 'flip') await engine.disk.flipValue(table, key)
        if (act === 'remove') await engine.disk.remove(table, key)
        if (act === 'move') await engine.disk.flipKey(table, key, table === 'arrival' ? 1 : 133)
        const report = await bench.finish(engine.node.scrub())
        assert.equal(report.damaged[table], act === 'remove' ? undefined : 1, act)
        assert.ok((report.missing[table] ?? 0) > 0 || act === 'flip', act)
        assert.deepEqual(await engine.disk.dump(), before, act)
      }
    })
  }

  it('hashes every delta and puts what is wrong or gone into quarantine', async () => {
    const engine = await start()
    const rows = await engine.disk.rows('delta')
    const [flipped, swapped, gone, moved] = rows
    await engine.disk.flipValue('delta', flipped!.key, 800)
    const other = { table: 'delta' as const, key: swapped!.key, value: rows[5]!.value }
    await engine.disk.store.batch([other], { durable: false })
    await engine.disk.remove('delta', gone!.key)
    const phantom = await engine.disk.flipKey('delta', moved!.key, 200)
    const report = await bench.finish(engine.node.scrub())
    assert.deepEqual(report.damaged, { delta: 3 })
    assert.equal(report.missing.delta, 3, 'one whose row cannot be read is missing too')
    const why = Object.fromEntries(
      (await engine.disk.rows('quarantine')).map(({ key, value }) => [
        toHex(key.subarray(16)),
        (JSON.parse(fromUtf8(value)) as { why: string }).why
      ])
    )
    const idOf = (row: typeof flipped): string => toHex(row!.key.subarray(16))
    assert.deepEqual(why, {
      [idOf(flipped)]: 'checksum',
      [idOf(swapped)]: 'hash',
      [idOf(gone)]: 'missing',
      [idOf(moved)]: 'missing'
    })
    assert.equal(await engine.disk.store.get('delta', phantom), undefined)
    assert.match(engine.node.status().reasons.join(), /4 deltas are damaged here and no peer that holds them/)
    assert.equal(engine.node.status().state, 'ready')
  })

  it('finds a delta of which only the log and the set in memory are left', async () => {
    const engine = await start()
    const before = await engine.disk.dump(['range'])
    const [range] = await engine.disk.rows('range')
    const id = toHex(range!.key.subarray(22))
    await engine.disk.remove('range', range!.key)
    await engine.disk.remove('delta', deltaKey(SPACE, id))
    assert.equal((await bench.finish(engine.node.scrub())).missing.range, 1)
    assert.deepEqual(await engine.disk.dump(['range']), before)
    assert.equal((await bench.finish(engine.node.scrub())).missing.delta, 1)
    assert.match(engine.node.status().reasons.join(), /1 delta is damaged/)
  })

  it('completes a record that went on without its beginning', async () => {
    const engine = await start()
    const { id } = await engine.node.add({ content: 'the beginning', key: 'torn', tags: ['kept'] })
    const row = (await engine.disk.rows('record')).find(({ key }) => toHex(key).endsWith(id))!
    await engine.disk.remove('record', row.key)
    const again = await restart(bench, engine)
    const ops = [{ op: 'tag' as const, target: { by: 'id' as const, id }, tag: 'later' }]
    await hear(bench, again, new Author(208).write(at(9), ops))
    assert.equal((await again.node.get([id]))[0], null, 'nothing to show: it does not know its beginning')
    assert.equal((await bench.finish(again.node.scrub())).partial, 1)
    const [item] = await again.node.get([id])
    assert.deepEqual([item?.content, [...(item?.tags ?? [])].sort()], ['the beginning', ['kept', 'later']])
    await again.node.idle()
    assert.equal((await again.node.search({ query: 'beginning' })).items.length, 1)
    assert.equal((await bench.finish(again.node.scrub())).partial, 0)
  })

  it('takes in a delta that lies on the disk and is not in the set', async () => {
    const engine = await start()
    const stray = new Author(208).write(at(9), note('stray'))
    const elsewhere = new Author(208).forge({ space: '33'.repeat(16), hlc: at(9) })
    const rows = [stray, elsewhere].map((delta) => ({
      table: 'delta' as const,
      key: deltaKey(delta.header.space, delta.id),
      value: encodeDelta(delta)
    }))
    await engine.disk.store.batch(rows, { durable: false })
    const before = engine.node.spaces()[0]!.deltas
    const report = await bench.finish(engine.node.scrub())
    assert.equal(report.strays, 1, 'one of another space is none of ours')
    assert.equal(engine.node.spaces()[0]!.deltas, before + 1)
    assert.equal((await engine.node.search({ query: 'stray' })).items.length, 1)
    assert.equal((await bench.finish(engine.node.scrub())).strays, 0)
  })

  it('asks for a rebuild when a delta has lost its position for good, and says so', async () => {
    const engine = await start()
    const [range] = await engine.disk.rows('range')
    await engine.disk.flipValue('range', range!.key)
    await engine.disk.flipValue('arrival', range!.value)
    await bench.finish(engine.node.scrub())
    await bench.finish(engine.node.scrub())
    assert.equal(await isRebuildDue(engine.disk.store), true)
    assert.match(engine.node.status().reasons.join(), /rebuilt at the next start/)
    const digest = await engine.node.digest()
    const again = await restart(bench, engine)
    assert.deepEqual(await again.node.digest(), digest)
    assert.equal(await isRebuildDue(engine.disk.store), false)
    assert.deepEqual(
      again.node.status().reasons.filter((reason) => reason.includes('rebuilt at')),
      []
    )
    assert.deepEqual(await bench.finish(again.node.scrub()), {
      ...(await bench.finish(again.node.scrub())),
      damaged: {},
      missing: {},
      strays: 0
    })
  })
})

describe('scrub: by and by', () => {
  const reads = (engine: DamagedEngine): { by: Record<string, number> } => {
    const by: Record<string, number> = {}
    const scan = engine.store.scan.bind(engine.store)
    engine.store.scan = (table: Table, options) => {
      by[table] = (by[table] ?? 0) + 1
      return scan(table, options)
    }
    return { by }
  }

  it('has been everywhere within about a day, and mends what it meets', async () => {
    const engine = await start()
    const before = await engine.disk.dump(['history', 'record', 'author'])
    for (const table of ['history', 'record', 'author'] as const) {
      await engine.disk.flipValue(table, (await engine.disk.rows(table)).at(-1)!.key)
    }
    await bench.pass(26 * HOUR_MS)
    assert.deepEqual(await engine.disk.damaged(), [])
    assert.deepEqual(await engine.disk.dump(['history', 'record', 'author']), before)
  })

  it('looks at the newest deltas and at some others soon after a start', async () => {
    const engine = await start()
    const newest = (await engine.disk.rows('range')).at(-1)!
    const id = toHex(newest.key.subarray(22))
    await engine.disk.remove('delta', deltaKey(SPACE, id))
    await engine.disk.remove('history', (await engine.disk.rows('history'))[0]!.key)
    const again = await restart(bench, engine)
    await bench.pass(5_000)
    assert.match(again.node.status().reasons.join(), /1 delta is damaged here and no peer that holds it/)
  })

  it('goes round at once when a row stood in the wrong place, says so meanwhile, and is quiet then', async () => {
    const engine = await start()
    const before = await engine.disk.dump(['history', 'record', 'author', 'link'])
    await engine.disk.flipKey('record', (await engine.disk.rows('record'))[4]!.key, 250)
    await engine.disk.remove('link', (await engine.disk.rows('link'))[0]!.key)
    const again = await restart(bench, engine)
    await bench.finish(again.node.indexed())
    await bench.pass(70)
    assert.match(again.node.status().reasons.join(), /the whole store is being checked/)
    await bench.pass(20_000)
    assert.deepEqual(await engine.disk.dump(['history', 'record', 'author', 'link']), before)
    assert.deepEqual(again.node.status().reasons, [])
    assert.equal(
      (await again.node.list({ limit: 100 })).items.length,
      (await engine.node.list({ limit: 100 })).items.length
    )
    const seen = reads(again)
    await bench.pass(60_000)
    assert.deepEqual(seen.by, {})
  })

  it('waits while there is work, and goes on from its place after a restart', async () => {
    const engine = await start()
    await bench.pass(6 * HOUR_MS)
    await bench.finish(engine.node.stop())
    const place = JSON.parse(fromUtf8((await engine.disk.store.get('meta', META.scrub))!)) as { table: string }
    assert.notEqual(place.table, 'meta')
    const again = await restart(bench, engine)
    const seen = reads(again)
    await bench.pass(2 * HOUR_MS)
    assert.ok((seen.by[place.table] ?? 0) > 0, `goes on with ${place.table}`)
    // A store that refuses writes keeps the engine from being idle.
    again.store.failWith = 'disk_full'
    again.store.reopenFails = true
    await again.node.add({ content: 'refused' }).catch(() => undefined)
    const walked = reads(again)
    await bench.pass(12 * HOUR_MS)
    assert.deepEqual(walked.by, {})
    again.store.failWith = undefined
    again.store.reopenFails = false
    await bench.pass(12 * HOUR_MS)
    assert.ok(Object.keys(walked.by).length > 3)
  })

  it('begins anew when its place cannot be read, and passes over a table that cannot', async () => {
    const engine = await start()
    await bench.pass(8 * HOUR_MS)
    await bench.finish(engine.node.stop())
    const row = { table: 'meta' as const, key: META.scrub, value: new Uint8Array([1]) }
    await engine.disk.store.batch([row], { durable: false })
    const again = await restart(bench, engine)
    const { scan } = again.store
    again.store.scan = (table: Table, options) =>
      table === 'author' ? Promise.reject(new Error('a block is unreadable')) : scan.call(again.store, table, options)
    const [last] = (await engine.disk.rows('history')).slice(-1)
    await engine.disk.flipValue('history', last!.key)
    await bench.pass(26 * HOUR_MS)
    assert.deepEqual(await engine.disk.damaged(), [])
    assert.ok(again.log.some((line) => line.message.includes('could not be checked')))
  })
})
