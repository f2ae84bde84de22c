/** What gossipsub knows of its links, for watchdog.ts: who should have one, and who has. */
import type { Libp2p } from '@libp2p/interface'
import type { PeerId } from '../../ports/network.ts'
import { parsePeer } from './addresses.ts'
import type { Gossipsub } from './gossip-channel.ts'

/** Those of `connected` that announced a version of meshsub. */
export async function gossipSpeakers(node: Pick<Libp2p, 'peerStore'>, connected: Iterable<PeerId>): Promise<PeerId[]> {
  const speakers: PeerId[] = []
  for (const peer of connected) {
    const protocols = await node.peerStore.get(parsePeer(peer)).then(
      (record) => record.protocols,
      () => []
    )
    if (protocols.some((protocol) => protocol.startsWith('/meshsub/'))) speakers.push(peer)
  }
  return speakers
}

/** Frames flow both ways only when the peer is in all three tables. */
export function isLinked(gossip: Gossipsub, peer: PeerId): boolean {
  return gossip.peers.has(peer) && gossip.streamsInbound.has(peer) && gossip.streamsOutbound.has(peer)
}
