/**
 * Canonical bytes: the small subset of CBOR (RFC 8949) in which everything signed, hashed or stored is written.
 *
 * Only unsigned integers, byte strings, text, arrays, null and booleans exist; every length is definite and every head
 * is as short as it can be (RFC 8949 §4.2.1), so one value has exactly one encoding. A decode is refused unless encoding
 * the answer again gives the same bytes. A scan bounds depth, item count and claimed lengths before any value is
 * built, because a few hostile bytes can claim four billion items.
 *
 * It knows no shapes: what an array means is the business of the codec that reads it. Maps, tags, floats and negative
 * integers are absent on purpose: each of them has several encodings that some decoder accepts.
 */
import { decode, encode, Tokenizer, type Token } from 'cborg'
import { assert, AssertionError } from '../base/assert.ts'
import { equalBytes, fromUtf8, toHex, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { refuse, type Checked } from './delta.ts'

/** What canonical bytes can hold. Integers are bigint exactly when they exceed Number.MAX_SAFE_INTEGER. */
export type CborValue = number | bigint | string | boolean | null | Uint8Array | readonly CborValue[]

type Refusal = ReturnType<typeof refuse>

const UINT64_MAX = 0xffff_ffff_ffff_ffffn

/** Lone surrogates have no UTF-8; an encoder would write U+FFFD and the writer would hold another text than its readers. */
const LONE_SURROGATE = /\p{Surrogate}/u

export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

/**
 * Called for each value of the named kind; returning null leaves the value to cborg. Whatever could be written in more
 * than one way is a fault of the caller, never of the input, and therefore an assertion.
 */
const ENCODE_OPTIONS = {
  typeEncoders: {
    number: (value: number) => {
      assert(Number.isSafeInteger(value) && value >= 0, 'canonical bytes hold unsigned integers only')
      return null
    },
    bigint: (value: bigint) => {
      assert(value >= 0n && value <= UINT64_MAX, 'canonical integers have at most 64 bits')
      return null
    },
    string: (value: string) => {
      assert(isWellFormed(value), 'canonical text has no lone surrogates')
      return null
    },
    undefined: () => formless('undefined'),
    Object: () => formless('an object'),
    Map: () => formless('a map')
  }
}

function formless(what: string): never {
  throw new AssertionError(`${what} has no canonical form`)
}

const DECODE_OPTIONS = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: true,
  allowInfinity: false,
  allowNaN: false,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true
}

/** cborg reads text leniently and drops a leading byte order mark; both would lose bytes that were signed. */
class TextTokenizer extends Tokenizer {
  override next(): Token {
    const token = super.next()
    if (token.byteValue !== undefined) token.value = fromUtf8(token.byteValue)
    return token
  }
}

/** The one encoding of `value`. Throws an AssertionError on a value that has none. */
export function encodeCanonical(value: CborValue): Bytes {
  // A copy, because the library hands out slices of larger chunks, which a stored delta would keep alive.
  return new Uint8Array(encode(value, ENCODE_OPTIONS))
}

/**
 * The value of canonical bytes; byte strings in it are copies. Never throws. Reasons: `too-large` (longer than
 * `bytesMax`, too deep, too many items), `not-cbor` (malformed, cut short, bytes left over, bad UTF-8), `not-canonical`
 * (sound CBOR outside the subset, or not its shortest form).
 */
export function decodeCanonical(bytes: Bytes, options: { readonly bytesMax: number }): Checked<CborValue> {
  if (bytes.length > options.bytesMax) return refuse('too-large', `${bytes.length} bytes, at most ${options.bytesMax}`)
  const refusal = scan(bytes)
  if (refusal !== undefined) return refusal
  let value: CborValue
  try {
    value = decode(bytes, { ...DECODE_OPTIONS, tokenizer: new TextTokenizer(bytes, DECODE_OPTIONS) }) as CborValue
  } catch (error) {
    return refuse('not-cbor', error instanceof Error ? error.message : 'undecodable')
  }
  // The scan and the strict text leave nothing for this to find; it holds even if one of them is ever mistaken.
  if (!equalBytes(encodeCanonical(value), bytes)) return refuse('not-canonical', 'encoding it again gives other bytes')
  return { ok: true, value }
}

/** Walks the heads of all items without building anything; undefined when the bytes may be decoded. */
function scan(bytes: Bytes): Refusal | undefined {
  /** Items still owed to each open array, innermost last. */
  const owed: number[] = []
  let at = 0
  let items = 0
  for (;;) {
    if (at >= bytes.length) return refuse('not-cbor', 'cut short')
    if (++items > LIMITS.cborItemsMax) return refuse('too-large', `more than ${LIMITS.cborItemsMax} items`)
    const head = bytes[at] as number
    const major = head >> 5
    const unfit = unfitHead(major, head & 31)
    if (unfit !== undefined) return unfit
    const width = argumentWidth(head & 31)
    if (at + 1 + width > bytes.length) return refuse('not-cbor', 'cut short')
    const argument = width === 0 ? head & 31 : readArgument(bytes, at + 1, width)
    if (width > 0 && argument < leastOfWidth(width))
      return refuse('not-canonical', 'a number is not in its shortest form')
    at += 1 + width
    if (major === 2 || major === 3) {
      if (argument > bytes.length - at) return refuse('not-cbor', 'a string claims more bytes than there are')
      at += argument
    } else if (major === 4) {
      if (argument > bytes.length - at) return refuse('not-cbor', 'an array claims more items than there are bytes')
      if (owed.length >= LIMITS.cborDepthMax) return refuse('too-large', `deeper than ${LIMITS.cborDepthMax} arrays`)
      owed.push(argument + 1)
    }
    for (let top = owed.length - 1; top >= 0; top--) {
      const left = (owed[top] as number) - 1
      owed[top] = left
      // The array's own head was counted as one item of itself, so that it stays open until its last item.
      if (left > 0) break
      owed.pop()
    }
    if (owed.length === 0) return at === bytes.length ? undefined : refuse('not-cbor', 'bytes are left over')
  }
}

function unfitHead(major: number, minor: number): Refusal | undefined {
  if (minor >= 28 && minor <= 30) return refuse('not-cbor', 'a reserved head')
  if (minor === 31) return refuse('not-canonical', 'indefinite length')
  if (major === 1) return refuse('not-canonical', 'a negative integer')
  if (major === 5) return refuse('not-canonical', 'a map')
  if (major === 6) return refuse('not-canonical', 'a tag')
  if (major === 7 && (minor < 20 || minor > 22))
    return refuse('not-canonical', 'a float, undefined or another simple value')
  return undefined
}

function argumentWidth(minor: number): number {
  return minor < 24 ? 0 : 1 << (minor - 24)
}

/** Above 2^53 the answer is rounded; it is only compared with lengths, which are far smaller. */
function readArgument(bytes: Bytes, at: number, width: number): number {
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] as number)
  return value
}

/** The least number that needs an argument of `width` bytes. */
function leastOfWidth(width: number): number {
  return width === 1 ? 24 : width === 2 ? 0x100 : width === 4 ? 0x1_0000 : 0x1_0000_0000
}

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
