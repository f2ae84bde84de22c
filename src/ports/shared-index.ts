/**
 * The read index that other processes of this machine search without asking the daemon. The daemon alone writes it, one
 * index for each space, and what it holds is derived: whatever is lost or damaged is made anew from the store.
 *
 * A record is known by its id. Its `stamp` says which state of it was handed over, so that after a restart only what
 * differs is handed over again. Trust and supersession change without the record, so they are marks of their own. Kinds
 * and tiers travel as small numbers beside their names: what they mean is no business of the index.
 *
 * Ownership: nothing handed in is kept. Errors: ChrysalisError; after one from `write` the index must be opened again.
 */

/** Everything a hit shows. Times are wall milliseconds, ids lower-case hexadecimal. */
export interface SharedMemory {
  readonly id: string
  readonly key: string | null
  readonly kind: string
  readonly memoryType: string | null
  readonly content: string
  readonly path: string | null
  readonly tags: readonly string[]
  /** Peer ids of the creator, and of who wrote the content now shown. */
  readonly peer: string
  readonly contentPeer: string
  readonly source: string | null
  /** 0 to 1, the effective readings; null when nobody claimed any. */
  readonly importance: number | null
  readonly confidence: number | null
  readonly pinned: boolean
  readonly validated: boolean
  readonly createdAt: number
  readonly updatedAt: number
  readonly validFrom: number | null
  readonly validTo: number | null
  readonly expiresAt: number | null
  readonly version: number
  readonly parents: readonly string[]
  readonly supersedes: readonly string[]
  /** What is odd about the content, as `imperative`. */
  readonly flags: readonly string[]
}

/** What others decide of a record. */
export interface SharedMarks {
  /** 0 to 255; greater is more. */
  readonly tier: number
  /** Replaced by another: not found any more, until the mark is taken away. */
  readonly superseded: boolean
}

export interface SharedState extends SharedMarks {
  readonly id: string
  /** Differs whenever the state of the record does. */
  readonly stamp: number
}

export interface SharedEntry extends SharedState {
  /** 0 to 255. */
  readonly kind: number
  readonly memory: SharedMemory
}

export interface SharedChange {
  readonly puts: readonly SharedEntry[]
  readonly removes: readonly string[]
  /** New marks of records that are there; others are passed over. */
  readonly marks: readonly (SharedMarks & { readonly id: string })[]
  /** The index now holds all there is. */
  readonly complete?: boolean
}

/** The index of one space, as its only writer sees it. */
export interface SharedShelf {
  /** Grows with each write. */
  readonly generation: number
  /** Memories in it, superseded ones included. */
  readonly size: number
  readonly complete: boolean
  /** Whether what it wrote is still where it was written. Cheap: to be asked now and then. After a false it must be opened again. */
  isIntact(): boolean
  /** Those that are not there in this state. Marks that differ are no such difference; see `write`. */
  differing(states: readonly SharedState[]): readonly string[]
  /** Ids that are there, ascending, behind `after`. */
  ids(after: string | undefined, limit: number): readonly string[]
  /** All of it or nothing, visible to readers when it resolves; with the new generation. An empty change writes nothing. */
  write(change: SharedChange): Promise<number>
  close(): Promise<void>
}

export interface SharedSpace {
  readonly id: string
  readonly name: string
  readonly isDefault: boolean
}

export interface SharedIndex {
  /**
   * Opens the index of a space, or makes an empty one when there is none that can be used. `source` names the store it is
   * derived from: stamps given under another source prove nothing, and everything differs.
   */
  open(space: SharedSpace, source: string): Promise<SharedShelf>
  /** Deletes the indexes of all other spaces. */
  keepOnly(spaces: readonly string[]): Promise<void>
}

/** Terms of a text in order, repetitions included, and in which of four forms it has each: one bit of the lowest four. */
export interface SharedTokens {
  readonly terms: readonly string[]
  readonly forms: readonly number[]
}

/** A word of a query, with the bits of all forms the query has it in. */
export interface SharedWord {
  readonly term: string
  readonly forms: number
}

/** How texts become terms. Given by whoever opens an index, so that writer and reader cut alike. */
export interface SharedTerms {
  /** Differs whenever any text would be cut otherwise: an index of another version is made anew. */
  readonly version: string
  ofMemory(memory: SharedMemory): SharedTokens
  isStopWord(term: string): boolean
}
