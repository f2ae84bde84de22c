/**
 * The walk down two trees, by two equal sides. A range that differs is shown by one of them as it holds it, a short list
 * of keys or a node with a digest for each range below; the other says what of it differs. What one side lacks entirely
 * it is sent unasked, as a range however large, so that a long absence costs a few bytes and no list of ids.
 *
 * Both sides keep the same list of open ranges: a reply puts the ranges it leaves open at its front, in key order, and the
 * side whose turn it is shows as many of the first ranges as its frame takes. What does not fit waits until what was
 * found before it is done, oldest first. So neither can misread what the other speaks of, and the walk is over for
 * both at the same frame: when nothing was shown and nothing is open, or when one says that it stops.
 *
 * Nothing is believed further than it can be checked: a range that was said to differ has to differ somewhere.
 *
 * Source: range-based set reconciliation (Meyer, SRDS 2023) over a Merkle trie with salted digests (docs/WIRE.md §8.7).
 */
import { assert } from '../base/assert.ts'
import { toHex, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { FrameReader, FrameWriter } from './frame-bytes.ts'
import { keyAt, RANGE_KEY_BYTES } from './range-nodes.ts'
import type { RangeTreeView } from './range-tree.ts'
import {
  NODE_BYTES_MAX,
  NODE_REPLY_BYTES_MAX,
  digitsOf,
  listBytes,
  listReplyBytesMax,
  readAnswer,
  readListReply,
  readNodeReply,
  writeList,
  writeNode,
  writeReply,
  type NodeAnswer,
  type Reply
} from './recon-answers.ts'
import type { SessionBounds, Violation } from './recon-session.ts'
import type { ShortDigests } from './short-digest.ts'

/** What we hold and the peer lacks: a range but for some prefixes below it, or single keys. Ascending. */
export type Finding =
  | { readonly kind: 'range'; readonly prefix: Hex; readonly except: readonly Hex[] }
  | { readonly kind: 'keys'; readonly keys: readonly Bytes[] }

export interface WalkOptions {
  readonly view: RangeTreeView
  readonly digests: ShortDigests
  /** Where the walk begins; everything when empty. */
  readonly prefix: Hex
  readonly bounds: SessionBounds
}

/** Bits of the byte of flags in front of a STEP. */
const STOPS = 1
const LEFT_OUT = 2
/** Code, flags and the number of answers. */
const STEP_HEAD_BYTES = 5

/** An answer of ours that the peer will reply to. */
type Shown =
  | { readonly kind: 'list'; readonly prefix: Hex; readonly packed: Bytes; readonly count: number }
  | { readonly kind: 'node'; readonly prefix: Hex; readonly bitmap: number }

export class RangeWalk {
  readonly #view: RangeTreeView
  readonly #digests: ShortDigests
  readonly #bounds: SessionBounds
  /** Ranges that differ and that nobody has shown yet; the first one last. The same on both sides. */
  readonly #open: Hex[]
  #shown: Shown[] = []
  #replies: Reply[] = []
  #findings: Finding[] = []
  #expected = 0
  #leftOut = false
  #ended = false
  #cut = false

  constructor(options: WalkOptions) {
    this.#view = options.view
    this.#digests = options.digests
    this.#bounds = options.bounds
    this.#open = [options.prefix]
  }

  /** Nothing more will be said by either side. */
  get ended(): boolean {
    return this.#ended
  }

  /** Something that differs was not looked into, here or there. */
  get cut(): boolean {
    return this.#cut
  }

  /** Deltas the peer was asked for, or said it will send. */
  get expected(): number {
    return this.#expected
  }

  /** Ranges open now. */
  get openRanges(): number {
    return this.#open.length
  }

  /** Our keys in the open ranges. */
  keysInOpen(): number {
    let keys = 0
    for (const prefix of this.#open) keys += this.#view.countAt(prefix)
    return keys
  }

  /** What was found since the last call that the peer lacks. */
  takeFindings(): Finding[] {
    const findings = this.#findings
    this.#findings = []
    return findings
  }

  /** The body of a TREE: the whole range, shown. */
  begin(): Bytes {
    const writer = new FrameWriter()
    this.#show(this.#next(), writer)
    return writer.done()
  }

  /** Reads the body of a TREE. */
  readTree(body: Bytes): Violation | undefined {
    const reader = new FrameReader(body)
    const violation = this.#readAnswers(1, reader)
    return violation ?? (reader.finished ? undefined : 'malformed')
  }

  /** Reads the body of a STEP. */
  readStep(body: Bytes): Violation | undefined {
    if (this.#ended) return 'out-of-order'
    const reader = new FrameReader(body)
    const flags = reader.byte()
    if ((flags & ~(STOPS | LEFT_OUT)) !== 0) return 'malformed'
    this.#cut ||= flags !== 0
    const opened: Hex[] = []
    for (const shown of this.#shown) {
      const violation = this.#readReply(shown, (flags & LEFT_OUT) !== 0, opened, reader)
      if (reader.broken) return 'malformed'
      if (violation !== undefined) return violation
    }
    this.#shown = []
    if (this.#open.length + opened.length > this.#bounds.openRanges) return 'budget'
    this.#reopen(opened)
    const count = reader.varint()
    if (reader.broken) return 'malformed'
    if (count > this.#open.length) return 'unasked'
    const stops = (flags & STOPS) !== 0
    if (stops ? count > 0 : count === 0 && this.#open.length > 0) return 'no-progress'
    const violation = this.#readAnswers(count, reader)
    if (violation !== undefined) return violation
    if (!reader.finished) return 'malformed'
    this.#ended = count === 0
    return undefined
  }

  /** The body of our next STEP. `room`: bytes that may still be spent on comparing, by both sides together. */
  writeStep(room: number): Bytes {
    assert(!this.#ended, 'the walk goes on')
    const replies = new FrameWriter()
    for (const reply of this.#replies) writeReply(reply, replies)
    this.#replies = []
    const answers = new FrameWriter()
    const frameRoom = this.#bounds.frameBytes - STEP_HEAD_BYTES - replies.length
    // The peer has to be able to reply to all that is shown.
    let left = room - 2 * STEP_HEAD_BYTES - replies.length
    let count = 0
    for (; this.#open.length > 0; count++) {
      const prefix = this.#open[this.#open.length - 1] as Hex
      const { answer, reply } = this.#bytesMax(prefix)
      if (answer + reply > left || (count > 0 && answers.length + answer > frameRoom)) break
      left -= answer + reply
      this.#show(this.#next(), answers)
    }
    const stops = count === 0 && this.#open.length > 0
    if (stops) this.#cut = true
    this.#ended = count === 0
    const flags = (stops ? STOPS : 0) | (this.#leftOut ? LEFT_OUT : 0)
    this.#leftOut = false
    return new FrameWriter().byte(flags).bytes(replies.done()).varint(count).bytes(answers.done()).done()
  }

  // --- showing

  #next(): Hex {
    const prefix = this.#open.pop()
    assert(prefix !== undefined, 'a range is open')
    return prefix
  }

  #bytesMax(prefix: Hex): { answer: number; reply: number } {
    const count = this.#view.countAt(prefix)
    if (count > LIMITS.rangeListKeysMax) return { answer: NODE_BYTES_MAX, reply: NODE_REPLY_BYTES_MAX }
    return { answer: listBytes(count), reply: listReplyBytesMax(count) }
  }

  #show(prefix: Hex, writer: FrameWriter): void {
    const branch = this.#view.countAt(prefix) > LIMITS.rangeListKeysMax ? this.#view.branch(prefix) : undefined
    if (branch === undefined) {
      const packed = this.#view.list(prefix)
      const count = packed.length / RANGE_KEY_BYTES
      const keys: number[] = []
      for (let i = 0; i < count; i++) keys.push(this.#digests.of(packed, i * RANGE_KEY_BYTES, RANGE_KEY_BYTES))
      writeList(keys, writer)
      this.#shown.push({ kind: 'list', prefix, packed, count })
      return
    }
    let bitmap = 0
    const digests: number[] = []
    for (const child of branch.children) {
      bitmap |= 1 << child.digit
      digests.push(this.#digests.of(child.digest))
    }
    writeNode(prefix, { prefix: branch.prefix, bitmap, digests }, writer)
    this.#shown.push({ kind: 'node', prefix: branch.prefix, bitmap })
  }

  // --- replies to what we showed

  #readReply(shown: Shown, leftOut: boolean, opened: Hex[], reader: FrameReader): Violation | undefined {
    if (shown.kind === 'node') {
      const reply = readNodeReply(reader) as Reply & { kind: 'node' }
      if ((reply.open & ~shown.bitmap) !== 0) return 'unasked'
      if (reply.open === 0 && reply.pushes === 0 && !leftOut) return 'contradiction'
      for (const digit of digitsOf(reply.open)) opened.push(shown.prefix + digit.toString(16))
      this.#expect(reply.pushes)
      return undefined
    }
    const reply = readListReply(shown.count, reader)
    if (reply.kind === 'reopen') {
      opened.push(shown.prefix)
      return undefined
    }
    if (reply.kind !== 'list') return 'malformed'
    const keys: Bytes[] = []
    for (let i = 0; i < reply.wanted.length; i++) if (reply.wanted[i] === true) keys.push(keyAt(shown.packed, i))
    if (keys.length === 0 && reply.pushes === 0) return 'contradiction'
    if (keys.length > 0) this.#findings.push({ kind: 'keys', keys })
    this.#expect(reply.pushes)
    return undefined
  }

  /** Sums of claims: they may be anything, and are of use only as long as they are small. */
  #expect(deltas: number): void {
    this.#expected = Math.min(Number.MAX_SAFE_INTEGER, this.#expected + deltas)
  }

  // --- what the peer shows

  #readAnswers(count: number, reader: FrameReader): Violation | undefined {
    const opened: Hex[] = []
    for (let i = 0; i < count; i++) {
      const prefix = this.#next()
      const answer = readAnswer(prefix, reader)
      if (reader.broken) return 'malformed'
      const reply =
        answer.kind === 'list'
          ? this.#compareList(prefix, answer.keys, opened)
          : this.#compareNode(prefix, answer.node, opened)
      if (reply === undefined) return 'contradiction'
      this.#replies.push(reply)
    }
    this.#reopen(opened)
    return undefined
  }

  /** Undefined when the list is the very range we hold. */
  #compareList(prefix: Hex, theirs: readonly number[], opened: Hex[]): Reply | undefined {
    const count = this.#view.countAt(prefix)
    if (count > LIMITS.reconMatchKeysMax && theirs.length > 0) {
      opened.push(prefix)
      return { kind: 'reopen' }
    }
    const ours = new Map<number, Bytes>()
    const packed = theirs.length === 0 ? new Uint8Array(0) : this.#view.list(prefix)
    for (let at = 0; at < packed.length; at += RANGE_KEY_BYTES) {
      ours.set(this.#digests.of(packed, at, RANGE_KEY_BYTES), packed.subarray(at, at + RANGE_KEY_BYTES))
    }
    const except: Hex[] = []
    const wanted = theirs.map((digest) => {
      const own = ours.get(digest)
      if (own === undefined) return true
      ours.delete(digest)
      except.push(toHex(own))
      return false
    })
    const pushes = count - except.length
    const wants = theirs.length - except.length
    if (pushes === 0 && wants === 0) return undefined
    if (pushes > 0) this.#findings.push({ kind: 'range', prefix, except })
    this.#expect(wants)
    return { kind: 'list', wanted, pushes }
  }

  /** Undefined when the node differs from our range nowhere. */
  #compareNode(prefix: Hex, node: NodeAnswer, opened: Hex[]): Reply | undefined {
    let [open, differing, below] = [0, 0, 0]
    const except: Hex[] = []
    for (const [index, digit] of digitsOf(node.bitmap).entries()) {
      const child = node.prefix + digit.toString(16)
      except.push(child)
      const own = this.#view.at(child)
      below += own?.count ?? 0
      if (own !== undefined && this.#digests.of(own.digest) === node.digests[index]) continue
      differing++
      // Of the answers of this frame, those still to be read count as open: each may have to stay so.
      if (this.#open.length + opened.length >= this.#bounds.openRanges) {
        this.#leftOut = true
        this.#cut = true
        continue
      }
      open |= 1 << digit
      opened.push(child)
    }
    const pushes = this.#view.countAt(prefix) - below
    if (differing === 0 && pushes === 0) return undefined
    if (pushes > 0) this.#findings.push({ kind: 'range', prefix, except })
    return { kind: 'node', open, pushes }
  }

  /** Puts ranges in front of what is open, the first one first. */
  #reopen(ranges: readonly Hex[]): void {
    for (let i = ranges.length - 1; i >= 0; i--) this.#open.push(ranges[i] as Hex)
  }
}
