/**
 * How long news takes to reach everyone: three answers to one question, side by side, so that nobody mistakes one for
 * another.
 *
 * 1. The specification: ⌈log_fanout N⌉ rounds, one an interval. It is what a perfect tree of that fanout needs.
 * 2. Forwarding at once over a random mesh of degree d = fanout + 1 (one link brings the news, `fanout` pass it on).
 *    Hops: the diameter of a random regular graph, ⌈log_fanout(N ln N)⌉ (Bollobás and Fernandez de la Vega 1982).
 *    Time: linkMs × (1.97 + 0.497 × (1/(fanout − 1) + 1/(fanout + 1)) × ln N). The bracket is the flooding constant of
 *    a random regular graph (Amini, Draief and Lelarge 2011, "Flooding in weighted random graphs"); the two numbers are
 *    fitted to simulated wide-area networks (eight regions, mean link 86 ms, p99 221 ms) of 100 to 100,000 nodes and
 *    stay within 15 % of the simulated time to the last node for fanouts 2, 3, 5 and 7. It is much less than hops ×
 *    linkMs, because among many paths a fast one wins.
 * 3. Infect and die: every node tells `fanout` random others once. It never reaches everyone: the share z it does reach
 *    is the positive root of z = 1 − e^(−fanout·z).
 *
 * Nothing is measured here; simulations and `chrysalis status` do that. Loss and liars are left out.
 */
import { ChrysalisError } from '../base/errors.ts'

export interface EstimateInput {
  /** 1 to 10^9. */
  readonly nodes: number
  /** Whole, 2 to 128. Default 3. */
  readonly fanout?: number
  /** Mean one-way time of a link, over 0 and at most 600,000 ms. Default 86, a wide-area mean. */
  readonly linkMs?: number
  /** Time of one round of the specification, over 0 and at most 86,400,000 ms. Default 500. */
  readonly intervalMs?: number
}

export interface Estimate {
  readonly nodes: number
  readonly fanout: number
  /** The specification's ⌈log_fanout N⌉ and its time at one round an interval. */
  readonly specification: { readonly rounds: number; readonly ms: number }
  /** Forwarding at once over a mesh of degree fanout + 1: links on the longest of the shortest paths. */
  readonly hops: number
  /** Forwarding at once: until the last node has it, whole milliseconds. */
  readonly ms: number
  /** Share reached if every node told `fanout` random others once and fell silent. */
  readonly infectAndDieCoverage: number
  /** One sentence each. */
  readonly assumptions: readonly string[]
}

const NODES_MAX = 1_000_000_000
const FANOUT_MAX = 128
/** Mean links spent leaving the source and reaching the last, slowest node. Fitted, see above. */
const ENDS = 1.97
/** How much less a real link varies than the exponential one of the theorem. Fitted, see above. */
const SPREAD = 0.497

/** Throws ChrysalisError `invalid_argument` when a number is outside its range. */
export function estimate(input: EstimateInput): Estimate {
  const nodes = checkWhole('nodes', input.nodes, 1, NODES_MAX)
  const fanout = checkWhole('fanout', input.fanout ?? 3, 2, FANOUT_MAX)
  const linkMs = checkDuration('linkMs', input.linkMs ?? 86, 600_000)
  const intervalMs = checkDuration('intervalMs', input.intervalMs ?? 500, 86_400_000)
  const rounds = treeRounds(nodes, fanout)
  return {
    nodes,
    fanout,
    specification: { rounds, ms: rounds * intervalMs },
    hops: meshHops(nodes, fanout),
    ms: Math.round(linkMs * meshLinks(nodes, fanout)),
    infectAndDieCoverage: infectAndDieCoverage(fanout),
    assumptions: [
      `One round of the specification takes ${intervalMs} ms.`,
      `A link takes ${linkMs} ms one way on average; its spread is that of a wide-area network of eight regions.`,
      `The mesh is random, connected and of degree ${fanout + 1}; every node forwards at once on first receipt.`,
      'No message is lost and no node is slow, faulty or hostile; anti-entropy repairs what that would cost.',
      'The infect-and-die share is the limit of a large network.'
    ]
  }
}

/** ⌈log_fanout nodes⌉ by multiplying: logarithms of exact powers round to either side. */
function treeRounds(nodes: number, fanout: number): number {
  let rounds = 0
  for (let reached = 1; reached < nodes; reached *= fanout) rounds++
  return rounds
}

function meshHops(nodes: number, fanout: number): number {
  if (nodes === 1) return 0
  if (nodes <= fanout + 2) return 1
  return Math.ceil(Math.log(nodes * Math.log(nodes)) / Math.log(fanout))
}

/** Time to the last node in units of the mean link. Up to fanout + 2 nodes everyone is a neighbour of everyone. */
function meshLinks(nodes: number, fanout: number): number {
  if (nodes === 1) return 0
  if (nodes <= fanout + 2) return 1
  return ENDS + SPREAD * (1 / (fanout - 1) + 1 / (fanout + 1)) * Math.log(nodes)
}

/** The map contracts towards its positive root from above, fastest for large fanouts; 2 needs about 60 steps. */
function infectAndDieCoverage(fanout: number): number {
  let share = 1
  for (let step = 0; step < 200; step++) share = 1 - Math.exp(-fanout * share)
  return share
}

function checkWhole(name: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw new ChrysalisError('invalid_argument', `${name} is ${value}: a whole number from ${min} to ${max} is needed`, {
    hint: `Give ${name} as a whole number from ${min} to ${max}.`,
    data: { name, value, min, max }
  })
}

function checkDuration(name: string, value: number, max: number): number {
  if (Number.isFinite(value) && value > 0 && value <= max) return value
  throw new ChrysalisError('invalid_argument', `${name} is ${value}: milliseconds over 0, at most ${max}, are needed`, {
    hint: `Give ${name} in milliseconds, over 0 and at most ${max}.`,
    data: { name, value, max }
  })
}
