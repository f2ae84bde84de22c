/**
 * What the engine keeps of one space while it runs: the replica, the outbox and what is known of who holds what.
 */
import type { SpaceId } from '../memory/ids.ts'
import type { Outbox } from '../sync/outbox.ts'
import type { Replica } from '../sync/replica.ts'
import type { SpaceOptions } from './options.ts'
import type { Receipts } from './receipts.ts'
import type { Unoffered } from './unoffered.ts'

export interface Space {
  readonly id: SpaceId
  readonly options: SpaceOptions
  /** Replaced as a whole when the state is read back from disk. */
  replica: Replica
  readonly outbox: Outbox
  readonly receipts: Receipts
  readonly unoffered: Unoffered
}
