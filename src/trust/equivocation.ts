/**
 * Proofs of equivocation. An honest author signs one delta for each (space, author, epoch, seq), so two verified
 * deltas with one position and different ids prove a fault, to anyone, for good. The deltas themselves are the evidence
 * and all are kept; the proof only names them.
 *
 * A proof keeps the four least ids in byte order. Taking the least few of a union is associative, commutative and
 * idempotent, so daemons that saw the twins in any order end with one proof, and an author who signs a million twins
 * cannot make it grow.
 *
 * What follows from a proof (votes that do not count, a lower tier) is decided where votes are counted and trust is
 * given, not here.
 */
import { assert } from '../base/assert.ts'
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { DeltaHeader } from '../memory/delta.ts'
import type { AuthorId, DeltaId, Epoch, SpaceId } from '../memory/ids.ts'

/** One place in an author's log, where an honest author puts exactly one delta. */
export interface LogPosition {
  readonly space: SpaceId
  readonly author: AuthorId
  readonly epoch: Epoch
  readonly seq: number
}

export interface EquivocationProof extends LogPosition {
  /** Ids of verified deltas at this position: distinct, sorted, two to LIMITS.proofIdsMax, the least ones known. */
  readonly ids: readonly DeltaId[]
}

/**
 * The proof that follows when `delta` joins the deltas known at its position; undefined when there is nothing to prove.
 * `existing` holds the ids known at exactly that position, in any order; it may contain the delta itself. All must have
 * been verified: an unsigned claim convicts nobody.
 */
export function deriveEquivocation(
  existing: readonly DeltaId[],
  delta: { readonly id: DeltaId; readonly header: DeltaHeader }
): EquivocationProof | undefined {
  const ids = leastIds([...existing, delta.id])
  if (ids.length < 2) return undefined
  const { space, author, epoch, seq } = delta.header
  return { space, author, epoch, seq, ids }
}

/** Joins two proofs about one position. */
export function joinProofs(a: EquivocationProof, b: EquivocationProof): EquivocationProof {
  assert(
    a.space === b.space && a.author === b.author && a.epoch === b.epoch && a.seq === b.seq,
    'proofs are joined position by position'
  )
  return { ...a, ids: leastIds([...a.ids, ...b.ids]) }
}

function leastIds(ids: readonly DeltaId[]): readonly DeltaId[] {
  return [...new Set(ids)].sort(compareText).slice(0, LIMITS.proofIdsMax)
}
