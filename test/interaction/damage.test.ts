/**
 * Two engines and one bad disk. Rows of every table are damaged in turn, while the engine runs and while it is down.
 * What is shown meanwhile is right or refused; beside its peer the engine is whole again within a minute; alone it goes
 * on with what is sound and says what is not.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import type { MemoryItem } from '../../src/node/api.ts'
import { deltaKey } from '../../src/node/rows.ts'
import { TABLES, type Table } from '../../src/ports/store.ts'
import { Disk } from '../support/damage.ts'
import { fill, restart, startOn, type DamagedEngine } from '../support/damaged-engine.ts'
import { Bench, codeOf, type Engine } from '../support/engine.ts'
import { SPACE } from '../support/sealed.ts'

const MINUTE_MS = 60_000

interface Pair {
  readonly bench: Bench
  readonly healthy: Engine
  readonly sick: DamagedEngine
  readonly ids: readonly string[]
  /** What every memory says, as the healthy one shows it. */
  readonly truth: ReadonlyMap<string, MemoryItem>
}

/** Both hold everything: some of it written by each, some by strangers. */
async function pair(): Promise<Pair> {
  const bench = new Bench()
  const healthy = await bench.start({ seed: 1 })
  const sick = await startOn(bench, new Disk(), { seed: 2 })
  healthy.network.link(sick.network)
  const ids = await fill(bench, sick)
  for (let i = 0; i < 4; i++) ids.push((await healthy.node.add({ content: `from the healthy one ${i}` })).id)
  await bench.pass(10_000)
  assert.deepEqual(await digestOf(sick), await digestOf(healthy))
  const items = await healthy.node.get(ids)
  return {
    bench,
    healthy,
    sick,
    ids,
    truth: new Map(items.flatMap((item) => (item === null ? [] : [[item.id, item]])))
  }
}

async function digestOf(engine: Engine): Promise<unknown> {
  const { deltas, records, root, state } = await engine.node.digest()
  return { deltas, records, root, state }
}

const shown = ({ content, tags, version, author, retracted }: MemoryItem): unknown => ({
  content,
  tags: [...tags].sort(),
  version,
  author,
  retracted
})

/** Everything a reader can ask: an answer is right, missing, or an error that says what is wrong. */
async function readAll({ sick, ids, truth }: Pair): Promise<void> {
  for (const id of ids) {
    try {
      const [item] = await sick.node.get([id])
      if (item !== null && item !== undefined) assert.deepEqual(shown(item), shown(truth.get(id)!))
    } catch (error) {
      assert.ok(isChrysalisError(error, 'corrupt'), String(error))
    }
  }
  for (const ask of [
    () => sick.node.search({ query: 'memory revised' }),
    () => sick.node.list({}),
    () => sick.node.changes({}),
    () => sick.node.history(ids[0]!),
    () => sick.node.lineage(ids[0]!),
    () => sick.node.digest(),
    () => sick.node.stats(),
    () => sick.node.verify({}),
    () => sick.node.syncStatus()
  ]) {
    const code = await codeOf(ask())
    assert.ok(code === 'resolved' || code === 'corrupt', code)
  }
}

async function assertWhole({ bench, healthy, sick }: Pair): Promise<void> {
  await bench.finish(sick.node.scrub())
  await bench.pass(MINUTE_MS)
  assert.deepEqual(await sick.disk.damaged(), [])
  assert.deepEqual(await digestOf(sick), await digestOf(healthy))
  assert.deepEqual((await sick.node.verify({})).invalid, [])
  assert.deepEqual(
    await bench.finish(sick.node.scrub()).then(({ damaged, missing, strays }) => ({ damaged, missing, strays })),
    {
      damaged: {},
      missing: {},
      strays: 0
    }
  )
  assert.deepEqual(sick.node.status().reasons, [])
  // Both know the same of every delta, in whatever order it came.
  const log = async (engine: Engine): Promise<string[]> =>
    (await engine.node.changes({ limit: 1_000 })).changes.map((change) => change.delta).sort()
  assert.deepEqual([...new Set(await log(sick))], [...new Set(await log(healthy))])
}

async function spoil(disk: Disk, table: Table): Promise<number> {
  const rows = (await disk.rows(table)).filter(({ key }) => table !== 'meta' || toHex(key) !== toHex(SCHEMA))
  let spoilt = 0
  for (const [n, { key }] of rows.entries()) {
    if (n % 2 === 1) continue
    await disk.flipValue(table, key, 11 * n)
    spoilt++
  }
  return spoilt
}

const SCHEMA = new TextEncoder().encode('schema')

describe('damage beside a peer', () => {
  for (const table of TABLES) {
    it(`${table}: while it runs`, async () => {
      const one = await pair()
      const spoilt = await spoil(one.sick.disk, table)
      await readAll(one)
      await one.sick.node.revise({ id: one.ids[3]!, content: 'written beside the damage' }).catch((error: unknown) => {
        assert.ok(isChrysalisError(error, 'corrupt'), String(error))
      })
      await one.bench.pass(MINUTE_MS)
      await assertWhole(one)
      if (table === 'delta')
        assert.ok((one.sick.metrics.snapshot()['chrysalis_node_repaired_total'] ?? 0) >= spoilt - 1)
      await one.bench.stop()
    })

    it(`${table}: while it is down`, async () => {
      const one = await pair()
      await one.bench.finish(one.sick.node.stop())
      await spoil(one.sick.disk, table)
      const sick = await restart(one.bench, one.sick)
      const again = { ...one, sick }
      await readAll(again)
      one.healthy.network.link(sick.network)
      await one.bench.pass(MINUTE_MS)
      await readAll(again)
      await assertWhole(again)
      await one.bench.stop()
    })
  }

  it('rows that stand in the wrong place, in every table at once', async () => {
    const one = await pair()
    await one.bench.finish(one.sick.node.stop())
    for (const table of ['range', 'arrival', 'author', 'record', 'history', 'delta'] as const) {
      const rows = await one.sick.disk.rows(table)
      await one.sick.disk.flipKey(table, rows[3]!.key, table === 'arrival' ? 40 : 141)
    }
    const sick = await restart(one.bench, one.sick)
    const again = { ...one, sick }
    one.healthy.network.link(sick.network)
    await one.bench.finish(sick.node.scrub())
    await one.bench.pass(MINUTE_MS)
    await readAll(again)
    await assertWhole(again)
    await one.bench.stop()
  })

  it('its own deltas come back from others, and its epoch goes on', async () => {
    const one = await pair()
    const own = (await one.sick.node.changes({ limit: 1_000 })).changes.filter(
      (change) => change.peer === one.sick.node.peer
    )
    assert.ok(own.length > 5)
    for (const { delta } of own) await one.sick.disk.remove('delta', deltaKey(SPACE, delta))
    await readAll(one)
    const { epoch } = one.sick.node
    await one.bench.pass(MINUTE_MS)
    assert.equal(one.sick.metrics.snapshot()['chrysalis_node_repaired_total'], own.length, 'readers have noticed')
    await assertWhole(one)
    assert.equal(one.sick.node.epoch, epoch)
    const { id } = await one.sick.node.add({ content: 'goes on' })
    const [entry] = await one.sick.node.history(id)
    assert.equal(entry?.epoch, epoch)
    await one.bench.stop()
  })

  it('tells people what happens', async () => {
    const one = await pair()
    const told: string[] = []
    one.sick.node.onEvent((event) => {
      if (event.type === 'node') told.push(`${event.what}: ${event.detail}`)
    })
    one.healthy.network.unlink(one.sick.network)
    await spoil(one.sick.disk, 'delta')
    await readAll(one)
    await one.bench.pass(5_000)
    assert.match(
      one.sick.node.status().reasons.join(),
      /^\d+ deltas are damaged here and no peer that holds them is connected$/
    )
    one.healthy.network.link(one.sick.network)
    assert.match(one.sick.node.status().reasons.join(), /deltas are damaged here and are being fetched from peers/)
    await one.bench.pass(MINUTE_MS)
    assert.match(
      told.join('\n'),
      /quarantine: \d+ stored deltas are damaged\n(.*\n)*repaired: \d+ damaged deltas came back/
    )
    await assertWhole(one)
    await one.bench.stop()
  })
})

describe('damage alone', () => {
  it('shows what is sound, refuses what is not, says so, over a restart too, and takes writes', async () => {
    const bench = new Bench()
    const sick = await startOn(bench, new Disk(), { seed: 2, hasPrivate: true })
    const ids = await fill(bench, sick)
    const mine = await sick.node.add({ content: 'of nobody else', space: 'mine' })
    const revised = ids[0]!
    const hurt = await sick.disk.rows('history')
    const lost = hurt.filter(({ key }) => toHex(key).includes(revised)).map(({ key }) => toHex(key.subarray(56)))
    await sick.disk.flipValue('delta', deltaKey(SPACE, lost[0]!), 640)
    await sick.disk.flipValue(
      'record',
      (await sick.disk.rows('record')).find(({ key }) => toHex(key).endsWith(revised))!.key
    )
    await sick.disk.flipValue('delta', deltaKey(mine.space, mine.delta), 77)
    const again = await restart(bench, sick)
    await bench.pass(10_000)
    assert.equal(await codeOf(again.node.get([revised])), 'corrupt', 'half a fold would be a wrong value')
    const others = await again.node.get(ids.slice(1))
    assert.ok(others.every((item) => item !== null && item.verified))
    assert.equal((await again.node.get([mine.id]))[0]?.verified, false)
    const reasons = again.node.status().reasons.join('\n')
    assert.match(reasons, /1 delta is damaged here and no peer that holds it is connected/)
    assert.match(reasons, /1 delta is damaged here in mine, which no other daemon holds: only a backup/)
    assert.equal(again.node.status().state, 'ready')
    assert.equal(again.node.health().ready, true)
    assert.ok((await again.node.search({ query: 'memory' })).items.length > 0)
    await again.node.add({ content: 'life goes on' })
    assert.equal(await codeOf(again.node.revise({ id: revised, content: 'blind' })), 'corrupt')
    await bench.stop()
  })
})
