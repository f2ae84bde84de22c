/** What the vectors behind recall need: choices of the owner, and panes to the world. They are explained in vectors.ts. */
import type { Clock } from '../ports/clock.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Embedder } from '../ports/embedder.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Store } from '../ports/store.ts'
import type { VectorShelf } from '../ports/vector-index.ts'
import type { Items } from './items.ts'
import type { Records } from './records.ts'
import type { Spaces } from './spaces.ts'

export interface VectorOptions {
  /** `client`: processes of agents bring the vectors, texts' and queries' alike, through the local door. */
  readonly provider: 'ollama' | 'openai' | 'client'
  readonly model: string
  /** Components of a vector; undefined: as many as the model gives. */
  readonly dimensions: number | undefined
  /** Texts in one request. More: fewer requests; fewer: what fails is smaller. */
  readonly batch: number
  readonly timeoutMs: number
  /** How long a search waits for the vector of its query. */
  readonly queryTimeoutMs: number
  /** Whether texts of spaces that never leave the daemon may go to the embedder. */
  readonly includesPrivate: boolean
}

/** What the world lends for it. Absent: no vectors. */
export interface VectorPanes {
  readonly options: VectorOptions
  /** Absent where clients bring the vectors. */
  readonly embedder?: Embedder
  readonly shelf: VectorShelf
}

export interface VectorPorts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly crypto: Hasher
  readonly records: Records
  readonly items: Items
  readonly spaces: Spaces
  /** Whether deltas or writes are on their way to the disk: they come first. */
  readonly isBusy: () => boolean
}
