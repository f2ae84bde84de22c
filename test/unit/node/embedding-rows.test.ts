/** The rows of vectors, byte by byte as docs/WIRE.md gives them, and what is no such row. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import {
  decodeEmbedding,
  embeddedText,
  embeddingKey,
  encodeEmbedding,
  modelName,
  parseEmbeddingKey,
  textName
} from '../../../src/node/embedding-rows.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { clustered, cosine } from '../../support/vectors.ts'
import { quickIdentity } from '../../support/engine.ts'

const hasher = quickIdentity(1)

test('a row is the number of components and the components as halves', () => {
  const bytes = encodeEmbedding(Float32Array.of(1, -0.5, 0.333_333_34))
  assert.equal(toHex(bytes), '00033c00b8003555')
  assert.deepEqual(decodeEmbedding(bytes), Float32Array.of(1, -0.5, 0.333_251_953_125))
})

test('the worked example of docs/WIRE.md', () => {
  const model = modelName(hasher, '["ollama","nomic-embed-text",null,"search_document: "]')
  const text = textName(hasher, 'Deploys freeze on Fridays after 15:00 UTC.')
  const key = embeddingKey(fromHex(model), fromHex(text))
  assert.equal(model, '925624a0eeabf1231329afac62d348f5')
  assert.equal(text, 'df154e61501ce3493f7e736979f06244')
  assert.equal(toHex(key), `${model}${text}`)
  assert.deepEqual(parseEmbeddingKey(key), { model, text })
  assert.equal(parseEmbeddingKey(key.subarray(1)), undefined)
})

test('a vector keeps its direction to a thousandth', () => {
  for (const vector of clustered({ count: 50, dimensions: 768, clusters: 5, seed: 8 })) {
    const back = decodeEmbedding(encodeEmbedding(vector))
    assert.ok(back !== undefined && Math.abs(cosine(vector, back) - 1) < 0.0005)
  }
})

test('what is no row is none: cut, too long, empty, or with a component that is no number', () => {
  for (const hex of ['', '0000', '0001', '00013c', '00013c003c00', '00017c00', '00017e00', '0002' + '3c00']) {
    assert.equal(decodeEmbedding(fromHex(hex)), undefined, hex)
  }
})

test('a text is cut to the bound and never within a character', () => {
  const max = LIMITS.embedTextBytesMax
  for (const [text, characters] of [
    ['x'.repeat(max), max],
    ['x'.repeat(max + 1), max],
    [`x${'é'.repeat(max)}`, max / 2],
    [`xx${'😀'.repeat(max)}`, 2 + 2 * Math.floor((max - 2) / 4)]
  ] as const) {
    assert.equal(embeddedText(text), text.slice(0, characters))
  }
})
