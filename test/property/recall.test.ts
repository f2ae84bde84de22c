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
    supersedes: fc.uniqueArray(fc.nat(12).map(idOf), { maxLength: 2 }),
    parents: fc.uniqueArray(fc.nat(12).map(idOf), { maxLength: 2 }),
    related: fc.uniqueArray(fc.nat(12).map(idOf), { maxLength: 2 }),
    flags: fc.constantFrom([], ['imperative'])
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
  const vectorHits = [5, 2, 2, 9].map((n, i) => ({ id: idOf(n), space: SPACE, similarity: 0.9 - i / 10 }))
  const hybrid = index.search({ query: 'deploy', limit: 4, explain: true, nowMs: NOW_MS, vectorHits, mmr: 0.4 })
  const past = { ms: NOW_MS / 2, docs: new Map([[idOf(3) + SPACE, docOf(3)]]) }
  const then = index.search({ query: 'deploy', limit: 4, explain: true, nowMs: NOW_MS, past })
  return [
    ...searches,
    hybrid,
    then,
    index.list({ includeRetracted: true, includeSuperseded: true }, { limit: 50, nowMs: NOW_MS })
  ]
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

  /**
   * A thousand documents and more over words whose frequencies differ as in a language: enough that words are skipped.
   * Asking for everything skips nothing, so the two answers take different ways.
   */
  it('gives the best few of all, to the bit, whatever it does not look at and whatever came and went', () => {
    const words = Array.from({ length: 400 }, (_, i) => `word${i}x`)
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(0x7fff_ffff)), fc.integer({ min: 1, max: 40 }), (dice, limit) => {
        const roll = (sides: number): number => (dice.next().value as number) % sides
        const word = (): string => words[Math.min(roll(400), roll(400), roll(400), roll(400))] as string
        const plain = (): string => Array.from({ length: 1 + roll(24) }, word).join(roll(3) === 0 ? 's ' : ' ')
        // Few say one word over and over, or go on and on: those make the bounds.
        const text = (): string =>
          roll(20) === 0 ? `${word()} `.repeat(2 + roll(10)) : roll(20) === 0 ? `${plain()} `.repeat(9) : plain()
        const index = new KeywordIndex<Keyed>()
        for (let i = 0; i < 1_500; i++) index.add({ key: `${roll(1_800)}` }, text())
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 150; i++) {
            if (roll(3) === 0) index.remove(`${roll(1_800)}`)
            else index.add({ key: `${roll(1_800)}` }, text())
          }
          for (const query of [`${word()} ${words[390 - roll(200)] ?? ''}`, text(), `${words[0] ?? ''} ${text()}`]) {
            const all = index.search(query, index.size)
            assert.deepEqual(index.search(query, limit), all.slice(0, limit))
            const share = 1 + roll(30)
            const accept = ({ key }: Keyed): boolean => Number(key) % share === 0
            assert.deepEqual(
              index.search(query, limit, accept),
              all.filter((hit) => accept(hit.document)).slice(0, limit)
            )
          }
        }
      }),
      { numRuns: 25 }
    )
  })
})
