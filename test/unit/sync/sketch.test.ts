import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { CellWalk, cellProbability, checkOf, Sketch, SKETCH_CELL_BYTES } from '../../../src/sync/sketch.ts'
import { hasher, keyOf, shortIds } from '../../support/range-keys.ts'

const VECTORS = new URL('../../vectors/sketch.json', import.meta.url)
const CELLS: number = LIMITS.sketchCellsMax

function sketchOf(ids: readonly Uint8Array[], cells = CELLS): Sketch {
  const sketch = new Sketch(cells)
  for (const id of ids) sketch.add(id)
  return sketch
}

// --- a second implementation, written from docs/WIRE.md alone: whole numbers without bound, reduced where it says so

const WRAP = 1n << 32n
const wrap = (value: bigint): bigint => ((value % WRAP) + WRAP) % WRAP
const rotl = (value: bigint, by: bigint): bigint => wrap(value << by) | (value >> (32n - by))

function placesByDefinition(shortId: Uint8Array, limit: number): number[] {
  let a = BigInt(`0x${toHex(shortId.subarray(0, 4))}`)
  let b = BigInt(`0x${toHex(shortId.subarray(4, 8))}`)
  const places: number[] = []
  for (let i = 0; i < limit;) {
    places.push(i)
    const u = wrap(rotl(wrap(a * 0x9e3779bbn), 5n) * 5n)
    b ^= a
    a = rotl(a, 26n) ^ b ^ wrap(b << 9n)
    b = rotl(b, 13n)
    i += Math.max(1, Math.ceil((i + 1.5) * (65536 / Math.sqrt(Number(u) + 1) - 1)))
  }
  return places
}

function checkByDefinition(shortId: Uint8Array): bigint {
  let h = 0x43485259n
  for (const from of [0, 4]) {
    const k = rotl(wrap(BigInt(`0x${toHex(shortId.subarray(from, from + 4))}`) * 0xcc9e2d51n), 15n)
    h = wrap(rotl(h ^ wrap(k * 0x1b873593n), 13n) * 5n + 0xe6546b64n)
  }
  h ^= 8n
  h = wrap((h ^ (h >> 16n)) * 0x85ebca6bn)
  h = wrap((h ^ (h >> 13n)) * 0xc2b2ae35n)
  return h ^ (h >> 16n)
}

function cellsByDefinition(ids: readonly Uint8Array[], limit: number): string {
  const cells = Array.from({ length: limit }, () => ({ id: 0n, check: 0n, count: 0 }))
  for (const id of ids) {
    for (const place of placesByDefinition(id, limit)) {
      const cell = cells[place] as { id: bigint; check: bigint; count: number }
      cell.id ^= BigInt(`0x${toHex(id)}`)
      cell.check ^= checkByDefinition(id)
      cell.count++
    }
  }
  const hex = (value: bigint | number, digits: number): string => value.toString(16).padStart(digits, '0')
  return cells.map(({ id, check, count }) => hex(id, 16) + hex(check, 8) + hex(count % 256, 2)).join('')
}

/** As in the vector file: short id n is the first 8 bytes of SHA-384 of n, 4 bytes big-endian. */
function numbered(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => hasher.sha384(fromHex(n.toString(16).padStart(8, '0'))).slice(0, 8))
}

function vectors() {
  const edges = [
    'f4212abb00000001',
    '0000000000000000',
    '0000000000000001',
    '8000000000000000',
    'ffffffffffffffff',
    '0123456789abcdef'
  ]
  return {
    note:
      'Cells of known sets; docs/WIRE.md §8.7.2. Short id n is the first 8 bytes of SHA-384 of n as 4 bytes, big-endian. ' +
      'A cell is 13 bytes: XOR of short ids, XOR of checks, count modulo 256. cellsDigest: SHA-384 of all cells.',
    symbols: [...edges, ...numbered(3).map(toHex)].map((shortId) => {
      const bytes = fromHex(shortId)
      const [hi, lo] = [Number(`0x${shortId.slice(0, 8)}`), Number(`0x${shortId.slice(8)}`)]
      const places: number[] = []
      const walk = new CellWalk(hi, lo)
      for (let cell = 0; cell < CELLS; cell = walk.next()) places.push(cell)
      assert.deepEqual(placesByDefinition(bytes, CELLS), places)
      return { shortId, check: checkOf(hi, lo).toString(16).padStart(8, '0'), cells: places }
    }),
    sets: [0, 1, 3, 300].map((count) => {
      const view = sketchOf(numbered(count)).snapshot()
      return {
        count,
        cells: CELLS,
        firstCells: Array.from({ length: 8 }, (_, i) => toHex(view.cells(i, i + 1))),
        cellsDigest: toHex(hasher.sha384(view.cells(0, CELLS)))
      }
    })
  }
}

suite('sketch', () => {
  test('golden vectors', () => {
    const computed = vectors()
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(VECTORS, `${JSON.stringify(computed, null, 2)}\n`)
    assert.deepEqual(computed, JSON.parse(readFileSync(VECTORS, 'utf8')))
  })

  test('the cells are those of the definition', () => {
    // The draw of the first one is the greatest there is: a jump of nothing, but for the rule.
    const ids = [
      fromHex('f4212abb00000001'),
      ...shortIds('definition', 400),
      fromHex('0000000000000000'),
      fromHex('ffffffffffffffff')
    ]
    assert.equal(toHex(sketchOf(ids, 700).snapshot().cells(0, 700)), cellsByDefinition(ids, 700))
    assert.deepEqual(placesByDefinition(ids[0] as Uint8Array, 2), [0, 1])
    for (const id of ids.slice(0, 50)) {
      const [hi, lo] = [Number(`0x${toHex(id.subarray(0, 4))}`), Number(`0x${toHex(id.subarray(4))}`)]
      assert.equal(BigInt(checkOf(hi, lo)), checkByDefinition(id))
    }
  })

  test('a walk goes upwards from cell 0 and visits cell i with probability 1/(1 + i/2)', () => {
    const visits = new Int32Array(CELLS)
    const ids = shortIds('visits', 20_000)
    for (const id of ids) {
      let before = -1
      const view = new DataView(id.buffer)
      const walk = new CellWalk(view.getInt32(0), view.getInt32(4))
      for (let cell = 0; cell < CELLS; cell = walk.next()) {
        assert.ok(cell > before)
        before = cell
        visits[cell] = (visits[cell] as number) + 1
      }
    }
    assert.equal(visits[0], ids.length)
    for (const [from, to] of [
      [1, 2],
      [2, 3],
      [10, 12],
      [100, 120],
      [1_000, 1_200],
      [10_000, 12_000]
    ] as const) {
      let expected = 0
      let seen = 0
      for (let cell = from; cell < to; cell++) {
        expected += cellProbability(cell) * ids.length
        seen += visits[cell] as number
      }
      assert.ok(Math.abs(seen - expected) < 5 * Math.sqrt(expected), `${from}: ${seen} visits, ${expected} expected`)
    }
  })

  test('short ids that share half of their bits part ways', () => {
    // Seeding with 32 of the 64 bits would give these pairs the same walk.
    for (const [a, b] of [
      ['0123456700000000', '0123456700000001'],
      ['0000000001234567', '0000000101234567']
    ] as const) {
      const [first, second] = [fromHex(a), fromHex(b)].map((id) => placesByDefinition(id, CELLS).join())
      assert.notEqual(first, second)
    }
  })

  test('a prefix of a sketch is the smaller sketch', () => {
    const ids = shortIds('prefix', 500)
    const whole = sketchOf(ids).snapshot()
    for (const cells of [1, 31, 32, 1_000]) {
      assert.deepEqual(whole.cells(0, cells), sketchOf(ids, cells).snapshot().cells(0, cells))
    }
    assert.equal(whole.cells(0, 40).length, 40 * SKETCH_CELL_BYTES)
    assert.deepEqual(whole.cells(7, 40), whole.cells(0, 40).slice(7 * SKETCH_CELL_BYTES))
  })

  test('cells beyond the end are not there, at the bound too', () => {
    const view = sketchOf(shortIds('end', 3)).snapshot()
    assert.equal(view.length, LIMITS.sketchCellsMax)
    assert.equal(view.cells(CELLS - 1, CELLS + 100).length, SKETCH_CELL_BYTES)
    assert.equal(view.cells(CELLS, CELLS + 1).length, 0)
    assert.equal(view.cells(CELLS + 5, CELLS + 9).length, 0)
    assert.throws(() => new Sketch(LIMITS.sketchCellsMax + 1), /1 to 16,384/)
    assert.throws(() => new Sketch(0), /1 to 16,384/)
  })

  test('a snapshot is frozen, and the same object until something is added', () => {
    const sketch = sketchOf(shortIds('before', 100), 256)
    const frozen = sketch.snapshot()
    assert.equal(sketch.snapshot(), frozen)
    const before = frozen.cells(0, 256)
    sketch.add(new Uint8Array(8).fill(7))
    assert.deepEqual(frozen.cells(0, 256), before)
    assert.equal(frozen.size, 100)
    assert.notEqual(sketch.snapshot(), frozen)
    assert.equal(sketch.snapshot().size, 101)
    assert.notDeepEqual(sketch.snapshot().cells(0, 256), before)
  })

  test('the short id is read at the offset asked for', () => {
    const key = keyOf(1_700_000_000_000, 'offset')
    const a = new Sketch(64)
    const b = new Sketch(64)
    a.add(key, 6)
    b.add(key.slice(6))
    assert.deepEqual(a.encode(), b.encode())
    assert.throws(() => a.add(new Uint8Array(7)), /8 bytes/)
    assert.throws(() => a.add(key, 31), /8 bytes/)
  })

  test('encoded and decoded it is the same, with whole counts, and goes on', () => {
    const ids = shortIds('codec', 5_000)
    const sketch = sketchOf(ids)
    const bytes = sketch.encode()
    assert.equal(bytes.length, 11 + 262_144)
    const again = Sketch.decode(bytes)
    assert.ok(again !== undefined)
    assert.equal(again.size, 5_000)
    again.add(ids[0] as Uint8Array)
    sketch.add(ids[0] as Uint8Array)
    assert.deepEqual(again.encode(), sketch.encode())
  })

  test('other bytes are refused', () => {
    const bytes = sketchOf(shortIds('refused', 9), 16).encode()
    const changed = (at: number, value: number): Uint8Array => {
      const copy = bytes.slice()
      copy[at] = value
      return copy
    }
    assert.ok(Sketch.decode(bytes) !== undefined)
    assert.equal(Sketch.decode(new Uint8Array(0)), undefined)
    assert.equal(Sketch.decode(bytes.slice(0, -1)), undefined)
    assert.equal(Sketch.decode(changed(0, 2)), undefined, 'another version')
    assert.equal(Sketch.decode(changed(4, 15)), undefined, 'another number of cells')
    assert.equal(Sketch.decode(changed(10, 8)), undefined, 'a number of symbols that is not in the first cell')
    const none = bytes.slice(0, 11)
    none[4] = 0
    assert.equal(Sketch.decode(none), undefined, 'no cells')
  })
})
