/**
 * The alarm for a difference that does not go away. Two daemons that differ move something, or wait for something young;
 * when their roots differ session after session and nothing moves either way, one of them judges deltas by another rule,
 * hides what it has, or cannot store. Convergence is then broken, and a person should know.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { PeerId } from '../ports/network.ts'

/** What one session showed, as far as this alarm goes. */
export interface Sighting {
  /** The roots were compared and were not equal. */
  readonly differed: boolean
  /** Deltas new to one of the two, stored there. */
  readonly moved: number
  /** Differences left alone on purpose: too young, or dated ahead. */
  readonly waiting: number
}

export interface StuckPair {
  readonly peer: PeerId
  readonly space: SpaceId
  /** Sessions in a row that differed and moved nothing. */
  readonly sessions: number
}

export class StuckWatch {
  readonly #pairs = new BoundedMap<string, StuckPair>(LIMITS.savedPeersMax)

  /** `stuck` when the alarm begins, `free` when it ends, undefined when nothing changed. */
  note(peer: PeerId, space: SpaceId, { differed, moved, waiting }: Sighting): 'stuck' | 'free' | undefined {
    const slot = `${peer}/${space}`
    const sessions = this.#pairs.get(slot)?.sessions ?? 0
    if (!differed || moved > 0) {
      this.#pairs.delete(slot)
      return sessions >= LIMITS.reconStuckSessionsMin ? 'free' : undefined
    }
    // What only has to wait explains the difference, and says nothing about the rest of it.
    if (waiting > 0) return undefined
    this.#pairs.set(slot, { peer, space, sessions: sessions + 1 })
    return sessions + 1 === LIMITS.reconStuckSessionsMin ? 'stuck' : undefined
  }

  /** Pairs in alarm. */
  stuck(): StuckPair[] {
    return [...this.#pairs.entries()]
      .map(([, pair]) => pair)
      .filter((pair) => pair.sessions >= LIMITS.reconStuckSessionsMin)
  }
}
