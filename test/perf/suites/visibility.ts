/**
 * From the acknowledgement on one daemon to the recall on another: two processes on loopback, over real libp2p. The
 * watcher asks again as soon as it was answered, so that the figure includes indexing and one recall, as an agent would
 * see it.
 */
import { SeededRandom } from '../../../src/base/prng.ts'
import { memory, SEED } from '../corpus.ts'
import { GOALS } from '../goals.ts'
import { perSecond, Samples, sleep } from '../measure.ts'
import type { Client } from '../../../src/rpc/client.ts'
import type { SuiteContext } from '../world.ts'
import { sharedDeltas, until, untilConnected, type DaemonProcess } from '../../support/daemons.ts'

const WRITES_PER_S = 100
const WARM_UP = 10
const HITS = 10
/** Below the bound of one connection. */
const PENDING_MAX = 60
const FOUND_MS_MAX = 30_000

export async function visibility({ world, report, quick }: SuiteContext): Promise<void> {
  const alpha = await world.yard.start(await world.yard.newHome('alpha'))
  const beta = await world.yard.start(await world.yard.joinHome(alpha, 'beta'))
  await untilConnected(beta)
  await settled(alpha, beta)
  const count = quick ? 50 : 300

  for (const important of [false, true]) {
    const samples = await probe(alpha, beta, `idle${important ? 'urgent' : ''}`, count, important)
    const what = important ? ', importance above the threshold' : ''
    const params = { samples: count, where: 'two processes on loopback', flushIntervalMs: 25 }
    report(`ack to recall elsewhere, idle${what}, p50`, samples.quantile(0.5), 'ms', {
      params,
      ...(important ? { goal: GOALS.visibilityIdleP50Ms } : {})
    })
    report(`ack to recall elsewhere, idle${what}, p95`, samples.quantile(0.95), 'ms', {
      params,
      goal: GOALS.visibilityP95Ms
    })
    report(`ack to recall elsewhere, idle${what}, p99`, samples.quantile(0.99), 'ms', {
      params,
      ...(important ? { goal: GOALS.visibilityIdleP99Ms } : {})
    })
  }

  const load = steadyWrites(await alpha.connect())
  const samples = await probe(alpha, beta, 'load', count, false).finally(load.stop)
  const rate = await load.rate
  const params = { samples: count, writesPerS: Math.round(rate), where: 'two processes on loopback' }
  report('ack to recall elsewhere, 100 writes/s, p50', samples.quantile(0.5), 'ms', { params })
  report('ack to recall elsewhere, 100 writes/s, p95', samples.quantile(0.95), 'ms', {
    params,
    goal: GOALS.visibilityP95Ms
  })
  report('ack to recall elsewhere, 100 writes/s, p99', samples.quantile(0.99), 'ms', { params })
  await beta.kill()
  await alpha.kill()
}

/** Writes by the clock, however long each takes, until it is stopped; `rate` is what it came to, a second. */
function steadyWrites(writer: Client): { stop: () => void; rate: Promise<number> } {
  let writing = true
  const run = async (): Promise<number> => {
    const pending = new Set<Promise<unknown>>()
    const startedMs = performance.now()
    let written = 0
    while (writing) {
      const due = Math.floor(((performance.now() - startedMs) * WRITES_PER_S) / 1_000)
      for (; written < due && pending.size < PENDING_MAX; written++) {
        const write = writer.learn(memory(written).content)
        pending.add(write)
        void write.finally(() => pending.delete(write)).catch(() => undefined)
      }
      await sleep(5)
    }
    const rate = perSecond(written, performance.now() - startedMs)
    await Promise.all(pending)
    return rate
  }
  return { stop: () => void (writing = false), rate: run() }
}

/** The gossip links of a fresh pair come up within a heartbeat or two: a first delta shows that they have. */
async function settled(alpha: DaemonProcess, beta: DaemonProcess): Promise<void> {
  await alpha.client.learn('the first word between two daemons')
  await until('the first delta has arrived', async () => (await sharedDeltas(beta)) > 0)
  await sleep(2_000)
}

async function probe(
  alpha: DaemonProcess,
  beta: DaemonProcess,
  word: string,
  count: number,
  important: boolean
): Promise<Samples> {
  const samples = new Samples()
  const random = new SeededRandom(`${SEED}/visibility/${word}`)
  for (let n = -WARM_UP; n < count; n++) {
    const token = unlikeWord(random)
    const { id } = await alpha.client.learn(`${token} was seen`, { importance: important ? 0.9 : 0.1 })
    const ackedMs = performance.now()
    for (;;) {
      const { items } = await beta.client.recall(token, { limit: HITS })
      if (items.some((item) => item.id === id)) break
      if (performance.now() - ackedMs > FOUND_MS_MAX) throw new Error(`${token} was never recalled elsewhere`)
    }
    if (n >= 0) samples.add(performance.now() - ackedMs)
    // Neither in step with a timer of the daemons nor with the last probe.
    await sleep(10 + ((n + WARM_UP) % 7) * 6)
  }
  return samples
}

/** A word that is in no other text and like none: near words must not answer in its place. */
function unlikeWord(random: SeededRandom): string {
  let word = ''
  for (let i = 0; i < 14; i++) word += String.fromCharCode(97 + random.below(26))
  return word
}
