import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeFrame, LineFramer, nestsWithin, parseFrame } from '../../../src/rpc/framing.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('however a stream is cut, the same lines come out', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\n'))),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (lines, sizes) => {
        const stream = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const framer = new LineFramer(10_000)
        const seen: string[] = []
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = sizes[i % sizes.length]!
          for (const line of framer.push(stream.subarray(at, at + size))) seen.push(Buffer.from(line).toString())
          at += size
        }
        assert.deepEqual(seen, lines)
      }
    )
  )
})

test('a line may have exactly the bound, and one byte more is refused whether it has ended or not', () => {
  assert.equal(new LineFramer(4).push(bytes('abc\n')).length, 1)
  assert.equal(new LineFramer(4).push(bytes('abcd\n')).length, 1)
  for (const stream of ['abcde\n', 'abcde']) {
    assert.throws(
      () => new LineFramer(4).push(bytes(stream)),
      (error) => isChrysalisError(error, 'too_large')
    )
  }
  const slow = new LineFramer(4)
  slow.push(bytes('abc'))
  assert.throws(() => slow.push(bytes('de')))
  assert.equal(slow.heldBytes, 0, 'nothing is kept of what was refused')
})

test('blank lines are no frames', () => {
  assert.equal(new LineFramer(9).push(bytes('\n\na\n\n')).length, 1)
})

test('depth is counted outside strings only', () => {
  const nested = (depth: number) => bytes('['.repeat(depth) + ']'.repeat(depth))
  assert.equal(nestsWithin(nested(LIMITS.rpcDepthMax - 1), LIMITS.rpcDepthMax), true)
  assert.equal(nestsWithin(nested(LIMITS.rpcDepthMax), LIMITS.rpcDepthMax), true)
  assert.equal(nestsWithin(nested(LIMITS.rpcDepthMax + 1), LIMITS.rpcDepthMax), false)
  assert.equal(nestsWithin(bytes('{"a":"[[[[\\"[[[["}'), 1), true)
  assert.equal(nestsWithin(bytes('[[],[],[]]'), 2), true)
  assert.equal(nestsWithin(bytes('{"a":{"b":1}}'), 1), false)
})

test('the scan agrees with a real parse for any JSON', () => {
  const depthOf = (value: unknown): number =>
    typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = bytes(JSON.stringify(value))
      const depth = depthOf(JSON.parse(JSON.stringify(value)))
      assert.equal(nestsWithin(text, depth), true)
      assert.equal(nestsWithin(text, depth - 1), depth === 0)
    })
  )
})

test('what is not UTF-8, not JSON or too deep is a problem with a sentence, never a throw', () => {
  for (const line of [new Uint8Array([0x22, 0xff, 0x22]), bytes('{'), bytes('['.repeat(1_000_000)), bytes('nope')]) {
    const parsed = parseFrame(line)
    assert.equal(parsed.ok, false)
    assert.match(parsed.ok ? '' : parsed.problem, /\.$/)
  }
  fc.assert(fc.property(fc.uint8Array(), (line) => void parseFrame(line)))
})

test('a frame is one line whatever it holds', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const frame = encodeFrame(value)
      assert.equal(frame.indexOf(10), frame.length - 1)
    })
  )
})
