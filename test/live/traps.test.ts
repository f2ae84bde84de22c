/**
 * Failures that were once seen on real libp2p, one regression test each: whole networks that went silent, links that
 * died unnoticed, daemons that refused each other. Real sockets on 127.0.0.1, no mDNS; conditions are polled, never slept
 * for.
 */
import assert from 'node:assert/strict'
import { createConnection, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { randomBytes } from 'node:crypto'
import { encode } from 'it-length-prefixed'
import type { NetworkOptions } from '../../src/adapters/libp2p/network.ts'
import { isChrysalisError, type ErrorCode } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Network, NetworkEvent } from '../../src/ports/network.ts'
import { addressOf, World, type Made } from '../conformance/network-world.ts'
import { rawPeer, type RawPeer } from './raw-peer.ts'

const TOPIC = '/chrysalis/1/ffeeddccbbaa99887766554433221100'

async function until(condition: () => boolean, what: string, looks = 1_500): Promise<void> {
  for (let look = 0; look < looks; look++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`waited in vain for: ${what}`)
}

function infoOf(network: Network, peer: string): ReturnType<Network['peers']>[number] | undefined {
  return network.peers().find((info) => info.peer === peer)
}

function connectedPeers(network: Network): number {
  return network.peers().filter(({ connected }) => connected).length
}

/** Subscribes and collects what is heard, as text. */
function listen(network: Network): string[] {
  const heard: string[] = []
  network.subscribe(TOPIC, async (bytes) => {
    heard.push(Buffer.from(bytes).toString())
    return 'accept'
  })
  return heard
}

/** A frame may meet a mesh that is still forming: fresh ones follow until the condition holds. */
async function speakUntil(
  speak: (text: string) => Promise<unknown>,
  condition: () => boolean,
  what: string
): Promise<void> {
  for (let look = 0; look < 1_500 && !condition(); look++) {
    if (look % 10 === 0) await speak(`${what} ${look}`).catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.ok(condition(), `spoke in vain: ${what}`)
}

async function rejects(promise: Promise<unknown>, codes: readonly ErrorCode[], hint?: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isChrysalisError(error), String(error))
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
    if (hint !== undefined) assert.match(error.hint ?? '', hint)
    return true
  })
}

describe('traps of libp2p', { concurrency: false }, () => {
  /** A world that ends with its test, whatever the outcome. */
  async function inWorld(body: (world: World) => Promise<void>): Promise<void> {
    const world = new World()
    try {
      await body(world)
    } finally {
      await world.stop()
    }
  }

  async function raw(world: World, seenMs?: number): Promise<RawPeer> {
    const peer = await rawPeer(seenMs)
    world.onStop(async () => peer.stop())
    return peer
  }

  it('delivers everything among 16 daemons on one host', async () =>
    inWorld(async (world) => {
      const made = await world.startMany(16)
      const heard = made.map(({ network }) => listen(network))
      for (let i = 0; i < made.length; i++) {
        const dials = made.slice(0, i).map(async ({ network }) => made[i]?.network.connect(addressOf(network)))
        await Promise.all(dials)
      }
      await until(() => made.every(({ network }) => connectedPeers(network) === 15), 'a full mesh')
      const speakers = [0, 5, 10, 15]
      for (const index of speakers) {
        const { network } = made[index] as Made
        await until(() => network.peers().every(({ topics }) => topics.includes(TOPIC)), 'all subscriptions')
        for (let i = 0; i < 5; i++) await network.publish(TOPIC, Buffer.from(`from ${index} number ${i}`))
      }
      for (let i = 0; i < heard.length; i++) {
        const expected = speakers.includes(i) ? 15 : 20
        await until(() => new Set(heard[i]).size === expected, `daemon ${i} heard ${heard[i]?.length}/${expected}`)
      }
    }))

  it('lets 20 daemons of one host dial one at the same moment', async () =>
    inWorld(async (world) => {
      const hub = await world.start()
      const made = await world.startMany(20)
      await Promise.all(made.map(async ({ network }) => network.connect(addressOf(hub.network))))
      assert.equal(connectedPeers(hub.network), 20)
    }))

  it('keeps healthy links while the machine is busy', async () =>
    inWorld(async (world) => {
      const made = await world.startMany(3, { livenessMs: 200 })
      const [a, b, c] = made.map(({ network }) => network) as [Network, Network, Network]
      const heard = [a, b, c].map(listen)
      const lost: NetworkEvent[] = []
      for (const network of [a, b, c]) {
        network.onEvent((event) => {
          if (event.type === 'peer-disconnected') lost.push(event)
        })
      }
      await a.connect(addressOf(b))
      await b.connect(addressOf(c))
      await speakUntil(
        async (text) => a.publish(TOPIC, Buffer.from(text)),
        () => (heard[2]?.length ?? 0) > 0,
        'warm up'
      )
      const filler = '.'.repeat(8_000)
      for (let i = 0; i < 200; i++) {
        await a.publish(TOPIC, Buffer.from(`load ${i} ${filler}`))
        if (i % 20 === 0) spin(400)
      }
      await until(() => heard[2]?.filter((text) => text.startsWith('load')).length === 200, 'the whole load')
      assert.deepEqual(lost, [])
      assert.ok(made.every(({ metrics }) => metrics.of('chrysalis_peers_given_up_total') === 0))
    }))

  it('hands no oversize frame to a handler, and holds it against the sender', async () =>
    inWorld(async (world) => {
      const { network } = await world.start()
      const heard = listen(network)
      const stranger = await raw(world)
      await stranger.dial(addressOf(network))
      const self = stranger.node.peerId.toString()
      await speakUntil(
        async (text) => stranger.gossip.publish(TOPIC, Buffer.from(text)),
        () => heard.length > 0,
        'small'
      )
      await stranger.gossip.publish(TOPIC, new Uint8Array(LIMITS.gossipFrameBytesMax + 1))
      await until(() => (infoOf(network, self)?.score ?? 0) < 0, 'a worse score')
      assert.ok(heard.every((text) => text.length < 100))
    }))

  it('heals a gossip link that died under a living connection', async () =>
    inWorld(async (world) => {
      const { network, metrics } = await world.start({ linkDeadMs: 400 })
      const heard = listen(network)
      const stranger = await raw(world)
      await network.connect(stranger.address)
      await speakUntil(
        async (text) => stranger.gossip.publish(TOPIC, Buffer.from(text)),
        () => heard.length > 0,
        'before'
      )
      // One RPC above the limit of the receiver: it drops the peer from gossip and tells nobody.
      const oversize = encode.single(new Uint8Array(LIMITS.gossipRpcBytesMax + 1), { maxDataLength: Infinity })
      stranger.gossip.streamsOutbound.get(network.self)?.pushPrefixed(oversize)
      await until(() => metrics.of('chrysalis_gossip_links_reset_total') > 0, 'the watchdog')
      const before = heard.length
      await speakUntil(
        async (text) => stranger.gossip.publish(TOPIC, Buffer.from(text)),
        () => heard.length > before,
        'after'
      )
    }))

  it('dials a lost peer again long after libp2p would have given up', async () =>
    inWorld(async (world) => {
      const here = await world.start({ reconnectMs: 10 })
      const seed = randomBytes(32)
      const there = await world.start({ seed })
      const address = addressOf(there.network)
      await here.network.connect(address)
      await there.network.stop()
      await until(() => connectedPeers(here.network) === 0, 'the loss')
      // libp2p tries five times.
      await until(() => here.metrics.of('chrysalis_dials_failed_total') >= 7, 'seven failures')
      const back = await world.start({ seed, listen: [address.replace(/\/p2p\/.*/, '')] })
      await until(() => infoOf(here.network, back.network.self)?.connected === true, 'the reunion')
    }))

  it('finds its network again from the saved peers alone', async () =>
    inWorld(async (world) => {
      const { mkdtemp, readFile, rm } = await import('node:fs/promises')
      const { tmpdir } = await import('node:os')
      const directory = await mkdtemp(`${tmpdir()}/chrysalis-peers-`)
      world.onStop(async () => rm(directory, { recursive: true }))
      const savedPeersFile = `${directory}/peers.json`
      const friend = await world.start()
      const first = await world.start({ savedPeersFile })
      await first.network.connect(addressOf(friend.network))
      await until(() => (infoOf(first.network, friend.network.self)?.addresses.length ?? 0) > 0, 'an address')
      await until(() => infoOf(friend.network, first.network.self)?.connected === true, 'both sides')
      await first.network.stop()
      assert.match(await readFile(savedPeersFile, 'utf8'), new RegExp(friend.network.self))
      const second = await world.start({ savedPeersFile })
      await until(() => infoOf(second.network, friend.network.self)?.connected === true, 'the old friend')
    }))

  it('refuses a daemon of another network and says so', async () =>
    inWorld(async (world) => {
      const psk = (): Uint8Array => Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString('hex')}`)
      const ours = psk()
      const [home, friend, foreigner, open] = await Promise.all([
        world.start({ psk: ours }),
        world.start({ psk: ours }),
        world.start({ psk: psk() }),
        world.start()
      ])
      await friend.network.connect(addressOf(home.network))
      const refused = ['denied', 'unavailable', 'timeout'] as const
      await Promise.all(
        [foreigner, open].map(async ({ network }) =>
          rejects(network.connect(addressOf(home.network)), refused, /another network \(different network key\)/)
        )
      )
      assert.equal(connectedPeers(home.network), 1)
    }))

  it('disconnects and bans whoever keeps forwarding what we reject', async () =>
    inWorld(async (world) => {
      const { network } = await world.start()
      const events: NetworkEvent[] = []
      network.onEvent((event) => events.push(event))
      network.subscribe(TOPIC, async () => 'reject')
      const forger = await raw(world)
      const self = forger.node.peerId.toString()
      for (let round = 0; round < 1_500 && !events.some(({ type }) => type === 'peer-banned'); round++) {
        await forger.dial(addressOf(network)).catch(() => undefined)
        await forger.gossip.publish(TOPIC, randomBytes(50)).catch(() => undefined)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      assert.ok(events.some((event) => event.type === 'peer-disconnected' && event.peer === self))
      const info = infoOf(network, self)
      assert.ok((info?.bannedUntilMs ?? 0) > Date.now(), JSON.stringify(info))
      await until(() => infoOf(network, self)?.connected !== true, 'the door to close')
      await forger.dial(addressOf(network)).catch(() => undefined)
      await until(
        () => forger.node.getConnections().every(({ status }) => status !== 'open'),
        'the door to stay closed'
      )
    }))

  it('hands an old frame to the handler again once gossipsub has forgotten it', async () =>
    inWorld(async (world) => {
      const { network } = await world.start({ seenMs: 400 })
      const heard = listen(network)
      const player = await raw(world, 50)
      await player.dial(addressOf(network))
      await until(() => player.gossip.getSubscribers(TOPIC).length > 0, 'a listener')
      const replay = async (): Promise<unknown> => player.gossip.publish(TOPIC, Buffer.from('the same old frame'))
      await speakUntil(replay, () => heard.length >= 2, 'the frame twice')
      assert.deepEqual(new Set(heard), new Set(['the same old frame']))
    }))

  it('answers an honest dial while sockets stand silent', async () =>
    inWorld(async (world) => {
      const [victim, honest] = (await world.startMany(2)) as [Made, Made]
      const port = Number(/\/tcp\/(\d+)/.exec(addressOf(victim.network))?.[1])
      const sockets: Socket[] = []
      world.onStop(() => sockets.forEach((socket) => socket.destroy()))
      for (let i = 0; i < 40; i++) {
        const socket = createConnection({ host: '127.0.0.1', port })
        socket.on('error', () => undefined)
        sockets.push(socket)
      }
      await until(() => sockets.every((socket) => !socket.connecting), 'silent sockets')
      await honest.network.connect(addressOf(victim.network))
      assert.equal(connectedPeers(victim.network), 1)
    }))

  it('keeps a flood of topics out of its tables, and hears the next honest word', async () =>
    inWorld(async (world) => {
      const { network, metrics } = await world.start()
      const heard = listen(network)
      const flooder = await raw(world)
      await flooder.dial(addressOf(network))
      await speakUntil(
        async (text) => flooder.gossip.publish(TOPIC, Buffer.from(text)),
        () => heard.length > 0,
        'before'
      )
      for (let i = 0; i < 2_000; i++) flooder.gossip.subscribe(`/flood/${i}`)
      const kept = 2_000 - LIMITS.topicsMax
      await until(() => metrics.of('chrysalis_gossip_topics_refused_total') === kept, 'the refusals')
      const before = heard.length
      await speakUntil(
        async (text) => flooder.gossip.publish(TOPIC, Buffer.from(text)),
        () => heard.length > before,
        'after'
      )
    }))

  it('hears a daemon that follows as many topics as allowed', async () =>
    inWorld(async (world) => {
      const [a, b] = (await world.startMany(2)).map(({ network }) => network) as [Network, Network]
      for (let i = 0; i < LIMITS.topicsMax - 1; i++) b.subscribe(`/topic/${i}`, async () => 'accept')
      const heard = listen(b)
      listen(a)
      await a.connect(addressOf(b))
      await speakUntil(
        async (text) => a.publish(TOPIC, Buffer.from(text)),
        () => heard.length > 0,
        'among many topics'
      )
    }))

  it('keeps at most two connections of one peer', async () =>
    inWorld(async (world) => {
      const { network } = await world.start()
      const greedy = await raw(world)
      for (let i = 0; i < 6; i++) await greedy.dial(addressOf(network), true)
      const open = (): number => greedy.node.getConnections().filter(({ status }) => status === 'open').length
      await until(() => open() === LIMITS.connectionsPerPeerMax, 'the surplus to be closed')
      assert.equal(connectedPeers(network), 1)
    }))

  it('names the address that is taken, and leaves nothing behind', async () =>
    inWorld(async (world) => {
      const { network } = await world.start()
      const taken = addressOf(network).replace(/\/p2p\/.*/, '')
      const second = world.make({ listen: [taken] })
      await assert.rejects(second.network.start(), (error) => {
        assert.ok(isChrysalisError(error, 'address_in_use'), String(error))
        assert.ok(error.message.includes(taken), error.message)
        return true
      })
      await second.network.stop()
      const bad: Partial<NetworkOptions>[] = [{ psk: Buffer.from('nonsense') }, { listen: ['/ip4/203.0.113.1/tcp/0'] }]
      for (const options of bad) await rejects(world.make(options).network.start(), ['config'])
    }))

  it('says that a dial to itself makes no sense', async () =>
    inWorld(async (world) => {
      const { network } = await world.start()
      await rejects(network.connect(addressOf(network)), ['invalid_argument'])
      await rejects(network.connect(addressOf(network).replace(/\/p2p\/.*/, '')), ['invalid_argument'])
    }))
})

/** Blocks the event loop, as a burst of signature checks does. */
function spin(forMs: number): void {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs);
}
