/**
 * What must hold after a run, whatever went wrong in it: the invariants of the project, checked in a world that has been
 * healed and has converged. A checker reads the disks and asks the engines; it believes no counter that the code under
 * test could have got wrong by itself, so signatures, hashes and merges are worked out a second time (reference.ts).
 *
 * | invariant | decided here by |
 * |---|---|
 * | I1 convergence | stores.ts: equal sets of ids, equal bytes of all records, equal digests and roots |
 * | I2 no acknowledged write lost | stores.ts: every one on every honest disk: stable, or lost |
 * | I3 no forgery | stores.ts: every stored delta hashed and verified anew; nothing forged is ever passed on |
 * | I4 merge is monotone | watch.ts: sets only grow within a life; reference.ts: join laws on sampled states |
 * | I5 chains | causality.ts: contiguous numbers, each naming the one before; no honest author signs a number twice |
 * | I6 clocks | causality.ts: own times strictly increase over restarts, epochs and jumps of the clock |
 * | I7 causal overwrite | causality.ts: a write is dated after everything its daemon held when it wrote it |
 * | I8 OR-Set · I9 counters | reference.ts: tags, claims and counts recomputed from the operations alone |
 * | I10 parents | causality.ts: what an honest delta cites is there; the graph has no cycle |
 * | I11 sessions of one client | watch.ts: what was acknowledged is on disk and shown at once; states only climb |
 * | I12 quiescence | quiet.ts: without writes nothing moves, and few sessions are held |
 * | I13 bounds | watch.ts: queues and held deltas, every virtual second |
 * | I14 durability | watch.ts: after a crash the disk holds every acknowledged write; stores.ts: no hole in the log |
 * | I15 index | reference.ts: records; stores.ts: author rows and heads; recall.ts: what a reader can list |
 * | I16 equivocation | trust.ts: every double signer is convicted everywhere, and nobody honest is, or is banned |
 * | I17 votes | trust.ts: every tally recounted over the roster; within the honest range |
 * | I18 determinism | the runner: it takes two runs of one seed to decide |
 * | I19 liveness | quiet.ts: nothing waits for ever, no rejection unhandled; `checkDrained` after the world has stopped |
 * | shuffle | reference.ts: the same deltas in other orders, through the merge code: the same bytes |
 * | causal | causality.ts: of two writes to a field, one aware of the other, the aware one is shown |
 * | budget | budgets.ts: copies for each delivery and control bytes, in worlds without liars |
 *
 * I10 asks that no delta is applied before its parents in other designs; here parents are data, never transport, and a
 * delta is applied when it comes, so what is checked is that they are there in the end.
 */
import type { WriteReceipt } from '../../src/node/api.ts'
import type { AuthorId } from '../../src/memory/ids.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { Fault } from '../faults/plan.ts'
import type { LiarKind } from '../liars/liar.ts'
import type { RunOptions } from '../runner/run.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { World } from '../world/world.ts'
import { checkBudgets } from './budgets.ts'
import { checkCausality } from './causality.ts'
import { inspect } from './inspect.ts'
import { checkQuiet } from './quiet.ts'
import { checkIndex } from './recall.ts'
import { checkReference } from './reference.ts'
import { checkStores } from './stores.ts'
import { checkTrust } from './trust.ts'
import type { Watch } from './watch.ts'

export { checkDrained } from './quiet.ts'
export { Watch } from './watch.ts'

export type Invariant =
  | `I${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19}`
  | 'budget'
  | 'shuffle'
  | 'causal'

export interface Violation {
  readonly invariant: Invariant
  /** Where; absent when it concerns the world. */
  readonly node?: string
  /** One sentence with the particulars. */
  readonly what: string
}

/** An acknowledged write. */
export interface Ack {
  /** Name of the node that acknowledged it. */
  readonly node: string
  readonly receipt: WriteReceipt
  /** What was asked for; kept for whoever reads a failure, not interpreted. */
  readonly request: unknown
  /** Virtual milliseconds. */
  readonly atMs: number
}

export interface Evidence {
  readonly world: World
  readonly honest: readonly SimNode[]
  readonly acknowledged: readonly Ack[]
  /** Those that were really injected. */
  readonly faults: readonly Fault[]
  readonly liars: readonly { readonly kind: LiarKind; readonly peer: PeerId; readonly author: AuthorId }[]
  /** Virtual milliseconds at which the last fault was over. */
  readonly healedMs: number
  readonly options: RunOptions
  /** Whose votes count: what every node was configured with. As the world says when absent. */
  readonly voters?: readonly AuthorId[]
}

/** What some seed of a sweep has to see: a run in which nothing of this happened has tested little. */
export const SOMETIMES = [
  'partition-healed',
  'duplicate-delivered',
  'crash-between-write-and-sync',
  'repaired-by-anti-entropy',
  'orphan-resolved',
  'equivocation-seen',
  'clock-jumped-back',
  'disk-full',
  'quarantine-repaired',
  'backoff-used',
  'epoch-restarted',
  'ban-and-unban',
  'delta-held',
  'forgery-refused'
] as const

export type Sometimes = (typeof SOMETIMES)[number]

/**
 * Everything that can be decided in a world: it must be healed, converged, and its liars stopped. Lets some virtual
 * seconds pass at the end, to see that it is quiet. Violations in a fixed order; a crowd of one kind is cut short.
 */
export async function checkAll(evidence: Evidence, watch: Watch): Promise<readonly Violation[]> {
  const found: Violation[] = [...(await evidence.world.settled(watch.finish()))]
  // What came last may still be on its way to a slow disk; its sender keeps it until it has been stored.
  for (const node of evidence.honest) if (node.running) await evidence.world.settled(node.engine.idle())
  const scene = await evidence.world.settled(inspect(evidence))
  watch.conclude(scene)
  for (const check of [checkStores, checkCausality, checkReference]) found.push(...check(scene))
  found.push(...(await evidence.world.settled(checkTrust(scene))))
  found.push(...(await evidence.world.settled(checkIndex(scene))))
  found.push(...checkBudgets(scene))
  found.push(...(await checkQuiet(scene)))
  return cutShort(found)
}

const ALIKE_MAX = 5

/** One broken merge makes every record wrong: a handful of examples is enough. */
export function cutShort(found: readonly Violation[]): Violation[] {
  const counts = new Map<string, number>()
  for (const { invariant } of found) counts.set(invariant, (counts.get(invariant) ?? 0) + 1)
  const shown = new Map<string, number>()
  const kept: Violation[] = []
  for (const violation of found) {
    const so = (shown.get(violation.invariant) ?? 0) + 1
    shown.set(violation.invariant, so)
    if (so <= ALIKE_MAX) kept.push(violation)
    const rest = (counts.get(violation.invariant) ?? 0) - ALIKE_MAX
    if (so === ALIKE_MAX && rest > 0) kept.push({ invariant: violation.invariant, what: `and ${rest} more like this` })
  }
  return kept
}
