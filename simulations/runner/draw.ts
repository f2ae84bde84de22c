/**
 * Everything a seed decides before its world begins: how large it is, what goes wrong in it, who lies, and which halves
 * of the machinery are switched off. Pure: the same scenario and seed give the same plan, and each lot is drawn from a
 * stream of its own, so that overriding one changes no other.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import type { Random } from '../../src/ports/random.ts'
import { drawAppetite, drawFaults, inOrder, type Fault } from '../faults/plan.ts'
import type { LiarKind } from '../liars/liar.ts'
import type { PlannedFault, Scenario, Span } from '../scenarios/scenario.ts'
import type { RunOptions } from './run.ts'

export interface RunPlan {
  readonly nodes: number
  readonly writes: number
  readonly faults: readonly Fault[]
  readonly liars: readonly LiarKind[]
  readonly crypto: 'ed25519' | 'fast'
  /** The half of reconciliation sessions that is switched off. */
  readonly off: 'push' | 'pull' | 'none'
  /** At the end it goes on in silence until every ban is over. */
  readonly outlastsBans: boolean
}

/** Half an hour of silence is dear, so few of the runs with liars have it. */
const OUTLASTING_SHARE = 0.12

/** The source of all chance of a run. */
export function randomOf({ scenario, seed }: Pick<RunOptions, 'scenario' | 'seed'>): SeededRandom {
  return new SeededRandom(`${scenario.name}/${seed}`)
}

export function drawPlan(options: RunOptions): RunPlan {
  const { scenario } = options
  const random = randomOf(options)
  const nodes = options.nodes ?? within(random.fork('nodes'), scenario.nodes)
  const writes = options.writes ?? within(random.fork('writes'), scenario.work.writes)
  const half = random.fork('halves').unit()
  const liars = options.liars ?? drawLiars(scenario, random, nodes)
  const { pushOff, pullOff, ed25519 } = scenario.seeds
  return {
    nodes,
    writes,
    faults: options.faults ?? drawRunFaults(scenario, random, nodes),
    liars,
    crypto: random.fork('crypto').unit() < ed25519 ? 'ed25519' : 'fast',
    off: half < pushOff ? 'push' : half < pushOff + pullOff ? 'pull' : 'none',
    outlastsBans: liars.length > 0 && random.fork('bans').unit() < OUTLASTING_SHARE
  }
}

function drawRunFaults(scenario: Scenario, random: Random, nodes: number): Fault[] {
  const appetite = scenario.swarm ? drawAppetite(random, scenario.faults) : scenario.faults
  const drawn = drawFaults(random, appetite, nodes, scenario.work.writingMs)
  const planned = scenario.planned.map((fault, index) => placed(fault, nodes, random.fork(`planned/${index}`)))
  return inOrder([...drawn, ...planned])
}

/** A planned fault with its targets drawn; never all nodes, or there would be nobody to differ from. */
function placed({ nodes, share, ...fault }: PlannedFault, count: number, dice: Random): Fault {
  if (nodes !== undefined) return { ...fault, target: nodes }
  if (share === undefined) return { ...fault, target: [] }
  const wanted = Math.max(1, Math.min(count - 1, Math.round(share * count)))
  const target = new Set<number>()
  while (target.size < Math.min(wanted, count)) target.add(dice.below(count))
  return { ...fault, target: [...target] }
}

function drawLiars({ liars }: Scenario, random: Random, nodes: number): LiarKind[] {
  const dice = random.fork('liars')
  const wanted = within(dice, liars.count) + Math.floor(liars.share * nodes)
  const drawn: LiarKind[] = []
  while (liars.kinds.length > 0 && drawn.length < wanted) {
    const deck = liars.kinds.map((kind) => ({ kind, lot: dice.unit() })).sort((a, b) => a.lot - b.lot)
    for (const { kind } of deck) if (drawn.length < wanted) drawn.push(kind)
  }
  return drawn
}

function within(dice: Random, [min, max]: Span): number {
  return min + dice.below(max - min + 1)
}
