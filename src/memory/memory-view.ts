/**
 * What a reader sees of a record: plain JSON, derived, never replicated. memory/view.ts makes it from the record's
 * state; node adds what only this daemon knows (syncState, spaceName).
 */
import type { AuthorId, DeltaId, RecordId, SpaceId } from './ids.ts'
import type { BallotVerdict, DocumentType, Kind, MemoryType, OriginClass } from './ops.ts'

/** Two readings of one number: the largest any author claimed, and the median over authors, which no one can pin. */
export interface Claimed {
  /** 0 to 1. */
  readonly max: number
  /** 0 to 1: median over the roster's authors, or over all known authors when there is no roster. */
  readonly effective: number
}

export interface VoteView {
  /** Peer id. */
  readonly voter: string
  readonly verdict: BallotVerdict
  /** 0 to 1. */
  readonly confidence: number
  readonly reason: string | null
  readonly atMs: number
}

/** One author's word on where what it wrote came from. */
export interface OriginView {
  /** Peer id of the author who says so. */
  readonly peer: string
  readonly class: OriginClass
  /** The agent behind that author, as its token names it; null for the owner of the daemon. */
  readonly agent: string | null
}

export interface MemoryView {
  readonly id: RecordId
  readonly space: SpaceId
  readonly key: string | null
  readonly documentType: DocumentType
  readonly memoryType: MemoryType | null
  readonly kind: Kind
  readonly content: string | null
  readonly path: string | null
  readonly pinned: boolean
  /** Sorted in byte order, as every set below. */
  readonly tags: readonly string[]
  readonly evidence: readonly string[]
  readonly related: readonly RecordId[]
  readonly parents: readonly RecordId[]
  readonly supersedes: readonly RecordId[]
  /** What authors say of where their words came from, by author, class and agent. Never taken back. */
  readonly origins: readonly OriginView[]
  /** null when no author has claimed any. */
  readonly importance: Claimed | null
  readonly confidence: Claimed | null
  readonly accessCount: number
  readonly votes: readonly VoteView[]
  readonly validFrom: number | null
  readonly validTo: number | null
  readonly expiresAt: number | null
  /** The reason given, or null when not retracted. */
  readonly retracted: string | null
  readonly expired: boolean
  /** Raw key of whoever created the record first in the total order, and the same as a peer id. */
  readonly author: AuthorId
  readonly peer: string
  readonly source: string | null
  /** The creating delta, by id; its first 32 of 48 fingerprint bytes. */
  readonly createdBy: DeltaId
  readonly createdAt: number
  readonly updatedAt: number
  /** Who wrote the content now shown, as a peer id. */
  readonly contentPeer: string
  /** The delta that wrote the content now shown. */
  readonly contentBy: DeltaId
  /** Distinct deltas that ever set the content. */
  readonly version: number
}
