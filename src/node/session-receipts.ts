/**
 * From a session to the receipts: what it proved about the peer is written down. A session that ended in agreement says
 * that the peer holds all that had arrived here when it began; one that found the peer lacking what it was said to hold
 * says that the peer was reset, or lost something, and that nothing known of it counts any more.
 */
import { bytesToUint } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerId } from '../ports/network.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import { soundRows } from './deltas.ts'
import { rangeRowKey } from './rows.ts'
import type { SessionReport } from './sessions.ts'
import type { Space } from './space.ts'

/** Resolves whether what is known of the peer changed. Never rejects: a receipt lost is earned again. */
export async function noteReceipts(report: SessionReport, ports: { store: Store; logger: Logger }): Promise<boolean> {
  const { space, peer, outcome, through, prefix } = report
  const writes: StoreWrite[] = []
  try {
    if (await contradicts(space, peer, outcome.lacked, ports.store)) {
      const lowered = space.receipts.lower(peer, 1)
      if (lowered !== undefined) writes.push(lowered)
    }
    // Agreement over a part of the set says nothing about the rest of it.
    if (outcome.peerHoldsAll && prefix === undefined) {
      const raised = space.receipts.raise(peer, through)
      if (raised !== undefined) writes.push(raised)
      space.unoffered.offeredThrough(through)
    }
    if (writes.length > 0) await ports.store.batch(writes, { durable: false })
  } catch (error) {
    ports.logger.log('debug', 'a receipt could not be stored', { error: messageOf(error) })
  }
  return writes.length > 0
}

/** Whether any of the deltas the peer lacked had arrived here before the position through which it should hold all. */
async function contradicts(space: Space, peer: PeerId, lacked: readonly Uint8Array[], store: Store): Promise<boolean> {
  const mark = space.receipts.through(peer)
  for (let at = 0; mark > 0 && at < lacked.length; at += LIMITS.reconLoadKeysMax) {
    const keys = lacked.slice(at, at + LIMITS.reconLoadKeysMax).map((key) => rangeRowKey(space.id, key))
    const rows = await soundRows(store, 'range', keys)
    if (rows.some((row) => row !== undefined && Number(bytesToUint(row)) <= mark)) return true
  }
  return false
}
