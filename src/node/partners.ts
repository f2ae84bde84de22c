/**
 * Whom to compare a space with next. Half of the time it is one of the peers this daemon knows from before, connected or
 * not, and half of the time one that gossips with it now: the mesh alone would leave two cliques apart for ever, and
 * saved peers alone would be asked long after they are gone. Somebody who has just come is asked first of all.
 *
 * A peer that could not be reached is passed over for a while that doubles with every failure, one that says it is not in
 * the space for a longer while; both are forgiven when it comes by itself. One instance serves one space. It dials
 * nobody, and what a session found is not its business.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { PeerId, PeerInfo } from '../ports/network.ts'
import type { Random } from '../ports/random.ts'

export interface PartnerOptions {
  readonly topic: string
  /** First pause after a failure, in milliseconds; the second failure in a row doubles it. */
  readonly backoffMs: number
  readonly backoffMsMax: number
}

/** What is to be known of the moment. */
export interface Surroundings {
  readonly peers: readonly PeerInfo[]
  /** Wall milliseconds, for bans. */
  readonly nowMs: number
  /** Monotonic milliseconds, for pauses. */
  readonly monotonicMs: number
  /** Peers with whom a session is under way, or whose dial hangs. */
  readonly isTaken: (peer: PeerId) => boolean
}

/** Somebody, or how long until somebody may be asked again; Infinity when nobody is known at all. */
export type Choice = { readonly peer: PeerId; readonly connected: boolean } | { readonly waitMs: number }

interface Standing {
  failures: number
  /** Monotonic milliseconds before which it is not asked. */
  notBeforeMs: number
  /** A session with it was completed, now or in an earlier life of this daemon. */
  good: boolean
}

export class Partners {
  readonly #options: PartnerOptions
  readonly #random: Random
  readonly #standings = new BoundedMap<PeerId, Standing>(LIMITS.savedPeersMax)
  /** Came since they were last asked, in the order of coming. */
  readonly #fresh = new Set<PeerId>()
  /** The one that was asked in vain: not again while there is another. */
  #failed: PeerId | undefined

  constructor(options: PartnerOptions, ports: { random: Random }) {
    this.#options = options
    this.#random = ports.random
  }

  /** It was good company in an earlier life of this daemon. */
  remember(peer: PeerId): void {
    this.#standing(peer).good = true
  }

  /** It connected, or began to listen to the space: whatever was held against it is forgotten. */
  came(peer: PeerId): void {
    const standing = this.#standings.get(peer)
    if (standing !== undefined) Object.assign(standing, { failures: 0, notBeforeMs: 0 })
    if (this.#fresh.size < LIMITS.connectionsMax) this.#fresh.add(peer)
  }

  /** It is gone: there is no hurry to ask it first. */
  left(peer: PeerId): void {
    this.#fresh.delete(peer)
  }

  /** A session went through, whatever it found. */
  succeeded(peer: PeerId): void {
    this.#standings.set(peer, { failures: 0, notBeforeMs: 0, good: true })
    this.#fresh.delete(peer)
    this.#failed = undefined
  }

  /** It could not be reached, or the session broke. */
  failed(peer: PeerId, monotonicMs: number, connected: boolean): void {
    const standing = this.#standing(peer)
    standing.failures++
    // The first failure of somebody who is there may be chance; one who is not there costs a dial each time.
    const doublings = standing.failures - (connected ? 2 : 1)
    const { backoffMs, backoffMsMax } = this.#options
    standing.notBeforeMs = doublings < 0 ? 0 : monotonicMs + Math.min(backoffMsMax, backoffMs * 2 ** doublings)
    this.#turnedAway(peer)
  }

  /** It has its hands full: nothing is held against it. */
  busy(peer: PeerId): void {
    this.#turnedAway(peer)
  }

  /** It is not in the space. */
  stranger(peer: PeerId, monotonicMs: number): void {
    const standing = this.#standing(peer)
    standing.good = false
    standing.notBeforeMs = monotonicMs + LIMITS.reconStrangerMsMax
    this.#turnedAway(peer)
  }

  #turnedAway(peer: PeerId): void {
    this.#fresh.delete(peer)
    this.#failed = peer
  }

  choose(around: Surroundings): Choice {
    const askable = around.peers.filter((peer) => peer.bannedUntilMs <= around.nowMs && !around.isTaken(peer.peer))
    const known = askable.filter((peer) => this.#isKnown(peer))
    const mesh = askable.filter((peer) => peer.connected && peer.topics.includes(this.#options.topic))
    const knownNow = this.#due(known, around.monotonicMs)
    const meshNow = this.#due(mesh, around.monotonicMs)
    const chosen = this.#freshAmong([...meshNow, ...knownNow]) ?? this.#draw(knownNow, meshNow)
    if (chosen !== undefined) return { peer: chosen.peer, connected: chosen.connected }
    return { waitMs: this.#waitMs([...known, ...mesh], around.monotonicMs) }
  }

  /** Connected peers that may be in the space: to be asked all at once on request. */
  present(peers: readonly PeerInfo[], nowMs: number): PeerId[] {
    const connected = peers.filter((peer) => peer.connected && peer.bannedUntilMs <= nowMs)
    const members = connected.filter((peer) => peer.topics.includes(this.#options.topic) || this.#isKnown(peer))
    return members.map((peer) => peer.peer)
  }

  /** How many there are, connected or not. */
  known(peers: readonly PeerInfo[], nowMs: number): number {
    return peers.filter((peer) => peer.bannedUntilMs <= nowMs && this.#isKnown(peer)).length
  }

  /** Reachable and worth a try, connected or not. One that listens to our other spaces only is evidently not in this one. */
  #isKnown(peer: PeerInfo): boolean {
    if (!peer.connected && peer.addresses.length === 0) return false
    const standing = this.#standings.get(peer.peer)
    if (standing?.good === true) return true
    if (peer.connected) return peer.topics.length === 0 || peer.topics.includes(this.#options.topic)
    return peer.source === 'saved' || peer.source === 'connected' || peer.source === 'bootstrap'
  }

  #due(peers: readonly PeerInfo[], monotonicMs: number): PeerInfo[] {
    return peers.filter(({ peer }) => (this.#standings.get(peer)?.notBeforeMs ?? 0) <= monotonicMs)
  }

  #freshAmong(peers: readonly PeerInfo[]): PeerInfo | undefined {
    for (const fresh of this.#fresh) {
      const found = peers.find(({ peer }) => peer === fresh)
      if (found !== undefined && fresh !== this.#failed) return found
    }
    return undefined
  }

  #draw(known: readonly PeerInfo[], mesh: readonly PeerInfo[]): PeerInfo | undefined {
    const [first, second] = this.#random.unit() < 0.5 ? [known, mesh] : [mesh, known]
    const others = (peers: readonly PeerInfo[]): PeerInfo[] => peers.filter(({ peer }) => peer !== this.#failed)
    const pools = [others(first), others(second), first, second]
    const pool = pools.find((one) => one.length > 0) ?? []
    return pool[this.#random.below(Math.max(1, pool.length))]
  }

  #waitMs(peers: readonly PeerInfo[], monotonicMs: number): number {
    let waitMs = Infinity
    for (const { peer } of peers) {
      waitMs = Math.min(waitMs, (this.#standings.get(peer)?.notBeforeMs ?? 0) - monotonicMs)
    }
    return Math.max(0, waitMs)
  }

  #standing(peer: PeerId): Standing {
    let standing = this.#standings.get(peer)
    if (standing === undefined) {
      standing = { failures: 0, notBeforeMs: 0, good: false }
      this.#standings.set(peer, standing)
    }
    return standing
  }
}
