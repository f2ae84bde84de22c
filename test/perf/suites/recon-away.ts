/**
 * What an absence costs whole daemons: two engines on virtual time and a network in memory, one of which is cut off while the
 * other writes. Everything that then goes over reconciliation channels until both hold the same is counted, whatever the
 * schedule, the outline and the sessions made of it; the clock of the machine has no part in it.
 */
import { decodeReconFrame } from '../../../src/sync/recon-codec.ts'
import { Bench, type Engine } from '../../support/engine.ts'
import { isTransferFrame } from '../../support/session-wire.ts'
import { memory } from '../corpus.ts'
import { GOALS } from '../goals.ts'
import type { SuiteContext } from '../world.ts'

const BEFORE = 500
const BATCH = 100
/** Virtual time between two batches: an agent that writes a hundred memories a second. */
const BATCH_MS = 1_000
const LEVEL_MS_MAX = 600_000
const GOAL_DELTAS = 10_000

const rootOf = (engine: Engine): string => engine.node.spaces()[0]?.root ?? ''

export async function reconAway({ report, quick }: SuiteContext): Promise<void> {
  const missing = quick ? 2_000 : GOAL_DELTAS
  const bench = new Bench()
  const [stays, leaves] = [await bench.start({ seed: 1 }), await bench.start({ seed: 2 })]
  stays.network.link(leaves.network)
  const isLevel = (): boolean => rootOf(stays) === rootOf(leaves)
  await write(bench, stays, 0, BEFORE)
  if (!(await bench.pass(LEVEL_MS_MAX, isLevel))) throw new Error('the two never agreed')

  const heal = bench.air.partition([stays.network], [leaves.network])
  await write(bench, stays, BEFORE, missing)
  // Long enough for the last of them to be no news any more.
  await bench.pass(60_000)
  bench.air.recording = true
  const healedMs = bench.queue.nowMs
  heal()
  if (!(await bench.pass(LEVEL_MS_MAX, isLevel))) throw new Error('the one that was away never caught up')
  const tookMs = bench.queue.nowMs - healedMs

  let [compare, pages, records, sessions] = [0, 0, 0, 0]
  for (const { how, bytes } of bench.air.carried) {
    if (how !== 'channel') continue
    const frame = decodeReconFrame(bytes)
    if (frame === undefined) continue
    const inside = frame.frame === 'deltas' ? frame.records.reduce((sum, record) => sum + record.length, 0) : 0
    if (frame.frame === 'hello') sessions++
    records += inside
    if (isTransferFrame(bytes)) pages += bytes.length - inside
    else compare += bytes.length
  }
  await bench.stop()
  if (sessions === 0) throw new Error('no session was seen')
  const name = `away for ${missing.toLocaleString('en-US')} deltas, whole engines`
  const params = { missing, held: BEFORE, sessions, virtualMs: Math.round(tookMs), recordBytes: records }
  report(`metadata that finds them, ${name}`, compare, 'bytes', {
    params,
    ...(missing === GOAL_DELTAS ? { goal: GOALS.reconBlockBytes } : {})
  })
  report(`pages around the deltas, ${name}`, pages, 'bytes', { params })
  report(`sessions, ${name}`, sessions, 'sessions', { params })
}

async function write(bench: Bench, engine: Engine, from: number, count: number): Promise<void> {
  for (let n = 0; n < count; n += BATCH) {
    const writes = Array.from({ length: BATCH }, (_, i) => engine.node.add(memory(from + n + i)))
    await bench.finish(Promise.all(writes))
    await bench.pass(BATCH_MS)
  }
}
