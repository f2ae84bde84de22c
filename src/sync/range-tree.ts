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
 * It knows which leaves changed since they were last stored (`checkpoint`), and may let go of the bytes of stored leaves
 * (`pageOut`), the oldest first. A leaf that an insert replaces keeps its bytes from then on, for the sake of snapshots
 * that still show it: they never read a newer row.
 *
 * Source: range-based set reconciliation (Meyer, SRDS 2023) over a history-independent trie instead of a summed monoid.
 * It does not delete (the set only grows) and writes nothing itself.
 */
import { assert } from '../base/assert.ts'
import { toHex, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import { changedLeaves, type TreeCheckpoint } from './range-checkpoint.ts'
import {
  Branch,
  contains,
  digitAt,
  keyAt,
  Leaf,
  leafFor,
  leavesOf,
  lowerBound,
  packedSlice,
  paddedKey,
  partition,
  prefixOf,
  RANGE_KEY_BYTES,
  RANGE_KEY_DIGITS,
  sharedDigits,
  upperBound,
  type Place,
  type TreeNode
} from './range-nodes.ts'
import { LeafPages, rangeLeafDigest, type LeafSource } from './range-pages.ts'

export { rangeLeafDigest } from './range-pages.ts'

const LEAF_KEYS_MIN_ROOM = 4

export interface RangeTreeOptions {
  /** Where stored leaves are read back from; without it every leaf keeps its bytes. */
  readonly source?: LeafSource | undefined
  /** Keys whose bytes may stay in memory. Default LIMITS.residentKeysMax. */
  readonly residentKeysMax?: number
  /** Read back from disk by sync/range-load.ts, which checked it. The tree owns the nodes. */
  readonly root?: TreeNode | undefined
}

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
  readonly #pages: LeafPages
  readonly #residentKeysMax: number
  #root: TreeNode | undefined
  #epoch = 1
  /** The snapshot of this very state, when one was already taken. */
  #frozen: RangeTreeView | undefined = undefined
  /** Keys whose bytes are in memory, of the leaves of this tree. */
  #residentKeys = 0
  /** Leaves that were split since the last confirmed checkpoint: their rows must go. */
  readonly #removed = new Set<Hex>()

  constructor(hasher: Hasher, options: RangeTreeOptions = {}) {
    this.#hasher = hasher
    this.#pages = new LeafPages(hasher, options.source)
    this.#residentKeysMax = options.residentKeysMax ?? LIMITS.residentKeysMax
    this.#root = options.root
    if (this.#root === undefined) return
    for (const leaf of leavesOf(this.#root)) if (leaf.keys !== undefined) this.#residentKeys += leaf.count
  }

  get count(): number {
    return this.#root?.count ?? 0
  }

  /** Keys whose bytes are in memory; the others are on disk. */
  get residentKeys(): number {
    return this.#residentKeys
  }

  /** 48 bytes. The empty set has a root too: the digest of a leaf without keys. */
  root(): Uint8Array {
    return (this.#frozen ?? new RangeTreeView(this.#hasher, this.#pages, this.#root)).root()
  }

  has(key: Uint8Array): boolean {
    const leaf = leafFor(this.#root, key)
    return leaf !== undefined && contains(this.#pages.keysOf(leaf), leaf.count, key)
  }

  /** Adds a 38-byte key, copied. False when it was there already. */
  insert(key: Uint8Array): boolean {
    assert(key.length === RANGE_KEY_BYTES, 'a range key has 38 bytes')
    const leaf = leafFor(this.#root, key)
    if (leaf !== undefined) {
      // Here a row may prove damaged: before anything was changed.
      if (contains(this.#pages.keysOf(leaf), leaf.count, key)) return false
      if (leaf.keys === undefined) {
        this.#pages.take(leaf)
        this.#residentKeys += leaf.count
      }
    }
    this.#root = this.#insertInto(this.#root, key, 0)
    this.#residentKeys++
    this.#frozen = undefined
    return true
  }

  /** The set as it is now, for ever. O(1). */
  snapshot(): RangeTreeView {
    if (this.#frozen === undefined) {
      this.#frozen = new RangeTreeView(this.#hasher, this.#pages, this.#root)
      this.#epoch++
    }
    return this.#frozen
  }

  /** What must be written and deleted for the rows to be this set, as it is now. One at a time. */
  checkpoint(): TreeCheckpoint {
    const view = this.snapshot()
    const removed = [...this.#removed]
    const { leaves, stored } = changedLeaves(this.#root)
    const confirm = (): void => {
      for (const node of stored) node.isStored = true
      for (const prefix of removed) this.#removed.delete(prefix)
    }
    return { view, leaves, removed, confirm }
  }

  /**
   * When more keys are in memory than may be, lets go of the bytes of stored leaves, oldest first, until an eighth of that
   * is free. Leaves not yet stored stay. Returns how many keys went.
   */
  pageOut(): number {
    const before = this.#residentKeys
    if (this.#root === undefined || !this.#pages.canRead || before <= this.#residentKeysMax) return 0
    const goal = this.#residentKeysMax - (this.#residentKeysMax >> 3)
    for (const leaf of leavesOf(this.#root)) {
      if (this.#residentKeys <= goal) break
      if (!leaf.isStored || leaf.keys === undefined) continue
      this.#pages.drop(leaf)
      this.#residentKeys -= leaf.count
    }
    return before - this.#residentKeys
  }

  /** `digits`: of the prefix that names this place in the tree. */
  #insertInto(node: TreeNode | undefined, key: Uint8Array, digits: number): TreeNode {
    if (node === undefined) return this.#leafOf(key, digits)
    if (node instanceof Leaf) return this.#insertIntoLeaf(node, key)
    const shared = sharedDigits(node.sample, key, node.depth)
    if (shared < node.depth) {
      const children = new Array<TreeNode | undefined>(16).fill(undefined)
      children[digitAt(node.sample, 0, shared)] = node
      children[digitAt(key, 0, shared)] = this.#leafOf(key, shared + 1)
      return new Branch(this.#epoch, shared, node.sample, children, node.count + 1)
    }
    const own =
      node.epoch === this.#epoch
        ? node
        : new Branch(this.#epoch, node.depth, node.sample, node.children.slice(), node.count)
    own.count++
    own.digest = undefined
    const digit = digitAt(key, 0, own.depth)
    own.children[digit] = this.#insertInto(own.children[digit], key, own.depth + 1)
    return own
  }

  #insertIntoLeaf(leaf: Leaf, key: Uint8Array): TreeNode {
    const packed = this.#pages.keysOf(leaf)
    const at = lowerBound(packed, leaf.count, key)
    const bytes = leaf.count * RANGE_KEY_BYTES
    let own = leaf
    let keys = packed
    if (leaf.epoch !== this.#epoch || bytes === packed.length) {
      const room = Math.min(
        LIMITS.rangeLeafKeysMax + 1,
        Math.max(LEAF_KEYS_MIN_ROOM, leaf.count + (leaf.count >> 1) + 1)
      )
      keys = new Uint8Array(room * RANGE_KEY_BYTES)
      keys.set(packed.subarray(0, bytes))
      own = new Leaf(this.#epoch, leaf.digits, keys, leaf.count)
    }
    keys.copyWithin((at + 1) * RANGE_KEY_BYTES, at * RANGE_KEY_BYTES, bytes)
    keys.set(key, at * RANGE_KEY_BYTES)
    own.count++
    own.digest = undefined
    if (own.count <= LIMITS.rangeLeafKeysMax) return own
    this.#removed.add(toHex(key).slice(0, own.digits))
    return this.#split(keys, 0, own.count, own.digits)
  }

  #leafOf(key: Uint8Array, digits: number): Leaf {
    const keys = new Uint8Array(LEAF_KEYS_MIN_ROOM * RANGE_KEY_BYTES)
    keys.set(key)
    return new Leaf(this.#epoch, digits, keys, 1)
  }

  /** The canonical tree over packed keys [from, to). */
  #split(keys: Uint8Array, from: number, to: number, digits: number): TreeNode {
    if (to - from <= LIMITS.rangeLeafKeysMax) {
      return new Leaf(this.#epoch, digits, keys.slice(from * RANGE_KEY_BYTES, to * RANGE_KEY_BYTES), to - from)
    }
    const sample = keys.slice(from * RANGE_KEY_BYTES, (from + 1) * RANGE_KEY_BYTES)
    const depth = sharedDigits(sample, keyAt(keys, to - 1), RANGE_KEY_DIGITS)
    const children = new Array<TreeNode | undefined>(16).fill(undefined)
    for (const part of partition(keys, from, to, depth)) {
      children[part.digit] = this.#split(keys, part.from, part.to, depth + 1)
    }
    return new Branch(this.#epoch, depth, sample, children, to - from)
  }
}

/** A frozen set: what one session reconciles, however much is inserted meanwhile. */
export class RangeTreeView {
  readonly #hasher: Hasher
  readonly #pages: LeafPages
  readonly #root: TreeNode | undefined

  /** Made by RangeTree only: a view of nodes that may still change is good for one question at most. */
  constructor(hasher: Hasher, pages: LeafPages, root: TreeNode | undefined) {
    this.#hasher = hasher
    this.#pages = pages
    this.#root = root
  }

  get count(): number {
    return this.#root?.count ?? 0
  }

  /** 48 bytes. */
  root(): Uint8Array {
    if (this.#root === undefined) return rangeLeafDigest(this.#hasher, new Uint8Array(0))
    return this.#pages.digestOf(this.#root)
  }

  has(key: Uint8Array): boolean {
    const leaf = leafFor(this.#root, key)
    return leaf !== undefined && contains(this.#pages.keysOf(leaf), leaf.count, key)
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
        if (child !== undefined) children.push({ digit, count: child.count, digest: this.#pages.digestOf(child) })
      }
      return { prefix: prefixOf(node), children }
    }
    const keys = this.#pages.keysOf(node)
    const first = keyAt(keys, from)
    const depth = sharedDigits(first, keyAt(keys, to - 1), RANGE_KEY_DIGITS)
    const children = partition(keys, from, to, depth).map((part) => ({
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
      const keys = this.#pages.keysOf(leaf)
      const part = leaf === place.node ? packedSlice(keys, place.from, place.to) : packedSlice(keys, 0, leaf.count)
      packed.set(part, offset)
      offset += part.length
    }
    return packed
  }

  /** The greatest key, the caller's copy. */
  last(): Uint8Array | undefined {
    let node = this.#root
    while (node instanceof Branch) node = node.children.findLast((child) => child !== undefined)
    return node === undefined ? undefined : keyAt(this.#pages.keysOf(node), node.count - 1).slice()
  }

  /** Packed keys of the whole set, ascending, a leaf at a time. Not to be changed. */
  *leaves(): Generator<Uint8Array> {
    if (this.#root === undefined) return
    for (const leaf of leavesOf(this.#root)) yield packedSlice(this.#pages.keysOf(leaf), 0, leaf.count)
  }

  /** At most `limit` keys in ascending order, those greater than `after` (all, when undefined). The caller's copies. */
  keysFrom(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    return this.keysUnder('', after, limit)
  }

  /** As `keysFrom`, among the keys that begin with `prefix`. */
  keysUnder(prefix: Hex, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const keys: Uint8Array[] = []
    const place = this.#locate(prefix)
    if (place !== undefined) this.#pages.collect(place, after, limit, keys)
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
    // The way down has compared every digit of the leaf's own prefix.
    if (prefix.length <= node.digits) return { node, from: 0, to: node.count }
    const keys = this.#pages.keysOf(node)
    const from = lowerBound(keys, node.count, low)
    const to = upperBound(keys, node.count, paddedKey(prefix, 'f'))
    return from < to ? { node, from, to } : undefined
  }

  #digestOfPlace({ node, from, to }: Place): Uint8Array {
    if (from === 0 && to === node.count) return this.#pages.digestOf(node)
    assert(node instanceof Leaf, 'only a leaf is cut')
    return rangeLeafDigest(this.#hasher, packedSlice(this.#pages.keysOf(node), from, to))
  }
}
