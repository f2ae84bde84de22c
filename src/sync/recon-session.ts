/**
 * What both sides of a reconciliation session share: the events that drive a machine, the actions it asks for, the books
 * it keeps and the outcome it ends with. A machine is a plain function of its events: it reads a frozen view, never the
 * store, the clock or the network.
 */
import { LIMITS } from '../base/limits.ts'
import { decodeDeltaParts } from '../memory/delta-codec.ts'
import type { SpaceId } from '../memory/ids.ts'
import { rangeKey } from '../memory/names.ts'
import type { Hasher } from '../ports/crypto.ts'
import { rangeKeyMs } from './range-nodes.ts'

/** What the world answered to delivered records: valid and new, valid and there already, invalid. */
export interface Delivered {
  readonly accepted: number
  readonly known: number
  readonly refused: number
}

export type SessionEvent =
  /** The channel is open. Only the initiator acts on it. */
  | { readonly event: 'start' }
  | { readonly event: 'frame'; readonly bytes: Uint8Array }
  /** Answers `load`. In any order; records that are gone are left out. */
  | { readonly event: 'loaded'; readonly records: readonly Uint8Array[] }
  /** Answers `deliver`. */
  | { readonly event: 'delivered'; readonly result: Delivered }
  /** The session took too long. */
  | { readonly event: 'timeout' }
  /** The channel, or something on this side, broke: a sentence for a person. */
  | { readonly event: 'closed'; readonly reason: string }

export type SessionAction =
  | { readonly action: 'send'; readonly frame: Uint8Array }
  /** Read these delta records from the store; at most LIMITS.reconLoadKeysMax. Answer with `loaded`. */
  | { readonly action: 'load'; readonly keys: readonly Uint8Array[] }
  /** Verify and ingest records received from the peer. Answer with `delivered` once they are stored. */
  | { readonly action: 'deliver'; readonly records: readonly Uint8Array[] }
  /** The last action of every session, exactly once. */
  | { readonly action: 'done'; readonly outcome: SessionOutcome }

/** What an honest peer never does. */
export type Violation =
  /** Bytes that are no frame. */
  | 'malformed'
  /** A frame that has no place at this point. */
  | 'out-of-order'
  /** Ranges, keys or records outside of what was asked for, or offered though we hold them. */
  | 'unasked'
  /** Says one thing and then another: digests that differ over equal sets, a list that is not its digest. */
  | 'contradiction'
  /** Claims that there is more and sends nothing. */
  | 'no-progress'
  /** Counts that do not add up. */
  | 'count'
  /** More metadata or more deltas than a session may move. */
  | 'budget'
  /** A record that is no delta of this space. */
  | 'record'

export interface SessionOutcome {
  /**
   * equal: the roots were equal · repaired: everything that differed was moved · partial: some of it was, or something
   * was left for later; try again soon · failed: nothing was.
   */
  readonly result: 'equal' | 'repaired' | 'partial' | 'failed'
  /** Delta records received and sent. */
  readonly received: number
  readonly sent: number
  /** Of the received: new, there already, invalid. */
  readonly accepted: number
  readonly known: number
  readonly refused: number
  /** 38-byte keys of deltas that the peer lacked at the start and was sent, confirmed or not. */
  readonly lacked: readonly Uint8Array[]
  /** The peer has confirmed, delta by delta or by equal roots, that it now holds everything our snapshot held. */
  readonly peerHoldsAll: boolean
  /** Differences left alone because they are too young to be missed, or dated too far ahead to be admitted yet. */
  readonly settling: number
  /** Deltas the peer said it has and did not send. */
  readonly withheld: number
  /** Set when the peer broke the protocol. */
  readonly violation?: Violation
  /** Why the session did not go through, when the peer did nothing provably wrong: a sentence for a person. */
  readonly detail?: string
  /** Bytes of all frames both ways, delta records excluded. */
  readonly metadataBytes: number
  /** Requests answered. */
  readonly roundTrips: number
}

/** The 38-byte range key of a delta record of this space; undefined when the bytes are no such thing. */
export type KeyOf = (record: Uint8Array, space: SpaceId) => Uint8Array | undefined

/** As told by the header, whose hashes are checked; operations and signature are judged where the delta is admitted. */
export function deltaKeyOf(hasher: Hasher): KeyOf {
  return (record, space) => {
    const delta = decodeDeltaParts(record, hasher)
    if (!delta.ok || delta.value.header.space !== space) return undefined
    return rangeKey(delta.value.header.hlc, delta.value.id)
  }
}

/**
 * Which differences to leave alone, by the time of the key in milliseconds: those in [fromMs, toMs), which gossip is most
 * likely still carrying, and those after untilMs, which would only be held, not admitted. Both come to be due by waiting.
 */
export interface SettlingWindow {
  readonly fromMs: number
  readonly toMs: number
  readonly untilMs: number
}

/** Gossip takes well under a second; a difference this young is most likely a delta in flight. */
export const SETTLING_MS = 2_000

/** Young is symmetric around now, so that an author whose clock runs ahead is not left out for as long as it does. */
export function settlingWindow(nowMs: number, settlingMs: number): SettlingWindow {
  return {
    fromMs: Math.max(0, Math.floor(nowMs - settlingMs)),
    toMs: Math.max(0, Math.floor(nowMs + settlingMs)),
    untilMs: Math.max(0, Math.floor(nowMs + LIMITS.clockLeadMsMax))
  }
}

export function isSettling(window: SettlingWindow, key: Uint8Array): boolean {
  const ms = rangeKeyMs(key)
  return (ms >= window.fromMs && ms < window.toMs) || ms > window.untilMs
}

/** The books of one session. */
export class SessionLedger {
  metadataBytes = 0
  roundTrips = 0
  received = 0
  sent = 0
  accepted = 0
  known = 0
  refused = 0
  settling = 0
  withheld = 0
  readonly lacked: Uint8Array[] = []

  /** Metadata bytes that may still be spent. */
  get metadataLeft(): number {
    return LIMITS.reconSessionMetadataBytesMax - this.metadataBytes
  }

  /** Delta records that may still be moved, either way. */
  get deltasLeft(): number {
    return LIMITS.reconSessionDeltasMax - this.received - this.sent
  }

  /** Books a frame in either direction; its delta records are not metadata. */
  frame(bytes: Uint8Array, records: readonly Uint8Array[] = []): void {
    this.metadataBytes += bytes.length
    for (const record of records) this.metadataBytes -= record.length
  }

  delivered(result: Delivered): void {
    this.accepted += result.accepted
    this.known += result.known
    this.refused += result.refused
  }

  outcome(
    result: SessionOutcome['result'],
    peerHoldsAll: boolean,
    why: { violation?: Violation; detail?: string } = {}
  ): SessionOutcome {
    const { received, sent, accepted, known, refused, settling, withheld, lacked, metadataBytes, roundTrips } = this
    const counts = { received, sent, accepted, known, refused, settling, withheld, metadataBytes, roundTrips }
    return { result, ...counts, lacked, peerHoldsAll, ...why }
  }

  /** The outcome of a session that was cut short. */
  broken(detail: string): SessionOutcome {
    return this.outcome(this.accepted + this.lacked.length > 0 ? 'partial' : 'failed', false, { detail })
  }
}
