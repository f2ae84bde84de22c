/**
 * What TREE and STEP carry (docs/WIRE.md §8.7): answers, in which a side shows a range as it holds it, and replies, in which
 * the other says what of it differs. Both come in the order of what they answer, so neither names its range.
 *
 *   answer  list  number of keys 0–32, then 6 bytes for each, ascending by key
 *           node  0x80 | number of digits by which the keys share more than was asked, those digits, a bitmap of the digits
 *                 that follow, then 6 bytes for each of the ranges they begin
 *   reply   to a list: flags, then which keys are wanted (a bit each, the first lowest), then how many are pushed
 *           to a node: the bitmap of the ranges that stay open, then how many keys are pushed
 *
 * Here are the bytes only. Which ranges are compared, and what follows from it, is in sync/recon-walk.ts.
 */
import type { Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { FrameReader, FrameWriter } from './frame-bytes.ts'
import { RANGE_KEY_DIGITS } from './range-nodes.ts'
import { SHORT_DIGEST_BYTES } from './short-digest.ts'

const NODE = 0x80
const WANTS = 1
const PUSHES = 2
const REOPENS = 4

export type Answer =
  { readonly kind: 'list'; readonly keys: readonly number[] } | { readonly kind: 'node'; readonly node: NodeAnswer }

/** Numbers in place of digests and keys are short digests. */
export interface NodeAnswer {
  /** The digits all keys of the range share: the prefix that was asked for, or longer. */
  readonly prefix: Hex
  /** Bit d is set when a key goes on with digit d; two bits at least. */
  readonly bitmap: number
  /** One for each bit, ascending. */
  readonly digests: readonly number[]
}

export type Reply =
  | {
      readonly kind: 'list'
      /** For each key of the list, whether it is wanted. */
      readonly wanted: readonly boolean[]
      /** Keys of the range that were not in the list and will be sent. */
      readonly pushes: number
    }
  /** The range is too large here to be compared with a list: it stays open, and is shown as a node next. */
  | { readonly kind: 'reopen' }
  | { readonly kind: 'node'; readonly open: number; readonly pushes: number }

/** Bytes at most of a node answer, and of a reply to an answer with a list of `keys`, or with a node. */
export const NODE_BYTES_MAX = 1 + RANGE_KEY_DIGITS / 2 + 2 + 16 * SHORT_DIGEST_BYTES
export const NODE_REPLY_BYTES_MAX = 2 + 8

export function listBytes(keys: number): number {
  return 1 + keys * SHORT_DIGEST_BYTES
}

export function listReplyBytesMax(keys: number): number {
  return 1 + ((keys + 7) >> 3) + 8
}

export function writeList(keys: readonly number[], writer: FrameWriter): void {
  writer.byte(keys.length)
  for (const key of keys) writer.short(key)
}

/** `asked` is the prefix that is answered; the node's begins with it. */
export function writeNode(asked: Hex, node: NodeAnswer, writer: FrameWriter): void {
  const extension = node.prefix.slice(asked.length)
  writer
    .byte(NODE | extension.length)
    .digits(extension)
    .uint16(node.bitmap)
  for (const digest of node.digests) writer.short(digest)
}

/** Breaks the reader when the bytes are no answer to `asked`. */
export function readAnswer(asked: Hex, reader: FrameReader): Answer {
  const head = reader.byte()
  if ((head & NODE) !== 0) return { kind: 'node', node: readNode(asked, head & ~NODE, reader) }
  if (head > LIMITS.rangeListKeysMax || head * SHORT_DIGEST_BYTES > reader.left) reader.reject()
  const keys: number[] = []
  for (let i = 0; i < head && !reader.broken; i++) keys.push(reader.short())
  return { kind: 'list', keys }
}

function readNode(asked: Hex, extension: number, reader: FrameReader): NodeAnswer {
  // One digit at least must be left for the children to differ in.
  if (asked.length + extension >= RANGE_KEY_DIGITS) reader.reject()
  const prefix = asked + reader.digits(extension)
  const bitmap = reader.uint16()
  if ((bitmap & (bitmap - 1)) === 0) reader.reject()
  const digests: number[] = []
  for (let rest = bitmap; rest !== 0 && !reader.broken; rest &= rest - 1) digests.push(reader.short())
  return { prefix, bitmap, digests }
}

export function writeReply(reply: Reply, writer: FrameWriter): void {
  if (reply.kind === 'reopen') {
    writer.byte(REOPENS)
    return
  }
  if (reply.kind === 'node') {
    writer.uint16(reply.open).varint(reply.pushes)
    return
  }
  const wants = reply.wanted.includes(true)
  writer.byte((wants ? WANTS : 0) | (reply.pushes > 0 ? PUSHES : 0))
  for (let at = 0; wants && at < reply.wanted.length; at += 8) {
    let bits = 0
    for (let bit = 0; bit < 8; bit++) if (reply.wanted[at + bit] === true) bits |= 1 << bit
    writer.byte(bits)
  }
  if (reply.pushes > 0) writer.varint(reply.pushes)
}

export function readNodeReply(reader: FrameReader): Reply {
  const open = reader.uint16()
  return { kind: 'node', open, pushes: reader.varint() }
}

/** The reply to a list of `keys`. Breaks the reader when what is flagged is not there, or nothing is. */
export function readListReply(keys: number, reader: FrameReader): Reply {
  const flags = reader.byte()
  if (flags === REOPENS) return { kind: 'reopen' }
  if (flags > (WANTS | PUSHES)) reader.reject()
  const wanted: boolean[] = []
  for (let at = 0; (flags & WANTS) !== 0 && at < keys && !reader.broken; at += 8) {
    const bits = reader.byte()
    for (let bit = 0; bit < 8; bit++) {
      const set = (bits & (1 << bit)) !== 0
      if (at + bit < keys) wanted.push(set)
      else if (set) reader.reject()
    }
  }
  if ((flags & WANTS) !== 0 && !wanted.includes(true)) reader.reject()
  const pushes = (flags & PUSHES) === 0 ? 0 : reader.varint()
  if ((flags & PUSHES) !== 0 && pushes === 0) reader.reject()
  return { kind: 'list', wanted, pushes }
}

/** The digits whose bits are set, ascending. */
export function digitsOf(bitmap: number): number[] {
  const digits: number[] = []
  for (let digit = 0; digit < 16; digit++) if ((bitmap & (1 << digit)) !== 0) digits.push(digit)
  return digits
}
