/** The sketch is a linear function of the set: neither order nor division into parts matters, and no bytes upset it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { Sketch, SKETCH_CELL_BYTES } from '../../src/sync/sketch.ts'
import { SketchDecoder } from '../../src/sync/sketch-decoder.ts'

const CELLS = 96
const someId = fc.uint8Array({ minLength: 8, maxLength: 8 })
const someIds = fc.uniqueArray(someId, { maxLength: 60, selector: toHex })

function sketchOf(ids: readonly Uint8Array[]): Sketch {
  const sketch = new Sketch(CELLS)
  for (const id of ids) sketch.add(id)
  return sketch
}

function cellsOf(ids: readonly Uint8Array[]): Uint8Array {
  return sketchOf(ids).snapshot().cells(0, CELLS)
}

/** Cell by cell: XOR of the two sums, sum of the counts. */
function plus(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => (i % SKETCH_CELL_BYTES === 12 ? byte + (b[i] as number) : byte ^ (b[i] as number)))
}

suite('sketch, for all sets', () => {
  test('the sketch of a sum is the sum of the sketches', () => {
    fc.assert(
      fc.property(fc.array(someId, { maxLength: 60 }), fc.array(someId, { maxLength: 60 }), (a, b) => {
        assert.deepEqual(cellsOf([...a, ...b]), plus(cellsOf(a), cellsOf(b)))
      })
    )
  })

  test('the order of adding does not matter, nor do snapshots and restarts in between', () => {
    fc.assert(
      fc.property(someIds, fc.infiniteStream(fc.nat(6)), (ids, dice) => {
        const shuffled = ids
          .map((id) => ({ id, at: dice.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ id }) => id)
        let other = new Sketch(CELLS)
        for (const id of shuffled) {
          other.add(id)
          const what = dice.next().value as number
          if (what === 0) other.snapshot()
          if (what === 1) other = Sketch.decode(other.encode()) as Sketch
        }
        assert.deepEqual(other.encode(), sketchOf(ids).encode())
      })
    )
  })

  test('a complete answer is the difference, and an answer is never about what both hold', () => {
    fc.assert(
      fc.property(someIds, fc.nat(60), fc.nat(60), fc.integer({ min: 1, max: CELLS }), (ids, x, y, cells) => {
        const [from, to] = [Math.min(x, y, ids.length), Math.min(Math.max(x, y), ids.length)]
        const ours = ids.slice(0, from)
        const theirs = ids.slice(to)
        const both = ids.slice(from, to)
        const decoder = new SketchDecoder(sketchOf([...ours, ...both]).snapshot(), theirs.length - ours.length)
        decoder.receive(cellsOf([...both, ...theirs]).slice(0, cells * SKETCH_CELL_BYTES))
        const found = decoder.decode()
        const sorted = (some: readonly Uint8Array[]): string[] => some.map(toHex).sort()
        if (found.complete) {
          assert.deepEqual(sorted(found.ours), sorted(ours))
          assert.deepEqual(sorted(found.theirs), sorted(theirs))
        }
        for (const id of found.ours) assert.ok(sorted(ours).includes(toHex(id)))
        for (const id of found.theirs) assert.ok(sorted(theirs).includes(toHex(id)))
        assert.ok(decoder.estimate() >= Math.abs(theirs.length - ours.length))
      }),
      { numRuns: 300 }
    )
  })

  test('no bytes upset the decoder, and it never reads more ids than there are cells', () => {
    const cell = fc.oneof(
      fc.uint8Array({ minLength: SKETCH_CELL_BYTES, maxLength: SKETCH_CELL_BYTES }),
      someId.map((id) => cellsOf([id]).slice(0, SKETCH_CELL_BYTES)),
      fc.tuple(someId, someId).map(([a, b]) => cellsOf([a, b]).slice(0, SKETCH_CELL_BYTES))
    )
    fc.assert(
      fc.property(
        someIds,
        fc.array(cell, { maxLength: CELLS + 5 }),
        fc.nat(12),
        fc.integer(),
        (ids, cells, rest, claim) => {
          const bytes = new Uint8Array(cells.length * SKETCH_CELL_BYTES + rest)
          cells.forEach((one, i) => bytes.set(one, i * SKETCH_CELL_BYTES))
          const decoder = new SketchDecoder(sketchOf(ids).snapshot(), claim)
          decoder.receive(bytes)
          const { ours, theirs } = decoder.decode()
          assert.ok(ours.length + theirs.length <= decoder.received)
          assert.ok(Number.isSafeInteger(decoder.estimate()))
        }
      ),
      { numRuns: 300 }
    )
  })

  test('any bytes are an encoded sketch or are refused', () => {
    const almost = fc.tuple(someIds, fc.nat(), fc.nat(255)).map(([ids, at, value]) => {
      const bytes = sketchOf(ids).encode()
      bytes[at % bytes.length] = value
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), almost), (bytes) => {
        const sketch = Sketch.decode(bytes)
        if (sketch !== undefined) assert.deepEqual(sketch.encode(), bytes)
      })
    )
  })
})
