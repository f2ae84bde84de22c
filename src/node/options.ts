/**
 * The engine's knobs. Each states meaning, unit, default with its reason, and what both extremes cost. The daemon's
 * configuration fills them; the names are the same.
 */
import type { OutboxOptions } from '../sync/outbox.ts'
import type { AuthorId, SpaceId } from '../memory/ids.ts'

export interface SpaceOptions {
  readonly id: SpaceId
  readonly name: string
  /** false: no topic, no sessions; it never leaves the daemon. */
  readonly shared: boolean
  readonly isDefault: boolean
  readonly creator: AuthorId
  readonly policy: 'open' | 'private'
}

export interface NodeOptions {
  readonly version: string
  readonly name: string | null
  readonly home: string
  readonly spaces: readonly SpaceOptions[]
  /**
   * Why the database had to be salvaged before it could be opened; empty or absent when it is sound. With any reason all
   * derived tables are rebuilt from the surviving deltas before anything else, and a new epoch begins.
   */
  readonly salvaged?: readonly string[]
  readonly sync: OutboxOptions & {
    /** Milliseconds between anti-entropy sessions, ± 20 %. Less: sooner whole; more: fewer idle bytes. Default 2,000. */
    readonly reconcileIntervalMs: number
    /** While sessions find nothing, the interval doubles up to this. Default 60,000. */
    readonly reconcileIntervalMsMax: number
    /** Peers that must hold a memory before it counts as synced. Default 1. */
    readonly replicas: number
    /** false: nothing is published and no topic is followed; reconciliation carries everything. For diagnosis and tests. */
    readonly gossip: boolean
    /** false: no session is opened and none is answered; what gossip loses stays lost. For diagnosis and tests. */
    readonly reconcile: boolean
    /**
     * Which way deltas may move in the sessions that this daemon opens; those it answers are held to the same, seen from
     * the other side. Default both. pull, push: one half only, to prove that either is enough for all to become equal.
     * For diagnosis and tests; it must be the same on all daemons.
     */
    readonly sessions?: 'both' | 'pull' | 'push'
  }
  readonly store: {
    /** fsync: acknowledged means on disk. relaxed: acknowledged means handed to the system; power loss may take it. */
    readonly durability: 'fsync' | 'relaxed'
    /**
     * Milliseconds a group of writes waits for company before it is written, 0 to 2. Default 0: what arrives while one
     * group is being written makes the next, so waiting only delays a lone writer.
     */
    readonly groupCommitWindowMs: number
  }
  /** How the range trees are kept. Absent, and each that is absent: as LIMITS says. Smaller values are for tests. */
  readonly tree?: {
    /** Keys of one space whose bytes stay in memory. */
    readonly residentKeysMax?: number
    readonly checkpointDeltasMax?: number
    readonly checkpointMsMax?: number
    readonly checkpointBatchBytesMax?: number
  }
  readonly recall: {
    /** Hits of a search that names no limit. Default 10. */
    readonly limit: number
  }
  readonly promotion: {
    /** 0 to 1: importance at which a working memory is promoted to a shared one. Default 0.7. */
    readonly threshold: number
    /** Distinct sessions that must recall a working memory until it is promoted. Default 2; 0: recalling promotes nothing. */
    readonly sessions: number
  }
  readonly consolidation: {
    /** Milliseconds between two consolidations of all spaces. Default 0: only when somebody asks. */
    readonly intervalMs: number
  }
  readonly ballot: {
    /** Who may vote, by raw key. Empty: every tally is unverified. Must be the same list on every daemon. */
    readonly voters: readonly AuthorId[]
  }
  readonly trust: {
    /**
     * What is thought of an author nobody has an opinion of. `known` (default): whoever was let in is heard. `unknown`:
     * not recalled until somebody says otherwise.
     */
    readonly newcomers: 'known' | 'unknown'
  }
  readonly access: {
    /** How often counted reads are told to the others. Default 600,000: a search must never be a network write. */
    readonly intervalMs: number
  }
  readonly storm: {
    /** Writes to one record within the window that make a write storm worth an audit entry. Default 100. */
    readonly writes: number
    readonly windowMs: number
  }
}

export const NODE_DEFAULTS: Pick<
  NodeOptions,
  'sync' | 'store' | 'ballot' | 'access' | 'storm' | 'recall' | 'promotion' | 'consolidation' | 'trust'
> = {
  sync: {
    mode: 'streaming',
    importanceThreshold: 0.7,
    flushIntervalMs: 25,
    batchDeltas: 100,
    batchIntervalMs: 5_000,
    retries: 5,
    retryBackoffMs: 500,
    retryBackoffMsMax: 60_000,
    reconcileIntervalMs: 2_000,
    reconcileIntervalMsMax: 60_000,
    replicas: 1,
    gossip: true,
    reconcile: true
  },
  store: { durability: 'fsync', groupCommitWindowMs: 0 },
  recall: { limit: 10 },
  promotion: { threshold: 0.7, sessions: 2 },
  consolidation: { intervalMs: 0 },
  ballot: { voters: [] },
  trust: { newcomers: 'known' },
  access: { intervalMs: 600_000 },
  storm: { writes: 100, windowMs: 10_000 }
}
