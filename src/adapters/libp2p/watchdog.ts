/**
 * Finds gossip links that are dead while their connection lives. gossipsub drops a peer when one RPC cannot be decoded,
 * or when its queue overflows, and tells nobody: the connection stays open, the other side goes on publishing into it,
 * and only a new connection heals it. So every few seconds each connected peer that speaks gossipsub must be in its
 * three tables; one that is missing for the grace period is handed to `reset`.
 */
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { PeerId } from '../../ports/network.ts'

export interface WatchdogPorts {
  readonly clock: Clock
  readonly connected: () => readonly PeerId[]
  /** Those of `peers` that announced a gossipsub protocol. Dear: it reads and decodes a record of each. */
  readonly speakers: (peers: readonly PeerId[]) => Promise<readonly PeerId[]>
  readonly isLinked: (peer: PeerId) => boolean
  /** Closes the connection and has the peer dialled again. */
  readonly reset: (peer: PeerId) => void
}

export class GossipWatchdog {
  readonly #ports: WatchdogPorts
  readonly #graceMs: number
  /** Monotonic milliseconds since which a peer has been seen without a link. */
  readonly #missingSince = new Map<PeerId, number>()
  #cancelTimer: () => void = () => {}
  #running = false

  constructor(ports: WatchdogPorts, graceMs: number = LIMITS.gossipLinkDeadMsMax) {
    this.#ports = ports
    this.#graceMs = graceMs
  }

  start(): void {
    this.#running = true
    this.#arm()
  }

  stop(): void {
    this.#running = false
    this.#cancelTimer()
  }

  /** One round. Called by its own timer; a test may call it too. */
  async look(): Promise<void> {
    const nowMs = this.#ports.clock.monotonicMs()
    const unlinked = this.#ports.connected().filter((peer) => !this.#ports.isLinked(peer))
    const speakers = unlinked.length === 0 ? [] : await this.#ports.speakers(unlinked)
    const dead = new Set(speakers.filter((peer) => !this.#ports.isLinked(peer)))
    for (const peer of [...this.#missingSince.keys()]) if (!dead.has(peer)) this.#missingSince.delete(peer)
    for (const peer of dead) {
      const sinceMs = this.#missingSince.get(peer)
      if (sinceMs === undefined) this.#missingSince.set(peer, nowMs)
      else if (nowMs - sinceMs >= this.#graceMs) {
        this.#missingSince.delete(peer)
        this.#ports.reset(peer)
      }
    }
  }

  #arm(): void {
    this.#cancelTimer = this.#ports.clock.setTimer(Math.min(2_000, Math.ceil(this.#graceMs / 4)), () => {
      // A peer that left between two awaits is no error: the next round looks again.
      void this.look()
        .catch(() => undefined)
        .then(() => {
          if (this.#running) this.#arm()
        })
    })
  }
}
