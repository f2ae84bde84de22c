import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta, encodeFrame } from '../../../src/memory/delta-codec.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { recordIdOfKey, topicOf } from '../../../src/memory/names.ts'
import { RECON_PROTOCOL } from '../../../src/sync/recon-codec.ts'
import type { NodeEvent } from '../../../src/node/api.ts'
import type { Writer } from '../../../src/node/writer.ts'
import { deltaKey } from '../../../src/node/rows.ts'
import { at, Bench, codeOf, FaultyStore, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { identity, note, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

let seed = 0
const start = (setup: Partial<Parameters<Bench['start']>[0]> = {}): Promise<Engine> =>
  bench.start({ seed: (seed++ % 5) + 1, ...setup })

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Holds back every batch until the returned function is called. */
function hold(store: FaultyStore): () => void {
  let open: () => void = () => undefined
  store.gate = new Promise((resolve) => {
    open = resolve
  })
  return () => {
    open()
  }
}

/** What a gossip handler is given. */
async function gossip(engine: Engine, author: Author, count = 1): Promise<void> {
  const records = Array.from({ length: count }, (_, i) => encodeDelta(author.write(at(i), note(`foreign ${i}`))))
  const from = bench.air.create(`peer of ${author.id}`)
  await from.start()
  from.subscribe(topicOf(SPACE), () => Promise.resolve('ignore'))
  from.link(engine.network)
  await from.publish(topicOf(SPACE), encodeFrame(records))
  await bench.pass(20)
  await engine.node.idle()
  from.unlink(engine.network)
}

async function arrivals(engine: Engine): Promise<number[]> {
  const rows = await engine.store.rows.scan('arrival', { limit: 10_000 })
  return rows.map((row) => Number(BigInt(`0x${toHex(row.key)}`)))
}

describe('writer: group commit', () => {
  it('writes what is asked for together in few batches, one at a time', async () => {
    const engine = await start()
    const receipts = await Promise.all(Array.from({ length: 200 }, (_, i) => engine.node.add({ content: `m ${i}` })))
    assert.equal(new Set(receipts.map((receipt) => receipt.id)).size, 200)
    const batches = engine.store.deltaBatches()
    assert.equal(batches.length, Math.ceil(200 / LIMITS.groupCommitInputsMax))
    const deltas = batches.map(({ writes }) => writes.filter((write) => write.table === 'delta').length)
    assert.ok(deltas.every((count) => count <= LIMITS.groupCommitInputsMax))
    assert.deepEqual(
      await arrivals(engine),
      Array.from({ length: 200 }, (_, i) => i + 1)
    )
  })

  for (const count of [LIMITS.groupCommitInputsMax - 1, LIMITS.groupCommitInputsMax, LIMITS.groupCommitInputsMax + 1]) {
    it(`${count} writes make ${count > LIMITS.groupCommitInputsMax ? 'two groups' : 'one group'}`, async () => {
      const engine = await start()
      await Promise.all(Array.from({ length: count }, (_, i) => engine.node.add({ content: `m ${i}` })))
      assert.equal(engine.store.deltaBatches().length, count > LIMITS.groupCommitInputsMax ? 2 : 1)
    })
  }

  it('syncs what was written here, and does not wait for the disk with what others wrote', async () => {
    const engine = await start({ seed: 1 })
    await engine.node.add({ content: 'own' })
    await gossip(engine, new Author(9))
    assert.deepEqual(
      engine.store.deltaBatches().map((batch) => batch.durable),
      [true, false]
    )
  })

  it('relaxed durability syncs nothing of it', async () => {
    const engine = await start({ options: { store: { durability: 'relaxed', groupCommitWindowMs: 0 } } })
    await engine.node.add({ content: 'own' })
    assert.deepEqual(
      engine.store.deltaBatches().map((batch) => batch.durable),
      [false]
    )
    assert.equal(engine.node.status().durability, 'memory')
  })

  it('with a window a lone write waits for company', async () => {
    const engine = await start({ options: { store: { durability: 'fsync', groupCommitWindowMs: 2 } } })
    const first = engine.node.add({ content: 'first' })
    await turn()
    const second = engine.node.add({ content: 'second' })
    assert.equal(engine.store.deltaBatches().length, 0)
    await bench.finish(Promise.all([first, second]))
    assert.equal(engine.store.deltaBatches().length, 1)
  })

  it('refuses one input alone and commits the others of its group', async () => {
    const engine = await start()
    const items = Array.from({ length: 40 }, (_, i) => ({ content: `${i} ${'x'.repeat(2_000)}` }))
    const outcomes = await Promise.allSettled([
      engine.node.add({ content: 'before' }),
      engine.node.addMany(items),
      engine.node.add({ content: 'behind' })
    ])
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['fulfilled', 'rejected', 'fulfilled']
    )
    const refused = outcomes[1]
    assert.ok(refused?.status === 'rejected' && isChrysalisError(refused.reason, 'too_large'))
    assert.equal(engine.node.spaces()[0]?.deltas, 2)
    assert.deepEqual(await arrivals(engine), [1, 2])
    assert.equal(engine.node.status().state, 'ready')
  })
})

describe('writer: persist, then send, then notify', () => {
  it('acknowledges, publishes and tells nobody before the batch is on disk', async () => {
    const order: string[] = []
    const store = new FaultyStore()
    const engine = await start({ store })
    const peer = bench.air.create('listener')
    await peer.start()
    peer.subscribe(topicOf(SPACE), () => {
      order.push('heard')
      return Promise.resolve('accept')
    })
    engine.network.link(peer)
    engine.node.onEvent((event: NodeEvent) => {
      if (event.type === 'memory') order.push('notified')
    })
    const open = hold(store)
    const added = engine.node.add({ content: 'ordered', importance: 1 }).then((receipt) => {
      order.push('acknowledged')
      return receipt
    })
    await bench.pass(2_000)
    assert.equal(order.length, 0, 'nothing happens while the disk is busy')
    assert.equal((await engine.node.search({ query: 'ordered' })).items.length, 0, 'nor does a reader see it')
    assert.equal((await engine.node.changes({})).changes.length, 0)
    const batch = store.rows.batch.bind(store.rows)
    store.rows.batch = async (writes, options) => {
      await batch(writes, options)
      order.push('stored')
    }
    open()
    const receipt = await added
    await bench.pass(2_000, () => order.includes('heard'))
    assert.deepEqual([...order].sort(), ['acknowledged', 'heard', 'notified', 'stored'])
    assert.equal(order[0], 'stored')
    assert.equal(order[3], 'heard')
    assert.equal((await engine.node.search({ query: 'ordered' })).items[0]?.id, receipt.id)
    peer.unlink(engine.network)
  })

  it('hands over to a reconciling peer only what is on disk', async () => {
    const store = new FaultyStore()
    const [a, b] = [await start({ seed: 1, store }), await start({ seed: 2 })]
    a.network.link(b.network)
    await bench.pass(1_000)
    const open = hold(store)
    const added = a.node.add({ content: 'not yet' })
    await bench.finish(b.node.syncNow({}))
    assert.equal(b.node.spaces()[0]?.deltas, 0)
    open()
    await added
    // The other side is told that the session is over; only then does it take the next one.
    await bench.pass(50)
    await bench.finish(b.node.syncNow({}))
    assert.equal(b.node.spaces()[0]?.deltas, 1)
    a.network.unlink(b.network)
  })
})

describe('writer: a store that fails', () => {
  it('acknowledges nothing of a failed group, reads on, and writes again once it is reopened', async () => {
    const store = new FaultyStore()
    const engine = await start({ store })
    const kept = await engine.node.add({ content: 'kept before' })
    const epoch = engine.node.epoch
    const events: NodeEvent[] = []
    engine.node.onEvent((event) => events.push(event))
    store.failWith = 'disk_full'
    store.reopenFails = true
    const failed = await Promise.all([1, 2, 3].map((i) => codeOf(engine.node.add({ content: `lost ${i}` }))))
    assert.deepEqual(failed, ['disk_full', 'disk_full', 'disk_full'])
    assert.equal(engine.node.status().state, 'read-only')
    assert.equal(engine.node.health().ready, false)
    assert.match(engine.node.status().reasons.join(), /until there is room/)
    assert.equal(await codeOf(engine.node.add({ content: 'refused' })), 'disk_full')
    assert.equal((await engine.node.get([kept.id]))[0]?.content, 'kept before')
    assert.equal((await engine.node.search({ query: 'kept' })).items.length, 1)
    assert.equal((await engine.node.search({ query: 'lost' })).items.length, 0)
    assert.deepEqual(
      events.map((event) => event.type === 'node' && event.what),
      ['read-only']
    )

    await bench.pass(5_000)
    assert.ok(store.reopened >= 2, 'it tries again and again')
    assert.equal(engine.node.status().state, 'read-only')
    store.failWith = undefined
    store.reopenFails = false
    await bench.pass(5_000, () => engine.node.status().state === 'ready')
    assert.deepEqual(engine.node.status().reasons, [])
    assert.equal(engine.node.spaces()[0]?.deltas, 1, 'what failed is gone')
    assert.notEqual(engine.node.epoch, epoch, 'and its numbers are never used again')

    const next = await engine.node.add({ content: 'after' })
    assert.deepEqual(await arrivals(engine), [1, 2], 'no gap in the arrival log')
    const { changes } = await engine.node.changes({})
    assert.deepEqual(
      changes.map((change) => change.delta),
      [kept.delta, next.delta]
    )
    const entry = (await engine.node.history(next.id))[0]
    assert.deepEqual([entry?.seq, entry?.epoch], [0, engine.node.epoch])
    assert.equal(
      toHex((await store.rows.get('meta', new TextEncoder().encode('epoch'))) ?? new Uint8Array()),
      engine.node.epoch
    )
  })

  it('names a full disk and an unknown fault, and calls anything else a defect', async () => {
    const store = new FaultyStore()
    const engine = await start({ store })
    store.failWith = 'unavailable'
    assert.equal(await codeOf(engine.node.add({ content: 'x' })), 'unavailable')
    assert.equal(engine.node.status().state, 'read-only')

    const crashes: unknown[] = []
    const broken = new FaultyStore()
    const other = await start({ store: broken, hooks: { crashed: (error) => void crashes.push(error) } })
    broken.batch = () => Promise.reject(new TypeError('a defect'))
    const error = await other.node.add({ content: 'x' }).then(
      () => undefined,
      (reason: unknown) => reason
    )
    assert.ok(error instanceof ChrysalisError)
    assert.equal(error.code, 'unavailable')
    assert.ok(crashes[0] instanceof TypeError)
  })

  it('finds a batch that came back with the store: counted, indexed, told, and never numbered again', async () => {
    const store = new FaultyStore()
    const engine = await start({ store })
    const events: NodeEvent[] = []
    engine.node.onEvent((event) => events.push(event))
    const batch = store.batch.bind(store)
    // The disk takes the batch, and only then the sync fails.
    store.batch = async (writes, options) => {
      await store.rows.batch(writes, options)
      throw new ChrysalisError('unavailable', 'the sync failed')
    }
    assert.equal(await codeOf(engine.node.add({ content: 'resurrected' })), 'unavailable')
    assert.equal((await engine.node.search({ query: 'resurrected' })).items.length, 0)
    store.batch = batch
    await bench.pass(5_000, () => engine.node.status().state === 'ready')
    await engine.node.idle()
    assert.equal(engine.node.spaces()[0]?.deltas, 1)
    const [found] = (await engine.node.search({ query: 'resurrected' })).items
    assert.equal(found?.content, 'resurrected')
    assert.equal(events.filter((event) => event.type === 'memory').length, 1)
    const next = await engine.node.add({ content: 'next' })
    const [old, entry] = [(await engine.node.history(found?.id ?? ''))[0], (await engine.node.history(next.id))[0]]
    assert.notEqual(old?.epoch, entry?.epoch)
    assert.deepEqual(await arrivals(engine), [1, 2])
  })

  it('does not wake up again when it is stopped while it reopens', async () => {
    const store = new FaultyStore()
    const engine = await start({ store })
    store.failWith = 'disk_full'
    await codeOf(engine.node.add({ content: 'x' }))
    let reopened: () => void = () => undefined
    const reopen = store.reopen.bind(store)
    store.failWith = undefined
    store.reopen = async () => {
      await new Promise<void>((resolve) => {
        reopened = resolve
      })
      await reopen()
    }
    await bench.pass(2_001)
    let stopped = false
    const stop = engine.node.stop().then(() => {
      stopped = true
    })
    await bench.pass(100)
    assert.equal(stopped, false, 'stop waits for the reopening')
    reopened()
    await bench.finish(stop)
    assert.equal(await codeOf(engine.node.add({ content: 'late' })), 'unavailable')
  })

  it('lets a damaged record row stand in the way of nobody, and a lost delta only in that of its record', async () => {
    const store = new FaultyStore()
    const engine = await start({ store, seed: 1 })
    const bad = await engine.node.add({ content: 'damaged later', key: 'bad' })
    const restarted = await bench.restart(engine)
    store.damage = (table, key, value) => {
      if (table === 'record' && toHex(key).endsWith(bad.id)) {
        throw new ChrysalisError('corrupt', 'a row of table record fails its checksum')
      }
      return value
    }
    const codes = await Promise.all([
      codeOf(restarted.node.add({ content: 'good' })),
      codeOf(restarted.node.add({ content: 'more', key: 'bad' })),
      codeOf(restarted.node.add({ content: 'good too' }))
    ])
    assert.deepEqual(codes, ['resolved', 'resolved', 'resolved'], 'it is folded again from its deltas')
    const { damage } = store
    const hidden = restarted.node.spaceTable.all[0]?.id ?? ''
    await store.rows.batch([{ table: 'delta', key: deltaKey(hidden, bad.delta), value: null }], { durable: true })
    const again = await bench.restart(restarted)
    store.damage = damage
    const later = await Promise.all([
      codeOf(again.node.add({ content: 'good' })),
      codeOf(again.node.add({ content: 'more', key: 'bad' })),
      codeOf(again.node.add({ content: 'good too' }))
    ])
    assert.deepEqual(later, ['resolved', 'corrupt', 'resolved'])
    assert.equal(restarted.node.status().state, 'ready')
    assert.equal(restarted.node.epoch, engine.node.epoch)
  })
})

describe('writer: a cloned identity', () => {
  it('moves all spaces to one new epoch, and writes each number once', async () => {
    const store = new FaultyStore()
    const engine = await start({ seed: 1, store, hasPrivate: true, epoch: 'aa'.repeat(8) })
    const checkpoints: string[] = []
    const hooked = await bench.restart(engine, {
      hooks: {
        checkpoint: (progress) => {
          checkpoints.push(progress.epoch)
          return Promise.resolve()
        }
      }
    })
    await gossip(hooked, new Author(1, 'aa'.repeat(8)), 3)
    assert.notEqual(hooked.node.epoch, 'aa'.repeat(8))
    assert.equal(checkpoints.at(-1), hooked.node.epoch, 'written down at once')
    await hooked.node.add({ content: 'one' })
    await hooked.node.add({ content: 'two', space: 'mine' })
    await hooked.node.add({ content: 'three' })
    const places = new Set<string>()
    for (const row of await store.rows.scan('author', { limit: 100 })) places.add(toHex(row.key.subarray(0, 64)))
    assert.equal(places.size, 6)
    assert.deepEqual(
      hooked.node.spaceTable.all.map((space) => space.replica.epoch),
      [hooked.node.epoch, hooked.node.epoch]
    )
  })

  it('keeps the place a space has taken in the new epoch within the very group that drew it', async () => {
    const other = '6c'.repeat(16)
    const epoch = 'ab'.repeat(8)
    const base = { policy: 'open' as const, shared: true, creator: '00'.repeat(32) }
    const engine = await start({
      seed: 1,
      epoch,
      options: {
        spaces: [
          { id: SPACE, name: 'one', isDefault: true, ...base },
          { id: other, name: 'two', isDefault: false, ...base }
        ]
      }
    })
    const clone = new Author(1, epoch)
    const due = hlcOf(engine.clock.nowMs() + LIMITS.clockLeadMsMax + 100)
    for (const space of [SPACE, other]) {
      await gossipInto(engine, space, clone.forge({ space, seq: 9, prev: '0e'.repeat(32), hlc: due }))
    }
    await engine.node.idle()
    const { writer } = engine.node as unknown as { writer: Writer }
    const open = hold(engine.store)
    const blocker = engine.node.add({ content: 'in a group before' })
    await bench.pass(101)
    // One group: a clone is found in both spaces, and then the second one writes.
    const ticks = [SPACE, other].map((id) => writer.submit(engine.node.spaceTable.find(id), { input: 'tick' }))
    const write = engine.node.add({ content: 'own', space: 'two' })
    open()
    await Promise.all([blocker, ...ticks, write])
    assert.equal(engine.store.deltaBatches().length, 2)
    await engine.node.add({ content: 'own again', space: 'two' })
    await engine.node.add({ content: 'own', space: 'one' })
    const rows = await engine.store.rows.scan('author', { limit: 100 })
    const places = rows.map((row) => toHex(row.key.subarray(0, 64)))
    assert.equal(places.length, 6)
    assert.equal(new Set(places).size, 6, 'no place is used twice')
    assert.deepEqual((await engine.node.verify({})).equivocators, [])
  })
})

/** Hands one delta to the gossip handler of a space, directly. */
async function gossipInto(engine: Engine, space: string, delta: ReturnType<Author['write']>): Promise<void> {
  const from = bench.air.create(`peer ${space} ${delta.id}`)
  await from.start()
  from.subscribe(topicOf(space), () => Promise.resolve('ignore'))
  await engine.network.hearNow(topicOf(space), encodeFrame([encodeDelta(delta)]), from)
}

describe('writer: stopping', () => {
  it('finishes what is being written, refuses what comes after, and stops once', async () => {
    const store = new FaultyStore()
    const engine = await start({ store })
    const open = hold(store)
    const inFlight = engine.node.add({ content: 'in flight' })
    await turn()
    const queued = codeOf(engine.node.add({ content: 'queued' }))
    let stopped = false
    const stop = engine.node.stop()
    assert.equal(engine.node.stop(), stop)
    void stop.then(() => {
      stopped = true
    })
    await bench.pass(500)
    assert.equal(stopped, false)
    open()
    await bench.finish(stop)
    assert.equal((await inFlight).syncState, 'local')
    assert.equal(await queued, 'unavailable')
    assert.equal(await codeOf(engine.node.add({ content: 'late' })), 'unavailable')
    assert.deepEqual(await arrivals(engine), [1])
    assert.equal(engine.network.running, false)
  })

  it('is not held up by a peer that says nothing', async () => {
    const engine = await start()
    const silent = bench.air.create('silent peer')
    await silent.start()
    silent.subscribe(topicOf(SPACE), () => Promise.resolve('ignore'))
    silent.serve(RECON_PROTOCOL, async (channel) => {
      while ((await channel.receive()) !== undefined) continue
    })
    silent.link(engine.network)
    const session = engine.node.syncNow({})
    await bench.pass(50)
    const before = bench.queue.nowMs
    await bench.finish(engine.node.stop())
    assert.ok(bench.queue.nowMs - before < 1_000, 'long before any deadline')
    assert.equal((await session).sessions[0]?.result, 'failed')
    await silent.stop()
  })
})

describe('writer: records', () => {
  it('gives a keyed memory the same id whoever writes it', async () => {
    const engine = await start()
    const receipt = await engine.node.add({ content: 'x', key: 'a/b' })
    assert.equal(receipt.id, recordIdOfKey(identity(1), SPACE, 'a/b'))
    assert.equal(fromHex(receipt.fingerprint).length, 48)
    assert.equal(receipt.fingerprint.slice(0, 64), receipt.delta)
  })
})
