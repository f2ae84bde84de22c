import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta, encodeFrame } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { hlcMs, hlcOf } from '../../../src/memory/ids.ts'
import { topicOf } from '../../../src/memory/names.ts'
import { at, Bench, START_MS, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { note, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())
const stranger = bench.air.create('a stranger')

async function hear(engine: Engine, ...deltas: readonly VerifiedDelta[]): Promise<void> {
  await engine.network.hearNow(topicOf(SPACE), encodeFrame(deltas.map(encodeDelta)), stranger)
  await engine.node.idle()
}

/** Everything that must be the same after a restart. */
async function stateOf(engine: Engine): Promise<unknown> {
  const [space] = engine.node.spaceTable.all
  assert.ok(space !== undefined)
  const { replica } = space
  const chains = [...replica.authors()].sort().map((author) => {
    const head = replica.chainHead(author, 'e0'.repeat(8))
    return [author, head?.seq]
  })
  return {
    digest: await engine.node.digest(),
    heads: [...replica.headTimes()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    chains,
    own: replica.ownHead,
    held: replica.heldCount,
    epoch: engine.node.epoch,
    changes: (await engine.node.changes({})).changes,
    ids: (await engine.node.deltaIds({})).ids,
    tallies: (await engine.node.verify({})).equivocators
  }
}

describe('restore', () => {
  it('brings everything back: digest, heads, chains, own place, held deltas, proofs and the arrival log', async () => {
    const engine = await bench.start({ seed: 1 })
    const [two, three] = [new Author(2), new Author(3)]
    const base = two.write(at(0), note('base'))
    await hear(engine, base, two.write(at(1)), three.write(at(2), note('joins'), [base.id]))
    await hear(engine, three.forge({ hlc: at(3), ops: note('twin') }))
    await engine.node.add({ content: 'own', key: 'k', tags: ['a'] })
    await engine.node.revise({ id: 'key:k', tagsRemove: ['a'] })
    await hear(engine, new Author(4).write(at(4), [{ op: 'unknown', code: 99, items: [] }]))
    const far = hlcOf(engine.clock.nowMs() + LIMITS.clockLeadMsMax + 3_600_000)
    await hear(engine, new Author(5).write(far))
    const before = await stateOf(engine)
    const again = await bench.restart(engine)
    await again.node.indexed()
    assert.deepEqual(await stateOf(again), before)
    assert.equal((await again.node.search({ query: 'own' })).items.length, 1)
    assert.deepEqual(again.node.spaces()[0]?.pending, 1)
  })

  it('remembers the heads also when the last delta touched no record it understands', async () => {
    const engine = await bench.start({ seed: 2 })
    await engine.node.add({ content: 'own' })
    const unknown = new Author(4).write(at(4), [{ op: 'unknown', code: 99, items: [] }])
    await hear(engine, unknown)
    const again = await bench.restart(engine)
    assert.ok(again.node.spaceTable.all[0]?.replica.heads().includes(unknown.id))
  })

  it('goes on numbering and dating where it was, also when the clock was set back meanwhile', async () => {
    const engine = await bench.start({ seed: 3 })
    const first = await engine.node.add({ content: 'one' })
    await hear(engine, new Author(2).write(hlcOf(engine.clock.nowMs() + 90_000, 0xffff)))
    const again = await bench.restart(engine, { clockOffsetMs: -3_600_000 })
    const second = await again.node.add({ content: 'two' })
    const [entry] = await again.node.history(second.id)
    assert.deepEqual([entry?.seq, entry?.epoch], [1, engine.node.epoch])
    assert.ok(second.atMs > first.atMs)
    const [space] = again.node.spaceTable.all
    const own = space?.replica.headTimes().find((head) => head.id === second.delta)
    assert.ok((own?.hlc ?? 0n) > hlcOf(engine.clock.nowMs() + 90_000 - 1_000, 0))
    assert.ok(hlcMs(own?.hlc ?? 0n) >= START_MS + 90_000)
  })

  it('starts a new epoch when it is told that it cannot prove its log whole', async () => {
    const engine = await bench.start({ seed: 4 })
    await engine.node.add({ content: 'one' })
    const seen: unknown[] = []
    const again = await bench.restart(engine, {
      hooks: {
        mayKeepEpoch: (found) => {
          seen.push([found.deltas, found.epoch, found.spaces[0]?.head?.seq])
          return Promise.resolve(false)
        }
      }
    })
    assert.deepEqual(seen, [[1, engine.node.epoch, 0]])
    assert.notEqual(again.node.epoch, engine.node.epoch)
    const [entry] = await again.node.history((await again.node.add({ content: 'two' })).id)
    assert.deepEqual([entry?.seq, entry?.epoch], [0, again.node.epoch])
  })

  it('offers again what no peer is known to hold', async () => {
    const engine = await bench.start({ seed: 5 })
    const receipt = await engine.node.add({ content: 'written alone' })
    const again = await bench.restart(engine)
    assert.equal(again.node.status().queues['outbox'], 1)
    assert.equal((await again.node.get([receipt.id]))[0]?.syncState, 'local')
    const other = await bench.start({ seed: 6 })
    again.network.link(other.network)
    await bench.pass(200)
    assert.equal(other.node.spaces()[0]?.deltas, 1)
    assert.equal(again.node.status().queues['outbox'], 0)
    assert.notEqual((await again.node.get([receipt.id]))[0]?.syncState, 'local')
    again.network.unlink(other.network)
  })

  it('starts although one of its own deltas is damaged, and keeps what peers were known to hold', async () => {
    const engine = await bench.start({ seed: 7 })
    const other = await bench.start({ seed: 8 })
    const kept = await engine.node.add({ content: 'kept' })
    engine.network.link(other.network)
    await bench.pass(5_000)
    assert.equal((await engine.node.get([kept.id]))[0]?.syncState, 'synced')
    engine.network.unlink(other.network)
    const bad = await engine.node.add({ content: 'bad' })
    engine.store.damage = (table, key, value) => {
      if (table !== 'delta' || !toHex(key).endsWith(bad.delta)) return value
      throw new ChrysalisError('corrupt', 'a row of table delta fails its checksum')
    }
    const again = await bench.restart(engine)
    assert.equal(again.node.status().state, 'ready')
    assert.equal((await again.node.get([kept.id]))[0]?.syncState, 'synced')
    assert.equal(again.node.spaces()[0]?.deltas, 2)
    assert.equal((await again.node.changes({})).changes.length, 1, 'the log goes past the damaged one')
  })

  it('says that answers are partial until the index is whole again', async () => {
    const engine = await bench.start({ seed: 9 })
    const items = Array.from({ length: 450 }, (_, i) => ({ content: `memory number ${i}` }))
    await engine.node.addMany(items)
    const again = await bench.restart(engine)
    const early = await again.node.search({ query: 'memory number 449' })
    assert.equal(early.index.state, 'partial')
    assert.match(again.node.status().reasons.join(), /index is being rebuilt/)
    const fresh = await again.node.add({ content: 'written while the index is behind' })
    assert.equal((await again.node.search({ query: 'behind' })).items[0]?.id, fresh.id)
    await bench.finish(again.node.indexed())
    const late = await again.node.search({ query: 'memory number 449' })
    assert.deepEqual(late.index, { state: 'complete', indexed: 451, records: 451, vector: 'off' })
    assert.equal(late.items[0]?.content, 'memory number 449')
    assert.deepEqual(again.node.status().reasons, [])
  })
})
