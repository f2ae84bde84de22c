/**
 * Topics over gossipsub. A frame that arrives is copied, judged by the topic's handler, and only then forwarded: the
 * verdict goes back to gossipsub when it is there, and nothing waits for it (gossipsub v1.1, "Extended Validators").
 *
 * Two gates stand before gossipsub. Topics we do not follow are kept out of its tables, or anyone could fill them; what
 * peers said about them is remembered in a bounded list, because a topic followed later must know its listeners. A
 * frame nobody can take is not published at all: gossipsub would remember its id and refuse the next attempt in silence.
 * It does not deduplicate beyond the two minutes that gossipsub remembers: an older frame reaches the handler again.
 */
import type { GossipSub, GossipSubEvents } from '@libp2p/gossipsub'
import type { PeerScoreParams } from '@libp2p/gossipsub/score'
import type { PeerId as LibraryPeerId } from '@libp2p/interface'
import { BoundedMap } from '../../base/bounded-map.ts'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Metrics } from '../../ports/metrics.ts'
import type { NetworkEvent, Offence, PeerId, TopicHandler, Verdict } from '../../ports/network.ts'
import { topicScore } from './gossip-options.ts'

export interface GossipRpc {
  subscriptions: { topic?: string; subscribe?: boolean }[]
  messages: { topic: string }[]
  control?: unknown
}

/** The members of gossipsub that its public interface leaves out. All are public on its class. */
export interface Gossipsub extends GossipSub {
  readonly peers: ReadonlyMap<string, LibraryPeerId>
  readonly streamsInbound: ReadonlyMap<string, unknown>
  readonly streamsOutbound: ReadonlyMap<string, unknown>
  readonly mesh: ReadonlyMap<string, ReadonlySet<string>>
  readonly opts: { readonly scoreParams: PeerScoreParams }
  getScore(peer: string): number
  reportMessageValidationResult(id: string, source: string, acceptance: Verdict): void
  handleReceivedRpc(from: LibraryPeerId, rpc: GossipRpc): Promise<void>
}

export interface GossipPorts {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly report: (peer: PeerId, offence: Offence, detail: string) => void
  readonly emit: (event: NetworkEvent) => void
}

export class GossipChannel {
  readonly #gossip: Gossipsub
  readonly #ports: GossipPorts
  readonly #handlers = new Map<string, TopicHandler>()
  /** What peers listen to that we do not, so that it can be handed over when we do. */
  readonly #elsewhere = new BoundedMap<PeerId, { id: LibraryPeerId; topics: Set<string> }>(LIMITS.connectionsMax * 2)
  readonly #judging = new Set<Promise<void>>()

  constructor(gossip: Gossipsub, ports: GossipPorts) {
    this.#gossip = gossip
    this.#ports = ports
    const inner = gossip.handleReceivedRpc.bind(gossip)
    gossip.handleReceivedRpc = async (from, rpc) => inner(from, this.#admit(from, rpc))
    gossip.addEventListener('gossipsub:message', this.#onMessage)
    gossip.addEventListener('subscription-change', this.#onSubscriptionChange)
  }

  /** Follows a topic. Throws `quota` beyond the bounded number of topics. */
  subscribe(topic: string, handler: TopicHandler): void {
    assertTopicRoom(this.#handlers, topic)
    const known = this.#handlers.has(topic)
    this.#handlers.set(topic, handler)
    if (known) return
    this.#gossip.opts.scoreParams.topics[topic] = topicScore()
    this.#gossip.subscribe(topic)
    for (const [, peer] of [...this.#elsewhere.entries()]) {
      if (!peer.topics.delete(topic) || !this.#gossip.peers.has(peer.id.toString())) continue
      const rpc: GossipRpc = { subscriptions: [{ topic, subscribe: true }], messages: [] }
      this.#gossip.handleReceivedRpc(peer.id, rpc).catch((error: unknown) => {
        this.#ports.logger.log('debug', 'a remembered subscription was refused', { error: messageOf(error) })
      })
    }
  }

  unsubscribe(topic: string): void {
    if (!this.#handlers.delete(topic)) return
    // Whoever listens now may still listen when we come back, and will not say so again.
    for (const id of this.#gossip.getSubscribers(topic)) this.#remember(id, topic, true)
    this.#gossip.unsubscribe(topic)
    // The topic's score parameters stay: gossipsub looks them up, and throws without them, when a peer that gossiped here
    // disconnects later.
  }

  topicsOf(peer: PeerId): string[] {
    const topics: string[] = []
    for (const topic of this.#handlers.keys()) {
      if (this.#gossip.getSubscribers(topic).some((id) => id.toString() === peer)) topics.push(topic)
    }
    return topics
  }

  /** Rejects with `too_large`; otherwise resolves with the number of peers the frame was handed to. */
  async publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    assertFrameSize(bytes)
    const reachable = this.#gossip.getSubscribers(topic).some((id) => this.#gossip.streamsOutbound.has(id.toString()))
    if (!reachable) return { recipients: 0 }
    // gossipsub keeps the array for those who ask again; the caller keeps its own.
    const { recipients } = await this.#gossip.publish(topic, Uint8Array.from(bytes))
    this.#ports.metrics.count('chrysalis_gossip_published_total')
    return { recipients: recipients.length }
  }

  /** Waits for the verdicts in flight. */
  async stop(): Promise<void> {
    this.#gossip.removeEventListener('gossipsub:message', this.#onMessage)
    this.#gossip.removeEventListener('subscription-change', this.#onSubscriptionChange)
    await Promise.allSettled([...this.#judging])
  }

  #admit(from: LibraryPeerId, rpc: GossipRpc): GossipRpc {
    const subscriptions = rpc.subscriptions.filter(({ topic, subscribe }) => {
      if (topic === undefined) return false
      if (this.#handlers.has(topic)) return true
      this.#remember(from, topic, subscribe === true)
      return false
    })
    const messages = rpc.messages.filter(({ topic }) => this.#handlers.has(topic))
    if (messages.length < rpc.messages.length) {
      this.#ports.metrics.count('chrysalis_gossip_foreign_topic_total', rpc.messages.length - messages.length)
    }
    return { ...rpc, subscriptions, messages }
  }

  #remember(id: LibraryPeerId, topic: string, subscribed: boolean): void {
    const peer = id.toString()
    const known = this.#elsewhere.get(peer) ?? { id, topics: new Set<string>() }
    if (!subscribed) known.topics.delete(topic)
    else if (known.topics.size < LIMITS.topicsMax && topic.length <= 256) known.topics.add(topic)
    else this.#ports.metrics.count('chrysalis_gossip_topics_refused_total')
    this.#elsewhere.set(peer, known)
  }

  readonly #onSubscriptionChange = (event: GossipSubEvents['subscription-change']): void => {
    for (const { topic, subscribe } of event.detail.subscriptions) {
      if (subscribe) this.#ports.emit({ type: 'peer-subscribed', peer: event.detail.peerId.toString(), topic })
    }
  }

  readonly #onMessage = (event: GossipSubEvents['gossipsub:message']): void => {
    const { propagationSource, msgId, msg } = event.detail
    const from = propagationSource.toString()
    const handler = this.#handlers.get(msg.topic)
    this.#ports.metrics.count('chrysalis_gossip_received_total')
    if (handler === undefined || this.#judging.size >= LIMITS.verifyInFlightMax) {
      this.#ports.metrics.count('chrysalis_gossip_overflow_total')
      this.#gossip.reportMessageValidationResult(msgId, from, 'ignore')
      return
    }
    const judging = this.#judge(handler, msg.data, from)
      .then((verdict) => {
        this.#ports.metrics.count(`chrysalis_gossip_${verdict}_total`)
        this.#gossip.reportMessageValidationResult(msgId, from, verdict)
        if (verdict === 'reject') this.#ports.report(from, 'invalid', `a frame on ${msg.topic} was rejected`)
      })
      .catch((error: unknown) => {
        this.#ports.logger.log('error', 'a gossip verdict was lost', { error: messageOf(error) })
      })
      .finally(() => this.#judging.delete(judging))
    this.#judging.add(judging)
  }

  async #judge(handler: TopicHandler, data: Uint8Array, from: PeerId): Promise<Verdict> {
    if (data.byteLength > LIMITS.gossipFrameBytesMax) return 'reject'
    try {
      // The array is a view of a network buffer that is many times larger and used again: the handler gets a copy.
      return await handler(Uint8Array.from(data), from)
    } catch (error) {
      this.#ports.logger.log('error', 'a topic handler failed; the frame was ignored', { error: messageOf(error) })
      return 'ignore'
    }
  }
}

/** Throws `too_large`. */
export function assertFrameSize(bytes: Uint8Array): void {
  if (bytes.length <= LIMITS.gossipFrameBytesMax) return
  const message = `A gossip frame of ${bytes.length} bytes exceeds ${LIMITS.gossipFrameBytesMax}. Nothing was sent.`
  throw new ChrysalisError('too_large', message, { hint: 'Split the batch into smaller frames.' })
}

/** Throws `quota` when `topic` would be one topic too many. */
export function assertTopicRoom(topics: ReadonlyMap<string, unknown>, topic: string): void {
  if (topics.has(topic) || topics.size < LIMITS.topicsMax) return
  throw new ChrysalisError('quota', `This daemon follows ${topics.size} topics already. Nothing was changed.`, {
    hint: 'Leave a space before you join another one.'
  })
}
