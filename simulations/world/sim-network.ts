/**
 * The network port of one simulated node. Links and channels are played here, ordered and bounded; topics travel over the
 * overlay of the world (sim-overlay.ts); offences are booked by the very table the libp2p adapter uses. There is no
 * discovery: a scenario says who dials whom.
 */
import { PeerScores } from '../../src/adapters/libp2p/peer-scores.ts'
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type {
  Channel,
  ChannelHandler,
  Network,
  NetworkEvent,
  Offence,
  PeerId,
  PeerInfo,
  TopicHandler
} from '../../src/ports/network.ts'
import { short, type SimAir } from './sim-air.ts'
import { SimChannel } from './sim-channel.ts'
import { SimFlood } from './sim-flood.ts'
import { SimGossip } from './sim-gossip.ts'
import type { LinkDirection, Overlay, OverlayPorts } from './sim-overlay.ts'

interface Link {
  readonly direction: LinkDirection
  /** The other end. */
  readonly far: SimNetwork
  readonly channels: Set<SimChannel>
}

export interface SimNetworkOptions {
  /** Deadline of one frame of a channel, virtual milliseconds. */
  readonly streamIdleMs?: number
  /** Where gossip counts; nowhere when omitted. */
  readonly metrics?: Metrics
}

const UNCOUNTED: Metrics = { count: () => undefined, gauge: () => undefined, snapshot: () => ({}) }

export class SimNetwork implements Network {
  readonly self: PeerId
  /** Where it is dialled, while it runs. */
  readonly address: string
  readonly #air: SimAir
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #overlay: Overlay
  readonly #links = new Map<PeerId, Link>()
  /**
   * Second connections of a peer that is linked already: another process with the same identity, which is answered, and
   * not spoken to.
   */
  readonly #doubles = new Map<SimNetwork, Set<SimChannel>>()
  /** Where each peer was met last. */
  readonly #known = new Map<PeerId, string>()
  /** Hung up on by the owner: they may dial us, we do not dial them. */
  readonly #unwanted = new Set<PeerId>()
  readonly #protocols = new Map<string, ChannelHandler>()
  readonly #serving = new Map<string, PeerId[]>()
  readonly #handling = new Set<Promise<void>>()
  readonly #scores = new PeerScores(LIMITS.peerScoresMax)
  readonly #listeners = new Set<(event: NetworkEvent) => void>()
  #state: 'new' | 'running' | 'stopped' = 'new'
  #stopping: Promise<void> | undefined = undefined

  constructor(air: SimAir, self: PeerId, clock: Clock, options: SimNetworkOptions = {}) {
    this.#air = air
    this.self = self
    this.#clock = clock
    this.#idleMs = options.streamIdleMs ?? LIMITS.streamIdleMsMax
    const place = air.nextAddress()
    this.address = `/sim/${place}/p2p/${self}`
    const ports: OverlayPorts = {
      self,
      air,
      logger: silentLogger,
      metrics: options.metrics ?? UNCOUNTED,
      far: (peer) => this.#links.get(peer)?.far.overlay,
      opinionOf: (peer) => this.#scores.score(peer, clock.nowMs()),
      report: (peer, offence, detail) => this.report(peer, offence, detail),
      hangUp: (peer, why) => this.#unlink(peer, why),
      emit: (event) => this.#emit(event)
    }
    this.#overlay = air.overlay === 'gossipsub' ? new SimGossip(ports, place) : new SimFlood(ports)
  }

  /** What carries the topics. */
  get overlay(): Overlay {
    return this.#overlay
  }

  /** Behind an address translator: it dials, but cannot be dialled. Stays so when the process restarts. */
  get unreachable(): boolean {
    return this.#air.unreachable.has(this.self)
  }

  set unreachable(is: boolean) {
    if (is) this.#air.unreachable.add(this.self)
    else this.#air.unreachable.delete(this.self)
  }

  addresses(): readonly string[] {
    return this.#state === 'running' ? [this.address] : []
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') return
    await this.#overlay.start()
    this.#state = 'running'
    this.#air.join(this)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.vanish()
    await Promise.allSettled([...this.#handling, this.#overlay.settled()])
  }

  /** As if the process had died: no farewell, and nobody waits for what was in flight. */
  vanish(): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    for (const peer of [...this.#links.keys()]) this.#unlink(peer, 'this node stopped')
    this.#overlay.vanish()
    this.#air.leave(this)
    this.#listeners.clear()
  }

  // --- topics

  subscribe(topic: string, handler: TopicHandler): void {
    this.#overlay.subscribe(topic, handler)
  }

  unsubscribe(topic: string): void {
    this.#overlay.unsubscribe(topic)
  }

  follows(topic: string): boolean {
    return this.#overlay.follows(topic)
  }

  publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    return this.#overlay.publish(topic, bytes)
  }

  // --- channels

  serve(protocol: string, handler: ChannelHandler): void {
    this.#protocols.set(protocol, handler)
  }

  async open(peer: PeerId, protocol: string): Promise<Channel> {
    // Known peers are dialled, but not those that were hung up on.
    const known = this.#known.get(peer)
    if (known !== undefined && !this.#unwanted.has(peer)) await this.#dial(peer, known)
    const link = this.#links.get(peer)
    if (link === undefined) throw unreachable(`No connection to ${peer}`)
    const far = await this.#ask(peer, () => link.far.accept(this, protocol, this.#idleMs))
    if (far === undefined) throw unreachable(`${peer} does not serve ${protocol} now`)
    if (this.#links.get(peer) !== link) {
      far.abort('the connection was lost')
      throw unreachable(`The connection to ${peer} was lost`)
    }
    for (const channel of link.channels) if (channel.isOver) link.channels.delete(channel)
    link.channels.add(far)
    return far
  }

  /** There and back: asks something of another node. Undefined when the answer is no, or when the path stays cut. */
  async #ask<T>(peer: PeerId, question: () => T | undefined): Promise<T | undefined> {
    let giveUp = (): void => undefined
    let arrivals: (() => void)[] = []
    const answered = new Promise<T | undefined>((resolve) => {
      giveUp = this.#air.queue.after(this.#idleMs, () => resolve(undefined))
      arrivals.push(
        this.#air.carry(this.self, peer, () => {
          const answer = question()
          arrivals.push(this.#air.carry(peer, this.self, () => resolve(answer)))
        })
      )
    })
    const answer = await answered
    giveUp()
    for (const cancel of arrivals) cancel()
    arrivals = []
    return answer
  }

  /** Serves a channel that `from` opens; called by the other end, which is handed its own end. */
  accept(opener: SimNetwork, protocol: string, idleMs: number): SimChannel | undefined {
    const from = opener.self
    const handler = this.#protocols.get(protocol)
    const link = this.#links.get(from)
    const serving = this.#serving.get(protocol) ?? []
    const channels = link?.far === opener ? link.channels : this.#doubles.get(opener)
    if (handler === undefined || channels === undefined) return undefined
    if (serving.length >= LIMITS.inboundStreamsPerProtocolMax) return undefined
    if (serving.filter((peer) => peer === from).length >= LIMITS.inboundStreamsPerPeerMax) return undefined
    const { near, far } = SimChannel.pair(this.#air, from, this.self, { from: idleMs, to: this.#idleMs })
    this.#serving.set(protocol, [...serving, from])
    channels.add(far)
    const handling: Promise<void> = handler(far)
      .then(
        () => far.close(),
        (error: unknown) => {
          far.abort(messageOf(error))
        }
      )
      .then(() => {
        const left = this.#serving.get(protocol) ?? []
        left.splice(left.indexOf(from), 1)
        channels.delete(far)
        this.#handling.delete(handling)
      })
    this.#handling.add(handling)
    return near
  }

  // --- peers

  async connect(address: string): Promise<PeerId> {
    const peer = /^\/sim\/\d+\/p2p\/(\w+)$/.exec(address)?.[1]
    if (peer === undefined || peer === this.self) {
      throw new ChrysalisError('invalid_argument', `${address} is no address of another simulated node`, {
        hint: 'Use one of its addresses().'
      })
    }
    if (this.#banned(peer))
      throw new ChrysalisError('denied', `${peer} is banned here`, { hint: 'Wait for the ban to end.' })
    this.#unwanted.delete(peer)
    const answer = await this.#dial(peer, address)
    if (answer === 'denied') throw new ChrysalisError('denied', `${peer} refuses us`, { hint: 'Ask its owner why.' })
    return peer
  }

  /** Rejects with `unavailable` when nobody answers. */
  async #dial(peer: PeerId, address: string): Promise<'welcome' | 'denied'> {
    if (this.#state !== 'running') throw unreachable('This node is not running')
    if (this.#links.has(peer)) return 'welcome'
    const answer = this.#banned(peer) ? 'denied' : await this.#ask(peer, () => this.#air.at(address)?.welcome(this))
    if (answer === undefined) throw unreachable(`Nobody answers at ${address}`)
    if (answer === 'denied') return answer
    // Both ends at one instant: what one tells over the new link must not arrive before the other knows of it.
    this.#link(answer, 'outbound')
    answer.called(this)
    return 'welcome'
  }

  /** Somebody dials this node; called by the other end. Undefined: nobody is at home to whoever dials. */
  welcome(dialler: SimNetwork): SimNetwork | 'denied' | undefined {
    if (this.unreachable) return undefined
    return this.#banned(dialler.self) ? 'denied' : this
  }

  /** The call stands; called by the other end. */
  called(dialler: SimNetwork): void {
    const link = this.#links.get(dialler.self)
    if (link === undefined) this.#link(dialler, 'inbound')
    else if (link.far !== dialler && this.#doublesOf(dialler.self).length + 1 < LIMITS.connectionsPerPeerMax) {
      this.#doubles.set(dialler, new Set())
    }
  }

  #doublesOf(peer: PeerId): SimNetwork[] {
    return [...this.#doubles.keys()].filter(({ self }) => self === peer)
  }

  async disconnect(peer: PeerId): Promise<void> {
    this.#unwanted.add(peer)
    this.#unlink(peer, 'disconnected')
  }

  isLinked(peer: PeerId): boolean {
    return this.#links.has(peer)
  }

  #banned(peer: PeerId): boolean {
    return this.#scores.isBanned(peer, this.#clock.nowMs())
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  #link(far: SimNetwork, direction: LinkDirection): void {
    const peer = far.self
    // Either end may have gone again while the answer was on its way.
    if (this.#links.has(peer) || !this.isRunning || !far.isRunning) return
    this.#links.set(peer, { direction, far, channels: new Set() })
    this.#known.set(peer, far.address)
    this.#air.topologyChanged()
    this.#air.trace.note(this.#air.queue.nowMs, 'link', short(this.self), short(peer))
    this.#emit({ type: 'peer-connected', peer })
    this.#overlay.onLink(peer, direction)
  }

  #unlink(peer: PeerId, why: string): void {
    const link = this.#links.get(peer)
    if (link === undefined) return
    this.#links.delete(peer)
    for (const channel of link.channels) channel.fail('unavailable', why)
    this.#overlay.onUnlink(peer)
    this.#air.topologyChanged()
    this.#air.trace.note(this.#air.queue.nowMs, 'unlink', short(this.self), short(peer))
    this.#emit({ type: 'peer-disconnected', peer })
    link.far.#lostTo(this)
    for (const double of this.#doublesOf(peer)) {
      this.#lostTo(double)
      double.#lostTo(this)
    }
  }

  /** The connection breaks, at both ends. */
  lost(peer: PeerId): void {
    this.#unlink(peer, 'the connection was lost')
  }

  /** The other end is gone. */
  #lostTo(far: SimNetwork): void {
    for (const channel of this.#doubles.get(far) ?? []) channel.fail('unavailable', 'the connection was lost')
    this.#doubles.delete(far)
    if (this.#links.get(far.self)?.far === far) this.lost(far.self)
  }

  peers(): readonly PeerInfo[] {
    const nowMs = this.#clock.nowMs()
    return [...this.#known.keys()].sort().map((peer) => {
      const link = this.#links.get(peer)
      return {
        peer,
        addresses: this.#air.at(this.#known.get(peer) ?? '')?.addresses() ?? [],
        connected: link !== undefined,
        topics: this.#overlay.topicsOf(peer),
        direction: link?.direction ?? 'none',
        score: this.#scores.score(peer, nowMs) + this.#overlay.grudge(peer),
        bannedUntilMs: this.#scores.bannedUntilMs(peer, nowMs),
        source: link === undefined ? 'saved' : 'connected'
      }
    })
  }

  report(peer: PeerId, offence: Offence, detail: string): void {
    const nowMs = this.#clock.nowMs()
    const already = this.#scores.isBanned(peer, nowMs)
    const sanction = this.#scores.record(peer, offence, nowMs)
    this.#air.trace.note(this.#air.queue.nowMs, 'report', short(this.self), short(peer), offence, sanction)
    if (sanction === 'none') return
    if (sanction === 'ban' && !already) this.#emit({ type: 'peer-banned', peer, reason: detail })
    this.#unlink(peer, detail)
  }

  onEvent(listener: (event: NetworkEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  #emit(event: NetworkEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}

function unreachable(what: string): ChrysalisError {
  return new ChrysalisError('unavailable', `${what}; nothing was sent`, { hint: 'Connect to it first, or try again.' })
}
