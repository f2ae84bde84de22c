/** The HTTP embedder against a real server: both protocols, and every way in which a service can be wrong. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { HttpEmbedder, type HttpEmbedderOptions } from '../../../../src/adapters/embed/http-embedder.ts'
import { systemClock } from '../../../../src/adapters/system/clock.ts'
import { ChrysalisError, type ErrorCode } from '../../../../src/base/errors.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import type { Clock } from '../../../../src/ports/clock.ts'
import { embedText, startEmbedServer, type EmbedServer, type Mood } from '../../../support/embed-server.ts'
import { cosine, normalised } from '../../../support/vectors.ts'

const DOCUMENT = { kind: 'document', timeoutMs: 2_000 } as const
const QUERY = { kind: 'query', timeoutMs: 2_000 } as const

let server: EmbedServer
beforeEach(async () => void (server = await startEmbedServer()))
afterEach(() => server.close())

/** Pauses take no time, and the time is told by the test. */
function hurriedClock(): Clock & { aheadMs: number; readonly pausesMs: number[] } {
  const pausesMs: number[] = []
  const clock = {
    aheadMs: 0,
    pausesMs,
    nowMs: () => systemClock.nowMs(),
    monotonicMs: () => clock.aheadMs,
    setTimer: (ms: number, act: () => void) => {
      pausesMs.push(ms)
      const timer = setImmediate(act)
      return () => clearImmediate(timer)
    }
  }
  return clock
}

function embedder(options: Partial<HttpEmbedderOptions> = {}, clock: Clock = hurriedClock()): HttpEmbedder {
  return new HttpEmbedder({ provider: 'ollama', model: 'test-model', url: server.url, ...options }, clock)
}

async function refused(promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<ChrysalisError> {
  const error = await promise.then(
    () => assert.fail('it went through'),
    (thrown: unknown) => thrown
  )
  assert.ok(error instanceof ChrysalisError)
  assert.equal(error.code, code)
  assert.match(error.message, message)
  assert.ok((error.hint ?? '') !== '')
  return error
}

describe('the protocols', () => {
  test('Ollama: what is asked, and vectors of length 1 in the order of the texts', async () => {
    const vectors = await embedder({ keepAlive: '30m', dimensions: 64 }).embed(['the car', 'a doctor'], DOCUMENT)
    const [question] = server.requests
    assert.equal(question?.path, '/api/embed')
    assert.deepEqual(question.body, {
      model: 'test-model',
      input: ['the car', 'a doctor'],
      truncate: true,
      dimensions: 64,
      keep_alive: '30m'
    })
    for (const [i, text] of ['the car', 'a doctor'].entries()) {
      const truth = normalised(Float32Array.from(embedText(text, 64)))
      assert.ok(cosine(truth, vectors[i] as Float32Array) > 0.999_99)
      assert.ok(Math.abs(Math.hypot(...(vectors[i] as Float32Array)) - 1) < 1e-6)
    }
  })

  test('OpenAI: the key is sent, and rows are put in order by their index', async () => {
    server.mood = 'shuffled'
    const openai = embedder({ provider: 'openai', key: 'k-123', url: `${server.url}/` })
    const vectors = await openai.embed(['the car', 'a doctor', 'money'], DOCUMENT)
    const [question] = server.requests
    assert.equal(question?.path, '/v1/embeddings')
    assert.equal(question.authorization, 'Bearer k-123')
    assert.deepEqual(question.body, {
      model: 'test-model',
      input: ['the car', 'a doctor', 'money'],
      encoding_format: 'float'
    })
    for (const [i, text] of ['the car', 'a doctor', 'money'].entries()) {
      assert.ok(cosine(normalised(Float32Array.from(embedText(text, 64))), vectors[i] as Float32Array) > 0.999_99)
    }
  })

  test('known models get the words they were trained with, and the configuration can say otherwise', async () => {
    await embedder({ model: 'nomic-embed-text:v1.5' }).embed(['a'], DOCUMENT)
    await embedder({ model: 'nomic-embed-text' }).embed(['a'], QUERY)
    await embedder({ model: 'nomic-embed-text', queryPrefix: 'ask ' }).embed(['a'], QUERY)
    await embedder({ model: 'unheard-of' }).embed(['a'], QUERY)
    assert.deepEqual(
      server.requests.map(({ texts }) => texts[0]),
      ['search_document: a', 'search_query: a', 'ask a', 'a']
    )
  })

  test('equal identities mean comparable vectors', () => {
    const identity = (options: Partial<HttpEmbedderOptions>): string => embedder(options).identity
    assert.equal(identity({}), identity({ url: 'http://127.0.0.1:9', key: 'other', queryPrefix: 'x' }))
    const all = [{}, { provider: 'openai' as const }, { model: 'b' }, { dimensions: 8 }, { documentPrefix: 'x' }]
    assert.equal(new Set(all.map(identity)).size, all.length)
  })

  test('no texts, no request; more than a batch is refused', async () => {
    assert.deepEqual(await embedder().embed([], DOCUMENT), [])
    const texts = Array.from({ length: LIMITS.embedBatchMax }, (_, i) => `text ${i}`)
    assert.equal((await embedder().embed(texts, DOCUMENT)).length, LIMITS.embedBatchMax)
    await refused(embedder().embed([...texts, 'one more'], DOCUMENT), 'too_large', /65 texts/)
    assert.equal(server.requests.length, 1)
  })
})

describe('a service that is wrong', () => {
  const faults: readonly (readonly [Mood, RegExp, texts: boolean])[] = [
    ['not-json', /not JSON/, true],
    ['nan', /not JSON/, true],
    ['null', /no finite number/, true],
    ['huge-number', /no finite number/, true],
    ['zero', /without a direction/, true],
    ['too-few', /1 vector for 2 texts/, true],
    ['too-many', /3 vectors for 2 texts/, true],
    ['no-list', /has no list/, false],
    ['oversized', /more than \d+ bytes/, false],
    ['redirect', /redirect/, false],
    ['drop', /cannot be reached/, false],
    [401, /key/, false],
    [404, /does not know the model/, false],
    [422, /does not take these texts/, true],
    [429, /too many requests/, false],
    [500, /status 500/, true]
  ]
  for (const provider of ['ollama', 'openai'] as const) {
    for (const [mood, message, texts] of faults) {
      test(`${provider}: ${mood}`, async () => {
        server.mood = mood
        const error = await refused(embedder({ provider }).embed(['one', 'two'], QUERY), 'unavailable', message)
        assert.equal(error.data?.['texts'], texts)
        assert.equal(server.requests.length, 1, 'a query is tried once, and no redirect is followed')
        assert.ok(!JSON.stringify([error.message, error.hint, error.data]).includes('two'), 'no text in an error')
        server.mood = 'well'
        assert.equal((await embedder({ provider }).embed(['one', 'two'], QUERY)).length, 2)
      })
    }
  }

  test('openai: two rows of one index', async () => {
    server.mood = 'doubled'
    await refused(embedder({ provider: 'openai' }).embed(['a', 'b'], QUERY), 'unavailable', /two rows/)
  })

  test('another number of components than was asked for, or too many', async () => {
    await refused(embedder({ dimensions: 32 }).embed(['a'], QUERY), 'unavailable', /64 components instead of 32/)
    server.dimensions = LIMITS.embedDimensionsMax
    assert.equal((await embedder().embed(['a'], QUERY))[0]?.length, LIMITS.embedDimensionsMax)
    server.dimensions = LIMITS.embedDimensionsMax + 1
    await refused(embedder().embed(['a'], QUERY), 'unavailable', /4097 components/)
  })

  test('an answer of as many bytes as the bound is read, one byte more is not', async () => {
    let bytes = LIMITS.embedAnswerBytesMax
    const plain = createServer((_, response) => response.end(`{"embeddings":[[1]]}${' '.repeat(bytes - 20)}`))
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const url = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`
    try {
      assert.equal((await embedder({ url }).embed(['a'], QUERY)).length, 1)
      bytes++
      await refused(embedder({ url }).embed(['a'], QUERY), 'unavailable', /more than 8388608 bytes/)
    } finally {
      plain.close()
      plain.closeAllConnections()
    }
  })

  test('one that says nothing times out; nobody at the address is told as such', async () => {
    server.mood = 'hang'
    await refused(embedder().embed(['a'], { kind: 'query', timeoutMs: 50 }), 'timeout', /within 50 ms/)
    await server.close()
    await refused(embedder().embed(['a'], QUERY), 'unavailable', /cannot be reached/)
  })

  test('closing gives up what is in flight', async () => {
    server.mood = 'hang'
    const one = embedder()
    const asked = one.embed(['a'], DOCUMENT)
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
    one.close()
    await refused(asked, 'cancelled', /given up/)
    await refused(one.embed(['a'], DOCUMENT), 'cancelled', /closed/)
  })
})

describe('trying again, and leaving alone', () => {
  test('a document is worth three tries, with growing pauses, and the service may ask for longer ones', async () => {
    server.mood = 500
    const clock = hurriedClock()
    await refused(embedder({}, clock).embed(['a'], DOCUMENT), 'unavailable', /status 500/)
    assert.equal(server.requests.length, 3)
    assert.deepEqual(clock.pausesMs, [250, 500])
  })

  test('what will not get better is not tried again', async () => {
    server.mood = 404
    await refused(embedder().embed(['a'], DOCUMENT), 'unavailable', /does not know the model/)
    assert.equal(server.requests.length, 1)
  })

  test('a service that comes back in between is no failure', async () => {
    server.mood = 503
    const one = embedder(
      {},
      {
        ...hurriedClock(),
        setTimer: (_, act) => {
          server.mood = 'well'
          const timer = setImmediate(act)
          return () => clearImmediate(timer)
        }
      }
    )
    assert.equal((await one.embed(['a'], DOCUMENT)).length, 1)
    assert.equal(one.failing(), undefined)
  })

  test('after so many failures in a row it is left alone; then one request decides', async () => {
    const clock = hurriedClock()
    const one = embedder({}, clock)
    server.mood = 'null'
    for (let i = 0; i < LIMITS.embedFailuresMax; i++) {
      assert.equal(one.failing(), undefined)
      await refused(one.embed(['a'], QUERY), 'unavailable', /no finite number/)
    }
    assert.match(one.failing()?.reason ?? '', /no finite number/)
    const asked = server.requests.length
    await refused(one.embed(['a'], QUERY), 'unavailable', /left alone/)
    assert.equal(server.requests.length, asked, 'nothing was sent')

    clock.aheadMs += one.failing()?.retryMs ?? 0
    await refused(one.embed(['a'], QUERY), 'unavailable', /no finite number/)
    const firstPauseMs = one.failing()?.retryMs ?? 0
    await refused(one.embed(['a'], QUERY), 'unavailable', /left alone/)
    assert.equal(server.requests.length, asked + 1, 'one probe')

    clock.aheadMs += firstPauseMs
    server.mood = 'well'
    const [probe, other] = await Promise.allSettled([one.embed(['a'], QUERY), one.embed(['b'], QUERY)])
    assert.equal(probe?.status, 'fulfilled')
    assert.equal(other?.status, 'rejected', 'only the probe is let through')
    assert.equal(one.failing(), undefined)
    assert.equal((await one.embed(['b'], QUERY)).length, 1)
  })
})
