/**
 * Anti-entropy: gossip is the fast path, this is the correct one. When a peer comes, and then at the pace of sync/pace.ts,
 * each shared space is compared with one partner (partners.ts); a failure is followed by somebody else within a second,
 * a session cut short by its own bounds by another with the same peer at once, a large gap by a catch-up from several
 * peers (catch-up.ts). What a session proves about the peer goes into the receipts.
 *
 * Here are only the schedule and the books; sessions.ts runs the sessions.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import { topicOf } from '../memory/names.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { PeerId } from '../ports/network.ts'
import { Pace, type Beat } from '../sync/pace.ts'
import type { SessionOutcome } from '../sync/recon-session.ts'
import { CatchUp } from './catch-up.ts'
import type { Events } from './events.ts'
import type { NodeOptions } from './options.ts'
import { Partners } from './partners.ts'
import { PeerBooks, type PeerBook } from './peer-books.ts'
import { noteReceipts } from './session-receipts.ts'
import { Sessions, type CompareOptions, type SessionPortsOfNode, type SessionReport } from './sessions.ts'
import type { Space } from './space.ts'
import { StuckWatch } from './stuck.ts'
import type { CatchUpProgress } from './sync-api.ts'

export interface ReconciliationPorts extends SessionPortsOfNode {
  readonly metrics: Metrics
  readonly logger: Logger
  readonly events: Events
}

/** A newcomer is asked this soon, and up to so much later: many may come at once. */
const CAME_MS = 50
const CAME_SPREAD_MS = 200
/** While a catch-up fills the space, ordinary sessions wait this long. */
const CATCHING_UP_MS = 1_000

interface Rhythm {
  readonly pace: Pace
  readonly partners: Partners
  cancel: (() => void) | undefined
  dueMs: number
  /** A beat is under way: the next one is scheduled when it ends. */
  beating: boolean
  /** Wanted before the beat under way ends. */
  hurriedMs: number | undefined
  /** The peer to meet next, whoever else there is: it has more, or gave the outline of a catch-up. */
  next: PeerId | undefined
}

export class Reconciliation {
  readonly #options: NodeOptions['sync']
  readonly #ports: ReconciliationPorts
  readonly #rhythms = new Map<SpaceId, Rhythm>()
  readonly #sessions: Sessions
  readonly #books = new PeerBooks()
  readonly #stuck = new StuckWatch()
  readonly #catchUp: CatchUp
  /** Peers that were asked how much they have since they came, by space. */
  readonly #acquainted = new BoundedMap<string, true>(LIMITS.savedPeersMax)
  /** Those that had thousands less than we, by space, and when they were found so, monotonic milliseconds. */
  readonly #behind = new BoundedMap<string, number>(LIMITS.savedPeersMax)
  readonly #listeners = new Set<(report: SessionReport) => void>()
  #stopped = false

  constructor(options: NodeOptions['sync'], ports: ReconciliationPorts) {
    this.#options = options
    this.#ports = ports
    const { sessions = 'both' } = options
    this.#sessions = new Sessions(
      { ...ports, sessions },
      {
        concluded: (report) => this.#conclude(report),
        isBusy: (space) => this.#catchUp.isActive(space.id)
      }
    )
    this.#catchUp = new CatchUp({
      ...ports,
      sessions: this.#sessions,
      partners: (space) => this.present(space),
      known: ({ id }) => this.#rhythms.get(id)?.partners.known(ports.network.peers(), ports.clock.nowMs()) ?? 0,
      // Only an ordinary session proves that nothing was left out.
      finished: (space, peer) => this.#proveSoon(space, peer)
    })
  }

  start(): void {
    if (!this.#options.reconcile) return
    this.#sessions.serve()
    for (const space of this.#ports.spaces.all) {
      if (!space.options.shared) continue
      const random = this.#ports.random.fork(`pace/${space.id}`)
      const { reconcileIntervalMs: intervalMs, reconcileIntervalMsMax: intervalMsMax } = this.#options
      const pace = new Pace({ intervalMs, intervalMsMax }, { random })
      const partners = new Partners(
        { topic: topicOf(space.id), backoffMs: intervalMs, backoffMsMax: intervalMsMax },
        { random: random.fork('partners') }
      )
      for (const peer of space.receipts.peers()) partners.remember(peer)
      const rhythm: Rhythm = {
        pace,
        partners,
        cancel: undefined,
        dueMs: Infinity,
        beating: false,
        hurriedMs: undefined,
        next: undefined
      }
      this.#rhythms.set(space.id, rhythm)
      this.#schedule(space, rhythm, pace.next(undefined))
    }
  }

  // --- what happens around

  /** A peer has come that listens to this topic: compare soon, not at the next beat. */
  peerSubscribed(peer: PeerId, topic: string): void {
    const space = this.#ports.spaces.all.find((one) => one.options.shared && topicOf(one.id) === topic)
    if (space !== undefined) this.#came(space, peer)
  }

  /** A peer has come; which spaces it is in is not known yet, and never will be when it takes no part in gossip. */
  peerConnected(peer: PeerId): void {
    for (const space of this.#ports.spaces.all) if (space.options.shared) this.#came(space, peer)
  }

  peerDisconnected(peer: PeerId): void {
    for (const rhythm of this.#rhythms.values()) rhythm.partners.left(peer)
  }

  #came(space: Space, peer: PeerId): void {
    const rhythm = this.#rhythms.get(space.id)
    if (rhythm === undefined) return
    rhythm.partners.came(peer)
    this.#acquainted.delete(`${peer}/${space.id}`)
    this.#behind.delete(`${peer}/${space.id}`)
    this.#catchUp.peerCame(space)
    this.#schedule(space, rhythm, CAME_MS + this.#ports.random.below(CAME_SPREAD_MS))
  }

  /** Something new is here, or something is evidently missing: peers should be asked soon. */
  hurry(space: Space): void {
    const rhythm = this.#rhythms.get(space.id)
    if (rhythm !== undefined) this.#schedule(space, rhythm, rhythm.pace.hurry())
  }

  // --- the beat

  #schedule(space: Space, rhythm: Rhythm, delayMs: number): void {
    if (this.#stopped) return
    const dueMs = this.#ports.clock.monotonicMs() + delayMs
    if (rhythm.beating) {
      rhythm.hurriedMs = Math.min(rhythm.hurriedMs ?? Infinity, dueMs)
      return
    }
    if (rhythm.dueMs <= dueMs) return
    rhythm.cancel?.()
    rhythm.dueMs = dueMs
    rhythm.cancel = this.#ports.clock.setTimer(delayMs, () => {
      rhythm.cancel = undefined
      rhythm.dueMs = Infinity
      void this.#beat(space, rhythm)
    })
  }

  async #beat(space: Space, rhythm: Rhythm): Promise<void> {
    rhythm.beating = true
    let waitMs: number
    try {
      waitMs = this.#catchUp.isActive(space.id) ? CATCHING_UP_MS : await this.#meetSomebody(space, rhythm)
    } finally {
      rhythm.beating = false
    }
    const hurriedMs = rhythm.hurriedMs
    rhythm.hurriedMs = undefined
    this.#schedule(space, rhythm, waitMs)
    if (hurriedMs !== undefined) {
      this.#schedule(space, rhythm, Math.max(0, hurriedMs - this.#ports.clock.monotonicMs()))
    }
  }

  /** One session with one partner. Resolves with the milliseconds until the next. */
  async #meetSomebody(space: Space, rhythm: Rhythm): Promise<number> {
    const { network, clock } = this.#ports
    const { pace, partners } = rhythm
    const choice =
      rhythm.next !== undefined
        ? { peer: rhythm.next }
        : partners.choose({
            peers: network.peers(),
            nowMs: clock.nowMs(),
            monotonicMs: clock.monotonicMs(),
            isTaken: (peer) => this.#sessions.running(space, peer) !== undefined
          })
    rhythm.next = undefined
    if (!('peer' in choice)) return Math.min(choice.waitMs, pace.next('equal'))
    const acquaintedMs = await this.#acquaint(space, choice.peer, rhythm)
    if (acquaintedMs !== undefined) return acquaintedMs
    const outcome = await this.#meet(space, choice.peer)
    if (outcome === 'slow') {
      // Whether it fails is not known yet; until it is, the peer is taken.
      partners.busy(choice.peer)
      return pace.next('failed')
    }
    const waitMs = pace.next(beatOf(outcome))
    if (waitMs === 0) rhythm.next = choice.peer
    return waitMs
  }

  /**
   * At the first meeting after it came the peer is asked how much it has: a session would move thousands of deltas between the two alone
   * before it told. Whoever is far behind is left to fetch from several peers by itself, for a while. Undefined when an
   * ordinary session should follow, otherwise the milliseconds until the next beat.
   */
  async #acquaint(space: Space, peer: PeerId, { pace, partners }: Rhythm): Promise<number | undefined> {
    const slot = `${peer}/${space.id}`
    if (this.#acquainted.has(slot) || !this.#isConnected(peer)) return undefined
    let ahead: number
    try {
      const parts = await this.#soon(this.#sessions.outline(space, peer, Number.MAX_SAFE_INTEGER))
      if (parts === 'slow') return undefined
      this.#acquainted.set(slot, true)
      ahead = parts.reduce((sum, part) => sum + part.count, 0) - space.replica.tree.count
    } catch (error) {
      // The session that follows will say what is wrong, and book it.
      this.#ports.logger.log('debug', 'a peer did not say how much it has', { peer, error: messageOf(error) })
      return undefined
    }
    this.#noteGap(space, peer, ahead)
    if (this.#catchUp.isActive(space.id)) return CATCHING_UP_MS
    if (-ahead < LIMITS.catchUpDeltasMin) return undefined
    const nowMs = this.#ports.clock.monotonicMs()
    const sinceMs = this.#behind.get(slot) ?? nowMs
    this.#behind.set(slot, sinceMs)
    if (nowMs - sinceMs >= LIMITS.catchUpPartMsMax) return undefined
    // Asked again the next time, until it has caught up or had its time.
    this.#acquainted.delete(slot)
    partners.left(peer)
    return pace.next('different')
  }

  #noteGap(space: Space, peer: PeerId, deltas: number): void {
    if (deltas >= LIMITS.catchUpDeltasMin) this.#catchUp.begin(space, peer, deltas)
  }

  /** `slow` when the peer has not answered in time; the attempt goes on behind, and is booked when it ends. */
  async #meet(space: Space, peer: PeerId): Promise<SessionOutcome | 'slow'> {
    const comparison = this.#sessions.compare(space, peer, this.#usual(space, peer))
    if ((await this.#soon(comparison.reached)) === 'slow') return 'slow'
    return (await comparison.report).outcome
  }

  async #soon<T>(work: Promise<T>): Promise<T | 'slow'> {
    let cancel = (): void => undefined
    const slow = new Promise<'slow'>((resolve) => {
      cancel = this.#ports.clock.setTimer(LIMITS.reconAnswerMsMax, () => resolve('slow'))
    })
    try {
      return await Promise.race([work, slow])
    } finally {
      cancel()
    }
  }

  #usual(space: Space, peer: PeerId): CompareOptions {
    const book = this.#books.find(peer, space.id)
    const unequal = book?.unequal ?? 0
    return {
      expectEqual: book?.session?.result === 'equal',
      walks: unequal > 0 && unequal % LIMITS.reconSketchedSessionsMax === 0
    }
  }

  #proveSoon(space: Space, peer: PeerId): void {
    const rhythm = this.#rhythms.get(space.id)
    if (rhythm === undefined) return
    rhythm.next = peer
    this.#schedule(space, rhythm, 0)
  }

  // --- on request

  /** One session now, whatever the pace. Joins the one that runs. */
  async compare(space: Space, peer: PeerId, options: CompareOptions = {}): Promise<SessionReport> {
    this.#assertOn()
    return this.#sessions.compare(space, peer, options).report
  }

  /** Connected peers of the space. */
  present(space: Space): PeerId[] {
    const { network, clock } = this.#ports
    return this.#rhythms.get(space.id)?.partners.present(network.peers(), clock.nowMs()) ?? []
  }

  #assertOn(): void {
    if (this.#options.reconcile) return
    throw new ChrysalisError('invalid_state', 'reconciliation is switched off on this daemon (sync.reconcile)', {
      hint: 'Set sync.reconcile to true and start the daemon again. Nothing was done.'
    })
  }

  /** Resolves when no catch-up of the space is under way. */
  caughtUp(space: Space): Promise<void> {
    return this.#catchUp.ended(space.id)
  }

  /** Is told of every session that ends, opened here or there. Returns how to leave. */
  onSession(listener: (report: SessionReport) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  books(): readonly PeerBook[] {
    return this.#books.all()
  }

  isStuck(peer: PeerId, space: SpaceId): boolean {
    return this.#stuck.stuck().some((pair) => pair.peer === peer && pair.space === space)
  }

  catchUpOf(space: SpaceId): CatchUpProgress | null {
    return this.#catchUp.progress(space)
  }

  /** What a person should know: one sentence each. */
  reasons(): string[] {
    return this.#stuck.stuck().map(({ peer, space, sessions }) => {
      const name = this.#ports.spaces.byId(space)?.options.name ?? space
      return `${name} differs from peer ${peer}, and ${sessions} sessions in a row moved nothing: compare the versions and the logs of both daemons`
    })
  }

  // --- the end of a session

  async #conclude(report: SessionReport): Promise<void> {
    const { metrics, clock, logger, network } = this.#ports
    const { space, peer, outcome } = report
    metrics.count('chrysalis_recon_metadata_bytes', outcome.metadataBytes)
    metrics.count('chrysalis_recon_bytes', report.bytes)
    this.#judge(report)
    if (outcome.refusal === 'busy') {
      // Nobody's fault, and nothing was learned.
      metrics.count('chrysalis_recon_sessions_busy_total')
      for (const listener of this.#listeners) listener(report)
      return
    }
    this.#books.note(report, clock.nowMs())
    metrics.count(`chrysalis_recon_sessions_${outcome.result}_total`)
    if (outcome.violation !== undefined) network.report(peer, 'protocol', outcome.violation)
    if (outcome.result === 'failed') {
      logger.log('debug', 'a reconciliation session failed', { peer, detail: outcome.violation ?? outcome.detail })
    } else {
      await noteReceipts(report, this.#ports)
    }
    this.#watch(report)
    if (outcome.result !== 'equal' && outcome.refusal === undefined) {
      const { received, sent, result } = outcome
      this.#ports.events.emit({ type: 'sync', peer, space: space.id, result, received, sent })
    }
    for (const listener of this.#listeners) listener(report)
  }

  /** What the session means for the choice of the next one. */
  #judge({ space, peer, role, outcome, prefix }: SessionReport): void {
    const rhythm = this.#rhythms.get(space.id)
    if (rhythm === undefined) return
    const { partners } = rhythm
    const nowMs = this.#ports.clock.monotonicMs()
    if (outcome.refusal === 'busy') partners.busy(peer)
    else if (outcome.refusal !== undefined) partners.stranger(peer, nowMs)
    else if (outcome.result !== 'failed') partners.succeeded(peer)
    else if (role === 'initiator') partners.failed(peer, nowMs, this.#isConnected(peer))
    if (prefix !== undefined || outcome.result === 'failed') return
    // A difference that a peer found here is as good a reason to look around as one found by ourselves.
    if (role === 'responder' && outcome.result !== 'equal') this.#schedule(space, rhythm, rhythm.pace.hurry())
    if (outcome.peerCount !== null) {
      this.#noteGap(space, peer, outcome.peerCount - outcome.ownCount - outcome.accepted)
    }
  }

  #isConnected(peer: PeerId): boolean {
    return this.#ports.network.peers().some((one) => one.peer === peer && one.connected)
  }

  #watch({ space, peer, role, outcome, prefix }: SessionReport): void {
    // The side that answers is not told what was left alone because it is too young for the other.
    if (role === 'responder' || prefix !== undefined || outcome.refusal !== undefined) return
    const { metrics, events, logger } = this.#ports
    // Before the peer has answered with its own numbers nothing was compared.
    const compared = outcome.result !== 'failed' || outcome.peerCount !== null
    if (!compared) return
    const moved = outcome.accepted + outcome.taken
    const change = this.#stuck.note(peer, space.id, {
      differed: outcome.result !== 'equal',
      moved,
      waiting: outcome.settling
    })
    if (change === undefined) return
    const detail = `space ${space.options.name} and peer ${peer}`
    if (change === 'stuck') {
      metrics.count('chrysalis_recon_stuck_total')
      logger.log('warn', 'two sets stay different and nothing moves', { peer, space: space.id })
      events.emit({ type: 'node', what: 'recon-stuck', detail: `${detail} stay different and nothing moves` })
    } else {
      logger.log('info', 'a difference that did not go away is moving again', { peer, space: space.id })
      events.emit({ type: 'node', what: 'recon-moving', detail: `${detail} agree again, or are getting there` })
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const rhythm of this.#rhythms.values()) rhythm.cancel?.()
    this.#catchUp.stop()
    await this.#sessions.settled()
  }
}

/** What the end of a session means for the pace. */
export function beatOf(outcome: SessionOutcome): Beat {
  if (outcome.refusal === 'busy') return 'busy'
  if (outcome.result === 'failed') return 'failed'
  if (outcome.result === 'equal') return 'equal'
  // What only has to settle is not worth another session now.
  const isUnfinished = outcome.cut || (outcome.result === 'partial' && outcome.settling === 0)
  return isUnfinished && outcome.accepted + outcome.taken > 0 ? 'onward' : 'different'
}
