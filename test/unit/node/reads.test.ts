import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta, encodeFrame } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { recordIdOfOrdinal, topicOf } from '../../../src/memory/names.ts'
import { encodeRecord } from '../../../src/memory/record-codec.ts'
import { emptyRecord } from '../../../src/memory/record.ts'
import { recordKey, recordValue } from '../../../src/node/rows.ts'
import { at, authorOf, Bench, codeOf, FaultyStore, PRIVATE_SPACE, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { identity, note, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())
const stranger = bench.air.create('a stranger')

async function hear(engine: Engine, ...deltas: readonly VerifiedDelta[]): Promise<void> {
  for (const delta of deltas) {
    await engine.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(delta)]), stranger)
  }
  await engine.node.idle()
}

let seed = 30
const start = (setup: Partial<Parameters<Bench['start']>[0]> = {}): Promise<Engine> =>
  bench.start({ seed: seed++, ...setup })

describe('reads: finding', () => {
  it('finds at once what was just acknowledged, revised and retracted', async () => {
    const { node } = await start()
    const { id } = await node.add({ content: 'the staging cluster lives in Oslo' })
    assert.equal((await node.search({ query: 'Oslo' })).items[0]?.id, id)
    await node.revise({ id, content: 'the staging cluster lives in Bergen' })
    assert.equal((await node.search({ query: 'Oslo' })).items.length, 0)
    assert.equal((await node.search({ query: 'Bergen' })).items[0]?.version, 2)
    await node.retract({ id, reason: 'moved away' })
    assert.equal((await node.search({ query: 'Bergen' })).items.length, 0)
    const [item] = (await node.search({ query: 'Bergen', includeRetracted: true })).items
    assert.equal(item?.retracted, 'moved away')
    assert.equal((await node.list({})).items.length, 0)
    assert.equal((await node.list({ includeRetracted: true })).items.length, 1)
  })

  it('answers within its bounds', async () => {
    const { node } = await start()
    const query = 'q'.repeat(LIMITS.queryBytesMax)
    assert.equal(await codeOf(node.search({ query })), 'resolved')
    assert.equal(await codeOf(node.search({ query: `${query}q` })), 'too_large')
    await node.addMany(Array.from({ length: LIMITS.recallResultsMax + 1 }, (_, i) => ({ content: `same word ${i}` })))
    assert.equal((await node.search({ query: 'same' })).items.length, 10)
    assert.equal((await node.search({ query: 'same', limit: 10_000 })).items.length, LIMITS.recallResultsMax)
    assert.equal((await node.search({ query: 'same', limit: 0 })).items.length, 1)
    assert.equal(await codeOf(node.search({ query: 'same', authors: ['not a peer'] })), 'invalid_argument')
    assert.equal(await codeOf(node.search({ query: 'same', spaces: ['nowhere'] })), 'not_found')
  })

  it('pages through a list without missing or repeating', async () => {
    const { node } = await start()
    for (let i = 0; i < 7; i++) await node.add({ content: `item ${i}` })
    const seen: string[] = []
    let cursor: string | null | undefined
    do {
      const page = await node.list({ limit: 3, ...(cursor === undefined ? {} : { cursor: cursor as string }) })
      seen.push(...page.items.map((item) => item.id))
      cursor = page.cursor
    } while (cursor !== null)
    assert.equal(seen.length, 7)
    assert.equal(new Set(seen).size, 7)
    assert.equal(await codeOf(node.list({ cursor: 'nonsense' })), 'invalid_argument')
  })

  it('pages through delta ids in order', async () => {
    const { node } = await start()
    for (let i = 0; i < 5; i++) await node.add({ content: `item ${i}` })
    const all = (await node.deltaIds({})).ids
    const first = await node.deltaIds({ limit: 2 })
    const second = await node.deltaIds({ limit: 3, cursor: first.cursor ?? '' })
    assert.deepEqual([...first.ids, ...second.ids], all)
    const end = await node.deltaIds({ cursor: second.cursor ?? '' })
    assert.deepEqual(end, { ids: [], cursor: null })
    assert.equal(await codeOf(node.deltaIds({ cursor: '12' })), 'invalid_argument')
  })

  it('gives null for what is not here, and refuses what is no id', async () => {
    const { node } = await start({ hasPrivate: true })
    const { id } = await node.add({ content: 'x' })
    const mine = await node.add({ content: 'y', space: 'mine' })
    const answers = await node.get([id, '00'.repeat(32), mine.id])
    assert.deepEqual(
      answers.map((item) => item?.spaceName ?? null),
      ['shared', null, 'mine']
    )
    assert.equal((await node.get([mine.id], 'shared'))[0], null)
    for (const bad of ['zz', id.slice(0, 10), id.toUpperCase()]) {
      assert.equal(await codeOf(node.get([bad])), 'invalid_argument', bad)
    }
  })
})

describe('reads: references', () => {
  /** Records whose ids begin alike, which hashes do not do by themselves. */
  async function alike(ids: readonly string[], space = SPACE): Promise<Engine> {
    const store = new FaultyStore()
    const writes = ids.map((id) => ({
      table: 'record' as const,
      key: recordKey(space, id),
      value: recordValue(1, encodeRecord(emptyRecord(id)))
    }))
    await store.rows.batch(writes, { durable: true })
    return start({ store, hasPrivate: true })
  }
  const a = `abcdef1${'0'.repeat(57)}`
  const b = `abcdef2${'0'.repeat(57)}`
  const c = `abcdf${'0'.repeat(59)}`

  it('finds a record by prefixes of an odd and an even number of digits', async () => {
    const { node } = await alike([a, b, c])
    for (const [prefix, id] of [
      ['abcdef1', a],
      ['abcdef2', b],
      ['abcdef10', a],
      ['abcdf0', c],
      ['abcdf00', c],
      [a.slice(0, 63), a],
      [a, a],
      ['ABCDEF1', a]
    ] as const) {
      assert.equal(await node.resolve(prefix), id, prefix)
    }
  })

  it('says when a prefix names several, none, or is too short', async () => {
    const { node } = await alike([a, b, c])
    await assert.rejects(node.resolve('abcdef'), (error: unknown) => {
      assert.ok(isChrysalisError(error, 'ambiguous_id'))
      assert.match(error.message, /^2 memories/)
      assert.match(error.hint ?? '', /abcdef100000, abcdef200000/)
      return true
    })
    assert.equal(await codeOf(node.resolve('abcdee')), 'not_found')
    assert.equal(await codeOf(node.resolve('abcdef3')), 'not_found')
    assert.equal(await codeOf(node.resolve('abcde')), 'invalid_argument')
    assert.equal(await codeOf(node.resolve(`${a}0`)), 'invalid_argument')
    assert.equal(await codeOf(node.resolve('hello!')), 'invalid_argument')
    assert.equal(await codeOf(node.resolve('00'.repeat(32))), 'not_found')
  })

  it('finds prefixes up to the last id there can be, and stays within its space', async () => {
    const last = 'f'.repeat(64)
    const { node } = await alike([last])
    assert.equal(await node.resolve('ffffff'), last)
    assert.equal(await node.resolve('fffffff'), last)
    assert.equal(await codeOf(node.resolve('ffffff', 'mine')), 'not_found')
    const elsewhere = await alike([last], PRIVATE_SPACE)
    assert.equal(await elsewhere.node.resolve('ffffff', 'mine'), last)
    assert.equal(await elsewhere.node.resolve('ffffff'), last, 'without a space in all of them')
  })

  it('does not list more candidates than a person can read', async () => {
    const ids = Array.from({ length: 9 }, (_, i) => `abcdef${i}${'0'.repeat(57)}`)
    const { node } = await alike(ids)
    await assert.rejects(node.resolve('abcdef'), /^ChrysalisError: many memories/)
  })

  it('finds by key in the named or the default space, however the name was typed', async () => {
    const { node } = await start({ hasPrivate: true })
    const composed = await node.add({ content: 'x', key: 'caf\u00e9' })
    assert.equal(await node.resolve('key:cafe\u0301'), composed.id)
    assert.equal(await codeOf(node.resolve('key:caf\u00e9', 'mine')), 'not_found')
    const mine = await node.add({ content: 'y', key: 'only mine', space: 'mine' })
    assert.equal(await node.resolve('key:only mine', PRIVATE_SPACE), mine.id)
    assert.equal(await codeOf(node.resolve('key:only mine')), 'not_found')
    assert.equal(await codeOf(node.resolve('abcdef', 'nowhere')), 'not_found')
  })
})

describe('reads: changes', () => {
  it('gives every arrival once, in order, whatever the page, and goes on from a cursor after a restart', async () => {
    const engine = await start({ hasPrivate: true })
    const author = new Author(2)
    const ids: string[] = []
    for (let i = 0; i < 5; i++) {
      ids.push((await engine.node.add({ content: `own ${i}` })).delta)
      const foreign = author.write(at(i))
      await hear(engine, foreign)
      ids.push(foreign.id)
    }
    ids.push((await engine.node.add({ content: 'mine', space: 'mine' })).delta)
    for (const limit of [1, 3, 100]) {
      const seen: string[] = []
      let cursor = '0'
      for (let more = true; more;) {
        const page = await engine.node.changes({ cursor, limit })
        assert.ok(page.changes.length <= limit)
        seen.push(...page.changes.map((change) => change.delta))
        ;({ cursor, more } = page)
      }
      assert.deepEqual(seen, ids)
    }
    const some = await engine.node.changes({ limit: 4 })
    const again = await bench.restart(engine)
    const rest = await again.node.changes({ cursor: some.cursor })
    assert.deepEqual(
      rest.changes.map((change) => change.delta),
      ids.slice(4)
    )
    assert.deepEqual(await again.node.changes({ cursor: rest.cursor }), {
      changes: [],
      cursor: rest.cursor,
      more: false
    })
  })

  it('filters by space without losing its place, and refuses what is no cursor', async () => {
    const { node } = await start({ hasPrivate: true })
    for (let i = 0; i < 4; i++) await node.add({ content: `${i}`, space: i % 2 === 0 ? 'shared' : 'mine' })
    const first = await node.changes({ spaces: ['mine'], limit: 1 })
    assert.deepEqual([first.changes.length, first.cursor, first.more], [0, '1', true])
    const rest = await node.changes({ spaces: ['mine'], cursor: first.cursor })
    assert.equal(rest.changes.length, 2)
    assert.equal(rest.more, false)
    for (const cursor of ['-1', 'x', '1.5', '9'.repeat(20)]) {
      assert.equal(await codeOf(node.changes({ cursor })), 'invalid_argument', cursor)
    }
    assert.equal(await codeOf(node.changes({ spaces: ['nowhere'] })), 'not_found')
  })
})

describe('reads: history and lineage', () => {
  it('tells what happened to a memory in causal order, and what was concurrent', async () => {
    const engine = await start()
    const { node } = engine
    const { id, delta } = await node.add({ content: 'first', key: 'h', tags: ['a'], importance: 0.5 })
    const foreign = new Author(2).write(at(bench.queue.nowMs + 1), [
      { op: 'vote', target: { by: 'id', id }, verdict: 'dispute', confidence: 1_000, reason: null },
      { op: 'unknown', code: 77, items: [] }
    ])
    await bench.pass(10)
    const second = await node.revise({ id, content: 'second', tagsRemove: ['a'] })
    await hear(engine, foreign)
    const third = await node.link({ from: id, to: 'https://example.org', relation: 'evidence' })
    const history = await node.history(id)
    assert.deepEqual(
      history.map((entry) => entry.delta),
      [delta, foreign.id, second.delta, third.delta]
    )
    const own = ['create memory', 'set content', 'tag a', 'importance 0.5', 'said where it came from: self']
    assert.deepEqual(history[0]?.operations, own)
    assert.deepEqual(history[1]?.operations, ['vote dispute 0.1', 'unknown operation 77'])
    assert.deepEqual(history[2]?.operations, ['set content', 'untag a'])
    assert.deepEqual(history[3]?.operations, ['link evidence https://example.org'])
    assert.deepEqual(history[0]?.concurrentWith, [foreign.id])
    assert.deepEqual(history[1]?.concurrentWith, [delta, second.delta])
    assert.deepEqual(history[2]?.concurrentWith, [foreign.id])
    assert.deepEqual(history[3]?.concurrentWith, [])
    assert.deepEqual(
      history.map((entry) => entry.lamport),
      [1, 1, 2, 3]
    )
  })

  it('walks up to what a memory came from and down to what came of it, as far as asked', async () => {
    const { node } = await start()
    const root = await node.add({ content: 'root' })
    const child = await node.add({ content: 'child', parents: [root.id] })
    const missing = 'dd'.repeat(32)
    const grandchild = await node.add({ content: 'grandchild', supersedes: [child.id], related: [missing] })
    const up = await node.lineage(grandchild.id)
    assert.deepEqual(
      up.map((one) => [one.id, one.depth, one.relation, one.direction, one.present]),
      [
        [grandchild.id, 0, 'self', 'self', true],
        [child.id, 1, 'supersedes', 'up', true],
        [missing, 1, 'related', 'up', false],
        [root.id, 2, 'parents', 'up', true]
      ]
    )
    const down = await node.lineage(root.id, { depth: 1 })
    assert.deepEqual(
      down.map((one) => [one.id, one.direction]),
      [
        [root.id, 'self'],
        [child.id, 'down']
      ]
    )
    assert.equal((await node.lineage(root.id)).length, 3)
  })
})

describe('reads: audit', () => {
  const flip = (value: Uint8Array): Uint8Array => {
    const flipped = value.slice()
    flipped[flipped.length - 1] = (flipped[flipped.length - 1] as number) ^ 1
    return flipped
  }

  it('finds nothing wrong where nothing is', async () => {
    const engine = await start()
    const { id } = await engine.node.add({ content: 'sound' })
    await hear(engine, new Author(2).write(at(0)))
    assert.deepEqual(await engine.node.verify({}), { checked: 2, valid: 2, invalid: [], pruned: 0, equivocators: [] })
    assert.equal((await engine.node.verify({ ids: [id] })).checked, 1)
    assert.equal((await engine.node.get([id]))[0]?.verified, true)
  })

  for (const [how, reason, damage] of [
    ['a flipped byte', 'body-hash', flip],
    ['a row the store refuses', 'damaged', () => refuseRow()]
  ] as const) {
    it(`reports ${how} in a stored delta, shows the item as not verified, and nothing wrong`, async () => {
      const engine = await start()
      const { node, store } = engine
      const bad = await node.add({ content: 'bad apple' })
      const good = await node.add({ content: 'good apple' })
      store.damage = (table, key, value) =>
        table === 'delta' && toHex(key).endsWith(bad.delta) ? damage(value) : value
      const report = await node.verify({})
      assert.deepEqual(report.invalid, [{ delta: bad.delta, reason }])
      assert.deepEqual([report.checked, report.valid], [2, 1])
      assert.deepEqual((await node.verify({ ids: [bad.id] })).invalid, [{ delta: bad.delta, reason }])
      const items = await node.get([bad.id, good.id])
      assert.deepEqual(
        items.map((item) => [item?.content, item?.verified]),
        [
          ['bad apple', false],
          ['good apple', true]
        ]
      )
      const found = await node.search({ query: 'apple', verifiedOnly: true })
      assert.deepEqual([found.items.map((item) => item.id), found.dropped], [[good.id], 1])
      assert.equal(await codeOf(node.history(bad.id)), 'corrupt')
      assert.deepEqual(
        (await node.changes({})).changes.map((change) => change.delta),
        [good.delta]
      )
    })
  }

  it('misses a delta whose row is gone', async () => {
    const engine = await start()
    const { id, delta } = await engine.node.add({ content: 'x' })
    const key = fromHex(SPACE + delta)
    await engine.store.rows.batch([{ table: 'delta', key, value: null }], { durable: true })
    assert.deepEqual((await engine.node.verify({})).invalid, [{ delta, reason: 'missing' }])
    assert.deepEqual((await engine.node.verify({ ids: [id] })).invalid, [{ delta, reason: 'missing' }])
  })

  it('does not let a damaged delta keep the others from a peer', async () => {
    const sync = { gossip: false }
    const [a, b] = [await start({ options: { sync } }), await start({ options: { sync } })]
    const bad = await a.node.add({ content: 'bad' })
    for (let i = 0; i < 5; i++) await a.node.add({ content: `good ${i}` })
    a.store.damage = (table, key, value) => (table === 'delta' && toHex(key).endsWith(bad.delta) ? refuseRow() : value)
    a.network.link(b.network)
    await bench.finish(b.node.syncNow({}))
    assert.equal(b.node.spaces()[0]?.deltas, 5)
    a.network.unlink(b.network)
  })

  it('gives equal digests for equal sets, different ones for different sets', async () => {
    const [a, b] = [await start(), await start()]
    const author = new Author(2)
    const deltas = [0, 1, 2].map((i) => author.write(at(i), note(`${i}`)))
    await hear(a, ...deltas)
    await hear(b, ...[...deltas].reverse())
    assert.deepEqual(await a.node.digest(), await b.node.digest())
    assert.equal((await a.node.digest()).records, 3)
    await hear(b, author.write(at(3)))
    const [left, right] = [await a.node.digest(), await b.node.digest()]
    assert.notEqual(left.root, right.root)
    assert.notEqual(left.state, right.state)
  })

  it('sums up what is there', async () => {
    const engine = await start()
    await engine.node.add({ content: 'a', kind: 'fact', tags: ['x', 'y'] })
    await hear(engine, new Author(2).write(at(0)))
    const stats = await engine.node.stats()
    assert.deepEqual([stats.deltas, stats.records, stats.authors, stats.tags], [2, 2, 2, 2])
    assert.deepEqual(stats.byKind, { fact: 1, note: 1 })
    assert.equal(stats.diversity, 1)
  })
})

function refuseRow(): never {
  throw new ChrysalisError('corrupt', 'a row of table delta fails its checksum')
}

describe('reads: ordinals and votes', () => {
  it('names the memories of one bulk write by their place in it', async () => {
    const { node } = await start()
    const receipts = await node.addMany([
      { content: 'a' },
      { content: 'b', key: 'k' },
      { content: 'c' },
      { content: 'd' }
    ])
    const delta = receipts[0]?.delta ?? ''
    assert.ok(receipts.every((receipt) => receipt.delta === delta))
    const crypto = identity(1)
    assert.deepEqual(
      [0, 2, 3].map((index) => receipts[index]?.id),
      [0, 1, 2].map((ordinal) => recordIdOfOrdinal(crypto, delta, ordinal))
    )
    const items = await node.get(receipts.map((receipt) => receipt.id))
    assert.deepEqual(
      items.map((item) => item?.content),
      ['a', 'b', 'c', 'd']
    )
  })

  it('counts votes of the roster, and none of a proven equivocator, from the moment of the proof', async () => {
    const voters = [authorOf(2), authorOf(3), authorOf(4)]
    const engine = await start({ options: { ballot: { voters } } })
    const { id } = await engine.node.add({ content: 'to be judged' })
    const vote = (author: Author) =>
      author.write(at(bench.queue.nowMs), [
        { op: 'vote', target: { by: 'id', id }, verdict: 'confirm', confidence: 9_000, reason: null }
      ])
    const authors = [2, 3, 4, 5].map((byte) => new Author(byte))
    await hear(engine, ...authors.map(vote))
    const before = await engine.node.tally(id)
    assert.deepEqual([before.status, before.cast, before.uncounted, before.median], ['validated', 3, 1, 0.9])
    assert.equal((await engine.node.search({ query: 'judged', validatedOnly: true })).items.length, 1)
    await hear(engine, new Author(2).forge({ hlc: at(1), ops: note('a twin') }))
    const after = await engine.node.tally(id)
    assert.deepEqual([after.status, after.cast, after.uncounted, after.median], ['unverified', 2, 2, undefined])
    assert.equal((await engine.node.search({ query: 'judged', validatedOnly: true })).items.length, 0)
    const again = await bench.restart(engine)
    assert.equal((await again.node.tally(id)).status, 'unverified')
  })
})
