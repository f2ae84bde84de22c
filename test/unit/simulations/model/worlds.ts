/** Worlds for the model of which the answers are known by heart: every way takes `delayMs`, and nothing is random. */
import { SeededRandom } from '../../../../src/base/prng.ts'
import { Broadcast, type Ground } from '../../../../simulations/model/broadcast.ts'
import { Links, type Graph } from '../../../../simulations/model/graph.ts'
import { modelOptions, type ModelInput } from '../../../../simulations/model/options.ts'

export function graphOf(nodes: number, pairs: Iterable<readonly [number, number]>): Graph {
  const links = new Links(nodes, Math.max(1, nodes - 1))
  for (const [u, v] of pairs) links.add(u, v)
  return links.toGraph()
}

export function ringGraph(nodes: number): Graph {
  return graphOf(
    nodes,
    Array.from({ length: nodes }, (_, u) => [u, (u + 1) % nodes] as const)
  )
}

export function completeGraph(nodes: number): Graph {
  const pairs: [number, number][] = []
  for (let u = 0; u < nodes; u++) for (let v = u + 1; v < nodes; v++) pairs.push([u, v])
  return graphOf(nodes, pairs)
}

export interface Known {
  readonly mesh: Graph
  /** Default: the mesh. */
  readonly connections?: Graph
  readonly delayMs: number
  readonly droppers?: readonly number[]
}

/** One message from node 0, after the run. Announcements and comparisons only where `input` asks for them. */
export function spread(known: Known, input: Partial<ModelInput> = {}): Broadcast {
  const { mesh, delayMs } = known
  const ground: Ground = {
    land: { usualMs: () => delayMs, delayMs: () => delayMs, regionOf: () => 'here' },
    connections: known.connections ?? mesh,
    mesh,
    droppers: Uint8Array.from({ length: mesh.nodes }, (_, u) => (known.droppers?.includes(u) === true ? 1 : 0)),
    heartbeatPhaseMs: new Float32Array(mesh.nodes).fill(500)
  }
  const quiet = { lazyDegree: 0, antiEntropy: false, processingMs: 0 } as const
  const options = modelOptions({ seed: 'known', nodes: mesh.nodes, ...quiet, ...input })
  const broadcast = new Broadcast(options, ground, new SeededRandom('known'))
  broadcast.run(0)
  return broadcast
}
