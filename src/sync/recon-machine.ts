/**
 * What the two reconciliation machines have in common: taking events, booking frames, ending exactly once. The walk
 * and the answers are in sync/reconciler.ts.
 */
import { compareBytes } from '../base/bytes.ts'
import type { SpaceId } from '../memory/ids.ts'
import { decodeReconFrame, encodeReconFrame, type Frame } from './recon-codec.ts'
import { SessionLedger } from './recon-session.ts'
import type { KeyOf, SessionAction, SessionEvent, SessionOutcome, Violation } from './recon-session.ts'

export abstract class Machine {
  protected readonly ledger = new SessionLedger()
  readonly #keyOf: KeyOf
  #ended = false

  protected constructor(keyOf: KeyOf) {
    this.#keyOf = keyOf
  }

  /** Feeds one event. Never throws for anything a peer can send. After `done` every event is ignored. */
  handle(event: SessionEvent): SessionAction[] {
    if (this.#ended) return []
    switch (event.event) {
      case 'start':
        return this.onStart()
      case 'frame': {
        const decoded = decodeReconFrame(event.bytes)
        if (!decoded.ok) {
          this.ledger.frame(event.bytes)
          return this.violate('malformed')
        }
        const frame = decoded.value
        this.ledger.frame(event.bytes, frame.frame === 'deltas' || frame.frame === 'push' ? frame.records : [])
        return this.ledger.metadataLeft < 0 ? this.violate('budget') : this.onFrame(frame)
      }
      case 'loaded':
        return this.onLoaded(event.records)
      case 'delivered':
        this.ledger.delivered(event.result)
        return this.onDelivered(event.result.accepted, event.result.known, event.result.refused)
      case 'timeout':
        return this.end(this.ledger.broken('the session took too long'))
      case 'closed':
        return this.end(this.ledger.broken(event.reason))
    }
  }

  protected abstract onStart(): SessionAction[]
  protected abstract onFrame(frame: Frame): SessionAction[]
  protected abstract onLoaded(records: readonly Uint8Array[]): SessionAction[]
  protected abstract onDelivered(accepted: number, known: number, refused: number): SessionAction[]

  protected send(frame: Frame): SessionAction {
    const bytes = encodeReconFrame(frame)
    this.ledger.frame(bytes, frame.frame === 'deltas' || frame.frame === 'push' ? frame.records : [])
    return { action: 'send', frame: bytes }
  }

  protected end(outcome: SessionOutcome): SessionAction[] {
    this.#ended = true
    return [{ action: 'done', outcome }]
  }

  protected violate(violation: Violation): SessionAction[] {
    return this.end(this.ledger.outcome('failed', false, { violation }))
  }

  /** The space of the session. */
  protected abstract spaceId(): SpaceId

  protected keyOf(record: Uint8Array): Uint8Array | undefined {
    return this.#keyOf(record, this.spaceId())
  }

  /** The keys of received records, which must be deltas of this space in strictly ascending order. */
  protected keysOf(records: readonly Uint8Array[]): Uint8Array[] | Violation {
    const keys: Uint8Array[] = []
    for (const record of records) {
      const key = this.keyOf(record)
      if (key === undefined) return 'record'
      const last = keys[keys.length - 1]
      if (last !== undefined && compareBytes(last, key) >= 0) return 'unasked'
      keys.push(key)
    }
    return keys
  }
}
