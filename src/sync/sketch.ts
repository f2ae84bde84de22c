/**
 * The sketch of a set of deltas: the first cells of a rateless invertible Bloom lookup table. Two sides that hold nearly
 * the same set subtract their sketches cell by cell; what both hold cancels, and from about 1.4 cells a difference the
 * differences themselves can be read off (sync/sketch-decoder.ts), however large the sets are. A prefix of a sketch is
 * a smaller sketch of the same set, so one side sends as many cells as seem to be needed and more when they were not enough.
 *
 * A symbol is a **short id**, the first 8 bytes of a delta id, as two 32-bit halves `hi` and `lo`, big-endian. It is added
 * to cell 0 and to ever rarer later ones, to cell i with probability 1/(1 + i/2). All integers below have 32 bits and wrap:
 *
 *   a ← hi, b ← lo, i ← 0                                       the state is the whole short id: xoroshiro64**
 *   repeat: add to cell i
 *           u ← rotl(a · 0x9e3779bb, 5) · 5
 *           b ← b ⊕ a;  a ← rotl(a, 26) ⊕ b ⊕ (b << 9);  b ← rotl(b, 13)
 *           i ← i + max(1, ⌈(i + 1.5) · (65536 / √(u + 1) − 1)⌉)           in IEEE 754 doubles, u unsigned
 *
 * "Add" is XOR of the short id, XOR of its check, and plus one to the count. The check is MurmurHash3 (x86, 32 bits) of
 * the 8 bytes with the seed 0x43485259, words read big-endian: see `checkOf`.
 *
 * Source: Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation" (SIGCOMM 2024), §4 and §5. The generator and
 * the check are ours: seeding with 32 bits only, as some do, makes pairs of ids that share all their cells and can never
 * be told apart. Here equal walks mean equal short ids.
 *
 * A sketch is advice. Whoever can choose ids can make one that does not decode, and nothing is believed because a
 * sketch says so: the root of the range tree decides, and the tree finds what a sketch does not. It does not delete, and
 * two deltas with one short id cancel except for their count.
 */
import { assert } from '../base/assert.ts'
import { LIMITS } from '../base/limits.ts'

/** Bytes of a short id. */
export const SHORT_ID_BYTES = 8
/** A cell as it travels: XOR of short ids 8, XOR of checks 4, count modulo 256, 1. */
export const SKETCH_CELL_BYTES = 13

const CHECK_SEED = 0x43485259
const VERSION = 1
/** Of an encoded sketch: version 1, cells 4, symbols 6. */
const HEADER_BYTES = 11
/** Of a cell in an encoded sketch: XOR of short ids 8, XOR of checks 4, count 4. */
const STORED_CELL_BYTES = 16
/** Of a cell in memory: hi, lo, check, count. Side by side, so that adding touches one cache line a cell. */
const WORDS = 4

/** The check of a short id, unsigned 32 bits: MurmurHash3_x86_32 of its two halves. */
export function checkOf(hi: number, lo: number): number {
  let hash = CHECK_SEED
  let word = Math.imul(hi, 0xcc9e2d51)
  word = Math.imul((word << 15) | (word >>> 17), 0x1b873593)
  hash ^= word
  hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  word = Math.imul(lo, 0xcc9e2d51)
  word = Math.imul((word << 15) | (word >>> 17), 0x1b873593)
  hash ^= word
  hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  hash ^= SHORT_ID_BYTES
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The cells of one symbol, in ascending order, without end. */
export class CellWalk {
  /** The cell it stands at; 0 at first. */
  index = 0
  #a: number
  #b: number

  constructor(hi: number, lo: number) {
    this.#a = hi | 0
    this.#b = lo | 0
  }

  /** Moves on to the next cell, and says which. */
  next(): number {
    const a = this.#a
    const product = Math.imul(a, 0x9e3779bb)
    const draw = Math.imul((product << 5) | (product >>> 27), 5) >>> 0
    const b = this.#b ^ a
    this.#a = ((a << 26) | (a >>> 6)) ^ b ^ (b << 9)
    this.#b = (b << 13) | (b >>> 19)
    const jump = Math.ceil((this.index + 1.5) * (65_536 / Math.sqrt(draw + 1) - 1))
    this.index += jump < 1 ? 1 : jump
    return this.index
  }
}

/** How likely a symbol is to be in cell `index`. */
export function cellProbability(index: number): number {
  return 1 / (1 + index / 2)
}

/** A frozen sketch: what one session sends and subtracts, whatever is added meanwhile. */
export class SketchView {
  /** Symbols added. */
  readonly size: number
  /** Cells there are. */
  readonly length: number
  readonly #words: Int32Array

  /** Made by Sketch, which does not change `words` afterwards. */
  constructor(words: Int32Array, size: number) {
    this.#words = words
    this.size = size
    this.length = words.length / WORDS
  }

  /** Cells [from, to) as they travel, 13 bytes each; fewer where the sketch ends. The caller's copy. */
  cells(from: number, to: number): Uint8Array {
    assert(from >= 0 && from <= to, 'cells are asked in order')
    const end = Math.min(to, this.length)
    const bytes = new Uint8Array(Math.max(0, end - from) * SKETCH_CELL_BYTES)
    const view = new DataView(bytes.buffer)
    for (let cell = from, offset = 0; cell < end; cell++, offset += SKETCH_CELL_BYTES) {
      const at = cell * WORDS
      view.setInt32(offset, this.#words[at] as number)
      view.setInt32(offset + 4, this.#words[at + 1] as number)
      view.setInt32(offset + 8, this.#words[at + 2] as number)
      bytes[offset + 12] = this.#words[at + 3] as number
    }
    return bytes
  }
}

/** The living sketch. Adding costs a fraction of a microsecond; order does not matter. */
export class Sketch {
  #words: Int32Array
  readonly #cells: number
  #size = 0
  /** The snapshot of this very state, when one was already taken: it shares the words until something is added. */
  #frozen: SketchView | undefined = undefined

  /** `cells`: at most LIMITS.sketchCellsMax, the default. Each takes 16 bytes. */
  constructor(cells: number = LIMITS.sketchCellsMax) {
    assert(Number.isInteger(cells) && cells > 0 && cells <= LIMITS.sketchCellsMax, 'a sketch has 1 to 16,384 cells')
    this.#cells = cells
    this.#words = new Int32Array(cells * WORDS)
  }

  /** Symbols added. */
  get size(): number {
    return this.#size
  }

  /** Adds the short id that begins at `offset` of `id`. Nobody checks whether it was added before. */
  add(id: Uint8Array, offset = 0): void {
    assert(id.length >= offset + SHORT_ID_BYTES, 'a short id has 8 bytes')
    const hi = wordAt(id, offset)
    const lo = wordAt(id, offset + 4)
    const check = checkOf(hi, lo)
    if (this.#frozen !== undefined) {
      this.#words = this.#words.slice()
      this.#frozen = undefined
    }
    const words = this.#words
    const walk = new CellWalk(hi, lo)
    for (let cell = 0; cell < this.#cells; cell = walk.next()) {
      const at = cell * WORDS
      words[at] = (words[at] as number) ^ hi
      words[at + 1] = (words[at + 1] as number) ^ lo
      words[at + 2] = (words[at + 2] as number) ^ check
      words[at + 3] = (words[at + 3] as number) + 1
    }
    this.#size++
  }

  /** The sketch as it is now, for ever. Costs nothing; the next `add` copies the cells once. */
  snapshot(): SketchView {
    this.#frozen ??= new SketchView(this.#words, this.#size)
    return this.#frozen
  }

  /** Version, cells, symbols, then each cell with its whole count: 11 bytes and 16 a cell. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(HEADER_BYTES + this.#cells * STORED_CELL_BYTES)
    const view = new DataView(bytes.buffer)
    view.setUint8(0, VERSION)
    view.setUint32(1, this.#cells)
    view.setUint16(5, Math.floor(this.#size / 0x100000000))
    view.setUint32(7, this.#size >>> 0)
    for (let i = 0; i < this.#words.length; i++) view.setInt32(HEADER_BYTES + i * 4, this.#words[i] as number)
    return bytes
  }

  /** Undefined when the bytes are no encoded sketch. Whether it is the sketch of a given set, they cannot tell. */
  static decode(bytes: Uint8Array): Sketch | undefined {
    if (bytes.length < HEADER_BYTES) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const cells = view.getUint32(1)
    if (view.getUint8(0) !== VERSION || cells === 0 || cells > LIMITS.sketchCellsMax) return undefined
    if (bytes.length !== HEADER_BYTES + cells * STORED_CELL_BYTES) return undefined
    const sketch = new Sketch(cells)
    sketch.#size = view.getUint16(5) * 0x100000000 + view.getUint32(7)
    for (let i = 0; i < sketch.#words.length; i++) sketch.#words[i] = view.getInt32(HEADER_BYTES + i * 4)
    // Every symbol is in the first cell.
    return sketch.#words[WORDS - 1] === (sketch.#size | 0) ? sketch : undefined
  }
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] as number) << 24) |
    ((bytes[offset + 1] as number) << 16) |
    ((bytes[offset + 2] as number) << 8) |
    (bytes[offset + 3] as number)
  )
}
