/**
 * Plain range-based set reconciliation, as published and deployed, to have something to compare our own with. Items are
 * (time, id of 32 bytes) in one order; a range is fingerprinted by SHA-256 of the sum of its ids modulo 2^256 and their
 * number, cut to 16 bytes; a range that differs is split into 16 buckets of equal count, or listed in full ids when it
 * holds fewer than 32. The side that opens learns what both lack, the other answers and learns nothing.
 *
 * Source: Meyer, "Range-Based Set Reconciliation" (SRDS 2023), with the parameters of the negentropy protocol v1; the
 * code is our own. Sums of ranges come from prefix sums, the best case for it: a store would keep them in a tree. The sum
 * has no secret in it, so two sets of equal sum stay different for ever (test/property/recon-collisions.test.ts).
 */
import { hash } from 'node:crypto'

const KEY_BYTES = 38
const MS_BYTES = 6
const ID_BYTES = 32
const LANES = ID_BYTES / 4
const FINGERPRINT_BYTES = 16
const BUCKETS = 16
const LIST_BELOW = 32
const VERSION = 0x61

const SKIP = 0
const FINGERPRINT = 1
const LIST = 2

/** Everything below is `ms`, and at that time below `prefix` of the id. No ms: the end of the order. */
interface Bound {
  readonly ms: number | undefined
  readonly prefix: Uint8Array
}

const NOTHING = new Uint8Array(0)
const END: Bound = { ms: undefined, prefix: NOTHING }

/** An immutable sorted set that answers for any range of it in O(log n). 70 bytes an item. */
export class RangeSet {
  readonly count: number
  readonly #keys: Uint8Array
  /** Sums of the first i ids, eight little-endian lanes each. */
  readonly #sums: Uint32Array
  readonly #preimage = Buffer.alloc(ID_BYTES + 10)

  /** `keys`: packed range keys of 38 bytes, ascending, without repetition. Not copied. */
  constructor(keys: Uint8Array) {
    this.#keys = keys
    this.count = keys.length / KEY_BYTES
    this.#sums = new Uint32Array((this.count + 1) * LANES)
    const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength)
    for (let i = 0; i < this.count; i++) {
      let carry = 0
      for (let lane = 0; lane < LANES; lane++) {
        const sum =
          (this.#sums[i * LANES + lane] as number) + view.getUint32(i * KEY_BYTES + MS_BYTES + 4 * lane, true) + carry
        this.#sums[(i + 1) * LANES + lane] = sum
        carry = sum > 0xffff_ffff ? 1 : 0
      }
    }
  }

  /** 16 bytes for the items [from, to). */
  fingerprint(from: number, to: number): Uint8Array {
    let borrow = 0
    for (let lane = 0; lane < LANES; lane++) {
      const rest = (this.#sums[to * LANES + lane] as number) - (this.#sums[from * LANES + lane] as number) - borrow
      borrow = rest < 0 ? 1 : 0
      this.#preimage.writeUInt32LE(rest >>> 0, 4 * lane)
    }
    const length = ID_BYTES + writeVarint(this.#preimage, ID_BYTES, to - from)
    return hash('sha256', this.#preimage.subarray(0, length), 'buffer').subarray(0, FINGERPRINT_BYTES)
  }

  id(index: number): Uint8Array {
    return this.#keys.subarray(index * KEY_BYTES + MS_BYTES, (index + 1) * KEY_BYTES)
  }

  /** Index of the first item from `from` on that is not below the bound. */
  lowerBound(from: number, bound: Bound): number {
    if (bound.ms === undefined) return this.count
    const wanted = new Uint8Array(KEY_BYTES)
    Buffer.from(wanted.buffer).writeUIntBE(bound.ms, 0, MS_BYTES)
    wanted.set(bound.prefix, MS_BYTES)
    let low = from
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Buffer.compare(this.#keys.subarray(middle * KEY_BYTES, (middle + 1) * KEY_BYTES), wanted) < 0)
        low = middle + 1
      else high = middle
    }
    return low
  }

  /** The shortest bound between item `index` and the one before it. */
  boundAt(index: number): Bound {
    if (index >= this.count) return END
    const ms = this.#ms(index)
    if (index === 0 || this.#ms(index - 1) !== ms) return { ms, prefix: NOTHING }
    const [id, before] = [this.id(index), this.id(index - 1)]
    let shared = 0
    while (id[shared] === before[shared]) shared++
    return { ms, prefix: id.subarray(0, shared + 1) }
  }

  #ms(index: number): number {
    return Buffer.from(this.#keys.buffer, this.#keys.byteOffset + index * KEY_BYTES, MS_BYTES).readUIntBE(0, MS_BYTES)
  }
}

/** One side of a session. */
export class RangePeer {
  readonly #set: RangeSet
  readonly #opens: boolean
  /** Ids, as hexadecimal text, that only the other side holds, and that only we do. Known to the side that opens. */
  readonly missing = new Set<string>()
  readonly surplus = new Set<string>()

  constructor(set: RangeSet, role: 'opens' | 'answers') {
    this.#set = set
    this.#opens = role === 'opens'
  }

  open(): Uint8Array {
    const writer = new Writer()
    this.#split(writer, 0, this.#set.count, END)
    return writer.take()
  }

  /** The answer to a message; undefined when the side that opened has nothing left to ask. */
  answer(message: Uint8Array): Uint8Array | undefined {
    const reader = new Reader(message)
    const writer = new Writer()
    let from = 0
    while (!reader.atEnd) {
      const bound = reader.bound()
      const mode = reader.varint()
      const to = this.#set.lowerBound(from, bound)
      if (mode === SKIP) writer.skipTo(bound)
      else if (mode === FINGERPRINT) {
        const theirs = reader.bytes(FINGERPRINT_BYTES)
        if (Buffer.compare(theirs, this.#set.fingerprint(from, to)) === 0) writer.skipTo(bound)
        else this.#split(writer, from, to, bound)
      } else {
        const ids = reader.bytes(reader.varint() * ID_BYTES)
        if (this.#opens) {
          this.#compare(ids, from, to)
          writer.skipTo(bound)
        } else this.#list(writer, from, to, bound)
      }
      from = to
    }
    return this.#opens && writer.isEmpty ? undefined : writer.take()
  }

  #split(writer: Writer, from: number, to: number, end: Bound): void {
    const count = to - from
    if (count < LIST_BELOW) {
      this.#list(writer, from, to, end)
      return
    }
    let start = from
    for (let bucket = 1; bucket <= BUCKETS; bucket++) {
      const stop = from + Math.floor((count * bucket) / BUCKETS)
      writer.range(bucket === BUCKETS ? end : this.#set.boundAt(stop), FINGERPRINT)
      writer.bytes(this.#set.fingerprint(start, stop))
      start = stop
    }
  }

  #list(writer: Writer, from: number, to: number, end: Bound): void {
    writer.range(end, LIST)
    writer.varint(to - from)
    for (let i = from; i < to; i++) writer.bytes(this.#set.id(i))
  }

  #compare(theirs: Uint8Array, from: number, to: number): void {
    const ours = new Set<string>()
    for (let i = from; i < to; i++) ours.add(Buffer.from(this.#set.id(i)).toString('hex'))
    for (let at = 0; at < theirs.length; at += ID_BYTES) {
      const id = Buffer.from(theirs.subarray(at, at + ID_BYTES)).toString('hex')
      if (!ours.delete(id)) this.missing.add(id)
    }
    for (const id of ours) this.surplus.add(id)
  }
}

export interface RangeSession {
  /** Both ways. */
  readonly bytes: number
  readonly messages: number
  /** What the side that opened lacks, and what the other lacks. */
  readonly missing: ReadonlySet<string>
  readonly surplus: ReadonlySet<string>
}

/** A whole session, `near` opening. */
export function reconcileRanges(near: RangeSet, far: RangeSet): RangeSession {
  const [opener, answerer] = [new RangePeer(near, 'opens'), new RangePeer(far, 'answers')]
  let bytes = 0
  let messages = 0
  let message: Uint8Array | undefined = opener.open()
  while (message !== undefined) {
    const answer: Uint8Array = answerer.answer(message) ?? NOTHING
    bytes += message.length + answer.length
    messages += 2
    message = opener.answer(answer)
  }
  return { bytes, messages, missing: opener.missing, surplus: opener.surplus }
}

/** Bounds are written as differences from the one before, and what is equal is passed over with the next that is not. */
class Writer {
  #buffer = Buffer.alloc(4_096)
  #length = 1
  #ms = 0
  #skipped: Bound | undefined = undefined

  constructor() {
    this.#buffer[0] = VERSION
  }

  get isEmpty(): boolean {
    return this.#length === 1
  }

  skipTo(bound: Bound): void {
    this.#skipped = bound
  }

  range(end: Bound, mode: number): void {
    const skipped = this.#skipped
    this.#skipped = undefined
    if (skipped !== undefined) this.#head(skipped, SKIP)
    this.#head(end, mode)
  }

  #head({ ms, prefix }: Bound, mode: number): void {
    this.varint(ms === undefined ? 0 : 1 + ms - this.#ms)
    if (ms !== undefined) this.#ms = ms
    this.varint(prefix.length)
    this.bytes(prefix)
    this.varint(mode)
  }

  varint(value: number): void {
    this.#room(10)
    this.#length += writeVarint(this.#buffer, this.#length, value)
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }

  take(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }
}

class Reader {
  readonly #bytes: Uint8Array
  #at = 1
  #ms = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  bound(): Bound {
    const step = this.varint()
    if (step > 0) this.#ms += step - 1
    const prefix = this.bytes(this.varint())
    return { ms: step === 0 ? undefined : this.#ms, prefix }
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }

  bytes(count: number): Uint8Array {
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }
}

/** Little-endian groups of seven bits. Answers how many bytes they took. */
function writeVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value
  let length = 0
  for (; rest >= 128; rest = Math.floor(rest / 128)) into[at + length++] = (rest % 128) | 128
  into[at + length++] = rest
  return length
}
