/**
 * From the outbox to the wire: publishes due frames, says how many listened, and asks again when the outbox says so.
 * One timer for each space; a publish that fails counts as heard by nobody.
 */
import { messageOf } from '../base/errors.ts'
import { encodeFrame } from '../memory/delta-codec.ts'
import { topicOf } from '../memory/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network } from '../ports/network.ts'
import type { DeltaId } from '../memory/ids.ts'
import type { Space } from './space.ts'

export interface SenderPorts {
  readonly network: Network
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
}

export class Sender {
  readonly #ports: SenderPorts
  readonly #offered: (space: Space, ids: readonly DeltaId[]) => void
  readonly #timers = new Map<string, { dueMs: number; cancel: () => void }>()
  readonly #sending = new Set<Promise<void>>()
  #stopped = false

  /** `offered` hears which deltas at least one peer was handed. */
  constructor(ports: SenderPorts, offered: (space: Space, ids: readonly DeltaId[]) => void) {
    this.#ports = ports
    this.#offered = offered
  }

  /** Call whenever the outbox of the space has changed. */
  schedule(space: Space): void {
    if (this.#stopped || !space.options.shared) return
    // Never the wall clock: one that is set back would leave the outbox waiting until it has caught up.
    const nowMs = this.#ports.clock.monotonicMs()
    const dueMs = space.outbox.nextDueMs(nowMs)
    const timer = this.#timers.get(space.id)
    if (dueMs === undefined) return
    if (timer !== undefined) {
      if (timer.dueMs <= dueMs) return
      timer.cancel()
    }
    const cancel = this.#ports.clock.setTimer(Math.max(0, dueMs - nowMs), () => {
      this.#timers.delete(space.id)
      this.#flush(space)
    })
    this.#timers.set(space.id, { dueMs, cancel })
  }

  #flush(space: Space): void {
    for (const frame of space.outbox.due(this.#ports.clock.monotonicMs())) {
      const sending = this.#publish(space, frame).finally(() => this.#sending.delete(sending))
      this.#sending.add(sending)
    }
    this.schedule(space)
  }

  async #publish(space: Space, frame: readonly { id: DeltaId; record: Uint8Array }[]): Promise<void> {
    const { network, metrics, logger, clock } = this.#ports
    const bytes = encodeFrame(frame.map((entry) => entry.record))
    let recipients = 0
    try {
      recipients = (await network.publish(topicOf(space.id), bytes)).recipients
      metrics.count('chrysalis_gossip_published_bytes', bytes.length * recipients)
    } catch (error) {
      logger.log('warn', 'a gossip frame could not be published', { error: messageOf(error), bytes: bytes.length })
    }
    space.outbox.settle(frame, recipients, clock.monotonicMs())
    if (recipients > 0) {
      this.#offered(
        space,
        frame.map((entry) => entry.id)
      )
    }
    this.schedule(space)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    await Promise.allSettled(this.#sending)
  }
}
