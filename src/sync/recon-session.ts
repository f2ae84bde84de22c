/**
 * What both sides of a reconciliation session share: the events that drive a machine, the actions it asks for, the books
 * it keeps, the bounds it keeps to and the outcome it ends with. A machine is a plain function of its events: it reads a
 * frozen set, never the store, the clock or the network.
 */
import { compareBytes, concatBytes, fromHex, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { rangeKeyOfHead, readDeltaHead } from '../memory/delta-head.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import { ROOT_DIGEST_BYTES, type Refusal } from './recon-codec.ts'
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
  | { readonly event: 'frame'; readonly bytes: Bytes }
  /** Answers a `load` or `load-short`. Records that are gone are left out. */
  | { readonly event: 'loaded'; readonly token: number; readonly records: readonly Bytes[] }
  /** Answers `deliver`. */
  | { readonly event: 'delivered'; readonly token: number; readonly result: Delivered }
  /** The session took too long, or stood still for too long. */
  | { readonly event: 'timeout'; readonly because: 'long' | 'still' }
  /** The channel, or something on this side, broke: a sentence for a person. */
  | { readonly event: 'closed'; readonly reason: string }

export type SessionAction =
  | { readonly action: 'send'; readonly frame: Bytes }
  /** Read these delta records, by range key; at most LIMITS.reconLoadKeysMax. In the order of the keys. */
  | { readonly action: 'load'; readonly token: number; readonly keys: readonly Bytes[] }
  /** Read the delta records whose id begins with one of these 8 bytes; at most as many, and at most 4 for each. */
  | {
      readonly action: 'load-short'
      readonly token: number
      readonly space: SpaceId
      readonly shorts: readonly Bytes[]
    }
  /** Verify and ingest records received from the peer. Answer with `delivered` once they are stored. */
  | { readonly action: 'deliver'; readonly token: number; readonly records: readonly Bytes[] }
  /** The last action of every session, exactly once. */
  | { readonly action: 'done'; readonly outcome: SessionOutcome }

/** What an honest peer never does. */
export type Violation =
  /** Bytes that are no frame. */
  | 'malformed'
  /** A frame that has no place at this point. */
  | 'out-of-order'
  /** Ranges or digits outside of what was asked for, or too many deltas that our snapshot holds. */
  | 'unasked'
  /** Says one thing and then another: a range that differs, and then differs nowhere. */
  | 'contradiction'
  /** Claims that there is more and sends nothing. */
  | 'no-progress'
  /** Counts that do not add up. */
  | 'count'
  /** More than a session may move, or keep open. */
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
  /** Of the sent: acknowledged by the peer as new to it. */
  readonly taken: number
  /** 38-byte keys of deltas that the peer lacked at the start and was sent, confirmed or not. */
  readonly lacked: readonly Bytes[]
  /** Set when only the keys under it were compared: nothing was learnt of the others. */
  readonly prefix?: Hex
  /** The peer has confirmed, delta by delta or by equal roots, that it now holds everything our snapshot held. */
  readonly peerHoldsAll: boolean
  /** Differences left alone because they are too young to be missed, or dated too far ahead to be admitted yet. */
  readonly settling: number
  /** Deltas the peer said it has, or would send, and did not. */
  readonly withheld: number
  /** Deltas in the two snapshots, under the prefix of the session; null when the peer did not come to tell. */
  readonly peerCount: number | null
  readonly ownCount: number
  /** How the differences were found. */
  readonly method: 'none' | 'sketch' | 'tree' | 'both'
  /** A budget ended before everything was found, or before everything found was moved. */
  readonly cut: boolean
  /** The peer would not talk now. No fault of anybody. */
  readonly refusal?: Refusal
  /** Set when the peer broke the protocol. */
  readonly violation?: Violation
  /** Why the session did not go through, when the peer did nothing provably wrong: a sentence for a person. */
  readonly detail?: string
  /** Bytes of all frames both ways, delta records and their lengths excluded. */
  readonly metadataBytes: number
  /** Of these: for finding the differences. */
  readonly compareBytes: number
  /** Answers in the comparison: to the initiator those it received, to the responder those it sent. */
  readonly roundTrips: number
}

/** Reads as much of delta records as a session needs. */
export interface RecordReader {
  /** Wall milliseconds of a record of this space; undefined when the bytes are no such thing. Cheap, called for each. */
  ms(record: Bytes, space: SpaceId): number | undefined
  /** Its 38-byte range key, as its header hashes. */
  key(record: Bytes, space: SpaceId): Bytes | undefined
}

/** As told by the header. Whether the rest is sound is judged where the delta is admitted. */
export function deltaReader(hasher: Hasher): RecordReader {
  let known: { readonly space: SpaceId; readonly bytes: Bytes } | undefined
  const headOf = (record: Bytes, space: SpaceId): ReturnType<typeof readDeltaHead> => {
    if (known?.space !== space) known = { space, bytes: fromHex(space) }
    const head = readDeltaHead(record)
    return head !== undefined && compareBytes(head.space, known.bytes) === 0 ? head : undefined
  }
  return {
    ms: (record, space) => headOf(record, space)?.ms,
    key: (record, space) => {
      const head = headOf(record, space)
      return head === undefined ? undefined : rangeKeyOfHead(hasher, head)
    }
  }
}

const ROOT_TAG = utf8('chrysalis/recon/set/1\0')

/** What a HELLO shows of a 48-byte root: salted, so that the same set never shows the same bytes. */
export function rootDigest(hasher: Hasher, nonce: Bytes, root: Bytes): Bytes {
  return hasher.sha384(concatBytes(ROOT_TAG, nonce, root)).slice(0, ROOT_DIGEST_BYTES)
}

/** How much one session may do. Both sides keep to the same, so that neither finds the other immodest. */
export interface SessionBounds {
  /** Bytes of one frame. */
  readonly frameBytes: number
  /** Bytes of all frames that compare, both ways. */
  readonly compareBytes: number
  /** Ranges that differ and were not yet looked into. */
  readonly openRanges: number
  /** Pages not yet acknowledged, each way. */
  readonly windowPages: number
  /** Deltas, each way. */
  readonly deltas: number
}

/**
 * What is kept of the metadata for moving deltas: heads and acknowledgements, 28 bytes at most, of the 5,000 pages that
 * 20,000 of the largest deltas fill, both ways. The walk ends before it eats into this.
 */
const TRANSFER_RESERVE_BYTES = 294_912

export const SESSION_BOUNDS: SessionBounds = {
  frameBytes: LIMITS.reconFrameBytesMax,
  compareBytes: LIMITS.reconSessionMetadataBytesMax - TRANSFER_RESERVE_BYTES,
  openRanges: LIMITS.reconOpenRangesMax,
  windowPages: LIMITS.reconWindowPagesMax,
  deltas: LIMITS.reconSessionDeltasMax
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

/**
 * By the clock of whoever is to receive. Young is symmetric around now, so that an author whose clock runs ahead is not
 * left out for as long as it does.
 */
export function settlingWindow(nowMs: number, settlingMs: number): SettlingWindow {
  return {
    fromMs: Math.max(0, Math.floor(nowMs - settlingMs)),
    toMs: Math.max(0, Math.floor(nowMs + settlingMs)),
    untilMs: Math.max(0, Math.floor(nowMs + LIMITS.clockLeadMsMax))
  }
}

export function isSettling(window: SettlingWindow, key: Bytes): boolean {
  const ms = rangeKeyMs(key)
  return (ms >= window.fromMs && ms < window.toMs) || ms > window.untilMs
}

/** The books of one session. */
export class SessionLedger {
  compareBytes = 0
  transferBytes = 0
  roundTrips = 0
  received = 0
  sent = 0
  accepted = 0
  known = 0
  refused = 0
  taken = 0
  settling = 0
  withheld = 0
  peerCount: number | null = null
  ownCount = 0
  cut = false
  sketched = false
  walked = false
  prefix: Hex = ''
  readonly lacked: Bytes[] = []

  outcome(
    result: SessionOutcome['result'],
    why: { peerHoldsAll?: boolean; refusal?: Refusal; violation?: Violation; detail?: string } = {}
  ): SessionOutcome {
    const { received, sent, accepted, known, refused, taken, settling, withheld, lacked, roundTrips } = this
    const { peerCount, ownCount, cut, compareBytes } = this
    const method = this.sketched ? (this.walked ? 'both' : 'sketch') : this.walked ? 'tree' : 'none'
    const counts = { received, sent, accepted, known, refused, taken, settling, withheld, peerCount, ownCount }
    const costs = { metadataBytes: compareBytes + this.transferBytes, compareBytes, roundTrips }
    const part = this.prefix === '' ? {} : { prefix: this.prefix }
    return { result, ...part, ...counts, lacked, peerHoldsAll: false, method, cut, ...costs, ...why }
  }

  /** The outcome of a session that was cut short. */
  broken(detail: string): SessionOutcome {
    return this.outcome(this.accepted + this.lacked.length > 0 ? 'partial' : 'failed', { detail })
  }
}
