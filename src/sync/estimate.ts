/**
 * How long news takes to reach everyone: three answers to one question, side by side, so that nobody mistakes one for
 * another.
 *
 * 1. The specification: ⌈log_fanout N⌉ rounds, one an interval. It is what a perfect tree of that fanout needs.
 * 2. This daemon: forwarding at once over a random mesh of degree fanout + 1, announcements to a few others, comparisons
 *    of sets behind that. What comes of it was simulated, and lies in estimate-table.ts; between its sizes, fanouts and
 *    faults this file interpolates (time grows with the logarithm of N), beyond them it extrapolates. Time scales with the
 *    link where nothing is lost; what loss and silent peers add is waiting for timers, and does not. Tests hold it to
 *    fresh runs of the model: within 10 % without faults; with them within 20 % to the 99 %, and a factor of two to the
 *    last node, which then is the chance of chances.
 * 3. Infect and die: every node tells `fanout` random others once. It never reaches everyone: the share z it does reach
 *    is the positive root of z = 1 − e^(−fanout·z), with the fanout that loss and silent peers leave.
 *
 * Nothing is measured here; simulations and `chrysalis status` do that.
 */
import { ChrysalisError } from '../base/errors.ts'
import {
  TABLE_DROPPERS,
  TABLE_FANOUTS,
  TABLE_LINK_MS,
  TABLE_LOSSES,
  TABLE_ROWS,
  TABLE_SETTINGS,
  TABLE_SIZES
} from './estimate-table.ts'

export interface EstimateInput {
  /** 1 to 10^9. */
  readonly nodes: number
  /** Whole, 2 to 128. Default 3. */
  readonly fanout?: number
  /** Mean one-way time of a link, over 0 and at most 600,000 ms. Default 86, a wide-area mean. */
  readonly linkMs?: number
  /** Time of one round of the specification, over 0 and at most 86,400,000 ms. Default 500. */
  readonly intervalMs?: number
  /** Share of gossip frames that are lost for good, 0 to 0.2. Default 0. */
  readonly loss?: number
  /** Share of nodes that take everything and pass nothing on, 0 to 0.3. Default 0. */
  readonly droppers?: number
}

export interface Estimate {
  readonly nodes: number
  readonly fanout: number
  readonly loss: number
  readonly droppers: number
  /** The specification's ⌈log_fanout N⌉ and its time at one round an interval. */
  readonly specification: { readonly rounds: number; readonly ms: number }
  /** Links of the longest way by which a first copy came. */
  readonly hops: number
  /** Until half, 99 % and all of the honest nodes have it, whole milliseconds. */
  readonly t50Ms: number
  readonly t99Ms: number
  readonly ms: number
  /** Copies sent for each delivery. */
  readonly copies: number
  /** Share reached if every node told `fanout` random others once and fell silent. */
  readonly infectAndDieCoverage: number
  /** One sentence each. */
  readonly assumptions: readonly string[]
}

const NODES_MAX = 1_000_000_000
const FANOUT_MAX = 128
/** As far as the model was run. */
const LOSS_MAX = 0.2
const DROPPERS_MAX = 0.3

/** A row of the table, or what was interpolated from several. */
interface Spread {
  readonly t50Ms: number
  readonly t99Ms: number
  readonly t100Ms: number
  readonly hopsMean: number
  readonly hopsMax: number
  readonly copies: number
}

/** Throws ChrysalisError `invalid_argument` when a number is outside its range. */
export function estimate(input: EstimateInput): Estimate {
  const nodes = checkWhole('nodes', input.nodes, 1, NODES_MAX)
  const fanout = checkWhole('fanout', input.fanout ?? 3, 2, FANOUT_MAX)
  const linkMs = checkDuration('linkMs', input.linkMs ?? 86, 600_000)
  const intervalMs = checkDuration('intervalMs', input.intervalMs ?? 500, 86_400_000)
  const loss = checkShare('loss', input.loss ?? 0, LOSS_MAX)
  const droppers = checkShare('droppers', input.droppers ?? 0, DROPPERS_MAX)
  const rounds = treeRounds(nodes, fanout)
  const healthy = healthySpread(nodes, fanout, linkMs)
  const excess = excessSpread(nodes, fanout, loss, droppers)
  const t50Ms = healthy.t50Ms + excess.t50Ms
  const t99Ms = Math.max(t50Ms, healthy.t99Ms + excess.t99Ms)
  return {
    nodes,
    fanout,
    loss,
    droppers,
    specification: { rounds, ms: rounds * intervalMs },
    hops: Math.round(healthy.hopsMax + excess.hopsMax),
    t50Ms: Math.round(t50Ms),
    t99Ms: Math.round(t99Ms),
    ms: Math.round(Math.max(t99Ms, healthy.t100Ms + excess.t100Ms)),
    copies: Math.round(100 * (healthy.copies + excess.copies)) / 100,
    infectAndDieCoverage: infectAndDieCoverage(fanout * (1 - loss) * (1 - droppers)),
    assumptions: assumptions(nodes, fanout, linkMs, intervalMs, loss, droppers)
  }
}

function assumptions(
  nodes: number,
  fanout: number,
  linkMs: number,
  intervalMs: number,
  loss: number,
  droppers: number
): string[] {
  const { antiEntropy, heartbeatMs } = TABLE_SETTINGS
  const sizeMax = TABLE_SIZES[TABLE_SIZES.length - 1] as number
  const fanoutMax = TABLE_FANOUTS[TABLE_FANOUTS.length - 1] as number
  const faults =
    loss === 0 && droppers === 0
      ? 'No message is lost and no node is slow, faulty or hostile.'
      : `${percent(loss)} of the gossip frames are lost for good, and ${percent(droppers)} of the nodes take everything, pass nothing on and answer nothing; the time to all then hangs on single nodes, and may as well be half or twice that.`
  return [
    `One round of the specification takes ${intervalMs} ms.`,
    `A link takes ${linkMs} ms one way on average; its spread is that of a wide-area network of eight regions.`,
    `The mesh is random and of degree ${fanout + 1}; every node forwards at once on first receipt, announces at heartbeats of ${heartbeatMs} ms, and compares with somebody every ${antiEntropy.intervalMs} ms because other writes keep it busy.`,
    faults,
    'Times and copies are means of a simulated model that is checked against the real code up to 1,000 nodes; queues and bandwidth are left out.',
    ...(nodes > sizeMax
      ? [`Beyond ${sizeMax} nodes the model was not run: the growth of its last decade goes on.`]
      : []),
    ...(fanout > fanoutMax ? [`Beyond a fanout of ${fanoutMax} the model was not run: theory scales it.`] : []),
    'The infect-and-die share is the limit of a large network.'
  ]
}

function percent(share: number): string {
  return `${Math.round(1_000 * share) / 10} %`
}

// --- without faults

/** Up to fanout + 2 nodes everyone is a neighbour of everyone; from there to the first size the logarithm leads. */
function healthySpread(nodes: number, fanout: number, linkMs: number): Spread {
  if (nodes === 1) return { t50Ms: 0, t99Ms: 0, t100Ms: 0, hopsMean: 0, hopsMax: 0, copies: 0 }
  const one: Spread = { t50Ms: linkMs, t99Ms: linkMs, t100Ms: linkMs, hopsMean: 1, hopsMax: 1, copies: nodes - 1 }
  const near = fanout + 2
  if (nodes <= near) return one
  const sizes = TABLE_SIZES.filter((size) => size > near)
  const points = sizes.map((size) => ({ at: Math.log(size), spread: scaled(tableSpread(size, fanout, 0, 0), linkMs) }))
  const anchor = { at: Math.log(near), spread: { ...one, copies: fanout } }
  return along([anchor, ...points], Math.log(nodes))
}

/** The time of handling a message at every hop stays what it is when links are shorter or longer. */
function scaled(spread: Spread, linkMs: number): Spread {
  const handlingMs = spread.hopsMean * TABLE_SETTINGS.processingMs
  const time = (ms: number): number => {
    const fixedMs = Math.min(ms, handlingMs)
    return fixedMs + ((ms - fixedMs) * linkMs) / TABLE_LINK_MS
  }
  return { ...spread, t50Ms: time(spread.t50Ms), t99Ms: time(spread.t99Ms), t100Ms: time(spread.t100Ms) }
}

// --- what faults add

function excessSpread(nodes: number, fanout: number, loss: number, droppers: number): Spread {
  const points = TABLE_SIZES.map((size) => {
    const healthy = tableSpread(size, fanout, 0, 0)
    return { at: Math.log(size), spread: combine(tableSpread(size, fanout, loss, droppers), 1, healthy, -1) }
  })
  // A network smaller than the smallest of the table suffers no more than that one.
  const excess = along(points, Math.max(Math.log(nodes), (points[0] as Point).at))
  if (nodes === 1) return combine(excess, 0, excess, 0)
  // A way around silent nodes may be shorter by chance, never quicker.
  const { t50Ms, t99Ms, t100Ms } = excess
  return { ...excess, t50Ms: Math.max(0, t50Ms), t99Ms: Math.max(0, t99Ms), t100Ms: Math.max(0, t100Ms) }
}

// --- reading the table

/** At a size of the table. Fanouts beyond it are scaled by theory. */
function tableSpread(size: number, fanout: number, loss: number, droppers: number): Spread {
  const s = TABLE_SIZES.indexOf(size)
  const last = TABLE_FANOUTS[TABLE_FANOUTS.length - 1] as number
  const inside = Math.min(fanout, last)
  // Between fanouts along the constant that theory gives, not along the fanout: time falls steeply at first.
  const spread = between(TABLE_FANOUTS.map(slowness), slowness(inside), (f) =>
    between(TABLE_LOSSES, loss, (l) => between(TABLE_DROPPERS, droppers, (d) => row(f, l, d, s)))
  )
  if (fanout <= last) return spread
  const faster = meshLinks(size, fanout) / meshLinks(size, last)
  const { t50Ms, t99Ms, t100Ms, hopsMean, hopsMax, copies } = spread
  const fewer = Math.log(last) / Math.log(fanout)
  return {
    t50Ms: t50Ms * faster,
    t99Ms: t99Ms * faster,
    t100Ms: t100Ms * faster,
    hopsMean: Math.max(1, hopsMean * fewer),
    hopsMax: Math.max(1, hopsMax * fewer),
    copies: copies + fanout - last
  }
}

function row(fanout: number, loss: number, droppers: number, size: number): Spread {
  const place = ((fanout * TABLE_LOSSES.length + loss) * TABLE_DROPPERS.length + droppers) * TABLE_SIZES.length + size
  const [t50Ms = 0, t99Ms = 0, t100Ms = 0, hopsMean = 0, hopsMax = 0, copies = 0] = TABLE_ROWS[place] ?? []
  return { t50Ms, t99Ms, t100Ms, hopsMean, hopsMax, copies }
}

/** Linear between the two values of `axis` around `value`; `at` is asked by index. */
function between(axis: readonly number[], value: number, at: (index: number) => Spread): Spread {
  const found = axis.findIndex((one) => one >= value)
  const high = found < 0 ? axis.length - 1 : found
  if (high === 0 || axis[high] === value) return at(high)
  const from = axis[high - 1] as number
  const part = (value - from) / ((axis[high] as number) - from)
  return combine(at(high - 1), 1 - part, at(high), part)
}

interface Point {
  readonly at: number
  readonly spread: Spread
}

/** Linear between ascending points, and beyond the last one as between the last two. */
function along(points: readonly Point[], at: number): Spread {
  if (points.length === 1) return (points[0] as Point).spread
  const found = points.findIndex((point) => point.at >= at)
  const high = Math.max(1, found < 0 ? points.length - 1 : found)
  const from = points[high - 1] as Point
  const to = points[high] as Point
  const part = (at - from.at) / (to.at - from.at)
  return combine(from.spread, 1 - part, to.spread, part)
}

function combine(a: Spread, weightA: number, b: Spread, weightB: number): Spread {
  return {
    t50Ms: a.t50Ms * weightA + b.t50Ms * weightB,
    t99Ms: a.t99Ms * weightA + b.t99Ms * weightB,
    t100Ms: a.t100Ms * weightA + b.t100Ms * weightB,
    hopsMean: a.hopsMean * weightA + b.hopsMean * weightB,
    hopsMax: a.hopsMax * weightA + b.hopsMax * weightB,
    copies: a.copies * weightA + b.copies * weightB
  }
}

// --- theory

/**
 * Time to the last node in units of the mean link, for fanouts beyond the table: 1.97 + 0.497 × (1/(fanout − 1) +
 * 1/(fanout + 1)) × ln N. The bracket is the flooding constant of a random regular graph (Amini, Draief and Lelarge 2011,
 * "Flooding in weighted random graphs"); the two numbers are fitted to wide-area networks of 100 to 100,000 nodes.
 */
function meshLinks(nodes: number, fanout: number): number {
  return 1.97 - 0.497 * slowness(fanout) * Math.log(nodes)
}

/** The flooding constant, negated so that it ascends with the fanout. */
function slowness(fanout: number): number {
  return -(1 / (fanout - 1) + 1 / (fanout + 1))
}

/** ⌈log_fanout nodes⌉ by multiplying: logarithms of exact powers round to either side. */
function treeRounds(nodes: number, fanout: number): number {
  let rounds = 0
  for (let reached = 1; reached < nodes; reached *= fanout) rounds++
  return rounds
}

/** The map contracts towards its positive root from above, fastest for large fanouts; just above 1 it takes its time. */
function infectAndDieCoverage(fanout: number): number {
  let share = 1
  for (let step = 0; step < 400; step++) share = 1 - Math.exp(-fanout * share)
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

function checkShare(name: string, value: number, max: number): number {
  if (value >= 0 && value <= max) return value
  throw new ChrysalisError('invalid_argument', `${name} is ${value}: a share from 0 to ${max} is needed`, {
    hint: `Give ${name} as a share from 0 to ${max}; beyond that nothing was simulated.`,
    data: { name, value, max }
  })
}
