/** The registry of authors: how far each has written, what is missing, before and after a restart, and page by page. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { encodeDelta, encodeFrame } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { topicOf } from '../../../src/memory/names.ts'
import type { Frontier } from '../../../src/node/api.ts'
import { Frontiers } from '../../../src/node/frontiers.ts'
import type { Space } from '../../../src/node/space.ts'
import { Spaces } from '../../../src/node/spaces.ts'
import { authorKey } from '../../../src/node/rows.ts'
import { at, Bench, codeOf, START_MS, type Engine } from '../../support/engine.ts'
import type { FakeNetwork } from '../../support/fake-network.ts'
import { createMemoryStore } from '../../support/memory-store.ts'
import { Author } from '../../support/replica-bench.ts'
import { EPOCH, SPACE } from '../../support/sealed.ts'

async function world(): Promise<{ bench: Bench; engine: Engine; hear: (...deltas: VerifiedDelta[]) => Promise<void> }> {
  const bench = new Bench()
  const engine = await bench.start({ seed: 1, options: { sync: { reconcile: false } } })
  const mouth: FakeNetwork = bench.air.create('a mouth')
  await mouth.start()
  const hear = async (...deltas: VerifiedDelta[]): Promise<void> => {
    for (const delta of deltas) {
      await engine.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(delta)]), mouth)
      await bench.finish(engine.node.idle())
    }
  }
  return { bench, engine, hear }
}

async function of(engine: Engine, author: Author): Promise<Frontier | undefined> {
  const { frontiers } = await engine.node.syncFrontiers({})
  return frontiers.find(({ peer }) => peer === authorToPeerId(author.id))
}

describe('frontiers', () => {
  it('show the newest of a whole chain, and its time', async () => {
    const { bench, engine, hear } = await world()
    const author = new Author(7)
    await hear(author.write(at(-3_000)), author.write(at(-2_000)), author.write(at(-1_000)))
    assert.deepEqual(await of(engine, author), {
      space: SPACE,
      peer: authorToPeerId(author.id),
      epoch: EPOCH,
      seq: 2,
      missing: 0,
      lastSeenMs: START_MS - 1_000,
      equivocated: false
    })
    await bench.stop()
  })

  it('count what is missing, less with each that comes, and the same after a restart', async () => {
    const { bench, engine, hear } = await world()
    const author = new Author(7)
    const chain = Array.from({ length: 10 }, (_, i) => author.write(at(i)))
    await hear(chain[0]!, chain[4]!, chain[9]!)
    assert.deepEqual([(await of(engine, author))?.seq, (await of(engine, author))?.missing], [9, 7])
    await hear(chain[2]!)
    assert.equal((await of(engine, author))?.missing, 6)
    const again = await bench.restart(engine)
    assert.equal((await of(again, author))?.missing, 6)
    const stranger = new Author(8)
    stranger.write(at(20))
    await again.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(stranger.write(at(21)))]), again.network)
    await bench.finish(again.node.idle())
    assert.equal((await of(again, stranger))?.missing, 1, 'its first')
    const mouth = bench.air.create('another mouth')
    await mouth.start()
    for (const delta of chain) await again.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(delta)]), mouth)
    await bench.finish(again.node.idle())
    assert.equal((await of(again, author))?.missing, 0)
    await bench.stop()
  })

  it('tell a double signer, and take its second delta for no other number', async () => {
    const { bench, engine, hear } = await world()
    const author = new Author(7)
    const first = author.write(at(1))
    const twin = author.forge({ seq: 0, hlc: at(2) })
    const third = author.forge({ seq: 2, prev: first.id, hlc: at(3) })
    await hear(first, twin, third)
    const frontier = await of(engine, author)
    assert.deepEqual([frontier?.seq, frontier?.missing, frontier?.equivocated], [2, 1, true])
    const again = await bench.restart(engine)
    assert.equal((await of(again, author))?.missing, 1)
    await bench.stop()
  })

  it('come page by page, every chain once, and only of the space that was asked for', async () => {
    const { bench, engine, hear } = await world()
    const authors = Array.from({ length: 7 }, (_, i) => new Author(20 + i))
    for (const author of authors) await hear(author.write(at(0)))
    const seen: string[] = []
    for (let cursor: string | undefined; ;) {
      const page = await engine.node.syncFrontiers({ limit: 3, ...(cursor === undefined ? {} : { cursor }) })
      assert.ok(page.frontiers.length <= 3)
      seen.push(...page.frontiers.map(({ peer }) => peer))
      if (page.cursor === null) break
      cursor = page.cursor
    }
    assert.deepEqual([...seen].sort(), authors.map(({ id }) => authorToPeerId(id)).sort())
    assert.equal((await engine.node.syncFrontiers({ space: 'shared' })).frontiers.length, 7)
    assert.equal(await codeOf(engine.node.syncFrontiers({ space: 'nowhere' })), 'not_found')
    assert.equal(await codeOf(engine.node.syncFrontiers({ cursor: 'not one' })), 'invalid_argument')
    await bench.stop()
  })

  it('show a gap when a number is left out, and none when a known chain goes on', () => {
    const author = new Author(7).id
    const replica = { chainHeads: () => new Map([[`${author}:${EPOCH}`, { seq: 41, id: '' }]]).entries() }
    const space = { id: SPACE, replica } as unknown as Space
    const frontiers = new Frontiers({ store: createMemoryStore(), spaces: new Spaces([space]) })
    frontiers.restore(space)
    const note = (seq: number, of = author): boolean => frontiers.note(SPACE, { author: of, epoch: EPOCH, seq }, false)
    assert.deepEqual([note(42), note(44), note(43), note(45)], [false, true, false, false])
    const other = new Author(8).id
    assert.deepEqual([note(0, other), note(1, other), note(3, other)], [false, false, true])
    assert.equal(note(9, new Author(9).id), true, 'a chain that does not begin with its first')
  })

  it(`count ${LIMITS.frontierRowsMax} rows for one question, and go on with the next`, async () => {
    const store = createMemoryStore()
    const author = new Author(7).id
    const rows = LIMITS.frontierRowsMax + 10
    const id = (i: number): string => i.toString(16).padStart(64, '0')
    for (let at = 0; at < rows; at += 10_000) {
      const some = Array.from({ length: Math.min(10_000, rows - at) }, (_, i) => at + i)
      await store.batch(
        // The number 5 is missing.
        some.map((i) => ({
          table: 'author' as const,
          key: authorKey(SPACE, author, EPOCH, i < 5 ? i : i + 1, id(i)),
          value: new Uint8Array(0)
        })),
        { durable: false }
      )
    }
    const replica = { chainHeads: () => new Map([[`${author}:${EPOCH}`, { seq: rows, id: id(rows - 1) }]]).entries() }
    const space = { id: SPACE, replica } as unknown as Space
    const frontiers = new Frontiers({ store, spaces: new Spaces([space]) })
    frontiers.restore(space)
    assert.deepEqual(
      (await frontiers.list({})).frontiers.map(({ seq, missing }) => [seq, missing]),
      [[rows, null]]
    )
    // Meanwhile the missing one comes, below what was counted, and a new one at the end, above it.
    assert.equal(frontiers.note(SPACE, { author, epoch: EPOCH, seq: 5 }, false), false)
    assert.deepEqual(
      (await frontiers.list({})).frontiers.map(({ missing }) => missing),
      [0]
    )
    assert.equal(frontiers.note(SPACE, { author, epoch: EPOCH, seq: rows + 3 }, false), true, 'a gap')
    assert.deepEqual(
      (await frontiers.list({})).frontiers.map(({ seq, missing }) => [seq, missing]),
      [[rows + 3, 2]]
    )
  })
})
