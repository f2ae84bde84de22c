/**
 * The nodes of the range tree (sync/range-tree.ts) and the searches inside them: packed leaves, branches, and the order of
 * 38-byte keys read as 76 hexadecimal digits. Nodes are plain holders; who may change one, and when, is the tree's
 * business. Nothing here hashes.
 */
import type { Hex } from '../base/bytes.ts'

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
  count: number
  digest: Uint8Array | undefined = undefined
  /** Packed and ascending; the room behind `count` keys is unused. */
  keys: Uint8Array

  constructor(epoch: number, keys: Uint8Array, count: number) {
    this.epoch = epoch
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
  /** Any key below: it spells the shared digits. */
  readonly sample: Uint8Array
  readonly children: (TreeNode | undefined)[]

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

export function packedSlice(leaf: Leaf, from: number, to: number): Uint8Array {
  return leaf.keys.subarray(from * RANGE_KEY_BYTES, to * RANGE_KEY_BYTES)
}

export function compareAt(keys: Uint8Array, index: number, key: Uint8Array): number {
  const offset = index * RANGE_KEY_BYTES
  for (let i = 0; i < RANGE_KEY_BYTES; i++) {
    const difference = (keys[offset + i] as number) - (key[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** Index of the first key that is not less than `key`. */
export function lowerBound(leaf: Leaf, key: Uint8Array): number {
  let low = 0
  let high = leaf.count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareAt(leaf.keys, middle, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Index of the first key that is greater than `key`. */
export function upperBound(leaf: Leaf, key: Uint8Array): number {
  const at = lowerBound(leaf, key)
  return at < leaf.count && compareAt(leaf.keys, at, key) === 0 ? at + 1 : at
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

export function holds(root: TreeNode | undefined, key: Uint8Array): boolean {
  let node = root
  while (node instanceof Branch) {
    if (sharedDigits(node.sample, key, node.depth) < node.depth) return false
    node = node.children[digitAt(key, 0, node.depth)]
  }
  if (node === undefined) return false
  const at = lowerBound(node, key)
  return at < node.count && compareAt(node.keys, at, key) === 0
}

export function* leavesOf(node: TreeNode): Generator<Leaf> {
  if (node instanceof Leaf) {
    yield node
    return
  }
  for (const child of node.children) if (child !== undefined) yield* leavesOf(child)
}

/** In-order walk that skips whole subtrees at or below `after`. */
export function collect(place: Place, after: Uint8Array | undefined, limit: number, out: Uint8Array[]): void {
  const { node } = place
  if (node instanceof Leaf) {
    const start = after === undefined ? place.from : Math.max(place.from, upperBound(node, after))
    for (let i = start; i < place.to && out.length < limit; i++) out.push(keyAt(node.keys, i).slice())
    return
  }
  let from = 0
  let bound = after
  if (bound !== undefined) {
    const shared = sharedDigits(node.sample, bound, node.depth)
    if (shared === node.depth) from = digitAt(bound, 0, node.depth)
    else if (digitAt(node.sample, 0, shared) < digitAt(bound, 0, shared)) return
    else bound = undefined
  }
  for (let digit = from; digit < 16 && out.length < limit; digit++) {
    const child = node.children[digit]
    if (child === undefined) continue
    collect({ node: child, from: 0, to: child.count }, digit === from ? bound : undefined, limit, out)
  }
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
