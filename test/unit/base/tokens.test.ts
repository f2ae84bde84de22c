import assert from 'node:assert/strict'
import { test } from 'node:test'
import { itemTokens, tokensOf } from '../../../src/base/tokens.ts'

test('a token is four bytes, begun ones count', () => {
  assert.deepEqual(['', 'a', 'abcd', 'abcde', 'ünü', '記憶'].map(tokensOf), [0, 1, 1, 2, 2, 2])
})

test('a memory costs its text and a line of provenance', () => {
  assert.equal(itemTokens(null), itemTokens(''))
  assert.equal(itemTokens('abcd'), itemTokens('') + 1)
  assert.ok(itemTokens('') > 0)
})
