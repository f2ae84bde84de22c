/**
 * What recall knows of a record: the few fields that filters and ranking read, and nothing of its content. One of these
 * stays in memory for every record of the daemon, so it is flat, and equal strings in it are shared by the index.
 *
 * It is derived from a record's state by `node` and never replicated.
 */
import type { AuthorId, RecordId, SpaceId } from '../memory/ids.ts'
import type { DocumentType, Kind, MemoryType } from '../memory/ops.ts'

export interface RecallDoc {
  readonly id: RecordId
  readonly space: SpaceId
  readonly key: string | null
  readonly documentType: DocumentType
  readonly memoryType: MemoryType | null
  readonly kind: Kind
  readonly path: string | null
  readonly tags: readonly string[]
  /** Raw key of the author who created the record. */
  readonly author: AuthorId
  /** Wall milliseconds, as every time below. */
  readonly createdAt: number
  readonly updatedAt: number
  /** 0 to 1, the effective reading (a median no single author can pin); null when nobody claimed any. */
  readonly importance: number | null
  readonly confidence: number | null
  readonly accessCount: number
  readonly pinned: boolean
  readonly validFrom: number | null
  readonly validTo: number | null
  readonly expiresAt: number | null
  readonly retracted: boolean
  /** Whether a ballot of the space's roster has validated it. */
  readonly validated: boolean
  /** Records that this one replaces. Those are hidden while this one is present and not retracted. */
  readonly supersedes: readonly RecordId[]
  /** Records this one was derived from. */
  readonly parents: readonly RecordId[]
  readonly related: readonly RecordId[]
  /** What was noticed about the content, as `imperative`; most have none. */
  readonly flags: readonly string[]
}

/**
 * Which records may be answered. Every field that is present must hold; lists mean "one of these" unless named `All`.
 * The same shape as RecallFilters of node/api.ts, with `spaces` already resolved to ids; `verifiedOnly` is not judged
 * here because it needs the store.
 */
export interface RecallFilters {
  readonly spaces?: readonly SpaceId[]
  readonly kinds?: readonly Kind[]
  readonly memoryTypes?: readonly MemoryType[]
  readonly documentTypes?: readonly DocumentType[]
  readonly tagsAll?: readonly string[]
  readonly tagsAny?: readonly string[]
  /** Peer ids or raw keys. One that is neither matches nothing. */
  readonly authors?: readonly string[]
  /** Created at or after. */
  readonly sinceMs?: number
  /** Created at or before. */
  readonly untilMs?: number
  /** 0 to 1. A record nobody rated has importance 0 here. */
  readonly minImportance?: number
  readonly validatedOnly?: boolean
  readonly pinnedOnly?: boolean
  /** The path itself and everything below it: `a/b` holds `a/b` and `a/b/c`, not `a/bc`. */
  readonly path?: string
  /** Also records past `expiresAt` or outside `validFrom` to `validTo`. */
  readonly includeExpired?: boolean
  readonly includeRetracted?: boolean
  readonly includeSuperseded?: boolean
}

/** keyword: shared words · vector: likeness of meaning, where there is an embedder · graph: neighbours of the best hits. */
export type RecallMode = 'keyword' | 'vector' | 'graph'

export type Ranking = 'fused' | 'collective' | 'jaccard'

/**
 * A place in the order of `RecallIndex.list`: just behind the record that had this time, id and space; without a space,
 * behind all records of that time and id. The last document of a page is one, and leads to the next page.
 */
export interface ListPosition {
  readonly createdAt: number
  readonly id: RecordId
  readonly space?: SpaceId
}
