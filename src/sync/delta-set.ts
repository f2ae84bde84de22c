/**
 * The set of deltas of one replica, kept twice: as a range tree, which is the truth, and as a sketch, which makes
 * finding a few differences cheap. One insert goes into both, so they always describe the same set, and so do the two
 * halves of a snapshot. A space that is served to nobody has no use for a sketch and goes without.
 *
 * It holds keys, not deltas, and does not delete.
 */
import { assert } from '../base/assert.ts'
import type { Hasher } from '../ports/crypto.ts'
import { RangeTree, type RangeTreeView } from './range-tree.ts'
import { Sketch, type SketchView } from './sketch.ts'

/** A range key is 6 bytes of time, then the id: its first 8 bytes are the symbol of the sketch. */
const ID_OFFSET = 6

/** The set as it was at one moment, for ever. */
export interface SetSnapshot {
  readonly tree: RangeTreeView
  readonly sketch: SketchView | undefined
}

export interface DeltaSetOptions {
  /** What was read back from disk; an empty tree when omitted. The set owns it. */
  readonly tree?: RangeTree
  /** The sketch of exactly that tree, null for none; an empty one when omitted. The set owns it. */
  readonly sketch?: Sketch | null
}

export class DeltaSet {
  readonly tree: RangeTree
  readonly sketch: Sketch | undefined

  constructor(hasher: Hasher, options: DeltaSetOptions = {}) {
    this.tree = options.tree ?? new RangeTree(hasher)
    this.sketch = options.sketch === null ? undefined : (options.sketch ?? new Sketch())
    assert(this.sketch === undefined || this.sketch.size === this.tree.count, 'tree and sketch hold the same set')
  }

  get count(): number {
    return this.tree.count
  }

  /** Adds a 38-byte range key, copied. False when it was there already. */
  insert(key: Uint8Array): boolean {
    if (!this.tree.insert(key)) return false
    this.sketch?.add(key, ID_OFFSET)
    return true
  }

  /** O(1). The next insert pays for it by copying what it changes. */
  snapshot(): SetSnapshot {
    return { tree: this.tree.snapshot(), sketch: this.sketch?.snapshot() }
  }
}
