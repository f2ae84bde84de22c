import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareCodePoints } from '../../../src/crdt/text-order.ts'

test('texts are ordered by their UTF-8 bytes, beyond the basic plane too', () => {
  const utf8Order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
  const texts = ['', 'a', 'ab', 'b', 'é', '\u00e9a', '\ud7ff', '\ue000', '\uffff', '😀', '😀a', '𐀀', '\u{10ffff}']
  for (const a of texts) {
    for (const b of texts) assert.equal(Math.sign(compareCodePoints(a, b)), Math.sign(utf8Order(a, b)), `${a} ${b}`)
  }
})
