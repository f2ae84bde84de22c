/** What the fake engine tells of replication: one session that repaired something, and the peer it was with. */
import type { SyncPeer } from '../../src/node/api.ts'

export const FAKE_SESSION = {
  result: 'repaired',
  method: 'sketch',
  received: 3,
  sent: 4,
  bytes: 4_096,
  metadataBytes: 480,
  compareBytes: 460,
  roundTrips: 2,
  tookMs: 12,
  detail: null
} as const

/** Compared two seconds ago, equal nine seconds ago, and one delta behind. */
export function fakeSyncPeer(peer: string, space: string, nowMs: number): SyncPeer {
  return {
    peer,
    space,
    lastSessionMs: nowMs - 2_000,
    lastResult: 'repaired',
    received: 3,
    sent: 4,
    heldThrough: '2',
    failures: 0,
    session: { ...FAKE_SESSION, atMs: nowMs - 2_000, startedHere: true },
    ownHead: { epoch: '00000000000000e0', seq: 2 },
    missingHere: 0,
    missingThere: 1,
    behind: 1,
    lastEqualMs: nowMs - 9_000,
    stuck: false
  }
}
