/** Multiaddrs and peer ids as text, checked. An address is worth most with the peer id at its end. */
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { ChrysalisError } from '../../base/errors.ts'
import { peerIdToAuthor } from '../../base/peer-id.ts'
import type { PeerId } from '../../ports/network.ts'

/** Throws `invalid_argument`. */
export function parseAddress(address: string): Multiaddr {
  try {
    return multiaddr(address)
  } catch (error) {
    throw new ChrysalisError('invalid_argument', `"${address}" is no multiaddr. Nothing was changed.`, {
      hint: 'An address looks like /ip4/192.168.1.7/tcp/4701/p2p/12D3Koo…; `chrysalis status` of the other daemon shows it.',
      cause: error
    })
  }
}

/** Throws `invalid_argument`. */
export function parsePeer(peer: PeerId): ReturnType<typeof peerIdFromString> {
  if (peerIdToAuthor(peer) !== undefined) return peerIdFromString(peer)
  throw new ChrysalisError('invalid_argument', `"${peer}" is no Ed25519 peer id. Nothing was changed.`, {
    hint: 'A peer id starts with 12D3Koo.'
  })
}

/** The peer id at the end of an address, if it names one. */
export function peerOfAddress(address: Multiaddr): PeerId | undefined {
  return address.getComponents().findLast((component) => component.name === 'p2p')?.value
}

/** Without the peer id at its end an address proves nothing about who answers there. */
export function withPeer(address: Multiaddr, peer: PeerId | undefined): Multiaddr {
  return peer === undefined || peerOfAddress(address) !== undefined ? address : address.encapsulate(`/p2p/${peer}`)
}
