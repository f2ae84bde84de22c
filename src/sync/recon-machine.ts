/**
 * What the two reconciliation machines have in common: taking events, booking frames, moving deltas beside the comparison,
 * ending exactly once. What is compared, and how, is in sync/reconciler.ts.
 */
import type { Bytes } from '../base/bytes.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { SetSnapshot } from './delta-set.ts'
import { decodeReconFrame, encodeReconFrame, recordBytes, type Frame, type Refusal } from './recon-codec.ts'
import { Outgoing } from './recon-outgoing.ts'
import {
  SESSION_BOUNDS,
  SessionLedger,
  type RecordReader,
  type SessionAction,
  type SessionBounds,
  type SessionEvent,
  type SessionOutcome,
  type SettlingWindow,
  type Violation
} from './recon-session.ts'
import { Transfer } from './recon-transfer.ts'
import type { RangeWalk } from './recon-walk.ts'

/** Frames of the comparison; the others move deltas, or belong to no session. */
export type CompareFrame = Exclude<Frame, { frame: 'deltas' | 'ack' | 'outline' | 'parts' | 'fetch' | 'fetched' }>

export interface MachineOptions {
  readonly records: RecordReader
  /** Less than usual: for tests. Both sides have to agree. */
  readonly bounds?: Partial<SessionBounds>
}

export abstract class SessionMachine {
  protected readonly ledger = new SessionLedger()
  protected readonly bounds: SessionBounds
  /** The walk that found, or is finding, the differences; undefined when a sketch did. */
  protected walk: RangeWalk | undefined = undefined
  /** Deltas that a sketch says the peer has for us. */
  protected expectedOfSketch = 0
  readonly #records: RecordReader
  #transfer: Transfer | undefined = undefined
  #outgoing: Outgoing | undefined = undefined
  #compared = false
  #ended = false

  protected constructor(options: MachineOptions) {
    this.bounds = { ...SESSION_BOUNDS, ...options.bounds }
    this.#records = options.records
  }

  /** Feeds one event. Never throws for anything a peer can send. After `done` every event is passed over. */
  handle(event: SessionEvent): SessionAction[] {
    if (this.#ended) return []
    switch (event.event) {
      case 'start':
        return this.onStart()
      case 'frame':
        return this.#frame(event.bytes)
      case 'loaded':
        this.#transfer?.loaded(event.token, event.records)
        return this.proceed([])
      case 'delivered':
        return this.#go(this.#transfer?.delivered(event.token, event.result) ?? [])
      case 'timeout': {
        const what = event.because === 'long' ? 'the session took too long' : 'nothing moved for too long'
        return this.end(this.ledger.broken(what))
      }
      case 'closed':
        return this.end(this.ledger.broken(event.reason))
    }
  }

  protected abstract onStart(): SessionAction[]
  /** The frame is booked and has a place in the protocol; whether it has one here is to be judged. */
  protected abstract onCompare(frame: CompareFrame): SessionAction[]

  #frame(bytes: Bytes): SessionAction[] {
    const frame = decodeReconFrame(bytes)
    if (frame?.frame === 'deltas' || frame?.frame === 'ack') {
      this.ledger.transferBytes += bytes.length - (frame.frame === 'deltas' ? recordBytes(frame.records) : 0)
      if (this.#transfer === undefined) return this.violate('out-of-order')
      if (frame.frame === 'ack') return this.#go(this.#transfer.acknowledged(frame) ?? [])
      return this.#go(this.#transfer.received(frame))
    }
    this.ledger.compareBytes += bytes.length
    if (frame === undefined) return this.violate('malformed')
    switch (frame.frame) {
      case 'outline':
      case 'parts':
      case 'fetch':
      case 'fetched':
        return this.violate('out-of-order')
      default:
        if (this.ledger.compareBytes > this.bounds.compareBytes) return this.violate('budget')
        return this.onCompare(frame)
    }
  }

  /** Bytes that both sides together may still spend on comparing. */
  protected get room(): number {
    return this.bounds.compareBytes - this.ledger.compareBytes
  }

  protected send(frame: CompareFrame): SessionAction {
    const bytes = encodeReconFrame(frame)
    this.ledger.compareBytes += bytes.length
    return { action: 'send', frame: bytes }
  }

  /** From here on deltas may move. `window`: what the peer leaves to gossip, by its clock. */
  protected openTransfer(space: SpaceId, set: SetSnapshot, window: SettlingWindow): void {
    this.#outgoing = new Outgoing(set.tree, window)
    this.#transfer = new Transfer({
      space,
      view: set.tree,
      outgoing: this.#outgoing,
      records: this.#records,
      ledger: this.ledger,
      bounds: this.bounds
    })
  }

  /** Short ids to send; how many of them are new. */
  protected offerShorts(shorts: readonly Bytes[]): number {
    return this.#outgoing?.offerShorts(shorts) ?? 0
  }

  /** After a body was read: our part of the walk, and what it has found is handed on. */
  protected step(walk: RangeWalk): SessionAction[] {
    const actions = walk.ended ? [] : [this.send({ frame: 'step', body: walk.writeStep(this.room) })]
    this.ledger.walked = true
    for (const finding of walk.takeFindings()) this.#outgoing?.offer(finding)
    if (walk.ended) this.endOfComparison()
    return actions
  }

  /** Every difference that will be found was found. */
  protected endOfComparison(): void {
    this.#compared = true
    this.ledger.cut ||= this.walk?.cut ?? false
    this.#transfer?.endOfComparison()
  }

  /** After `actions`: whatever else can go on, up to the end of the session. */
  protected proceed(actions: SessionAction[]): SessionAction[] {
    const transfer = this.#transfer
    if (transfer === undefined) return actions
    actions.push(...transfer.pump())
    if (!this.#compared || !transfer.finished) return actions
    const expected = this.walk?.expected ?? this.expectedOfSketch
    const receivedAll = transfer.receivedAll(expected)
    const { ledger } = this
    const handedOver = transfer.handedOver(this.walk !== undefined) && !ledger.cut
    const complete = receivedAll && handedOver && ledger.settling + ledger.refused === 0
    actions.push(
      ...this.end(
        ledger.outcome(complete ? 'repaired' : 'partial', { peerHoldsAll: handedOver && ledger.prefix === '' })
      )
    )
    return actions
  }

  #go(step: SessionAction[] | Violation): SessionAction[] {
    return typeof step === 'string' ? this.violate(step) : this.proceed(step)
  }

  protected end(outcome: SessionOutcome): SessionAction[] {
    this.#ended = true
    return [{ action: 'done', outcome }]
  }

  /** One of the two would not talk now. */
  protected refused(refusal: Refusal, who: string): SessionAction[] {
    return this.end(this.ledger.outcome('failed', { refusal, detail: `${who}: ${refusal}` }))
  }

  protected violate(violation: Violation): SessionAction[] {
    return this.end(this.ledger.outcome('failed', { violation }))
  }
}
