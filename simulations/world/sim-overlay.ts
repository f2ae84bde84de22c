/**
 * What carries topics between simulated nodes, behind one interface: a model of flooding (sim-flood.ts), or the real
 * gossipsub (sim-gossip.ts). Links, addresses, bans and channels are not its concern; sim-network.ts tells it which links
 * stand.
 */
import type { Logger } from '../../src/ports/logger.ts'
import type { Metrics } from '../../src/ports/metrics.ts'
import type { NetworkEvent, Offence, PeerId, TopicHandler } from '../../src/ports/network.ts'
import type { SimAir } from './sim-air.ts'

export type LinkDirection = 'inbound' | 'outbound'

/** What an overlay needs of the network it belongs to. */
export interface OverlayPorts {
  readonly self: PeerId
  readonly air: SimAir
  readonly logger: Logger
  readonly metrics: Metrics
  /** The overlay at the other end of a link; undefined when there is none any more. */
  far(peer: PeerId): Overlay | undefined
  /** The node's opinion of a peer, 0 or less. */
  opinionOf(peer: PeerId): number
  report(peer: PeerId, offence: Offence, detail: string): void
  /** The link is of no use; it is to be broken, so that it is made anew. */
  hangUp(peer: PeerId, why: string): void
  emit(event: NetworkEvent): void
}

export interface Overlay {
  /** Nothing is heard and nothing sent before. */
  start(): Promise<void>
  /** At once, without a farewell; all links are gone already. */
  vanish(): void
  /** After `vanish`: resolves when no handler runs any more. */
  settled(): Promise<void>
  /** Throws `quota` beyond the bounded number of topics. */
  subscribe(topic: string, handler: TopicHandler): void
  unsubscribe(topic: string): void
  follows(topic: string): boolean
  publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }>
  /** Topics the peer told us it follows, and that are followed here. */
  topicsOf(peer: PeerId): readonly string[]
  /** What the overlay itself holds against a peer, 0 or less. */
  grudge(peer: PeerId): number
  /** A link stands, at both ends. */
  onLink(peer: PeerId, direction: LinkDirection): void
  onUnlink(peer: PeerId): void
}
