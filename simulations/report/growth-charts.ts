/**
 * Pictures of how a network grows: time, shape and links against the number of nodes (growth.ts).
 */
import { BASE, ms, seriesOf, sizeAxis, whole, type Chart, type Spec } from './chart-parts.ts'
import type { GrowthPoint } from './growth.ts'
import { LIGHT } from './theme.ts'

/** None for fewer than two sizes. */
export function growthCharts(growth: readonly GrowthPoint[]): Chart[] {
  if (growth.length < 2) return []
  const largest = growth[growth.length - 1] as GrowthPoint
  const times = growth.flatMap(({ nodes, t50Ms, t99Ms, t100Ms }) => [
    { nodes, value: t50Ms, who: 'half' },
    { nodes, value: t99Ms, who: '99 %' },
    { nodes, value: t100Ms, who: 'everyone' }
  ])
  const shape = growth.flatMap(({ nodes, degree, path, hopsMean, treeRounds }) => [
    { nodes, value: degree, who: 'links of a node' },
    { nodes, value: path, who: 'shortest path' },
    { nodes, value: hopsMean, who: 'hops taken' },
    { nodes, value: treeRounds, who: '⌈log₃ N⌉' }
  ])
  return [
    {
      name: 'growth-time',
      title: 'Time against size',
      caption: `From the abstract model, no faults: ten times the nodes cost some ${ms(slope(growth))} more. ${whole(largest.nodes)} nodes: 99 % after ${ms(largest.t99Ms)}, everyone after ${ms(largest.t100Ms)}.`,
      spec: against(times, 'milliseconds', ['half', '99 %', 'everyone'])
    },
    {
      name: 'growth-shape',
      title: 'The network as it grows',
      caption: `What a node keeps up does not grow with N: ${largest.degree.toFixed(1)} links. Paths grow with its logarithm; hops taken are more than the shortest path, because the fastest way is not the shortest.`,
      spec: against(shape, 'links', ['links of a node', 'shortest path', 'hops taken', '⌈log₃ N⌉'])
    },
    {
      name: 'growth-edges',
      title: 'Links and triangles',
      caption: `All links of the mesh: ${whole(Math.round(largest.edges))} at ${whole(largest.nodes)} nodes, in proportion to N. Triangles, which only repeat what was said, vanish: clustering ${largest.clustering.toPrecision(2)}.`,
      spec: edgesSpec(growth)
    }
  ]
}

function against(values: object[], title: string, domain: readonly string[]): Spec {
  return {
    ...BASE,
    data: { values },
    mark: { type: 'line', point: { filled: true, size: 34 }, strokeWidth: 2 },
    encoding: {
      x: sizeAxis(),
      y: { field: 'value', type: 'quantitative', axis: { title, tickCount: 5 } },
      color: seriesOf(domain)
    }
  }
}

function edgesSpec(growth: readonly GrowthPoint[]): Spec {
  const log = { type: 'log' } as const
  return {
    ...BASE,
    data: { values: growth.map(({ nodes, edges, clustering }) => ({ nodes, edges, clustering })) },
    encoding: { x: sizeAxis() },
    layer: [
      {
        mark: { type: 'line', point: { filled: true, size: 34, color: LIGHT.first }, color: LIGHT.first },
        encoding: {
          y: {
            field: 'edges',
            type: 'quantitative',
            scale: log,
            axis: { title: 'links', titleColor: LIGHT.first, format: ',d', values: [10, 100, 1_000, 10_000, 100_000] }
          }
        }
      },
      {
        mark: { type: 'line', point: { filled: true, size: 34, color: LIGHT.second }, color: LIGHT.second },
        encoding: {
          y: {
            field: 'clustering',
            type: 'quantitative',
            axis: { title: 'clustering', titleColor: LIGHT.second, tickCount: 5, grid: false }
          }
        }
      }
    ],
    resolve: { scale: { y: 'independent' } }
  }
}

/** More milliseconds for ten times the nodes: a line through the sizes from 100 on, where there are some. */
function slope(growth: readonly GrowthPoint[]): number {
  const from = growth.find(({ nodes }) => nodes >= 100) ?? (growth[0] as GrowthPoint)
  const to = growth[growth.length - 1] as GrowthPoint
  if (to.nodes === from.nodes) return 0
  return (to.t99Ms - from.t99Ms) / Math.log10(to.nodes / from.nodes)
}
