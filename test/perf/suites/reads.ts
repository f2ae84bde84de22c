/** Reading a memory by its id: in the daemon's process, and through the local door. */
import { SeededRandom } from '../../../src/base/prng.ts'
import type { Node } from '../../../src/node/node.ts'
import { SEED } from '../corpus.ts'
import { openEngine } from '../engine.ts'
import { GOALS } from '../goals.ts'
import { concurrently, perSecond, Samples, type Goal } from '../measure.ts'
import type { SuiteContext } from '../world.ts'

const MEMORIES = 10_000
const CLIENTS = 4
const CONCURRENCY = 64

type Read = (id: string, worker: number) => Promise<unknown>

export async function reads({ world, report, quick }: SuiteContext): Promise<void> {
  const count = quick ? 2_000 : 20_000
  const measure = async (where: string, ids: readonly string[], read: Read, goals: { p50: Goal; rate?: Goal }) => {
    const random = new SeededRandom(`${SEED}/reads`)
    const pick = (): string => ids[random.below(ids.length)] as string
    for (let n = 0; n < count / 10; n++) await read(pick(), 0)
    const samples = new Samples()
    for (let n = 0; n < count; n++) await samples.time(() => read(pick(), 0))
    const params = { memories: MEMORIES, samples: count }
    report(`read by id ${where} p50`, samples.quantile(0.5), 'ms', { params, goal: goals.p50 })
    report(`read by id ${where} p99`, samples.quantile(0.99), 'ms', { params })
    const ms = await concurrently(CONCURRENCY, 2 * count, (_, worker) => read(pick(), worker))
    report(`reads by id ${where}`, perSecond(2 * count, ms), 'reads/s', {
      params: { memories: MEMORIES, concurrency: CONCURRENCY },
      ...(goals.rate === undefined ? {} : { goal: goals.rate })
    })
  }

  await world.release(MEMORIES)
  const engine = await openEngine(await world.filledHome(MEMORIES))
  let ids: string[]
  try {
    await engine.node.indexed()
    ids = await recordIds(engine.node)
    await measure('in the daemon', ids, (id) => engine.node.get([id]), {
      p50: GOALS.readInDaemonP50Ms,
      rate: GOALS.readsPerS
    })
  } finally {
    await engine.close()
  }
  const daemon = await world.filledDaemon(MEMORIES)
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => daemon.connect()))
  const overRpc: Read = (id, worker) => (clients[worker % CLIENTS] ?? daemon.client).call('memory.get', { ids: [id] })
  await measure('over RPC', ids, overRpc, { p50: GOALS.readOverRpcP50Ms })
}

/** Each delta of the corpus creates one record, which has the delta's own id. */
async function recordIds(node: Node): Promise<string[]> {
  const { ids } = await node.deltaIds({ limit: MEMORIES })
  return [...ids]
}
