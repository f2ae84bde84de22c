import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { KINDS } from '../../src/memory/ops.ts'
import { KeywordIndex, type Keyed } from '../../src/recall/keyword-index.ts'
import type { RecallDoc } from '../../src/recall/recall-doc.ts'
import { RecallIndex, type RecallAnswer } from '../../src/recall/recall-index.ts'
import { authorOf, docOf, idOf, NOW_MS, OTHER_SPACE, SPACE } from '../unit/recall/doc.ts'

const WORDS = [
  'deploy',
  'deployed',
  'deployment',
  'token',
  'tokne',
  'the',
  'who',
  'cache',
  'connection',
  'conection',
  'x1'
]
const QUERIES = ['', 'deploy token', 'who the', 'tokens', 'conections cache', '#red', 'key:one', 'x1 deploymnt']

const text = fc.array(fc.constantFrom(...WORDS), { maxLength: 8 }).map((words) => words.join(' '))
const doc: fc.Arbitrary<RecallDoc> = fc
  .record({
    n: fc.nat(12),
    space: fc.constantFrom(SPACE, OTHER_SPACE),
    key: fc.constantFrom(null, 'one', 'two'),
    kind: fc.constantFrom(...KINDS),
    tags: fc.uniqueArray(fc.constantFrom('red', 'blue')),
    author: fc.nat(2).map(authorOf),
    createdAt: fc.nat(5),
    updatedAt: fc.nat(NOW_MS),
    importance: fc.constantFrom(null, 0, 1),
    pinned: fc.boolean(),
    retracted: fc.boolean(),
    supersedes: fc.uniqueArray(fc.nat(12).map(idOf), { maxLength: 2 })
  })
  .map(({ n, ...fields }) => docOf(n, fields))

type Step = { readonly put: RecallDoc; readonly text: string } | { readonly remove: RecallDoc }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: doc, text }) },
  { weight: 1, arbitrary: fc.record({ remove: doc }) }
)

function answers(index: RecallIndex): (RecallAnswer | RecallDoc[])[] {
  const searches = QUERIES.flatMap((query) =>
    (['fused', 'collective', 'jaccard'] as const).map((ranking) =>
      index.search({ query, limit: 6, ranking, explain: true, nowMs: NOW_MS })
    )
  )
  return [...searches, index.list({ includeRetracted: true, includeSuperseded: true }, { limit: 50, nowMs: NOW_MS })]
}

describe('the recall index, whatever happened to it', () => {
  it('answers like one built afresh, to the bit', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.nat()), (steps, dice) => {
        const index = new RecallIndex()
        const model = new Map<string, { doc: RecallDoc; text: string }>()
        for (const one of steps) {
          if ('put' in one) {
            index.upsert(one.put, one.text)
            model.set(one.put.id + one.put.space, { doc: one.put, text: one.text })
          } else {
            const known = model.delete(one.remove.id + one.remove.space)
            assert.equal(index.remove(one.remove.id, one.remove.space), known)
          }
        }
        const shuffled = [...model.values()]
          .map((item) => ({ item, at: dice.next().value as number }))
          .sort((a, b) => a.at - b.at)
        const fresh = new RecallIndex()
        for (const { item } of shuffled) fresh.upsert(item.doc, item.text)
        assert.equal(index.size, model.size)
        assert.deepEqual(answers(index), answers(fresh))
        assert.deepEqual(answers(index), answers(index), 'asking changes nothing')
      }),
      { numRuns: 150 }
    )
  })

  it('shows no record twice, none that was removed, and none that a default hides', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(...QUERIES), (steps, query) => {
        const index = new RecallIndex()
        for (const one of steps) {
          if ('put' in one) index.upsert(one.put, one.text)
          else index.remove(one.remove.id, one.remove.space)
        }
        const { hits } = index.search({ query, limit: 100, nowMs: NOW_MS })
        assert.equal(new Set(hits.map((hit) => hit.id + hit.space)).size, hits.length)
        for (const hit of hits) assert.equal(index.get(hit.id, hit.space)?.retracted, false)
        for (let i = 1; i < hits.length; i++) assert.ok((hits[i - 1]?.score ?? 0) >= (hits[i]?.score ?? 0))
      })
    )
  })
})

describe('the keyword index', () => {
  it('finds every document by each of its words', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 30 }), { maxLength: 20 }), (texts) => {
        const index = new KeywordIndex<Keyed>()
        texts.forEach((content, i) => index.add({ key: `k${i}` }, content))
        texts.forEach((content, i) => {
          const own = index.search(content, texts.length).map((hit) => hit.document.key)
          if (/[\p{L}\p{N}]/u.test(content)) assert.ok(own.includes(`k${i}`), JSON.stringify(content))
        })
      })
    )
  })
})
