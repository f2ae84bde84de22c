/** The scan in WebAssembly against plain sums, at every width and at the extremes of its numbers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoarseRows } from '../../../../src/adapters/vector/coarse-scan.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import { SeededRandom } from '../../../../src/base/prng.ts'

const random = new SeededRandom('coarse')
const drawn = (dimensions: number): Int8Array => Int8Array.from({ length: dimensions }, () => random.below(255) - 127)
const product = (a: Int8Array, b: Int8Array): number =>
  a.reduce((sum, component, i) => sum + component * (b[i] as number), 0)

for (const withSimd of [true, false]) {
  const how = withSimd ? 'SIMD' : 'plain'

  test(`${how}: products are exact, whatever the number of components`, () => {
    for (const dimensions of [1, 2, 15, 16, 17, 31, 32, 100, 768, LIMITS.embedDimensionsMax]) {
      const coarse = new CoarseRows(dimensions, withSimd)
      const rows = Array.from({ length: 9 }, () => drawn(dimensions))
      coarse.reserve(rows.length)
      for (const [at, row] of rows.entries()) coarse.row(at).set(row)
      const query = drawn(dimensions)
      const expected = rows.map((row) => product(query, row))
      assert.deepEqual([...coarse.products(query, rows.length)], expected, `${dimensions}`)
      assert.deepEqual([...coarse.products(query, 3)], expected.slice(0, 3))
      assert.deepEqual([...coarse.products(query, 0)], [])
    }
  })

  test(`${how}: the largest products do not overflow`, () => {
    const dimensions = LIMITS.embedDimensionsMax
    const coarse = new CoarseRows(dimensions, withSimd)
    coarse.reserve(2)
    coarse.row(0).fill(127)
    coarse.row(1).fill(-127)
    const query = new Int8Array(dimensions).fill(127)
    assert.deepEqual([...coarse.products(query, 2)], [dimensions * 127 ** 2, -dimensions * 127 ** 2])
  })

  test(`${how}: growing keeps the rows`, () => {
    const coarse = new CoarseRows(48, withSimd)
    const rows: Int8Array[] = []
    const query = drawn(48)
    for (let room = 1; room <= 8_192; room *= 4) {
      coarse.reserve(room)
      while (rows.length < room) {
        const row = drawn(48)
        coarse.row(rows.length).set(row)
        rows.push(row)
      }
      assert.deepEqual(
        [...coarse.products(query, room)],
        rows.map((row) => product(query, row))
      )
    }
    coarse.copy(7, 3)
    assert.deepEqual([...coarse.row(3)], [...(rows[7] as Int8Array)])
  })
}
