/**
 * How long a packet takes between two nodes that sit somewhere in the world. A node's place, and its last mile, are drawn
 * once from a stream named after its peer id, so that one node more moves nobody else; what differs from packet to packet
 * is drawn from the dice of the path. The delay without that jitter is the same in both directions.
 *
 * wan8 uses the one-way matrix and the node weights of libp2p/test-plans (gossipsub-interop, network_graph.py), which are
 * pessimistic: they are close to round trips. wan19 computes round trips of 4 ms + 1 ms for each 75 km of great circle
 * between nineteen data centres, which real measurements come near. Bandwidth, loss and cuts are not here: sim-air.ts.
 */
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import { MATRIX8_MS, REGIONS8, REGIONS19, WEIGHTS8, type Region } from './regions.ts'

export type NetworkModelName = 'lan' | 'wan8' | 'wan19' | 'uniform'

export const NETWORK_MODELS: readonly NetworkModelName[] = ['lan', 'wan8', 'wan19', 'uniform']

export interface LatencyModel {
  readonly name: NetworkModelName
  /** Where nodes can be; one name only for models without geography. */
  readonly regions: readonly string[]
  regionOf(peer: PeerId): string
  /** One-way milliseconds without jitter; symmetric. For `uniform`: the mean. */
  baseMs(from: PeerId, to: PeerId): number
  /** One-way milliseconds of the next packet. */
  delayMs(from: PeerId, to: PeerId, dice: Random): number
}

const LAN_MS = 0.4
const UNIFORM_MS: readonly [min: number, max: number] = [10, 50]
/** Mean of the exponential part, as a share of the base. */
const JITTER_SHARE = 0.15
/** The last mile is lognormal around this many milliseconds. */
const LAST_MILE_MS = 3
const LAST_MILE_SIGMA = 0.6
const ROUND_TRIP_MIN_MS = 4
const KM_PER_ROUND_TRIP_MS = 75
const EARTH_RADIUS_KM = 6_371

/** A model of which all chance comes from `random`. */
export function createLatencyModel(name: NetworkModelName, random: Random): LatencyModel {
  switch (name) {
    case 'lan':
      return new Flat('lan', () => LAN_MS)
    case 'uniform':
      return new Uniform()
    case 'wan8':
      return new Wide('wan8', random, {
        regions: REGIONS8,
        weights: WEIGHTS8,
        oneWayMs: MATRIX8_MS,
        lastMileMs: LAST_MILE_MS
      })
    case 'wan19':
      return new Wide('wan19', random, {
        regions: REGIONS19.map(({ name: city }) => city),
        weights: REGIONS19.map(() => 1),
        oneWayMs: REGIONS19.map((a) => REGIONS19.map((b) => roundTripMs(a, b) / 2)),
        lastMileMs: 0
      })
  }
}

/** Every pair is equally far. */
class Flat implements LatencyModel {
  readonly name: NetworkModelName
  readonly regions: readonly string[] = ['here']
  readonly #ms: () => number

  constructor(name: NetworkModelName, ms: () => number) {
    this.name = name
    this.#ms = ms
  }

  regionOf(): string {
    return 'here'
  }

  baseMs(): number {
    return this.#ms()
  }

  delayMs(_from: PeerId, _to: PeerId, dice: Random): number {
    return this.#ms() * (1 + exponential(dice, JITTER_SHARE))
  }
}

/** Each packet takes anything between two bounds. */
class Uniform implements LatencyModel {
  readonly name = 'uniform'
  readonly regions: readonly string[] = ['here']

  regionOf(): string {
    return 'here'
  }

  baseMs(): number {
    return (UNIFORM_MS[0] + UNIFORM_MS[1]) / 2
  }

  delayMs(_from: PeerId, _to: PeerId, dice: Random): number {
    return UNIFORM_MS[0] + dice.unit() * (UNIFORM_MS[1] - UNIFORM_MS[0])
  }
}

interface Geography {
  readonly regions: readonly string[]
  /** How likely a node is in each; any scale. */
  readonly weights: readonly number[]
  readonly oneWayMs: readonly (readonly number[])[]
  /** Median of each node's own last mile; 0 is none. */
  readonly lastMileMs: number
}

interface Place {
  readonly region: number
  readonly lastMileMs: number
}

class Wide implements LatencyModel {
  readonly name: NetworkModelName
  readonly #random: Random
  readonly #map: Geography
  readonly #places = new Map<PeerId, Place>()

  constructor(name: NetworkModelName, random: Random, map: Geography) {
    this.name = name
    this.#random = random
    this.#map = map
  }

  get regions(): readonly string[] {
    return this.#map.regions
  }

  regionOf(peer: PeerId): string {
    return this.#map.regions[this.#placeOf(peer).region] as string
  }

  baseMs(from: PeerId, to: PeerId): number {
    const a = this.#placeOf(from)
    const b = this.#placeOf(to)
    return (this.#map.oneWayMs[a.region]?.[b.region] as number) + (a.lastMileMs + b.lastMileMs)
  }

  delayMs(from: PeerId, to: PeerId, dice: Random): number {
    return this.baseMs(from, to) * (1 + exponential(dice, JITTER_SHARE))
  }

  #placeOf(peer: PeerId): Place {
    let place = this.#places.get(peer)
    if (place === undefined) {
      const dice = this.#random.fork(`place/${peer}`)
      const region = weighted(this.#map.weights, dice)
      place = { region, lastMileMs: this.#map.lastMileMs * Math.exp(LAST_MILE_SIGMA * normal(dice)) }
      this.#places.set(peer, place)
    }
    return place
  }
}

function weighted(weights: readonly number[], dice: Random): number {
  let left = dice.unit() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [index, weight] of weights.entries()) {
    left -= weight
    if (left < 0) return index
  }
  return weights.length - 1
}

/** Mean `mean`. */
function exponential(dice: Random, mean: number): number {
  return -Math.log(1 - dice.unit()) * mean
}

/** Standard normal (Box and Muller 1958). */
function normal(dice: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - dice.unit()))
  return radius * Math.cos(2 * Math.PI * dice.unit())
}

/** Along the great circle (haversine). */
function roundTripMs(a: Region, b: Region): number {
  const rad = Math.PI / 180
  const sinLat = Math.sin(((b.latitude - a.latitude) * rad) / 2)
  const sinLon = Math.sin(((b.longitude - a.longitude) * rad) / 2)
  const h = sinLat * sinLat + Math.cos(a.latitude * rad) * Math.cos(b.latitude * rad) * sinLon * sinLon
  const km = 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)))
  return ROUND_TRIP_MIN_MS + km / KM_PER_ROUND_TRIP_MS
}
