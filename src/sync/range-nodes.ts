/**
 * The nodes of the range tree (sync/range-tree.ts) and the searches inside packed keys: leaves, branches, and the order of
 * 38-byte keys read as 76 hexadecimal digits. Nodes are plain holders; who may change one, and when, is the tree's
 * business. The bytes of a leaf may be on disk only: whoever needs them asks sync/range-pages.ts. Nothing here hashes.
 */
import { toHex, type Hex } from '../base/bytes.ts'

/** Bytes of one key: 6 of time, 32 of id. */
export const RANGE_KEY_BYTES = 38
/** Hexadecimal digits of one key: the length of the longest prefix. */
export const RANGE_KEY_DIGITS = 2 * RANGE_KEY_BYTES
/** Bytes of one digest. */
export const RANGE_DIGEST_BYTES = 48

/** Milliseconds in the time part of a key. */
export function rangeKeyMs(key: Uint8Array): number {
  let ms = 0
  for (let i = 0; i < 6; i++) ms = ms * 256 + (key[i] as number)
  return ms
}

export class Leaf {
  readonly epoch: number
  /** Of the prefix that names it: one more than its branch has, none for a root. It never changes while the leaf is one. */
  readonly digits: number
  count: number
  digest: Uint8Array | undefined = undefined
  /** Packed and ascending; the room behind `count` keys is unused. Undefined while they are on disk only. */
  keys: Uint8Array | undefined
  /** The row on disk holds this very leaf. Only leaves of closed epochs are stored: such a one is never changed again. */
  isStored = false
  /** Spelled out once the keys that spell it are gone. */
  prefix: Hex | undefined = undefined

  constructor(epoch: number, digits: number, keys: Uint8Array, count: number) {
    this.epoch = epoch
    this.digits = digits
    this.keys = keys
    this.count = count
  }
}

export class Branch {
  readonly epoch: number
  count: number
  digest: Uint8Array | undefined = undefined
  /** Digits shared by all keys below. */
  readonly depth: number
  /** A key that begins with the shared digits. */
  readonly sample: Uint8Array
  readonly children: (TreeNode | undefined)[]
  /** Every leaf below is stored. */
  isStored = false

  constructor(epoch: number, depth: number, sample: Uint8Array, children: (TreeNode | undefined)[], count: number) {
    this.epoch = epoch
    this.depth = depth
    this.sample = sample
    this.children = children
    this.count = count
  }
}

export type TreeNode = Leaf | Branch

/** A whole branch, or the keys [from, to) of a leaf. */
export interface Place {
  readonly node: TreeNode
  readonly from: number
  readonly to: number
}

export interface Part {
  readonly digit: number
  readonly from: number
  readonly to: number
}

export function digitAt(bytes: Uint8Array, offset: number, digit: number): number {
  const byte = bytes[offset + (digit >> 1)] as number
  return digit % 2 === 0 ? byte >> 4 : byte & 15
}

/** Leading digits that two keys share, counted up to `max`. */
export function sharedDigits(a: Uint8Array, b: Uint8Array, max: number): number {
  let digit = 0
  while (digit + 1 < max && a[digit >> 1] === b[digit >> 1]) digit += 2
  while (digit < max && digitAt(a, 0, digit) === digitAt(b, 0, digit)) digit++
  return Math.min(digit, max)
}

export function keyAt(keys: Uint8Array, index: number): Uint8Array {
  return keys.subarray(index * RANGE_KEY_BYTES, (index + 1) * RANGE_KEY_BYTES)
}

export function packedSlice(keys: Uint8Array, from: number, to: number): Uint8Array {
  return keys.subarray(from * RANGE_KEY_BYTES, to * RANGE_KEY_BYTES)
}

export function compareAt(keys: Uint8Array, index: number, key: Uint8Array): number {
  const offset = index * RANGE_KEY_BYTES
  for (let i = 0; i < RANGE_KEY_BYTES; i++) {
    const difference = (keys[offset + i] as number) - (key[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** Index of the first of `count` packed keys that is not less than `key`. */
export function lowerBound(keys: Uint8Array, count: number, key: Uint8Array): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareAt(keys, middle, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Index of the first of `count` packed keys that is greater than `key`. */
export function upperBound(keys: Uint8Array, count: number, key: Uint8Array): number {
  const at = lowerBound(keys, count, key)
  return at < count && compareAt(keys, at, key) === 0 ? at + 1 : at
}

export function contains(keys: Uint8Array, count: number, key: Uint8Array): boolean {
  const at = lowerBound(keys, count, key)
  return at < count && compareAt(keys, at, key) === 0
}

/** Sorted keys [from, to) cut by their digit at `depth`. */
export function partition(keys: Uint8Array, from: number, to: number, depth: number): Part[] {
  const parts: Part[] = []
  let start = from
  while (start < to) {
    const digit = digitAt(keys, start * RANGE_KEY_BYTES, depth)
    let end = start + 1
    while (end < to && digitAt(keys, end * RANGE_KEY_BYTES, depth) === digit) end++
    parts.push({ digit, from: start, to: end })
    start = end
  }
  return parts
}

/** The leaf in which `key` is, if it is anywhere. */
export function leafFor(root: TreeNode | undefined, key: Uint8Array): Leaf | undefined {
  let node = root
  while (node instanceof Branch) {
    if (sharedDigits(node.sample, key, node.depth) < node.depth) return undefined
    node = node.children[digitAt(key, 0, node.depth)]
  }
  return node
}

/** Leaves in ascending order. */
export function* leavesOf(node: TreeNode): Generator<Leaf> {
  if (node instanceof Leaf) {
    yield node
    return
  }
  for (const child of node.children) if (child !== undefined) yield* leavesOf(child)
}

/** The digits shared by all keys below. */
export function prefixOf(branch: Branch): Hex {
  return toHex(branch.sample).slice(0, branch.depth)
}

/** The least ('0') or greatest ('f') key that begins with `prefix`. */
export function paddedKey(prefix: Hex, pad: '0' | 'f'): Uint8Array {
  const key = new Uint8Array(RANGE_KEY_BYTES).fill(pad === '0' ? 0 : 255)
  for (let digit = 0; digit < prefix.length; digit++) {
    const code = prefix.charCodeAt(digit)
    const value = code < 58 ? code - 48 : code - 87
    const byte = key[digit >> 1] as number
    key[digit >> 1] = digit % 2 === 0 ? (value << 4) | (byte & 15) : (byte & 240) | value
  }
  return key
}
