/**
 * The network port of one simulated node. Messages are flooded along a random mesh and forwarded only by whoever accepted
 * them, so that verdicts matter; channels are ordered and bounded; offences are booked by the very table the libp2p
 * adapter uses. There is no discovery: a scenario says who dials whom.
 */
import { createHash } from 'node:crypto'
import { PeerScores } from '../../src/adapters/libp2p/peer-scores.ts'
import { BoundedMap } from '../../src/base/bounded-map.ts'
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Clock } from '../../src/ports/clock.ts'
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

/** Frames a simulated node remembers having heard. */
const SEEN_FRAMES_MAX = 65_536

interface Link {
  readonly direction: 'inbound' | 'outbound'
  /** Topics the peer told us it follows, and the number of that telling. */
  topics: readonly string[]
  told: number
  readonly channels: Set<SimChannel>
}

export interface SimNetworkOptions {
  /** Deadline of one frame of a channel, virtual milliseconds. */
  readonly streamIdleMs?: number
}

export class SimNetwork implements Network {
  readonly self: PeerId
  readonly #air: SimAir
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #address: string
  readonly #links = new Map<PeerId, Link>()
  readonly #known = new Set<PeerId>()
  /** Hung up on by the owner: they may dial us, we do not dial them. */
  readonly #unwanted = new Set<PeerId>()
  readonly #topics = new Map<string, TopicHandler>()
  readonly #protocols = new Map<string, ChannelHandler>()
  readonly #serving = new Map<string, PeerId[]>()
  readonly #handling = new Set<Promise<void>>()
  readonly #seen = new BoundedMap<string, true>(SEEN_FRAMES_MAX)
  readonly #scores = new PeerScores(LIMITS.peerScoresMax)
  readonly #rejections = new Map<PeerId, number>()
  readonly #listeners = new Set<(event: NetworkEvent) => void>()
  #state: 'new' | 'running' | 'stopped' = 'new'
  #stopping: Promise<void> | undefined = undefined
  #tellings = 0

  constructor(air: SimAir, self: PeerId, clock: Clock, options: SimNetworkOptions = {}) {
    this.#air = air
    this.self = self
    this.#clock = clock
    this.#idleMs = options.streamIdleMs ?? LIMITS.streamIdleMsMax
    this.#address = `/sim/${air.nextAddress()}/p2p/${self}`
  }

  addresses(): readonly string[] {
    return this.#state === 'running' ? [this.#address] : []
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') return
    this.#state = 'running'
    this.#air.join(this)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.vanish()
    await Promise.allSettled(this.#handling)
  }

  /** As if the process had died: no farewell, and nobody waits for what was in flight. */
  vanish(): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    for (const peer of [...this.#links.keys()]) this.#unlink(peer, 'this node stopped')
    this.#air.leave(this)
    this.#listeners.clear()
  }

  // --- topics

  subscribe(topic: string, handler: TopicHandler): void {
    if (!this.#topics.has(topic) && this.#topics.size >= LIMITS.topicsMax) {
      throw new ChrysalisError('quota', `At most ${LIMITS.topicsMax} topics are followed; ${topic} is not`, {
        hint: 'Leave a space first.'
      })
    }
    this.#topics.set(topic, handler)
    this.#tellAll()
  }

  unsubscribe(topic: string): void {
    if (this.#topics.delete(topic)) this.#tellAll()
  }

  follows(topic: string): boolean {
    return this.#topics.has(topic)
  }

  async publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    if (bytes.length > LIMITS.gossipFrameBytesMax) {
      throw new ChrysalisError(
        'too_large',
        `A message has at most ${LIMITS.gossipFrameBytesMax} bytes, this one has ${bytes.length}`,
        {
          hint: 'Split it into several.'
        }
      )
    }
    const recipients = this.#nextHops(topic)
    if (recipients.length === 0) return { recipients: 0 }
    const id = messageId(topic, bytes)
    this.#seen.set(id, true)
    this.#air.trace.note(this.#air.queue.nowMs, 'publish', short(this.self), id)
    this.#forward(topic, id, bytes.slice(), recipients)
    return { recipients: recipients.length }
  }

  /** Mesh neighbours that are known to listen; for a topic this node does not follow itself, some that do. */
  #nextHops(topic: string): PeerId[] {
    if (this.#state !== 'running') return []
    const listens = (peer: PeerId): boolean => this.#links.get(peer)?.topics.includes(topic) === true
    if (this.#topics.has(topic)) return this.#air.meshOf(topic, this.self).filter(listens)
    return [...this.#links.keys()].filter(listens).slice(0, this.#air.options.degree)
  }

  #forward(topic: string, id: string, bytes: Uint8Array, to: readonly PeerId[]): void {
    for (const peer of to) {
      this.#air.toss(this.self, peer, () => {
        this.#air.at(peer)?.hear(topic, id, bytes, this.self)
      })
    }
  }

  /** A message arrives over a link; called by the other end. */
  hear(topic: string, id: string, bytes: Uint8Array, from: PeerId): void {
    const handler = this.#topics.get(topic)
    if (handler === undefined || !this.#links.has(from) || this.#seen.has(id)) return
    this.#seen.set(id, true)
    this.#air.trace.note(this.#air.queue.nowMs, 'hear', short(from), short(this.self), id)
    void this.#judge(handler, topic, id, bytes, from)
  }

  async #judge(handler: TopicHandler, topic: string, id: string, bytes: Uint8Array, from: PeerId): Promise<void> {
    const verdict = await handler(bytes.slice(), from).catch(() => 'ignore' as const)
    this.#air.trace.note(this.#air.queue.nowMs, verdict, short(this.self), id)
    if (verdict === 'reject') this.#rejections.set(from, (this.#rejections.get(from) ?? 0) + 1)
    if (verdict !== 'accept') return
    const hops = this.#nextHops(topic).filter((peer) => peer !== from)
    this.#forward(topic, id, bytes, hops)
  }

  #tellAll(): void {
    this.#air.topologyChanged()
    for (const [peer, link] of this.#links) this.#tell(peer, link)
  }

  /** All topics at once and numbered: tellings may overtake each other. */
  #tell(peer: PeerId, link: Link): void {
    const topics = [...this.#topics.keys()]
    const telling = ++this.#tellings
    this.#air.carry(this.self, peer, () => {
      if (this.#links.get(peer) === link) this.#air.at(peer)?.told(this.self, topics, telling)
    })
  }

  told(from: PeerId, topics: readonly string[], telling: number): void {
    const link = this.#links.get(from)
    if (link === undefined || telling < link.told) return
    const news = topics.filter((topic) => !link.topics.includes(topic))
    link.topics = topics
    link.told = telling
    for (const topic of news) this.#emit({ type: 'peer-subscribed', peer: from, topic })
  }

  // --- channels

  serve(protocol: string, handler: ChannelHandler): void {
    this.#protocols.set(protocol, handler)
  }

  async open(peer: PeerId, protocol: string): Promise<Channel> {
    // Known peers are dialled, but not those that were hung up on.
    if (this.#known.has(peer) && !this.#unwanted.has(peer)) await this.#dial(peer, peer)
    const link = this.#links.get(peer)
    if (link === undefined) throw unreachable(`No connection to ${peer}`)
    const far = await this.#ask(peer, () => this.#air.at(peer)?.accept(this.self, protocol, this.#idleMs))
    if (far === undefined) throw unreachable(`${peer} does not serve ${protocol} now`)
    if (this.#links.get(peer) !== link) {
      far.abort('the connection was lost')
      throw unreachable(`The connection to ${peer} was lost`)
    }
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
  accept(from: PeerId, protocol: string, idleMs: number): SimChannel | undefined {
    const handler = this.#protocols.get(protocol)
    const link = this.#links.get(from)
    const serving = this.#serving.get(protocol) ?? []
    if (handler === undefined || link === undefined) return undefined
    if (serving.length >= LIMITS.inboundStreamsPerProtocolMax) return undefined
    if (serving.filter((peer) => peer === from).length >= LIMITS.inboundStreamsPerPeerMax) return undefined
    const { near, far } = SimChannel.pair(this.#air, from, this.self, { from: idleMs, to: this.#idleMs })
    this.#serving.set(protocol, [...serving, from])
    link.channels.add(far)
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
        link.channels.delete(far)
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
    const answer = this.#banned(peer) ? 'denied' : await this.#ask(peer, () => this.#air.at(peer)?.welcome(this.self))
    if (answer === undefined) throw unreachable(`Nobody answers at ${address}`)
    if (answer === 'denied') return answer
    // Both ends at one instant: what one tells over the new link must not arrive before the other knows of it.
    this.#link(peer, 'outbound')
    this.#air.at(peer)?.called(this.self)
    return answer
  }

  /** Somebody dials this node; called by the other end. */
  welcome(from: PeerId): 'welcome' | 'denied' {
    return this.#banned(from) ? 'denied' : 'welcome'
  }

  /** The call stands; called by the other end. */
  called(from: PeerId): void {
    this.#link(from, 'inbound')
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

  #link(peer: PeerId, direction: Link['direction']): void {
    // The other end may have gone again while the answer was on its way.
    if (this.#links.has(peer) || this.#state !== 'running' || this.#air.at(peer) === undefined) return
    const link: Link = { direction, topics: [], told: 0, channels: new Set() }
    this.#links.set(peer, link)
    this.#known.add(peer)
    this.#air.topologyChanged()
    this.#air.trace.note(this.#air.queue.nowMs, 'link', short(this.self), short(peer))
    this.#emit({ type: 'peer-connected', peer })
    this.#tell(peer, link)
  }

  #unlink(peer: PeerId, why: string): void {
    const link = this.#links.get(peer)
    if (link === undefined) return
    this.#links.delete(peer)
    for (const channel of link.channels) channel.fail('unavailable', why)
    this.#air.topologyChanged()
    this.#air.trace.note(this.#air.queue.nowMs, 'unlink', short(this.self), short(peer))
    this.#emit({ type: 'peer-disconnected', peer })
    this.#air.at(peer)?.lost(this.self)
  }

  /** The other end is gone. */
  lost(peer: PeerId): void {
    this.#unlink(peer, 'the connection was lost')
  }

  peers(): readonly PeerInfo[] {
    const nowMs = this.#clock.nowMs()
    return [...this.#known].sort().map((peer) => {
      const link = this.#links.get(peer)
      return {
        peer,
        addresses: this.#air.at(peer)?.addresses() ?? [],
        connected: link !== undefined,
        topics: (link?.topics ?? []).filter((topic) => this.#topics.has(topic)),
        direction: link?.direction ?? 'none',
        score: this.#scores.score(peer, nowMs) - (this.#rejections.get(peer) ?? 0),
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

function messageId(topic: string, bytes: Uint8Array): string {
  return createHash('sha256').update(topic).update(bytes).digest('hex').slice(0, 16)
}

function unreachable(what: string): ChrysalisError {
  return new ChrysalisError('unavailable', `${what}; nothing was sent`, { hint: 'Connect to it first, or try again.' })
}
