/**
 * Foreign bytes on their way to the one door: decode, recognise duplicates, check the signature off the event loop,
 * queue for the writer. Gossip and reconciliation share it, so that a delta is judged alike however it came.
 *
 * Every refusal is counted by reason. Bytes that no honest daemon sends are held against whoever handed them over.
 */
import { isChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeDelta, decodeFrame } from '../memory/delta-codec.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { verifyDeltaAsync } from '../memory/verify.ts'
import type { Hasher, Verifier } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network, PeerId, Verdict } from '../ports/network.ts'
import type { Via } from '../sync/effect.ts'
import type { Space } from './space.ts'
import type { Outcome, Writer } from './writer.ts'

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

export class Intake {
  readonly #ports: IntakePorts
  #verifying = 0
  /** Reason → how often, since start. */
  readonly refusals: Record<string, number> = {}

  constructor(ports: IntakePorts) {
    this.#ports = ports
  }

  get verifying(): number {
    return this.#verifying
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
    if (this.#verifying + frame.value.length > LIMITS.verifyInFlightMax) {
      // Reconciliation will bring them when there is room again.
      metrics.count('chrysalis_gossip_shed_total', frame.value.length)
      return 'ignore'
    }
    const judged = await this.#judgeAll(space, frame.value)
    let fresh = 0
    let invalid: (Judged & { judged: 'invalid' }) | undefined
    for (const one of judged) {
      if (one.judged === 'invalid') invalid = one
      if (one.judged !== 'new') continue
      fresh++
      this.#queue(space, one.delta, 'gossip').catch((error: unknown) => {
        this.#ports.logger.log('debug', 'a gossiped delta was not taken', { error: String(error) })
      })
    }
    metrics.count('chrysalis_gossip_duplicates_total', judged.length - fresh)
    if (invalid !== undefined) {
      logger.log('debug', 'a gossiped delta was rejected', { from, reason: invalid.reason, detail: invalid.detail })
      return 'reject'
    }
    return fresh > 0 ? 'accept' : 'ignore'
  }

  /** Deltas fetched by, or pushed in, a reconciliation session. Resolves once they are on disk. */
  async deliver(space: Space, records: readonly Uint8Array[], from: PeerId): Promise<Delivery> {
    const judged = await this.#judgeAll(space, records)
    let known = 0
    let refused = 0
    const queued: Promise<Outcome>[] = []
    for (const one of judged) {
      if (one.judged === 'known') known++
      else if (one.judged === 'invalid') {
        refused++
        this.#ports.network.report(from, 'invalid', `delta in a session: ${one.reason}: ${one.detail}`)
      } else queued.push(this.#queue(space, one.delta, 'recon'))
    }
    let accepted = 0
    for (const result of await Promise.allSettled(queued)) {
      if (result.status === 'rejected') {
        // A damaged row of ours stands in the way of this one delta; the others need not wait for it.
        if (!isChrysalisError(result.reason, 'corrupt')) throw result.reason
        this.refuse('corrupt')
        refused++
      } else if (result.value.refused) refused++
      else if (result.value.admitted.length > 0 || result.value.held) accepted++
      else known++
    }
    return { accepted, known, refused }
  }

  refuse(reason: string): void {
    this.refusals[reason] = (this.refusals[reason] ?? 0) + 1
    this.#ports.metrics.count(`chrysalis_refused_${reason.replaceAll('-', '_')}_total`)
  }

  #queue(space: Space, delta: VerifiedDelta, via: Via): Promise<Outcome> {
    return this.#ports.writer.submit(space, { input: 'delta', delta, via, rivals: [] })
  }

  async #judgeAll(space: Space, records: readonly Uint8Array[]): Promise<Judged[]> {
    this.#verifying += records.length
    try {
      return await Promise.all(records.map((record) => this.#judge(space, record)))
    } finally {
      this.#verifying -= records.length
    }
  }

  async #judge(space: Space, record: Uint8Array): Promise<Judged> {
    const decoded = decodeDelta(record, this.#ports.crypto)
    if (!decoded.ok) return this.#invalid(decoded.reason, decoded.detail)
    const delta = decoded.value
    if (delta.header.space !== space.id) return this.#invalid('wrong-space', 'the delta belongs to another space')
    if (space.replica.has(delta.header.hlc, delta.id) || space.replica.holds(delta.id)) return { judged: 'known' }
    const verified = await verifyDeltaAsync(delta, this.#ports.crypto)
    if (!verified.ok) return this.#invalid(verified.reason, verified.detail)
    return { judged: 'new', delta: verified.value }
  }

  #invalid(reason: string, detail: string): Judged {
    this.refuse(reason)
    return { judged: 'invalid', reason, detail }
  }
}
