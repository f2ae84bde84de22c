/**
 * The outbox: which deltas still have to be told to the others, and when. It packs them into gossip frames, lets
 * important ones go at once and the rest wait for company, and offers again with exponential backoff what nobody was
 * there to hear. After the last retry a delta is left to anti-entropy, which never gives up: the outbox is about
 * speed, not about correctness.
 *
 * Pure: the caller asks `due(nowMs)`, sends, and says with `settle` how many listened. All times are monotonic ones.
 */
import type { Bytes } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { MinHeap } from '../base/min-heap.ts'
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

interface Appointment {
  readonly entry: Waiting
  readonly dueMs: number
}

/** CBOR around one record in a frame: five bytes of length and the frame's own head. */
const FRAME_OVERHEAD_BYTES = 16
const RECORD_OVERHEAD_BYTES = 5

export class Outbox {
  readonly #options: OutboxOptions
  readonly #random: Random
  readonly #waiting = new Map<DeltaId, Waiting>()
  /** Never offered yet, oldest first, by id. All of them leave with the next frame, whichever of them is due. */
  readonly #fresh = new Map<DeltaId, Waiting>()
  /** Bytes never offered yet. */
  #bytes = 0
  /** Earliest due time among those never offered. */
  #freshDueMs: number | undefined
  /** Offered before and to be offered again. An appointment is void when its entry has left or was given another. */
  readonly #appointments = new MinHeap<Appointment>((a, b) => a.dueMs - b.dueMs)
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
    const waiting: Waiting = { ...entry, dueMs, attempts: 0 }
    this.#waiting.set(entry.id, waiting)
    this.#fresh.set(entry.id, waiting)
    this.#bytes += entry.record.length
    if (this.#freshDueMs === undefined || dueMs < this.#freshDueMs) this.#freshDueMs = dueMs
  }

  /** Known to be elsewhere by another way. */
  drop(id: DeltaId): void {
    const entry = this.#waiting.get(id)
    if (entry === undefined) return
    this.#waiting.delete(id)
    if (!this.#fresh.delete(id)) return
    this.#bytes -= entry.record.length
    if (entry.dueMs === this.#freshDueMs) this.#freshDueMs = earliest(this.#fresh.values())
  }

  /** When to ask `due` next; undefined when nothing waits. */
  nextDueMs(nowMs: number): number | undefined {
    if (this.#full()) return nowMs
    const again = this.#nextAppointment()?.dueMs
    if (again === undefined || this.#freshDueMs === undefined) return again ?? this.#freshDueMs
    return Math.min(again, this.#freshDueMs)
  }

  #nextAppointment(): Appointment | undefined {
    for (let next = this.#appointments.peek(); next !== undefined; next = this.#appointments.peek()) {
      if (this.#waiting.get(next.entry.id) === next.entry && next.entry.dueMs === next.dueMs) return next
      this.#appointments.pop()
    }
    return undefined
  }

  #full(): boolean {
    if (this.#options.mode === 'batched') return this.#fresh.size >= this.#options.batchDeltas
    return this.#fresh.size > 0 && this.#bytes >= LIMITS.gossipFlushBytes
  }

  /**
   * Frames to publish now, each within the bounds of one gossip frame, oldest first. When one delta is due, every
   * other that was never offered rides along: the frame goes anyway. Entries stay in the box until settled.
   */
  due(nowMs: number): OutboxEntry[][] {
    const nextMs = this.nextDueMs(nowMs)
    if (nextMs === undefined || nextMs > nowMs) return []
    const frames: OutboxEntry[][] = []
    let frame: OutboxEntry[] = []
    let bytes = FRAME_OVERHEAD_BYTES
    for (const entry of this.#leaving(nowMs)) {
      const size = entry.record.length + RECORD_OVERHEAD_BYTES
      if (frame.length >= LIMITS.gossipFrameDeltasMax || bytes + size > LIMITS.gossipFrameBytesMax) {
        frames.push(frame)
        frame = []
        bytes = FRAME_OVERHEAD_BYTES
      }
      frame.push(entry)
      bytes += size
      entry.attempts++
      // Not offered twice while a publish is under way.
      this.#appoint(entry, nowMs + this.#options.retryBackoffMsMax)
    }
    if (frame.length > 0) frames.push(frame)
    return frames
  }

  /** What is to be offered again by now, then everything never offered. */
  #leaving(nowMs: number): Waiting[] {
    const leaving: Waiting[] = []
    for (
      let next = this.#nextAppointment();
      next !== undefined && next.dueMs <= nowMs;
      next = this.#nextAppointment()
    ) {
      this.#appointments.pop()
      leaving.push(next.entry)
    }
    for (const entry of this.#fresh.values()) leaving.push(entry)
    this.#fresh.clear()
    this.#bytes = 0
    this.#freshDueMs = undefined
    return leaving
  }

  #appoint(entry: Waiting, dueMs: number): void {
    entry.dueMs = dueMs
    this.#appointments.push({ entry, dueMs })
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
      this.#appoint(entry, nowMs + backoffMs * (0.8 + 0.4 * this.#random.unit()))
    }
  }

  /** Somebody has come: what waits for a second offer is offered now. */
  wake(nowMs: number): void {
    for (const entry of this.#waiting.values()) if (entry.attempts > 0) this.#appoint(entry, nowMs)
  }
}

function earliest(entries: Iterable<Waiting>): number | undefined {
  let dueMs: number | undefined
  for (const entry of entries) if (dueMs === undefined || entry.dueMs < dueMs) dueMs = entry.dueMs
  return dueMs
}
