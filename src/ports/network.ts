/**
 * Other daemons. A peer is named by its peer id; what it hands over is bytes and nothing it says is believed.
 *
 * Three ways to speak: `publish` to everyone who listens to a topic (fast, may lose), a `Channel` to one peer (frames in
 * order, bounded, with deadlines), and `report` to say how a peer behaved.
 */
export type PeerId = string

/** What becomes of a published message: forwarded, dropped quietly, or dropped and held against the forwarder. */
export type Verdict = 'accept' | 'ignore' | 'reject'

/** Judges one message. `bytes` is the handler's own copy. Must resolve within 100 ms on an idle machine. */
export type TopicHandler = (bytes: Uint8Array, from: PeerId) => Promise<Verdict>

export interface Channel {
  readonly peer: PeerId
  /** Resolves when the frame was taken by the transport. Rejects with `too_large`, `timeout` or `unavailable`. */
  send(frame: Uint8Array): Promise<void>
  /** The next frame, or undefined when the peer has finished. Rejects with `timeout`, `too_large` or `unavailable`. */
  receive(): Promise<Uint8Array | undefined>
  /** Finishes politely; idempotent. */
  close(): Promise<void>
  /** Gives up at once; idempotent. */
  abort(reason: string): void
}

export type ChannelHandler = (channel: Channel) => Promise<void>

export interface PeerInfo {
  readonly peer: PeerId
  readonly addresses: readonly string[]
  readonly connected: boolean
  /** Shares at least one of our topics in its subscriptions. */
  readonly topics: readonly string[]
  readonly direction: 'inbound' | 'outbound' | 'none'
  readonly score: number
  readonly bannedUntilMs: number
  readonly source: 'connected' | 'saved' | 'mdns' | 'dht' | 'bootstrap'
}

export type Offence =
  /** Bytes no honest daemon sends: bad signature, wrong encoding, oversize. */
  | 'invalid'
  /** Broke a protocol: answered what was not asked, lied about counts. */
  | 'protocol'
  /** Did not answer in time. Weak: honest peers are slow sometimes. */
  | 'timeout'
  /** More than its share. */
  | 'flood'

export type NetworkEvent =
  | { readonly type: 'peer-connected'; readonly peer: PeerId }
  | { readonly type: 'peer-disconnected'; readonly peer: PeerId }
  | { readonly type: 'peer-subscribed'; readonly peer: PeerId; readonly topic: string }
  | { readonly type: 'peer-banned'; readonly peer: PeerId; readonly reason: string }

export interface Network {
  readonly self: PeerId
  /** Addresses others can dial, peer id included. Empty before `start`. */
  addresses(): readonly string[]
  start(): Promise<void>
  /** Closes every channel and waits for handlers in flight. Idempotent. */
  stop(): Promise<void>
  /** At most one handler a topic. */
  subscribe(topic: string, handler: TopicHandler): void
  unsubscribe(topic: string): void
  /** Peers the message was handed to; 0 when nobody listens, which is no error. Rejects with `too_large`. */
  publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }>
  /** Serves a protocol; more than the bounded number of concurrent channels are refused. */
  serve(protocol: string, handler: ChannelHandler): void
  /**
   * Opens a channel. A known peer that is not connected is dialled first, at the addresses it was met at or told of.
   * Rejects with `unavailable` or `timeout`.
   */
  open(peer: PeerId, protocol: string): Promise<Channel>
  peers(): readonly PeerInfo[]
  /** Dials a multiaddr and keeps the peer. Rejects with `unavailable`, `timeout`, `denied` or `invalid_argument`. */
  connect(address: string): Promise<PeerId>
  disconnect(peer: PeerId): Promise<void>
  report(peer: PeerId, offence: Offence, detail: string): void
  onEvent(listener: (event: NetworkEvent) => void): () => void
}
