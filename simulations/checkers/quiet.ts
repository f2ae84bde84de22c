/**
 * What must come to rest. Once all have converged and nobody writes, no delta moves, sessions are few (I12), and nothing
 * waits for anything (I19); once the world has stopped, no timer is left that would start anything again (I19).
 */
import { LIMITS } from '../../src/base/limits.ts'
import { hlcMs } from '../../src/memory/ids.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { World } from '../world/world.ts'
import { decodeDelta } from '../../src/memory/delta-codec.ts'
import { createVerifier } from '../../src/adapters/system/crypto.ts'
import { allRows, type Scene } from './inspect.ts'
import type { Violation } from './checker.ts'

/** Looks for a moment at which all hold the same. */
const ATTEMPTS_MAX = 5
/** Sessions that were under way when the last sets became equal may still move what both have by now. */
const SETTLING_MS = 2_000
/** Virtual milliseconds for which it is watched then: three intervals of anti-entropy. */
const WATCHED_MS = 6_000
/** The outbox offers what nobody listened to five times more, half a second to eight apart, then leaves it alone. */
const OFFERED_MS = 25_000
/** After a stop: longer than any timer of the project. */
const DRAINED_MS = 7_200_000

/** Sums of one node, before and after. */
export interface Books {
  readonly name: string
  readonly ingested: number
  /** Written here, but for counts of reads, which are told from time to time. */
  readonly written: number
  readonly sessions: number
  readonly moving: number
}

export async function checkQuiet(scene: Scene): Promise<Violation[]> {
  const { evidence } = scene
  const { world, honest } = evidence
  const running = honest.filter((node) => node.running)
  if (running.length < honest.length || !world.converged()) return []
  const found: Violation[] = []
  // Counts of reading may be told at any moment, also while we wait for rest: then all have to hear of them first.
  let counted = 0
  let attempts = 0
  do {
    if (++attempts > ATTEMPTS_MAX) return [{ invariant: 'I12', what: `not at rest after ${ATTEMPTS_MAX} looks` }]
    await world.queue.run(world.queue.nowMs + SETTLING_MS)
    counted = await world.settled(countsTold(running))
  } while (!world.converged())
  const before = running.map(booksOf)
  await world.queue.run(world.queue.nowMs + WATCHED_MS)
  const after = running.map(booksOf)
  const toldMeanwhile = (await world.settled(countsTold(running))) > counted
  if (!toldMeanwhile && !fallsDue(scene)) found.push(...judgeQuiet(before, after, sessionsMax(running, WATCHED_MS)))
  if (running.some(({ engine }) => hasQueued(engine.status().queues))) {
    await world.queue.run(world.queue.nowMs + OFFERED_MS)
  }
  for (const node of running) found.push(...checkWaiting(node))
  return found
}

function hasQueued(queues: Readonly<Record<string, number>>): boolean {
  return Object.values(queues).some((waiting) => waiting > 0)
}

function booksOf(node: SimNode): Books {
  const of = node.metrics.snapshot()
  let sessions = 0
  for (const outcome of ['equal', 'repaired', 'partial', 'failed']) {
    sessions += of[`chrysalis_recon_sessions_${outcome}_total`] ?? 0
  }
  return {
    name: node.name,
    ingested: of['chrysalis_node_ingested_total'] ?? 0,
    written: of['chrysalis_node_written_total'] ?? 0,
    sessions,
    moving: of['chrysalis_recon_sessions_repaired_total'] ?? 0
  }
}

/** Deltas that only say how often memories were read. */
async function countsTold(nodes: readonly SimNode[]): Promise<number> {
  let told = 0
  const [first] = nodes
  if (first === undefined) return told
  const hasher = createVerifier()
  for (const { value } of await allRows(first.disk.rows, 'delta')) {
    const delta = decodeDelta(value, hasher)
    if (delta.ok && delta.value.ops.every(({ op }) => op === 'access')) told++
  }
  return told
}

/** Whether something that was held back, being dated ahead, may be admitted while we watch. */
function fallsDue({ views, evidence }: Scene): boolean {
  const clocks = evidence.honest.map(({ clock }) => clock.nowMs())
  const latestMs = Math.max(...clocks) + LIMITS.clockLeadMsMax + SETTLING_MS + WATCHED_MS
  return views.some(({ held }) => held.some(({ header }) => hlcMs(header.hlc) <= latestMs))
}

/** Each node opens one session an interval, a fifth sooner at the most, and each is counted at both of its ends. */
function sessionsMax(nodes: readonly SimNode[], spanMs: number): number {
  const shortestMs = 2_000 * 0.8
  return 2 * nodes.length * (Math.ceil(spanMs / shortestMs) + 1)
}

export function judgeQuiet(before: readonly Books[], after: readonly Books[], most: number): Violation[] {
  const found: Violation[] = []
  let sessions = 0
  for (const [i, now] of after.entries()) {
    const then = before[i] ?? now
    sessions += now.sessions - then.sessions
    const [came, wrote, moved] = [now.ingested - then.ingested, now.written - then.written, now.moving - then.moving]
    if (came + wrote + moved === 0) continue
    const what = `after convergence ${came} deltas came, ${wrote} were written and ${moved} sessions moved something`
    found.push({ invariant: 'I12', node: now.name, what })
  }
  if (sessions > most) found.push({ invariant: 'I12', what: `${sessions} sessions among equals, at most ${most}` })
  return found
}

/** I19: a node at rest has nothing left to do. */
export function checkWaiting(node: Pick<SimNode, 'name' | 'engine'>): Violation[] {
  const found: Violation[] = []
  const { queues, state, reasons, index } = node.engine.status()
  for (const [queue, waiting] of Object.entries(queues)) {
    if (waiting > 0) found.push({ invariant: 'I19', node: node.name, what: `${waiting} still wait in ${queue}` })
  }
  if (state !== 'ready') {
    found.push({ invariant: 'I19', node: node.name, what: `is ${state} at the end: ${reasons.join('; ')}` })
  }
  if (index.state !== 'complete' || index.indexed !== index.records) {
    const what = `the index is ${index.state} with ${index.indexed} of ${index.records} records`
    found.push({ invariant: 'I15', node: node.name, what })
  }
  return found
}

/**
 * I19, for after `world.stop()`: lets two virtual hours pass, after which not even a cancelled timer is left unless
 * somebody sets new ones.
 */
export async function checkDrained(world: World): Promise<Violation[]> {
  await world.queue.run(world.queue.nowMs + DRAINED_MS)
  const left = world.queue.size
  return left === 0
    ? []
    : [{ invariant: 'I19', what: `${left} timers are still set two hours after everything has stopped` }]
}
