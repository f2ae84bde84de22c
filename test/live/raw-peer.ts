/**
 * A libp2p node that obeys nothing of ours: plain gossipsub without gates, bounds or verdicts. The tests let it send
 * what no Chrysalis daemon would.
 */
import '../../src/polyfill.ts'
import { noise } from '@chainsafe/libp2p-noise'
import { gossipsub, type GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import type { encode } from 'it-length-prefixed'
import { createLibp2p } from 'libp2p'
import { messageId } from '../../src/adapters/libp2p/gossip-options.ts'

type RawGossip = GossipSub & {
  streamsOutbound: Map<string, { pushPrefixed(bytes: ReturnType<typeof encode.single>): void }>
}

export interface RawPeer {
  readonly node: Libp2p
  readonly gossip: RawGossip
  readonly address: string
  dial(address: string, force?: boolean): Promise<void>
  stop(): Promise<void>
}

/** Started, listening on loopback. `seenMs` is how long it remembers what it published. */
export async function rawPeer(seenMs = 120_000): Promise<RawPeer> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: { inboundConnectionThreshold: 1_000, maxIncomingPendingConnections: 1_000 },
    services: {
      identify: identify(),
      ping: ping({ maxInboundStreams: 8, maxOutboundStreams: 8 }),
      gossip: gossipsub({
        globalSignaturePolicy: 'StrictNoSign',
        msgIdFn: (message) => messageId(message.data),
        floodPublish: true,
        allowPublishToZeroTopicPeers: true,
        seenTTL: seenMs,
        heartbeatInterval: 200,
        scoreParams: { IPColocationFactorWeight: 0 }
      })
    }
  })
  return {
    node,
    gossip: node.services.gossip as unknown as RawGossip,
    address: node.getMultiaddrs()[0]?.toString() ?? '',
    dial: async (address, force = false) => {
      await node.dial(multiaddr(address), { force })
    },
    stop: async () => node.stop()
  }
}
