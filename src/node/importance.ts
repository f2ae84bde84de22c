/** How urgent a delta is: the largest importance it claims for any record it touches. */
import type { Delta } from '../memory/delta.ts'
import { BASIS_POINTS } from '../memory/ops.ts'

/** 0 to 1, or null when the delta claims none. */
export function deltaImportance(delta: Delta): number | null {
  let largest: number | null = null
  for (const op of delta.ops) {
    if (op.op === 'importance' && (largest === null || op.value > largest)) largest = op.value
  }
  return largest === null ? null : largest / BASIS_POINTS
}
