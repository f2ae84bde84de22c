/**
 * Filling a large gap from several peers at once. When a session shows that a peer has thousands more than we do, the
 * peer is asked for an outline of its set, and the parts we lack are fetched as sessions over one part each, from up to
 * four peers side by side; sync/catch-up-plan.ts decides who does which part. An ordinary session at the end proves that
 * nothing was left out.
 *
 * Nothing is kept of it on disk. After a crash what was stored is stored, and the next outline is compared with that.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import type { Hex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { PeerId } from '../ports/network.ts'
import { CatchUpPlan, type Part } from '../sync/catch-up-plan.ts'
import type { SessionOutcome } from '../sync/recon-session.ts'
import type { Events } from './events.ts'
import type { CompareOptions, Comparison } from './sessions.ts'
import type { Space } from './space.ts'
import type { CatchUpProgress } from './sync-api.ts'

export interface CatchUpPorts {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly events: Events
  readonly sessions: {
    running(space: Space, peer: PeerId): Comparison | undefined
    compare(space: Space, peer: PeerId, options: CompareOptions): Comparison
    /** What the peer has, in parts; rejects when it does not say. */
    outline(space: Space, peer: PeerId, partDeltasMax: number): Promise<readonly Part[]>
  }
  /** Connected peers of the space. */
  readonly partners: (space: Space) => readonly PeerId[]
  /** Peers that may be in the space, also those that are not connected yet. */
  readonly known: (space: Space) => number
  /** The catch-up is over; `peer` gave the outline. */
  readonly finished: (space: Space, peer: PeerId) => void
}

interface Run {
  readonly space: Space
  readonly provider: PeerId
  readonly hadAtStart: number
  plan: CatchUpPlan | undefined
  target: number
  /** Sessions under way, by peer. */
  readonly sessions: Map<PeerId, Comparison>
  /** What there was, one entry a second, the oldest first. */
  readonly samples: { atMs: number; have: number }[]
  cancelTick: () => void
  readonly over: Promise<void>
  readonly end: () => void
}

const TICK_MS = 1_000
/** The rate is that of so many last seconds. */
const RATE_SAMPLES = 6
/** A busy peer is asked again after so long, then after twice as long, and so on up to the second number. */
const BUSY_MS = 5
const BUSY_MS_MAX = 2_000
/** A provider whose outline brought less than this part of what it promised is not believed for a while. */
const KEPT_MIN = 0.1

export class CatchUp {
  readonly #ports: CatchUpPorts
  readonly #runs = new Map<SpaceId, Run>()
  /** Peers that promised much and had little, by space, with the monotonic time until which they are not believed. */
  readonly #boasters = new BoundedMap<string, number>(LIMITS.savedPeersMax)
  #stopped = false

  constructor(ports: CatchUpPorts) {
    this.#ports = ports
  }

  isActive(space: SpaceId): boolean {
    return this.#runs.has(space)
  }

  /** Resolves when no catch-up of the space is under way. */
  async ended(space: SpaceId): Promise<void> {
    await this.#runs.get(space)?.over
  }

  /** `provider` has so many deltas more than we. Does nothing while a catch-up of the space is under way. */
  begin(space: Space, provider: PeerId, gap: number): void {
    if (this.#stopped || this.#runs.has(space.id) || this.#isBoaster(space, provider)) return
    let end = (): void => undefined
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    const have = space.replica.tree.count
    const run: Run = {
      space,
      provider,
      hadAtStart: have,
      plan: undefined,
      target: have,
      sessions: new Map(),
      samples: [{ atMs: this.#ports.clock.monotonicMs(), have }],
      cancelTick: () => undefined,
      over,
      end
    }
    this.#runs.set(space.id, run)
    void this.#prepare(run, partDeltasMax(gap, this.#ports.known(space)))
  }

  /** Ordinary sessions with it go on; only what it says it has starts no catch-up. */
  #disbelieve({ space, provider }: Run, forMs: number): void {
    this.#boasters.set(`${provider}/${space.id}`, this.#ports.clock.monotonicMs() + forMs)
  }

  #isBoaster(space: Space, peer: PeerId): boolean {
    return (this.#boasters.get(`${peer}/${space.id}`) ?? 0) > this.#ports.clock.monotonicMs()
  }

  /** Somebody who may help has come. */
  peerCame(space: Space): void {
    const run = this.#runs.get(space.id)
    if (run?.plan !== undefined) this.#recruit(run, run.plan)
  }

  async #prepare(run: Run, partDeltas: number): Promise<void> {
    const { sessions, logger } = this.#ports
    const { space, provider } = run
    try {
      const outline = await this.#patiently(() => sessions.outline(space, provider, partDeltas))
      const view = space.replica.tree.snapshot()
      const lacking = outline.filter(({ prefix, count }) => view.countAt(prefix) < count)
      for (const { prefix, count } of lacking) run.target += count - view.countAt(prefix)
      run.plan = new CatchUpPlan(lacking)
      logger.log('info', 'catching up from several peers', {
        space: space.id,
        have: run.hadAtStart,
        target: run.target,
        parts: lacking.length
      })
      this.#tell(run, 'started')
      this.#tick(run)
      this.#recruit(run, run.plan)
    } catch (error) {
      logger.log('debug', 'a peer gave no outline', { peer: provider, error: messageOf(error) })
      this.#finish(run)
    }
  }

  /** Gives every peer that may help something to do. */
  #recruit(run: Run, plan: CatchUpPlan): void {
    if (!this.#isCurrent(run)) return
    const present = this.#ports.partners(run.space)
    for (const peer of new Set([run.provider, ...present])) {
      if (present.includes(peer) && plan.join(peer)) this.#hand(run, plan, peer)
    }
    if (plan.ended) this.#finish(run)
  }

  #hand(run: Run, plan: CatchUpPlan, peer: PeerId): void {
    const part = plan.next(peer, this.#ports.clock.monotonicMs())
    if (part !== undefined) void this.#fetch(run, plan, peer, part)
  }

  async #fetch(run: Run, plan: CatchUpPlan, peer: PeerId, part: Part): Promise<void> {
    const { sessions, metrics } = this.#ports
    // A session over the whole set may still run with this peer: one at a time.
    for (let before = sessions.running(run.space, peer); before !== undefined;) {
      await before.report
      before = sessions.running(run.space, peer)
    }
    if (!this.#isCurrent(run)) return
    const outcome = await this.#session(run, peer, part)
    const have = countUnder(run.space, part.prefix)
    metrics.count('chrysalis_catch_up_parts_total')
    const isCut = (outcome.cut || outcome.result === 'partial') && outcome.accepted > 0 && outcome.detail === undefined
    const ending = outcome.result === 'failed' || outcome.detail !== undefined ? 'broken' : isCut ? 'cut' : 'agreed'
    plan.settle(peer, { have, ending })
    if (this.#isCurrent(run)) this.#recruit(run, plan)
  }

  /** The peer may not have noticed yet that the session before is over, or serve others just now. */
  async #session(run: Run, peer: PeerId, part: Part): Promise<SessionOutcome> {
    for (let pauseMs = BUSY_MS; ; pauseMs *= 2) {
      const comparison = this.#ports.sessions.compare(run.space, peer, { prefix: part.prefix, settlingMs: 0 })
      run.sessions.set(peer, comparison)
      const { outcome } = await comparison.report
      run.sessions.delete(peer)
      if (outcome.refusal !== 'busy' || pauseMs > BUSY_MS_MAX || !this.#isCurrent(run)) return outcome
      await this.#pause(pauseMs)
    }
  }

  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let pauseMs = BUSY_MS; ; pauseMs *= 4) {
      try {
        return await ask()
      } catch (error) {
        if (pauseMs > BUSY_MS_MAX || this.#stopped) throw error
      }
      await this.#pause(pauseMs)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.setTimer(ms, resolve)
    })
  }

  #isCurrent(run: Run): boolean {
    return !this.#stopped && this.#runs.get(run.space.id) === run
  }

  /** Once a second: tells how it goes, and interrupts who is too slow. */
  #tick(run: Run): void {
    run.cancelTick = this.#ports.clock.setTimer(TICK_MS, () => {
      if (!this.#isCurrent(run) || run.plan === undefined) return
      run.samples.push({ atMs: this.#ports.clock.monotonicMs(), have: run.space.replica.tree.count })
      if (run.samples.length > RATE_SAMPLES) run.samples.shift()
      for (const peer of run.plan.overdue(this.#ports.clock.monotonicMs())) {
        run.sessions.get(peer)?.abandon('the peer is slow, and another can have this part')
      }
      this.#tell(run, 'progress')
      this.#tick(run)
      this.#recruit(run, run.plan)
    })
  }

  #tell(run: Run, what: 'started' | 'progress' | 'finished'): void {
    this.#ports.events.emit({ type: 'catch-up', what, ...progressOf(run, this.#ports.clock.monotonicMs()) })
  }

  #finish(run: Run): void {
    if (!this.#isCurrent(run)) return
    const { logger, metrics } = this.#ports
    const { space, provider, plan } = run
    run.cancelTick()
    this.#runs.delete(space.id)
    if (plan === undefined) {
      this.#disbelieve(run, LIMITS.catchUpPartMsMax)
    } else {
      plan.close()
      const gained = space.replica.tree.count - run.hadAtStart
      const promised = run.target - run.hadAtStart
      if (gained === 0 || gained < promised * KEPT_MIN) this.#disbelieve(run, LIMITS.reconStrangerMsMax)
      metrics.count('chrysalis_catch_ups_total')
      const { filled, abandoned } = plan
      logger.log('info', 'caught up', { space: space.id, gained, filled, abandoned })
      this.#tell(run, 'finished')
    }
    run.end()
    this.#ports.finished(space, provider)
  }

  /** null when none is under way. */
  progress(space: SpaceId): CatchUpProgress | null {
    const run = this.#runs.get(space)
    return run?.plan === undefined ? null : progressOf(run, this.#ports.clock.monotonicMs())
  }

  /** Starts nothing more. Sessions under way end with the network. */
  stop(): void {
    this.#stopped = true
    for (const run of this.#runs.values()) {
      run.cancelTick()
      run.end()
    }
  }
}

/** Two parts or more for every peer that may help, so that a fast one can take from a slow one. */
export function partDeltasMax(gap: number, peers: number): number {
  if (peers <= 1) return LIMITS.catchUpLonePartDeltasMax
  const share = Math.ceil(gap / (2 * Math.min(peers, LIMITS.catchUpPeersMax)))
  return Math.min(LIMITS.catchUpPartDeltasMax, Math.max(LIMITS.catchUpPartDeltasMin, share))
}

function countUnder(space: Space, prefix: Hex): number {
  return space.replica.tree.snapshot().countAt(prefix)
}

function progressOf(run: Run, nowMs: number): CatchUpProgress {
  const have = run.space.replica.tree.count
  const [oldest] = run.samples
  const passedMs = nowMs - (oldest?.atMs ?? nowMs)
  const perSecond = passedMs > 0 ? Math.round(((have - (oldest?.have ?? have)) * 1_000) / passedMs) : 0
  const left = Math.max(0, run.target - have)
  const etaMs = left === 0 ? 0 : perSecond > 0 ? Math.round((left * 1_000) / perSecond) : null
  return { space: run.space.id, have, target: Math.max(run.target, have), perSecond, etaMs, peers: run.sessions.size }
}
