/**
 * The bytes of leaves: in memory, or read back from disk when they are needed. A set of many millions of keys keeps the
 * shape, the counts and the digests of its tree in memory, and of the packed keys only the newest; a leaf read back must
 * have the digest it had, so a row that changed is never taken for the set.
 *
 * Reading is synchronous, because a walk or an insert needs the bytes in the middle of what it does. A row that is missing
 * or wrong ends that act with `corrupt`, before it has changed anything; the caller then rebuilds the tree from other rows.
 */
import { equalBytes, toHex, type Hex } from '../base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import {
  digitAt,
  keyAt,
  Leaf,
  RANGE_DIGEST_BYTES,
  RANGE_KEY_BYTES,
  sharedDigits,
  upperBound,
  type Place,
  type TreeNode
} from './range-nodes.ts'

const LEAF_TAG = 0
const BRANCH_TAG = 1

/** Where the packed keys of a leaf are kept. May throw ChrysalisError `corrupt` or `unavailable`. */
export interface LeafSource {
  /** The row of the leaf that this prefix names, the caller's copy; undefined when there is none. */
  read(prefix: Hex): Uint8Array | undefined
  /** Told when a row was missing or wrong, before the error is thrown. Must not throw. */
  damaged?(error: ChrysalisError): void
}

export class LeafPages {
  readonly #hasher: Hasher
  readonly #source: LeafSource | undefined
  /** What is hashed is put together here: leaves are hashed by the ten thousand. */
  readonly #room = new Uint8Array(1 + LIMITS.rangeLeafKeysMax * RANGE_KEY_BYTES)
  /** A walk asks for the same leaf several times in a row. */
  #last: { readonly leaf: Leaf; readonly keys: Uint8Array } | undefined = undefined

  constructor(hasher: Hasher, source: LeafSource | undefined) {
    this.#hasher = hasher
    this.#source = source
  }

  get canRead(): boolean {
    return this.#source !== undefined
  }

  /** The packed keys of a leaf, `count` of them; what lies behind is unused. Not to be changed. */
  keysOf(leaf: Leaf): Uint8Array {
    if (leaf.keys !== undefined) return leaf.keys
    if (this.#last?.leaf === leaf) return this.#last.keys
    const keys = this.#read(leaf)
    this.#last = { leaf, keys }
    return keys
  }

  /** The keys stay in memory from now on: the row will soon hold something else. */
  take(leaf: Leaf): void {
    leaf.keys = this.keysOf(leaf)
  }

  /** The keys are on disk only from now on. */
  drop(leaf: Leaf): void {
    this.digestOf(leaf)
    leaf.prefix = toHex(keyAt(this.keysOf(leaf), 0)).slice(0, leaf.digits)
    leaf.keys = undefined
  }

  #read(leaf: Leaf): Uint8Array {
    const prefix = leaf.prefix ?? ''
    try {
      const keys = this.#source?.read(prefix)
      const sound =
        keys?.length === leaf.count * RANGE_KEY_BYTES &&
        leaf.digest !== undefined &&
        equalBytes(this.#leafDigest(keys), leaf.digest)
      if (sound) return keys
      throw new ChrysalisError(
        'corrupt',
        `a row of the range tree ${keys === undefined ? 'is missing' : 'is not what was written'}, prefix ${prefix}`,
        {
          hint: 'Nothing is lost: the daemon builds the tree again from its other rows.',
          data: { table: 'leaf', prefix }
        }
      )
    } catch (error) {
      if (isChrysalisError(error, 'corrupt')) this.#source?.damaged?.(error)
      throw error
    }
  }

  /** 48 bytes; computed once for as long as nothing is inserted below. */
  digestOf(node: TreeNode): Uint8Array {
    if (node.digest !== undefined) return node.digest
    if (node instanceof Leaf) {
      const packed = this.keysOf(node).subarray(0, node.count * RANGE_KEY_BYTES)
      node.digest = this.#leafDigest(packed)
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
      bytes.set(this.digestOf(child), offset + 1)
      offset += 1 + RANGE_DIGEST_BYTES
    }
    node.digest = this.#hasher.sha384(bytes.subarray(0, offset))
    return node.digest
  }

  #leafDigest(packed: Uint8Array): Uint8Array {
    this.#room[0] = LEAF_TAG
    this.#room.set(packed, 1)
    return this.#hasher.sha384(this.#room.subarray(0, 1 + packed.length))
  }

  /** In-order walk that skips whole subtrees at or below `after`; copies at most `limit` keys in all to `out`. */
  collect(place: Place, after: Uint8Array | undefined, limit: number, out: Uint8Array[]): void {
    const { node } = place
    if (node instanceof Leaf) {
      const keys = this.keysOf(node)
      const start = after === undefined ? place.from : Math.max(place.from, upperBound(keys, node.count, after))
      for (let i = start; i < place.to && out.length < limit; i++) out.push(keyAt(keys, i).slice())
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
      this.collect({ node: child, from: 0, to: child.count }, digit === from ? bound : undefined, limit, out)
    }
  }
}

/** The digest of a range of at most 128 keys, given packed and ascending. */
export function rangeLeafDigest(hasher: Hasher, packed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + packed.length)
  bytes[0] = LEAF_TAG
  bytes.set(packed, 1)
  return hasher.sha384(bytes)
}
