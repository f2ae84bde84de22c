import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import type { RecallDoc } from '../../../src/recall/recall-doc.ts'
import { RecallIndex, type RecallRequest } from '../../../src/recall/recall-index.ts'
import { authorOf, DAY_MS, docOf, idOf, NOW_MS, OTHER_SPACE, SPACE } from './doc.ts'

type Row = [n: number, text: string, fields?: Partial<RecallDoc>]

function indexOf(...rows: Row[]): RecallIndex {
  const index = new RecallIndex()
  for (const [n, text, fields] of rows) index.upsert(docOf(n, fields), text)
  return index
}

const inOrder = (numbers: number[]): number[] => numbers.sort((a, b) => a - b)
const numberOf = (id: string): number => Number.parseInt(id, 16)

function found(index: RecallIndex, query: string, rest: Partial<RecallRequest> = {}): number[] {
  return index.search({ query, limit: 10, nowMs: NOW_MS, ...rest }).hits.map((hit) => numberOf(hit.id))
}

describe('RecallIndex.search', () => {
  it('finds by words, tags, keys, paths and ids', () => {
    const index = indexOf(
      [1, 'the deploy needs a token'],
      [2, 'something else', { tags: ['Release-Train', '🚀'] }],
      [3, 'another thing', { key: 'db/main', path: 'services/api' }],
      [4, 'unrelated']
    )
    assert.deepEqual(found(index, 'how do I deploy?'), [1])
    assert.deepEqual(found(index, '#release-train'), [2])
    assert.deepEqual(found(index, '🚀'), [2])
    assert.deepEqual(found(index, 'tag:release-train'), [2])
    assert.deepEqual(found(index, 'db/main'), [3])
    assert.deepEqual(found(index, 'key:db/main'), [3])
    assert.deepEqual(found(index, 'Services/API/'), [3])
    assert.deepEqual(found(index, idOf(4)), [4])
    assert.deepEqual(found(index, 'nothing of the kind'), [])
  })

  it('puts a record named outright before better texts', () => {
    const index = indexOf([1, 'retry policy retry policy'], [2, 'three times', { key: 'retry policy' }])
    assert.equal(found(index, 'retry policy')[0], 2)
  })

  it('answers a question made of stop words only', () => {
    const index = indexOf([1, 'who are you? an agent'], [2, 'deploy token'])
    assert.deepEqual(found(index, 'who are you'), [1])
  })

  it('lists the newest for an empty query', () => {
    const index = indexOf([1, 'a', { createdAt: 5 }], [2, 'b', { createdAt: 7 }], [3, 'c', { createdAt: 7 }])
    assert.deepEqual(found(index, ' \n'), [2, 3, 1])
    assert.deepEqual(index.search({ query: '', limit: 2, nowMs: NOW_MS }).dropped, 1)
  })

  it('hides what is retracted, expired or superseded, and shows it when asked', () => {
    const index = indexOf(
      [1, 'port is 80', { retracted: true }],
      [2, 'port is 81', { expiresAt: NOW_MS - 1 }],
      [3, 'port is 82'],
      [4, 'port is 83', { supersedes: [idOf(3)] }]
    )
    assert.deepEqual(found(index, 'port'), [4])
    assert.deepEqual(inOrder(found(index, 'port', { filters: { includeRetracted: true } })), [1, 4])
    assert.deepEqual(inOrder(found(index, 'port', { filters: { includeExpired: true } })), [2, 4])
    assert.deepEqual(inOrder(found(index, 'port', { filters: { includeSuperseded: true } })), [3, 4])
  })

  it('lets a record supersede whichever of the two is indexed first, until it goes', () => {
    const index = indexOf([4, 'port is 83', { supersedes: [idOf(3)] }], [3, 'port is 82'])
    assert.deepEqual(found(index, 'port'), [4])
    index.upsert(docOf(4, { supersedes: [idOf(3)], retracted: true }), 'port is 83')
    assert.deepEqual(found(index, 'port'), [3])
    index.upsert(docOf(4, { supersedes: [idOf(3)] }), 'port is 83')
    assert.deepEqual(found(index, 'port'), [4])
    index.remove(idOf(4), SPACE)
    assert.deepEqual(found(index, 'port'), [3])
  })

  it('loses nothing between two records that supersede each other, or one that supersedes itself', () => {
    const index = indexOf(
      [1, 'port is 80', { supersedes: [idOf(2)] }],
      [2, 'port is 81', { supersedes: [idOf(1)] }],
      [3, 'port is 82', { supersedes: [idOf(3)] }]
    )
    assert.deepEqual(inOrder(found(index, 'port')), [1, 2, 3])
  })

  it('keeps the spaces apart: one id in two spaces is two records', () => {
    const index = indexOf([1, 'private plan'], [1, 'forged plan', { space: OTHER_SPACE, supersedes: [idOf(1)] }])
    assert.equal(index.size, 2)
    assert.equal(index.get(idOf(1), SPACE)?.space, SPACE)
    assert.deepEqual(
      index.search({ query: 'private', limit: 5, nowMs: NOW_MS }).hits.map(({ id, space }) => [id, space]),
      [[idOf(1), SPACE]]
    )
    assert.equal(index.remove(idOf(1), OTHER_SPACE), true)
    assert.deepEqual(found(index, 'private plan'), [1])
  })

  it('drops whom it is told not to trust, and what they wanted to supersede stays', () => {
    const index = indexOf([1, 'port is 80'], [2, 'port is 66', { supersedes: [idOf(1)], author: authorOf(66) }])
    const trustOf = (doc: RecallDoc): number => (doc.author === authorOf(66) ? 0 : 1)
    assert.deepEqual(found(index, 'port', { trustOf }), [1])
    assert.deepEqual(found(index, 'port'), [2])
  })

  it('filters before it cuts, so that a narrow filter still finds', () => {
    const index = new RecallIndex()
    for (let n = 0; n < 3_000; n++)
      index.upsert(docOf(n, { tags: n === 1_234 ? ['rare'] : [] }), 'common words '.repeat(n === 1_234 ? 9 : 1))
    assert.deepEqual(found(index, 'common words', { filters: { tagsAll: ['rare'] } }), [1_234])
  })

  it('counts what the limit cut off, among the best candidates only', () => {
    const index = new RecallIndex()
    for (let n = 0; n < LIMITS.recallCandidatesMax + 50; n++) index.upsert(docOf(n), 'word')
    assert.equal(index.search({ query: 'word', limit: 10, nowMs: NOW_MS }).dropped, 90)
    assert.equal(index.search({ query: '', limit: 10, nowMs: NOW_MS }).dropped, LIMITS.recallCandidatesMax - 10)
    const most = index.search({ query: 'word', limit: LIMITS.recallResultsMax + 1, nowMs: NOW_MS })
    assert.equal(most.hits.length, LIMITS.recallResultsMax)
    assert.equal(most.dropped, LIMITS.recallCandidatesMax - LIMITS.recallResultsMax)
  })

  it('explains every factor by name, only when asked', () => {
    const index = indexOf([1, 'deploy token', { kind: 'signal', updatedAt: NOW_MS - DAY_MS, importance: 1 }])
    const request = { query: 'deploy', limit: 5, nowMs: NOW_MS }
    assert.equal(index.search(request).hits[0]?.why, undefined)
    const [hit] = index.search({ ...request, explain: true }).hits
    const { bm25, ...why } = hit?.why ?? {}
    assert.ok(bm25 !== undefined && bm25 > 0)
    const factors = { relevance: 1, strength: 1, trust: 1, recency: 0.5, importance: 1.1, caution: 1, novelty: 1 }
    assert.deepEqual(why, { ...factors, bm25Rank: 1 })
    assert.equal(hit?.score, 0.55)
    const names = (ranking: 'collective' | 'jaccard'): string[] =>
      Object.keys(index.search({ ...request, explain: true, ranking }).hits[0]?.why ?? {})
    assert.deepEqual(names('collective'), ['similarity', 'confidence', 'access', 'trust', 'bm25', 'bm25Rank'])
    assert.deepEqual(names('jaccard'), ['jaccard', 'pinned', 'trust', 'bm25', 'bm25Rank'])
  })

  it('offers the classic rankings', () => {
    const index = indexOf(
      [1, 'deploy token', { accessCount: 0, confidence: 0.1 }],
      [2, 'deploy token rotation schedule', { accessCount: 100, confidence: 1 }],
      [3, 'deploy among many other quite different words', { pinned: true }]
    )
    assert.equal(found(index, 'deploy token')[0], 1)
    assert.equal(found(index, 'deploy token', { ranking: 'collective' })[0], 2)
    assert.deepEqual(found(index, 'deploy token', { ranking: 'jaccard' }), [3, 1, 2])
  })

  it('does not fill an answer with one author, nor with one text', () => {
    const index = new RecallIndex()
    for (let n = 0; n < 20; n++) index.upsert(docOf(n, { author: authorOf(1) }), `deploy token ${'x'.repeat(n + 4)}`)
    for (let n = 20; n < 22; n++) index.upsert(docOf(n), `deploy among quite a few other words number${n}`)
    const answer = found(index, 'deploy token', { limit: 4 })
    assert.deepEqual(answer.filter((n) => n >= 20).length, 2)
    const repeated = indexOf(
      [1, 'rotate the deploy token weekly'],
      [2, 'rotate the deploy token weekly'],
      [3, 'the deploy token of staging is kept in the vault by the on-call engineer']
    )
    assert.deepEqual(found(repeated, 'deploy token'), [1, 3, 2])
  })

  it('survives any query', () => {
    const index = indexOf([1, 'x'])
    for (const query of [
      '\ud800',
      '\0',
      '__proto__',
      'constructor',
      '("[*\\',
      'a'.repeat(10_000),
      'x '.repeat(5_000)
    ]) {
      assert.ok(index.search({ query, limit: 5, nowMs: NOW_MS }).dropped === 0)
    }
    assert.deepEqual(found(index, 'x', { limit: 0 }), [])
    assert.deepEqual(found(index, 'x', { limit: -1 }), [])
  })
})

describe('RecallIndex.upsert', () => {
  it('replaces text, tags, key and path', () => {
    const index = indexOf([1, 'old words', { tags: ['red'], key: 'k1', path: 'p1' }])
    index.upsert(docOf(1, { tags: ['blue'], key: 'k2', path: 'p2' }), 'new words')
    for (const gone of ['old', 'red', 'k1', 'p1', 'tag:red', 'key:k1']) assert.deepEqual(found(index, gone), [], gone)
    for (const there of ['new', 'blue', 'k2', 'p2', 'tag:blue', 'key:k2'])
      assert.deepEqual(found(index, there), [1], there)
    assert.equal(index.size, 1)
  })

  it('takes over new numbers when the text is the same', () => {
    const index = indexOf([1, 'words', { accessCount: 1 }])
    index.upsert(docOf(1, { accessCount: 2, pinned: true }), 'words')
    assert.equal(index.get(idOf(1), SPACE)?.accessCount, 2)
    assert.equal(index.get(idOf(1), SPACE)?.pinned, true)
    assert.deepEqual(found(index, 'words'), [1])
  })

  it('moves a record whose time of creation turns out earlier', () => {
    const index = indexOf([1, 'ant', { createdAt: 9 }], [2, 'bee', { createdAt: 5 }])
    assert.deepEqual(found(index, ''), [1, 2])
    index.upsert(docOf(1, { createdAt: 3 }), 'ant')
    assert.deepEqual(found(index, ''), [2, 1])
    assert.deepEqual(inOrder(found(index, 'ant bee')), [1, 2])
  })

  it('keeps no hold on what the caller handed in', () => {
    const tags = ['a']
    const index = new RecallIndex()
    index.upsert({ ...docOf(1, { tags }), content: 'secret' } as RecallDoc, 'text')
    tags.push('b')
    assert.deepEqual(index.get(idOf(1), SPACE)?.tags, ['a'])
    assert.ok(!('content' in (index.get(idOf(1), SPACE) ?? {})))
  })

  it('says what is there', () => {
    const index = indexOf([1, 'a'])
    assert.equal(index.has(idOf(1), SPACE), true)
    assert.equal(index.has(idOf(1), OTHER_SPACE), false)
    assert.equal(index.remove(idOf(2), SPACE), false)
    assert.equal(index.remove(idOf(1), SPACE), true)
    assert.deepEqual([index.size, index.has(idOf(1), SPACE), found(index, 'a')], [0, false, []])
  })
})

describe('RecallIndex.list', () => {
  it('pages through everything once, newest first, while records come and go', () => {
    const index = new RecallIndex()
    for (let n = 0; n < 25; n++) index.upsert(docOf(n, { createdAt: 100 + Math.floor(n / 3) }), `text ${n}`)
    const seen: number[] = []
    let after: RecallDoc | undefined
    for (;;) {
      const page = index.list({}, { limit: 4, nowMs: NOW_MS, ...(after === undefined ? {} : { after }) })
      seen.push(...page.map((doc) => numberOf(doc.id)))
      after = page.at(-1)
      if (after === undefined) break
      index.remove(after.id, after.space)
    }
    const expected = Array.from({ length: 25 }, (_, n) => n).sort(
      (a, b) => Math.floor(b / 3) - Math.floor(a / 3) || a - b
    )
    assert.deepEqual(seen, expected)
  })

  it('filters as a search does', () => {
    const index = indexOf(
      [1, 'a', { kind: 'fact' }],
      [2, 'b', { kind: 'task' }],
      [3, 'c', { kind: 'fact', retracted: true }],
      [4, 'd', { kind: 'fact', supersedes: [idOf(1)] }]
    )
    const ids = index.list({ kinds: ['fact'] }, { limit: 9, nowMs: NOW_MS }).map((doc) => numberOf(doc.id))
    assert.deepEqual(ids, [4])
  })
})
