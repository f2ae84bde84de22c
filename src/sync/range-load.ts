/**
 * A range tree from the rows of its leaves, as a restart finds them: in any order, from a disk that may have lost some,
 * kept some too many, or mixed old with new. The tree is built from the bottom up and must come out in the one shape its
 * keys have; leaves that do not fit together are refused with the reason, and nothing is guessed.
 *
 * What it proves is that these rows are some set, each key once and each leaf where its name says. Whether it is the right
 * set is for the caller to find out, who knows a root. It throws nothing.
 */
import type { Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import {
  Branch,
  digitAt,
  keyAt,
  Leaf,
  paddedKey,
  RANGE_KEY_BYTES,
  RANGE_KEY_DIGITS,
  sharedDigits,
  type TreeNode
} from './range-nodes.ts'
import { LeafPages } from './range-pages.ts'
import { RangeTree, type RangeTreeOptions } from './range-tree.ts'

export type LoadedTree =
  { readonly ok: true; readonly tree: RangeTree } | { readonly ok: false; readonly reason: string }

interface NamedLeaf {
  readonly prefix: Hex
  readonly leaf: Leaf
}

/** A refusal on its way up through the recursion that builds the tree. */
class Refusal {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

export class RangeTreeLoader {
  readonly #hasher: Hasher
  readonly #options: Omit<RangeTreeOptions, 'root'>
  readonly #pages: LeafPages
  readonly #leaves: NamedLeaf[] = []
  #refusal: Refusal | undefined = undefined
  #residentKeys = 0

  constructor(hasher: Hasher, options: Omit<RangeTreeOptions, 'root'> = {}) {
    this.#hasher = hasher
    this.#options = options
    this.#pages = new LeafPages(hasher, options.source)
  }

  /** Keys whose bytes are in memory. */
  get residentKeys(): number {
    return this.#residentKeys
  }

  /** One row. The bytes are the tree's from now on. */
  add(prefix: Hex, packed: Uint8Array): void {
    if (this.#refusal !== undefined) return
    const reason = faultOf(prefix, packed)
    if (reason !== undefined) {
      this.#refusal = new Refusal(`leaf ${prefix}: ${reason}`)
      return
    }
    const leaf = new Leaf(0, prefix.length, packed, packed.length / RANGE_KEY_BYTES)
    leaf.isStored = true
    leaf.prefix = prefix
    this.#leaves.push({ prefix, leaf })
    this.#residentKeys += leaf.count
    const most = this.#options.residentKeysMax ?? LIMITS.residentKeysMax
    if (this.#pages.canRead && this.#residentKeys > most + (most >> 1)) this.#pageOut(most)
  }

  /** The tree over all rows added, or why they are none. Ends the loader. */
  finish(): LoadedTree {
    const leaves = this.#sorted()
    const root = this.#refusal ?? (leaves.length === 0 ? undefined : build(leaves, 0, leaves.length, 0))
    if (root instanceof Refusal) return { ok: false, reason: root.reason }
    const tree = new RangeTree(this.#hasher, { ...this.#options, root })
    tree.pageOut()
    return { ok: true, tree }
  }

  /** In the order of their keys, which is not the order of their rows. */
  #sorted(): NamedLeaf[] {
    return this.#leaves.sort((a, b) => (a.prefix < b.prefix ? -1 : a.prefix > b.prefix ? 1 : 0))
  }

  #pageOut(most: number): void {
    for (const { leaf } of this.#sorted()) {
      if (this.#residentKeys <= most) return
      if (leaf.keys === undefined) continue
      this.#pages.drop(leaf)
      this.#residentKeys -= leaf.count
    }
  }
}

/** What is wrong with one row by itself. */
function faultOf(prefix: Hex, packed: Uint8Array): string | undefined {
  const count = packed.length / RANGE_KEY_BYTES
  if (prefix.length > RANGE_KEY_DIGITS) return 'its name is longer than a key'
  if (!Number.isInteger(count) || count === 0 || count > LIMITS.rangeLeafKeysMax) return 'it holds no 1 to 128 keys'
  if (!ascends(packed)) return 'its keys do not ascend'
  const least = paddedKey(prefix, '0')
  const isBelow = (key: Uint8Array): boolean => sharedDigits(least, key, prefix.length) === prefix.length
  if (!isBelow(keyAt(packed, 0)) || !isBelow(keyAt(packed, count - 1)))
    return 'it holds keys that do not begin with its name'
  return undefined
}

/** Without a view of each key: there are millions. */
function ascends(packed: Uint8Array): boolean {
  for (let at = RANGE_KEY_BYTES; at < packed.length; at += RANGE_KEY_BYTES) {
    let i = at
    while (i < at + RANGE_KEY_BYTES && packed[i] === packed[i - RANGE_KEY_BYTES]) i++
    if (i === at + RANGE_KEY_BYTES || (packed[i] as number) < (packed[i - RANGE_KEY_BYTES] as number)) return false
  }
  return true
}

/** The canonical tree over leaves [from, to), whose keys share `digits` digits at least. */
function build(leaves: readonly NamedLeaf[], from: number, to: number, digits: number): TreeNode | Refusal {
  const first = leaves[from] as NamedLeaf
  if (to - from === 1) {
    return first.prefix.length === digits
      ? first.leaf
      : new Refusal(`leaf ${first.prefix}: there is no branch above it`)
  }
  const last = leaves[to - 1] as NamedLeaf
  const depth = sharedText(first.prefix, last.prefix)
  if (depth === first.prefix.length) return new Refusal(`leaf ${first.prefix}: another lies inside it`)
  const sample = paddedKey(first.prefix, '0')
  const children = new Array<TreeNode | undefined>(16).fill(undefined)
  let count = 0
  for (let start = from; start < to;) {
    const digit = (leaves[start] as NamedLeaf).prefix.charAt(depth)
    let end = start + 1
    while (end < to && (leaves[end] as NamedLeaf).prefix.charAt(depth) === digit) end++
    const child = build(leaves, start, end, depth + 1)
    if (child instanceof Refusal) return child
    children[digitAt(paddedKey(digit, '0'), 0, 0)] = child
    count += child.count
    start = end
  }
  if (count <= LIMITS.rangeLeafKeysMax) return new Refusal(`leaf ${first.prefix}: its neighbours and it are one leaf`)
  const branch = new Branch(0, depth, sample, children, count)
  branch.isStored = true
  return branch
}

function sharedText(a: string, b: string): number {
  let at = 0
  while (at < a.length && a.charCodeAt(at) === b.charCodeAt(at)) at++
  return at
}
