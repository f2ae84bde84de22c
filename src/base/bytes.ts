/**
 * Byte strings. Identifiers travel through the rooms as lower-case hexadecimal text, because text is a Map key and its
 * order is the order of the bytes; they become bytes again only in codecs and keys.
 */
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'

export type Bytes = Uint8Array
/** Lower-case hexadecimal, two digits a byte. */
export type Hex = string

const TWO_32 = 0x1_0000_0000

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const HEX_DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))
/** By character code: the value of a lower-case hexadecimal digit, else negative. */
const HEX_VALUES = new Int8Array(256).fill(-1)
HEX_DIGITS.forEach((code, value) => (HEX_VALUES[code] = value))
/** Digits of one text under way; a text that is decoded whole costs a fifth of one that grows digit by digit. */
let hexScratch = new Uint8Array(192)
/** By length: the first digits of the scratch. Ids have few lengths, and a view made for each would be garbage at once. */
const hexViews: (Uint8Array | undefined)[] = []

export function toHex(bytes: Bytes): Hex {
  const { length } = bytes
  if (2 * length > hexScratch.length) {
    hexScratch = new Uint8Array(4 * length)
    hexViews.length = 0
  }
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number
    hexScratch[2 * i] = HEX_DIGITS[byte >> 4] as number
    hexScratch[2 * i + 1] = HEX_DIGITS[byte & 15] as number
  }
  return strictDecoder.decode(length > 64 ? hexScratch.subarray(0, 2 * length) : hexView(length))
}

function hexView(length: number): Uint8Array {
  return (hexViews[length] ??= hexScratch.subarray(0, 2 * length))
}

/** Throws a RangeError when `hex` is not an even number of lower-case hexadecimal digits. */
export function fromHex(hex: Hex): Bytes {
  const bytes = new Uint8Array(hex.length >> 1)
  putHex(hex, bytes, 0)
  return bytes
}

/** Writes the bytes of `hex` into `into`, where there is room for them; answers where they end. Throws as fromHex. */
export function putHex(hex: Hex, into: Bytes, at: number): number {
  let place = at
  let faults = hex.length & 1 ? -1 : 0
  for (let i = 0; i + 1 < hex.length; i += 2) {
    const high = HEX_VALUES[hex.charCodeAt(i)] ?? -1
    const low = HEX_VALUES[hex.charCodeAt(i + 1)] ?? -1
    faults |= high | low
    into[place++] = (high << 4) | low
  }
  if (faults < 0) throw new RangeError('not lower-case hexadecimal')
  return place
}

/** Whether `text` is lower-case hexadecimal of `byteLength` bytes (of any whole number of bytes when omitted). */
export function isHex(text: string, byteLength?: number): boolean {
  if (byteLength === undefined ? text.length % 2 !== 0 : text.length !== 2 * byteLength) return false
  return /^[0-9a-f]*$/.test(text)
}

export function compareBytes(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Byte order of two hexadecimal or ASCII texts, without any locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && compareBytes(a, b) === 0
}

export function concatBytes(...parts: Bytes[]): Bytes {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

export function utf8(text: string): Bytes {
  return encoder.encode(text)
}

/** Writes `text` as UTF-8 into `into` from `at` on; answers how many bytes it took. There must be room for all of them. */
export function putUtf8(text: string, into: Bytes, at: number): number {
  return encoder.encodeInto(text, at === 0 ? into : into.subarray(at)).written
}

/** Throws a TypeError on malformed UTF-8. */
export function fromUtf8(bytes: Bytes): string {
  return strictDecoder.decode(bytes)
}

/** Big-endian unsigned integer of `byteLength` (at most 8) bytes. */
export function uintBytes(value: number | bigint, byteLength: number): Bytes {
  const bytes = new Uint8Array(byteLength)
  putUint(value, bytes, 0, byteLength)
  return bytes
}

/** Writes the integer that uintBytes makes into `into`; answers where it ends. */
export function putUint(value: number | bigint, into: Bytes, at: number, byteLength: number): number {
  // Halves of 32 bits: arithmetic on one bigint a byte costs twenty times as much.
  const high = typeof value === 'bigint' ? Number((value >> 32n) & 0xffff_ffffn) : Math.floor(value / TWO_32)
  const low = typeof value === 'bigint' ? Number(value & 0xffff_ffffn) : value % TWO_32
  for (let i = 0; i < byteLength; i++) {
    const place = byteLength - 1 - i
    into[at + place] = i < 4 ? (low >>> (8 * i)) & 0xff : (high >>> (8 * (i - 4))) & 0xff
  }
  return at + byteLength
}

export function bytesToUint(bytes: Bytes): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}

export function toBase64Url(bytes: Bytes): string {
  return toString(bytes, 'base64url')
}

/** Throws on characters outside the alphabet. */
export function fromBase64Url(text: string): Bytes {
  return fromString(text, 'base64url')
}

export function toBase58(bytes: Bytes): string {
  return toString(bytes, 'base58btc')
}

/** Throws on characters outside the alphabet. */
export function fromBase58(text: string): Bytes {
  return fromString(text, 'base58btc')
}
