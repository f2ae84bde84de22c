/** The index behind the write path: what a search waits for, what may wait, and for how long. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta } from '../../../src/memory/delta-codec.ts'
import type { RecordId } from '../../../src/memory/ids.ts'
import { Ballots } from '../../../src/node/ballots.ts'
import { Indexer } from '../../../src/node/indexer.ts'
import { Items } from '../../../src/node/items.ts'
import { Records } from '../../../src/node/records.ts'
import { TrustBook } from '../../../src/node/trust-book.ts'
import { TrustJudge } from '../../../src/node/trust-judge.ts'
import type { Space } from '../../../src/node/space.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { at, Bench, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { note } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

/** An engine that holds memories, and an indexer of our own on its store, which knows nothing yet. */
async function prepared(
  count: number
): Promise<{ engine: Engine; space: Space; indexer: Indexer; ids: RecordId[]; busy: { is: boolean } }> {
  const engine = await bench.start({ seed: 1 })
  const receipts = await engine.node.addMany(
    Array.from({ length: count }, (_, i) => ({ content: `memory number ${i}` }))
  )
  const { store, clock, crypto } = engine
  const records = new Records(store)
  const ballots = new Ballots([])
  const book = new TrustBook(
    { self: engine.node.spaceTable.all[0]?.replica.author ?? '', newcomers: 'known' },
    { store, clock, logger: silentLogger, changed: () => undefined }
  )
  const judge: TrustJudge = new TrustJudge({
    book,
    ballots,
    spaces: () => [],
    docOf: (space, id) => indexer.index.get(id, space),
    awaits: (space, id) => indexer.awaits(space, id)
  })
  const items = new Items({ roster: [], replicas: 1 }, { store, crypto, clock, records, judge })
  const busy = { is: false }
  const indexer: Indexer = new Indexer({
    ...{ store, clock, records, items, judge, ballots },
    logger: silentLogger,
    isBusy: () => busy.is
  })
  return { engine, space: engine.node.spaceTable.all[0] as Space, indexer, ids: receipts.map((one) => one.id), busy }
}

/** Ids of records that do not exist: they wait like all others and cost nothing to index. */
const noted = (n: number): RecordId => n.toString(16).padStart(64, '0')

describe('indexer', () => {
  it('waits while others are busy, and goes on when they are not', async () => {
    const { space, indexer, ids, busy } = await prepared(40)
    busy.is = true
    for (const id of ids) indexer.note(space, id)
    await bench.pass(2_000)
    assert.equal(indexer.index.size, 0)
    assert.equal(indexer.behind, 40)
    busy.is = false
    await bench.pass(100)
    assert.equal(indexer.index.size, 40)
    assert.equal(indexer.behind, 0)
    await indexer.stop()
  })

  it('a search has what is fresh, and a backlog it can wait for', async () => {
    const { space, indexer, ids, busy } = await prepared(30)
    busy.is = true
    for (const id of ids.slice(0, 10)) indexer.noteFresh(space, id, undefined)
    for (const id of ids.slice(10)) indexer.note(space, id)
    await indexer.catchUp()
    assert.equal(indexer.index.size, 30)
    await indexer.stop()
  })

  for (const beyond of [false, true]) {
    it(`a search ${beyond ? 'does not wait' : 'waits'} for ${beyond ? 'more than ' : ''}the backlog a search waits for`, async () => {
      const { space, indexer, ids, busy } = await prepared(3)
      busy.is = true
      const [fresh, ...others] = ids as [RecordId, ...RecordId[]]
      for (const id of others) indexer.note(space, id)
      const more = LIMITS.indexAwaitedMax - others.length + (beyond ? 1 : 0)
      for (let n = 0; n < more; n++) indexer.note(space, noted(n))
      indexer.noteFresh(space, fresh, undefined)
      await indexer.catchUp()
      assert.equal(indexer.index.has(fresh, space.id), true)
      assert.equal(indexer.behind, beyond ? LIMITS.indexAwaitedMax + 1 : 0)
      await indexer.settled()
      assert.equal(indexer.index.size, 3)
      await indexer.stop()
    })
  }

  for (const [name, bound, how] of [
    ['fresh', LIMITS.indexFreshMax, 'noteFresh'],
    ['backlog', LIMITS.indexBacklogMax, 'note']
  ] as const) {
    it(`${name}: at its bound it waits no longer, whoever is busy`, async () => {
      const { space, indexer, busy } = await prepared(1)
      busy.is = true
      for (let n = 0; n < bound - 1; n++) indexer[how](space, noted(n), undefined)
      await bench.pass(200)
      assert.equal(indexer.behind, bound - 1, 'one below')
      indexer[how](space, noted(bound), undefined)
      assert.equal(indexer.behind, bound)
      await bench.pass(200)
      assert.ok(indexer.behind < bound)
      await indexer.stop()
    })
  }

  it('counts a record once, however often it is noted, and in whichever queue', async () => {
    const { space, indexer, ids } = await prepared(2)
    const [a, b] = ids as [RecordId, RecordId]
    indexer.note(space, a)
    indexer.note(space, a)
    indexer.noteFresh(space, a, undefined)
    indexer.note(space, a)
    indexer.note(space, b)
    assert.equal(indexer.behind, 2)
    await indexer.settled()
    assert.equal(indexer.behind, 0)
    assert.equal(indexer.index.size, 2)
    assert.equal(indexer.recordCount(space.id), 2)
    await indexer.stop()
  })

  it('passes over a damaged row, and tries again what could not be read at all', async () => {
    const { engine, space, indexer, ids } = await prepared(5)
    const bad = ids[2] as RecordId
    engine.store.damage = (table, key, value) => {
      if (table === 'record' && toHex(key).endsWith(bad)) throw new ChrysalisError('corrupt', 'a bad row')
      return value
    }
    for (const id of ids) indexer.note(space, id)
    await indexer.settled()
    assert.equal(indexer.index.size, 4)
    engine.store.damage = () => {
      throw new ChrysalisError('unavailable', 'no disk')
    }
    indexer.note(space, bad)
    await bench.pass(100)
    assert.equal(indexer.behind, 1, 'back in the queue')
    await assert.rejects(indexer.catchUp(), /no disk/)
    engine.store.damage = (_table, _key, value) => value
    await indexer.catchUp()
    assert.equal(indexer.index.size, 5)
    await indexer.stop()
  })

  it('a whole engine finds what a session brought, at once', async () => {
    const engine = await bench.start({ seed: 3 })
    const author = new Author(9)
    const records = Array.from({ length: 70 }, (_, i) => encodeDelta(author.write(at(i), note(`brought ${i}`))))
    const { intake } = engine.node as unknown as { intake: { deliver(...args: unknown[]): Promise<unknown> } }
    await intake.deliver(engine.node.spaceTable.all[0], records, 'peer')
    assert.equal((await engine.node.search({ query: 'brought', limit: 100 })).items.length, 70)
  })
})
