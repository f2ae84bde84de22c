/**
 * What has changed in a range tree since its leaves were last stored. Rows hold whole leaves, named by the prefix that
 * leads to them: one digit more than all keys below their branch share. A leaf keeps its name until it is split, and is
 * never put together again, because the set only grows; so a row is written anew when its leaf took a key, and deleted once.
 *
 * Nothing here writes: who does says `confirm` when the rows are stored, and nothing when they may not be.
 */
import { toHex, type Hex } from '../base/bytes.ts'
import { Branch, keyAt, packedSlice, type TreeNode } from './range-nodes.ts'
import type { RangeTreeView } from './range-tree.ts'

export interface StoredLeaf {
  readonly prefix: Hex
  /** 38 bytes a key, ascending; at most 128 keys, at least one. Not to be changed. */
  readonly packed: Uint8Array
}

export interface TreeCheckpoint {
  /** The set that the rows will be. */
  readonly view: RangeTreeView
  /** Rows to write. */
  readonly leaves: readonly StoredLeaf[]
  /** Rows to delete, if they are there. */
  readonly removed: readonly Hex[]
  /** The rows are stored, all of them. */
  confirm(): void
}

/** Leaves that are not stored, in ascending order, and all nodes that will be once these are. */
export function changedLeaves(root: TreeNode | undefined): { leaves: StoredLeaf[]; stored: TreeNode[] } {
  const leaves: StoredLeaf[] = []
  const stored: TreeNode[] = []
  if (root !== undefined) visit(root, leaves, stored)
  return { leaves, stored }
}

function visit(node: TreeNode, leaves: StoredLeaf[], stored: TreeNode[]): void {
  if (node.isStored) return
  stored.push(node)
  if (node instanceof Branch) {
    for (const child of node.children) if (child !== undefined) visit(child, leaves, stored)
    return
  }
  // A leaf that is not stored has its keys in memory.
  const keys = node.keys ?? new Uint8Array(0)
  leaves.push({ prefix: toHex(keyAt(keys, 0)).slice(0, node.digits), packed: packedSlice(keys, 0, node.count) })
}
