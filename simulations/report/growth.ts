/**
 * How a network grows: links, degree, clustering, path length and time to everyone, against the number of nodes. Drawn
 * from the abstract model, whose mesh follows the daemon's own settings; seeds make it the same every time.
 */
import { Model } from '../model/model.ts'
import { treeRounds } from '../model/theory.ts'

export interface GrowthPoint {
  readonly nodes: number
  readonly edges: number
  readonly degree: number
  readonly clustering: number
  readonly path: number
  readonly t50Ms: number
  readonly t99Ms: number
  readonly t100Ms: number
  readonly copies: number
  readonly hopsMean: number
  /** The specification's ⌈log₃ N⌉. */
  readonly treeRounds: number
}

export const GROWTH_SIZES: readonly number[] = [10, 30, 100, 300, 1_000, 3_000, 10_000]
const FANOUT = 3

/** Means over a few messages; more for small worlds, where one message says little. */
export function growth(sizes: readonly number[] = GROWTH_SIZES): GrowthPoint[] {
  return sizes.map((nodes) => {
    const worlds = nodes <= 1_000 ? 4 : 1
    const models = Array.from({ length: worlds }, (_, i) => new Model({ seed: `growth/${i}`, nodes, fanout: FANOUT }))
    const results = models.flatMap((model) => [model.broadcast(), model.broadcast(), model.broadcast()])
    const measures = models.map((model) => model.measures())
    const mean = <T>(list: readonly T[], of: (one: T) => number): number =>
      list.reduce((sum, one) => sum + of(one), 0) / list.length
    return {
      nodes,
      edges: mean(measures, ({ edges }) => edges),
      degree: mean(measures, ({ degreeMean }) => degreeMean),
      clustering: mean(measures, ({ clustering }) => clustering),
      path: mean(measures, ({ pathMean }) => pathMean),
      t50Ms: mean(results, ({ t50Ms }) => t50Ms ?? NaN),
      t99Ms: mean(results, ({ t99Ms }) => t99Ms ?? NaN),
      t100Ms: mean(results, ({ t100Ms }) => t100Ms ?? NaN),
      copies: mean(results, ({ copies }) => copies),
      hopsMean: mean(results, ({ hopsMean }) => hopsMean),
      treeRounds: treeRounds(nodes, FANOUT)
    }
  })
}
