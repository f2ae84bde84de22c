/**
 * Checkers at work on whole worlds: silent on a sound one, and each that looks on the way or onto the disks finds what
 * was planted there.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkAll, checkDrained, type Ack } from '../../../simulations/checkers/checker.ts'
import { inspect } from '../../../simulations/checkers/inspect.ts'
import { checkIndex, compareLists, contentsOf } from '../../../simulations/checkers/recall.ts'
import { checkForgery, checkForwarding } from '../../../simulations/checkers/stores.ts'
import { carelesslySound, mixedOrder } from '../../../simulations/liars/forgers.ts'
import { note, Pen } from '../../../simulations/liars/pen.ts'
import { World } from '../../../simulations/world/world.ts'
import { createVerifier } from '../../../src/adapters/system/crypto.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { decodeDelta, encodeDelta } from '../../../src/memory/delta-codec.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { encodeRecord } from '../../../src/memory/record-codec.ts'
import { emptyRecord } from '../../../src/memory/record.ts'
import { deltaKey, recordKey, recordValue } from '../../../src/node/rows.ts'
import { DeltaSet } from '../../../src/sync/delta-set.ts'
import { assertBreaks, checkedWorld, nodeOf } from '../../support/checked-world.ts'

const crypto = createVerifier()

suite('checkers on a world', () => {
  test('checkAll is silent on a sound one, and after it has stopped nothing is left', async () => {
    const it = await checkedWorld('sound')
    assert.deepEqual(await checkAll(it.evidence, it.watch), [])
    await it.world.stop()
    assert.deepEqual(await checkDrained(it.world), [])
  })

  test('I3: whatever forged delta is found on a disk', async () => {
    const it = await checkedWorld('forged')
    const node = nodeOf(it.world, 0)
    const space = it.world.space.id
    const random = new SeededRandom('forger')
    const pen = new Pen(it.world.identity('forger'), space, random)
    const sound = pen.write(note('sound'), 1_800_000_000_000)
    const unsigned = decodeDelta(encodeDelta({ ...sound, signature: new Uint8Array(64) }), crypto)
    const elsewhere = pen.write(note('for others'), 1_800_000_000_001, { space: '77'.repeat(16) })
    const place = { space, epoch: '00'.repeat(8), hlc: hlcOf(1) }
    const weak = decodeDelta(carelesslySound(mixedOrder(random), place, 'weak') ?? new Uint8Array(0), crypto)
    assert.ok(unsigned.ok && weak.ok)
    for (const [delta, words] of [
      [unsigned.value, /not signed by its author/],
      [weak.value, /not signed by its author/],
      [elsewhere, /another space/]
    ] as const) {
      const key = deltaKey(space, delta.id)
      await node.disk.rows.batch([{ table: 'delta', key, value: delta.record }], { durable: true })
      assertBreaks(checkForgery(await it.world.settled(inspect(it.evidence))), 'I3', words)
      await node.disk.rows.batch([{ table: 'delta', key, value: null }], { durable: true })
    }
    const misplaced = [{ table: 'delta', key: deltaKey(space, 'dd'.repeat(32)), value: sound.record }] as const
    await node.disk.rows.batch(misplaced, { durable: true })
    assertBreaks(checkForgery(await it.world.settled(inspect(it.evidence))), 'I3', /no delta at all|stored as/)
    it.watch.dispose()
    await it.world.stop()
  })

  test('I3: a forged frame that somebody honest passed on', async () => {
    const world = new World({ seed: 'forwarded', nodes: 2, outsiders: 1 })
    const [a, b, liar] = [nodeOf(world, 0).peer, nodeOf(world, 1).peer, world.outsiders[0]?.peer ?? '']
    const forger = { kind: 'bad-signature', peer: liar, author: '' } as const
    const { deliveries } = world.air
    deliveries.published('f0', liar, 1)
    deliveries.arrived('f0', a, liar, 2)
    assert.deepEqual(checkForwarding({ world, liars: [forger] }), [])
    deliveries.arrived('f0', b, a, 3)
    assertBreaks(checkForwarding({ world, liars: [forger] }), 'I3', /over 2 hops/)
    assert.deepEqual(checkForwarding({ world, liars: [{ ...forger, kind: 'time-liar' }] }), [], 'its frames are sound')
  })

  test('I15: a record that nobody can list, and a tag the index has not heard of', async () => {
    const it = await checkedWorld('index')
    const scene = await it.world.settled(inspect(it.evidence))
    assert.deepEqual(await it.world.settled(checkIndex(scene)), [])
    const [view] = scene.views
    assert.ok(view !== undefined)
    const { all, byTag } = contentsOf(view)
    assert.deepEqual([all.size, byTag.get('own')?.size, byTag.get('red')?.size], [4, 3, undefined])
    const [id = ''] = all
    const fewer = { ...scene, views: [{ ...view, records: new Map([...view.records].filter(([one]) => one !== id)) }] }
    assertBreaks(
      await it.world.settled(checkIndex(fewer)),
      'I15',
      /0 records that are stored are not listed, and 1 are/
    )
    assertBreaks(
      compareLists('node-0', 'tagged own', new Set(['a', 'b']), new Set(['b'])),
      'I15',
      /1 records that are tagged/
    )
    it.watch.dispose()
    await it.world.stop()
  })

  test('I11: acknowledged and not stored; stored and not shown; shown and then taken back', async () => {
    const it = await checkedWorld('sessions')
    const node = nodeOf(it.world, 0)
    const { space } = it.world
    const ack = it.acks[0] as Ack
    const key = deltaKey(space.id, ack.receipt.delta)
    const row = (await node.disk.rows.get('delta', key)) ?? new Uint8Array(0)
    await node.disk.rows.batch([{ table: 'delta', key, value: null }], { durable: true })
    it.watch.acknowledged(ack)
    await node.disk.rows.batch([{ table: 'delta', key, value: row }], { durable: true })
    const record = recordKey(space.id, ack.receipt.id)
    const empty = recordValue(1, encodeRecord(emptyRecord(ack.receipt.id)))
    await node.disk.rows.batch([{ table: 'record', key: record, value: empty }], { durable: true })
    it.watch.acknowledged(ack)
    it.watch.tick()
    const found = await it.watch.finish()
    assertBreaks(found, 'I11', /has not stored it/)
    assertBreaks(found, 'I11', /does not show it/)
    assertBreaks(found, 'I11', /shows less than it did/)
    await it.world.stop()
  })

  test('I4: a set that shrinks while its process lives', async () => {
    const it = await checkedWorld('shrinks')
    for (let i = 0; i < 6; i++) it.watch.tick()
    const { replica } = nodeOf(it.world, 1).engine.spaceTable.all[0] ?? {}
    replica?.restoreSet(new DeltaSet(crypto))
    it.watch.tick()
    const found = await it.watch.finish()
    assertBreaks(found, 'I4', /fell from 9 to 0/)
    assertBreaks(found, 'I4', /has left its set/)
    await it.world.stop()
  })

  test('I14: an acknowledged write that a crash took along', async () => {
    const it = await checkedWorld('power')
    const node = nodeOf(it.world, 0)
    it.watch.tick()
    await it.world.settled(node.crash())
    const lost = it.acks.find((ack) => ack.node === node.name)?.receipt.delta ?? ''
    await node.disk.rows.batch([{ table: 'delta', key: deltaKey(it.world.space.id, lost), value: null }], {
      durable: true
    })
    await it.world.settled(node.start())
    assertBreaks(await it.watch.finish(), 'I14', /lost 1 acknowledged writes/)
    await it.world.stop()
  })

  test('I14: after a wiped disk nothing is owed', async () => {
    const it = await checkedWorld('wiped')
    const node = nodeOf(it.world, 0)
    it.watch.tick()
    await it.world.settled(node.crash())
    node.reformat()
    await it.world.settled(node.start())
    assert.deepEqual(await it.watch.finish(), [])
    await it.world.stop()
  })

  test('I13: a queue beyond its bound', async () => {
    const it = await checkedWorld('queues')
    const { engine } = nodeOf(it.world, 2)
    const status = engine.status()
    const crowded = { ...status, queues: { ...status.queues, inbox: 8_193 } }
    Object.defineProperty(engine, 'status', { value: () => crowded, configurable: true })
    assertBreaks(await it.watch.finish(), 'I13', /8193 wait in inbox/)
    await it.world.stop()
  })

  test('I16: an honest node that is banned, and forgiven again', async () => {
    const it = await checkedWorld('bans')
    const [a, b] = [nodeOf(it.world, 0), nodeOf(it.world, 1)]
    for (let i = 0; i < 5; i++) a.network?.report(b.peer, 'invalid', 'slander')
    it.watch.tick()
    assert.equal(it.watch.reached.has('ban-and-unban'), false)
    a.clock.offsetMs += 3_600_000
    assertBreaks(await it.watch.finish(), 'I16', /has banned honest/)
    assert.equal(it.watch.reached.has('ban-and-unban'), true)
    await it.world.stop()
  })

  test('I19: a rejection nobody handled, work that is never done, a timer that sets itself again', async () => {
    const it = await checkedWorld('idle')
    const heard = process.listeners('unhandledRejection').at(-1)
    heard?.(new Error('nobody cared'), Promise.resolve())
    const { engine } = nodeOf(it.world, 2)
    const status = engine.status()
    const stuck = { ...status, queues: { ...status.queues, verifying: 3 }, state: 'read-only' as const }
    Object.defineProperty(engine, 'status', { value: () => stuck, configurable: true })
    const found = await checkAll(it.evidence, it.watch)
    assertBreaks(found, 'I19', /nobody cared/)
    assertBreaks(found, 'I19', /3 still wait in verifying/)
    assertBreaks(found, 'I19', /is read-only at the end/)
    const again = (): void => {
      it.world.queue.after(60_000, again)
    }
    again()
    await it.world.stop()
    assertBreaks(await checkDrained(it.world), 'I19', /1 timers are still set/)
  })
})
