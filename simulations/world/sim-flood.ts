/**
 * A model of gossip: messages are flooded along a random mesh (sim-mesh.ts) and forwarded only by whoever accepted them, so
 * that verdicts matter. It needs no timers and no library; what it leaves out is everything gossipsub does to keep its
 * mesh in repair.
 */
import { createHash } from 'node:crypto'
import { assertFrameSize, assertTopicRoom } from '../../src/adapters/libp2p/gossip-channel.ts'
import { BoundedMap } from '../../src/base/bounded-map.ts'
import type { PeerId, TopicHandler } from '../../src/ports/network.ts'
import { short } from './sim-air.ts'
import type { Overlay, OverlayPorts } from './sim-overlay.ts'

/** Frames a simulated node remembers having heard. */
const SEEN_FRAMES_MAX = 65_536

interface Listener {
  /** Topics the peer told us it follows, and the number of that telling. */
  topics: readonly string[]
  told: number
}

export class SimFlood implements Overlay {
  readonly #ports: OverlayPorts
  readonly #topics = new Map<string, TopicHandler>()
  readonly #listeners = new Map<PeerId, Listener>()
  readonly #seen = new BoundedMap<string, true>(SEEN_FRAMES_MAX)
  readonly #rejections = new Map<PeerId, number>()
  readonly #judging = new Set<Promise<void>>()
  #running = false
  #tellings = 0

  constructor(ports: OverlayPorts) {
    this.#ports = ports
  }

  async start(): Promise<void> {
    this.#running = true
  }

  vanish(): void {
    this.#running = false
  }

  async settled(): Promise<void> {
    await Promise.allSettled([...this.#judging])
  }

  subscribe(topic: string, handler: TopicHandler): void {
    assertTopicRoom(this.#topics, topic)
    this.#topics.set(topic, handler)
    this.#tellAll()
  }

  unsubscribe(topic: string): void {
    if (this.#topics.delete(topic)) this.#tellAll()
  }

  follows(topic: string): boolean {
    return this.#topics.has(topic)
  }

  topicsOf(peer: PeerId): readonly string[] {
    return (this.#listeners.get(peer)?.topics ?? []).filter((topic) => this.#topics.has(topic))
  }

  grudge(peer: PeerId): number {
    return -(this.#rejections.get(peer) ?? 0)
  }

  async publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    assertFrameSize(bytes)
    const recipients = this.#nextHops(topic)
    if (recipients.length === 0) return { recipients: 0 }
    const { air, self } = this.#ports
    const id = frameId(topic, bytes)
    this.#seen.set(id, true)
    air.trace.note(air.queue.nowMs, 'publish', short(self), id)
    air.deliveries.published(id, self, air.queue.nowMs)
    this.#forward(topic, id, bytes.slice(), recipients)
    return { recipients: recipients.length }
  }

  /** Mesh neighbours that are known to listen; for a topic this node does not follow itself, some that do. */
  #nextHops(topic: string): PeerId[] {
    if (!this.#running) return []
    const { air, self } = this.#ports
    const listens = (peer: PeerId): boolean => this.#listeners.get(peer)?.topics.includes(topic) === true
    if (this.#topics.has(topic)) return air.meshOf(topic, self).filter(listens)
    return [...this.#listeners.keys()].filter(listens).slice(0, air.options.degree)
  }

  #forward(topic: string, id: string, bytes: Uint8Array, to: readonly PeerId[]): void {
    const { air, self } = this.#ports
    for (const peer of to) {
      air.count('gossip-payload', bytes.length)
      air.deliveries.sent(id)
      air.toss(self, peer, bytes.length, () => {
        const far = this.#ports.far(peer)
        if (far instanceof SimFlood) far.hear(topic, id, bytes, self)
      })
    }
  }

  /** A message arrives over a link; called by the other end. */
  hear(topic: string, id: string, bytes: Uint8Array, from: PeerId): void {
    const handler = this.#topics.get(topic)
    if (handler === undefined || !this.#listeners.has(from) || this.#seen.has(id)) return
    const { air, self } = this.#ports
    this.#seen.set(id, true)
    air.trace.note(air.queue.nowMs, 'hear', short(from), short(self), id)
    air.deliveries.arrived(id, self, from, air.queue.nowMs)
    const judging = this.#judge(handler, topic, id, bytes, from).finally(() => this.#judging.delete(judging))
    this.#judging.add(judging)
  }

  async #judge(handler: TopicHandler, topic: string, id: string, bytes: Uint8Array, from: PeerId): Promise<void> {
    const verdict = await handler(bytes.slice(), from).catch(() => 'ignore' as const)
    const { air, self } = this.#ports
    air.trace.note(air.queue.nowMs, verdict, short(self), id)
    if (verdict === 'reject') this.#rejections.set(from, (this.#rejections.get(from) ?? 0) + 1)
    if (verdict !== 'accept') return
    this.#forward(
      topic,
      id,
      bytes,
      this.#nextHops(topic).filter((peer) => peer !== from)
    )
  }

  onLink(peer: PeerId): void {
    this.#listeners.set(peer, { topics: [], told: 0 })
    this.#tell(peer)
  }

  onUnlink(peer: PeerId): void {
    this.#listeners.delete(peer)
  }

  #tellAll(): void {
    this.#ports.air.topologyChanged()
    for (const peer of this.#listeners.keys()) this.#tell(peer)
  }

  /** All topics at once and numbered: tellings may overtake each other. */
  #tell(peer: PeerId): void {
    const { air, self } = this.#ports
    const listener = this.#listeners.get(peer)
    const topics = [...this.#topics.keys()]
    const telling = ++this.#tellings
    const bytes = topics.reduce((sum, topic) => sum + topic.length, 0)
    air.count('gossip-control', bytes)
    air.carry(
      self,
      peer,
      () => {
        const far = this.#ports.far(peer)
        if (this.#listeners.get(peer) === listener && far instanceof SimFlood) far.told(self, topics, telling)
      },
      bytes
    )
  }

  /** The other end says what it follows. */
  told(from: PeerId, topics: readonly string[], telling: number): void {
    const listener = this.#listeners.get(from)
    if (listener === undefined || telling < listener.told) return
    const news = topics.filter((topic) => !listener.topics.includes(topic))
    listener.topics = topics
    listener.told = telling
    for (const topic of news) this.#ports.emit({ type: 'peer-subscribed', peer: from, topic })
  }
}

function frameId(topic: string, bytes: Uint8Array): string {
  return createHash('sha256').update(topic).update(bytes).digest('hex').slice(0, 16)
}
