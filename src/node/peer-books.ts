/**
 * What is remembered of each peer in each space since the start: how the last session went and what it told about the
 * two sets. For people and for the choice of the next session; who holds what for sure is in receipts.ts.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { PeerId } from '../ports/network.ts'
import type { SyncPeer, SyncSession } from './sync-api.ts'
import type { SessionReport } from './sessions.ts'

export interface PeerBook {
  readonly peer: PeerId
  readonly space: SpaceId
  session: SyncSession | null
  received: number
  sent: number
  failures: number
  missingHere: number | null
  missingThere: number | null
  ownHead: SyncPeer['ownHead']
  lastEqualMs: number | null
  /** Sessions in a row that found a difference. */
  unequal: number
}

export class PeerBooks {
  readonly #books = new BoundedMap<string, PeerBook>(LIMITS.savedPeersMax)

  all(): PeerBook[] {
    return [...this.#books.entries()].map(([, book]) => book)
  }

  find(peer: PeerId, space: SpaceId): PeerBook | undefined {
    return this.#books.get(`${peer}/${space}`)
  }

  /** Books a session that ended. */
  note(report: SessionReport, atMs: number): PeerBook {
    const { outcome } = report
    const book = this.#book(report.peer, report.space.id)
    book.session = sessionOf(report, atMs)
    book.received += outcome.received
    book.sent += outcome.sent
    if (outcome.result === 'failed') book.failures++
    else if (report.prefix === undefined) this.#compared(book, report, atMs)
    return book
  }

  #compared(book: PeerBook, { outcome, ownHead }: SessionReport, atMs: number): void {
    const missing = missingAfter(outcome)
    book.unequal = outcome.result === 'equal' ? 0 : book.unequal + 1
    if (missing !== undefined) [book.missingHere, book.missingThere] = [missing.here, missing.there]
    if (!outcome.peerHoldsAll) return
    book.lastEqualMs = atMs
    book.ownHead = ownHead ?? book.ownHead
  }

  #book(peer: PeerId, space: SpaceId): PeerBook {
    const slot = `${peer}/${space}`
    let book = this.#books.get(slot)
    if (book === undefined) {
      const nothing = { missingHere: null, missingThere: null, ownHead: null, lastEqualMs: null }
      book = { peer, space, session: null, received: 0, sent: 0, failures: 0, unequal: 0, ...nothing }
      this.#books.set(slot, book)
    }
    return book
  }
}

/**
 * What each still lacks once a session has ended. The sizes of the sets alone cannot tell two sets apart that lack
 * different deltas, so after a partial session the smaller of the two numbers is a lower bound.
 */
export function missingAfter(outcome: SessionReport['outcome']): { here: number; there: number } | undefined {
  if (outcome.result === 'equal') return { here: 0, there: 0 }
  if (outcome.peerCount === null) return undefined
  const more = outcome.peerCount + outcome.taken - (outcome.ownCount + outcome.accepted)
  const withheld = outcome.withheld
  return { here: Math.max(withheld, more), there: outcome.peerHoldsAll ? 0 : Math.max(0, -more) }
}

function sessionOf({ outcome, role, bytes, tookMs }: SessionReport, atMs: number): SyncSession {
  const { received, sent, method, metadataBytes, compareBytes, roundTrips } = outcome
  return {
    atMs,
    startedHere: role === 'initiator',
    result: outcome.result === 'partial' ? 'repaired' : outcome.result,
    method,
    received,
    sent,
    bytes,
    metadataBytes,
    compareBytes,
    roundTrips,
    tookMs,
    detail: outcome.violation ?? outcome.detail ?? null
  }
}
