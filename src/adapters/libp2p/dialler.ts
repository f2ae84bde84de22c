/**
 * Who is dialled, and when. libp2p 3 dials nobody it discovers and gives up on a lost peer after half a minute; this is
 * the part that never gives up. Every known peer has one entry: when it is next due and how often it failed in a row.
 *
 * Pinned peers (bootstrap, `connect`) are always wanted. Others are dialled while we have fewer connections than the
 * target, and otherwise one a minute at random: after a partition both halves are content with their own, and only such
 * a dial joins them again. Of two daemons that discover each other, the one with the smaller id dials at once and the
 * other waits, so that one connection results. It opens no sockets: `dial` is handed in.
 */
import type { Clock } from '../../ports/clock.ts'
import type { PeerId } from '../../ports/network.ts'
import type { Random } from '../../ports/random.ts'
import { LIMITS } from '../../base/limits.ts'

export type PeerSource = 'saved' | 'mdns' | 'dht' | 'bootstrap' | 'connected'

export interface DiallerOptions {
  readonly self: PeerId
  /** Connections to work towards. */
  readonly target: number
  /** Connections beyond which not even an exploring dial is made. */
  readonly ceiling: number
  /** First pause after a failure; it doubles to `backoffMsMax`. */
  readonly backoffMs: number
  readonly backoffMsMax: number
  /** Pause between two exploring dials. */
  readonly exploreMs: number
}

export interface DiallerPorts {
  readonly clock: Clock
  readonly random: Random
  /** Dials and proves that the peer answers. Resolves with its id; rejects when nobody is there. */
  readonly dial: (addresses: readonly string[], peer: PeerId | undefined) => Promise<PeerId>
  readonly connected: () => ReadonlySet<PeerId>
  readonly mayDial: (peer: PeerId) => boolean
}

export interface DialEntry {
  readonly key: string
  /** Unknown until the first dial when a bootstrap address names none. */
  peer: PeerId | undefined
  addresses: string[]
  source: PeerSource
  pinned: boolean
  failures: number
  /** Monotonic milliseconds. */
  dueMs: number
  dialling: boolean
}

const TICK_MS_MAX = 5_000

export class Dialler {
  readonly #options: DiallerOptions
  readonly #ports: DiallerPorts
  readonly #entries = new Map<string, DialEntry>()
  readonly #dials = new Set<Promise<void>>()
  #running = false
  #cancelTimer: () => void = () => {}
  #exploreDueMs = 0

  constructor(options: DiallerOptions, ports: DiallerPorts) {
    this.#options = options
    this.#ports = ports
  }

  start(): void {
    this.#running = true
    this.#exploreDueMs = this.#ports.clock.monotonicMs() + this.#options.exploreMs
    this.#arm(0)
  }

  /** Dials no more and waits for the dials in flight, which the stopping host aborts. */
  async stop(): Promise<void> {
    this.#running = false
    this.#cancelTimer()
    await Promise.allSettled([...this.#dials])
  }

  entries(): readonly DialEntry[] {
    return [...this.#entries.values()]
  }

  entryOf(peer: PeerId): DialEntry | undefined {
    return this.#entries.get(peer) ?? [...this.#entries.values()].find((entry) => entry.peer === peer)
  }

  /** Learns addresses. A peer that is known already gains them; its place in the schedule stays. */
  know(peer: PeerId | undefined, addresses: readonly string[], source: PeerSource, pinned = false): void {
    if (peer === this.#options.self || (peer === undefined && addresses.length === 0)) return
    const known = peer === undefined ? this.#entries.get(addresses[0] as string) : this.entryOf(peer)
    if (known !== undefined) {
      known.addresses = [...new Set([...addresses, ...known.addresses])].slice(0, LIMITS.addressesPerPeerMax)
      known.pinned ||= pinned
      if (known.source === 'saved' || known.source === 'connected') known.source = source
      return
    }
    const key = peer ?? (addresses[0] as string)
    this.#entries.set(key, {
      key,
      peer,
      addresses: addresses.slice(0, LIMITS.addressesPerPeerMax),
      source,
      pinned,
      failures: 0,
      dueMs: this.#ports.clock.monotonicMs() + this.#firstDelayMs(peer, source),
      dialling: false
    })
    this.#bound(key)
    this.#arm(0)
  }

  forget(peer: PeerId): void {
    const entry = this.entryOf(peer)
    if (entry !== undefined) this.#entries.delete(entry.key)
  }

  /** A connection stands: the failures are forgiven. */
  onConnected(peer: PeerId): void {
    const entry = this.entryOf(peer)
    if (entry !== undefined) entry.failures = 0
  }

  /** A connection ended: the peer is due again soon, and never at once, so that two sides do not chase each other. */
  onDisconnected(peer: PeerId): void {
    const entry = this.entryOf(peer)
    if (entry === undefined || entry.dialling) return
    entry.dueMs = this.#ports.clock.monotonicMs() + this.#pauseMs(0)
    this.#arm(0)
  }

  /** Starts every dial that is due now. Called by its own timer; a test may call it too. */
  tick(): void {
    if (!this.#running) return
    const nowMs = this.#ports.clock.monotonicMs()
    const connected = this.#ports.connected()
    let open = connected.size + this.#dials.size
    for (const entry of this.#candidates(connected)) {
      if (entry.dueMs > nowMs || this.#dials.size >= LIMITS.parallelDialsMax) continue
      const exploring = !entry.pinned && open >= this.#options.target
      if (exploring && (nowMs < this.#exploreDueMs || open >= this.#options.ceiling)) continue
      if (exploring) this.#exploreDueMs = nowMs + this.#options.exploreMs
      open++
      const dial = this.#dial(entry).finally(() => {
        this.#dials.delete(dial)
        this.#arm(0)
      })
      this.#dials.add(dial)
    }
    this.#arm(1)
  }

  /** Pinned ones first, the rest in random order: a fixed order would make every daemon love the same few. */
  #candidates(connected: ReadonlySet<PeerId>): DialEntry[] {
    const free = [...this.#entries.values()].filter(
      (entry) =>
        !entry.dialling && (entry.peer === undefined || (!connected.has(entry.peer) && this.#ports.mayDial(entry.peer)))
    )
    const order = new Map(free.map((entry) => [entry, (entry.pinned ? 0 : 1) + this.#ports.random.unit()]))
    return free.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
  }

  async #dial(entry: DialEntry): Promise<void> {
    entry.dialling = true
    try {
      const peer = await this.#ports.dial(entry.addresses, entry.peer)
      entry.failures = 0
      this.#identify(entry, peer)
    } catch {
      // Why it failed is told by `dial` itself; here only the next attempt matters.
      entry.failures++
    } finally {
      entry.dialling = false
      entry.dueMs = this.#ports.clock.monotonicMs() + this.#pauseMs(entry.failures)
    }
  }

  /** A bootstrap address without a peer id has told whose it is: one entry a peer remains. */
  #identify(entry: DialEntry, peer: PeerId): void {
    if (entry.peer === peer) return
    const other = this.#entries.get(peer)
    if (other !== undefined && other !== entry) {
      entry.addresses = [...new Set([...entry.addresses, ...other.addresses])].slice(0, LIMITS.addressesPerPeerMax)
      this.#entries.delete(peer)
    }
    entry.peer = peer
  }

  #firstDelayMs(peer: PeerId | undefined, source: PeerSource): number {
    const mutual = source === 'mdns' || source === 'dht'
    if (!mutual) return Math.floor(this.#ports.random.unit() * 100)
    const first = peer === undefined || this.#options.self < peer
    return Math.floor((first ? 0 : 1_500) + this.#ports.random.unit() * (first ? 250 : 2_000))
  }

  /** `backoffMs * 2 ** failures`, at most the maximum, and of that between half and the whole, also at the maximum. */
  #pauseMs(failures: number): number {
    const { backoffMs, backoffMsMax } = this.#options
    const pauseMs = Math.min(backoffMsMax, backoffMs * 2 ** Math.min(failures, 20))
    return Math.floor(pauseMs * (0.5 + this.#ports.random.unit() / 2))
  }

  /** Beyond the limit the unpinned peer that failed most, and among equals the oldest, is let go. */
  #bound(newcomer: string): void {
    if (this.#entries.size <= LIMITS.savedPeersMax) return
    let victim: DialEntry | undefined
    for (const entry of this.#entries.values()) {
      if (entry.pinned || entry.dialling || entry.key === newcomer) continue
      if (victim === undefined || entry.failures > victim.failures) victim = entry
    }
    this.#entries.delete((victim ?? { key: newcomer }).key)
  }

  #arm(delayMs: number): void {
    if (!this.#running) return
    this.#cancelTimer()
    const nowMs = this.#ports.clock.monotonicMs()
    let waitMs = TICK_MS_MAX
    const connected = this.#ports.connected()
    for (const entry of this.#entries.values()) {
      if (entry.dialling || (entry.peer !== undefined && connected.has(entry.peer))) continue
      waitMs = Math.min(waitMs, entry.dueMs - nowMs)
    }
    // A due peer that is not wanted now must not make the timer spin.
    if (delayMs > 0) waitMs = Math.max(waitMs, 500)
    this.#cancelTimer = this.#ports.clock.setTimer(Math.max(0, waitMs), () => this.tick())
  }
}
