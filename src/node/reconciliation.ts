/**
 * Anti-entropy: gossip is the fast path, this is the correct one. On every connection, and then at the pace of
 * sync/pace.ts, each shared space is compared with one random peer that listens to it; a failure is followed by another
 * peer within a second. What a session proves about the peer goes into the receipts.
 *
 * The protocol itself is the pair of machines in sync/reconciler.ts; here are only partners, timers and bounds.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import { topicOf } from '../memory/names.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Channel, Network, PeerId } from '../ports/network.ts'
import type { Random } from '../ports/random.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import { Pace } from '../sync/pace.ts'
import { RECON_PROTOCOL } from '../sync/recon-codec.ts'
import type { SessionOutcome } from '../sync/recon-session.ts'
import { splitRangeKey } from '../sync/replica.ts'
import { bytesToUint } from '../base/bytes.ts'
import type { SyncPeer } from './api.ts'
import { soundRows } from './deltas.ts'
import type { Events } from './events.ts'
import type { Intake } from './intake.ts'
import type { NodeOptions } from './options.ts'
import { runInitiator, runResponder } from './reconcile-driver.ts'
import { deltaKey, rangeRowKey, type Arrival } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { Writer } from './writer.ts'

export interface ReconciliationPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Hasher
  readonly store: Store
  readonly metrics: Metrics
  readonly logger: Logger
  readonly intake: Intake
  readonly writer: Writer
  readonly events: Events
  readonly spaces: Spaces
}

const AWAIT_POLL_MS = 100

interface PeerRecord {
  lastSessionMs: number | null
  lastResult: SyncPeer['lastResult']
  received: number
  sent: number
  failures: number
}

interface Rhythm {
  readonly pace: Pace
  cancel: (() => void) | undefined
  dueMs: number
  last: 'equal' | 'different' | 'failed' | undefined
  /** Peer of the last failure, so that the retry asks somebody else. */
  failedPeer: PeerId | undefined
}

export class Reconciliation {
  readonly #options: NodeOptions['sync']
  readonly #ports: ReconciliationPorts
  readonly #rhythms = new Map<SpaceId, Rhythm>()
  readonly #peers = new BoundedMap<string, PeerRecord>(LIMITS.savedPeersMax)
  /** One session a peer and space at a time; whoever asks meanwhile gets the same one. */
  readonly #running = new Map<string, Promise<SessionOutcome>>()
  /** Sessions being answered, by peer and space. */
  readonly #inbound = new Map<string, number>()
  #stopped = false

  constructor(options: NodeOptions['sync'], ports: ReconciliationPorts) {
    this.#options = options
    this.#ports = ports
  }

  start(): void {
    this.#ports.network.serve(RECON_PROTOCOL, (channel) => this.#answer(channel))
    for (const space of this.#ports.spaces.all) {
      if (!space.options.shared) continue
      const pace = new Pace(
        { intervalMs: this.#options.reconcileIntervalMs, intervalMsMax: this.#options.reconcileIntervalMsMax },
        { random: this.#ports.random.fork(`pace/${space.id}`) }
      )
      this.#rhythms.set(space.id, { pace, cancel: undefined, dueMs: Infinity, last: undefined, failedPeer: undefined })
      this.#schedule(space, pace.next(undefined))
    }
  }

  /** A peer has come that listens to this topic: compare soon, not at the next beat. */
  peerSubscribed(topic: string): void {
    const space = this.#ports.spaces.all.find((one) => one.options.shared && topicOf(one.id) === topic)
    if (space !== undefined) this.#schedule(space, 50 + this.#ports.random.below(200))
  }

  /** Something new was written here. */
  hurry(space: Space): void {
    const rhythm = this.#rhythms.get(space.id)
    if (rhythm !== undefined) this.#schedule(space, rhythm.pace.hurry())
  }

  /** Runs a session now with every connected peer of the spaces, or with one of them. */
  async now(
    spaces: readonly Space[],
    peer: PeerId | undefined
  ): Promise<{ peer: PeerId; space: Space; outcome: SessionOutcome }[]> {
    const sessions: Promise<{ peer: PeerId; space: Space; outcome: SessionOutcome }>[] = []
    for (const space of spaces) {
      if (!space.options.shared) continue
      for (const candidate of peer === undefined ? this.#partners(space) : [peer]) {
        sessions.push(this.session(space, candidate, 0).then((outcome) => ({ peer: candidate, space, outcome })))
      }
    }
    return Promise.all(sessions)
  }

  /**
   * Resolves once `count` peers are known to hold everything up to the arrival. Sessions are started for it, each with
   * the newest deltas included. Rejects with `timeout`; the write itself stands.
   */
  async awaitHolders(space: Space, arrival: Arrival, count: number, timeoutMs: number): Promise<void> {
    const { clock } = this.#ports
    const deadlineMs = clock.monotonicMs() + timeoutMs
    while (space.receipts.holders(arrival) < count) {
      if (clock.monotonicMs() >= deadlineMs || this.#stopped) {
        const holders = space.receipts.holders(arrival)
        throw new ChrysalisError('timeout', `${holders} of ${count} peers hold it after ${timeoutMs} ms`, {
          stateTouched: true,
          hint: 'It is on this disk and will spread when peers are reachable; see `chrysalis sync`.'
        })
      }
      await this.now([space], undefined)
      if (space.receipts.holders(arrival) >= count) return
      await new Promise<void>((resolve) => {
        clock.setTimer(AWAIT_POLL_MS, resolve)
      })
    }
  }

  /** Connected peers that listen to the space. */
  #partners(space: Space): PeerId[] {
    const topic = topicOf(space.id)
    return this.#ports.network
      .peers()
      .filter((peer) => peer.connected && peer.topics.includes(topic))
      .map((peer) => peer.peer)
  }

  peers(): SyncPeer[] {
    return [...this.#peers.entries()].map(([slot, record]) => {
      const [peer = '', space = ''] = slot.split('/')
      const heldThrough = this.#ports.spaces.byId(space)?.receipts.through(peer) ?? 0
      return { peer, space, ...record, heldThrough: String(heldThrough) }
    })
  }

  #schedule(space: Space, delayMs: number): void {
    const rhythm = this.#rhythms.get(space.id)
    if (rhythm === undefined || this.#stopped) return
    const dueMs = this.#ports.clock.monotonicMs() + delayMs
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
    const partners = this.#partners(space)
    const others = partners.filter((peer) => peer !== rhythm.failedPeer)
    const choice = others.length > 0 ? others : partners
    const peer = choice[this.#ports.random.below(Math.max(1, choice.length))]
    if (peer === undefined) {
      rhythm.last = 'equal'
    } else {
      const outcome = await this.session(space, peer)
      rhythm.last = outcome.result === 'equal' ? 'equal' : outcome.result === 'failed' ? 'failed' : 'different'
      rhythm.failedPeer = outcome.result === 'failed' ? peer : undefined
    }
    this.#schedule(space, rhythm.pace.next(rhythm.last))
  }

  /** One session, started here. Never rejects. */
  session(space: Space, peer: PeerId, settlingMs?: number): Promise<SessionOutcome> {
    const slot = `${peer}/${space.id}`
    let session = this.#running.get(slot)
    if (session === undefined) {
      session = this.#initiate(space, peer, settlingMs).finally(() => this.#running.delete(slot))
      this.#running.set(slot, session)
    }
    return session
  }

  async #initiate(space: Space, peer: PeerId, settlingMs: number | undefined): Promise<SessionOutcome> {
    const { network, clock, crypto } = this.#ports
    const through = this.#ports.writer.storedArrival
    let outcome: SessionOutcome
    try {
      const channel = await network.open(peer, RECON_PROTOCOL)
      const session = { space: space.id, tree: space.replica.tree.snapshot(), hasher: crypto }
      outcome = await runInitiator(channel, settlingMs === undefined ? session : { ...session, settlingMs }, {
        clock,
        load: (keys) => this.#load(space, keys),
        deliver: (records) => this.#ports.intake.deliver(space, records, peer)
      })
    } catch (error) {
      outcome = unreached(messageOf(error))
    }
    await this.#conclude(space, peer, outcome, through)
    return outcome
  }

  async #answer(channel: Channel): Promise<void> {
    const { clock, crypto, network } = this.#ports
    const through = this.#ports.writer.storedArrival
    // Set before anything is loaded or delivered: the first frame names the space.
    let served: Space | undefined
    const find = (id: SpaceId): ReturnType<Space['replica']['tree']['snapshot']> | 'busy' | undefined => {
      const space = this.#ports.spaces.byId(id)
      if (space?.options.shared !== true) return undefined
      // Two sessions of one pair would move everything twice: of two that open at once, the lesser peer id's goes on.
      if (this.#running.has(`${channel.peer}/${id}`) && network.self < channel.peer) return 'busy'
      const fromPeer = this.#inbound.get(`${channel.peer}/${id}`) ?? 0
      if (this.#inbound.size >= LIMITS.reconInboundMax || fromPeer >= LIMITS.reconInboundPerPeerMax) return 'busy'
      this.#inbound.set(`${channel.peer}/${id}`, fromPeer + 1)
      served = space
      return space.replica.tree.snapshot()
    }
    const outcome = await runResponder(
      channel,
      { hasher: crypto, find },
      {
        clock,
        load: (keys) => (served === undefined ? Promise.resolve([]) : this.#load(served, keys)),
        deliver: (records) =>
          served === undefined
            ? Promise.resolve({ accepted: 0, known: 0, refused: records.length })
            : this.#ports.intake.deliver(served, records, channel.peer)
      }
    )
    if (served === undefined) return
    this.#inbound.delete(`${channel.peer}/${served.id}`)
    await this.#conclude(served, channel.peer, outcome, through)
  }

  async #load(space: Space, keys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const rows = await soundRows(
      this.#ports.store,
      'delta',
      keys.map((key) => deltaKey(space.id, splitRangeKey(key).id))
    )
    return rows.filter((row) => row !== undefined)
  }

  async #conclude(space: Space, peer: PeerId, outcome: SessionOutcome, through: number): Promise<void> {
    const { metrics, events, clock, logger, network } = this.#ports
    const record = this.#record(peer, space)
    record.lastSessionMs = clock.nowMs()
    record.lastResult = outcome.result === 'partial' ? 'repaired' : outcome.result
    record.received += outcome.received
    record.sent += outcome.sent
    metrics.count(`chrysalis_recon_sessions_${outcome.result}_total`)
    metrics.count('chrysalis_recon_metadata_bytes', outcome.metadataBytes)
    if (outcome.violation !== undefined) network.report(peer, 'protocol', outcome.violation)
    if (outcome.result === 'failed') {
      record.failures++
      logger.log('debug', 'a reconciliation session failed', { peer, detail: outcome.violation ?? outcome.detail })
    } else {
      await this.#receipts(space, peer, outcome, through)
    }
    if (outcome.result !== 'equal') {
      const { received, sent, result } = outcome
      events.emit({ type: 'sync', peer, space: space.id, result, received, sent })
    }
  }

  /** What the session proved: the peer holds all that had arrived here when it began, or it does not. */
  async #receipts(space: Space, peer: PeerId, outcome: SessionOutcome, through: number): Promise<void> {
    const writes: StoreWrite[] = []
    if (await this.#contradicts(space, peer, outcome.lacked)) {
      // It lacked what its mark says it holds: it was reset, and nothing that was known of it counts any more.
      const lowered = space.receipts.lower(peer, 1)
      if (lowered !== undefined) writes.push(lowered)
    }
    if (outcome.peerHoldsAll) {
      const raised = space.receipts.raise(peer, through)
      if (raised !== undefined) writes.push(raised)
      space.unoffered.offeredThrough(through)
    }
    if (writes.length === 0) return
    try {
      await this.#ports.store.batch(writes, { durable: false })
    } catch (error) {
      this.#ports.logger.log('debug', 'a receipt could not be stored', { error: messageOf(error) })
    }
  }

  /** Whether any of the deltas the peer lacked had arrived here before the position through which it should hold all. */
  async #contradicts(space: Space, peer: PeerId, lacked: readonly Uint8Array[]): Promise<boolean> {
    const mark = space.receipts.through(peer)
    for (let at = 0; mark > 0 && at < lacked.length; at += LIMITS.reconLoadKeysMax) {
      const keys = lacked.slice(at, at + LIMITS.reconLoadKeysMax).map((key) => rangeRowKey(space.id, key))
      const rows = await soundRows(this.#ports.store, 'range', keys)
      if (rows.some((row) => row !== undefined && Number(bytesToUint(row)) <= mark)) return true
    }
    return false
  }

  #record(peer: PeerId, space: Space): PeerRecord {
    const slot = `${peer}/${space.id}`
    let record = this.#peers.get(slot)
    if (record === undefined) {
      record = { lastSessionMs: null, lastResult: null, received: 0, sent: 0, failures: 0 }
      this.#peers.set(slot, record)
    }
    return record
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const rhythm of this.#rhythms.values()) rhythm.cancel?.()
    await Promise.allSettled(this.#running.values())
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
    roundTrips: 0,
    detail
  }
}
