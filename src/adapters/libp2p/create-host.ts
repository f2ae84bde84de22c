/**
 * One libp2p host, put together by hand: TCP, optional pre-shared key, Noise, Yamux, identify, ping, gossipsub, and on
 * request a Kademlia table of addresses and mDNS. Every default of the library that was seen to break a network of
 * daemons is overridden here, each with its reason.
 *
 * It starts nothing by itself and dials nobody: libp2p 3 only reports discovered peers, and dialler.ts dials them.
 * Sources: libp2p specifications (noise, yamux, identify, kad-dht, pnet, gossipsub v1.1).
 */
import '../../polyfill.ts'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import type { ConnectionGater, Libp2p, PeerDiscovery, PeerId as LibraryPeerId, ServiceMap } from '@libp2p/interface'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { ping, type Ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'
import { authorToPeerId } from '../../base/peer-id.ts'
import { concatBytes, fromBase64Url, toHex, type Bytes } from '../../base/bytes.ts'
import { ChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Gossipsub } from './gossip-channel.ts'
import { gossipOptions, type GossipTuning } from './gossip-options.ts'

/** Our own tables: the public IPFS network must neither fill them nor be filled by us. */
export const KAD_PROTOCOL = '/chrysalis/kad/1.0.0'
export const MDNS_SERVICE = '_chrysalis._udp.local'

export interface HostOptions {
  /** Ed25519 seed, 32 bytes. */
  readonly seed: Bytes
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  /** Text of a pre-shared key file as bytes; undefined is an open network. */
  readonly psk: Bytes | undefined
  readonly gossip: GossipTuning
  readonly mdns: boolean
  readonly dht: boolean
  /** LevelDB directory for libp2p's own address book; in memory when undefined. */
  readonly datastoreDirectory: string | undefined
  readonly connectionsMax: number
  readonly inboundConnectionsPerSecond: number
  /** The daemon's opinion of a peer, 0 or less. */
  readonly score: (peer: string) => number
  readonly isBanned: (peer: string) => boolean
  readonly onDiscovered: (peer: string, addresses: string[], source: 'mdns' | 'dht') => void
}

export interface HostServices extends ServiceMap {
  readonly ping: Ping
  readonly gossip: Gossipsub
}

export interface Host {
  readonly node: Libp2p<HostServices>
  /** Stops the node, then its datastore; in this order, because the node writes while it stops. */
  stop(): Promise<void>
}

const PKCS8_ED25519 = new Uint8Array([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20])

/** Raw public key of a seed (RFC 8032), 32 bytes each. Throws `config` for a seed of another length. */
export function publicKeyOf(seed: Bytes): Bytes {
  if (seed.length !== 32) {
    throw new ChrysalisError(
      'config',
      `The identity seed has ${seed.length} bytes instead of 32. Nothing was started.`,
      {
        hint: 'Restore identity.key from a backup, or run `chrysalis init` in a new home.'
      }
    )
  }
  const der = Buffer.from(concatBytes(PKCS8_ED25519, seed))
  const jwk = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' })
  return fromBase64Url(String(jwk.x))
}

/** The peer id of a seed, `12D3Koo…`. */
export function peerIdOf(seed: Bytes): string {
  return authorToPeerId(toHex(publicKeyOf(seed)))
}

/** Builds the host without starting it. Rejects with `config` or `unavailable` (datastore directory). */
export async function createHost(options: HostOptions): Promise<Host> {
  const datastore = await openDatastore(options.datastoreDirectory)
  try {
    const node = await createLibp2p<HostServices>({
      start: false,
      privateKey: privateKeyFromRaw(concatBytes(options.seed, publicKeyOf(options.seed))),
      ...(datastore === undefined ? {} : { datastore }),
      nodeInfo: { name: 'chrysalis', version: '1', userAgent: 'chrysalis' },
      addresses: { listen: [...options.listen], announce: [...options.announce] },
      transports: [tcp()],
      ...(options.psk === undefined ? {} : { connectionProtector: protector(options.psk) }),
      connectionEncrypters: [noise()],
      // A window above the 4 MiB read buffer lets a peer overrun it and lose the stream.
      streamMuxers: [yamux({ maxInboundStreams: 256, streamOptions: { maxStreamWindowSize: 1_048_576 } })],
      connectionGater: gater(options),
      connectionManager: {
        maxConnections: options.connectionsMax,
        maxParallelDials: LIMITS.parallelDialsMax,
        dialTimeout: 2 * LIMITS.dialTimeoutMs,
        addressDialTimeout: LIMITS.dialTimeoutMs,
        maxPeerAddrsToDial: LIMITS.addressesPerPeerMax,
        inboundUpgradeTimeout: LIMITS.inboundUpgradeMsMax,
        // The library admits 5 a second from one address: daemons that share a host refuse each other at start.
        inboundConnectionThreshold: options.inboundConnectionsPerSecond,
        maxIncomingPendingConnections: LIMITS.pendingInboundConnectionsMax,
        // Its reconnector gives up for good after half a minute; dialler.ts does not.
        reconnectRetries: 0
      },
      // It would cut a healthy link at the first ping that is late under load. liveness.ts takes its place.
      connectionMonitor: { enabled: false, abortConnectionOnPingFailure: false },
      peerDiscovery: options.mdns ? [reportingMdns(options.onDiscovered)] : [],
      services: services(options)
    })
    if (options.dht) {
      node.addEventListener('peer:discovery', (event) => {
        options.onDiscovered(event.detail.id.toString(), event.detail.multiaddrs.map(String), 'dht')
      })
    }
    return {
      node,
      async stop() {
        await node.stop()
        await datastore?.close()
      }
    }
  } catch (error) {
    await datastore?.close()
    throw error
  }
}

function services(options: HostOptions) {
  const always = {
    identify: identify(),
    identifyPush: identifyPush(),
    // The dialler and the liveness round may ask one peer at the same moment.
    ping: ping({ maxInboundStreams: 8, maxOutboundStreams: 8 }),
    gossip: (components: Parameters<ReturnType<typeof gossipsub>>[0]) =>
      gossipsub(gossipOptions(options.gossip, options.score))(components) as unknown as Gossipsub
  }
  if (!options.dht) return always
  const dht = kadDHT({
    protocol: KAD_PROTOCOL,
    // As a mere client it answers nobody, and the default mapper drops every private address: on a LAN it would find
    // nothing and say nothing.
    clientMode: false,
    peerInfoMapper: passthroughMapper,
    // The first query runs before anyone is connected; the next one must not be five minutes away.
    querySelfInterval: 15_000
  })
  return { ...always, dht }
}

function gater(options: HostOptions): ConnectionGater {
  const banned = (peer: LibraryPeerId): boolean => options.isBanned(peer.toString())
  return {
    denyDialPeer: banned,
    denyInboundEncryptedConnection: banned,
    denyOutboundEncryptedConnection: banned,
    denyDialMultiaddr: () => false
  }
}

function protector(psk: Bytes): ReturnType<typeof preSharedKey> {
  const make = preSharedKey({ psk })
  return () => {
    try {
      return make()
    } catch (error) {
      throw new ChrysalisError('config', 'The network key cannot be read. Nothing was started.', {
        hint: 'network.key must be a libp2p pre-shared key file, version 1.0.0, base16; restore it or join again.',
        cause: error
      })
    }
  }
}

/** mDNS that names itself as the source, before libp2p mixes its findings with those of the DHT. */
function reportingMdns(onDiscovered: HostOptions['onDiscovered']) {
  return (components: Parameters<ReturnType<typeof mdns>>[0]): PeerDiscovery => {
    const discovery = mdns({ serviceTag: MDNS_SERVICE })(components)
    discovery.addEventListener('peer', (event) => {
      onDiscovered(event.detail.id.toString(), event.detail.multiaddrs.map(String), 'mdns')
    })
    return discovery
  }
}

async function openDatastore(directory: string | undefined): Promise<LevelDatastore | undefined> {
  if (directory === undefined) return undefined
  const datastore = new LevelDatastore(directory)
  try {
    await datastore.open()
  } catch (error) {
    const message = `The address database at ${directory} cannot be opened: ${messageOf(error)}. Nothing was started.`
    throw new ChrysalisError('unavailable', message, {
      hint: 'Stop the other daemon that uses it, or remove that directory: it holds only addresses and is refilled.',
      cause: error
    })
  }
  return datastore
}
