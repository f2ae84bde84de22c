/**
 * What the engine offers to the doors above it. Everything is plain JSON-able data except where noted; ids are full
 * lower-case hexadecimal. Methods reject with ChrysalisError only.
 */
import type { ComposeAdd, ComposeRevise } from '../memory/compose.ts'
import type { Claimed, MemoryView } from '../memory/memory-view.ts'
import type { BallotVerdict, Relation } from '../memory/ops.ts'
import type { PeerInfo } from '../ports/network.ts'
import type { Ranking, RecallFilters as IndexFilters } from '../recall/recall-doc.ts'
import type { Estimate } from '../sync/estimate.ts'
import type { Tally } from '../trust/ballot.ts'
import type {
  CatchUpProgress,
  FrontiersAnswer,
  FrontiersRequest,
  SyncNowAnswer,
  SyncNowRequest,
  SyncStatus,
  SyncWaitAnswer,
  SyncWaitRequest
} from './sync-api.ts'

export type { Claimed, MemoryView, PeerInfo }
export type * from './sync-api.ts'

/** local: nobody else has it · pending: handed to someone, or offered · synced: at least k peers are known to hold it. */
export type SyncState = 'local' | 'pending' | 'synced'

export interface MemoryItem extends MemoryView {
  readonly spaceName: string
  readonly syncState: SyncState
  /** Peers known to hold everything that made this record what it is. */
  readonly holders: number
  /** 48 bytes: of the delta that wrote the content now shown. */
  readonly fingerprint: string
  /** Every delta in a store was verified on the way in; true unless a stored row fails its hash now. */
  readonly verified: boolean
}

export interface AddRequest extends ComposeAdd {
  /** Name or id; the default space of the daemon when omitted. */
  readonly space?: string
  /**
   * `durable` (default): written where `space` says. `working`: kept in the private space until its importance reaches
   * `promotion.threshold`, now or by a later revise; then it is written to `space` with the working one as parent.
   */
  readonly tier?: 'working' | 'durable'
}

export interface WriteOptions {
  /** `disk` (default): this daemon's disk has it. `replicas`: also at least that many peers. */
  readonly ack?: 'disk' | { readonly replicas: number; readonly timeoutMs: number }
}

export interface WriteReceipt {
  /** The record. */
  readonly id: string
  readonly delta: string
  readonly fingerprint: string
  readonly space: string
  /** Wall milliseconds of the delta's time. */
  readonly atMs: number
  readonly syncState: SyncState
  /** The shared memory that this write promoted a working memory to. */
  readonly promoted?: string
}

/** `spaces` holds names or ids here. */
export interface RecallFilters extends IndexFilters {
  /** Only records whose stored deltas verify again now. */
  readonly verifiedOnly?: boolean
}

export type { Ranking }

export interface SearchRequest extends RecallFilters {
  readonly query: string
  readonly limit?: number
  readonly ranking?: Ranking
  readonly explain?: boolean
}

export interface SearchHit extends MemoryItem {
  readonly score: number
  /** Every factor of the score by name; only when asked for. */
  readonly why?: Readonly<Record<string, number>>
}

export interface SearchAnswer {
  readonly items: readonly SearchHit[]
  /** `partial` while the index is rebuilt after a start: an empty answer then proves nothing. */
  readonly index: { readonly state: 'complete' | 'partial'; readonly indexed: number; readonly records: number }
  /** Matches cut off by the limit. */
  readonly dropped: number
}

export interface ListRequest extends RecallFilters {
  readonly limit?: number
  /** From a previous answer. */
  readonly cursor?: string
}

export interface ListAnswer {
  readonly items: readonly MemoryItem[]
  readonly cursor: string | null
}

export interface ChangeEntry {
  /** Position in this daemon's arrival log: hand it back to go on from here. */
  readonly cursor: string
  readonly space: string
  readonly delta: string
  readonly peer: string
  readonly atMs: number
  readonly records: readonly string[]
}

export interface ChangesAnswer {
  readonly changes: readonly ChangeEntry[]
  readonly cursor: string
  readonly more: boolean
}

export interface ReviseRequest extends ComposeRevise {
  readonly id: string
  readonly space?: string
  /** Refused with `conflict` unless the record's version is this. Checked on this daemon only. */
  readonly ifVersion?: number
}

export interface HistoryEntry {
  readonly delta: string
  readonly fingerprint: string
  readonly peer: string
  readonly atMs: number
  readonly seq: number
  readonly epoch: string
  /** What it did, one short sentence per operation: `set content`, `tag deploy`. */
  readonly operations: readonly string[]
  /** Lamport time derived from the causal graph of this record's history. */
  readonly lamport: number
  /** Deltas of this history that neither precede nor follow it. */
  readonly concurrentWith: readonly string[]
}

export interface LineageNode {
  readonly id: string
  readonly content: string | null
  readonly peer: string
  readonly depth: number
  readonly relation: Relation | 'self'
  readonly direction: 'up' | 'down' | 'self'
  /** false when this daemon has no such record (yet). */
  readonly present: boolean
}

export interface VerifyReport {
  readonly checked: number
  readonly valid: number
  readonly invalid: readonly { readonly delta: string; readonly reason: string }[]
  /** Deltas whose body was pruned: signature and chain checked, body not. */
  readonly pruned: number
  /** Authors proven to have signed two deltas with one sequence number. */
  readonly equivocators: readonly string[]
}

export interface TallyAnswer extends Tally {
  readonly id: string
}

export interface SpaceInfo {
  readonly id: string
  readonly name: string
  /** A private space never leaves the daemon. */
  readonly shared: boolean
  readonly isDefault: boolean
  readonly creator: string
  readonly policy: 'open' | 'private'
  readonly deltas: number
  readonly records: number
  readonly pending: number
  readonly authors: number
  /** Root of the Merkle range tree over all admitted deltas: equal roots, equal sets. */
  readonly root: string
  readonly mode: 'streaming' | 'batched' | 'periodic'
}

export interface DigestAnswer {
  readonly space: string
  readonly name: string
  readonly deltas: number
  readonly records: number
  /** The convergence root. */
  readonly root: string
  /** SHA-384 over the canonical bytes of every record in id order: equal states, whatever the sets. */
  readonly state: string
}

export interface NodeStatus {
  readonly version: string
  readonly peer: string
  readonly name: string | null
  readonly home: string
  readonly uptimeMs: number
  readonly startedAtMs: number
  readonly epoch: string
  readonly state: 'ready' | 'starting' | 'read-only'
  /** Why not ready: one sentence each. */
  readonly reasons: readonly string[]
  readonly addresses: readonly string[]
  readonly peers: { readonly connected: number; readonly known: number }
  readonly spaces: readonly SpaceInfo[]
  readonly index: SearchAnswer['index']
  /** Of the disk with the home; null when nobody knows. Below the floor nothing is written. */
  readonly disk: { readonly freeBytes: number; readonly floorBytes: number; readonly ballastBytes: number } | null
  readonly durability: 'fsync' | 'memory'
  readonly queues: Readonly<Record<string, number>>
  readonly refusals: Readonly<Record<string, number>>
  readonly memory: { readonly rssBytes: number; readonly heapBytes: number }
}

export interface HealthAnswer {
  readonly live: boolean
  readonly ready: boolean
  readonly reasons: readonly string[]
}

export interface StatsAnswer {
  readonly deltas: number
  readonly records: number
  readonly authors: number
  readonly uniqueContexts: number
  readonly tags: number
  readonly byKind: Readonly<Record<string, number>>
  readonly byAuthor: Readonly<Record<string, number>>
  /** Shannon entropy of records over authors, 0 to 1. */
  readonly diversity: number
  readonly growthLastDay: number
  readonly writeStorms: readonly WriteStorm[]
  readonly counters: Readonly<Record<string, number>>
}

export interface WriteStorm {
  readonly record: string
  readonly space: string
  readonly writes: number
  readonly authors: readonly string[]
  readonly version: number
  readonly startedAtMs: number
  readonly endedAtMs: number
}

export interface EstimateRequest {
  readonly nodes: number
  readonly fanout?: number
  readonly linkMs?: number
  readonly loss?: number
  readonly droppers?: number
}

export type EstimateAnswer = Estimate

export type NodeEventBody =
  | { readonly type: 'memory'; readonly change: ChangeEntry }
  | { readonly type: 'peer'; readonly peer: string; readonly what: 'connected' | 'disconnected' | 'banned' }
  | {
      readonly type: 'sync'
      readonly peer: string
      readonly space: string
      readonly result: string
      readonly received: number
      readonly sent: number
    }
  | { readonly type: 'node'; readonly what: string; readonly detail: string }
  | ({ readonly type: 'catch-up'; readonly what: 'started' | 'progress' | 'finished' } & CatchUpProgress)

/** `cursor` is set on memory events only: the rest is live and not replayed. */
export type NodeEvent = NodeEventBody & { readonly cursor: string | null; readonly atMs: number }

export interface NodeApi {
  readonly peer: string
  status(): NodeStatus
  health(): HealthAnswer

  add(request: AddRequest, options?: WriteOptions): Promise<WriteReceipt>
  /** One delta for all items of one space: atomic. */
  addMany(requests: readonly AddRequest[], options?: WriteOptions): Promise<readonly WriteReceipt[]>
  get(ids: readonly string[], space?: string): Promise<readonly (MemoryItem | null)[]>
  /** Full record id for a unique prefix (at least 6 digits) or `key:NAME`. Rejects with not_found or ambiguous_id. */
  resolve(reference: string, space?: string): Promise<string>
  search(request: SearchRequest): Promise<SearchAnswer>
  list(request: ListRequest): Promise<ListAnswer>
  changes(request: { cursor?: string; limit?: number; spaces?: readonly string[] }): Promise<ChangesAnswer>
  revise(request: ReviseRequest, options?: WriteOptions): Promise<WriteReceipt>
  link(
    request: { from: string; to: string; relation: Relation; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt>
  retract(request: { id: string; reason: string; space?: string }, options?: WriteOptions): Promise<WriteReceipt>
  history(id: string, space?: string): Promise<readonly HistoryEntry[]>
  lineage(id: string, options?: { depth?: number; space?: string }): Promise<readonly LineageNode[]>
  verify(request: { ids?: readonly string[]; space?: string }): Promise<VerifyReport>
  stats(space?: string): Promise<StatsAnswer>

  vote(
    request: { id: string; verdict: BallotVerdict; confidence?: number; reason?: string; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt>
  tally(id: string, space?: string): Promise<TallyAnswer>

  peers(): readonly PeerInfo[]
  connect(address: string): Promise<string>
  disconnect(peer: string): Promise<void>

  syncStatus(): Promise<SyncStatus>
  syncNow(request: SyncNowRequest): Promise<SyncNowAnswer>
  /** Resolves once enough peers, or the named ones, hold what was asked for. Rejects with `timeout`. */
  syncWait(request: SyncWaitRequest): Promise<SyncWaitAnswer>
  /** Who is known to have written how much, author by author. */
  syncFrontiers(request: FrontiersRequest): Promise<FrontiersAnswer>

  spaces(): readonly SpaceInfo[]
  digest(space?: string): Promise<DigestAnswer>
  /** Ids of admitted deltas in (time, id) order. */
  deltaIds(request: {
    space?: string
    cursor?: string
    limit?: number
  }): Promise<{ ids: readonly string[]; cursor: string | null }>
  estimate(request: EstimateRequest): EstimateAnswer

  onEvent(listener: (event: NodeEvent) => void): () => void
}
