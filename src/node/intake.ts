/**
 * Foreign bytes on their way to the one door: decode, recognise duplicates, check the signature off the event loop,
 * queue for the writer. Gossip and reconciliation share it, so that a delta is judged alike however it came; each
 * signature is checked, also of those that a later delta of their author names (docs/adr/0010).
 *
 * Gossip is judged a frame at a time and is shed when too much of it waits. A page of a session is cut into parts, and
 * the next part is decoded and its signatures are checked while the one before is on its way to the disk; sessions wait
 * for room. A delta is decoded once and has one answer in the end, and a part has one promise where its deltas had four.
 *
 * Every refusal is counted by reason. Bytes that no honest daemon sends are held against whoever handed them over.
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeDelta, decodeFrame } from '../memory/delta-codec.ts'
import type { Delta, VerifiedDelta } from '../memory/delta.ts'
import { verifyDeltasAsync } from '../memory/verify.ts'
import type { Hasher, Verifier } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network, PeerId, Verdict } from '../ports/network.ts'
import type { Input, Via } from '../sync/effect.ts'
import { Gate } from './gate.ts'
import type { Space } from './space.ts'
import type { Settled, Writer } from './writer.ts'

export interface IntakePorts {
  readonly crypto: Hasher & Verifier
  readonly writer: Writer
  readonly network: Network
  readonly metrics: Metrics
  readonly logger: Logger
}

type Judged =
  | { readonly judged: 'new'; readonly delta: VerifiedDelta }
  | { readonly judged: 'known' }
  | { readonly judged: 'invalid'; readonly reason: string; readonly detail: string }

export interface Delivery {
  readonly accepted: number
  readonly known: number
  readonly refused: number
}

/** Deltas of a page judged together: a third of a millisecond of decoding, then the loop is free for others. */
const PART_DELTAS = 64

export class Intake {
  readonly #ports: IntakePorts
  readonly #sessions = new Gate(LIMITS.sessionDeltasInFlightMax)
  /** Deltas of gossip frames whose signatures are being checked. */
  #gossiped = 0
  /** Deltas handed over by sessions and not answered for yet. */
  #delivering = 0
  /** Reason → how often, since start. */
  readonly refusals: Record<string, number> = {}

  constructor(ports: IntakePorts) {
    this.#ports = ports
  }

  /** Foreign deltas on their way in, short of the writer's queue for those that were gossiped. */
  get verifying(): number {
    return this.#gossiped + this.#delivering
  }

  /** Deltas handed over by sessions that are not on disk yet: while there are any, others should leave the loop to them. */
  get delivering(): number {
    return this.#delivering
  }

  /**
   * The verdict on one gossip frame. Valid deltas of a bad frame are kept; the frame itself is not forwarded, and the
   * network holds a rejection against whoever handed it over.
   */
  async gossip(space: Space, bytes: Uint8Array, from: PeerId): Promise<Verdict> {
    const { metrics, logger } = this.#ports
    metrics.count('chrysalis_gossip_frames_total')
    metrics.count('chrysalis_gossip_received_bytes', bytes.length)
    const frame = decodeFrame(bytes)
    if (!frame.ok) {
      this.refuse(frame.reason)
      logger.log('debug', 'a gossip frame was rejected', { from, reason: frame.reason, detail: frame.detail })
      return 'reject'
    }
    if (this.#gossiped + frame.value.length > LIMITS.verifyInFlightMax) {
      // Reconciliation will bring them when there is room again.
      metrics.count('chrysalis_gossip_shed_total', frame.value.length)
      return 'ignore'
    }
    this.#gossiped += frame.value.length
    const judged = await this.#judgeAll(space, frame.value).finally(() => {
      this.#gossiped -= frame.value.length
    })
    let invalid: (Judged & { judged: 'invalid' }) | undefined
    for (const one of judged) if (one.judged === 'invalid') invalid = one
    const inputs = inputsOf(judged, 'gossip')
    const fresh = inputs.length
    void this.#ports.writer.submitAll(space, inputs).then((settled) => {
      const error = settled.find((one) => one instanceof Error)
      if (error !== undefined) logger.log('debug', 'a gossiped delta was not taken', { error: String(error) })
    })
    metrics.count('chrysalis_gossip_duplicates_total', judged.length - fresh)
    if (invalid !== undefined) {
      logger.log('debug', 'a gossiped delta was rejected', { from, reason: invalid.reason, detail: invalid.detail })
      return 'reject'
    }
    return fresh > 0 ? 'accept' : 'ignore'
  }

  /**
   * Deltas fetched by, or pushed in, a reconciliation session. Resolves once they are on disk; rejects when they cannot be
   * stored. The arrays are only read, and not after the promise has settled.
   */
  async deliver(space: Space, records: readonly Uint8Array[], from: PeerId): Promise<Delivery> {
    const delivery = { accepted: 0, known: 0, refused: 0 }
    const parts: Promise<void>[] = []
    this.#delivering += records.length
    try {
      for (let at = 0; at < records.length; at += PART_DELTAS) {
        const part = records.slice(at, at + PART_DELTAS)
        await this.#sessions.enter(part.length)
        parts.push(this.#take(space, part, from, delivery).finally(() => this.#sessions.leave(part.length)))
      }
      // The parts that can be stored are, whatever became of one of them.
      await Promise.allSettled(parts)
      await Promise.all(parts)
    } finally {
      this.#delivering -= records.length
    }
    return delivery
  }

  async #take(
    space: Space,
    records: readonly Uint8Array[],
    from: PeerId,
    into: { accepted: number; known: number; refused: number }
  ): Promise<void> {
    const judged = await this.#judgeAll(space, records)
    for (const one of judged) {
      if (one.judged === 'known') into.known++
      if (one.judged !== 'invalid') continue
      into.refused++
      this.#ports.network.report(from, 'invalid', `delta in a session: ${one.reason}: ${one.detail}`)
    }
    for (const settled of await this.#ports.writer.submitAll(space, inputsOf(judged, 'recon'))) {
      into[this.#verdict(settled)]++
    }
  }

  /** Throws what stands in the way of more than this one delta. */
  #verdict(settled: Settled): keyof Delivery {
    if (settled instanceof ChrysalisError) {
      // A damaged row of ours stands in the way of this one delta; the others need not wait for it.
      if (settled.code !== 'corrupt') throw settled
      this.refuse('corrupt')
      return 'refused'
    }
    if (settled.refused) return 'refused'
    return settled.admitted.length > 0 || settled.held ? 'accepted' : 'known'
  }

  refuse(reason: string): void {
    this.refusals[reason] = (this.refusals[reason] ?? 0) + 1
    this.#ports.metrics.count(`chrysalis_refused_${reason.replaceAll('-', '_')}_total`)
  }

  /** In the order of the records. Everything is decoded before the first signature is checked. */
  async #judgeAll(space: Space, records: readonly Uint8Array[]): Promise<Judged[]> {
    const judged: Judged[] = []
    const fresh: Delta[] = []
    const places: number[] = []
    for (const [place, record] of records.entries()) {
      const decoded = decodeDelta(record, this.#ports.crypto)
      if (!decoded.ok) {
        judged[place] = this.#invalid(decoded.reason, decoded.detail)
        continue
      }
      const delta = decoded.value
      if (delta.header.space !== space.id) {
        judged[place] = this.#invalid('wrong-space', 'the delta belongs to another space')
      } else if (space.replica.has(delta.header.hlc, delta.id) || space.replica.holds(delta.id)) {
        judged[place] = KNOWN
      } else {
        fresh.push(delta)
        places.push(place)
      }
    }
    if (fresh.length === 0) return judged
    const verdicts = await verifyDeltasAsync(fresh, this.#ports.crypto)
    verdicts.forEach((verdict, i) => {
      judged[places[i] as number] = verdict.ok
        ? { judged: 'new', delta: verdict.value }
        : this.#invalid(verdict.reason, verdict.detail)
    })
    return judged
  }

  #invalid(reason: string, detail: string): Judged {
    this.refuse(reason)
    return { judged: 'invalid', reason, detail }
  }
}

const KNOWN: Judged = { judged: 'known' }

function inputsOf(judged: readonly Judged[], via: Via): Input[] {
  const inputs: Input[] = []
  for (const one of judged) if (one.judged === 'new') inputs.push({ input: 'delta', delta: one.delta, via, rivals: [] })
  return inputs
}
