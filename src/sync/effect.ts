/**
 * The two ends of the machine. Whatever happens to a replica comes in as an Input; whatever it wants done in the world
 * goes out as Effects, in the order in which they came to be. The machine itself touches nothing (after etcd-raft's
 * Ready and iroh-gossip's InEvent/OutEvent).
 */
import type { AuthorId, DeltaId, Epoch, RecordId } from '../memory/ids.ts'
import type { RejectReason, VerifiedDelta } from '../memory/delta.ts'
import type { Op } from '../memory/ops.ts'
import type { RecordState } from '../memory/record.ts'
import type { EquivocationProof } from '../trust/equivocation.ts'

export type Via = 'gossip' | 'recon'

export type Input =
  /** A local write: the machine gives it its place, its time and its signature. */
  | { readonly input: 'write'; readonly ops: readonly Op[] }
  /** A foreign delta whose bytes and signature have been checked. */
  | {
      readonly input: 'delta'
      readonly delta: VerifiedDelta
      readonly via: Via
      /** Stored deltas already known at the same (author, epoch, seq): looked up by the caller for late arrivals. */
      readonly rivals: readonly DeltaId[]
    }
  /** Time has passed: admit held deltas that are due. `rivals` as above, by the id of the held delta. */
  | { readonly input: 'tick'; readonly rivals?: ReadonlyMap<DeltaId, readonly DeltaId[]> }

export type Effect =
  /** Store the delta and its index rows, all in one batch with the records it touched. */
  | {
      readonly effect: 'admit'
      readonly delta: VerifiedDelta
      readonly records: readonly RecordId[]
      readonly own: boolean
      readonly via: Via | 'write' | 'held'
    }
  /** Store this state of a record. A later one for the same record in the same group replaces it. */
  | { readonly effect: 'record'; readonly id: RecordId; readonly state: RecordState }
  /** Keep aside: dated further ahead than any honest clock should be. */
  | { readonly effect: 'hold'; readonly delta: VerifiedDelta }
  /** No longer held: it is admitted in the same group, or let go. */
  | { readonly effect: 'release'; readonly delta: VerifiedDelta }
  /** Two deltas with one sequence number: evidence against their author. */
  | { readonly effect: 'proof'; readonly proof: EquivocationProof }
  /** Tell the others, once it is on disk. */
  | { readonly effect: 'announce'; readonly delta: VerifiedDelta; readonly own: boolean }
  | {
      readonly effect: 'refuse'
      readonly delta: DeltaId
      readonly author: AuthorId
      readonly reason: RejectReason | 'pending-full'
    }
  /** Our own signature on a delta we never wrote: this identity runs elsewhere, or this log was rolled back. */
  | { readonly effect: 'epoch'; readonly epoch: Epoch; readonly because: DeltaId }
