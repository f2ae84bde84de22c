import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  cautionOf,
  importanceFactorOf,
  rankCollective,
  rankFused,
  rankJaccard,
  recencyOf,
  strengthOf,
  type Candidate
} from '../../../src/recall/rank.ts'
import type { RecallDoc } from '../../../src/recall/recall-doc.ts'
import { DAY_MS, docOf, NOW_MS } from './doc.ts'

const candidate = (n: number, fields: Partial<Candidate> = {}, doc: Partial<RecallDoc> = {}): Candidate => ({
  key: docOf(n).id,
  doc: docOf(n, doc),
  simHash: { high: n * 0x01234567, low: n * 0x07654321 },
  relevance: 0.5,
  evidence: 1,
  similarity: 0.5,
  jaccard: 0.5,
  trust: 1,
  ...fields
})
const aged = (kind: RecallDoc['kind'], days: number, fields: Partial<RecallDoc> = {}): RecallDoc =>
  docOf(1, { kind, updatedAt: NOW_MS - days * DAY_MS, ...fields })
const close = (actual: number | undefined, expected: number): void =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`)

describe('factors', () => {
  it('halve with the half-life of the kind, down to the floor', () => {
    close(recencyOf(aged('signal', 0.5), NOW_MS), 2 ** -0.5)
    close(recencyOf(aged('observation', 7), NOW_MS), 2 ** -0.5)
    close(recencyOf(aged('fact', 90), NOW_MS), 2 ** -0.5)
    close(recencyOf(aged('signal', 1), NOW_MS), 0.5)
    close(recencyOf(aged('signal', 100), NOW_MS), 0.5)
  })

  it('do not age decisions, preferences, procedures, notes, what is pinned and what is dated ahead', () => {
    for (const kind of ['decision', 'preference', 'procedure', 'note'] as const) {
      assert.equal(recencyOf(aged(kind, 900), NOW_MS), 1)
    }
    assert.equal(recencyOf(aged('signal', 900, { pinned: true }), NOW_MS), 1)
    assert.equal(recencyOf(aged('signal', -5), NOW_MS), 1)
  })

  it('let importance move a score by a tenth at most', () => {
    close(importanceFactorOf(docOf(1, { importance: 0 })), 0.9)
    close(importanceFactorOf(docOf(1, { importance: 1 })), 1.1)
    close(importanceFactorOf(docOf(1)), 1)
  })

  it('let weak evidence count a quarter, and hold back what gives orders', () => {
    close(strengthOf(1), 1)
    close(strengthOf(0.5), 0.625)
    close(strengthOf(0), 0.25)
    assert.equal(cautionOf(docOf(1)), 1)
    assert.equal(cautionOf(docOf(1, { flags: ['hidden-unicode'] })), 1)
    assert.equal(cautionOf(docOf(1, { flags: ['hidden-unicode', 'imperative'] })), 0.7)
  })
})

describe('rankings', () => {
  it('fused multiplies its factors, and names them', () => {
    const doc = { kind: 'signal' as const, updatedAt: NOW_MS - DAY_MS, importance: 1, accessCount: 1_000 }
    const [hit] = rankFused([candidate(1, { relevance: 0.8, trust: 0.5 }, doc)], NOW_MS)
    const factors = { relevance: 0.8, strength: 1, trust: 0.5, recency: 0.5, importance: 1.1, caution: 1 }
    assert.deepEqual(hit?.factors, factors)
    close(hit.score, 0.8 * 0.5 * 0.5 * 1.1)
  })

  it('fused lets no importance pass three quarters of the evidence, and any importance break a tie', () => {
    const first = (evidence: number): string | undefined =>
      rankFused(
        [
          candidate(1, { evidence: 1 }, { importance: 0 }),
          candidate(2, { evidence, relevance: 0.5 * (61 / 62) }, { importance: 1 })
        ],
        NOW_MS
      )[0]?.candidate.doc.id.at(-1)
    assert.equal(first(0.75), '1')
    assert.equal(first(1), '2')
  })

  it('collective is .5 similarity + .3 confidence + .2 access, access full at 100', () => {
    const [hit] = rankCollective([candidate(1, { similarity: 0.6 }, { confidence: 0.9, accessCount: 50 })])
    close(hit?.score, 0.6 * 0.5 + 0.9 * 0.3 + 0.5 * 0.2)
    const [full] = rankCollective([candidate(1, { similarity: 1 }, { confidence: 1, accessCount: 5_000 })])
    close(full?.score, 1)
  })

  it('jaccard puts pinned records before any likeness', () => {
    const hits = rankJaccard([candidate(1, { jaccard: 0.9 }), candidate(2, { jaccard: 0.1 }, { pinned: true })])
    assert.deepEqual(
      hits.map((hit) => hit.score),
      [1.1, 0.9]
    )
  })

  it('break ties by id', () => {
    const ids = [3, 1, 2].map((n) => candidate(n))
    for (const ranked of [rankFused(ids, NOW_MS), rankCollective(ids), rankJaccard(ids)]) {
      assert.deepEqual(
        ranked.map((hit) => hit.candidate.key),
        [1, 2, 3].map((n) => docOf(n).id)
      )
    }
  })
})
