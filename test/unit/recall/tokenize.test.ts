import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { stem } from '../../../src/recall/stem.ts'
import { fold, isStopWord, tokenize } from '../../../src/recall/tokenize.ts'

const sameTerms = (a: string, b: string): void => assert.deepEqual(tokenize(a), tokenize(b))

describe('stem', () => {
  it('joins the forms of one word', () => {
    const families = [
      ['cache', 'caches', 'cached', 'caching'],
      ['deploy', 'deploys', 'deployed', 'deploying'],
      ['query', 'queries', 'queried'],
      ['embed', 'embeds', 'embedded', 'embedding', 'embeddings'],
      ['plan', 'plans', 'planned', 'planning'],
      ['process', 'processes', 'processed', 'processing'],
      ['box', 'boxes', 'boxed']
    ]
    for (const family of families) assert.equal(new Set(family.map(stem)).size, 1, family.map(stem).join(' '))
  })

  it('leaves alone what only looks like an ending', () => {
    for (const word of ['string', 'status', 'redis', 'need', 'class', 'bus', 'api', 'straße', 'v8s']) {
      assert.equal(stem(word), word)
    }
    assert.notEqual(stem('universe'), stem('university'))
  })
})

describe('tokenize', () => {
  it('does not see case, width, accents or ligatures', () => {
    sameTerms('Café', 'CAFE')
    sameTerms('ＡＰＩ', 'api')
    sameTerms('ﬁle', 'file')
    sameTerms('STRASSE', 'straße')
    sameTerms('ΟΔΟΣ', 'οδοσ')
    sameTerms('İstanbul', 'istanbul')
    sameTerms('e\u0301cole', '\u00e9cole')
  })

  it('keeps the vowel signs of scripts in which they are letters', () => {
    assert.deepEqual(tokenize('हिन्दी'), [fold('हिन्दी')])
    assert.notEqual(fold('कि'), fold('क'))
  })

  it('cuts at everything that is neither letter, mark nor digit', () => {
    assert.deepEqual(tokenize('retry_max=3; (v2) a.b'), ['retry', 'max', '3', 'v2', 'a', 'b'])
    assert.deepEqual(tokenize(' \n\t--- ??? 🚀'), [])
  })

  it('finds an identifier whole and in parts', () => {
    assert.deepEqual(tokenize('fetchUserData'), ['fetchuserdata', 'fetch', 'user', 'data'])
    assert.deepEqual(tokenize('HTTPServer'), ['httpserver', 'http', 'server'])
    assert.deepEqual(tokenize('Plain'), ['plain'])
  })

  it('reads scripts without spaces by pairs of characters', () => {
    assert.deepEqual(tokenize('機械学習'), ['機械', '械学', '学習'])
    assert.deepEqual(tokenize('猫'), ['猫'])
    assert.deepEqual(tokenize('API版'), ['api', '版'])
    assert.deepEqual(tokenize('𠮷野家'), ['𠮷野', '野家'])
  })

  it('cuts a term at the limit, never inside a character', () => {
    const max = LIMITS.termBytesMax
    for (const [length, bytes] of [
      [max - 1, max - 1],
      [max, max],
      [max + 1, max]
    ] as const) {
      const term = tokenize('x'.repeat(length))[0] ?? ''
      assert.equal(utf8(term).length, bytes)
    }
    const wide = tokenize('ж'.repeat(max))[0] ?? ''
    assert.equal(utf8(wide).length, max - (max % 2))
  })

  it('keeps stop words, marked as such after stemming', () => {
    assert.deepEqual(tokenize('to be or not to be'), ['to', 'be', 'or', 'not', 'to', 'be'])
    for (const word of ['the', 'does', 'what', 'were', 'these']) assert.ok(isStopWord(tokenize(word)[0] ?? ''), word)
    for (const word of ['deploy', 'key', 'new']) assert.ok(!isStopWord(tokenize(word)[0] ?? ''), word)
  })

  it('survives lone surrogates and very long input', () => {
    assert.ok(Array.isArray(tokenize('\ud800 x \udc00')))
    assert.equal(tokenize('ab '.repeat(20_000)).length, 20_000)
  })
})
