/**
 * Durable writes beside the disk they are written to. The same run interleaves, operation by operation, a bare append
 * with fdatasync, a synced LevelDB batch of one row, and a memory learned through the whole engine, so that their ratio
 * means something on a machine where milliseconds do not.
 */
import { open, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { openLevelStore } from '../../../src/adapters/level/level-store.ts'
import { uintBytes } from '../../../src/base/bytes.ts'
import type { Node } from '../../../src/node/node.ts'
import { memory } from '../corpus.ts'
import { openEngine } from '../engine.ts'
import { GOALS } from '../goals.ts'
import { concurrently, cpuMs, median, perSecond, Samples } from '../measure.ts'
import type { SuiteContext } from '../world.ts'

const RECORD_BYTES = 1_024
const WARM_UP = 20
const CONCURRENCY = 100
const CLIENTS = 4
/** Memories in one addMany: what fits one delta of this corpus. */
const BULK_ITEMS = 120
/** The disk for which the goals in milliseconds were set. */
const GOAL_DISK_MS = 4

export async function writes(context: SuiteContext): Promise<void> {
  await serial(context)
  await concurrent(context)
  await overRpc(context)
}

async function serial({ world, report, quick }: SuiteContext): Promise<void> {
  const count = quick ? 100 : 400
  const file = await open(path.join(world.yard.root, 'bare'), 'w')
  const store = await openLevelStore(path.join(world.yard.root, 'bare-level'))
  const atOnce = await openEngine(await world.yard.newHome('serial'), { groupCommitWindowMs: 0 })
  const waiting = await openEngine(await world.yard.newHome('serial-window'), { groupCommitWindowMs: 2 })
  const bare = new Samples()
  const row = new Samples()
  const learned = new Samples()
  const learnedLate = new Samples()
  const payload = new Uint8Array(RECORD_BYTES).fill(1)
  try {
    for (let n = -WARM_UP; n < count; n++) {
      const [a, b, c, d] =
        n < 0 ? [new Samples(), new Samples(), new Samples(), new Samples()] : [bare, row, learned, learnedLate]
      await a.time(() => append(file, payload))
      const key = uintBytes(n + WARM_UP, 8)
      await b.time(() => store.batch([{ table: 'delta', key, value: payload }], { durable: true }))
      await c.time(() => atOnce.node.add(memory(n + WARM_UP)))
      await d.time(() => waiting.node.add(memory(n + WARM_UP)))
    }
  } finally {
    await file.close()
    await store.close()
    await atOnce.close()
    await waiting.close()
  }
  const goalDisk = bare.quantile(0.5) <= GOAL_DISK_MS
  const params = { samples: count, bytes: RECORD_BYTES }
  report('bare append + fdatasync p50', bare.quantile(0.5), 'ms', { params })
  report('bare append + fdatasync p99', bare.quantile(0.99), 'ms', { params })
  report('LevelDB batch of one row, synced, p50', row.quantile(0.5), 'ms', { params })
  report('LevelDB batch of one row, synced, p99', row.quantile(0.99), 'ms', { params })
  for (const [samples, windowMs] of [
    [learned, 0],
    [learnedLate, 2]
  ] as const) {
    const engine = { params: { samples: count, groupCommitWindowMs: windowMs } }
    report(`durable write, serial p50, window ${windowMs} ms`, samples.quantile(0.5), 'ms', {
      ...engine,
      ...(goalDisk ? { goal: GOALS.writeSerialP50Ms } : {})
    })
    report(`durable write, serial p99, window ${windowMs} ms`, samples.quantile(0.99), 'ms', {
      ...engine,
      ...(goalDisk ? { goal: GOALS.writeSerialP99Ms } : {})
    })
    report(
      `durable write, serial p50 / bare p50, window ${windowMs} ms`,
      samples.quantile(0.5) / bare.quantile(0.5),
      '×',
      {
        ...engine,
        goal: GOALS.writeSerialRatio
      }
    )
  }
}

async function append(file: FileHandle, payload: Uint8Array): Promise<void> {
  await file.write(payload)
  await file.datasync()
}

async function concurrent({ world, report, quick }: SuiteContext): Promise<void> {
  const count = quick ? 3_000 : 15_000
  const engine = await openEngine(await world.yard.newHome('concurrent'))
  try {
    const beforeMs = cpuMs()
    const rates = await rounds(count, (from) => addAll(engine.node, from, count))
    const cpuMicros = ((cpuMs() - beforeMs) * 1_000) / (count * (rates.length + 1))
    report(`durable writes, concurrency ${CONCURRENCY}`, median(rates), 'writes/s', {
      params: { writes: count, rounds: rates.length },
      goal: GOALS.writesConcurrentPerS
    })
    report('CPU of one durable write, index included', cpuMicros, 'µs', { params: { writes: count, threads: 'all' } })
    const bulk = quick ? 40 : 200
    const bulkMs = await concurrently(CLIENTS, bulk, (n) =>
      engine.node.addMany(Array.from({ length: BULK_ITEMS }, (_, i) => memory(n * BULK_ITEMS + i)))
    )
    report(`bulk learning, ${BULK_ITEMS} memories a delta`, perSecond(bulk * BULK_ITEMS, bulkMs), 'memories/s', {
      params: { deltas: bulk, concurrency: CLIENTS }
    })
  } finally {
    await engine.close()
  }
}

function addAll(node: Node, from: number, count: number): Promise<number> {
  return concurrently(CONCURRENCY, count, (n) => node.add(memory(from + n)))
}

/** One round warms up; three count. */
async function rounds(count: number, run: (from: number) => Promise<number>): Promise<number[]> {
  await run(0)
  const rates: number[] = []
  for (let round = 1; round <= 3; round++) rates.push(perSecond(count, await run(round * count)))
  return rates
}

async function overRpc({ world, report, quick }: SuiteContext): Promise<void> {
  const daemon = await world.yard.start(await world.yard.newHome('rpc-writes'))
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => daemon.connect()))
  const samples = new Samples()
  const serialCount = quick ? 100 : 400
  const count = quick ? 2_000 : 10_000
  for (let n = -WARM_UP; n < serialCount; n++) {
    const into = n < 0 ? new Samples() : samples
    await into.time(() => daemon.client.call('memory.add', memory(n + WARM_UP) as { content: string }))
  }
  report('durable write over RPC, serial p50', samples.quantile(0.5), 'ms', { params: { samples: serialCount } })
  report('durable write over RPC, serial p99', samples.quantile(0.99), 'ms', { params: { samples: serialCount } })
  const rates = await rounds(count, (from) =>
    concurrently(CONCURRENCY, count, (n, worker) =>
      (clients[worker % CLIENTS] ?? daemon.client).call('memory.add', memory(from + n) as { content: string })
    )
  )
  report(`durable writes over RPC, concurrency ${CONCURRENCY}`, median(rates), 'writes/s', {
    params: { writes: count, rounds: rates.length, clients: CLIENTS }
  })
  await daemon.kill()
}
