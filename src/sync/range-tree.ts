/**
 * The canonical Merkle range tree: the truth about a set of deltas. Keys are 38 bytes, time (6 bytes, big-endian
 * milliseconds) then id (32 bytes), read as 76 hexadecimal digits. The tree is a radix-16 Patricia trie: a range of at
 * most 128 keys is one packed leaf, a larger one branches at the first digit in which its keys differ. Shape and digests
 * are therefore a function of the set alone, whatever the order of insertion, and equal roots mean equal sets unless
 * SHA-384 collides. Nothing is ever added or XORed, so there is no algebra to attack.
 *
 *   leaf   SHA-384(0x00, packed keys in ascending order)
 *   branch SHA-384(0x01, number of digits shared by all keys below, then for each child: digit, its 48-byte digest)
 *
 * Digests are computed when asked for and kept until a key is inserted below. A snapshot costs nothing: it closes an
 * epoch, and an insert copies the nodes of earlier epochs on its path instead of changing them.
 *
 * Source: range-based set reconciliation (Meyer, SRDS 2023) over a history-independent trie instead of a summed monoid.
 * It does not delete (the set only grows) and does not persist itself.
 */
import { assert } from '../base/assert.ts'
import { toHex, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import {
  Branch,
  Leaf,
  collect,
  digitAt,
  holds,
  keyAt,
  leavesOf,
  lowerBound,
  packedSlice,
  paddedKey,
  partition,
  sharedDigits,
  upperBound,
  RANGE_DIGEST_BYTES,
  RANGE_KEY_BYTES,
  RANGE_KEY_DIGITS,
  type Place,
  type TreeNode
} from './range-nodes.ts'

const LEAF_TAG = 0
const BRANCH_TAG = 1
const LEAF_KEYS_MIN_ROOM = 4

/** All keys that begin with one prefix. */
export interface RangeAt {
  readonly count: number
  /** 48 bytes: what the root of a tree of just these keys would be. */
  readonly digest: Uint8Array
}

/** Where the keys below a prefix first differ. */
export interface RangeBranch {
  /** The digits they all share: the prefix that was asked for, or longer. */
  readonly prefix: Hex
  /** Ascending digits, at least two of them. */
  readonly children: readonly { readonly digit: number; readonly count: number; readonly digest: Uint8Array }[]
}

/** The living tree. One writer; readers take snapshots. */
export class RangeTree {
  readonly #hasher: Hasher
  #root: TreeNode | undefined = undefined
  #epoch = 0
  /** The snapshot of this very state, when one was already taken. */
  #frozen: RangeTreeView | undefined = undefined

  constructor(hasher: Hasher) {
    this.#hasher = hasher
  }

  get count(): number {
    return this.#root?.count ?? 0
  }

  /** 48 bytes. The empty set has a root too: the digest of a leaf without keys. */
  root(): Uint8Array {
    return (this.#frozen ?? new RangeTreeView(this.#hasher, this.#root)).root()
  }

  has(key: Uint8Array): boolean {
    return holds(this.#root, key)
  }

  /** Adds a 38-byte key, copied. False when it was there already. */
  insert(key: Uint8Array): boolean {
    assert(key.length === RANGE_KEY_BYTES, 'a range key has 38 bytes')
    if (holds(this.#root, key)) return false
    this.#root = this.#insertInto(this.#root, key)
    this.#frozen = undefined
    return true
  }

  /** The set as it is now, for ever. O(1). */
  snapshot(): RangeTreeView {
    if (this.#frozen === undefined) {
      this.#frozen = new RangeTreeView(this.#hasher, this.#root)
      this.#epoch++
    }
    return this.#frozen
  }

  #insertInto(node: TreeNode | undefined, key: Uint8Array): TreeNode {
    if (node === undefined) return this.#leafOf(key)
    if (node instanceof Leaf) return this.#insertIntoLeaf(node, key)
    const shared = sharedDigits(node.sample, key, node.depth)
    if (shared < node.depth) {
      const children = new Array<TreeNode | undefined>(16).fill(undefined)
      children[digitAt(node.sample, 0, shared)] = node
      children[digitAt(key, 0, shared)] = this.#leafOf(key)
      return new Branch(this.#epoch, shared, node.sample, children, node.count + 1)
    }
    const own =
      node.epoch === this.#epoch
        ? node
        : new Branch(this.#epoch, node.depth, node.sample, node.children.slice(), node.count)
    own.count++
    own.digest = undefined
    const digit = digitAt(key, 0, own.depth)
    own.children[digit] = this.#insertInto(own.children[digit], key)
    return own
  }

  #insertIntoLeaf(leaf: Leaf, key: Uint8Array): TreeNode {
    const at = lowerBound(leaf, key)
    const bytes = leaf.count * RANGE_KEY_BYTES
    let own = leaf
    if (leaf.epoch !== this.#epoch || bytes === leaf.keys.length) {
      const room = Math.min(
        LIMITS.rangeLeafKeysMax + 1,
        Math.max(LEAF_KEYS_MIN_ROOM, leaf.count + (leaf.count >> 1) + 1)
      )
      const keys = new Uint8Array(room * RANGE_KEY_BYTES)
      keys.set(leaf.keys.subarray(0, bytes))
      own = new Leaf(this.#epoch, keys, leaf.count)
    }
    own.keys.copyWithin((at + 1) * RANGE_KEY_BYTES, at * RANGE_KEY_BYTES, bytes)
    own.keys.set(key, at * RANGE_KEY_BYTES)
    own.count++
    own.digest = undefined
    return own.count > LIMITS.rangeLeafKeysMax ? this.#split(own.keys, 0, own.count) : own
  }

  #leafOf(key: Uint8Array): Leaf {
    const keys = new Uint8Array(LEAF_KEYS_MIN_ROOM * RANGE_KEY_BYTES)
    keys.set(key)
    return new Leaf(this.#epoch, keys, 1)
  }

  /** The canonical tree over packed keys [from, to). */
  #split(keys: Uint8Array, from: number, to: number): TreeNode {
    if (to - from <= LIMITS.rangeLeafKeysMax) {
      return new Leaf(this.#epoch, keys.slice(from * RANGE_KEY_BYTES, to * RANGE_KEY_BYTES), to - from)
    }
    const sample = keys.slice(from * RANGE_KEY_BYTES, (from + 1) * RANGE_KEY_BYTES)
    const depth = sharedDigits(sample, keyAt(keys, to - 1), RANGE_KEY_DIGITS)
    const children = new Array<TreeNode | undefined>(16).fill(undefined)
    for (const part of partition(keys, from, to, depth)) {
      children[part.digit] = this.#split(keys, part.from, part.to)
    }
    return new Branch(this.#epoch, depth, sample, children, to - from)
  }
}

/** A frozen set: what one session reconciles, however much is inserted meanwhile. */
export class RangeTreeView {
  readonly #hasher: Hasher
  readonly #root: TreeNode | undefined

  /** Made by RangeTree only: a view of nodes that may still change is good for one question at most. */
  constructor(hasher: Hasher, root: TreeNode | undefined) {
    this.#hasher = hasher
    this.#root = root
  }

  get count(): number {
    return this.#root?.count ?? 0
  }

  /** 48 bytes. */
  root(): Uint8Array {
    return this.#root === undefined ? this.#leafDigest(new Uint8Array(0)) : this.#digestOf(this.#root)
  }

  has(key: Uint8Array): boolean {
    return holds(this.#root, key)
  }

  /** The keys that begin with `prefix` (hexadecimal digits, at most 76), or undefined when there are none. */
  at(prefix: Hex): RangeAt | undefined {
    const place = this.#locate(prefix)
    if (place === undefined) return undefined
    return { count: place.to - place.from, digest: this.#digestOfPlace(place) }
  }

  /** How many keys begin with `prefix`; computes no digest. */
  countAt(prefix: Hex): number {
    const place = this.#locate(prefix)
    return place === undefined ? 0 : place.to - place.from
  }

  /** Where the keys below `prefix` first differ; undefined when there are fewer than two. */
  branch(prefix: Hex): RangeBranch | undefined {
    const place = this.#locate(prefix)
    if (place === undefined || place.to - place.from < 2) return undefined
    const { node, from, to } = place
    if (node instanceof Branch) {
      const children = []
      for (let digit = 0; digit < 16; digit++) {
        const child = node.children[digit]
        if (child !== undefined) children.push({ digit, count: child.count, digest: this.#digestOf(child) })
      }
      return { prefix: toHex(node.sample).slice(0, node.depth), children }
    }
    const first = keyAt(node.keys, from)
    const depth = sharedDigits(first, keyAt(node.keys, to - 1), RANGE_KEY_DIGITS)
    const children = partition(node.keys, from, to, depth).map((part) => ({
      digit: part.digit,
      count: part.to - part.from,
      digest: this.#digestOfPlace({ node, from: part.from, to: part.to })
    }))
    return { prefix: toHex(first).slice(0, depth), children }
  }

  /** All keys that begin with `prefix`, packed and ascending. Meant for small ranges: ask `countAt` first. */
  list(prefix: Hex): Uint8Array {
    const place = this.#locate(prefix)
    if (place === undefined) return new Uint8Array(0)
    const packed = new Uint8Array((place.to - place.from) * RANGE_KEY_BYTES)
    let offset = 0
    for (const leaf of leavesOf(place.node)) {
      const part = leaf === place.node ? packedSlice(leaf, place.from, place.to) : packedSlice(leaf, 0, leaf.count)
      packed.set(part, offset)
      offset += part.length
    }
    return packed
  }

  /** At most `limit` keys in ascending order, those greater than `after` (all, when undefined). The caller's copies. */
  keysFrom(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    return this.keysUnder('', after, limit)
  }

  /** As `keysFrom`, among the keys that begin with `prefix`. */
  keysUnder(prefix: Hex, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const keys: Uint8Array[] = []
    const place = this.#locate(prefix)
    if (place !== undefined) collect(place, after, limit, keys)
    return keys
  }

  #locate(prefix: Hex): Place | undefined {
    assert(prefix.length <= RANGE_KEY_DIGITS, 'a prefix has at most 76 digits')
    let node = this.#root
    const low = paddedKey(prefix, '0')
    while (node instanceof Branch) {
      const shared = sharedDigits(node.sample, low, Math.min(node.depth, prefix.length))
      if (shared < Math.min(node.depth, prefix.length)) return undefined
      if (prefix.length <= node.depth) return { node, from: 0, to: node.count }
      node = node.children[digitAt(low, 0, node.depth)]
    }
    if (node === undefined) return undefined
    const from = lowerBound(node, low)
    const to = upperBound(node, paddedKey(prefix, 'f'))
    return from < to ? { node, from, to } : undefined
  }

  #digestOfPlace({ node, from, to }: Place): Uint8Array {
    if (from === 0 && to === node.count) return this.#digestOf(node)
    assert(node instanceof Leaf, 'only a leaf is cut')
    return this.#leafDigest(packedSlice(node, from, to))
  }

  #digestOf(node: TreeNode): Uint8Array {
    if (node.digest !== undefined) return node.digest
    if (node instanceof Leaf) {
      node.digest = this.#leafDigest(packedSlice(node, 0, node.count))
      return node.digest
    }
    const bytes = new Uint8Array(2 + 16 * (1 + RANGE_DIGEST_BYTES))
    bytes[0] = BRANCH_TAG
    bytes[1] = node.depth
    let offset = 2
    for (let digit = 0; digit < 16; digit++) {
      const child = node.children[digit]
      if (child === undefined) continue
      bytes[offset] = digit
      bytes.set(this.#digestOf(child), offset + 1)
      offset += 1 + RANGE_DIGEST_BYTES
    }
    node.digest = this.#hasher.sha384(bytes.subarray(0, offset))
    return node.digest
  }

  #leafDigest(packed: Uint8Array): Uint8Array {
    return rangeLeafDigest(this.#hasher, packed)
  }
}

/** The digest of a range of at most 128 keys, given packed and ascending. */
export function rangeLeafDigest(hasher: Hasher, packed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + packed.length)
  bytes[0] = LEAF_TAG
  bytes.set(packed, 1)
  return hasher.sha384(bytes)
}
