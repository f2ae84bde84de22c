/**
 * What a pencil says about spreading, to be drawn beside what was simulated.
 *
 *   SI (logistic)   di/dt = β i (1 − i): everybody who knows keeps telling. Kermack and McKendrick 1927, without recovery.
 *   infect and die  the share z = 1 − e^(−f z) that is ever reached when everybody tells f others once.
 *   tree            ⌈log_f N⌉ rounds: what a perfect tree of fanout f needs, and the specification's figure.
 */

/** Share that knows at `atMs`, when half of `nodes` know at `halfMs` and one did at 0. Needs two nodes and halfMs > 0. */
export function logisticShare(nodes: number, halfMs: number, atMs: number): number {
  const rate = Math.log(Math.max(2, nodes) - 1) / halfMs
  return 1 / (1 + (Math.max(2, nodes) - 1) * Math.exp(-rate * atMs))
}

/** The positive root of z = 1 − e^(−fanout z), 0 for a fanout of 1 or less. */
export function infectAndDieShare(fanout: number): number {
  if (fanout <= 1) return 0
  let share = 1
  for (let step = 0; step < 200; step++) share = 1 - Math.exp(-fanout * share)
  return share
}

/** ⌈log_fanout nodes⌉, by multiplying: logarithms of exact powers round to either side. */
export function treeRounds(nodes: number, fanout: number): number {
  let rounds = 0
  for (let reached = 1; reached < nodes; reached *= fanout) rounds++
  return rounds
}
