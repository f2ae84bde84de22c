/**
 * The model as one object: a world drawn from a seed, in which messages are broadcast one after the other. Messages of one
 * world share its map, its connections and its mesh, as messages of one morning do; whatever else is chance is drawn for
 * each anew.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import { Broadcast, type Ground, type Tally } from './broadcast.ts'
import { frameBytes } from './frame-bytes.ts'
import { measureGraph, type GraphMeasures } from './graph.ts'
import { createLand } from './land.ts'
import { drawConnections, drawMesh, shuffled } from './mesh.ts'
import { modelOptions, type ModelInput, type ModelOptions } from './options.ts'

export interface ModelResult {
  readonly source: number
  /** Nodes that are no droppers, and how many of them got it. */
  readonly honest: number
  readonly reached: number
  /** Milliseconds until that share of the honest had it, the source included; null: never. */
  readonly t50Ms: number | null
  readonly t90Ms: number | null
  readonly t99Ms: number | null
  readonly t999Ms: number | null
  readonly t100Ms: number | null
  /** Ascending in both; at most CURVE_POINTS_MAX pairs. */
  readonly coverage: readonly (readonly [ms: number, share: number])[]
  /** Links of the copy that came first, over deliveries. */
  readonly hopsMean: number
  readonly hopsMax: number
  /** Honest nodes by that number; index 0 is the source alone. */
  readonly hopCounts: readonly number[]
  /** Copies of the message sent for each honest node that got it from another. */
  readonly copies: number
  /** Announcements and requests for each of them, and their bytes on the wire. */
  readonly controlPerDelivery: number
  readonly announcementBytesPerDelivery: number
  /** These and the envelopes of the copies: all bytes of gossip that are not the message itself. */
  readonly controlBytesPerDelivery: number
  readonly tally: Tally
}

export const CURVE_POINTS_MAX = 200

export class Model {
  readonly options: ModelOptions
  readonly ground: Ground
  readonly #random: SeededRandom
  #messages = 0

  /** Throws `invalid_argument`. */
  constructor(input: ModelInput) {
    this.options = modelOptions(input)
    const { nodes, network, dials, degrees, heartbeatMs, diallingMs } = this.options
    const random = new SeededRandom(`model/${this.options.seed}`)
    this.#random = random
    const land = createLand(network, nodes, random.fork('land'))
    const connections = drawConnections(nodes, dials, random.fork('connections'))
    const phases = random.fork('heartbeats')
    this.ground = {
      land,
      connections,
      mesh: drawMesh(connections, degrees, land, random.fork('mesh'), { heartbeatMs, diallingMs }),
      droppers: drawDroppers(nodes, this.options.droppers, random.fork('droppers')),
      heartbeatPhaseMs: Float32Array.from({ length: nodes }, () => phases.unit() * heartbeatMs)
    }
  }

  /**
   * One message from `source`, by default from a random honest node. `onArrival` is told of every honest node that got it,
   * in the order of their numbers: milliseconds after it was published.
   */
  broadcast(source?: number, onArrival?: (node: number, atMs: number) => void): ModelResult {
    const random = this.#random.fork(`message/${this.#messages++}`)
    const from = source ?? this.#honestNode(random.fork('source'))
    const broadcast = new Broadcast(this.options, this.ground, random)
    broadcast.run(from)
    if (onArrival !== undefined) broadcast.eachArrival(onArrival)
    return resultOf(from, broadcast)
  }

  /** The mesh as a graph. */
  measures(): GraphMeasures {
    return measureGraph(this.ground.mesh, this.#random.fork('measures'))
  }

  #honestNode(random: SeededRandom): number {
    for (;;) {
      const node = random.below(this.options.nodes)
      if (this.ground.droppers[node] === 0) return node
    }
  }
}

/** At least one node stays honest. */
function drawDroppers(nodes: number, share: number, random: SeededRandom): Uint8Array {
  const droppers = new Uint8Array(nodes)
  const count = Math.min(nodes - 1, Math.round(nodes * share))
  if (count > 0) for (const node of shuffled(nodes, random).subarray(0, count)) droppers[node] = 1
  return droppers
}

function resultOf(source: number, broadcast: Broadcast): ModelResult {
  const { honest, tally } = broadcast
  const arrivals = broadcast.arrivalsMs()
  const at = (share: number): number | null => timeOfShare(arrivals, honest, share)
  const hopCounts: number[] = []
  let hopsSum = 0
  for (const hop of broadcast.hops()) {
    hopsSum += hop
    hopCounts[hop] = (hopCounts[hop] ?? 0) + 1
  }
  const deliveries = Math.max(1, arrivals.length - 1)
  const announcementBytes = tally.ihave * frameBytes.ihave + tally.iwant * frameBytes.iwant
  return {
    source,
    honest,
    reached: arrivals.length,
    t50Ms: at(0.5),
    t90Ms: at(0.9),
    t99Ms: at(0.99),
    t999Ms: at(0.999),
    t100Ms: at(1),
    coverage: coverageCurve(arrivals, honest),
    hopsMean: hopsSum / deliveries,
    hopsMax: hopCounts.length - 1,
    hopCounts: Array.from(hopCounts, (count) => count ?? 0),
    copies: (tally.payloads + tally.repairs) / deliveries,
    controlPerDelivery: (tally.ihave + tally.iwant) / deliveries,
    announcementBytesPerDelivery: announcementBytes / deliveries,
    controlBytesPerDelivery: (announcementBytes + tally.payloads * frameBytes.envelope) / deliveries,
    tally
  }
}

/** When `share` of `honest` nodes had it: the time of the ⌈share × honest⌉-th of the ascending `arrivals`. */
export function timeOfShare(arrivals: ArrayLike<number>, honest: number, share: number): number | null {
  const place = Math.max(1, Math.ceil(share * honest - 1e-9))
  return place <= arrivals.length ? arrivals[place - 1]! : null
}

/** (time, share of `honest`) at every arrival, thinned evenly by count; the first and the last are always there. */
export function coverageCurve(arrivals: ArrayLike<number>, honest: number): (readonly [ms: number, share: number])[] {
  const points = Math.min(CURVE_POINTS_MAX, arrivals.length)
  return Array.from({ length: points }, (_, point) => {
    const place = points === 1 ? 0 : Math.round((point * (arrivals.length - 1)) / (points - 1))
    return [arrivals[place]!, (place + 1) / honest] as const
  })
}
