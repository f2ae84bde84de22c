/**
 * The part of NodeApi about replication: how it stands with each peer, comparing now, waiting until others hold something,
 * and who is known to have written what. Plain JSON-able data, as in api.ts, which exports all of it again.
 */

export type SyncResult = 'equal' | 'repaired' | 'failed'

/** How a difference was named: not at all, by the sketch of the set, by walking the range tree, by one and then the other. */
export type SyncMethod = 'none' | 'sketch' | 'tree' | 'both'

/** What came of one session, or of several with one peer. */
export interface SyncOutcome {
  readonly result: SyncResult
  readonly method: SyncMethod
  /** Deltas received and sent. */
  readonly received: number
  readonly sent: number
  /** Bytes of all frames both ways. */
  readonly bytes: number
  /** Of these, all that are not deltas. */
  readonly metadataBytes: number
  /** Of these, what served to find the difference; the rest moved it. */
  readonly compareBytes: number
  readonly roundTrips: number
  readonly tookMs: number
  /** Why it failed or stopped early. */
  readonly detail: string | null
}

/** What one session did. */
export interface SyncSession extends SyncOutcome {
  /** Wall milliseconds at which it ended. */
  readonly atMs: number
  readonly startedHere: boolean
}

export interface SyncPeer {
  readonly peer: string
  readonly space: string
  readonly lastSessionMs: number | null
  readonly lastResult: SyncResult | null
  /** Deltas received and sent, all sessions since start. */
  readonly received: number
  readonly sent: number
  /** Arrival position up to which this peer is known to hold everything. */
  readonly heldThrough: string
  readonly failures: number
  readonly session: SyncSession | null
  /** The newest of this daemon's own deltas that the peer is known to hold; null while that is not known since start. */
  readonly ownHead: { readonly epoch: string; readonly seq: number } | null
  /** Deltas the peer had and this daemon did not, after the last session; an estimate. null before the first. */
  readonly missingHere: number | null
  /** Deltas this daemon had and the peer did not, likewise. */
  readonly missingThere: number | null
  /** Deltas that arrived here and that the peer is not known to hold. Counted to some ten thousands, then a lower bound. */
  readonly behind: number
  /** Wall milliseconds at which the peer was last known to hold everything; null when never since start. */
  readonly lastEqualMs: number | null
  /** The roots differ session after session and nothing moves. */
  readonly stuck: boolean
}

/** A large gap being filled from several peers at once. */
export interface CatchUpProgress {
  readonly space: string
  /** Deltas here now. */
  readonly have: number
  /** Deltas there will be, as far as the peers say. */
  readonly target: number
  /** Deltas a second, over the last seconds. */
  readonly perSecond: number
  /** Milliseconds until done at this rate; null while there is no rate. */
  readonly etaMs: number | null
  /** Peers that send. */
  readonly peers: number
}

export interface SyncStatus {
  readonly spaces: readonly {
    readonly space: string
    readonly name: string
    readonly local: number
    readonly pending: number
    readonly synced: number
    readonly outbox: number
    readonly root: string
    readonly catchUp: CatchUpProgress | null
  }[]
  readonly peers: readonly SyncPeer[]
}

export interface SyncNowRequest {
  readonly space?: string
  /** Dialled when it is not connected. Every connected peer of the space when omitted. */
  readonly peer?: string
  /** Again until every session ends in agreement, a catch-up included. */
  readonly wait?: boolean
  /** With `wait`: milliseconds. Rejects with `timeout`, saying how far it got. Default 30,000. */
  readonly timeoutMs?: number
}

export interface SyncNowAnswer {
  readonly sessions: readonly (SyncOutcome & { readonly peer: string; readonly space: string })[]
}

export interface SyncWaitRequest {
  /** Memories, each with all that touched it up to now. Not together with `cursor`; everything up to now without either. */
  readonly ids?: readonly string[]
  /** Position in the arrival log, as memory.changes gives it: everything up to there. */
  readonly cursor?: string
  /** Only this space; of every shared space when omitted. */
  readonly space?: string
  /** Peers that must hold it; `sync.replicas` of the configuration when neither this nor `peers` is given. */
  readonly minPeers?: number
  /** Peers that must each hold it. */
  readonly peers?: readonly string[]
  /** Rejects with `timeout` after this long, saying how far it got. Default 30,000. */
  readonly timeoutMs?: number
}

export interface SyncWaitAnswer {
  /** Everything that was asked for lies at or before this position. */
  readonly cursor: string
  /** Memories waited for; 0 when it was a position. */
  readonly memories: number
  readonly spaces: readonly {
    readonly space: string
    readonly name: string
    /** Peers that hold what was asked for of this space. */
    readonly holders: readonly string[]
  }[]
  readonly waitedMs: number
}

export interface FrontiersRequest {
  readonly space?: string
  readonly cursor?: string
  readonly limit?: number
}

/** One chain of deltas: what one author wrote under one epoch. */
export interface Frontier {
  readonly space: string
  /** The author, by peer id. */
  readonly peer: string
  readonly epoch: string
  /** The highest sequence number here. */
  readonly seq: number
  /** Numbers below it that are not here; null while they are still being counted. 0: the chain is whole. */
  readonly missing: number | null
  /** Time of the newest delta of the chain in wall milliseconds, as its author dated it; null when it cannot be read. */
  readonly lastSeenMs: number | null
  /** Proven to have signed two deltas with one number. */
  readonly equivocated: boolean
}

export interface FrontiersAnswer {
  readonly frontiers: readonly Frontier[]
  readonly cursor: string | null
}
