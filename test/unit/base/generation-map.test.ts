import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GenerationMap } from '../../../src/base/generation-map.ts'
import { LIMITS } from '../../../src/base/limits.ts'

test('keeps at most its bound, and of that what was asked for last', () => {
  const { authorKeysMax } = LIMITS
  const map = new GenerationMap<number, string>(authorKeysMax)
  map.set(-1, 'asked for all the time')
  map.set(-2, 'never asked for')
  for (let n = 0; n < 3 * authorKeysMax; n++) {
    map.set(n, `number ${n}`)
    assert.equal(map.get(-1), 'asked for all the time')
    if (n % 4_096 === 0) assert.ok(map.size <= authorKeysMax)
  }
  assert.ok(map.size <= authorKeysMax && map.size >= authorKeysMax / 2)
  assert.equal(map.get(-2), undefined)
  assert.equal(map.get(0), undefined)
  for (let n = 3 * authorKeysMax - authorKeysMax / 2 + 1; n < 3 * authorKeysMax; n++) {
    assert.equal(map.get(n), `number ${n}`, 'the newer half is all there')
  }
})

test('replaces a value in both generations', () => {
  const map = new GenerationMap<string, number>(4)
  for (const [key, value] of [
    ['a', 1],
    ['b', 2],
    ['c', 3]
  ] as const)
    map.set(key, value)
  assert.equal(map.size, 3, 'a and b are old, c is young')
  map.set('a', 9)
  assert.equal(map.get('a'), 9)
  assert.equal(map.size, 3)
  map.set('d', 4)
  assert.equal(map.get('a'), 9)
  assert.equal(map.get('b'), undefined)
})

test('holds one entry at least', () => {
  const map = new GenerationMap<string, number>(1)
  map.set('a', 1)
  assert.equal(map.get('a'), 1)
  map.set('b', 2)
  assert.equal(map.get('b'), 2)
})
