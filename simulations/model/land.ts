/**
 * Where the nodes of the model are, and how long a message takes between two of them: the network models of
 * simulations/net, flattened into arrays so that a delay costs two reads instead of two look-ups by name.
 *
 * Every model there is of the shape (own share of u) + (own share of v) + (between their regions), times a chance that is
 * the same for all pairs; that is what is taken from it, and a test compares both.
 */
import type { Random } from '../../src/ports/random.ts'
import { createLatencyModel, type NetworkModelName } from '../net/latency.ts'

export interface Land {
  /** One-way milliseconds between two nodes without the chance in them. Symmetric. */
  usualMs(from: number, to: number): number
  /** One-way milliseconds of the next message. */
  delayMs(from: number, to: number): number
  regionOf(node: number): string
}

/** `nodes` places drawn from `random`; one more node moves nobody else. */
export function createLand(name: NetworkModelName, nodes: number, random: Random): Land {
  const model = createLatencyModel(name, random.fork('places'))
  const regionCount = model.regions.length
  const regions = new Uint8Array(nodes)
  // Half of the way from a node to itself is what the node adds to any way; what is left lies between regions.
  const ownMs = new Float64Array(nodes)
  const someone: (number | undefined)[] = Array.from({ length: regionCount }, () => undefined)
  for (let u = 0; u < nodes; u++) {
    regions[u] = model.regions.indexOf(model.regionOf(peer(u)))
    ownMs[u] = model.baseMs(peer(u), peer(u)) / 2
    someone[regions[u]!] ??= u
  }
  const betweenMs = new Float64Array(regionCount * regionCount)
  for (let a = 0; a < regionCount; a++) {
    for (let b = 0; b < regionCount; b++) {
      const u = someone[a]
      const v = someone[b]
      if (u === undefined || v === undefined) continue
      betweenMs[a * regionCount + b] = model.baseMs(peer(u), peer(v)) - ownMs[u]! - ownMs[v]!
    }
  }
  // The big map of places can go; the chance in a delay is asked of a model that knows one node.
  const small = createLatencyModel(name, random.fork('places'))
  const perMs = 1 / small.baseMs(FIRST, FIRST)
  const dice = random.fork('jitter')
  const usualMs = (u: number, v: number): number =>
    betweenMs[regions[u]! * regionCount + regions[v]!]! + ownMs[u]! + ownMs[v]!
  const names = model.regions
  return {
    usualMs,
    delayMs: (u, v) => usualMs(u, v) * perMs * small.delayMs(FIRST, FIRST, dice),
    regionOf: (node) => names[regions[node]!]!
  }
}

function peer(node: number): string {
  return `node-${node}`
}

const FIRST = peer(0)
