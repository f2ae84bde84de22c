/** The vectors behind recall in a whole engine on virtual time: what is embedded, when, and what happens when it fails. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import type { SearchAnswer } from '../../../src/node/api.ts'
import type { VectorPanes } from '../../../src/node/vectors.ts'
import { embedText } from '../../support/embed-server.ts'
import { Bench, codeOf, type Engine, type FaultyStore } from '../../support/engine.ts'
import { FakeEmbedder, fakeVectors, MemoryShelf } from '../../support/fake-embedder.ts'

let bench: Bench
beforeEach(() => void (bench = new Bench()))
afterEach(() => bench.stop())

function start(vectors: VectorPanes, store?: FaultyStore): Promise<Engine> {
  return bench.start({ seed: 1, hasPrivate: true, vectors, ...(store && { store }) })
}

async function learn(engine: Engine, ...contents: string[]): Promise<string[]> {
  const receipts = await bench.finish(engine.node.addMany(contents.map((content) => ({ content }))))
  return receipts.map(({ id }) => id)
}

const settle = (engine: Engine): Promise<void> => bench.finish(engine.node.idle())
const search = (engine: Engine, query: string): Promise<SearchAnswer> => bench.finish(engine.node.search({ query }))
const contents = (answer: SearchAnswer): (string | null)[] => answer.items.map((item) => item.content)

async function rows(engine: Engine): Promise<number> {
  return (await engine.store.scan('embedding', { limit: 100_000 })).length
}

const CAR = 'The team bought a new sedan'
const CAT = 'My kitten sleeps all day'
const MONEY = 'The funds are nearly spent'

describe('recall', () => {
  test('finds a paraphrase that shares no word, and says that vectors are on', async () => {
    const engine = await start(fakeVectors(new FakeEmbedder()))
    await learn(engine, CAR, CAT, MONEY)
    await settle(engine)
    const answer = await search(engine, 'automobile purchase')
    assert.equal(answer.items[0]?.content, CAR)
    assert.equal(answer.index.vector, 'on')
    assert.equal(engine.node.status().index.vector, 'on')
    const plain = await bench.finish(engine.node.search({ query: 'automobile purchase', modes: ['keyword'] }))
    assert.deepEqual(contents(plain), [], 'by words alone there is nothing')
  })

  test('without an embedder nothing of it is there', async () => {
    const engine = await bench.start({ seed: 1 })
    await learn(engine, CAR)
    const answer = await search(engine, 'sedan')
    assert.equal(answer.index.vector, 'off')
    assert.equal(engine.node.embedStatus().provider, 'off')
    assert.equal(await codeOf(engine.node.embedTest('x')), 'invalid_state')
    assert.equal(await codeOf(engine.node.embedPending({})), 'invalid_state')
  })

  test('a query is embedded once, however often it is asked', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    await learn(engine, CAR)
    await settle(engine)
    await Promise.all([search(engine, 'vehicle'), search(engine, 'vehicle')])
    await search(engine, 'vehicle')
    assert.deepEqual(embedder.queries, ['vehicle'])
    for (let i = 0; i < LIMITS.embedQueryVectorsMax; i++) await search(engine, `question ${i}`)
    await search(engine, 'vehicle')
    assert.equal(embedder.queries.filter((query) => query === 'vehicle').length, 2, 'forgotten for newer ones')
  })

  test('an embedder that hangs costs a recall its vectors and at most the time it may cost', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder, { queryTimeoutMs: 300 }))
    await learn(engine, CAR, CAT)
    await settle(engine)
    embedder.mood = 'hang'
    const startedMs = engine.clock.monotonicMs()
    const answer = await search(engine, 'kitten automobile')
    assert.deepEqual(contents(answer), [CAT])
    const tookMs = engine.clock.monotonicMs() - startedMs
    assert.ok(tookMs >= 300 && tookMs < 400, `${tookMs} ms`)
    embedder.mood = 'well'
    embedder.release()
    await bench.pass(10)
    assert.equal((await search(engine, 'kitten automobile')).items.length, 2, 'the late vector is there now')
  })

  test('no more queries are in flight than the bound allows', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    await learn(engine, CAR)
    await settle(engine)
    let asked = 0
    const embed = embedder.embed.bind(embedder)
    embedder.embed = (texts, request) => {
      asked++
      return embed(texts, request)
    }
    embedder.mood = 'hang'
    const waiting = Array.from({ length: LIMITS.embedQueriesInFlightMax + 5 }, (_, i) => search(engine, `vehicle ${i}`))
    await Promise.all(waiting)
    assert.equal(asked, LIMITS.embedQueriesInFlightMax)
  })
})

describe('in the background', () => {
  test('a write does not wait for the embedder', async () => {
    const embedder = new FakeEmbedder()
    embedder.mood = 'hang'
    const engine = await start(fakeVectors(embedder))
    const startedMs = engine.clock.monotonicMs()
    for (let i = 0; i < 20; i++) await learn(engine, `memory number ${i}`)
    assert.ok(engine.clock.monotonicMs() - startedMs < 1_000)
    assert.equal((await search(engine, 'number 7')).items[0]?.content, 'memory number 7')
    assert.equal(engine.node.status().index.vector, 'stale')
  })

  test('equal texts are embedded once, in batches of the size that was set', async () => {
    const embedder = new FakeEmbedder()
    const batches: number[] = []
    const embed = embedder.embed.bind(embedder)
    embedder.embed = (texts, request) => {
      batches.push(texts.length)
      return embed(texts, request)
    }
    const engine = await start(fakeVectors(embedder, { batch: 4 }))
    await bench.finish(
      engine.node.addMany(
        Array.from({ length: 30 }, (_, i) => ({ content: `text ${i % 10}`, dedupe: 'allow' as const }))
      )
    )
    await settle(engine)
    assert.equal(new Set(embedder.documents).size, 10)
    assert.equal(embedder.documents.length, 10)
    assert.ok(batches.every((size) => size <= 4))
    assert.equal(engine.node.embedStatus().texts, 10)
    assert.equal(engine.node.embedStatus().indexed, 10)
  })

  test('a text is cut to the bound, never within a character', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    await learn(engine, `a${'é'.repeat(LIMITS.embedTextBytesMax)}`, 'b'.repeat(LIMITS.embedTextBytesMax))
    await settle(engine)
    const [long, whole] = [...embedder.documents].sort()
    assert.equal(long, `a${'é'.repeat(LIMITS.embedTextBytesMax / 2 - 1)}`)
    assert.equal(whole, 'b'.repeat(LIMITS.embedTextBytesMax))
  })

  test('what is revised or retracted leaves index and disk', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    const [car, cat] = await learn(engine, CAR, CAT, MONEY)
    await settle(engine)
    assert.equal(await rows(engine), 3)
    await bench.finish(engine.node.revise({ id: car as string, content: 'We hired a physician' }))
    await settle(engine)
    assert.equal(await rows(engine), 3)
    assert.deepEqual((await search(engine, 'doctor')).items[0]?.content, 'We hired a physician')
    assert.deepEqual(engine.node.embedStatus(), {
      provider: 'ollama',
      model: 'fake',
      dimensions: 64,
      state: 'on',
      reason: null,
      texts: 3,
      indexed: 3,
      waiting: 0,
      refused: 0
    })
    await bench.finish(engine.node.retract({ id: cat as string, reason: 'wrong' }))
    await settle(engine)
    assert.equal(await rows(engine), 2, 'erased')
    assert.equal(engine.node.embedStatus().indexed, 2)
    assert.ok(!contents(await search(engine, 'feline')).includes(CAT))
  })

  test('a text that goes while its vector is made leaves nothing behind', async () => {
    const embedder = new FakeEmbedder()
    embedder.mood = 'hang'
    const engine = await start(fakeVectors(embedder))
    const [id] = await learn(engine, CAR)
    await bench.pass(200)
    await bench.finish(engine.node.revise({ id: id as string, content: CAT }))
    await bench.pass(200)
    embedder.mood = 'well'
    embedder.release()
    await bench.pass(1_000)
    assert.deepEqual(embedder.documents, [CAR, CAT])
    assert.equal(engine.node.embedStatus().indexed, 1)
    assert.equal(await rows(engine), 1)
  })

  test('private memories stay away from a service on another machine', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder, { includesPrivate: false }))
    await bench.finish(engine.node.add({ content: 'my password', space: 'mine' }))
    await learn(engine, CAR)
    await settle(engine)
    assert.deepEqual(embedder.documents, [CAR])
    assert.equal(engine.node.status().index.vector, 'on')
  })

  test('more texts than the queue holds are all embedded, the newest first', async () => {
    const embedder = new FakeEmbedder()
    embedder.mood = 'dead'
    const engine = await start(fakeVectors(embedder, { batch: 64 }))
    const count = LIMITS.embedQueueMax + 500
    for (let i = 0; i < count; i += 500) {
      await learn(engine, ...Array.from({ length: Math.min(500, count - i) }, (_, j) => `text ${i + j}`))
    }
    await settle(engine)
    assert.equal(engine.node.embedStatus().waiting, count)
    embedder.mood = 'well'
    await learn(engine, CAR)
    await bench.pass(60_000, () => embedder.documents.length > 0)
    assert.equal(embedder.documents[0], CAR)
    await bench.pass(600_000, () => engine.node.embedStatus().waiting === 0)
    assert.equal(engine.node.embedStatus().indexed, count + 1)
  })
})

describe('an embedder that fails', () => {
  test('keywords go on, status says why, and what was missed is made up for', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    await learn(engine, CAR)
    await settle(engine)
    embedder.mood = 'dead'
    embedder.open = { reason: 'it is gone', retryMs: 5_000 }
    await learn(engine, CAT)
    await settle(engine)
    const answer = await search(engine, 'kitten')
    assert.deepEqual(contents(answer), [CAT])
    assert.equal(answer.index.vector, 'unavailable')
    assert.equal(engine.node.embedStatus().reason, 'it is gone')
    assert.ok(
      engine.node.status().reasons.some((reason) => reason.includes('words alone') && reason.includes('it is gone'))
    )
    embedder.mood = 'well'
    embedder.open = undefined
    await bench.pass(6_000)
    assert.equal(engine.node.status().index.vector, 'on')
    assert.equal((await search(engine, 'feline')).items[0]?.content, CAT)
  })

  test('one text that it cannot take holds up no other', async () => {
    const embedder = new FakeEmbedder()
    embedder.poison = 'cursed'
    const engine = await start(fakeVectors(embedder))
    await learn(engine, CAR, 'a cursed text', CAT, MONEY)
    await bench.pass(30_000)
    const { indexed, waiting, refused, state } = engine.node.embedStatus()
    assert.deepEqual({ indexed, waiting, refused, state }, { indexed: 3, waiting: 0, refused: 1, state: 'on' })
    assert.equal((await search(engine, 'cursed')).items[0]?.content, 'a cursed text')
  })

  test('one that changes its dimensions is not believed, and says what to do', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    await learn(engine, CAR)
    await settle(engine)
    embedder.dimensions = 32
    await learn(engine, CAT)
    await bench.pass(5_000)
    const status = engine.node.embedStatus()
    assert.equal(status.state, 'unavailable')
    assert.match(status.reason ?? '', /32 components now.*64.*embed\.dimensions/)
    assert.deepEqual(contents(await search(engine, 'kitten')), [CAT])
    assert.equal(await rows(engine), 1)
  })

  test('a stop does not wait for it', async () => {
    const embedder = new FakeEmbedder()
    const engine = await start(fakeVectors(embedder))
    embedder.mood = 'hang'
    await learn(engine, CAR)
    await bench.pass(100)
    const startedMs = engine.clock.monotonicMs()
    await bench.finish(engine.node.stop())
    assert.ok(engine.clock.monotonicMs() - startedMs < 1_000)
    assert.ok(embedder.isClosed)
  })
})

describe('after a restart', () => {
  test('vectors come from the disk, not from the embedder', async () => {
    const engine = await start(fakeVectors(new FakeEmbedder()))
    await learn(engine, CAR, CAT, MONEY)
    await settle(engine)
    const embedder = new FakeEmbedder()
    const next = await bench.restart(engine, { vectors: fakeVectors(embedder) })
    await bench.finish(next.node.indexed())
    await settle(next)
    assert.deepEqual(embedder.documents, [])
    assert.equal((await search(next, 'automobile purchase')).items[0]?.content, CAR)
    assert.equal(next.node.status().index.vector, 'on')
  })

  test('an index that was saved is pruned of what has gone, and lacks nothing', async () => {
    const shelf = new MemoryShelf()
    const engine = await start(fakeVectors(new FakeEmbedder(), {}, shelf))
    await learn(engine, CAR, CAT)
    await settle(engine)
    const index = [...shelf.saved.values()][0]
    index?.add(4_711, new Float32Array(64).fill(1 / 8))
    const embedder = new FakeEmbedder()
    const next = await bench.restart(engine, { vectors: fakeVectors(embedder, {}, shelf) })
    await bench.finish(next.node.indexed())
    await settle(next)
    assert.equal(index?.has(4_711), false)
    assert.equal(next.node.embedStatus().indexed, 2)
  })

  test('another model embeds everything anew, says stale meanwhile, and clears the old away', async () => {
    const shelf = new MemoryShelf()
    const engine = await start(fakeVectors(new FakeEmbedder('old'), {}, shelf))
    await learn(engine, CAR, CAT, MONEY)
    await settle(engine)
    const embedder = new FakeEmbedder('new', 32)
    embedder.mood = 'hang'
    const next = await bench.restart(engine, { vectors: fakeVectors(embedder, {}, shelf) })
    await bench.finish(next.node.indexed())
    await bench.pass(1_000)
    assert.equal(next.node.status().index.vector, 'stale')
    assert.deepEqual(contents(await search(next, 'kitten')), [CAT])
    embedder.mood = 'well'
    embedder.release()
    await bench.pass(5_000)
    assert.equal(next.node.status().index.vector, 'on')
    assert.equal(embedder.documents.length, 3)
    assert.equal((await search(next, 'automobile purchase')).items[0]?.content, CAR)
    assert.equal(await rows(next), 3, 'those of the old model are gone')
    assert.equal(shelf.saved.size, 1)
  })

  test('a damaged row is embedded again', async () => {
    const engine = await start(fakeVectors(new FakeEmbedder()))
    await learn(engine, CAR, CAT)
    await settle(engine)
    const [row] = await engine.store.scan('embedding', { limit: 1 })
    assert.ok(row)
    await engine.store.batch([{ table: 'embedding', key: row.key, value: new Uint8Array([0, 64, 1]) }], {
      durable: true
    })
    const embedder = new FakeEmbedder()
    const next = await bench.restart(engine, { vectors: fakeVectors(embedder) })
    await bench.finish(next.node.indexed())
    await settle(next)
    assert.equal(embedder.documents.length, 1)
    assert.equal(next.node.embedStatus().indexed, 2)
  })
})

describe('vectors that clients bring', () => {
  test('texts are handed out, vectors taken, queries answered', async () => {
    const engine = await start(fakeVectors(undefined))
    await learn(engine, CAR, CAT, MONEY)
    const { items, model, waiting } = await bench.finish(engine.node.embedPending({}))
    assert.equal(model, 'client-model')
    assert.equal(waiting, 3)
    assert.deepEqual(new Set(items.map(({ text }) => text)), new Set([CAR, CAT, MONEY]))
    const made = items.map(({ textHash, text }) => ({ textHash, vector: embedText(text, 64) }))
    const query = { text: 'automobile purchase', vector: embedText('automobile purchase', 64) }
    const put = { model, items: made, queries: [query] }
    assert.deepEqual(await bench.finish(engine.node.embedPut(put)), { accepted: 3, waiting: 0 })
    assert.deepEqual(await bench.finish(engine.node.embedPut(put)), { accepted: 0, waiting: 0 })
    assert.equal((await search(engine, 'automobile purchase')).items[0]?.content, CAR)
    assert.deepEqual(contents(await search(engine, 'physician')), [], 'nobody brought this one')
    assert.equal((await bench.finish(engine.node.embedPending({}))).items.length, 0)
    await bench.pass(100)
    assert.equal(engine.node.status().index.vector, 'on')
    assert.equal(await codeOf(engine.node.embedTest('x')), 'invalid_state')
  })

  test('another model, another number of components and no vectors at all are refused', async () => {
    const engine = await start(fakeVectors(undefined))
    await learn(engine, CAR, CAT)
    const { items } = await bench.finish(engine.node.embedPending({ limit: 1 }))
    assert.equal(items.length, 1)
    const textHash = items[0]?.textHash as string
    const put = (model: string, vector: number[]): Promise<string> =>
      codeOf(bench.finish(engine.node.embedPut({ model, items: [{ textHash, vector }] })))
    assert.equal(await put('other', [1, 2]), 'conflict')
    assert.equal(await put('client-model', [0, 0]), 'invalid_argument')
    assert.equal(await put('client-model', [NaN, 1]), 'invalid_argument')
    assert.equal(
      await put('client-model', new Array<number>(LIMITS.embedDimensionsMax + 1).fill(1)),
      'invalid_argument'
    )
    assert.equal(await put('client-model', [1, 2]), 'resolved')
    const rest = await bench.finish(engine.node.embedPending({}))
    assert.equal(rest.items.length, 1)
    const three = { textHash: rest.items[0]?.textHash as string, vector: [1, 2, 3] }
    assert.equal(await codeOf(engine.node.embedPut({ model: 'client-model', items: [three] })), 'conflict')
  })
})
