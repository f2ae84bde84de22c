/**
 * The set of deltas by itself: what keeping it up costs, what it takes of memory, and how long a restart needs to have it
 * back from disk, checked against its rows. Each restart is a process of its own, on a home filled without signatures.
 */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import v8 from 'node:v8'
import vm from 'node:vm'
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { DeltaSet } from '../../../src/sync/delta-set.ts'
import { SEED } from '../corpus.ts'
import { GOALS } from '../goals.ts'
import { ROOT } from '../machine.ts'
import { cpuMs, median, type Report } from '../measure.ts'
import type { Restart } from '../restart-child.ts'
import { fillUnsigned } from '../unsigned-home.ts'
import type { SuiteContext } from '../world.ts'

const MILLION = 1_000_000
const ROUNDS = 3
/** Between two looks at the root: what the daemon's own record of itself does. */
const ROOT_EVERY = 1_000

export async function tree({ world, report, quick }: SuiteContext): Promise<void> {
  const count = quick ? MILLION / 10 : MILLION
  upkeep(report, count)
  await atRest(report, count)
  const home = await world.yard.newHome('tree')
  await fillUnsigned(home, count)
  await restart(report, home, count)
}

/** Range keys a few milliseconds apart that come a little out of order, as gossip brings them. */
function keysInTime(count: number): Uint8Array {
  const random = new SeededRandom(`${SEED}/tree`)
  const keys = new Uint8Array(count * 38)
  const view = new DataView(keys.buffer)
  const firstMs = Date.now() - count * 3
  for (let n = 0; n < count; n++) {
    const ms = firstMs + n * 3 + random.below(500)
    view.setUint16(n * 38, Math.floor(ms / 0x100000000))
    view.setUint32(n * 38 + 2, ms >>> 0)
    for (let word = 0; word < 8; word++) view.setUint32(n * 38 + 6 + word * 4, random.below(0x100000000))
  }
  return keys
}

function shuffled(keys: Uint8Array): Uint8Array {
  const random = new SeededRandom(`${SEED}/shuffled`)
  const mixed = keys.slice()
  for (let n = keys.length / 38 - 1; n > 0; n--) {
    const other = random.below(n + 1)
    const one = mixed.slice(n * 38, n * 38 + 38)
    mixed.copyWithin(n * 38, other * 38, other * 38 + 38)
    mixed.set(one, other * 38)
  }
  return mixed
}

function insertAll(keys: Uint8Array, options: { sketch: boolean; snapshots?: boolean }): DeltaSet {
  const set = new DeltaSet(createCrypto(new Uint8Array(32).fill(99)), options.sketch ? {} : { sketch: null })
  for (let at = 0, n = 1; at < keys.length; at += 38, n++) {
    set.insert(keys.subarray(at, at + 38))
    if (n % ROOT_EVERY !== 0) continue
    if (options.snapshots === true) set.snapshot()
    set.tree.root()
  }
  return set
}

function upkeep(report: Report, count: number): void {
  const keys = keysInTime(count)
  const mixed = shuffled(keys)
  const cases = [
    ['set upkeep, in time order', keys, { sketch: true }],
    ['set upkeep, without the sketch', keys, { sketch: false }],
    ['set upkeep, a snapshot every 1,000', keys, { sketch: true, snapshots: true }],
    ['set upkeep, in random order', mixed, { sketch: true }]
  ] as const
  for (const [name, order, options] of cases) {
    const micros: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const beforeMs = cpuMs()
      insertAll(order, options)
      micros.push(((cpuMs() - beforeMs) * 1_000) / count)
    }
    const goal = name.endsWith('time order') ? { goal: GOALS.rangeInsertMicros } : {}
    report(`${name}, CPU`, median(micros), 'µs', { params: { keys: count, rootEvery: ROOT_EVERY }, ...goal })
  }
}

function collectGarbage(): void {
  v8.setFlagsFromString('--expose-gc')
  const gc = vm.runInNewContext('gc') as () => void
  gc()
  gc()
}

/** Bytes of the JavaScript heap and of array buffers, when nothing but what is used is left. */
async function usedBytes(): Promise<number> {
  // Buffers are freed a turn after their arrays.
  for (let turn = 0; turn < 3; turn++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function atRest(report: Report, count: number): Promise<void> {
  for (const [name, order] of [
    ['in time order', keysInTime(count)],
    ['in random order', shuffled(keysInTime(count))]
  ] as const) {
    const bytes = await bytesOf(() => insertAll(order, { sketch: true }))
    report(`memory of the set, ${name}`, (bytes / count) * (MILLION / 1_048_576), 'MiB/million', {
      params: { keys: count },
      goal: GOALS.setMiBPerMillion
    })
  }
}

async function bytesOf(make: () => DeltaSet): Promise<number> {
  const before = await usedBytes()
  const kept = make()
  const bytes = (await usedBytes()) - before
  // Here, so that it is not thrown away before it was weighed.
  return kept.count === 0 ? 0 : bytes
}

async function restart(report: Report, home: string, count: number): Promise<void> {
  const params = { deltas: count, signatures: 'left out', process: 'its own' }
  const rounds: Restart[] = []
  for (let round = 0; round < ROUNDS; round++) rounds.push(await restartOnce(home))
  const one = (pick: (restart: Restart) => number): number => median(rounds.map(pick))
  const perMillion = (ms: number): number => (ms * MILLION) / count
  if (rounds.some((round) => round.deltas !== count)) throw new Error(`not all of ${count} deltas came back`)
  if (rounds.some((round) => round.rootFromRows !== round.root)) throw new Error('the rows are another set')
  const goal = GOALS.restartCpuMsPerMillion
  report('restart of the set, per million, CPU', perMillion(one((round) => round.setCpuMs)), 'ms', { params, goal })
  report('restart of the set, per million', perMillion(one((round) => round.setMs)), 'ms', { params })
  report(
    'engine ready, tree checked',
    one((round) => round.readyMs),
    'ms',
    {
      params,
      ...(count === MILLION ? { goal: GOALS.restartReadyMs } : {})
    }
  )
  report(
    'engine ready, tree checked, CPU',
    one((round) => round.readyCpuMs),
    'ms',
    { params }
  )
  report(
    'restart from range rows, for comparison',
    one((round) => round.rowsMs),
    'ms',
    { params }
  )
}

/** In a process of its own, as a restart is: nothing is compiled, nothing is in its memory. */
async function restartOnce(home: string): Promise<Restart> {
  const child = path.join(ROOT, 'test', 'perf', 'restart-child.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child, home], { cwd: ROOT })
  return JSON.parse(stdout) as Restart
}
