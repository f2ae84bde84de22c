/**
 * Byte strings. Identifiers travel through the rooms as lower-case hexadecimal text, because text is a Map key and its
 * order is the order of the bytes; they become bytes again only in codecs and keys.
 */
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'

export type Bytes = Uint8Array
/** Lower-case hexadecimal, two digits a byte. */
export type Hex = string

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const HEX: string[] = []
for (let byte = 0; byte < 256; byte++) HEX.push(byte.toString(16).padStart(2, '0'))

export function toHex(bytes: Bytes): Hex {
  let text = ''
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i] as number] as string
  return text
}

/** Throws a RangeError when `hex` is not an even number of lower-case hexadecimal digits. */
export function fromHex(hex: Hex): Bytes {
  if (!isHex(hex)) throw new RangeError('not lower-case hexadecimal')
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = (digit(hex.charCodeAt(2 * i)) << 4) | digit(hex.charCodeAt(2 * i + 1))
  return bytes
}

function digit(code: number): number {
  return code < 58 ? code - 48 : code - 87
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

/** Throws a TypeError on malformed UTF-8. */
export function fromUtf8(bytes: Bytes): string {
  return strictDecoder.decode(bytes)
}

/** Big-endian unsigned integer of `byteLength` (at most 8) bytes. */
export function uintBytes(value: number | bigint, byteLength: number): Bytes {
  const bytes = new Uint8Array(byteLength)
  let rest = BigInt(value)
  for (let i = byteLength - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
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
