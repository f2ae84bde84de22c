/**
 * What the engine offers for the care of memories: promotion, consolidation and its undoing, taking back a retraction,
 * and the report on what rots. Plain JSON-able data; ids are full lower-case hexadecimal.
 */
import type { WriteOptions, WriteReceipt } from './api.ts'

export interface PromoteRequest {
  /** Private memories of this home: working ones, or any other that the caller names here. */
  readonly ids: readonly string[]
  /** The shared space to write to, by name or id; the default space when omitted. */
  readonly space?: string
  /** Kept with the promoted memory as a piece of evidence. */
  readonly reason?: string
}

export interface Promoted {
  /** The private memory. It stays where it is, no longer a working one. */
  readonly from: string
  /** The shared memory, with the private one as parent. */
  readonly id: string
  readonly space: string
  /** false when it had been promoted before: `id` is then what it became. */
  readonly created: boolean
}

export interface PromoteAnswer {
  /** In the order of the request. */
  readonly promoted: readonly Promoted[]
}

export interface ConsolidateRequest {
  /** Every space when omitted. */
  readonly space?: string
  /** Only say what would be done. */
  readonly dryRun?: boolean
  /** Actions at most; `more` tells whether any were left for the next call. */
  readonly limit?: number
}

/**
 * coalesce: repetitions by one author, all but the first retracted · relate: memories that say the same, or nearly so,
 * linked and left as they are · expire: working memories past their time, retracted.
 */
export type ConsolidationVerb = 'coalesce' | 'relate' | 'expire'

export interface ConsolidationAction {
  /** The signed record of this action, for `undo`; it has this id also before it was written. */
  readonly id: string
  readonly space: string
  readonly action: ConsolidationVerb
  /** Of coalesce: the memory that stays. */
  readonly keeper: string | null
  /** The others the action touches, in order of id. */
  readonly ids: readonly string[]
  /** One sentence. */
  readonly detail: string
}

/**
 * versions: concurrent texts of one record · negation: one says what the other denies · values: other numbers or dates in
 * the same sentence · disputed: voted against · supersedes: each claims to replace the other.
 */
export type ContradictionKind = 'versions' | 'negation' | 'values' | 'disputed' | 'supersedes'

export interface Contradiction {
  readonly kind: ContradictionKind
  readonly space: string
  readonly ids: readonly string[]
  /** One sentence. */
  readonly reason: string
}

export interface ConsolidateAnswer {
  readonly dryRun: boolean
  /** Memories looked at. */
  readonly records: number
  readonly actions: readonly ConsolidationAction[]
  /** For somebody to judge; nothing about them was changed. At most as many as the limit. */
  readonly contradictions: readonly Contradiction[]
  /** Repetitions that were left alone, and why. */
  readonly skipped: readonly { readonly ids: readonly string[]; readonly reason: string }[]
  /** Records of very large spaces that were not looked at. */
  readonly unseen: number
  /** There was more to do than one call may: call again. */
  readonly more: boolean
}

export interface UndoAnswer {
  /** The action, now retracted itself. */
  readonly id: string
  readonly space: string
  /** Memories whose retraction was taken back. */
  readonly restored: readonly string[]
  /** Tags taken off again. */
  readonly untagged: number
  /** Links and claims the action had added: such sets only grow, so these stay. */
  readonly kept: number
  /** Effects that somebody has changed since; they were left alone. */
  readonly overtaken: readonly string[]
}

export type RotKind =
  | 'duplicate'
  | 'near-duplicate'
  | 'contradiction'
  | 'expired'
  | 'superseded-but-cited'
  | 'untrusted'
  | 'flagged'
  | 'recall-loop'
  | 'secret'
  | 'old-working'
  | 'orphan'

export interface RotFinding {
  readonly kind: RotKind
  readonly count: number
  /** The first of them, oldest first. */
  readonly ids: readonly string[]
  /** What it means and what to do about it, one sentence each. */
  readonly meaning: string
}

export interface RotReport {
  readonly records: number
  /** Every kind in a fixed order, also those of which there are none. */
  readonly findings: readonly RotFinding[]
  /** Records of very large spaces that were not looked at. */
  readonly unseen: number
}

export interface UpkeepApi {
  /** All or none. Rejects with invalid_state for what is shared already, retracted or expired. */
  promote(request: PromoteRequest, options?: WriteOptions): Promise<PromoteAnswer>
  consolidate(request: ConsolidateRequest): Promise<ConsolidateAnswer>
  /** Reverses one action of consolidate. Rejects with invalid_state for any other record. */
  undo(request: { id: string; space?: string }, options?: WriteOptions): Promise<UndoAnswer>
  /** Takes back a retraction. Rejects with invalid_state when there is none. */
  restore(request: { id: string; space?: string }, options?: WriteOptions): Promise<WriteReceipt>
  /** What has gone stale, double or doubtful. Changes nothing. `limit`: ids shown of each kind. */
  rot(request: { space?: string; limit?: number }): Promise<RotReport>
}
