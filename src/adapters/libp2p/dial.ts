/**
 * One dial that means it. A peer that refuses us lets the TCP and Noise handshakes succeed and closes a moment later, so
 * a dial counts only when the peer has answered a ping over the new connection.
 */
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { LIMITS } from '../../base/limits.ts'
import type { PeerId } from '../../ports/network.ts'
import { parseAddress, parsePeer, withPeer } from './addresses.ts'
import type { HostServices } from './create-host.ts'
import { dialError, refusedError } from './dial-errors.ts'

type DiallingNode = Pick<Libp2p<HostServices>, 'dial' | 'services'>

/**
 * Dials the addresses until one answers; without any, looks the peer up. Returns the peer that answered. Rejects with
 * `denied`, `unavailable`, `timeout` or `invalid_argument`.
 */
export async function dialAndPing(
  node: DiallingNode,
  addresses: readonly string[],
  peer: PeerId | undefined
): Promise<PeerId> {
  const target = addresses[0] ?? peer ?? 'the peer'
  const targets: Multiaddr[] = addresses.map((address) => withPeer(parseAddress(address), peer))
  const signal = AbortSignal.timeout(2 * LIMITS.dialTimeoutMs)
  let connection: Connection
  try {
    connection = await node.dial(targets.length > 0 ? targets : parsePeer(peer ?? ''), { signal })
  } catch (error) {
    throw dialError(error, target)
  }
  try {
    await node.services.ping.ping(connection.remotePeer, { signal })
  } catch (error) {
    throw connection.status === 'open' ? dialError(error, target) : refusedError(error, target)
  }
  return connection.remotePeer.toString()
}
