/**
 * ports/network over libp2p: one host, its topics, its channels, the dialler that keeps it connected and the watchdog
 * that keeps its gossip alive. This file only joins them and keeps the list of peers; each thought has its own file.
 *
 * It believes nothing a peer says and keeps no state of the memory itself.
 */
import type { Connection, Libp2pEvents } from '@libp2p/interface'
import { BoundedMap } from '../../base/bounded-map.ts'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type {
  Channel,
  ChannelHandler,
  Network,
  NetworkEvent,
  Offence,
  PeerId,
  PeerInfo,
  TopicHandler
} from '../../ports/network.ts'
import { parseAddress, parsePeer, peerOfAddress, withPeer } from './addresses.ts'
import { ChannelServer } from './channel-server.ts'
import { createHost, peerIdOf, type Host } from './create-host.ts'
import { dialAndPing } from './dial.ts'
import { openError, startError } from './dial-errors.ts'
import { Dialler } from './dialler.ts'
import { assertFrameSize, assertTopicRoom, GossipChannel } from './gossip-channel.ts'
import { gossipSpeakers, isLinked } from './gossip-links.ts'
import { meshParameters } from './gossip-options.ts'
import { Liveness } from './liveness.ts'
import { withDefaults, type NetworkOptions, type NetworkPorts } from './network-options.ts'
import { listPeers } from './peer-info.ts'
import { PeerScores } from './peer-scores.ts'
import { SavedPeers } from './saved-peers.ts'
import { GossipWatchdog } from './watchdog.ts'

export type { NetworkOptions, NetworkPorts } from './network-options.ts'

const SAVE_INTERVAL_MS = 10_000
const EXPLORE_MS = 60_000

/**
 * A network that is not started. Throws `config` for a seed, fanout or heartbeat that cannot work, `invalid_argument` for a
 * bootstrap address that is none.
 */
export function createNetwork(options: NetworkOptions, ports: NetworkPorts): Network {
  return new Libp2pNetwork(options, ports)
}

class Libp2pNetwork implements Network {
  readonly self: PeerId
  readonly #options: ReturnType<typeof withDefaults>
  readonly #ports: NetworkPorts
  readonly #scores = new PeerScores(LIMITS.peerScoresMax)
  readonly #saved: SavedPeers
  readonly #dialler: Dialler
  readonly #watchdog: GossipWatchdog
  readonly #liveness: Liveness
  readonly #channels: ChannelServer
  readonly #topics = new Map<string, TopicHandler>()
  readonly #protocols = new Map<string, ChannelHandler>()
  readonly #listeners = new Set<(event: NetworkEvent) => void>()
  /** Peers the owner hung up on: they may dial us, we do not dial them. */
  readonly #unwanted = new BoundedMap<PeerId, true>(LIMITS.savedPeersMax)
  /** Peers dialled for one channel only, while there were connections enough. */
  readonly #visited = new Set<PeerId>()
  #state: 'new' | 'starting' | 'running' | 'stopped' = 'new'
  #host: Host | undefined
  #gossip: GossipChannel | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #cancelSave: () => void = () => {}

  constructor(given: NetworkOptions, ports: NetworkPorts) {
    const options = withDefaults(given)
    this.#options = options
    this.#ports = ports
    meshParameters(options)
    for (const address of options.bootstrap) parseAddress(address)
    this.self = peerIdOf(options.seed)
    this.#saved = new SavedPeers(options.savedPeersFile, ports.logger)
    this.#channels = new ChannelServer(ports, { idleMs: options.streamIdleMs, totalMs: options.streamTotalMs })
    this.#dialler = new Dialler(
      {
        self: this.self,
        target: options.connectionsTarget,
        ceiling: Math.floor((options.connectionsMax * 3) / 4),
        backoffMs: options.reconnectMs,
        backoffMsMax: LIMITS.reconnectBackoffMsMax,
        exploreMs: EXPLORE_MS
      },
      {
        clock: ports.clock,
        random: ports.random.fork('dialler'),
        dial: (addresses, peer) => this.#dial(addresses, peer),
        connected: () => this.#connected(),
        mayDial: (peer) => !this.#isBanned(peer) && !this.#unwanted.has(peer)
      }
    )
    this.#watchdog = new GossipWatchdog(
      {
        clock: ports.clock,
        connected: () => (this.#topics.size === 0 ? [] : [...this.#connected()]),
        speakers: async (peers) => gossipSpeakers(this.#running().node, peers),
        isLinked: (peer) => isLinked(this.#running().node.services.gossip, peer),
        reset: (peer) => this.#resetLink(peer)
      },
      options.linkDeadMs
    )
    this.#liveness = new Liveness(
      {
        clock: ports.clock,
        connected: () => this.#connected(),
        isOurs: (peer) =>
          this.#host?.node.getConnections(parsePeer(peer)).some(({ direction }) => direction === 'outbound') === true,
        ping: async (peer, deadlineMs) =>
          this.#host?.node.services.ping.ping(parsePeer(peer), { signal: AbortSignal.timeout(deadlineMs) }),
        giveUp: (peer) => this.#giveUp(peer)
      },
      options.livenessMs
    )
  }

  addresses(): readonly string[] {
    return this.#state === 'running' ? (this.#host?.node.getMultiaddrs().map(String) ?? []) : []
  }

  start(): Promise<void> {
    if (this.#state === 'new') {
      this.#state = 'starting'
      this.#starting = this.#start()
      return this.#starting
    }
    const message = `The network is ${this.#state} already. Nothing was changed.`
    return Promise.reject(
      new ChrysalisError('invalid_state', message, { hint: 'Create a new network to start again.' })
    )
  }

  async #start(): Promise<void> {
    try {
      await this.#saved.load()
      this.#host = await createHost({
        ...this.#options,
        gossip: this.#options,
        score: (peer) => this.#scores.score(peer, this.#ports.clock.nowMs()),
        isBanned: (peer) => this.#isBanned(peer),
        onDiscovered: (peer, addresses, source) => this.#dialler.know(peer, addresses, source)
      })
      await this.#open(this.#host)
    } catch (error) {
      this.#state = 'stopped'
      await this.#host?.stop().catch(() => undefined)
      throw startError(error, this.#options.listen)
    }
  }

  async #open(host: Host): Promise<void> {
    const { node } = host
    node.addEventListener('peer:connect', this.#onConnect)
    node.addEventListener('peer:disconnect', this.#onDisconnect)
    node.addEventListener('peer:identify', this.#onIdentify)
    node.addEventListener('connection:open', this.#onConnection)
    for (const [protocol, handler] of this.#protocols) await this.#handle(host, protocol, handler)
    // Its gates must stand before the first peer can speak.
    const gossip = new GossipChannel(node.services.gossip, {
      logger: this.#ports.logger,
      metrics: this.#ports.metrics,
      report: (peer, offence, detail) => this.report(peer, offence, detail),
      emit: (event) => this.#emit(event)
    })
    await node.start()
    for (const [topic, handler] of this.#topics) gossip.subscribe(topic, handler)
    this.#gossip = gossip
    this.#state = 'running'
    for (const address of this.#options.bootstrap) {
      this.#dialler.know(peerOfAddress(parseAddress(address)), [address], 'bootstrap', true)
    }
    for (const { peer, addresses } of this.#saved.all()) this.#dialler.know(peer, addresses, 'saved')
    this.#dialler.start()
    this.#watchdog.start()
    this.#liveness.start()
    this.#armSave()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    await this.#starting?.catch(() => undefined)
    const running = this.#state === 'running'
    this.#state = 'stopped'
    this.#cancelSave()
    this.#watchdog.stop()
    this.#liveness.stop()
    if (!running || this.#host === undefined) return
    const dialler = this.#dialler.stop()
    await this.#channels.stop()
    await this.#gossip?.stop()
    await this.#host.stop()
    await dialler
    await this.#saved.save()
    this.#listeners.clear()
  }

  subscribe(topic: string, handler: TopicHandler): void {
    assertTopicRoom(this.#topics, topic)
    this.#topics.set(topic, handler)
    this.#gossip?.subscribe(topic, handler)
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic)
    this.#gossip?.unsubscribe(topic)
  }

  async publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    assertFrameSize(bytes)
    if (this.#state !== 'running' || this.#gossip === undefined) return { recipients: 0 }
    return this.#gossip.publish(topic, bytes)
  }

  serve(protocol: string, handler: ChannelHandler): void {
    this.#protocols.set(protocol, handler)
    const host = this.#host
    if (host === undefined || this.#state === 'stopped') return
    this.#handle(host, protocol, handler).catch((error: unknown) => {
      this.#ports.logger.log('error', 'a protocol is not served', { protocol, error: messageOf(error) })
    })
  }

  async #handle(host: Host, protocol: string, handler: ChannelHandler): Promise<void> {
    // libp2p counts per connection and resets without a trace; the real bounds, which are counted, stand below these.
    const maxInboundStreams = 2 * LIMITS.inboundStreamsPerProtocolMax
    await host.node.handle(
      protocol,
      (stream, connection) => this.#channels.accept(protocol, handler, stream, connection),
      { maxInboundStreams, force: true }
    )
  }

  async open(peer: PeerId, protocol: string): Promise<Channel> {
    const { node } = this.#running()
    try {
      if (!this.#connected().has(peer)) await this.#visit(peer)
      const signal = AbortSignal.timeout(LIMITS.dialTimeoutMs)
      const stream = await node.dialProtocol(parsePeer(peer), protocol, { signal })
      return this.#channels.adopt(stream, peer, () => this.#leave(peer))
    } catch (error) {
      throw openError(error, peer)
    }
  }

  /** Dials a known peer for one channel. */
  async #visit(peer: PeerId): Promise<void> {
    if (this.#unwanted.has(peer)) {
      throw new ChrysalisError('unavailable', `${peer} was disconnected by hand. Nothing was changed.`, {
        hint: 'Connect to it again first.'
      })
    }
    const addresses = new Set([
      ...(this.#saved.get(peer)?.addresses ?? []),
      ...(this.#dialler.entryOf(peer)?.addresses ?? [])
    ])
    const isCrowded = this.#connected().size >= this.#options.connectionsTarget
    await this.#dial([...addresses].slice(0, LIMITS.addressesPerPeerMax), peer)
    if (isCrowded) this.#visited.add(peer)
  }

  /** A visit does not make one connection more for ever: with enough of them it ends with its channel. */
  #leave(peer: PeerId): void {
    if (this.#visited.delete(peer) && this.#connected().size > this.#options.connectionsTarget) this.#hangUp(peer)
  }

  peers(): readonly PeerInfo[] {
    return listPeers({
      connections: this.#connections(),
      dialler: this.#dialler,
      saved: this.#saved,
      scores: this.#scores,
      topicsOf: (peer) => this.#gossip?.topicsOf(peer) ?? [],
      nowMs: this.#ports.clock.nowMs()
    })
  }

  async connect(address: string): Promise<PeerId> {
    const target = parseAddress(address)
    this.#running()
    const named = peerOfAddress(target)
    if (named !== undefined) this.#unwanted.delete(named)
    const peer = await this.#dial([address], named)
    this.#unwanted.delete(peer)
    this.#dialler.know(peer, [address], 'connected', true)
    this.#dialler.onConnected(peer)
    return peer
  }

  async #dial(addresses: readonly string[], peer: PeerId | undefined): Promise<PeerId> {
    const { node } = this.#running()
    try {
      return await dialAndPing(node, addresses, peer)
    } catch (error) {
      this.#ports.metrics.count('chrysalis_dials_failed_total')
      this.#ports.logger.log('debug', 'a dial failed', { peer, error: messageOf(error) })
      throw error
    }
  }

  async disconnect(peer: PeerId): Promise<void> {
    const { node } = this.#running()
    this.#unwanted.set(peer, true)
    this.#dialler.forget(peer)
    this.#saved.forget(peer)
    await node.hangUp(parsePeer(peer))
  }

  report(peer: PeerId, offence: Offence, detail: string): void {
    const nowMs = this.#ports.clock.nowMs()
    const wasBanned = this.#isBanned(peer)
    const sanction = this.#scores.record(peer, offence, nowMs)
    this.#ports.metrics.count(`chrysalis_peer_offence_${offence}_total`)
    this.#ports.logger.log('debug', 'a peer was reported', { peer, offence, detail })
    if (sanction === 'none') return
    this.#hangUp(peer)
    if (sanction !== 'ban' || wasBanned) return
    this.#ports.metrics.count('chrysalis_peer_bans_total')
    this.#ports.logger.log('warn', 'a peer was banned', { peer, offence, detail })
    this.#emit({ type: 'peer-banned', peer, reason: detail })
  }

  onEvent(listener: (event: NetworkEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly #onConnect = (event: Libp2pEvents['peer:connect']): void => {
    const peer = event.detail.toString()
    this.#dialler.onConnected(peer)
    this.#emit({ type: 'peer-connected', peer })
  }

  readonly #onDisconnect = (event: Libp2pEvents['peer:disconnect']): void => {
    const peer = event.detail.toString()
    this.#visited.delete(peer)
    this.#emit({ type: 'peer-disconnected', peer })
    this.#dialler.onDisconnected(peer)
  }

  /** Now the peer has proven its key and told where it listens: worth remembering. */
  readonly #onIdentify = (event: Libp2pEvents['peer:identify']): void => {
    const { peerId, listenAddrs } = event.detail
    const peer = peerId.toString()
    if (this.#unwanted.has(peer)) return
    const addresses = listenAddrs.map((address) => withPeer(address, peer).toString())
    this.#saved.note(peer, addresses, this.#ports.clock.nowMs())
    this.#dialler.know(peer, addresses, 'connected')
  }

  /** Two daemons that dial each other at once get two connections; a third is waste or an attack. */
  readonly #onConnection = (event: Libp2pEvents['connection:open']): void => {
    const connection = event.detail
    const others = this.#host?.node.getConnections(connection.remotePeer).filter((other) => other.id !== connection.id)
    if ((others?.length ?? 0) < LIMITS.connectionsPerPeerMax) return
    this.#ports.metrics.count('chrysalis_connections_surplus_total')
    connection.abort(new Error('too many connections of one peer'))
  }

  #resetLink(peer: PeerId): void {
    this.#ports.metrics.count('chrysalis_gossip_links_reset_total')
    this.#ports.logger.log('warn', 'a gossip link was dead; its connection is renewed', { peer })
    this.#hangUp(peer)
  }

  #giveUp(peer: PeerId): void {
    this.#ports.metrics.count('chrysalis_peers_given_up_total')
    this.#ports.logger.log('info', 'a peer no longer answers; its connection is closed', { peer })
    this.#hangUp(peer)
  }

  #hangUp(peer: PeerId): void {
    this.#host?.node.hangUp(parsePeer(peer)).catch((error: unknown) => {
      this.#ports.logger.log('debug', 'hanging up failed', { peer, error: messageOf(error) })
    })
  }

  #connections(): Connection[] {
    return this.#state === 'running' ? (this.#host?.node.getConnections() ?? []) : []
  }

  #connected(): Set<PeerId> {
    const open = this.#connections().filter((connection) => connection.status === 'open')
    return new Set(open.map((connection) => connection.remotePeer.toString()))
  }

  #isBanned(peer: PeerId): boolean {
    return this.#scores.isBanned(peer, this.#ports.clock.nowMs())
  }

  #running(): Host {
    if (this.#host !== undefined && this.#state === 'running') return this.#host
    throw new ChrysalisError('unavailable', 'The network is not running. Nothing was changed.', {
      hint: 'Start the daemon first.'
    })
  }

  #armSave(): void {
    this.#cancelSave = this.#ports.clock.setTimer(SAVE_INTERVAL_MS, () => {
      void this.#saved.save()
      this.#ports.metrics.gauge('chrysalis_network_connections', this.#connected().size)
      if (this.#state === 'running') this.#armSave()
    })
  }

  #emit(event: NetworkEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event)
      } catch (error) {
        this.#ports.logger.log('error', 'a network listener failed', { event: event.type, error: messageOf(error) })
      }
    }
  }
}
