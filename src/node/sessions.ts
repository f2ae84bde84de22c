/**
 * Sessions with peers, opened and answered: which of them may run at once, what they read and where they deliver. The
 * protocol itself is the pair of machines in sync/reconciler.ts; when to open a session, and with whom, is decided in
 * reconciliation.ts, which is told how each one ended.
 */
import { messageOf } from '../base/errors.ts'
import type { Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Channel, Network, PeerId } from '../ports/network.ts'
import type { Random } from '../ports/random.ts'
import type { Store } from '../ports/store.ts'
import type { Part } from '../sync/catch-up-plan.ts'
import { RECON_PROTOCOL } from '../sync/recon-codec.ts'
import type { SessionOutcome } from '../sync/recon-session.ts'
import { splitRangeKey } from '../sync/replica.ts'
import { readRecords, type DeltaWatch } from './deltas.ts'
import type { Intake } from './intake.ts'
import { MeteredChannel } from './metered-channel.ts'
import { requestOutline, runInitiator, runResponder } from './reconcile-driver.ts'
import type { Arrival } from './rows.ts'
import { recordsByShortIds } from './short-ids.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { SyncPeer } from './sync-api.ts'
import type { Writer } from './writer.ts'

export interface SessionPortsOfNode {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Hasher
  readonly store: Store
  readonly intake: Intake
  readonly writer: Writer
  readonly spaces: Spaces
  readonly watch?: DeltaWatch
  /** As NodeOptions.sync.sessions. */
  readonly sessions?: 'both' | 'pull' | 'push'
}

/** How a session ended, and what was true when it began. */
export interface SessionReport {
  readonly space: Space
  readonly peer: PeerId
  readonly role: 'initiator' | 'responder'
  /** Only this part of the set was compared. */
  readonly prefix: Hex | undefined
  readonly outcome: SessionOutcome
  /** Everything up to here had arrived when the session began. */
  readonly through: Arrival
  /** The newest own delta then. */
  readonly ownHead: SyncPeer['ownHead']
  /** All frames, both ways. */
  readonly bytes: number
  readonly tookMs: number
}

type Beginning = Pick<SessionReport, 'through' | 'ownHead'> & { readonly startedMs: number }

export interface CompareOptions {
  /** Differences younger than this are left to gossip. The protocol's own window when omitted. */
  readonly settlingMs?: number
  /** Nothing is expected to differ: the hello carries no cells of the sketch. */
  readonly expectEqual?: boolean
  /** Only keys with this prefix. */
  readonly prefix?: Hex
  /** Differences are found by walking the tree, without the sketch. */
  readonly walks?: boolean
}

/** A session under way. */
export interface Comparison {
  /**
   * Resolves when the peer has answered, or when it is clear that it never will. That a channel stands proves nothing: on a
   * connection that was cut without a word it is opened all the same.
   */
  readonly reached: Promise<void>
  /** Never rejects. */
  readonly report: Promise<SessionReport>
  /** Gives it up: the report says failed, or partial when something had been moved. */
  abandon(reason: string): void
}

export interface SessionHooks {
  /** Awaited before the session counts as over. Must not throw. */
  concluded(report: SessionReport): Promise<void>
  /** No session of this space is answered now. */
  isBusy(space: Space): boolean
}

export class Sessions {
  readonly #ports: SessionPortsOfNode
  readonly #hooks: SessionHooks
  /** One session a peer and space at a time; whoever asks meanwhile gets the same one. */
  readonly #running = new Map<string, Comparison>()
  /** Sessions being answered, by peer and space. */
  readonly #inbound = new Map<string, number>()

  constructor(ports: SessionPortsOfNode, hooks: SessionHooks) {
    this.#ports = ports
    this.#hooks = hooks
  }

  serve(): void {
    this.#ports.network.serve(RECON_PROTOCOL, (channel) => this.#answer(channel))
  }

  /** The session with this peer that was opened here and is not over. */
  running(space: Space, peer: PeerId): Comparison | undefined {
    return this.#running.get(`${peer}/${space.id}`)
  }

  /** Opens a session, or joins the one that runs: then the options are those of whoever opened it. */
  compare(space: Space, peer: PeerId, options: CompareOptions = {}): Comparison {
    const slot = `${peer}/${space.id}`
    const running = this.#running.get(slot)
    if (running !== undefined) return running
    let reached = (): void => undefined
    let channel: Channel | undefined
    let givenUp: string | undefined
    const comparison: Comparison = {
      reached: new Promise((resolve) => {
        reached = resolve
      }),
      report: this.#initiate(space, peer, options, {
        heard: () => reached(),
        opened: (opened) => {
          channel = opened
          if (givenUp !== undefined) channel.abort(givenUp)
        }
      }).finally(() => {
        reached()
        this.#running.delete(slot)
      }),
      abandon: (reason) => {
        givenUp = reason
        channel?.abort(reason)
      }
    }
    this.#running.set(slot, comparison)
    return comparison
  }

  async #initiate(
    space: Space,
    peer: PeerId,
    options: CompareOptions,
    on: { readonly opened: (channel: Channel) => void; readonly heard: () => void }
  ): Promise<SessionReport> {
    const { network, crypto, intake, random, store } = this.#ports
    const start = this.#start(space)
    let outcome: SessionOutcome
    let channel: MeteredChannel | undefined
    try {
      channel = new MeteredChannel(await network.open(peer, RECON_PROTOCOL), on.heard)
      on.opened(channel)
      const { walks, ...rest } = options
      const { tree, sketch } = space.replica.set.snapshot()
      const set = { tree, sketch: walks === true ? undefined : sketch }
      const session = { space: space.id, set, hasher: crypto, nonce: random.bytes(16) }
      outcome = await runInitiator(
        channel,
        { ...session, ...rest },
        {
          clock: this.#clockOf('initiator'),
          load: (keys) => this.#load(space, keys),
          loadShort: (_, shorts) => recordsByShortIds(store, space.id, shorts),
          deliver: (records) => intake.deliver(space, records, peer)
        }
      )
    } catch (error) {
      outcome = unreached(messageOf(error))
    }
    const role = 'initiator' as const
    return this.#end({ ...start, space, peer, role, prefix: options.prefix, outcome }, channel)
  }

  /**
   * What the peer has of the space, in parts of at most so many deltas. Rejects as requestOutline does, and when the peer
   * cannot be reached.
   */
  async outline(space: Space, peer: PeerId, partDeltasMax: number): Promise<readonly Part[]> {
    const { network, clock } = this.#ports
    const channel = await network.open(peer, RECON_PROTOCOL)
    return requestOutline(channel, { space: space.id, prefix: '', partDeltasMax }, { clock })
  }

  async #answer(opened: Channel): Promise<void> {
    const { crypto, network, intake, random, store } = this.#ports
    const { peer } = opened
    const channel = new MeteredChannel(opened)
    // Set before anything is loaded or delivered: the first frame names the space.
    let served: { space: Space; start: Beginning } | undefined
    const find = (id: SpaceId): ReturnType<Space['replica']['set']['snapshot']> | 'busy' | undefined => {
      const space = this.#ports.spaces.byId(id)
      if (space?.options.shared !== true) return undefined
      const slot = `${peer}/${id}`
      // Two sessions of one pair would move everything twice: of two that open at once, the lesser peer id's goes on.
      if (this.#running.has(slot) && network.self < peer) return 'busy'
      const fromPeer = this.#inbound.get(slot) ?? 0
      if (this.#inbound.size >= LIMITS.reconInboundMax || fromPeer >= LIMITS.reconInboundPerPeerMax) return 'busy'
      if (this.#hooks.isBusy(space)) return 'busy'
      this.#inbound.set(slot, fromPeer + 1)
      served = { space, start: this.#start(space) }
      return space.replica.set.snapshot()
    }
    const ended = await runResponder(
      channel,
      { hasher: crypto, find, nonce: () => random.bytes(16) },
      {
        clock: this.#clockOf('responder'),
        load: (keys) => (served === undefined ? Promise.resolve([]) : this.#load(served.space, keys)),
        loadShort: (_, shorts) =>
          served === undefined ? Promise.resolve([]) : recordsByShortIds(store, served.space.id, shorts),
        deliver: (records) =>
          served === undefined
            ? Promise.resolve({ accepted: 0, known: 0, refused: records.length })
            : intake.deliver(served.space, records, peer)
      }
    )
    if (served === undefined) return
    const { space, start } = served
    this.#inbound.delete(`${peer}/${space.id}`)
    // It was a request for an outline or for single deltas.
    if (ended === undefined) return
    const role = 'responder' as const
    await this.#end({ ...start, space, peer, role, prefix: ended.prefix, outcome: ended }, channel)
  }

  /**
   * The clock that a session tells the peer of. Where one half of sessions is switched off, whoever would receive in it
   * tells a time at which nothing is due yet: an honest peer leaves out everything, and says that it did.
   */
  #clockOf(role: SessionReport['role']): Clock {
    const { clock, sessions } = this.#ports
    const takesNothing = sessions === (role === 'initiator' ? 'push' : 'pull')
    if (!takesNothing) return clock
    return {
      nowMs: () => 0,
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, action) => clock.setTimer(delayMs, action)
    }
  }

  #start(space: Space): Beginning {
    const { replica } = space
    const { ownHead } = replica
    return {
      through: this.#ports.writer.storedArrival,
      ownHead: ownHead === null ? null : { epoch: ownHead.epoch, seq: ownHead.seq },
      startedMs: this.#ports.clock.monotonicMs()
    }
  }

  async #end(
    ended: Omit<SessionReport, 'bytes' | 'tookMs'> & Beginning,
    channel: MeteredChannel | undefined
  ): Promise<SessionReport> {
    const { startedMs, ...rest } = ended
    const tookMs = this.#ports.clock.monotonicMs() - startedMs
    const report = { ...rest, bytes: channel?.bytes ?? 0, tookMs: Math.round(tookMs) }
    await this.#hooks.concluded(report)
    return report
  }

  async #load(space: Space, keys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const rows = await readRecords(this.#ports, space.id, keys.map(splitRangeKey))
    return rows.filter((row) => row !== undefined)
  }

  /** Waits for the sessions opened here. Those answered here end with the network. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map(({ report }) => report))
  }
}

/** The peer was not even reached. */
function unreached(detail: string): SessionOutcome {
  return {
    result: 'failed',
    received: 0,
    sent: 0,
    accepted: 0,
    known: 0,
    refused: 0,
    lacked: [],
    peerHoldsAll: false,
    settling: 0,
    withheld: 0,
    metadataBytes: 0,
    compareBytes: 0,
    roundTrips: 0,
    taken: 0,
    peerCount: null,
    ownCount: 0,
    method: 'none',
    cut: false,
    detail
  }
}
