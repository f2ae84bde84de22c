/** What the engine asks of, and tells to, whoever composed it. */
import type { Epoch, SpaceId } from '../memory/ids.ts'
import type { Replica } from '../sync/replica.ts'

/** What the store was found to hold, before anything is signed. */
export interface Progress {
  readonly deltas: number
  readonly epoch: Epoch
  readonly spaces: readonly {
    readonly id: SpaceId
    readonly deltas: number
    readonly root: string
    readonly head: OwnHead | null
  }[]
}

type OwnHead = NonNullable<Replica['ownHead']>

export interface NodeHooks {
  /**
   * Asked once, when the store has been read: may this home go on writing under the epoch it was started with? false
   * draws a new one, which is told back before the first write. Default: yes.
   */
  readonly mayKeepEpoch?: (found: Progress) => Promise<boolean>
  /** The epoch and the counts as they are now: at start, and every thousand deltas. To be written down. */
  readonly checkpoint?: (progress: Progress) => Promise<void>
  /** A defect, not a fault of the world: the process should end. */
  readonly crashed?: (error: unknown) => void
  /** Sentences for `status`, as long as they hold. */
  readonly notices?: () => readonly string[]
  /** Room on the disk with the store; undefined when the system does not tell. */
  readonly disk?: () => { freeBytes: number; floorBytes: number; ballastBytes: number } | undefined
}
