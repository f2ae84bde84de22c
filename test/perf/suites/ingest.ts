/**
 * Deltas of strangers: what each costs in signature, hash and tree, and how many go through the whole engine in a
 * second, from gossip frame to database, with the index following behind.
 */
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeDelta, encodeDelta } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { rangeKey } from '../../../src/memory/names.ts'
import { verifyDelta, verifyDeltaAsync } from '../../../src/memory/verify.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { openEngine, type Engine } from '../engine.ts'
import { foreignDeltas, FRAME_DELTAS, framesOf } from '../foreign.ts'
import { GOALS } from '../goals.ts'
import { concurrently, cpuMs, median, microsPerCall, perSecond, sleep } from '../measure.ts'
import type { SuiteContext } from '../world.ts'

const AUTHORS = 8
/** Gossip frames that a busy topic has in judgement at once. */
const FRAMES_IN_FLIGHT = 6
/** Deltas handed over and not yet on disk. */
const AHEAD_MAX = LIMITS.inboxInputsMax / 2
const TREE_KEYS = 100_000

export async function ingest(context: SuiteContext): Promise<void> {
  const { world, quick } = context
  const count = quick ? 4_000 : 20_000
  const rounds = quick ? 2 : 4
  const home = await world.yard.newHome('ingest')
  const engine = await openEngine(home)
  try {
    const deltas = foreignDeltas(engine.space, count * rounds, AUTHORS)
    await pieces(context, deltas)
    tree(context, deltas)
    await endToEnd(context, engine, deltas, count)
  } finally {
    await engine.close()
  }
}

async function pieces({ report }: SuiteContext, deltas: readonly VerifiedDelta[]): Promise<void> {
  const crypto = createCrypto(new Uint8Array(32).fill(99))
  const at = (n: number): VerifiedDelta => deltas[n % deltas.length] as VerifiedDelta
  const half = new Uint8Array(512).fill(7)
  report(
    'SHA-384 of 512 bytes',
    microsPerCall(() => crypto.sha384(half), { batch: 5_000 }),
    'µs'
  )
  report(
    'Ed25519 signature',
    microsPerCall(() => crypto.sign(half), { batch: 500 }),
    'µs'
  )
  report(
    'verify one delta, this thread',
    microsPerCall((n) => verifyDelta(at(n), crypto), { batch: 400 }),
    'µs'
  )
  const records = deltas.slice(0, 1_000).map((delta) => encodeDelta(delta))
  const decodeMicros = microsPerCall((n) => decodeDelta(records[n % records.length] as Uint8Array, crypto), {
    batch: 2_000
  })
  report('decode one delta, hashes included', decodeMicros, 'µs', {
    params: { bytes: Math.round(records.reduce((sum, record) => sum + record.length, 0) / records.length) }
  })
  await concurrently(64, 500, (n) => verifyDeltaAsync(at(n), crypto))
  const ms = await concurrently(64, 4_000, (n) => verifyDeltaAsync(at(n), crypto))
  report('verify, thread pool', perSecond(4_000, ms), 'deltas/s', { params: { concurrency: 64 } })
}

/** Into a tree that grows to 100,000 keys, in the order of their times, as a daemon sees them. */
function tree({ report }: SuiteContext, deltas: readonly VerifiedDelta[]): void {
  const crypto = createCrypto(new Uint8Array(32).fill(99))
  const sample = deltas.slice(0, 1_000).map((delta) => delta.header.hlc)
  const idOf = (n: number): string => Buffer.from(crypto.sha384(Buffer.from(String(n)))).toString('hex', 0, 32)
  const keys = Array.from({ length: TREE_KEYS }, (_, n) => rangeKey((sample[0] ?? 0n) + (BigInt(n) << 17n), idOf(n)))
  const times: number[] = []
  const keyMicros = microsPerCall((n) => rangeKey(sample[n % sample.length] ?? 0n, idOf0), { batch: 20_000 })
  for (let round = 0; round < 3; round++) {
    const grown = new RangeTree(crypto)
    const startedMs = performance.now()
    for (const key of keys) grown.insert(key)
    grown.root()
    times.push(((performance.now() - startedMs) * 1_000) / TREE_KEYS)
  }
  report('range key of a delta', keyMicros, 'µs')
  report('range tree upkeep, root included', median(times), 'µs', {
    params: { keys: TREE_KEYS },
    goal: GOALS.rangeInsertMicros
  })
}

const idOf0 = '0123456789abcdef'.repeat(4)

async function endToEnd(
  { report }: SuiteContext,
  engine: Engine,
  deltas: readonly VerifiedDelta[],
  count: number
): Promise<void> {
  const rates: number[] = []
  const cpu: number[] = []
  for (let from = 0; from < deltas.length; from += count) {
    const frames = framesOf(deltas.slice(from, from + count))
    let handed = from
    const startedMs = performance.now()
    const cpuBeforeMs = cpuMs()
    await concurrently(FRAMES_IN_FLIGHT, frames.length, async (n) => {
      // A full inbox drops what comes by gossip; here every delta has to arrive by the first attempt.
      while (handed - held(engine) > AHEAD_MAX) await sleep(1)
      handed += FRAME_DELTAS
      await engine.gossip(frames[n] as Uint8Array)
    })
    while (held(engine) < from + count) await sleep(1)
    // The first round warms up.
    if (from > 0) rates.push(perSecond(count, performance.now() - startedMs))
    await engine.node.idle()
    if (from > 0) cpu.push(((cpuMs() - cpuBeforeMs) * 1_000) / count)
  }
  report('CPU of one ingested delta, index included', median(cpu), 'µs', { params: { deltas: count, threads: 'all' } })
  report('ingest of foreign deltas, frame to disk', median(rates), 'deltas/s', {
    params: { deltas: count, rounds: rates.length, authors: AUTHORS, framesInFlight: FRAMES_IN_FLIGHT },
    goal: GOALS.ingestPerS
  })
}

function held(engine: Engine): number {
  return engine.node.spaceTable.find(engine.space).replica.tree.count
}
