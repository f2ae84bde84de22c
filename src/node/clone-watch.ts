/**
 * Own deltas that come from outside. An identity belongs to one daemon; a copied home, a restored backup or a cloned
 * machine makes two of it, or one that has forgotten what it wrote. The epoch rule (docs/adr/0004) keeps both from ever
 * numbering two deltas alike, so nothing is forged and nothing is lost; but a person has to end it, and should know.
 *
 * What was signed before this daemon started is its own past coming home. What was signed since, under an epoch it never
 * drew, or under its own at a number it did not give, another daemon is writing now.
 */
import { hlcMs, type AuthorId, type DeltaId, type Epoch } from '../memory/ids.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Events } from './events.ts'
import type { Group } from './perform.ts'

export interface CloneWatchPorts {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly events: Pick<Events, 'emit'>
}

/** Log lines and events about one clone: the first delta of each thousand. */
const TOLD_EVERY = 1_000

export class CloneWatch {
  readonly #author: AuthorId
  readonly #startedAtMs: number
  readonly #ports: CloneWatchPorts
  #cloned = 0
  #lastMs = 0
  #returned = 0

  constructor(options: { readonly author: AuthorId; readonly startedAtMs: number }, ports: CloneWatchPorts) {
    this.#author = options.author
    this.#startedAtMs = options.startedAtMs
    this.#ports = ports
  }

  /** A group that was just stored. */
  note(group: Pick<Group, 'admitted' | 'epochs'>): void {
    const conflicts = new Map<DeltaId, Epoch>(group.epochs.map(({ because, epoch }) => [because, epoch]))
    for (const { delta, via } of group.admitted) {
      const { author, hlc, epoch } = delta.header
      if (author !== this.#author || via === 'write') continue
      const ms = hlcMs(hlc)
      const drawn = conflicts.get(delta.id)
      if (drawn === undefined && ms <= this.#startedAtMs) {
        this.#returned++
        continue
      }
      if (this.#cloned++ % TOLD_EVERY === 0) this.#tell(delta.id, epoch, drawn)
      this.#lastMs = Math.max(this.#lastMs, ms)
      this.#ports.metrics.count('chrysalis_node_cloned_deltas_total')
    }
  }

  /** For status. */
  reasons(): string[] {
    const reasons: string[] = []
    if (this.#cloned > 0) {
      reasons.push(
        `identity cloned: another daemon writes with the identity of this one (${counted(this.#cloned)} so far, the newest ` +
          `of ${new Date(this.#lastMs).toISOString()}); stop one of the two and make a new home for it: chrysalis init, then chrysalis join`
      )
    }
    if (this.#returned > 0) {
      reasons.push(
        `${counted(this.#returned)} of this daemon came back from peers: its home had lost them, or was restored from an older copy`
      )
    }
    return reasons
  }

  #tell(delta: DeltaId, epoch: Epoch, drawn: Epoch | undefined): void {
    const { logger, events } = this.#ports
    const detail =
      drawn === undefined
        ? 'deltas signed by this identity since this daemon started arrived from outside'
        : 'deltas signed by this identity under its own epoch arrived from outside; a new epoch begins'
    logger.log('error', 'identity cloned: another daemon writes with the identity of this one', {
      delta,
      epoch,
      ...(drawn === undefined ? {} : { newEpoch: drawn })
    })
    events.emit({ type: 'node', what: 'identity-cloned', detail })
  }
}

function counted(deltas: number): string {
  return deltas === 1 ? '1 change' : `${deltas} changes`
}
