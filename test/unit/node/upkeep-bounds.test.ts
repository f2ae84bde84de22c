/** Every bound of the care of memories, at the bound: what fits is done, one more is not. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { prepare } from '../../../src/rpc/dispatch.ts'
import { CensusCount, type Census, type Fact } from '../../../src/node/census.ts'
import { contradictionsOf } from '../../../src/node/contradictions.ts'
import { SessionRecalls } from '../../../src/node/session-recalls.ts'
import type { Indexer } from '../../../src/node/indexer.ts'
import type { Space } from '../../../src/node/space.ts'
import { Spaces } from '../../../src/node/spaces.ts'
import { statementOf } from '../../../src/recall/opposites.ts'
import type { RecallDoc } from '../../../src/recall/recall-doc.ts'
import { Bench, PRIVATE_SPACE } from '../../support/engine.ts'
import { createMemoryStore } from '../../support/memory-store.ts'
import { identity, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())
const crypto = identity(9)
const still = { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => () => undefined }
const idOf = (i: number): string => i.toString(16).padStart(64, '0')

describe('bounds of the care of memories', () => {
  it('looks at so many records and counts the rest', () => {
    const count = new CensusCount(crypto)
    for (let i = 0; i < LIMITS.consolidationRecordsMax; i++) assert.ok(count.hasRoom())
    assert.ok(!count.hasRoom())
    const { records, unseen } = count.census()
    assert.deepEqual([records, unseen], [LIMITS.consolidationRecordsMax, 1])
  })

  it('takes a limit of actions up to the bound at the door', () => {
    const ask = (limit: number): boolean => prepare({ id: 1, method: 'memory.consolidate', params: { limit } }).ok
    assert.deepEqual([ask(LIMITS.consolidationActionsMax), ask(LIMITS.consolidationActionsMax + 1)], [true, false])
  })

  it('reads so many histories and no more', async () => {
    const store = createMemoryStore()
    let scans = 0
    const scan = store.scan.bind(store)
    store.scan = (table, options) => {
      scans++
      return scan(table, options)
    }
    const rewritten = Array.from({ length: LIMITS.consolidationHistoriesMax + 1 }, (_, i) => idOf(i))
    const census: Census = { facts: [], records: 0, unseen: 0, expired: [], rewritten, disputed: [] }
    await contradictionsOf({ store, crypto, clock: still }, { id: SPACE } as Space, census)
    assert.equal(scans, LIMITS.consolidationHistoriesMax)
  })

  it('lists so many contradictions of one sort', async () => {
    // Of `count` statements with other numbers each contradicts each.
    const listed = async (count: number): Promise<number> => {
      const facts = Array.from({ length: count }, (_, i): Fact => {
        const about = {
          voice: 'v',
          createdAt: i,
          standing: 'live',
          absorbedBy: undefined,
          sameness: idOf(i),
          basis: []
        } as const
        const rest = { topic: '', simHash: undefined, hasKey: false, keptFor: undefined, related: [], supersedes: [] }
        return { id: idOf(i), ...about, ...rest, statement: statementOf(`the port is ${i}`) }
      })
      const census: Census = { facts, records: count, unseen: 0, expired: [], rewritten: [], disputed: [] }
      return (
        await contradictionsOf({ store: createMemoryStore(), crypto, clock: still }, { id: SPACE } as Space, census)
      ).length
    }
    assert.deepEqual([await listed(40), await listed(60)], [(40 * 39) / 2, LIMITS.contradictionsMax])
  })

  it('judges a history up to the bound and leaves a longer one to those who made it', async () => {
    const [a, b] = [await bench.start({ seed: 231 }), await bench.start({ seed: 232 })]
    const { id } = await a.node.add({ content: 'port 80', key: 'port' })
    await b.node.add({ content: 'port 81', key: 'port' })
    a.network.link(b.network)
    await bench.pass(10_000)
    const judged = async (): Promise<number> => (await bench.finish(a.node.consolidate({}))).contradictions.length
    for (let i = 2; i < LIMITS.consolidationHistoryDeltasMax - 1; i++) await a.node.revise({ id, tagsAdd: [`t${i}`] })
    assert.equal(await judged(), 1)
    await a.node.revise({ id, tagsAdd: ['one more'] })
    assert.equal(await judged(), 0)
  })

  it('remembers recalls of so many working memories, the latest ones', async () => {
    const store = createMemoryStore()
    const space = { id: PRIVATE_SPACE, options: { shared: false } } as Space
    const doc = { tags: ['tier:working'] } as unknown as RecallDoc
    const recalls = new SessionRecalls(
      { sessions: 2 },
      {
        store,
        crypto,
        clock: still,
        logger: { log: () => undefined },
        indexer: { index: { get: () => doc } } as unknown as Indexer,
        spaces: new Spaces([space]),
        promote: () => assert.fail('one session is not enough')
      }
    )
    for (let i = 0; i <= LIMITS.recalledMemoriesMax; i++) recalls.note([{ space, id: idOf(i) }], 'a')
    assert.deepEqual(
      [0, 1, LIMITS.recalledMemoriesMax].map((i) => recalls.count(idOf(i))),
      [0, 1, 1]
    )
    await recalls.settle()
    const rows = await store.scan('meta', { gte: new Uint8Array(), limit: 2 * LIMITS.recalledMemoriesMax })
    assert.equal(rows.length, LIMITS.recalledMemoriesMax, 'what was forgotten is not on the disk either')
  })
})
