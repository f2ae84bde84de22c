/**
 * The bytes of a reconciliation frame, written and read in order: single bytes, LEB128 varints, byte strings of known
 * width, and prefixes of range keys. The reader is for a stranger's bytes: it never throws, hands out nothing beyond
 * the end, and once something did not fit it is `broken` and answers zeroes, so that a codec asks once, at its end.
 *
 * It knows no frames: those are in sync/recon-codec.ts and sync/recon-answers.ts.
 */
import type { Bytes, Hex } from '../base/bytes.ts'
import { RANGE_KEY_DIGITS } from './range-nodes.ts'

const DIGITS = '0123456789abcdef'
const NOTHING = new Uint8Array(0)

export class FrameWriter {
  #bytes = new Uint8Array(64)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The bytes so far; the caller's copy. */
  done(): Bytes {
    return this.#bytes.slice(0, this.#length)
  }

  byte(value: number): this {
    this.#room(1)
    this.#bytes[this.#length++] = value
    return this
  }

  /** An integer up to 2^53 - 1: seven bits a byte, the least first, the top bit set on all bytes but the last. */
  varint(value: number): this {
    this.#room(8)
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
    return this
  }

  bytes(value: Bytes): this {
    this.#room(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  /** Sixteen bits, the high byte first. */
  uint16(value: number): this {
    return this.byte(value >> 8).byte(value & 255)
  }

  /** A short digest: 48 bits, the low byte first. */
  short(value: number): this {
    this.#room(6)
    let rest = value
    for (let i = 0; i < 6; i++) {
      this.#bytes[this.#length++] = rest % 256
      rest = Math.floor(rest / 256)
    }
    return this
  }

  /** The digits packed in pairs, the first one high; an odd last digit is followed by zero. Their number is not told. */
  digits(hex: Hex): this {
    for (let i = 0; i < hex.length; i += 2) {
      const low = i + 1 < hex.length ? DIGITS.indexOf(hex.charAt(i + 1)) : 0
      this.byte((DIGITS.indexOf(hex.charAt(i)) << 4) | low)
    }
    return this
  }

  /** A prefix: the number of its digits in one byte, then the digits. */
  prefix(hex: Hex): this {
    return this.byte(hex.length).digits(hex)
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#length + bytes, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

export class FrameReader {
  readonly #bytes: Bytes
  #at: number
  #broken = false

  constructor(bytes: Bytes, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  /** Something did not fit. */
  get broken(): boolean {
    return this.#broken
  }

  /** Bytes not yet read; 0 once broken. */
  get left(): number {
    return this.#broken ? 0 : this.#bytes.length - this.#at
  }

  /** Everything was read and fitted. */
  get finished(): boolean {
    return !this.#broken && this.#at === this.#bytes.length
  }

  /** What was read makes no sense: from here on the reader is broken. */
  reject(): void {
    this.#broken = true
  }

  byte(): number {
    if (this.left < 1) {
      this.#broken = true
      return 0
    }
    return this.#bytes[this.#at++] as number
  }

  /** Broken when longer than it must be, or greater than `max`. */
  varint(max = Number.MAX_SAFE_INTEGER): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.byte()
      value += (byte & 127) * scale
      scale *= 128
      if (byte >= 128) continue
      if ((i > 0 && byte === 0) || value > max) this.#broken = true
      return this.#broken ? 0 : value
    }
    this.#broken = true
    return 0
  }

  /** A view of the next `length` bytes, not a copy. */
  take(length: number): Bytes {
    if (length > this.left) {
      this.#broken = true
      return NOTHING
    }
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** All that is left. */
  rest(): Bytes {
    return this.take(this.left)
  }

  uint16(): number {
    const high = this.byte()
    return (high << 8) | this.byte()
  }

  short(): number {
    const bytes = this.take(6)
    let value = 0
    for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + (bytes[i] as number)
    return value
  }

  /** `count` digits; broken when the half byte behind an odd number of them is not zero. */
  digits(count: number): Hex {
    const bytes = this.take((count + 1) >> 1)
    let hex = ''
    for (const byte of bytes) hex += DIGITS.charAt(byte >> 4) + DIGITS.charAt(byte & 15)
    if (this.#broken || count % 2 === 0) return hex
    if (!hex.endsWith('0')) this.#broken = true
    return hex.slice(0, count)
  }

  prefix(): Hex {
    const count = this.byte()
    if (count <= RANGE_KEY_DIGITS) return this.digits(count)
    this.#broken = true
    return ''
  }
}
