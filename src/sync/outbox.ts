/**
 * The outbox: which deltas still have to be told to the others, and when. It packs them into gossip frames, lets
 * important ones go at once and the rest wait for company, and offers again with exponential backoff what nobody was
 * there to hear. After the last retry a delta is left to anti-entropy, which never gives up: the outbox is about
 * speed, not about correctness.
 *
 * Pure: the caller asks `due(nowMs)`, sends, and says with `settle` how many listened.
 */
import type { Bytes } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { DeltaId } from '../memory/ids.ts'
import type { Random } from '../ports/random.ts'

export type SyncMode = 'streaming' | 'batched' | 'periodic'

export interface OutboxOptions {
  /** streaming: soon · batched: by size or interval · periodic: never, anti-entropy alone carries it. */
  readonly mode: SyncMode
  /** 0 to 1. A delta claiming more goes at once, in the first two modes. 0: everything at once. Default 0.7. */
  readonly importanceThreshold: number
  /** streaming: milliseconds a delta waits for company, 20 to 50. More: fewer frames; less: sooner heard. */
  readonly flushIntervalMs: number
  /** batched: deltas that make a batch (the specification's 100). */
  readonly batchDeltas: number
  /** batched: milliseconds after which a smaller batch goes too. */
  readonly batchIntervalMs: number
  /** Offers after the first before a delta is left to anti-entropy. */
  readonly retries: number
  readonly retryBackoffMs: number
  readonly retryBackoffMsMax: number
}

export interface OutboxEntry {
  readonly id: DeltaId
  /** The delta as it travels. */
  readonly record: Bytes
}

interface Waiting extends OutboxEntry {
  dueMs: number
  attempts: number
}

/** CBOR around one record in a frame: five bytes of length and the frame's own head. */
const FRAME_OVERHEAD_BYTES = 16
const RECORD_OVERHEAD_BYTES = 5

export class Outbox {
  readonly #options: OutboxOptions
  readonly #random: Random
  readonly #waiting = new Map<DeltaId, Waiting>()
  /** Bytes never offered yet. */
  #bytes = 0
  /** Entries never offered yet. */
  #fresh = 0
  /** Earliest due time; recomputed when an entry has moved or left. */
  #earliestMs: number | undefined
  #earliestStale = false
  /** Deltas left to anti-entropy, ever. */
  abandoned = 0

  constructor(options: OutboxOptions, ports: { random: Random }) {
    this.#options = options
    this.#random = ports.random
  }

  get size(): number {
    return this.#waiting.size
  }

  /** `importance` is the largest claim inside the delta, 0 to 1, or null when it makes none. */
  add(entry: OutboxEntry, importance: number | null, nowMs: number): void {
    if (this.#options.mode === 'periodic' || this.#waiting.has(entry.id)) return
    if (this.#waiting.size >= LIMITS.outboxDeltasMax) {
      this.abandoned++
      return
    }
    const urgent = this.#options.importanceThreshold === 0 || (importance ?? 0) > this.#options.importanceThreshold
    const waitMs = this.#options.mode === 'streaming' ? this.#options.flushIntervalMs : this.#options.batchIntervalMs
    const dueMs = urgent ? nowMs : nowMs + waitMs
    this.#waiting.set(entry.id, { ...entry, dueMs, attempts: 0 })
    this.#bytes += entry.record.length
    this.#fresh++
    if (this.#earliestMs === undefined || dueMs < this.#earliestMs) this.#earliestMs = dueMs
  }

  /** Known to be elsewhere by another way. */
  drop(id: DeltaId): void {
    const entry = this.#waiting.get(id)
    if (entry === undefined) return
    this.#waiting.delete(id)
    if (entry.attempts === 0) {
      this.#fresh--
      this.#bytes -= entry.record.length
    }
    this.#earliestStale = true
  }

  /** When to ask `due` next; undefined when nothing waits. */
  nextDueMs(nowMs: number): number | undefined {
    if (this.#full()) return nowMs
    if (this.#earliestStale) {
      this.#earliestMs = undefined
      for (const { dueMs } of this.#waiting.values()) {
        if (this.#earliestMs === undefined || dueMs < this.#earliestMs) this.#earliestMs = dueMs
      }
      this.#earliestStale = false
    }
    return this.#earliestMs
  }

  #full(): boolean {
    if (this.#options.mode === 'batched') return this.#fresh >= this.#options.batchDeltas
    return this.#fresh > 0 && this.#bytes >= LIMITS.gossipFlushBytes
  }

  /**
   * Frames to publish now, each within the bounds of one gossip frame, oldest first. When one delta is due, every
   * other that was never offered rides along: the frame goes anyway. Entries stay in the box until settled.
   */
  due(nowMs: number): OutboxEntry[][] {
    const nextMs = this.nextDueMs(nowMs)
    if (nextMs === undefined || nextMs > nowMs) return []
    const leaving = [...this.#waiting.values()].filter((entry) => entry.dueMs <= nowMs || entry.attempts === 0)
    const frames: OutboxEntry[][] = []
    let frame: OutboxEntry[] = []
    let bytes = FRAME_OVERHEAD_BYTES
    for (const entry of leaving) {
      const size = entry.record.length + RECORD_OVERHEAD_BYTES
      if (frame.length >= LIMITS.gossipFrameDeltasMax || bytes + size > LIMITS.gossipFrameBytesMax) {
        frames.push(frame)
        frame = []
        bytes = FRAME_OVERHEAD_BYTES
      }
      frame.push(entry)
      bytes += size
      this.#markOffered(entry)
      // Not offered twice while a publish is under way.
      entry.dueMs = nowMs + this.#options.retryBackoffMsMax
    }
    this.#earliestStale = true
    if (frame.length > 0) frames.push(frame)
    return frames
  }

  /** After a publish: done when somebody listened, else offered again later, or left to anti-entropy. */
  settle(frame: readonly OutboxEntry[], recipients: number, nowMs: number): void {
    for (const { id } of frame) {
      const entry = this.#waiting.get(id)
      if (entry === undefined) continue
      if (recipients > 0) {
        this.drop(id)
        continue
      }
      if (entry.attempts > this.#options.retries) {
        this.drop(id)
        this.abandoned++
        continue
      }
      const backoffMs = Math.min(
        this.#options.retryBackoffMsMax,
        this.#options.retryBackoffMs * 2 ** (entry.attempts - 1)
      )
      entry.dueMs = nowMs + backoffMs * (0.8 + 0.4 * this.#random.unit())
      this.#earliestStale = true
    }
  }

  #markOffered(entry: Waiting): void {
    if (entry.attempts === 0) {
      this.#fresh--
      this.#bytes -= entry.record.length
    }
    entry.attempts++
  }

  /** Somebody has come: what waits for a second offer is offered now. */
  wake(nowMs: number): void {
    for (const entry of this.#waiting.values()) if (entry.attempts > 0) entry.dueMs = nowMs
    this.#earliestStale = true
  }
}
