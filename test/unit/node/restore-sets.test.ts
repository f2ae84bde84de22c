/** Restarts of sets: from checkpoints of any age, and from rows when the checkpoint cannot be trusted. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { equalBytes, fromHex, toHex, uintBytes } from '../../../src/base/bytes.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeMark, encodeMark } from '../../../src/node/checkpoint.ts'
import { restoreSets } from '../../../src/node/restore-sets.ts'
import { arrivalKey, leafKey, META, rangeRowKey } from '../../../src/node/rows.ts'
import type { StoreEntry, StoreWrite } from '../../../src/ports/store.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { Sketch } from '../../../src/sync/sketch.ts'
import { hasher, keyOf, keysOf } from '../../support/range-keys.ts'
import { diskCopy, Keeper, OPEN, OTHER, rowsOf, type KeeperOptions } from '../../support/set-keeper.ts'

const KEYS = keysOf('restore', 1_000)
const LATER = keysOf('later', 40)

function rootOf(keys: readonly Uint8Array[]): string {
  const tree = new RangeTree(hasher)
  for (const key of keys) tree.insert(key)
  return toHex(tree.root())
}

/** A checkpoint at 1,000 keys, then 40 more in the log only. */
async function written(options: KeeperOptions = {}): Promise<Keeper> {
  const keeper = await Keeper.start(undefined, options)
  await keeper.write(KEYS.slice(0, 300))
  await keeper.write(KEYS.slice(300))
  await keeper.pass(LIMITS.checkpointMsMax)
  assert.equal(keeper.marks(), 1)
  await keeper.write(LATER)
  return keeper
}

/** Killed, the disk changed, and started: tells the keeper, and which tables were scanned. */
async function restarted(
  keeper: Keeper,
  change: (leaves: StoreEntry[]) => StoreWrite[] | undefined,
  options: KeeperOptions = {}
): Promise<{ keeper: Keeper; scanned: Set<string> }> {
  const store = await diskCopy(keeper.store)
  const writes = change(await rowsOf(store, 'leaf'))
  if (writes !== undefined) await store.rows.batch(writes, { durable: true })
  const scanned = new Set<string>()
  const scan = store.rows.scan.bind(store.rows)
  store.rows.scan = (table, wanted) => {
    scanned.add(table)
    return scan(table, wanted)
  }
  return { keeper: await Keeper.start(store, options), scanned }
}

/** From rows, with this reason; whole; and the next start is an ordinary one. */
async function assertRebuilt(keeper: Keeper, reason: RegExp, root = rootOf([...KEYS, ...LATER])): Promise<void> {
  assert.equal(keeper.log.length, 1)
  assert.match(keeper.log[0]?.message ?? '', /built from the range rows/)
  assert.match(String(keeper.log[0]?.reason), reason)
  assert.equal(toHex(keeper.set().tree.root()), root)
  assert.equal(keeper.set().sketch?.size, keeper.set().count)
  await keeper.checkpoints.stop()
  const again = await keeper.killed()
  assert.deepEqual(again.log, [])
  assert.equal(toHex(again.set().tree.root()), root)
}

suite('restart from a checkpoint', () => {
  test('an empty store is an empty set', async () => {
    const keeper = await Keeper.start()
    assert.equal(keeper.set().count, 0)
    assert.deepEqual(keeper.log, [])
  })

  test('older than the log: the rest is replayed, and the range rows are not walked', async () => {
    const { keeper, scanned } = await restarted(await written(), () => undefined)
    assert.deepEqual(keeper.log, [])
    assert.equal(toHex(keeper.set().tree.root()), rootOf([...KEYS, ...LATER]))
    assert.ok(scanned.has('leaf') && scanned.has('arrival') && !scanned.has('range'))
    const plain = new Sketch()
    for (const key of [...KEYS, ...LATER]) plain.add(key, 6)
    assert.deepEqual(keeper.set().sketch?.encode(), plain.encode())
    await keeper.write(keysOf('after', 10))
    await keeper.pass(LIMITS.checkpointMsMax)
    assert.deepEqual((await keeper.killed()).log, [])
  })

  test('killed after each batch of a history, it is whole every time', async () => {
    const source = await Keeper.start(undefined, { checkpoints: { checkpointDeltasMax: 70 } })
    for (let i = 0; i < 12; i++) {
      await source.write(KEYS.slice(i * 30, i * 30 + 30))
      await source.pass(0)
    }
    assert.ok(source.marks() >= 4)
    const disk = await Keeper.start()
    let keys = 0
    for (const { writes } of source.store.batches) {
      await disk.store.rows.batch(writes, { durable: true })
      keys += writes.filter(({ table }) => table === 'arrival').length
      const again = await disk.killed()
      assert.deepEqual(again.log.slice(0, 1), [])
      assert.equal(toHex(again.set().tree.root()), rootOf(KEYS.slice(0, keys)))
    }
    assert.equal(keys, 360)
  })

  test('the sketch of a large set is read back; a missing or another one is made from the keys', async () => {
    const many = keysOf('many', 300)
    const options: KeeperOptions = { checkpoints: { sketchRowKeysMin: many.length } }
    const few = await Keeper.start(undefined, options)
    await few.write(many.slice(1))
    await few.checkpoints.stop()
    assert.equal(await few.store.get('meta', META.sketch(OPEN.id)), undefined, 'of a smaller set none is written')
    const keeper = await Keeper.start(await diskCopy(few.store), options)
    await keeper.write(many.slice(0, 1))
    await keeper.checkpoints.stop()
    const row = await keeper.store.get('meta', META.sketch(OPEN.id))
    assert.ok(row !== undefined)
    const sound = await keeper.killed()
    assert.deepEqual(sound.log, [])
    assert.deepEqual(sound.set().sketch?.encode(), row)
    const other = Sketch.decode(row) as Sketch
    const flipped = row.slice()
    flipped[5_000] = (flipped[5_000] as number) ^ 1
    other.add(new Uint8Array(8))
    for (const value of [null, other.encode(), flipped, row.slice(1)]) {
      const { keeper: again } = await restarted(keeper, () => [{ table: 'meta', key: META.sketch(OPEN.id), value }])
      assert.match(again.log[0]?.message ?? '', /sketch of a space is made anew/)
      assert.equal(again.log.length, 1)
      assert.deepEqual(again.set().sketch?.encode(), row)
    }
  })

  test('paged: leaves are read back as they are needed', async () => {
    const options: KeeperOptions = { restore: { residentKeysMax: 200 } }
    const keeper = await written(options)
    const again = await keeper.killed(options)
    const { tree } = again.set()
    assert.ok(tree.residentKeys < 1_000, 'only leaves that the replay touched came back')
    assert.equal(toHex(tree.root()), rootOf([...KEYS, ...LATER]))
    assert.ok(KEYS.every((key) => tree.has(key)))
    await again.write(keysOf('more', 300))
    await again.pass(LIMITS.checkpointMsMax)
    assert.ok(tree.residentKeys <= 200)
    assert.equal(
      toHex((await again.killed(options)).set().tree.root()),
      rootOf([...KEYS, ...LATER, ...keysOf('more', 300)])
    )
  })
})

suite('a checkpoint that is not used', () => {
  test('newer than the log', async () => {
    const source = await written()
    const all = rootOf(KEYS.slice(0, 990))
    const { keeper } = await restarted(source, () =>
      [...KEYS.slice(990), ...LATER].flatMap((key, i) => [
        { table: 'range', key: rangeRowKey(OPEN.id, key), value: null } as const,
        { table: 'arrival', key: arrivalKey(991 + i), value: null } as const
      ])
    )
    await assertRebuilt(keeper, /position 1000, the arrival log ends at 990/, all)
  })

  test('a leaf row with a flipped bit, a missing one, one too many, an older one', async () => {
    const source = await written()
    const leaf = (leaves: StoreEntry[]): StoreEntry => leaves[3] as StoreEntry
    const put = (key: Uint8Array, value: Uint8Array | null): StoreWrite[] => [{ table: 'leaf', key, value }]
    const flip = (at: number) => (leaves: StoreEntry[]) => {
      const value = leaf(leaves).value.slice()
      value[at] = (value[at] as number) ^ 1
      return put(leaf(leaves).key, value)
    }
    const name = toHex(KEYS[0] as Uint8Array).slice(0, 20)
    const cases: [(leaves: StoreEntry[]) => StoreWrite[], RegExp][] = [
      [flip(37), /do not ascend|another set/],
      [flip(0), /do not ascend|begin with its name/],
      [(leaves) => put(leaf(leaves).key, null), /\d+ keys in the leaves|one leaf|no branch/],
      [() => put(leafKey(OPEN.id, name), KEYS[0] as Uint8Array), /another lies inside it/],
      [() => put(leafKey(OPEN.id, 'f'), fromHex('f'.repeat(76))), /1001 keys in the leaves|no branch/],
      [(leaves) => put(leaf(leaves).key, leaf(leaves).value.slice(0, -38)), /999 keys in the leaves/],
      [() => put(fromHex(`${OPEN.id}03ffff`), new Uint8Array(38)), /the key of no leaf/]
    ]
    for (const [change, reason] of cases) {
      const { keeper, scanned } = await restarted(source, change)
      assert.ok(scanned.has('range'))
      await assertRebuilt(keeper, reason)
    }
  })

  test('a leaf row that fails its checksum', async () => {
    const store = await diskCopy((await written()).store)
    let isBad = true
    store.damage = (table, _key, value) => {
      if (table === 'leaf' && isBad) {
        isBad = false
        throw new ChrysalisError('corrupt', 'a row of table leaf fails its checksum')
      }
      return value
    }
    await assertRebuilt(await Keeper.start(store), /fails its checksum/)
  })

  test('a mark that is missing, unreadable, or does not add up', async () => {
    const source = await written()
    const row = (await source.store.get('meta', META.checkpoint)) as Uint8Array
    const mark = decodeMark(row)
    assert.ok(mark !== undefined)
    const put = (value: Uint8Array | null): StoreWrite[] => [{ table: 'meta', key: META.checkpoint, value }]
    const without = await restarted(source, () => put(null))
    assert.deepEqual(without.keeper.log, [], 'no checkpoint is no reason to be alarmed')
    assert.equal(toHex(without.keeper.set().tree.root()), rootOf([...KEYS, ...LATER]))
    const entry = mark.spaces.get(OPEN.id)
    assert.ok(entry !== undefined)
    for (const [value, reason] of [
      [row.slice(1), /cannot be read/],
      [encodeMark({ ...mark, base: 1 }), /accounts for 1001 deltas and holds 1000/],
      [encodeMark({ ...mark, watermark: 999 }), /accounts for 999/],
      [encodeMark({ ...mark, since: 1_001, base: 1_001 }), /accounts for 1000/],
      [
        encodeMark({ ...mark, spaces: new Map([[OPEN.id, { ...entry, root: rootOf(LATER) }]]) }),
        /another set than the mark says/
      ],
      [
        encodeMark({ ...mark, base: 1, spaces: new Map([[OPEN.id, { ...entry, count: 1_001 }]]) }),
        /1000 keys in the leaves, 1001 in the mark/
      ]
    ] as const) {
      await assertRebuilt((await restarted(source, () => put(value))).keeper, reason)
    }
  })

  test('an older mark with newer leaves', async () => {
    const source = await Keeper.start()
    await source.write(KEYS.slice(0, 500))
    await source.pass(LIMITS.checkpointMsMax)
    const old = (await source.store.get('meta', META.checkpoint)) as Uint8Array
    await source.write([...KEYS.slice(500), ...LATER])
    await source.pass(LIMITS.checkpointMsMax)
    const { keeper } = await restarted(source, () => [{ table: 'meta', key: META.checkpoint, value: old }])
    await assertRebuilt(keeper, /1040 keys in the leaves, 500 in the mark/)
  })

  test('a gap in the log, behind the mark or shortly before it', async () => {
    const source = await written()
    for (const position of [1_001, 1_020, 1_000, 700]) {
      const { keeper } = await restarted(source, () => [{ table: 'arrival', key: arrivalKey(position), value: null }])
      await assertRebuilt(keeper, new RegExp(`position ${position} of the arrival log is missing`))
    }
  })

  test('a log that ends before the position the writer goes on from', async () => {
    const { store } = await written()
    const log: unknown[] = []
    const logger = {
      log: (_level: string, _message: string, data?: Record<string, unknown>) => void log.push(data?.['reason'])
    }
    await restoreSets([OPEN], 1_040, { store, crypto: hasher, logger })
    assert.deepEqual(log, [])
    await restoreSets([OPEN], 1_041, { store, crypto: hasher, logger })
    assert.match(String(log[0]), /position 1041 of the arrival log is missing/)
  })

  test('the log names a delta that the checkpoint has, or has not', async () => {
    const source = await written()
    const names = (position: number, key: Uint8Array) => (): StoreWrite[] => [
      { table: 'arrival', key: arrivalKey(position), value: rangeRowKey(OPEN.id, key) }
    ]
    const twice = await restarted(source, names(1_010, KEYS[5] as Uint8Array))
    await assertRebuilt(twice.keeper, /position 1010 is in the checkpoint already/)
    const stranger = await restarted(source, names(990, keyOf(1_700_000_000_000, 'stranger')))
    await assertRebuilt(stranger.keeper, /position 990 is not in the checkpoint/)
  })

  test('how far before the mark the log is looked at', async () => {
    const source = await written()
    const lost = (position: number): StoreWrite[] => [{ table: 'arrival', key: arrivalKey(position), value: null }]
    for (const [position, isSeen] of [
      [990, false],
      [991, true]
    ] as const) {
      const { keeper } = await restarted(source, () => lost(position), { restore: { tailPositionsMax: 10 } })
      assert.equal(keeper.log.length === 1, isSeen, `position ${position}, restoreTailPositionsMax 10`)
    }
    assert.ok(LIMITS.restoreTailPositionsMax > 1_000)
  })

  test('range rows that are gone: a handful of samples finds what a lost table takes', async () => {
    const source = await written()
    const sorted = [...KEYS].sort((a, b) => Buffer.compare(a, b))
    const gone = sorted.slice(400, 560)
    const { keeper } = await restarted(source, () =>
      gone.map((key) => ({ table: 'range', key: rangeRowKey(OPEN.id, key), value: null }))
    )
    const left = [...KEYS, ...LATER].filter((key) => !gone.some((one) => equalBytes(one, key)))
    await assertRebuilt(keeper, /has no range row/, rootOf(left))
  })
})

suite('spaces that come and go', () => {
  const both: KeeperOptions = { spaces: [OPEN, OTHER] }

  test('left out for a while, then back: its leaves are as good as ever', async () => {
    const keeper = await Keeper.start(undefined, both)
    await keeper.write(KEYS, OTHER)
    await keeper.write(LATER)
    await keeper.checkpoints.stop()
    const alone = await keeper.killed({})
    await alone.write(keysOf('alone', 30))
    await alone.checkpoints.stop()
    const again = await alone.killed(both)
    assert.deepEqual([...alone.log, ...again.log], [])
    assert.equal(toHex(again.set(OTHER).tree.root()), rootOf(KEYS))
    assert.equal(again.set().count, 70)
    await again.write(keysOf('again', 5), OTHER)
    await again.checkpoints.stop()
    assert.deepEqual((await again.killed(both)).log, [])
  })

  test('left out before its newest deltas were in a checkpoint: then it is built from rows, without alarm', async () => {
    const keeper = await Keeper.start(undefined, both)
    await keeper.write(KEYS, OTHER)
    await keeper.checkpoints.stop()
    const killed = await keeper.killed(both)
    await killed.write(LATER, OTHER)
    const alone = await killed.killed({})
    await alone.write(keysOf('alone', 30))
    await alone.checkpoints.stop()
    const again = await alone.killed(both)
    assert.deepEqual([...alone.log, ...again.log], [])
    assert.equal(toHex(again.set(OTHER).tree.root()), rootOf([...KEYS, ...LATER]))
    await again.checkpoints.stop()
    assert.equal(toHex((await again.killed(both)).set(OTHER).tree.root()), rootOf([...KEYS, ...LATER]))
  })

  test('new, with deltas that no checkpoint has yet', async () => {
    const keeper = await written()
    const joined = await keeper.killed(both)
    await joined.write(keysOf('new', 200), OTHER)
    const again = await joined.killed(both)
    assert.deepEqual(again.log, [])
    assert.equal(again.set(OTHER).count, 200)
    await again.checkpoints.stop()
    const last = await again.killed(both)
    assert.deepEqual(last.log, [])
    assert.equal(last.set(OTHER).count, 200)
    assert.equal(last.set().count, 1_040)
  })
})

suite('positions that nobody has', () => {
  test('after a rebuild the log goes on far ahead, and checkpoints go on with it', async () => {
    const source = await written()
    const { keeper } = await restarted(source, () => [
      { table: 'meta', key: META.checkpoint, value: null },
      { table: 'arrival', key: arrivalKey(500_000), value: rangeRowKey(OPEN.id, KEYS[0] as Uint8Array) },
      { table: 'arrival', key: arrivalKey(1), value: null },
      { table: 'range', key: rangeRowKey(OPEN.id, KEYS[0] as Uint8Array), value: uintBytes(500_000, 8) }
    ])
    assert.equal(keeper.arrival, 500_000)
    await keeper.write(keysOf('ahead', 50))
    await keeper.pass(LIMITS.checkpointMsMax)
    await keeper.write(keysOf('further', 7))
    const again = await keeper.killed()
    assert.deepEqual(again.log, [])
    assert.equal(again.set().count, 1_097)
  })
})
