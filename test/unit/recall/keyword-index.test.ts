import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { KeywordIndex, type Keyed } from '../../../src/recall/keyword-index.ts'

function indexOf(texts: Record<string, string>): KeywordIndex<Keyed> {
  const index = new KeywordIndex<Keyed>()
  for (const [key, text] of Object.entries(texts)) index.add({ key }, text)
  return index
}

const found = (index: KeywordIndex<Keyed>, query: string, limit = 10): string[] =>
  index.search(query, limit).map((hit) => hit.document.key)

describe('KeywordIndex', () => {
  it('computes BM25 as in the paper, stop words not counted, a word in the same form a third more', () => {
    const index = indexOf({ a: 'the alpha alpha and beta', b: 'alphas gamma', c: 'delta' })
    const average = 6 / 3
    const idf = Math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    const weigh = (tf: number, length: number): number =>
      (idf * tf * 1.7) / (tf + 0.7 * (1 - 0.75 + (0.75 * length) / average))
    const hits = index.search('alpha', 10)
    assert.deepEqual(
      hits.map((hit) => hit.document.key),
      ['a', 'b']
    )
    assert.ok(Math.abs((hits[0]?.score ?? 0) - 1.35 * weigh(2, 3)) < 1e-12)
    assert.ok(Math.abs((hits[1]?.score ?? 0) - weigh(1, 2)) < 1e-12)
  })

  it('knows singular, plural, past and -ing apart, and still finds each by the others', () => {
    const index = indexOf({ bare: 'patch x', many: 'patches x', past: 'patched x', ing: 'patching x' })
    const first = { patch: 'bare', patches: 'many', patched: 'past', patching: 'ing' }
    for (const [word, key] of Object.entries(first)) {
      assert.equal(found(index, word)[0], key)
      assert.equal(found(index, word).length, 4)
    }
  })

  it('prefers rare words, repeated words and short texts', () => {
    const index = indexOf({
      common: 'server node daemon disk',
      alike: 'server room cold aisle',
      more: 'server rack tall unit',
      most: 'server farm wide field',
      rare: 'server quokka daemon disk',
      long: `quokka ${'filler words everywhere '.repeat(20)}`,
      twice: 'quokka quokka daemon disk'
    })
    assert.deepEqual(found(index, 'server quokka').slice(0, 2), ['rare', 'twice'])
    assert.deepEqual(found(index, 'quokka'), ['twice', 'rare', 'long'])
  })

  it('breaks ties by key, not by insertion', () => {
    const index = indexOf({ z: 'same words', m: 'same words', a: 'same words' })
    assert.deepEqual(found(index, 'words'), ['a', 'm', 'z'])
    assert.deepEqual(found(index, 'words', 2), ['a', 'm'])
  })

  it('finds misspelled words, parts and compounds, behind exact ones', () => {
    const index = indexOf({ exact: 'postgres tuning', compound: 'postgresql tuning', other: 'mongo tuning' })
    assert.deepEqual(found(index, 'postgres'), ['exact', 'compound'])
    assert.deepEqual(found(index, 'postgrse'), ['exact', 'compound'])
    assert.deepEqual(found(index, 'databse'), [])
  })

  it('does not prefer a rare misspelling to the word itself', () => {
    const index = new KeywordIndex<Keyed>()
    for (let i = 10; i < 30; i++) index.add({ key: `right${i}` }, 'connection lost')
    index.add({ key: 'misspelled' }, 'conection lost')
    assert.equal(found(index, 'connection', 30).at(-1), 'misspelled')
  })

  it('does not take one number for another', () => {
    const index = indexOf({ a: 'error 10054321', b: 'error 10054322' })
    assert.deepEqual(found(index, '10054321'), ['a'])
  })

  it('looks at stop words only when there is nothing else', () => {
    const index = indexOf({ who: 'who are you', the: 'the deploy of the thing', none: 'deploy' })
    assert.deepEqual(found(index, 'who are you'), ['who'])
    assert.deepEqual(new Set(found(index, 'the deploy')), new Set(['the', 'none']))
    assert.deepEqual(found(index, 'the unrelated'), [])
  })

  it('gives the Jaccard similarity of word sets, stop words aside', () => {
    const index = indexOf({ a: 'the red fox and the dog', b: 'red' })
    const byKey = new Map(index.search('red fox', 10).map((hit) => [hit.document.key, hit.jaccard]))
    assert.equal(byKey.get('a'), 2 / 3)
    assert.equal(byKey.get('b'), 1 / 2)
  })

  it('forgets what was removed or replaced', () => {
    const index = indexOf({ a: 'first text', b: 'second text' })
    index.add({ key: 'a' }, 'third words')
    assert.deepEqual(found(index, 'first'), [])
    assert.deepEqual(found(index, 'third'), ['a'])
    assert.equal(index.size, 2)
    assert.equal(index.remove('a'), true)
    assert.equal(index.remove('a'), false)
    assert.deepEqual(found(index, 'third'), [])
    assert.equal(index.size, 1)
    assert.equal(index.has('a'), false)
  })

  it('asks `accept` for enough documents, however narrow it is', () => {
    const index = new KeywordIndex<Keyed>()
    for (let i = 0; i < 3_000; i++) index.add({ key: `k${i}` }, `word ${'pad '.repeat(1 + (i % 40))}`)
    const wanted = new Set(['k7', 'k77', 'k777'])
    const narrow = index.search('word', 2, ({ key }) => wanted.has(key)).map((hit) => hit.document.key)
    const all = index.search('word', 3_000).map((hit) => hit.document.key)
    assert.deepEqual(narrow, all.filter((key) => wanted.has(key)).slice(0, 2))
    let asked = 0
    index.search('word', 10, () => ++asked > 0)
    assert.ok(asked <= 20, `${asked} documents were looked at for 10`)
  })

  it('gives the same best few as sorting everything', () => {
    const index = new KeywordIndex<Keyed>()
    for (let i = 0; i < 500; i++)
      index.add({ key: `k${(i * 7919) % 500}` }, `word ${'word '.repeat(i % 7)}${'pad '.repeat(i % 11)}`)
    const all = index.search('word', 500)
    for (let i = 1; i < all.length; i++) assert.ok((all[i - 1]?.score ?? 0) >= (all[i]?.score ?? 0))
    for (const limit of [1, 2, 17, 99, 250, 499]) assert.deepEqual(index.search('word', limit), all.slice(0, limit))
  })

  it('does not skip a common word that one document says over and over, or that is all of one document', () => {
    for (const loud of [`${'common '.repeat(15)}${'pad '.repeat(26)}`, 'common']) {
      const index = new KeywordIndex<Keyed>()
      for (let i = 0; i < 30; i++) index.add({ key: `rare${i}` }, `rare ${'pad '.repeat(700)}`)
      index.add({ key: 'loud' }, loud)
      for (let i = 0; i < 900; i++) index.add({ key: `quiet${i}` }, `common ${'pad '.repeat(40)}`)
      for (let i = 0; i < 600; i++) index.add({ key: `other${i}` }, 'other words')
      assert.deepEqual(found(index, 'rare common', 1), ['loud'])
    }
  })

  it('answers alike before and after renumbering', () => {
    const index = new KeywordIndex<Keyed>()
    const text = (i: number): string => `item${i % 97} shelf${i % 13} ${'pad '.repeat(i % 5)}`
    for (let i = 0; i < 4_000; i++) index.add({ key: `k${i}` }, text(i))
    for (let i = 0; i < 4_000; i += 2) index.remove(`k${i}`)
    const fresh = new KeywordIndex<Keyed>()
    for (let i = 3_999; i > 0; i -= 2) fresh.add({ key: `k${i}` }, text(i))
    for (const query of ['item5', 'item6 shelf3', 'shelf1 pad', 'itme12']) {
      assert.deepEqual(index.search(query, 50), fresh.search(query, 50))
    }
    assert.equal(index.size, 2_000)
  })

  it('bounds what one document and one query can cost', () => {
    const many = (count: number): string => Array.from({ length: count }, (_, i) => `w${i}q`).join(' ')
    const max = LIMITS.documentTermsMax
    const index = indexOf({ a: many(max + 1) })
    assert.deepEqual(found(index, `w${max - 1}q`), ['a'])
    assert.deepEqual(
      index.search(`w${max}q`, 1).filter((hit) => hit.jaccard > 0),
      []
    )
    const terms = LIMITS.queryTermsMax
    const last = indexOf({ a: `w${terms - 1}q`, b: `w${terms}q` })
    const exact = last.search(many(terms + 1), 10).filter((hit) => hit.jaccard > 0)
    assert.deepEqual(
      exact.map((hit) => hit.document.key),
      ['a']
    )
  })

  it('counts a word as often as it can, and no oftener', () => {
    for (const times of [14, 15, 16, 17, 255, 256, 257]) {
      const index = indexOf({ first: 'x '.repeat(times), other: 'y', last: 'x '.repeat(times) })
      assert.deepEqual(found(index, 'x'), ['first', 'last'], `${times} times`)
    }
  })

  it('does not let a key decide by more than its beginning when ties are broken', () => {
    const keys = ['aaaa', 'aaaaa', 'aaaa\u0001', 'aaa', 'aaa\u00ff1', 'aaa\u01000', 'aa\u2603b', 'aa\u2604a', 'ab', '']
    const index = indexOf(Object.fromEntries(keys.map((key) => [key, 'same words'])))
    assert.deepEqual(
      found(index, 'words', 20),
      keys.toSorted((a, b) => (a < b ? -1 : 1))
    )
  })

  it('knows texts of nothing but stop words by their stop words', () => {
    const index = indexOf({ a: 'who are you', b: 'who is who' })
    assert.deepEqual(found(index, 'who'), ['b', 'a'])
    assert.deepEqual(found(index, 'missing'), [])
  })

  it('has no answer for nothing', () => {
    assert.deepEqual(found(new KeywordIndex(), 'x'), [])
    assert.deepEqual(found(indexOf({ a: 'x' }), ''), [])
    assert.deepEqual(found(indexOf({ a: 'x' }), 'x', 0), [])
    assert.deepEqual(found(indexOf({ a: '' }), 'x'), [])
  })
})
