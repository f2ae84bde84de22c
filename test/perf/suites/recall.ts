/**
 * Recall over memories that look like memories, and what the daemon pays to be able to answer: time to build the index,
 * time to be ready after a restart, memory at rest. One home of each size is measured first in this process, then as a
 * daemon of its own.
 */
import { CORPUS, question } from '../corpus.ts'
import { openEngine } from '../engine.ts'
import { GOALS } from '../goals.ts'
import { cpuMsOf, programKind, residentMiB } from '../machine.ts'
import { concurrently, perSecond, Samples, sleep, type Goal } from '../measure.ts'
import { untilIndexed, type SuiteContext } from '../world.ts'

const CLIENTS = 4
const CONCURRENCY = 16
const HITS = 10
/** Long enough for V8 to give back what the start needed. */
const REST_MS = 8_000
/** Only here do goals apply: they are stated for a hundred thousand memories. */
const GOAL_MEMORIES = 100_000

export async function recall(context: SuiteContext): Promise<void> {
  for (const count of context.quick ? [10_000] : [10_000, GOAL_MEMORIES]) {
    await inProcess(context, count)
    await asDaemon(context, count)
  }
}

type Ask = (query: string) => Promise<unknown>

async function inProcess({ world, report, quick }: SuiteContext, memories: number): Promise<void> {
  await world.release(memories)
  const home = await world.filledHome(memories)
  const startedMs = performance.now()
  const engine = await openEngine(home)
  try {
    const restoredMs = performance.now()
    await engine.node.indexed()
    report(`index build, ${label(memories)}`, performance.now() - restoredMs, 'ms', { params: { memories } })
    report(`replica restore, ${label(memories)}`, restoredMs - startedMs, 'ms', { params: { deltas: memories } })
    const samples = await ask(memories, quick, (query) => engine.node.search({ query, limit: HITS }))
    quantiles(report, samples, `recall in the daemon, ${label(memories)}`, memories, {})
  } finally {
    await engine.close()
  }
}

async function asDaemon({ world, report, quick }: SuiteContext, memories: number): Promise<void> {
  const isGoal = memories === GOAL_MEMORIES
  const params = { memories, program: programKind() }
  // The first start takes over a home it did not write and settles it; the second is what a crash costs.
  const home = await world.filledHome(memories)
  const first = await world.yard.start(home)
  await untilIndexed(first, memories)
  await first.kill()
  const again = await world.yard.start(home)
  report(`restart to first answer after a kill, ${label(memories)}`, again.answeredMs, 'ms', {
    params,
    ...(isGoal ? { goal: GOALS.restartReadyMs } : {})
  })
  const answeredMs = performance.now()
  await untilIndexed(again, memories)
  report(`index complete after the first answer, ${label(memories)}`, performance.now() - answeredMs, 'ms', { params })
  await sleep(quick ? 2_000 : REST_MS)
  const status = await again.client.status()
  const restingMiB = residentMiB(again.pid) ?? status.memory.rssBytes / 2 ** 20
  report(`resident memory of the daemon, idle, ${label(memories)}`, restingMiB, 'MiB', {
    params,
    ...(isGoal ? { goal: GOALS.rssIdleMiB } : {})
  })
  report(`heap in use of the daemon, idle, ${label(memories)}`, status.memory.heapBytes / 2 ** 20, 'MiB', { params })
  const cpuBeforeMs = cpuMsOf(again.pid)
  const samples = await ask(memories, quick, (query) => again.client.recall(query, { limit: HITS }))
  const cpuAfterMs = cpuMsOf(again.pid)
  const goals = isGoal ? { p50: GOALS.recallOverRpcP50Ms, p99: GOALS.recallOverRpcP99Ms } : {}
  quantiles(report, samples, `recall over RPC, ${label(memories)}`, memories, goals)
  if (cpuBeforeMs !== undefined && cpuAfterMs !== undefined) {
    const cpuMs = (cpuAfterMs - cpuBeforeMs) / (1.1 * samples.count)
    report(`CPU of a recall over RPC, ${label(memories)}`, cpuMs, 'ms', { params: { ...params, threads: 'all' } })
  }
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => again.connect()))
  const count = quick ? 500 : 4_000
  const ms = await concurrently(CONCURRENCY, count, (n, worker) =>
    (clients[worker % CLIENTS] ?? again.client).recall(question(n, memories), { limit: HITS })
  )
  report(`recalls over RPC, ${label(memories)}`, perSecond(count, ms), 'recalls/s', {
    params: { memories, concurrency: CONCURRENCY, clients: CLIENTS }
  })
  const busyMiB = residentMiB(again.pid)
  if (busyMiB !== undefined) {
    report(`resident memory of the daemon after the recalls, ${label(memories)}`, busyMiB, 'MiB', { params })
  }
  await again.stop()
}

/** Asks one question after another; the first tenth warms up. */
async function ask(memories: number, quick: boolean, search: Ask): Promise<Samples> {
  const count = quick ? 300 : 2_000
  const samples = new Samples()
  for (let n = 0; n < count / 10; n++) await search(question(n + count, memories))
  for (let n = 0; n < count; n++) {
    const query = question(n, memories)
    await samples.time(() => search(query))
  }
  return samples
}

function quantiles(
  report: SuiteContext['report'],
  samples: Samples,
  name: string,
  memories: number,
  goals: { p50?: Goal; p99?: Goal }
): void {
  const params = { memories, hits: HITS, samples: samples.count, corpus: CORPUS, embedder: 'none' }
  report(`${name} p50`, samples.quantile(0.5), 'ms', {
    params,
    ...(goals.p50 === undefined ? {} : { goal: goals.p50 })
  })
  report(`${name} p95`, samples.quantile(0.95), 'ms', { params })
  report(`${name} p99`, samples.quantile(0.99), 'ms', {
    params,
    ...(goals.p99 === undefined ? {} : { goal: goals.p99 })
  })
}

const label = (memories: number): string => `${memories / 1_000}k`
