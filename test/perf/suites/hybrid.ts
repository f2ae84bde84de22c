/**
 * Recall by meaning and words together, over RPC, with an embedding service beside it: what the vectors add to the time
 * of an answer, what it takes to make them all, and how soon they are there again after a restart. The service is the
 * one of the tests, so what is measured is the daemon; a real model adds its own time to each query that is new.
 */
import { startEmbedServer, type EmbedServer } from '../../support/embed-server.ts'
import { until, type DaemonProcess } from '../../support/daemons.ts'
import { CORPUS, question } from '../corpus.ts'
import { GOALS } from '../goals.ts'
import { residentMiB } from '../machine.ts'
import { Samples } from '../measure.ts'
import { untilIndexed, type SuiteContext } from '../world.ts'

const DIMENSIONS = 384
const HITS = 10
/** Only here do goals apply. */
const GOAL_MEMORIES = 100_000
const BUILD_MS_MAX = 1_800_000

export async function hybrid({ world, report, quick }: SuiteContext): Promise<void> {
  const memories = quick ? 10_000 : GOAL_MEMORIES
  const isGoal = memories === GOAL_MEMORIES
  const server = await startEmbedServer({ dimensions: DIMENSIONS })
  try {
    await world.release(memories)
    const home = await world.filledHome(memories)
    const settings = { 'embed.provider': 'ollama', 'embed.url': server.url, 'embed.batch': '64' }
    const label = `${memories / 1_000}k`
    const params = { memories, dimensions: DIMENSIONS, corpus: CORPUS, embedder: 'test server on loopback' }

    const startedMs = performance.now()
    const first = await world.yard.start(home, { set: settings })
    await untilIndexed(first, memories)
    const buildMs = await untilWhole(first, startedMs)
    report(`vectors of all texts made and indexed, ${label}`, buildMs / 1_000, 's', { params })
    report(`resident memory with vectors, ${label}`, residentMiB(first.pid) ?? 0, 'MiB', { params })
    await first.stop()

    const restartedMs = performance.now()
    const daemon = await world.yard.start(home, { set: settings })
    await untilIndexed(daemon, memories)
    report(`vectors whole after a restart, ${label}`, (await untilWhole(daemon, restartedMs)) / 1_000, 's', { params })

    const samples = await ask(daemon, server, memories, quick)
    const all = { ...params, hits: HITS, samples: samples.fresh.count }
    const goals = isGoal ? { p50: { goal: GOALS.hybridOverRpcP50Ms }, p99: { goal: GOALS.hybridOverRpcP99Ms } } : {}
    report(`hybrid recall over RPC, new query, ${label} p50`, samples.fresh.quantile(0.5), 'ms', {
      params: all,
      ...goals.p50
    })
    report(`hybrid recall over RPC, new query, ${label} p99`, samples.fresh.quantile(0.99), 'ms', {
      params: all,
      ...goals.p99
    })
    report(`hybrid recall over RPC, known query, ${label} p50`, samples.known.quantile(0.5), 'ms', { params: all })
    report(`the same by words alone, ${label} p50`, samples.words.quantile(0.5), 'ms', { params: all })
    report(`the same by words alone, ${label} p99`, samples.words.quantile(0.99), 'ms', { params: all })
    await daemon.stop()
  } finally {
    await server.close()
  }
}

/** Milliseconds since `sinceMs` until every text has its vector. */
async function untilWhole(daemon: DaemonProcess, sinceMs: number): Promise<number> {
  const isWhole = async (): Promise<boolean> => (await daemon.client.call('embed.status', {})).state === 'on'
  await until('every text has its vector', isWhole, { timeoutMs: BUILD_MS_MAX, everyMs: 100 })
  return performance.now() - sinceMs
}

/** Each question three times: its vector must be made, its vector is known, no vectors. The first tenth warms up. */
async function ask(
  { client }: DaemonProcess,
  server: EmbedServer,
  memories: number,
  quick: boolean
): Promise<{ fresh: Samples; known: Samples; words: Samples }> {
  const count = quick ? 300 : 2_000
  const samples = { fresh: new Samples(), known: new Samples(), words: new Samples() }
  for (let n = 0; n < count / 10; n++) await client.recall(question(n + count, memories), { limit: HITS })
  const before = server.embedded
  for (let n = 0; n < count; n++) {
    const query = question(n, memories)
    await samples.fresh.time(() => client.recall(query, { limit: HITS }))
    await samples.known.time(() => client.recall(query, { limit: HITS }))
    await samples.words.time(() => client.recall(query, { limit: HITS, modes: ['keyword'] }))
  }
  if (server.embedded - before < count / 2) throw new Error('the queries did not reach the embedding service')
  return samples
}
