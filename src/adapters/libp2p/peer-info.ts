/** The list of peers as ports/network shows it: what the connections, the dialler and the address book know, joined. */
import type { Connection } from '@libp2p/interface'
import type { PeerId, PeerInfo } from '../../ports/network.ts'
import type { Dialler } from './dialler.ts'
import type { PeerScores } from './peer-scores.ts'
import type { SavedPeers } from './saved-peers.ts'

export interface PeerSources {
  readonly connections: readonly Connection[]
  readonly dialler: Dialler
  readonly saved: SavedPeers
  readonly scores: PeerScores
  readonly topicsOf: (peer: PeerId) => readonly string[]
  readonly nowMs: number
}

/** One entry for every peer that is connected, wanted or remembered. */
export function listPeers(sources: PeerSources): readonly PeerInfo[] {
  const open = new Map<PeerId, Connection>()
  for (const connection of sources.connections) {
    if (connection.status === 'open') open.set(connection.remotePeer.toString(), connection)
  }
  const wanted = sources.dialler.entries().flatMap(({ peer }) => (peer === undefined ? [] : [peer]))
  const all = new Set([...open.keys(), ...wanted, ...sources.saved.all().map(({ peer }) => peer)])
  return [...all].map((peer) => describe(sources, peer, open.get(peer)))
}

function describe(sources: PeerSources, peer: PeerId, connection: Connection | undefined): PeerInfo {
  const entry = sources.dialler.entryOf(peer)
  const addresses = new Set([...(sources.saved.get(peer)?.addresses ?? []), ...(entry?.addresses ?? [])])
  if (connection !== undefined && addresses.size === 0) addresses.add(connection.remoteAddr.toString())
  return {
    peer,
    addresses: [...addresses],
    connected: connection !== undefined,
    topics: connection === undefined ? [] : sources.topicsOf(peer),
    direction: connection?.direction ?? 'none',
    score: sources.scores.score(peer, sources.nowMs),
    bannedUntilMs: sources.scores.bannedUntilMs(peer, sources.nowMs),
    source: entry?.source ?? (connection === undefined ? 'saved' : 'connected')
  }
}
