/**
 * What a network can be told, field by field. The daemon's configuration fills it in; nothing here reads the
 * environment or a file.
 */
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Metrics } from '../../ports/metrics.ts'
import type { Random } from '../../ports/random.ts'
import { LIMITS } from '../../base/limits.ts'

export interface NetworkOptions {
  /** The identity: an Ed25519 seed, 32 bytes. Two daemons with one seed never find each other. */
  readonly seed: Uint8Array
  /** Multiaddrs to listen on, for example `/ip4/127.0.0.1/tcp/0`. Empty: dials, but cannot be dialled. */
  readonly listen: readonly string[]
  /** Multiaddrs told to others instead of the listening ones; for hosts behind a forwarded port. Default: none. */
  readonly announce?: readonly string[]
  /** Peers a frame is forwarded to, 2 to 12, default 3. More is faster and survives more loss, and costs as much more. */
  readonly fanout?: number
  /** Pace of mesh upkeep in milliseconds, 100 to 10000, default 500. Forwarding never waits for it. */
  readonly heartbeatMs?: number
  /** Bytes of a libp2p pre-shared key file. Undefined is an open network: anyone who knows an address may speak. */
  readonly psk?: Uint8Array | undefined
  /** Announces and looks for daemons in the local network by multicast. Default false. */
  readonly mdns?: boolean
  /** Keeps a Kademlia table of addresses and looks for daemons in it. Default false. */
  readonly dht?: boolean
  /** Multiaddrs dialled at start, and again for ever when lost. With `/p2p/<peer id>` they cannot be hijacked. */
  readonly bootstrap?: readonly string[]
  /** JSON file of the address book. Undefined: forgotten at stop. */
  readonly savedPeersFile?: string
  /** LevelDB directory of libp2p's own records. Undefined: in memory, which is enough on a desk. */
  readonly datastoreDirectory?: string
  /** Inbound connections a second from one IP address; default LIMITS.inboundConnectionsPerSecondMax. */
  readonly inboundConnectionsPerSecond?: number
  /** Connections in all; default LIMITS.connectionsMax. */
  readonly connectionsMax?: number
  /** Connections the dialler works towards; default LIMITS.connectionsTarget. */
  readonly connectionsTarget?: number
  /** Longest wait for one frame of a channel; default LIMITS.streamIdleMsMax. */
  readonly streamIdleMs?: number
  /** Longest life of a channel; default LIMITS.streamTotalMsMax. */
  readonly streamTotalMs?: number
  /** First pause before a lost peer is dialled again; default 1000. It doubles to LIMITS.reconnectBackoffMsMax. */
  readonly reconnectMs?: number
  /** How long a gossip link may be dead before its connection is renewed; default LIMITS.gossipLinkDeadMsMax. */
  readonly linkDeadMs?: number
  /**
   * Pause between two rounds of pings; default 20000. Whom we dialled is asked every round, others every third, and whoever
   * missed one every round. Three unanswered in a row end a connection.
   */
  readonly livenessMs?: number
  /** How long gossipsub remembers a frame; default 120000. */
  readonly seenMs?: number
}

/** What the owner left out, filled in. */
export function withDefaults(options: NetworkOptions) {
  return {
    announce: [],
    fanout: 3,
    heartbeatMs: 500,
    psk: undefined,
    mdns: false,
    dht: false,
    bootstrap: [],
    datastoreDirectory: undefined,
    inboundConnectionsPerSecond: LIMITS.inboundConnectionsPerSecondMax,
    connectionsMax: LIMITS.connectionsMax,
    connectionsTarget: LIMITS.connectionsTarget,
    streamIdleMs: LIMITS.streamIdleMsMax,
    streamTotalMs: LIMITS.streamTotalMsMax,
    reconnectMs: 1_000,
    ...options
  }
}

export interface NetworkPorts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
}
