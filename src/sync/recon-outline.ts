/**
 * The outline of a set: how many keys there are under each of a few prefixes, so that somebody who lacks much of it can ask
 * several peers for parts of it at once. Parts follow from the set alone, so two peers that hold the same cut it alike.
 *
 * The largest part is split again and again until none exceeds what was asked, or there would be too many of them.
 */
import { compareText, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { MinHeap } from '../base/min-heap.ts'
import type { RangeTreeView } from './range-tree.ts'
import type { Part } from './recon-codec.ts'

/**
 * Parts of all keys under `prefix`, ascending and disjoint, none of them empty; at most LIMITS.reconPartsMax, of at most
 * `partDeltasMax` keys each where so many parts allow for it.
 */
export function outlineOf(view: RangeTreeView, prefix: Hex, partDeltasMax: number): Part[] {
  const whole = view.countAt(prefix)
  if (whole === 0) return []
  const done: Part[] = []
  const large = new MinHeap<Part>((a, b) => b.count - a.count || compareText(a.prefix, b.prefix))
  large.push({ prefix, count: whole })
  for (let part = large.pop(); part !== undefined; part = large.pop()) {
    const branch = part.count > partDeltasMax ? view.branch(part.prefix) : undefined
    const parts = done.length + large.size + (branch?.children.length ?? 0)
    if (branch === undefined || parts > LIMITS.reconPartsMax) {
      done.push(part)
      continue
    }
    for (const { digit, count } of branch.children) large.push({ prefix: branch.prefix + digit.toString(16), count })
  }
  return done.sort((a, b) => compareText(a.prefix, b.prefix))
}
