/** The words every room uses: bytes, peer ids, the seeded generator, the heap, the bounded map, the table of errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BoundedMap } from '../../../src/base/bounded-map.ts'
import {
  bytesToUint,
  compareBytes,
  compareText,
  concatBytes,
  equalBytes,
  fromBase64Url,
  fromHex,
  isHex,
  toBase64Url,
  toHex,
  uintBytes
} from '../../../src/base/bytes.ts'
import { ChrysalisError, ERRORS, isChrysalisError, messageOf } from '../../../src/base/errors.ts'
import { MinHeap } from '../../../src/base/min-heap.ts'
import { authorToPeerId, parseAuthor, peerIdToAuthor } from '../../../src/base/peer-id.ts'
import { SeededRandom } from '../../../src/base/prng.ts'

test('hexadecimal goes both ways and orders as bytes do', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (a, b) => {
      assert.ok(equalBytes(fromHex(toHex(a)), a))
      assert.equal(Math.sign(compareBytes(a, b)), compareText(toHex(a), toHex(b)))
      assert.ok(equalBytes(fromBase64Url(toBase64Url(a)), a))
      assert.equal(concatBytes(a, b).length, a.length + b.length)
    })
  )
  for (const bad of ['a', 'AB', 'zz', '0x']) assert.throws(() => fromHex(bad), RangeError)
  assert.ok(isHex('00ff', 2) && !isHex('00ff', 1) && !isHex('00fg'))
})

test('integers are big-endian', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
      assert.equal(bytesToUint(uintBytes(value, 8)), value)
    })
  )
  assert.equal(toHex(uintBytes(258, 4)), '00000102')
})

test('a peer id names the key and nothing else does', () => {
  const author = '07'.repeat(32)
  const peer = authorToPeerId(author)
  assert.match(peer, /^12D3KooW/)
  assert.equal(peerIdToAuthor(peer), author)
  assert.equal(parseAuthor(peer), author)
  assert.equal(parseAuthor(author), author)
  for (const bad of ['', 'QmNotEd25519', `${peer}x`, '0OIl', '07'.repeat(31)]) assert.equal(parseAuthor(bad), undefined)
})

test('one seed is one sequence, and a fork is another that does not disturb it', () => {
  const draw = (random: SeededRandom): number[] => Array.from({ length: 50 }, () => random.below(1_000))
  assert.deepEqual(draw(new SeededRandom('a')), draw(new SeededRandom('a')))
  assert.notDeepEqual(draw(new SeededRandom('a')), draw(new SeededRandom('b')))
  const random = new SeededRandom('a')
  const fork = random.fork('x')
  draw(fork)
  assert.deepEqual(draw(random), draw(new SeededRandom('a')))
  assert.deepEqual(draw(random.fork('x')), draw(new SeededRandom('a').fork('x')))
  const buckets = new Array<number>(10).fill(0)
  const even = new SeededRandom('even')
  for (let i = 0; i < 10_000; i++) buckets[even.below(10)]!++
  assert.ok(
    buckets.every((count) => count > 800 && count < 1_200),
    String(buckets)
  )
})

test('a heap gives its items in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (items) => {
      const heap = new MinHeap<number>((a, b) => a - b)
      for (const item of items) heap.push(item)
      assert.equal(heap.size, items.length)
      const out: number[] = []
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) out.push(item)
      assert.deepEqual(
        out,
        [...items].sort((a, b) => a - b)
      )
    })
  )
})

test('a bounded map keeps the bound and forgets what was used longest ago', () => {
  const map = new BoundedMap<string, number>(3)
  map.set('a', 1)
  map.set('b', 2)
  assert.equal(map.size, 2)
  map.set('c', 3)
  assert.deepEqual([map.size, map.get('a')], [3, 1])
  map.set('d', 4)
  assert.equal(map.size, 3)
  assert.ok(map.has('a') && !map.has('b'), 'b was used longest ago')
  map.set('c', 5)
  map.set('e', 6)
  assert.ok(map.has('c') && !map.has('a'))
})

test('numbers of application errors are positive, distinct, and exit codes are those documented', () => {
  const numbers = Object.values(ERRORS)
    .map(({ rpc }) => rpc)
    .filter((rpc) => rpc > 0)
  assert.equal(new Set(numbers).size, numbers.length)
  const documented = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 130]
  for (const { exit } of Object.values(ERRORS)) assert.ok(documented.includes(exit))
  const error = new ChrysalisError('conflict', 'no')
  assert.deepEqual([error.retryable, error.stateTouched, messageOf('plain')], [true, false, 'plain'])
  const thrown: unknown = error
  assert.ok(isChrysalisError(thrown, 'conflict'))
  for (const other of [new Error('no'), 'no', undefined]) assert.equal(isChrysalisError(other), false)
})
