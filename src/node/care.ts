/**
 * The care of memories in one place: what the doors may ask (promotion, consolidation, undo, restore, the report on rot)
 * and what happens by itself (promotion after recalls in several sessions, consolidation on a schedule when one is
 * configured). Each is done elsewhere; here they share ports, start and stop.
 */
import { messageOf } from '../base/errors.ts'
import type { RecordId } from '../memory/ids.ts'
import type { Logger } from '../ports/logger.ts'
import type * as api from './api.ts'
import { Consolidation, type ConsolidationPorts } from './consolidate.ts'
import { Promotions } from './promotions.ts'
import { rotOf, type RotPorts } from './rot-audit.ts'
import { SessionRecalls } from './session-recalls.ts'
import type { Space } from './space.ts'
import type { Place } from './spaces.ts'
import { restoreMemory, undoAction, type UndoPorts } from './undo.ts'
import type { Indexer } from './indexer.ts'

export interface CarePorts extends ConsolidationPorts, UndoPorts, RotPorts {
  readonly logger: Logger
  readonly indexer: Indexer
}

export interface CareOptions {
  readonly promotion: { readonly threshold: number; readonly sessions: number }
  readonly consolidation: { readonly intervalMs: number }
}

export class Care {
  readonly #options: CareOptions
  readonly #ports: CarePorts
  readonly #promotions: Promotions
  readonly #recalls: SessionRecalls
  readonly #consolidation: Consolidation
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(options: CareOptions, ports: CarePorts) {
    this.#options = options
    this.#ports = { ...ports, stopping: () => this.#stopped }
    this.#promotions = new Promotions(options.promotion, {
      ...ports,
      add: (requests, how) => ports.writes.addMany(requests, how)
    })
    this.#recalls = new SessionRecalls(options.promotion, {
      ...ports,
      promote: (place) => this.#promotions.unasked(place, ports.spaces.find(undefined), true)
    })
    this.#consolidation = new Consolidation(ports)
  }

  /** Reads back what was noted before the last stop, and sets the schedule. */
  async start(): Promise<void> {
    await this.#recalls.load()
    this.#schedule()
  }

  #schedule(): void {
    const { intervalMs } = this.#options.consolidation
    if (intervalMs === 0 || this.#stopped) return
    this.#cancel = this.#ports.clock.setTimer(intervalMs, () => {
      void this.#consolidation
        .run({})
        .then(({ actions, more }) => {
          if (actions.length > 0) this.#ports.logger.log('info', 'consolidated', { actions: actions.length, more })
        })
        .catch((error: unknown) =>
          this.#ports.logger.log('warn', 'memories could not be consolidated', { error: messageOf(error) })
        )
        .finally(() => this.#schedule())
    })
  }

  /** An answer showed these to a session. */
  recalled(places: readonly Place[], session: string | undefined): void {
    this.#recalls.note(places, session)
  }

  /** A private memory was written or revised: promotes it when it is a working one that has become important enough. */
  written(place: Place, to: Space, options: api.WriteOptions | undefined): Promise<RecordId | undefined> {
    return this.#promotions.unasked(place, to, false, options)
  }

  promote(request: api.PromoteRequest, options?: api.WriteOptions): Promise<api.PromoteAnswer> {
    return this.#promotions.promote(request, options)
  }

  consolidate(request: api.ConsolidateRequest): Promise<api.ConsolidateAnswer> {
    return this.#consolidation.run(request)
  }

  undo(request: { id: string; space?: string }, options?: api.WriteOptions): Promise<api.UndoAnswer> {
    return undoAction(this.#ports, request, options)
  }

  restore(request: { id: string; space?: string }, options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return restoreMemory(this.#ports, request, options)
  }

  rot(request: { space?: string; limit?: number }): Promise<api.RotReport> {
    return rotOf(this.#ports, request)
  }

  /** What is under way is finished, what was noted is written down. Needs a writer that still answers. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#consolidation.stop()
    await this.#recalls.stop()
  }
}
