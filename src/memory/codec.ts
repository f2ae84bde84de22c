/**
 * Canonical bytes: the small subset of CBOR (RFC 8949) in which everything signed, hashed or stored is written.
 *
 * Only unsigned integers, byte strings, text, arrays, null and booleans exist; every length is definite and every head
 * is as short as it can be (RFC 8949 §4.2.1), so one value has exactly one encoding and one encoding one value. The
 * reader refuses every other head, every head longer than its number needs and every text that is not strict UTF-8: what
 * it accepts is therefore what the writer makes of the answer, byte for byte, and nothing has to be encoded again to
 * prove it. A property test holds the reader to that, and to an independent CBOR library, on sound and on mutated bytes.
 * Depth, item count and claimed lengths are bounded while reading, because a few hostile bytes can claim four billion
 * items.
 *
 * It knows no shapes: what an array means is the business of the codec that reads it. Maps, tags, floats and negative
 * integers are absent on purpose: each of them has several encodings that some decoder accepts.
 */
import { assert, AssertionError } from '../base/assert.ts'
import { fromUtf8, putHex, putUint, putUtf8, toHex, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { refuse, type Checked, type RejectReason } from './delta.ts'

/** What canonical bytes can hold. Integers are bigint exactly when they exceed Number.MAX_SAFE_INTEGER. */
export type CborValue = number | bigint | string | boolean | null | Uint8Array | readonly CborValue[]

export interface DecodeOptions {
  readonly bytesMax: number
  /** Items of all arrays together, the arrays themselves included. Default LIMITS.cborItemsMax. */
  readonly itemsMax?: number
  /** Byte strings are views of the input instead of copies: for a caller that is done with them before the input changes. */
  readonly views?: boolean
}

const UINT64_MAX = 0xffff_ffff_ffff_ffffn
const TWO_32 = 0x1_0000_0000
const HEAD_BYTES_MAX = 9

const MAJOR_UINT = 0x00
const MAJOR_BYTES = 0x40
const MAJOR_TEXT = 0x60
const MAJOR_ARRAY = 0x80
const FALSE = 0xf4
const TRUE = 0xf5
const NULL = 0xf6

/** Lone surrogates have no UTF-8; an encoder would write U+FFFD and the writer would hold another text than its readers. */
const LONE_SURROGATE = /\p{Surrogate}/u

export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

// --- writing

/** What is being written; grown when a value needs more, and kept, because a fresh array for each value costs more. */
let scratch = new Uint8Array(16_384)

/**
 * The one encoding of `value`, in an array of its own. Throws an AssertionError on a value that has none: whatever could
 * be written in more than one way is a fault of the caller, never of the input.
 */
export function encodeCanonical(value: CborValue): Bytes {
  const writer = new CanonicalWriter()
  writeValue(writer, value)
  return writer.finish()
}

function writeValue(writer: CanonicalWriter, value: CborValue): void {
  switch (typeof value) {
    case 'number':
      return writer.uint(value)
    case 'bigint':
      return writer.bigUint(value)
    case 'string':
      return writer.text(value)
    case 'boolean':
      return writer.boolean(value)
    case 'object':
      if (value === null) return writer.null()
      if (value instanceof Uint8Array) return writer.bytes(value)
      if (!Array.isArray(value)) throw new AssertionError('an object has no canonical form')
      writer.array(value.length)
      for (const item of value as readonly CborValue[]) writeValue(writer, item)
      return
    default:
      throw new AssertionError(`${typeof value} has no canonical form`)
  }
}

/**
 * Canonical bytes item by item, for those who write too often to build arrays of values first. The caller sees to it
 * that each array gets as many items as it was opened for. One at a time: all writers share the scratch.
 */
export class CanonicalWriter {
  #at = 0

  /** What was written, in an array of its own. */
  finish(): Bytes {
    return scratch.slice(0, this.#at)
  }

  /** The next `length` items are in it. */
  array(length: number): void {
    this.#head(MAJOR_ARRAY, length)
  }

  uint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'canonical bytes hold unsigned integers only')
    this.#head(MAJOR_UINT, value)
  }

  bigUint(value: bigint): void {
    assert(value >= 0n && value <= UINT64_MAX, 'canonical integers have at most 64 bits')
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return this.#head(MAJOR_UINT, Number(value))
    this.#reserve(HEAD_BYTES_MAX)
    scratch[this.#at] = MAJOR_UINT | 27
    this.#at = putUint(value, scratch, this.#at + 1, 8)
  }

  boolean(value: boolean): void {
    this.#byte(value ? TRUE : FALSE)
  }

  null(): void {
    this.#byte(NULL)
  }

  bytes(value: Bytes): void {
    this.#head(MAJOR_BYTES, value.length)
    this.#reserve(value.length)
    scratch.set(value, this.#at)
    this.#at += value.length
  }

  text(value: string): void {
    this.#string(MAJOR_TEXT, value)
  }

  /** A text as a byte string of its UTF-8. */
  textAsBytes(value: string): void {
    this.#string(MAJOR_BYTES, value)
  }

  /** Hexadecimal texts as one byte string, one behind the other. */
  hexAsBytes(values: readonly Hex[]): void {
    let length = 0
    for (const value of values) length += value.length >> 1
    this.#head(MAJOR_BYTES, length)
    this.#reserve(length)
    for (const value of values) this.#at = putHex(value, scratch, this.#at)
  }

  #string(major: number, text: string): void {
    assert(isWellFormed(text), 'canonical text has no lone surrogates')
    // A UTF-16 unit becomes at most three bytes. Most texts have one byte a unit, so the head is guessed from that.
    this.#reserve(HEAD_BYTES_MAX + 3 * text.length)
    const head = this.#at
    const guessed = head + headSize(text.length)
    const length = putUtf8(text, scratch, guessed)
    const from = head + headSize(length)
    if (from !== guessed) scratch.copyWithin(from, guessed, guessed + length)
    this.#head(major, length)
    this.#at = from + length
  }

  #head(major: number, argument: number): void {
    this.#reserve(HEAD_BYTES_MAX)
    const size = headSize(argument)
    if (size === 1) {
      scratch[this.#at++] = major | argument
      return
    }
    scratch[this.#at] = major | (size === 2 ? 24 : size === 3 ? 25 : size === 5 ? 26 : 27)
    this.#at = putUint(argument, scratch, this.#at + 1, size - 1)
  }

  #byte(byte: number): void {
    this.#reserve(1)
    scratch[this.#at++] = byte
  }

  #reserve(more: number): void {
    if (this.#at + more <= scratch.length) return
    const larger = new Uint8Array(2 * (this.#at + more))
    larger.set(scratch)
    scratch = larger
  }
}

function headSize(argument: number): number {
  return argument < 24 ? 1 : argument < 0x100 ? 2 : argument < 0x1_0000 ? 3 : argument < TWO_32 ? 5 : HEAD_BYTES_MAX
}

// --- reading

/** Why reading stopped; never leaves this file. */
class Fault extends Error {
  readonly reason: RejectReason

  constructor(reason: RejectReason, detail: string) {
    super(detail)
    this.reason = reason
  }
}

/**
 * The value of canonical bytes; byte strings in it are copies, unless `views` asks otherwise. Never throws. Reasons:
 * `too-large` (longer than `bytesMax`, too deep, too many items), `not-cbor` (malformed, cut short, bytes left over, bad
 * UTF-8), `not-canonical` (sound CBOR outside the subset, or not its shortest form).
 */
export function decodeCanonical(bytes: Bytes, options: DecodeOptions): Checked<CborValue> {
  if (bytes.length > options.bytesMax) return refuse('too-large', `${bytes.length} bytes, at most ${options.bytesMax}`)
  try {
    return { ok: true, value: new Reader(bytes, options).whole() }
  } catch (error) {
    if (error instanceof Fault) return refuse(error.reason, error.message)
    throw error
  }
}

class Reader {
  readonly #bytes: Bytes
  readonly #itemsMax: number
  readonly #views: boolean
  #at = 0
  #items = 0

  constructor(bytes: Bytes, options: DecodeOptions) {
    this.#bytes = bytes
    this.#itemsMax = options.itemsMax ?? LIMITS.cborItemsMax
    this.#views = options.views ?? false
  }

  whole(): CborValue {
    const value = this.#value(0)
    if (this.#at !== this.#bytes.length) throw new Fault('not-cbor', 'bytes are left over')
    return value
  }

  /** `depth`: arrays open around the value. */
  #value(depth: number): CborValue {
    if (this.#at >= this.#bytes.length) throw new Fault('not-cbor', 'cut short')
    if (++this.#items > this.#itemsMax) throw new Fault('too-large', `more than ${this.#itemsMax} items`)
    const head = this.#bytes[this.#at] as number
    const minor = head & 31
    switch (head >> 5) {
      case 0:
        return minor === 27 ? this.#uint64() : this.#argument(minor)
      case 2:
        return this.#byteString(this.#argument(minor))
      case 3:
        return this.#text(this.#argument(minor))
      case 4:
        return this.#array(this.#argument(minor), depth)
      default:
        return this.#simple(head)
    }
  }

  /** Consumes the head. Above 2^53 the answer is rounded: only lengths are asked for in that form, all far smaller. */
  #argument(minor: number): number {
    const at = this.#at + 1
    if (minor < 24) {
      this.#at = at
      return minor
    }
    if (minor > 27) throw unfitMinor(minor)
    const width = 1 << (minor - 24)
    if (at + width > this.#bytes.length) throw new Fault('not-cbor', 'cut short')
    let argument = 0
    for (let i = 0; i < width; i++) argument = argument * 256 + (this.#bytes[at + i] as number)
    if (argument < leastOfWidth(width)) throw new Fault('not-canonical', 'a number is not in its shortest form')
    this.#at = at + width
    return argument
  }

  #uint64(): number | bigint {
    const at = this.#at + 1
    const rounded = this.#argument(27)
    if (rounded <= Number.MAX_SAFE_INTEGER) return rounded
    return (BigInt(this.#uint32(at)) << 32n) | BigInt(this.#uint32(at + 4))
  }

  #uint32(at: number): number {
    let value = 0
    for (let i = 0; i < 4; i++) value = value * 256 + (this.#bytes[at + i] as number)
    return value
  }

  #byteString(length: number): Uint8Array {
    const from = this.#take(length)
    return this.#views ? this.#bytes.subarray(from, this.#at) : new Uint8Array(this.#bytes.subarray(from, this.#at))
  }

  #text(length: number): string {
    const from = this.#take(length)
    try {
      return fromUtf8(this.#bytes.subarray(from, this.#at))
    } catch {
      throw new Fault('not-cbor', 'a text is not UTF-8')
    }
  }

  /** Passes over the bytes of a string; answers where they begin. */
  #take(length: number): number {
    const from = this.#at
    if (length > this.#bytes.length - from) throw new Fault('not-cbor', 'a string claims more bytes than there are')
    this.#at = from + length
    return from
  }

  #array(length: number, depth: number): CborValue[] {
    if (length > this.#bytes.length - this.#at) {
      throw new Fault('not-cbor', 'an array claims more items than there are bytes')
    }
    if (depth >= LIMITS.cborDepthMax) throw new Fault('too-large', `deeper than ${LIMITS.cborDepthMax} arrays`)
    // Each item is at least one, so the claim can be judged before there is room for it.
    if (this.#items + length > this.#itemsMax) throw new Fault('too-large', `more than ${this.#itemsMax} items`)
    const items = new Array<CborValue>(length)
    for (let i = 0; i < length; i++) items[i] = this.#value(depth + 1)
    return items
  }

  #simple(head: number): boolean | null {
    if (head === NULL || head === TRUE || head === FALSE) {
      this.#at++
      return head === NULL ? null : head === TRUE
    }
    const minor = head & 31
    if (minor > 27) throw unfitMinor(minor)
    throw new Fault('not-canonical', UNFIT[head >> 5] ?? 'a float, undefined or another simple value')
  }
}

/** Major types that have no place here. */
const UNFIT: Readonly<Record<number, string>> = { 1: 'a negative integer', 5: 'a map', 6: 'a tag' }

function unfitMinor(minor: number): Fault {
  return minor === 31 ? new Fault('not-canonical', 'indefinite length') : new Fault('not-cbor', 'a reserved head')
}

/** The least number that needs an argument of `width` bytes. */
function leastOfWidth(width: number): number {
  return width === 1 ? 24 : width === 2 ? 0x100 : width === 4 ? 0x1_0000 : TWO_32
}

// --- looking at what was read

/** Whether a decoded `value` is an integer of at most `max` (itself a safe integer); a decoded number is never negative. */
export function isUint(value: unknown, max: number = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === 'number' && value <= max
}

export function isBytes(value: unknown, byteLength: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === byteLength
}

/** A byte string of exactly `byteLength` bytes as hexadecimal, else undefined. */
export function hexOf(value: unknown, byteLength: number): Hex | undefined {
  return isBytes(value, byteLength) ? toHex(value) : undefined
}

/** Whether `text` has at most `max` bytes of UTF-8; cheap for one that could not exceed it whatever its characters. */
export function fitsUtf8(text: string, max: number): boolean {
  // One UTF-16 unit becomes at most three bytes and at least one.
  if (text.length * 3 <= max) return true
  return text.length <= max && utf8(text).length <= max
}
