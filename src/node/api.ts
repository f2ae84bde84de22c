/**
 * What the engine offers to the doors above it. Everything is plain JSON-able data except where noted; ids are full
 * lower-case hexadecimal. Methods reject with ChrysalisError only.
 */
import type { ComposeAdd, ComposeRevise } from '../memory/compose.ts'
import type { Claimed, MemoryView } from '../memory/memory-view.ts'
import type { BallotVerdict, OriginClass, Relation } from '../memory/ops.ts'
import type { PeerInfo } from '../ports/network.ts'
import type { Ranking, RecallFilters as IndexFilters, RecallMode } from '../recall/recall-doc.ts'
import type { Estimate } from '../sync/estimate.ts'
import type { Tally } from '../trust/ballot.ts'
import type { EmbedApi } from './embed-api.ts'
import type { TrustTier } from '../trust/tier.ts'
import type { TrustApi } from './trust-api.ts'
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
import type { UpkeepApi } from './upkeep-api.ts'

export type { Claimed, MemoryView, PeerInfo }
export type * from './embed-api.ts'
export type * from './sync-api.ts'
export type * from './trust-api.ts'
export type * from './upkeep-api.ts'

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
  /** How far it may be believed, and why no further: one sentence. */
  readonly trust: TrustVerdict
  /** What is odd about the content: `imperative`, `hidden-unicode`, `control-characters`. */
  readonly flags: readonly string[]
}

export interface TrustVerdict {
  readonly tier: TrustTier
  readonly because: string
}

/** What the text came from, and how it is guarded on its way in. guardNode fills in what the caller may not choose. */
export interface WriteOrigin {
  /** `self` when omitted. */
  readonly origin?: OriginClass
  /** Who is behind this daemon; from the token of the caller. */
  readonly agent?: string
  /** Writes although the text looks like it holds a password or key. */
  readonly allowSecret?: boolean
  /** Names the conversation: what was shown in it is not taken for news when it comes back. */
  readonly session?: string
}

export interface AddRequest extends ComposeAdd, WriteOrigin {
  /** Name or id; the default space of the daemon when omitted. */
  readonly space?: string
  /**
   * `durable` (default): written where `space` says. `working`: kept in the private space until its importance reaches
   * `promotion.threshold`, now or by a later revise; then it is written to `space` with the working one as parent. So it
   * is, to the default space, when `promotion.sessions` sessions have recalled it, or by `promote`.
   */
  readonly tier?: 'working' | 'durable'
  /**
   * `skip` (default): what this author has said already in the same words is not written again. `report`: the same, and
   * memories that nearly say it are named. `allow`: always written.
   */
  readonly dedupe?: 'skip' | 'report' | 'allow'
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
  /** false when nothing new came to be: the memory was there already, or an existing one was changed. */
  readonly created: boolean
  /** The memory that says the same; then nothing was written. */
  readonly duplicateOf?: string
  /** Nearly the same, best first; with `dedupe: "report"` only. */
  readonly similar?: readonly SimilarMemory[]
  /** What is odd about it: those of the content, and `recall_echo`. */
  readonly flags: readonly string[]
  /** The shared memory that this write promoted a working memory to. */
  readonly promoted?: string
}

export interface GetOptions {
  /** Wall milliseconds: the record as it was then; null when it did not exist yet. */
  readonly asOfMs?: number
}

export interface SimilarMemory {
  readonly id: string
  /** 0 to 1. */
  readonly score: number
  readonly content: string
}

/** `spaces` holds names or ids here. */
export interface RecallFilters extends IndexFilters {
  /** Only records whose stored deltas verify again now. */
  readonly verifiedOnly?: boolean
}

export type { Ranking, RecallMode }

/** The least tier that is shown; `any` shows all but what a blocked author had a hand in. */
export type MinTrust = TrustTier | 'any'

export interface SearchRequest extends RecallFilters {
  readonly query: string
  readonly limit?: number
  readonly ranking?: Ranking
  readonly explain?: boolean
  /** Where candidates come from; all sources by default. Names said outright are always looked up. */
  readonly modes?: readonly RecallMode[]
  /** 0 to 1: how much relevance counts against sameness when hits are picked. Default 0.7; 1 picks by score alone. */
  readonly mmr?: number
  /** Wall milliseconds: what was true then, as far as this daemon knows by now. */
  readonly asOfMs?: number
  /** The answer holds at most that many estimated tokens (base/tokens.ts), but always one hit if there is any. */
  readonly budgetTokens?: number
  /** Hits below this tier are left out and counted in `hidden`. Default `known`. */
  readonly minTrust?: MinTrust
  /** Who asks, as one sitting: what is shown to two of them may be promoted. Set by the door, never by the caller. */
  readonly session?: string
}

export interface SearchHit extends MemoryItem {
  readonly score: number
  /** Every factor of the score by name; only when asked for. */
  readonly why?: Readonly<Record<string, number>>
}

export interface SearchAnswer {
  readonly items: readonly SearchHit[]
  /** `partial` while the index is rebuilt after a start: an empty answer then proves nothing. */
  readonly index: IndexState
  /** Matches cut off by the limit or by the budget. */
  readonly dropped: number
  /** Matches left out because of `minTrust`, counted among the best candidates only. */
  readonly hidden: number
  /** Estimated tokens of all hits together, counted as the budget counts them. */
  readonly usedTokens: number
  /** A match was left out for the budget, or the only hit is larger than the budget. */
  readonly overflow: boolean
}

export interface IndexState {
  readonly state: 'complete' | 'partial'
  readonly indexed: number
  readonly records: number
  /**
   * off: no embedder is configured · on: every text has its vector · stale: some have none of the present model yet ·
   * unavailable: the embedder does not answer, so only words were compared.
   */
  readonly vector: 'off' | 'on' | 'stale' | 'unavailable'
}

export interface ContextRequest {
  /** What the agent is about to do; without it nothing is recalled beside what is pinned, open and new. */
  readonly goal?: string
  /** Names or ids; every space when omitted. */
  readonly spaces?: readonly string[]
  readonly path?: string
  /** Default 1,500. */
  readonly budgetTokens?: number
  /** From a previous answer: what changed since. Without it no changes are told, only where to go on from. */
  readonly cursor?: string
  /** Default `known`. */
  readonly minTrust?: MinTrust
  readonly session?: string
}

export interface ContextAnswer {
  readonly pinned: readonly SearchHit[]
  /** Tasks and decisions that are neither expired, superseded nor retracted, newest first. */
  readonly open: readonly SearchHit[]
  /** Records that changed since the cursor, newest first, each once. */
  readonly changes: readonly SearchHit[]
  readonly relevant: readonly SearchHit[]
  /** All of it as fenced data, one line of provenance each. */
  readonly text: string
  readonly usedTokens: number
  /** Something was left out for the budget. */
  readonly overflow: boolean
  /** Hand it back to be told what changes from here on. */
  readonly cursor: string
  readonly index: IndexState
}

export interface ListRequest extends RecallFilters {
  readonly limit?: number
  /** Default `any`. */
  readonly minTrust?: MinTrust
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

export interface ReviseRequest extends ComposeRevise, WriteOrigin {
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
  readonly index: IndexState
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

export interface NodeApi extends UpkeepApi, TrustApi, EmbedApi {
  readonly peer: string
  status(): NodeStatus
  health(): HealthAnswer

  add(request: AddRequest, options?: WriteOptions): Promise<WriteReceipt>
  /** One delta for all items of one space: atomic. */
  addMany(requests: readonly AddRequest[], options?: WriteOptions): Promise<readonly WriteReceipt[]>
  get(ids: readonly string[], space?: string, options?: GetOptions): Promise<readonly (MemoryItem | null)[]>
  /** Full record id for a unique prefix (at least 6 digits) or `key:NAME`. Rejects with not_found or ambiguous_id. */
  resolve(reference: string, space?: string): Promise<string>
  search(request: SearchRequest): Promise<SearchAnswer>
  /** What an agent should know before it begins, within a budget. */
  context(request: ContextRequest): Promise<ContextAnswer>
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
