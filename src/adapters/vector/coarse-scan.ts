/**
 * Products of one vector of signed bytes with very many, sixteen components at a time, in the memory of a WebAssembly
 * module of some 150 bytes: the engine's own loops take ten times as long, and an answer waits for this one. The module
 * is written out here by hand (WebAssembly core specification 2.0, §5.4); in its text form it is
 *
 *     (func (export "s") (param $q i32) (param $row i32) (param $end i32) (param $width i32) (param $out i32)
 *       rows: while $row < $end
 *         $sum := 0; for $i := 0; $i < $width; $i += 16
 *           $sum += extadd_pairwise(extmul_low($q[$i], $row[$i]) + extmul_high($q[$i], $row[$i]))
 *         $out[0] := the four lanes of $sum added; $out += 4; $row += $width)
 *
 * Two products of at most 127² each fit 16 bits, so nothing overflows. Where there is no SIMD, plain code does the same.
 */
const TYPES = [0x01, 0x09, 0x01, 0x60, 0x05, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x00]
const FUNCTIONS = [0x03, 0x02, 0x01, 0x00]
const MEMORY = [0x05, 0x03, 0x01, 0x00, 0x01]
const EXPORTS = [0x07, 0x09, 0x02, 0x01, 0x6d, 0x02, 0x00, 0x01, 0x73, 0x00, 0x00]

/** The body: locals $i (5), $sum (6), $x (7), $y (8), then the two loops. */
const BODY = [
  ...[0x02, 0x01, 0x7f, 0x03, 0x7b],
  ...[0x02, 0x40, 0x03, 0x40],
  // br_if out of both: row >= end
  ...[0x20, 0x01, 0x20, 0x02, 0x4f, 0x0d, 0x01],
  // sum = v128.const 0, i = 0
  ...[0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x06, 0x41, 0x00, 0x21, 0x05],
  ...[0x03, 0x40],
  // x = load(q + i), y = load(row + i)
  ...[0x20, 0x00, 0x20, 0x05, 0x6a, 0xfd, 0x00, 0x00, 0x00, 0x21, 0x07],
  ...[0x20, 0x01, 0x20, 0x05, 0x6a, 0xfd, 0x00, 0x00, 0x00, 0x21, 0x08],
  // sum += extadd_pairwise_i16x8_s(extmul_low_i8x16_s(x, y) + extmul_high_i8x16_s(x, y))
  ...[0x20, 0x06, 0x20, 0x07, 0x20, 0x08, 0xfd, 0x9c, 0x01, 0x20, 0x07, 0x20, 0x08, 0xfd, 0x9d, 0x01],
  ...[0xfd, 0x8e, 0x01, 0xfd, 0x7e, 0xfd, 0xae, 0x01, 0x21, 0x06],
  // i += 16, again while i < width
  ...[0x20, 0x05, 0x41, 0x10, 0x6a, 0x22, 0x05, 0x20, 0x03, 0x49, 0x0d, 0x00, 0x0b],
  // store(out, the four lanes added)
  ...[0x20, 0x04, 0x20, 0x06, 0xfd, 0x1b, 0x00, 0x20, 0x06, 0xfd, 0x1b, 0x01, 0x6a],
  ...[0x20, 0x06, 0xfd, 0x1b, 0x02, 0x6a, 0x20, 0x06, 0xfd, 0x1b, 0x03, 0x6a, 0x36, 0x02, 0x00],
  // row += width, out += 4, next row
  ...[0x20, 0x01, 0x20, 0x03, 0x6a, 0x21, 0x01, 0x20, 0x04, 0x41, 0x04, 0x6a, 0x21, 0x04, 0x0c, 0x00],
  ...[0x0b, 0x0b, 0x0b]
]

/** Both lengths are above 127 and below 16,384: two bytes each. */
const varint = (value: number): number[] => [(value & 0x7f) | 0x80, value >> 7]

const MODULE = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...TYPES,
  ...FUNCTIONS,
  ...MEMORY,
  ...EXPORTS,
  ...[0x0a, ...varint(3 + BODY.length), 0x01, ...varint(BODY.length), ...BODY]
])

type Scan = (query: number, row: number, end: number, width: number, out: number) => void

const PAGE_BYTES = 65_536
/** Components a step of the scan takes: rows are padded with zeros to a whole number of them. */
const STEP = 16

/** What is used of WebAssembly; the ambient types of Node do not name it. */
interface Assembly {
  validate(bytes: Uint8Array): boolean
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: { readonly m: Memory; readonly s: Scan } }
}
interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

const assembly = (globalThis as { readonly WebAssembly?: Assembly }).WebAssembly
const compiled = assembly?.validate(MODULE) === true ? new assembly.Module(MODULE) : undefined

/** Rows of signed bytes, packed, and their products with a query. Row numbers are the caller's business. */
export class CoarseRows {
  readonly #dimensions: number
  readonly #width: number
  readonly #memory: Memory | undefined
  readonly #scan: Scan | undefined
  #buffer: ArrayBuffer
  #rows = 0

  /** `withSimd`: false has plain code do it, as where there is no SIMD; for tests. */
  constructor(dimensions: number, withSimd = true) {
    this.#dimensions = dimensions
    this.#width = Math.ceil(dimensions / STEP) * STEP
    if (withSimd && assembly !== undefined && compiled !== undefined) {
      const { m, s } = new assembly.Instance(compiled).exports
      this.#memory = m
      this.#scan = s
    }
    this.#buffer = this.#memory?.buffer ?? new ArrayBuffer(PAGE_BYTES)
  }

  /** Makes room for so many rows; what is there stays. */
  reserve(rows: number): void {
    // The query, the rows, and a whole number of four bytes for each product.
    const bytes = this.#width * (rows + 1) + 4 * rows
    if (bytes > this.#buffer.byteLength) {
      if (this.#memory === undefined) {
        const larger = new ArrayBuffer(bytes)
        new Int8Array(larger).set(new Int8Array(this.#buffer))
        this.#buffer = larger
      } else {
        this.#memory.grow(Math.ceil((bytes - this.#buffer.byteLength) / PAGE_BYTES))
        this.#buffer = this.#memory.buffer
      }
    }
    this.#rows = rows
  }

  /** The components of a row, to be read and written; good until the next `reserve`. */
  row(row: number): Int8Array {
    return new Int8Array(this.#buffer, this.#width * (row + 1), this.#dimensions)
  }

  copy(from: number, to: number): void {
    this.row(to).set(this.row(from))
  }

  /** Products of the query with the first `count` rows; good until the next call of anything here. */
  products(query: Int8Array, count: number): Int32Array {
    const width = this.#width
    new Int8Array(this.#buffer, 0, this.#dimensions).set(query)
    const at = width * (this.#rows + 1)
    const products = new Int32Array(this.#buffer, at, count)
    if (this.#scan === undefined) this.#plain(query, products)
    else this.#scan(0, width, width * (count + 1), width, at)
    return products
  }

  #plain(query: Int8Array, products: Int32Array): void {
    const all = new Int8Array(this.#buffer)
    for (let row = 0; row < products.length; row++) {
      const at = this.#width * (row + 1)
      let sum = 0
      for (let i = 0; i < query.length; i++) sum = (sum + (query[i] as number) * (all[at + i] as number)) | 0
      products[row] = sum
    }
  }
}
