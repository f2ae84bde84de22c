/**
 * The overlay on which a topic is flooded: a random subgraph of the links between its followers, connected wherever the
 * links allow it, of about the given degree. It stands in for gossipsub's grafting, which needs real timers; what it keeps
 * of gossipsub is the fanout, the randomness and that every node forwards only what it accepted.
 */
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'

export interface MeshMember {
  readonly self: PeerId
  isLinked(peer: PeerId): boolean
}

/** Neighbours by member, symmetric. Equal inputs give equal meshes. */
export function buildMesh(
  members: readonly MeshMember[],
  degree: number,
  random: Random
): Map<PeerId, readonly PeerId[]> {
  const sorted = [...members].sort((a, b) => (a.self < b.self ? -1 : 1))
  const edges: { a: number; b: number; lot: number }[] = []
  for (const [a, first] of sorted.entries()) {
    for (let b = a + 1; b < sorted.length; b++) {
      if (first.isLinked((sorted[b] as MeshMember).self)) edges.push({ a, b, lot: random.unit() })
    }
  }
  edges.sort((x, y) => x.lot - y.lot)
  const neighbours: number[][] = sorted.map(() => [])
  const component = sorted.map((_, index) => index)
  const root = (at: number): number => {
    let top = at
    while (component[top] !== top) top = component[top] as number
    return top
  }
  const room = (at: number): boolean => (neighbours[at] as number[]).length < degree
  const add = ({ a, b }: { a: number; b: number }): void => {
    if ((neighbours[a] as number[]).includes(b)) return
    neighbours[a]?.push(b)
    neighbours[b]?.push(a)
    component[root(a)] = root(b)
  }
  // A spanning tree within the degree; then, where that was not enough, beyond it; then what room is left.
  for (const edge of edges) if (room(edge.a) && room(edge.b) && root(edge.a) !== root(edge.b)) add(edge)
  for (const edge of edges) if (root(edge.a) !== root(edge.b)) add(edge)
  for (const edge of edges) if (room(edge.a) && room(edge.b)) add(edge)
  return new Map(
    sorted.map((member, at) => [
      member.self,
      (neighbours[at] as number[]).map((index) => (sorted[index] as MeshMember).self)
    ])
  )
}
