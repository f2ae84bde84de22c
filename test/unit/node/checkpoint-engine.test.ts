/** Checkpoints in a running engine: when they are taken, what a restart makes of them, and a leaf row that goes bad. */
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeMark, type CheckpointMark } from '../../../src/node/checkpoint.ts'
import { META } from '../../../src/node/rows.ts'
import { Bench, codeOf, PRIVATE_SPACE, type Engine } from '../../support/engine.ts'
import { SPACE } from '../../support/sealed.ts'
import { diskCopy, rowsOf } from '../../support/set-keeper.ts'

const bench = new Bench()
after(() => bench.stop())

async function markOf(engine: Engine): Promise<CheckpointMark | undefined> {
  const row = await engine.store.rows.get('meta', META.checkpoint)
  return row === undefined ? undefined : decodeMark(row)
}

function rootOf(engine: Engine, space = SPACE): string {
  return toHex(engine.node.spaceTable.find(space).replica.tree.root())
}

const ALARM = /range trees on disk|could not be written down/

function alarms(engine: Engine): string[] {
  return engine.log
    .filter(({ message }) => ALARM.test(message))
    .map(({ data }) => String(data?.['reason'] ?? data?.['error']))
}

/** Own memories, one delta each. */
async function write(engine: Engine, count: number, label = 'memory'): Promise<void> {
  for (let i = 0; i < count; i++) await engine.node.add({ content: `${label} ${i}` })
}

suite('checkpoints in the engine', () => {
  test('the last one is written by an orderly stop, and the restart takes it', async () => {
    const engine = await bench.start({ seed: 1, hasPrivate: true })
    await write(engine, 20)
    await engine.node.add({ content: 'mine', space: 'mine' })
    assert.equal(await markOf(engine), undefined)
    const roots = [rootOf(engine), rootOf(engine, PRIVATE_SPACE)]
    const again = await bench.restart(engine)
    const mark = await markOf(engine)
    assert.equal(mark?.watermark, 21)
    assert.equal(mark.spaces.get(SPACE)?.root, roots[0])
    assert.deepEqual([rootOf(again), rootOf(again, PRIVATE_SPACE)], roots)
    assert.equal(again.node.spaceTable.find(PRIVATE_SPACE).replica.set.sketch, undefined)
    assert.equal(again.node.spaceTable.find(SPACE).replica.set.sketch?.size, 20)
    assert.deepEqual(alarms(again), [])
    await write(again, 3, 'more')
    const third = await bench.restart(again)
    assert.equal(third.node.spaceTable.find(SPACE).replica.tree.count, 23)
    assert.deepEqual(alarms(third), [])
  })

  test('they follow the clock, and the number of deltas', async () => {
    const engine = await bench.start({ seed: 2, options: { tree: { checkpointDeltasMax: 8 } } })
    await write(engine, 7)
    await bench.pass(1_000)
    assert.equal(await markOf(engine), undefined)
    await bench.pass(LIMITS.checkpointMsMax)
    assert.equal((await markOf(engine))?.watermark, 7)
    await write(engine, 8, 'more')
    await bench.pass(100)
    assert.equal((await markOf(engine))?.watermark, 15)
  })

  test('killed at any moment: no key without its delta, and the next start is whole', async () => {
    const engine = await bench.start({ seed: 3, options: { tree: { checkpointDeltasMax: 3 } } })
    const { store } = engine
    const disks: Awaited<ReturnType<typeof diskCopy>>[] = []
    const batch = store.rows.batch.bind(store.rows)
    store.rows.batch = async (writes, options) => {
      await batch(writes, options)
      disks.push(await diskCopy(store.rows))
    }
    await Promise.all(Array.from({ length: 20 }, (_, i) => engine.node.add({ content: `at once ${i}` })))
    await write(engine, 10)
    await bench.pass(1_000)
    store.rows.batch = batch
    assert.ok(disks.length > 10)
    let marks = 0
    for (const [index, disk] of disks.entries()) {
      const deltas = (await rowsOf(disk.rows, 'delta')).map(({ key }) => toHex(key.subarray(16)))
      for (const { value } of await rowsOf(disk.rows, 'leaf')) {
        for (let at = 0; at < value.length; at += 38) assert.ok(deltas.includes(toHex(value.slice(at + 6, at + 38))))
      }
      const row = await disk.get('meta', META.checkpoint)
      if (row !== undefined) marks++
      if (index % 4 !== 0) continue
      const again = await bench.start({ seed: 3, store: disk })
      assert.equal(again.node.spaceTable.find(SPACE).replica.tree.count, deltas.length)
      assert.deepEqual(alarms(again), [])
    }
    assert.ok(marks > 2)
  })

  test('a checkpoint waits while a group is on its way to the disk', async () => {
    const engine = await bench.start({ seed: 4 })
    await write(engine, 2)
    let open = (): void => undefined
    engine.store.gate = new Promise((resolve) => {
      open = resolve
    })
    const slow = engine.node.add({ content: 'slow' })
    await bench.pass(LIMITS.checkpointMsMax + 1_000)
    assert.equal(engine.node.spaceTable.find(SPACE).replica.tree.count, 3, 'in memory')
    assert.equal(await markOf(engine), undefined)
    open()
    engine.store.gate = undefined
    await bench.finish(slow)
    await bench.pass(100)
    assert.equal((await markOf(engine))?.watermark, 3)
  })

  test('a leaf row that goes bad under a paged tree: read-only for a moment, then built from rows', async () => {
    const engine = await bench.start({ seed: 5, options: { tree: { residentKeysMax: 1, checkpointDeltasMax: 5 } } })
    // More than one leaf: the one last read is remembered.
    await write(engine, 140)
    await bench.pass(1_000)
    const { tree } = engine.node.spaceTable.find(SPACE).replica
    const root = rootOf(engine)
    assert.equal(tree.residentKeys, 0)
    const rows = await rowsOf(engine.store.rows, 'leaf')
    assert.ok(rows.length > 1)
    const cut = rows.map(({ key, value }) => ({ table: 'leaf', key, value: value.slice(38) }) as const)
    await engine.store.rows.batch(cut, { durable: true })
    assert.equal(await codeOf(engine.node.deltaIds({})), 'corrupt')
    assert.equal(engine.node.status().state, 'read-only')
    await bench.pass(10_000)
    assert.equal(engine.node.status().state, 'ready')
    assert.match(alarms(engine).join(), /leaf|leaves/)
    assert.equal(rootOf(engine), root)
    assert.equal((await engine.node.deltaIds({})).ids.length, 140)
    await engine.node.add({ content: 'through' })
    await bench.pass(LIMITS.checkpointMsMax)
    const healed = await rowsOf(engine.store.rows, 'leaf')
    assert.equal(
      healed.reduce((sum, { value }) => sum + value.length, 0),
      141 * 38
    )
    const again = await bench.restart(engine)
    assert.deepEqual(alarms(again), [])
    assert.equal(rootOf(again), rootOf(engine))
  })

  test('after the store failed and came back, checkpoints go on', async () => {
    const engine = await bench.start({ seed: 6, options: { tree: { checkpointDeltasMax: 4 } } })
    await write(engine, 3)
    engine.store.failWith = 'disk_full'
    assert.equal(await codeOf(engine.node.add({ content: 'no room' })), 'disk_full')
    engine.store.failWith = undefined
    await bench.pass(10_000)
    await write(engine, 5, 'later')
    await bench.pass(1_000)
    assert.equal((await markOf(engine))?.watermark, 8)
    const again = await bench.restart(engine)
    assert.equal(again.node.spaceTable.find(SPACE).replica.tree.count, 8)
    assert.deepEqual(alarms(again), [])
  })
})
