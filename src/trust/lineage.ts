/**
 * The least of what a memory descends from. Links are claims and anybody may make them, so they can form cycles and
 * chains of any length: this is Tarjan's walk over strongly connected components (Tarjan 1972), kept on a stack of its
 * own, each node and edge visited once. All members of a cycle descend from each other and share one answer.
 *
 * It knows numbers and names only; what they mean is in trust/tier.ts.
 */

/** A graph of names, read as it is asked for. */
export interface Lineage {
  /** What the node is worth by itself. */
  own(node: string): number
  /** What it was made from. */
  above(node: string): readonly string[]
}

interface Visit {
  readonly node: string
  readonly place: number
  readonly above: readonly string[]
  next: number
  /** The lowest place on the stack that this part of the walk has come back to. */
  low: number
  least: number
}

/**
 * The least `own` of `start` and of all it can reach. `known` holds answers of before, and afterwards those of every
 * node that was met; the caller empties it when the graph has changed.
 */
export function leastAbove(start: string, lineage: Lineage, known: Map<string, number>): number {
  const before = known.get(start)
  if (before !== undefined) return before
  const visits = new Map<string, Visit>()
  const path: Visit[] = []
  const open: Visit[] = []
  const enter = (node: string): void => {
    const visit = { node, place: visits.size, above: lineage.above(node), next: 0, low: visits.size, least: 0 }
    visit.least = lineage.own(node)
    visits.set(node, visit)
    path.push(visit)
    open.push(visit)
  }
  enter(start)
  for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
    const node = visit.above[visit.next++]
    if (node === undefined) {
      leave(path, open, known)
      continue
    }
    const answer = known.get(node)
    const met = visits.get(node)
    if (answer !== undefined) visit.least = Math.min(visit.least, answer)
    else if (met === undefined) enter(node)
    else visit.low = Math.min(visit.low, met.place)
  }
  return known.get(start) as number
}

/** Nothing more above the last node of the path: its answer goes to whom it came from, or to its whole component. */
function leave(path: Visit[], open: Visit[], known: Map<string, number>): void {
  const visit = path.pop() as Visit
  const below = path.at(-1)
  if (below !== undefined) {
    below.low = Math.min(below.low, visit.low)
    below.least = Math.min(below.least, visit.least)
  }
  if (visit.low !== visit.place) return
  // The first of its component to be met: what the others have found has come back to it.
  for (let member = open.pop(); member !== undefined; member = open.pop()) {
    known.set(member.node, visit.least)
    if (member === visit) return
  }
}
