/**
 * `node --import tsx simulations/model/make-estimate-table.ts > src/sync/estimate-table.ts`, then prettier: runs the model
 * over sizes, fanouts, losses and droppers, and prints the module from which `gossip.estimate` answers. To be run again
 * when the daemon's gossip or reconciliation settings change; a test compares the two and says so.
 */
import '../../src/polyfill.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { createLand } from './land.ts'
import { Model, type ModelResult } from './model.ts'
import { modelOptions } from './options.ts'

const SIZES = [10, 100, 1_000, 10_000, 100_000]
const FANOUTS = [2, 3, 5]
const LOSSES = [0, 0.05, 0.2]
const DROPPERS = [0, 0.1, 0.3]

/** A network that grew: its members came one by one, so its mesh does not lean to near peers. */
export const TABLE_WORLD = { network: 'wan8', diallingMs: 60_000 } as const

/** Worlds, and messages through each: enough that a mean is steady, as few as time allows. */
export function effort(nodes: number): readonly [worlds: number, messages: number] {
  if (nodes <= 100) return [60, 5]
  if (nodes <= 1_000) return [12, 5]
  return nodes <= 10_000 ? [3, 4] : [1, 2]
}

/** Means over worlds and messages: t50Ms, t99Ms, t100Ms, mean hops, most hops, copies. */
export function tableRow(nodes: number, fanout: number, loss: number, droppers: number, seed = 'estimate'): number[] {
  const [worlds, messages] = effort(nodes)
  const results: ModelResult[] = []
  for (let world = 0; world < worlds; world++) {
    const model = new Model({ seed: `${seed}/${world}`, nodes, fanout, loss, droppers, ...TABLE_WORLD })
    for (let message = 0; message < messages; message++) results.push(model.broadcast())
  }
  const mean = (of: (result: ModelResult) => number | null): number =>
    results.reduce((sum, result) => sum + (of(result) ?? NaN), 0) / results.length
  return [
    Math.round(mean(({ t50Ms }) => t50Ms)),
    Math.round(mean(({ t99Ms }) => t99Ms)),
    Math.round(mean(({ t100Ms }) => t100Ms)),
    rounded(mean(({ hopsMean }) => hopsMean)),
    rounded(mean(({ hopsMax }) => hopsMax)),
    rounded(mean(({ copies }) => copies))
  ]
}

function rounded(value: number): number {
  return Math.round(100 * value) / 100
}

/** Mean one-way time between two random nodes of the table's network, milliseconds. */
export function meanLinkMs(): number {
  const nodes = 2_000
  const random = new SeededRandom('mean link')
  const land = createLand(TABLE_WORLD.network, nodes, random)
  let sum = 0
  for (let u = 0; u < nodes; u++) sum += land.delayMs(u, random.below(nodes))
  return rounded(sum / nodes)
}

function print(): void {
  const { degrees, heartbeatMs, lazyDegree, announceHeartbeats, processingMs, dials, antiEntropy } = modelOptions({
    seed: 'settings',
    nodes: 2
  })
  const settings = { degrees, heartbeatMs, lazyDegree, announceHeartbeats, processingMs, dials, antiEntropy }
  const rows: string[] = []
  for (const fanout of FANOUTS) {
    for (const loss of LOSSES) {
      for (const droppers of DROPPERS) {
        rows.push(`  // fanout ${fanout}, loss ${loss}, droppers ${droppers}`)
        for (const nodes of SIZES) {
          rows.push(`  [${tableRow(nodes, fanout, loss, droppers).join(', ')}],`)
          process.stderr.write('.')
        }
      }
    }
  }
  console.log(`/**
 * What the abstract model of simulations/model says about the spreading of one message, as data: gossip.estimate answers
 * from it. Printed by simulations/model/make-estimate-table.ts; never edited by hand.
 *
 * The model is checked against the real gossipsub in virtual time up to 1,000 nodes. Its world here: eight regions,
 * members that came one by one, frames lost for good, droppers that take everything and answer nothing, sessions at their
 * full pace because other writes go on.
 */

/** The settings of the daemon that the model was run with. */
export const TABLE_SETTINGS = ${JSON.stringify(settings)} as const

/** Mean one-way time of a link there, milliseconds. */
export const TABLE_LINK_MS = ${meanLinkMs()}

export const TABLE_SIZES: readonly number[] = ${JSON.stringify(SIZES)}
export const TABLE_FANOUTS: readonly number[] = ${JSON.stringify(FANOUTS)}
/** Shares of frames lost. */
export const TABLE_LOSSES: readonly number[] = ${JSON.stringify(LOSSES)}
/** Shares of nodes that are silent. */
export const TABLE_DROPPERS: readonly number[] = ${JSON.stringify(DROPPERS)}

/**
 * Milliseconds to half, to 99 % and to all of the honest; links of the way that was fastest, mean and most; copies for each
 * delivery. In the order of fanouts, losses, droppers, sizes, the last one running fastest.
 */
export const TABLE_ROWS: readonly (readonly number[])[] = [
${rows.join('\n').replace(/,$/, '')}
]
`)
}

if (process.argv[1]?.endsWith('make-estimate-table.ts') === true) print()
