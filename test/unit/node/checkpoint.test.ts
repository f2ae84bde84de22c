import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fromHex, toHex, utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeMark, encodeMark, type CheckpointMark } from '../../../src/node/checkpoint.ts'
import { leafKey, META, parseLeafKey } from '../../../src/node/rows.ts'
import { keysOf } from '../../support/range-keys.ts'
import { Keeper, OPEN, OTHER, PRIVATE, rowsOf } from '../../support/set-keeper.ts'

async function markOf(keeper: Keeper): Promise<CheckpointMark> {
  const row = await keeper.store.get('meta', META.checkpoint)
  assert.ok(row !== undefined)
  return decodeMark(row) as CheckpointMark
}

/** The rows on disk are exactly the leaves of the set. */
async function assertRowsAre(keeper: Keeper): Promise<void> {
  const packed = (await rowsOf(keeper.store, 'leaf')).map(({ value }) => toHex(value)).sort()
  const leaves = [...keeper.set().snapshot().tree.leaves()].map(toHex).sort()
  assert.deepEqual(packed, leaves)
}

suite('leaf rows', () => {
  test('a key spells the name, digit by digit', () => {
    const space = 'ab'.repeat(16)
    for (const prefix of ['', '0', 'f', '01', '018bc', '0'.repeat(76)]) {
      assert.equal(parseLeafKey(leafKey(space, prefix)), prefix)
    }
    assert.equal(toHex(leafKey(space, '018bc')), `${space}05018bc0`)
  })

  test('a key that no name spells is none', () => {
    const space = 'ab'.repeat(16)
    for (const rest of ['', '0100', '0101', '02', '0201', '030181', '05018bc1', '05018bc000', '00ff']) {
      const isOne = ['0100', '0201'].includes(rest)
      assert.equal(parseLeafKey(fromHex(space + rest)) !== undefined, isOne, rest)
    }
  })
})

suite('checkpoint mark', () => {
  const mark: CheckpointMark = {
    watermark: 12,
    since: 4,
    base: 3,
    spaces: new Map([
      ['b2'.repeat(16), { count: 1, root: '00'.repeat(48), sketch: null }],
      ['a1'.repeat(16), { count: 10, root: 'ff'.repeat(48), sketch: '07'.repeat(16) }]
    ])
  }

  test('survives the codec, in one spelling', () => {
    const bytes = encodeMark(mark)
    const again = decodeMark(bytes)
    assert.ok(again !== undefined)
    assert.deepEqual(again, mark)
    assert.deepEqual(encodeMark(again), bytes)
  })

  test('anything else is none', () => {
    const text = Buffer.from(encodeMark(mark)).toString()
    assert.ok(decodeMark(utf8(text)) !== undefined)
    for (const [from, to] of [
      ['"version":1', '"version":2'],
      ['"watermark":12', '"watermark":-1'],
      ['"since":4', '"since":4.5'],
      ['"base":3', '"base":"3"'],
      ['"count":10', '"count":null'],
      ['"sketch":null', '"sketch":7'],
      ['0707', '07'],
      ['ffff', 'ff'],
      ['a1a1', 'a1'],
      ['{"version"', '["version"'],
      [text, 'null'],
      [text, '{"version":1,"watermark":1,"since":0,"base":0,"spaces":null}'],
      [text, '{"version":1,"watermark":1,"since":0,"base":0,"spaces":{"a1":null}}']
    ] as const) {
      assert.ok(text.includes(from))
      assert.equal(decodeMark(utf8(text.replace(from, to))), undefined, to)
    }
  })
})

suite('checkpoints', () => {
  test('one is taken at the bound, not before, and holds all that is stored', async () => {
    const keeper = await Keeper.start(undefined, { checkpoints: { checkpointDeltasMax: 300 } })
    const keys = keysOf('bound', 301)
    await keeper.write(keys.slice(0, 299))
    await keeper.pass(0)
    assert.equal(keeper.marks(), 0)
    await keeper.write(keys.slice(299, 300))
    await keeper.pass(0)
    assert.equal(keeper.marks(), 1)
    const mark = await markOf(keeper)
    assert.equal(mark.watermark, 300)
    assert.deepEqual(mark.spaces.get(OPEN.id), { count: 300, root: toHex(keeper.set().tree.root()), sketch: null })
    await assertRowsAre(keeper)
    await keeper.write(keys.slice(300))
    await keeper.pass(0)
    assert.equal(keeper.marks(), 1, 'counting begins anew')
  })

  test('one is taken when a change has waited long enough, and none when nothing changed', async () => {
    const keeper = await Keeper.start()
    await keeper.write(keysOf('wait', 3))
    await keeper.pass(LIMITS.checkpointMsMax - 1)
    assert.equal(keeper.marks(), 0)
    await keeper.pass(1)
    assert.equal(keeper.marks(), 1)
    await keeper.pass(10 * LIMITS.checkpointMsMax)
    assert.equal(keeper.marks(), 1)
    assert.equal(keeper.queue.size, 0, 'and no timer is left')
    assert.ok(LIMITS.checkpointDeltasMax > 3)
  })

  test('one is taken at the end', async () => {
    const keeper = await Keeper.start()
    await keeper.checkpoints.stop()
    assert.equal(keeper.marks(), 0)
    const other = await Keeper.start()
    await other.write(keysOf('end', 200))
    await other.checkpoints.stop()
    assert.equal(other.marks(), 1)
    await assertRowsAre(other)
    await other.pass(LIMITS.checkpointMsMax)
    assert.equal(other.marks(), 1)
  })

  test('only what changed is written', async () => {
    const keeper = await Keeper.start()
    await keeper.write(keysOf('much', 3_000))
    await keeper.pass(LIMITS.checkpointMsMax)
    keeper.store.batches.length = 0
    await keeper.write(keysOf('one', 1))
    await keeper.pass(LIMITS.checkpointMsMax)
    const batch = keeper.store.batches.at(-1)
    assert.ok(batch !== undefined && !batch.durable)
    assert.ok(batch.writes.filter(({ table }) => table === 'leaf').length <= 18)
    await assertRowsAre(keeper)
  })

  test('never while a group is on its way to the disk: it waits for the end of the next', async () => {
    const keeper = await Keeper.start(undefined, { checkpoints: { checkpointDeltasMax: 100 } })
    const keys = keysOf('way', 400)
    await keeper.write(keys.slice(0, 50))
    keeper.admit(keys.slice(50, 120))
    await keeper.pass(LIMITS.checkpointMsMax)
    assert.equal(keeper.marks(), 0, 'the time has come, but 70 keys are in memory only')
    await keeper.commit()
    await keeper.pass(0)
    assert.equal(keeper.marks(), 1)
    assert.equal((await markOf(keeper)).watermark, 120)
    await assertRowsAre(keeper)
  })

  test('what comes while one is being written is in the next', async () => {
    const keeper = await Keeper.start(undefined, { checkpoints: { checkpointDeltasMax: 100 } })
    const keys = keysOf('meanwhile', 300)
    await keeper.write(keys.slice(0, 100))
    let open = (): void => undefined
    keeper.store.gate = new Promise((resolve) => {
      open = resolve
    })
    // The first checkpoint is on its way; further deltas arrive before it is stored.
    const second = keeper.write(keys.slice(100, 250))
    open()
    keeper.store.gate = undefined
    await second
    await keeper.pass(LIMITS.checkpointMsMax)
    const mark = await markOf(keeper)
    assert.equal(mark.watermark, 250)
    await assertRowsAre(keeper)
    const again = await keeper.killed()
    assert.deepEqual(again.set().tree.root(), keeper.set().tree.root())
    assert.deepEqual(again.log, [])
  })

  test('one that fails is tried again, whole', async () => {
    const keeper = await Keeper.start()
    await keeper.write(keysOf('fails', 400))
    keeper.store.failWith = 'disk_full'
    await keeper.pass(LIMITS.checkpointMsMax)
    assert.equal(keeper.marks(), 0)
    assert.match(keeper.log[0]?.message ?? '', /could not be written down/)
    keeper.store.failWith = undefined
    await keeper.store.reopen()
    await keeper.pass(LIMITS.checkpointMsMax)
    assert.equal(keeper.marks(), 1)
    await assertRowsAre(keeper)
  })

  test('one that fails is made up for at the end', async () => {
    const keeper = await Keeper.start()
    await keeper.write(keysOf('fails', 40))
    keeper.store.failWith = 'disk_full'
    await keeper.pass(LIMITS.checkpointMsMax)
    keeper.store.failWith = undefined
    await keeper.store.reopen()
    await keeper.checkpoints.stop()
    assert.equal(keeper.marks(), 1)
    await assertRowsAre(keeper)
  })

  test('what is too large for one batch is written in several, and counts only as a whole', async () => {
    const keeper = await Keeper.start(undefined, { checkpoints: { checkpointBatchBytesMax: 8_000 } })
    await keeper.write(keysOf('first', 100))
    await keeper.pass(LIMITS.checkpointMsMax)
    assert.equal(keeper.store.batches.length, 2, 'a small one is one batch')
    keeper.store.batches.length = 0
    await keeper.write(keysOf('large', 800))
    await keeper.pass(LIMITS.checkpointMsMax)
    const batches = keeper.store.batches.slice(1)
    assert.ok(batches.length > 5)
    for (const { writes } of batches) {
      const bytes = writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
      assert.ok(bytes <= 8_000 + 400, `${bytes} bytes in one batch, the mark aside`)
    }
    await assertRowsAre(keeper)
    // Killed after each of them: never is half of it taken for the whole.
    for (let kept = 0; kept <= batches.length; kept++) {
      const disk = await Keeper.start(undefined, {})
      await disk.write(keysOf('first', 100))
      await disk.pass(LIMITS.checkpointMsMax)
      await disk.write(keysOf('large', 800))
      for (const { writes } of batches.slice(0, kept)) await disk.store.batch(writes, { durable: false })
      const again = await disk.killed()
      assert.deepEqual(again.set().tree.root(), keeper.set().tree.root(), `${kept} batches`)
      await again.checkpoints.stop()
      if (kept < batches.length) await assertRowsAre(again)
      assert.deepEqual((await again.killed()).log, [])
    }
  })

  test('spaces side by side, one of them private', async () => {
    const spaces = [OPEN, OTHER, PRIVATE]
    const keeper = await Keeper.start(undefined, { spaces })
    for (const space of spaces) await keeper.write(keysOf(space.id, 200), space)
    await keeper.pass(LIMITS.checkpointMsMax)
    const mark = await markOf(keeper)
    assert.deepEqual(
      [...mark.spaces.keys()],
      spaces.map(({ id }) => id)
    )
    await keeper.write(keysOf('more', 5), OTHER)
    keeper.store.batches.length = 0
    await keeper.pass(LIMITS.checkpointMsMax)
    const touched = keeper.store.batches.flatMap(({ writes }) => writes.filter(({ table }) => table === 'leaf'))
    assert.ok(touched.every(({ key }) => toHex(key).startsWith(OTHER.id)))
    const again = await keeper.killed()
    for (const space of spaces) assert.deepEqual(again.set(space).tree.root(), keeper.set(space).tree.root())
    assert.equal(again.set(PRIVATE).sketch, undefined)
    assert.equal(again.set(OTHER).sketch?.size, 205)
    assert.deepEqual(again.log, [])
  })
})
