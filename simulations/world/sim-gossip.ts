/**
 * The real gossipsub over simulated air: the library with the daemon's own options (gossip-options.ts) behind the daemon's
 * own gates (gossip-channel.ts). What libp2p is to them, connections, streams and a registrar, is played here, by the
 * links of SimNetwork. Its timers and its chance are global, so it runs in virtual time only while the globals are
 * virtual (kernel/globals.ts).
 */
import { gossipsub } from '@libp2p/gossipsub'
import type { PeerId as LibraryPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import {
  assertFrameSize,
  assertTopicRoom,
  GossipChannel,
  type Gossipsub
} from '../../src/adapters/libp2p/gossip-channel.ts'
import { gossipOptions } from '../../src/adapters/libp2p/gossip-options.ts'
import type { PeerId, TopicHandler } from '../../src/ports/network.ts'
import { frameId, GossipStream } from './gossip-stream.ts'
import { short } from './sim-air.ts'
import type { LinkDirection, Overlay, OverlayPorts } from './sim-overlay.ts'

/** As the daemon's. */
const HEARTBEAT_MS = 500
/** A stream that was not agreed upon by then never will be; the daemon's watchdog would renew the connection. */
const NEGOTIATION_MS = 10_000

type Components = Parameters<ReturnType<typeof gossipsub>>[0]
type StreamHandler = (stream: GossipStream, connection: Connection) => void

interface Topology {
  onConnect?(peer: LibraryPeerId, connection: Connection): void
  onDisconnect?(peer: LibraryPeerId): void
}

/** What gossipsub sees of a link. */
interface Connection {
  readonly remotePeer: LibraryPeerId
  readonly remoteAddr: Multiaddr
  readonly direction: LinkDirection
  status: 'open' | 'closed'
  newStream(protocols: readonly string[]): Promise<GossipStream>
}

interface GossipLink {
  readonly connection: Connection
  readonly streams: Set<GossipStream>
  /** What gives up the streams that are being opened. */
  readonly opening: Set<() => void>
}

/** Members of the class that its interface leaves out. */
interface Startable extends Gossipsub {
  readonly status: { readonly heartbeatTimeout?: ReturnType<typeof setTimeout> }
  start(): Promise<void>
  stop(): Promise<void>
}

export class SimGossip implements Overlay {
  readonly #ports: OverlayPorts
  readonly #address: Multiaddr
  readonly #topics = new Map<string, TopicHandler>()
  readonly #links = new Map<PeerId, GossipLink>()
  readonly #handlers = new Map<string, StreamHandler>()
  readonly #topologies = new Set<Topology>()
  #gossip: Startable | undefined = undefined
  #channel: GossipChannel | undefined = undefined
  #stopped: Promise<void> = Promise.resolve()

  /** `place`: a number of its own in the world. */
  constructor(ports: OverlayPorts, place: number) {
    this.#ports = ports
    this.#address = multiaddr(`/ip4/10.${(place >> 16) & 255}.${(place >> 8) & 255}.${place & 255}/tcp/4001`)
  }

  async start(): Promise<void> {
    const { self, air } = this.#ports
    const tuning = { fanout: Math.max(2, air.options.degree - 1), heartbeatMs: HEARTBEAT_MS }
    const options = gossipOptions(tuning, (peer) => this.#ports.opinionOf(peer))
    const components = {
      peerId: peerIdFromString(self),
      registrar: {
        handle: async (protocol: string, handler: StreamHandler) => void this.#handlers.set(protocol, handler),
        unhandle: async (protocol: string) => void this.#handlers.delete(protocol),
        register: async (protocol: string, topology: Topology) => {
          this.#topologies.add(topology)
          return protocol
        },
        unregister: () => this.#topologies.clear()
      },
      connectionManager: { getConnections: () => [...this.#links.values()].map(({ connection }) => connection) },
      peerStore: { merge: async () => undefined },
      logger: { forComponent: () => SILENT }
    }
    const gossip = gossipsub(options)(components as unknown as Components) as unknown as Startable
    this.#channel = new GossipChannel(gossip, this.#ports)
    this.#gossip = gossip
    await gossip.start()
    for (const [topic, handler] of this.#topics) this.#channel.subscribe(topic, this.#watched(handler))
  }

  vanish(): void {
    const gossip = this.#gossip
    const channel = this.#channel
    this.#gossip = undefined
    this.#channel = undefined
    if (gossip === undefined || channel === undefined) return
    // Its own stop leaves the timer of the next heartbeat behind.
    const { heartbeatTimeout } = gossip.status
    this.#stopped = Promise.allSettled([channel.stop(), gossip.stop()]).then(() => undefined)
    clearTimeout(heartbeatTimeout)
  }

  async settled(): Promise<void> {
    await this.#stopped
  }

  subscribe(topic: string, handler: TopicHandler): void {
    assertTopicRoom(this.#topics, topic)
    this.#topics.set(topic, handler)
    this.#channel?.subscribe(topic, this.#watched(handler))
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic)
    this.#channel?.unsubscribe(topic)
  }

  follows(topic: string): boolean {
    return this.#topics.has(topic)
  }

  topicsOf(peer: PeerId): readonly string[] {
    return this.#channel?.topicsOf(peer) ?? []
  }

  /** Peers of the topic's mesh. */
  meshOf(topic: string): readonly PeerId[] {
    return [...(this.#gossip?.mesh.get(topic) ?? [])]
  }

  grudge(): number {
    return 0
  }

  async publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    assertFrameSize(bytes)
    if (this.#channel === undefined) return { recipients: 0 }
    const { air, self } = this.#ports
    const id = frameId(bytes)
    air.deliveries.published(id, self, air.queue.nowMs)
    air.trace.note(air.queue.nowMs, 'publish', short(self), id)
    try {
      return await this.#channel.publish(topic, bytes)
    } finally {
      air.deliveries.withdraw(id)
    }
  }

  /** The handler, with its calls written down. */
  #watched(handler: TopicHandler): TopicHandler {
    const { air, self } = this.#ports
    return async (bytes, from) => {
      const id = frameId(bytes)
      air.trace.note(air.queue.nowMs, 'hear', short(from), short(self), id)
      air.deliveries.arrived(id, self, from, air.queue.nowMs)
      const verdict = await handler(bytes, from)
      air.trace.note(air.queue.nowMs, verdict, short(self), id)
      return verdict
    }
  }

  // --- links

  onLink(peer: PeerId, direction: LinkDirection): void {
    const far = this.#ports.far(peer)
    if (!(far instanceof SimGossip)) return
    const remotePeer = peerIdFromString(peer)
    const connection: Connection = {
      remotePeer,
      remoteAddr: far.#address,
      direction,
      status: 'open',
      newStream: (protocols) => this.#open(peer, link, protocols)
    }
    const link: GossipLink = { connection, streams: new Set(), opening: new Set() }
    this.#links.set(peer, link)
    for (const topology of this.#topologies) topology.onConnect?.(remotePeer, connection)
  }

  onUnlink(peer: PeerId): void {
    const link = this.#links.get(peer)
    if (link === undefined) return
    this.#links.delete(peer)
    link.connection.status = 'closed'
    for (const giveUp of [...link.opening]) giveUp()
    for (const stream of link.streams) stream.break()
    // The registrar of libp2p would swallow what a topology throws here; a simulation is to show it.
    for (const topology of this.#topologies) topology.onDisconnect?.(link.connection.remotePeer)
  }

  /** There and back. Rejects when the other end does not speak it, when the link breaks, and after too long. */
  #open(peer: PeerId, link: GossipLink, protocols: readonly string[]): Promise<GossipStream> {
    const { air, self } = this.#ports
    return new Promise((resolve, reject) => {
      let stream: GossipStream | undefined
      let cancelPacket = (): void => undefined
      const end = (): void => {
        link.opening.delete(fail)
        cancelTimer()
        cancelPacket()
      }
      const fail = (): void => {
        end()
        stream?.break()
        reject(new Error(`no gossip stream to ${peer}`))
      }
      link.opening.add(fail)
      const cancelTimer = air.queue.after(NEGOTIATION_MS, () => {
        fail()
        this.#ports.hangUp(peer, 'no gossip stream in time')
      })
      cancelPacket = air.carry(self, peer, () => {
        const far = this.#ports.far(peer)
        stream = far instanceof SimGossip ? far.#accept(self, protocols) : undefined
        if (stream === undefined) {
          fail()
          return
        }
        const agreed = stream
        cancelPacket = air.carry(peer, self, () => {
          end()
          link.streams.add(agreed)
          resolve(agreed)
        })
      })
    })
  }

  /** The other end opens a stream; it is handed the end that sends. */
  #accept(from: PeerId, protocols: readonly string[]): GossipStream | undefined {
    const link = this.#links.get(from)
    const protocol = protocols.find((one) => this.#handlers.has(one))
    const handler = protocol === undefined ? undefined : this.#handlers.get(protocol)
    if (link === undefined || protocol === undefined || handler === undefined) return undefined
    const { near, far } = GossipStream.pair(this.#ports.air, protocol, from, this.#ports.self)
    link.streams.add(far)
    handler(far, link.connection)
    return near
  }
}

/** gossipsub tells its log a great deal; nobody reads it here. */
const SILENT = Object.assign(() => undefined, {
  error: () => undefined,
  trace: () => undefined,
  enabled: false,
  newScope: (): unknown => SILENT
})
