/**
 * How a published frame spreads over nodes that do nothing but gossip: the real gossipsub behind the daemon's own gates, in
 * virtual time, without engines. A node takes a frame after a fixed time of judging and passes it on; droppers take it
 * and pass nothing on. For comparing with models and with theory; repair by reconciliation is left out on purpose.
 *
 * It takes over the globals of the process while it runs (kernel/globals.ts): one at a time.
 */
import { createHash } from 'node:crypto'
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { PeerId } from '../../src/ports/network.ts'
import { virtualGlobals } from '../kernel/globals.ts'
import { EventQueue } from '../world/event-queue.ts'
import { CALM_AIR, SimAir, type AirOptions } from '../world/sim-air.ts'
import { SimClock } from '../world/sim-clock.ts'
import { SimGossip } from '../world/sim-gossip.ts'
import { SimNetwork } from '../world/sim-network.ts'
import { Trace } from '../world/trace.ts'
import type { Delivery } from './deliveries.ts'
import { createLatencyModel, type NetworkModelName } from './latency.ts'

export interface PropagationOptions {
  readonly nodes: number
  readonly seed: string
  readonly network: NetworkModelName
  /** Frames published, one after the other, each by a drawn honest node. */
  readonly messages: number
  /** Share of the nodes that pass nothing on. Default 0. */
  readonly droppers?: number
  /** Share of gossip hops that are lost. Default 0. */
  readonly loss?: number
  /** Default drop. */
  readonly lossMode?: AirOptions['lossMode']
  /** Links of each node's mesh. Default 4, as the daemon. */
  readonly degree?: number
  /** Nodes each node dials; it has about twice as many connections. Default 6. */
  readonly dials?: number
  /** Bytes of a frame. Default 400. */
  readonly frameBytes?: number
}

/** What became of one frame. Honest nodes only; the publisher is not counted. */
export interface Propagation {
  /** Milliseconds until half, 99 % and all of the honest nodes had it; undefined when so many never did. */
  readonly t50Ms: number | undefined
  readonly t99Ms: number | undefined
  readonly t100Ms: number | undefined
  /** Share of the honest nodes that got it. */
  readonly coverage: number
  /** Times it was sent, by anybody, for each honest node that got it. */
  readonly copies: number
  /** Bytes of gossip that were no frames, while it spread, for each honest node that got it. */
  readonly controlBytesPerDelivery: number
  /** Mean and maximum of the hops it took to an honest node. */
  readonly hops: number
  readonly hopsMax: number
  /** Mean number of mesh links of a node when it was published: a frame arrives on one and leaves on the others. */
  readonly meshDegree: number
  /** Milliseconds after publishing, and the share that had it by then, at each arrival. */
  readonly curve: readonly (readonly [ms: number, share: number])[]
}

const TOPIC = '/chrysalis/1/00112233445566778899aabbccddeeff'
const JUDGING_MS = 1
/** Nodes start within one heartbeat of each other, so that they do not all beat at once. */
const STARTING_MS = 500
const DIALLING_MS = 200
/** Until meshes stand. */
const WARM_UP_MS = 8_000
/** A frame is followed for so long at least, and at most: what two heartbeats of announcements cannot repair, none will. */
const FOLLOW_MS_MIN = 3_000
const FOLLOW_MS_MAX = 15_000

interface Gossipers {
  readonly queue: EventQueue
  readonly air: SimAir
  readonly networks: readonly SimNetwork[]
  readonly honest: readonly SimNetwork[]
}

/** One result for each frame, in order. Equal options give equal results. */
export async function measurePropagation(options: PropagationOptions): Promise<Propagation[]> {
  const random = new SeededRandom(options.seed)
  const queue = new EventQueue()
  const globals = virtualGlobals(queue, random.fork('globals'))
  try {
    const gossipers = createGossipers(options, queue, random)
    await connect(gossipers, options.dials ?? 6, random)
    const publishers = random.fork('publishers')
    const results: Propagation[] = []
    for (let number = 0; number < options.messages; number++) {
      const publisher = gossipers.honest[publishers.below(gossipers.honest.length)] as SimNetwork
      results.push(await follow(gossipers, publisher, frameOf(number, options.frameBytes ?? 400)))
    }
    for (const network of gossipers.networks) network.vanish()
    await queue.run(queue.nowMs)
    return results
  } finally {
    globals.restore()
  }
}

function createGossipers(options: PropagationOptions, queue: EventQueue, random: SeededRandom): Gossipers {
  const air = new SimAir(
    queue,
    new Trace(),
    random.fork('air'),
    {
      ...CALM_AIR,
      straggling: 0,
      loss: options.loss ?? 0,
      lossMode: options.lossMode ?? 'drop',
      degree: options.degree ?? CALM_AIR.degree
    },
    { overlay: 'gossipsub', latency: createLatencyModel(options.network, random.fork('places')) }
  )
  const clock = new SimClock(queue)
  const networks = Array.from({ length: options.nodes }, (_, i) => new SimNetwork(air, peerOf(i), clock))
  const droppers = new Set<SimNetwork>()
  const lots = random.fork('droppers')
  const wanted = Math.min(options.nodes - 1, Math.round(options.nodes * (options.droppers ?? 0)))
  while (droppers.size < wanted) droppers.add(networks[lots.below(networks.length)] as SimNetwork)
  for (const network of networks) {
    const isDropper = droppers.has(network)
    network.subscribe(TOPIC, async () => {
      await queue.sleep(JUDGING_MS)
      return isDropper ? 'ignore' : 'accept'
    })
  }
  return { queue, air, networks, honest: networks.filter((network) => !droppers.has(network)) }
}

/** Nobody needs the secret of these keys. */
function peerOf(index: number): PeerId {
  return authorToPeerId(toHex(new Uint8Array(createHash('sha256').update(`gossiper ${index}`).digest())))
}

function frameOf(number: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes)
  new DataView(frame.buffer).setUint32(0, number)
  return frame
}

/** A ring, so that the world is in one piece, and random links. */
async function connect({ queue, networks }: Gossipers, dials: number, random: SeededRandom): Promise<void> {
  const starting = random.fork('starting')
  for (const network of networks) {
    queue.after(starting.unit() * STARTING_MS, () => {
      void network.start()
    })
  }
  const dialling = random.fork('dialling')
  for (const [i, network] of networks.entries()) {
    const partners = new Set([networks[(i + 1) % networks.length] as SimNetwork])
    const wanted = Math.min(networks.length, dials)
    while (partners.size < wanted) partners.add(networks[dialling.below(networks.length)] as SimNetwork)
    partners.delete(network)
    for (const partner of partners) {
      queue.after(STARTING_MS + 1 + dialling.unit() * DIALLING_MS, () => {
        // Two that dial each other at once have one link in the end, and one refusal.
        network.connect(partner.address).catch(() => undefined)
      })
    }
  }
  await queue.run(WARM_UP_MS)
}

async function follow(gossipers: Gossipers, publisher: SimNetwork, frame: Uint8Array): Promise<Propagation> {
  const { queue, air, honest } = gossipers
  const startMs = queue.nowMs
  const controlBytes = air.bytes()['gossip-control']
  const meshDegree = meanDegree(gossipers.networks)
  const before = new Set(air.deliveries.all().map(({ id }) => id))
  const publishing = publisher.publish(TOPIC, frame)
  await queue.run(startMs)
  await publishing
  const delivery = air.deliveries.all().find(({ id }) => !before.has(id))
  const peers = new Set(honest.map(({ self }) => self))
  peers.delete(publisher.self)
  const reached = (): boolean =>
    delivery !== undefined && delivery.arrivals.filter((one) => peers.has(one.node)).length === peers.size
  await queue.run(startMs + FOLLOW_MS_MIN)
  await queue.run(startMs + FOLLOW_MS_MAX, reached)
  const spentBytes = air.bytes()['gossip-control'] - controlBytes
  return { ...summary(delivery, peers, spentBytes), meshDegree }
}

function meanDegree(networks: readonly SimNetwork[]): number {
  let links = 0
  for (const { overlay } of networks) if (overlay instanceof SimGossip) links += overlay.meshOf(TOPIC).length
  return links / networks.length
}

function summary(
  delivery: Delivery | undefined,
  peers: ReadonlySet<PeerId>,
  controlBytes: number
): Omit<Propagation, 'meshDegree'> {
  const arrivals = (delivery?.arrivals ?? []).filter(({ node }) => peers.has(node))
  const startMs = delivery?.atMs ?? 0
  const times = arrivals.map(({ atMs }) => atMs - startMs)
  const at = (share: number): number | undefined => times[Math.max(1, Math.ceil(share * peers.size)) - 1]
  const deliveries = Math.max(1, arrivals.length)
  return {
    t50Ms: at(0.5),
    t99Ms: at(0.99),
    t100Ms: at(1),
    coverage: peers.size === 0 ? 1 : arrivals.length / peers.size,
    copies: (delivery?.copies ?? 0) / deliveries,
    controlBytesPerDelivery: controlBytes / deliveries,
    hops: arrivals.reduce((sum, { hops }) => sum + hops, 0) / deliveries,
    hopsMax: arrivals.reduce((most, { hops }) => Math.max(most, hops), 0),
    curve: times.map((ms, i) => [ms, (i + 1) / peers.size] as const)
  }
}
