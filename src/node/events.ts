/**
 * Who wants to hear what happens. A listener that throws is logged and goes on being told; none may slow the engine,
 * so they are called synchronously and must only take note.
 */
import { messageOf } from '../base/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { NodeEvent, NodeEventBody } from './api.ts'

export class Events {
  readonly #listeners = new Set<(event: NodeEvent) => void>()
  readonly #ports: { clock: Clock; logger: Logger }

  constructor(ports: { clock: Clock; logger: Logger }) {
    this.#ports = ports
  }

  /** Whether anybody listens: events that are dear to make need not be made for nobody. */
  get heard(): boolean {
    return this.#listeners.size > 0
  }

  on(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  emit(body: NodeEventBody): void {
    const cursor = body.type === 'memory' ? body.change.cursor : null
    const event: NodeEvent = { ...body, cursor, atMs: this.#ports.clock.nowMs() }
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#ports.logger.log('error', 'an event listener failed', { error: messageOf(error), type: body.type })
      }
    }
  }
}
