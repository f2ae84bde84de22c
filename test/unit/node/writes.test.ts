import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta, encodeFrame } from '../../../src/memory/delta-codec.ts'
import { topicOf } from '../../../src/memory/names.ts'
import type { AddRequest } from '../../../src/node/api.ts'
import { NODE_DEFAULTS } from '../../../src/node/options.ts'
import { at, Bench, codeOf, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

let seed = 60
const start = (setup: Partial<Parameters<Bench['start']>[0]> = {}): Promise<Engine> =>
  bench.start({ seed: seed++, ...setup })

async function pair(): Promise<[Engine, Engine]> {
  const [a, b] = [await start(), await start()]
  a.network.link(b.network)
  await bench.pass(500)
  return [a, b]
}

describe('writes: many at once', () => {
  it('writes all of them in one delta, or none', async () => {
    const { node } = await start()
    const bad: AddRequest[] = [{ content: 'good' }, { content: '   ' }]
    assert.equal(await codeOf(node.addMany(bad)), 'invalid_argument')
    assert.equal(await codeOf(node.addMany([{ content: 'x' }, { content: 'y', space: 'nowhere' }])), 'not_found')
    assert.equal(node.spaces()[0]?.deltas, 0)
    await node.addMany([{ content: 'x' }, { content: 'y' }])
    assert.equal(node.spaces()[0]?.deltas, 1)
  })

  for (const count of [0, LIMITS.addManyItemsMax - 1, LIMITS.addManyItemsMax, LIMITS.addManyItemsMax + 1]) {
    const code = count === 0 ? 'invalid_argument' : count > LIMITS.addManyItemsMax ? 'too_large' : 'resolved'
    it(`${count} memories: ${code}`, async () => {
      const { node } = await start()
      const items = Array.from({ length: count }, (_, i) => ({ content: `m${i}` }))
      assert.equal(await codeOf(node.addMany(items)), code)
      assert.equal(node.spaces()[0]?.records, 0)
      await node.idle()
      assert.equal(node.spaces()[0]?.records, code === 'resolved' ? count : 0)
    })
  }

  it('takes one key twice in one request as one memory, the later words standing', async () => {
    const { node } = await start()
    const receipts = await node.addMany([
      { content: 'first', key: 'k', tags: ['a'] },
      { content: 'second', key: 'k', tags: ['b'] }
    ])
    assert.equal(receipts[0]?.id, receipts[1]?.id)
    const [item] = await node.get([receipts[0]?.id ?? ''])
    assert.deepEqual([item?.content, item?.tags, item?.version], ['second', ['a', 'b'], 1])
  })

  it('makes one delta for each space', async () => {
    const { node } = await start({ hasPrivate: true })
    const receipts = await node.addMany([
      { content: 'a', space: 'mine' },
      { content: 'b' },
      { content: 'c', space: 'mine' }
    ])
    assert.equal(receipts[0]?.delta, receipts[2]?.delta)
    assert.notEqual(receipts[0]?.space, receipts[1]?.space)
    assert.deepEqual(
      (await node.get(receipts.map((receipt) => receipt.id))).map((item) => item?.content),
      ['a', 'b', 'c']
    )
  })
})

describe('writes: versions', () => {
  it('lets one of several concurrent revisions of a version through', async () => {
    const { node } = await start()
    const { id } = await node.add({ content: 'v1' })
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, i) => codeOf(node.revise({ id, content: `by ${i}`, ifVersion: 1 })))
    )
    assert.deepEqual(outcomes.sort(), [...new Array<string>(7).fill('conflict'), 'resolved'].sort())
    assert.equal((await node.get([id]))[0]?.version, 2)
    assert.equal(await codeOf(node.revise({ id, content: 'on', ifVersion: 2 })), 'resolved')
    await assert.rejects(node.revise({ id, content: 'late', ifVersion: 2 }), (error: unknown) => {
      assert.ok(isChrysalisError(error, 'conflict'))
      assert.deepEqual([error.data, error.stateTouched], [{ version: 3 }, false])
      return true
    })
  })

  it('does not hold up other revisions while one waits for peers', async () => {
    const { node } = await start()
    const { id } = await node.add({ content: 'v1' })
    const waiting = node.revise({ id, content: 'v2' }, { ack: { replicas: 1, timeoutMs: 5_000 } })
    const after = node.revise({ id, content: 'v3' })
    assert.equal(await codeOf(after), 'resolved', 'no time has passed')
    assert.equal(await codeOf(bench.finish(waiting)), 'timeout')
    assert.equal((await node.get([id]))[0]?.content, 'v3')
  })

  it('goes on after a revision that failed', async () => {
    const { node } = await start()
    const { id } = await node.add({ content: 'same' })
    const outcomes = await Promise.all([
      codeOf(node.revise({ id, content: 'same' })),
      codeOf(node.revise({ id, content: 'other' }))
    ])
    assert.deepEqual(outcomes, ['invalid_argument', 'resolved'])
    assert.equal(await codeOf(node.revise({ id: '0'.repeat(64), content: 'x' })), 'not_found')
  })
})

describe('writes: acknowledged by peers', () => {
  it('resolves once enough peers hold it', async () => {
    const [a, b] = await pair()
    const receipt = await bench.finish(a.node.add({ content: 'x' }, { ack: { replicas: 1, timeoutMs: 10_000 } }))
    assert.equal(receipt.syncState, 'synced')
    assert.equal((await b.node.get([receipt.id]))[0]?.content, 'x')
    const [item] = await a.node.get([receipt.id])
    assert.deepEqual([item?.syncState, item?.holders], ['synced', 1])
  })

  it('says when too few do, and that it is written nevertheless', async () => {
    const [a] = await pair()
    const began = bench.queue.nowMs
    const error: unknown = await bench
      .finish(a.node.add({ content: 'x' }, { ack: { replicas: 2, timeoutMs: 3_000 } }))
      .catch((reason: unknown) => reason)
    assert.ok(isChrysalisError(error, 'timeout'))
    assert.equal(error.stateTouched, true)
    assert.match(error.message, /^1 of 2 peers/)
    assert.ok(bench.queue.nowMs - began >= 3_000)
    assert.equal(a.node.spaces()[0]?.deltas, 1)
  })

  it('cannot be asked of a private space', async () => {
    const { node } = await start({ hasPrivate: true })
    const options = { ack: { replicas: 1, timeoutMs: 1_000 } }
    const error: unknown = await node.add({ content: 'x', space: 'mine' }, options).catch((reason: unknown) => reason)
    assert.ok(isChrysalisError(error, 'invalid_state'))
    assert.equal(error.stateTouched, true)
  })
})

describe('writes: how far it has spread', () => {
  it('goes from local to pending to synced, and syncStatus counts along', async () => {
    const a = await start()
    const { id } = await a.node.add({ content: 'x' })
    const stateOf = async (): Promise<unknown> => (await a.node.get([id]))[0]?.syncState
    const counts = async (): Promise<unknown> => {
      const [space] = (await a.node.syncStatus()).spaces
      return [space?.local, space?.pending, space?.synced]
    }
    await bench.pass(200)
    assert.deepEqual([await stateOf(), await counts()], ['local', [1, 0, 0]], 'offered to nobody is not handed over')
    // A listener that takes the message and cannot reconcile: handed over, but nothing is proven.
    const listener = bench.air.create('listener')
    await listener.start()
    listener.subscribe(topicOf(SPACE), () => Promise.resolve('accept'))
    a.network.link(listener)
    await bench.pass(3_000)
    assert.deepEqual([await stateOf(), await counts()], ['pending', [0, 1, 0]])
    const b = await start()
    a.network.link(b.network)
    await bench.finish(a.node.syncNow({ peer: b.network.self }))
    assert.deepEqual([await stateOf(), await counts()], ['synced', [0, 0, 1]])
    const again = await bench.restart(a)
    assert.equal((await again.node.get([id]))[0]?.syncState, 'synced', 'it is remembered')
  })

  it('takes back what it believed of a peer that lost its disk', async () => {
    const [a, b] = await pair()
    const ids: string[] = []
    for (let i = 0; i < 4; i++) ids.push((await a.node.add({ content: `m${i}` })).id)
    await bench.finish(a.node.syncNow({}))
    assert.equal((await a.node.get([ids[3] ?? '']))[0]?.syncState, 'synced')
    await bench.finish(b.node.stop())
    const empty = await start({ seed: b.setup.seed })
    // The new disk fails at once: the peer is sent everything and keeps nothing.
    empty.store.failWith = 'disk_full'
    empty.store.reopenFails = true
    await codeOf(empty.node.add({ content: 'fills the disk' }))
    a.network.link(empty.network)
    await bench.finish(empty.node.syncNow({}))
    await bench.pass(100)
    assert.notEqual((await a.node.get([ids[3] ?? '']))[0]?.syncState, 'synced')
    assert.notEqual((await a.node.get([ids[0] ?? '']))[0]?.syncState, 'synced')
  })

  it('is local for ever in a private space', async () => {
    const [a] = await pair()
    await bench.finish(a.node.stop())
    const b = await start({ hasPrivate: true })
    const { id, syncState } = await b.node.add({ content: 'x', space: 'mine' })
    assert.equal(syncState, 'local')
    assert.equal((await b.node.get([id]))[0]?.syncState, 'local')
    assert.deepEqual((await b.node.syncStatus()).spaces.find((space) => space.name === 'mine')?.local, 1)
  })
})

describe('writes: working memory', () => {
  const working = { content: 'half a thought', tier: 'working', tags: ['idea'] } as const

  it('stays at home until it is important enough, then becomes a shared memory with it as parent', async () => {
    const { node } = await start({ hasPrivate: true })
    const draft = await node.add({ ...working, importance: 0.3 })
    assert.equal(draft.promoted, undefined)
    assert.equal(node.spaces()[0]?.deltas, 0)
    assert.equal((await node.get([draft.id]))[0]?.spaceName, 'mine')
    const low = await node.revise({ id: draft.id, importance: 0.69 })
    assert.equal(low.promoted, undefined)
    const revised = await node.revise({ id: draft.id, importance: 0.7 })
    assert.ok(revised.promoted !== undefined)
    const [shared, own] = await node.get([revised.promoted, draft.id])
    assert.deepEqual([shared?.spaceName, shared?.content, shared?.tags], ['shared', 'half a thought', ['idea']])
    assert.deepEqual([shared?.parents, shared?.importance?.max], [[draft.id], 0.7])
    assert.deepEqual(own?.tags, ['idea'])
    const later = await node.revise({ id: draft.id, importance: 0.9 })
    assert.equal(later.promoted, undefined, 'once is enough')
    assert.equal(node.spaces()[0]?.deltas, 1)
  })

  it('is promoted at once when it is born important', async () => {
    const { node } = await start({ hasPrivate: true })
    const receipt = await node.add({ ...working, importance: 1 })
    assert.ok(receipt.promoted !== undefined)
    assert.equal((await node.get([receipt.promoted]))[0]?.spaceName, 'shared')
  })

  it('leaves other private memories private, whatever they weigh', async () => {
    const { node } = await start({ hasPrivate: true })
    const diary = await node.add({ content: 'my diary', space: 'mine', importance: 1 })
    await node.revise({ id: diary.id, content: 'my other diary' })
    assert.equal(node.spaces()[0]?.deltas, 0)
  })

  it('refuses before writing when there is no private space, or nowhere to promote to', async () => {
    const without = await start()
    assert.equal(await codeOf(without.node.add(working)), 'invalid_state')
    const { node } = await start({ hasPrivate: true })
    assert.equal(await codeOf(node.add({ ...working, space: 'nowhere', importance: 1 })), 'not_found')
    assert.deepEqual(
      node.spaces().map((space) => space.deltas),
      [0, 0]
    )
  })
})

describe('writes: reading counts', () => {
  it('are told in one delta at the interval, not at the search, and lose no reading', async () => {
    const engine = await start({ options: { access: { intervalMs: 60_000 } } })
    const { node } = engine
    const { id } = await node.add({ content: 'often asked for' })
    const never = await node.add({ content: 'unwanted' })
    for (let i = 0; i < 3; i++) await node.search({ query: 'often asked' })
    await bench.pass(1_000)
    assert.equal(node.spaces()[0]?.deltas, 2)
    await bench.pass(60_000)
    await node.idle()
    assert.equal(node.spaces()[0]?.deltas, 3)
    const items = await node.get([id, never.id])
    assert.deepEqual(
      items.map((item) => item?.accessCount),
      [3, 0]
    )
    // One more while the counts are being written.
    await node.search({ query: 'often asked' })
    let open: () => void = () => undefined
    engine.store.gate = new Promise((resolve) => {
      open = resolve
    })
    await bench.pass(60_000)
    await node.search({ query: 'often asked' })
    engine.store.gate = undefined
    open()
    await bench.pass(61_000)
    await node.idle()
    assert.equal((await node.get([id]))[0]?.accessCount, 5)
    await bench.pass(120_000)
    assert.equal(node.spaces()[0]?.deltas, 5, 'nothing read, nothing told')
  })
})

describe('writes: storms', () => {
  it('leave one entry in the audit log, with how many writes, by whom and to which version', async () => {
    const options = { storm: { writes: 20, windowMs: 2_000 } }
    const engine = await start({ options })
    const { node } = engine
    const { id } = await node.add({ content: '0', key: 'hot' })
    await node.add({ content: 'calm' })
    const author = new Author(2)
    const key = { by: 'key', key: 'hot' } as const
    for (let i = 0; i < 30; i++) {
      const delta = author.write(at(bench.queue.nowMs), [{ op: 'set', target: key, field: 'content', value: `${i}` }])
      const from = bench.air.networks[0]
      assert.ok(from !== undefined)
      await engine.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(delta)]), from)
    }
    await node.idle()
    assert.deepEqual((await node.stats()).writeStorms, [])
    await bench.pass(10_000)
    const { writeStorms } = await node.stats()
    assert.equal(writeStorms.length, 1)
    const [storm] = writeStorms
    assert.deepEqual([storm?.record, storm?.writes, storm?.version], [id, 31, 31])
    assert.equal(storm?.authors.length, 2)
    await bench.pass(30_000)
    assert.equal((await node.stats()).writeStorms.length, 1, 'told once')
  })

  it('that are still going on are written down at the stop', async () => {
    const engine = await start({ options: { storm: { writes: 5, windowMs: 60_000 } } })
    for (let i = 0; i < 5; i++) await engine.node.add({ content: `${i}`, key: 'hot' })
    await engine.node.add({ content: 'x', key: 'warm' })
    const again = await bench.restart(engine)
    assert.deepEqual(
      (await again.node.stats()).writeStorms.map((storm) => [storm.writes, storm.version]),
      [[5, 5]]
    )
  })

  it('keep to the bound of the audit log', async () => {
    const engine = await start({ options: { storm: { ...NODE_DEFAULTS.storm, writes: 1, windowMs: 1 } } })
    const rows = Array.from({ length: LIMITS.auditEntriesMax }, (_, i) => ({
      table: 'audit' as const,
      key: new Uint8Array([0, 0, 0, 0, 0, 0, i >> 8, i & 255, 0, 0, 0, 0]),
      value: new TextEncoder().encode(JSON.stringify({ space: SPACE, record: `${i}` }))
    }))
    await engine.store.rows.batch(rows, { durable: false })
    await engine.node.add({ content: 'a storm of one' })
    await bench.pass(10_000)
    const kept = await engine.store.rows.scan('audit', { limit: 2_000 })
    assert.equal(kept.length, LIMITS.auditEntriesMax)
    assert.ok(!new TextDecoder().decode(kept[0]?.value).includes('"record":"0"'), 'the oldest went')
  })
})
