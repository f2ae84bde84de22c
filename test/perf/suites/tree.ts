/**
 * The set of deltas by itself: what keeping it up costs, what it takes of memory, and how long a restart needs to have it
 * back from disk, checked. The home of the restart is filled by the daemon's own replica and rows, on real LevelDB; only
 * the signatures are left out, because making a million of them takes a minute and nothing here looks at one.
 */
import { rm } from 'node:fs/promises'
import v8 from 'node:v8'
import vm from 'node:vm'
import { openLevelStore } from '../../../src/adapters/level/level-store.ts'
import { migrate } from '../../../src/adapters/level/migrations.ts'
import { systemClock } from '../../../src/adapters/system/clock.ts'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { systemRandom } from '../../../src/adapters/system/random.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { openHome } from '../../../src/daemon/home.ts'
import { composeAdd } from '../../../src/memory/compose.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { Checkpoints } from '../../../src/node/checkpoint.ts'
import { collect, emptyGroup, persist } from '../../../src/node/perform.ts'
import { WorkingSet } from '../../../src/node/records.ts'
import { lastArrival } from '../../../src/node/restore.ts'
import { restoreSets } from '../../../src/node/restore-sets.ts'
import { META } from '../../../src/node/rows.ts'
import type { Space } from '../../../src/node/space.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Store } from '../../../src/ports/store.ts'
import { DeltaSet } from '../../../src/sync/delta-set.ts'
import { Replica } from '../../../src/sync/replica.ts'
import { memory, SEED } from '../corpus.ts'
import { openEngine } from '../engine.ts'
import { GOALS } from '../goals.ts'
import { cpuMs, median, type Report } from '../measure.ts'
import type { SuiteContext } from '../world.ts'

const MILLION = 1_000_000
const AUTHORS = 50
/** Deltas of one batch of rows while filling. */
const GROUP = 1_000
/** Between two looks at the root: what the daemon's own record of itself does. */
const ROOT_EVERY = 1_000
const UNSIGNED = new Uint8Array(64)

export async function tree({ world, report, quick }: SuiteContext): Promise<void> {
  const count = quick ? MILLION / 10 : MILLION
  upkeep(report, count)
  await atRest(report, count)
  const home = await world.yard.newHome('tree')
  await fill(home, count)
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
    for (let round = 0; round < 3; round++) {
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

/** A home as `count` deltas of strangers leave it, each creating a memory, and a checkpoint at the end. */
async function fill(home: string, count: number): Promise<void> {
  const opened = await openHome(home)
  await rm(opened.paths.state, { force: true })
  const store = await openLevelStore(opened.paths.data)
  await migrate(store)
  const here = opened.spaces.find((space) => space.isDefault)
  if (here === undefined) throw new Error('a home has a space')
  const crypto = createCrypto(opened.identity.seed)
  const records = new WorkingSet(here.id)
  const facts = { space: here.id, policy: here.policy, creator: here.creator }
  const replica = new Replica({ facts, epoch: 'ee'.repeat(8) }, { crypto, random: systemRandom, records })
  const space = { id: here.id, replica } as unknown as Space
  let arrival = 0
  const checkpoints = checkpointsOf(store, crypto, space, () => arrival)
  await checkpoints.begin({ since: 0, base: 0, spaces: new Map(), stale: [], unstored: 0 })
  let group = emptyGroup()
  for (const delta of unsignedDeltas(here.id, count)) {
    const effects = replica.handle({ input: 'delta', delta, via: 'recon', rivals: [] }, Date.now())
    collect(group, space, effects, () => ++arrival)
    if (group.admitted.length < GROUP && arrival < count) continue
    await persist(group, store, { durable: false })
    checkpoints.noted(group.admitted.length)
    records.reset()
    group = emptyGroup()
  }
  await checkpoints.stop()
  await store.close()
}

function checkpointsOf(store: Store, crypto: ReturnType<typeof createCrypto>, space: Space, arrival: () => number) {
  return new Checkpoints(
    {},
    {
      store,
      crypto,
      clock: systemClock,
      logger: silentLogger,
      metrics: createMetrics(),
      spaces: () => [space],
      storedArrival: arrival
    }
  )
}

function* unsignedDeltas(space: string, count: number): Generator<VerifiedDelta> {
  const writers = Array.from({ length: AUTHORS }, (_, n) => ({
    crypto: { ...createCrypto(new Uint8Array(32).fill(n + 1)), sign: () => UNSIGNED },
    epoch: (n + 1).toString(16).padStart(16, '0'),
    last: undefined as VerifiedDelta | undefined
  }))
  const firstMs = Date.now() - count * 3 - 10_000
  for (let n = 0; n < count; n++) {
    const writer = writers[n % AUTHORS] as (typeof writers)[number]
    const { crypto, epoch, last } = writer
    const seq = last === undefined ? 0 : last.header.seq + 1
    const hlc = hlcOf(firstMs + n * 3)
    const delta = sealDelta(
      { space, epoch, seq, prev: last?.id ?? null, hlc, parents: [], ops: composeAdd(memory(n), 0) },
      crypto
    )
    writer.last = delta
    yield delta
  }
}

async function restart(report: Report, home: string, count: number): Promise<void> {
  const opened = await openHome(home)
  const crypto = createCrypto(opened.identity.seed)
  const params = { deltas: count, signatures: 'left out' }
  const perMillion = (ms: number): number => (ms * MILLION) / count
  const rounds: { wallMs: number; cpuMs: number }[] = []
  const measure = async (): Promise<void> => {
    const store = await openLevelStore(opened.paths.data)
    const [startedMs, cpuBeforeMs] = [performance.now(), cpuMs()]
    const { sets } = await restoreSets(opened.spaces, await lastArrival(store), { store, crypto, logger: silentLogger })
    rounds.push({ wallMs: performance.now() - startedMs, cpuMs: cpuMs() - cpuBeforeMs })
    const total = [...sets.values()].reduce((sum, set) => sum + set.count, 0)
    await store.close()
    if (total !== count) throw new Error(`${total} deltas came back, ${count} were written`)
  }
  for (let round = 0; round < 3; round++) await measure()
  const goal = GOALS.restartCpuMsPerMillion
  report('restart of the set, per million, CPU', perMillion(median(rounds.map((one) => one.cpuMs))), 'ms', {
    params,
    goal
  })
  report('restart of the set, per million', perMillion(median(rounds.map((one) => one.wallMs))), 'ms', { params })

  // The engine with all that belongs to it, and the set against the store; the index follows behind.
  const [startedMs, cpuBeforeMs] = [performance.now(), cpuMs()]
  const engine = await openEngine(home)
  report('engine ready, tree checked', performance.now() - startedMs, 'ms', {
    params,
    ...(count === MILLION ? { goal: GOALS.restartReadyMs } : {})
  })
  report('engine ready, tree checked, CPU', cpuMs() - cpuBeforeMs, 'ms', { params })
  const root = toHex(engine.node.spaceTable.find(engine.space).replica.tree.root())
  await engine.close()

  const store = await openLevelStore(opened.paths.data)
  await store.batch([{ table: 'meta', key: META.checkpoint, value: null }], { durable: false })
  const beforeMs = performance.now()
  const { sets } = await restoreSets(opened.spaces, await lastArrival(store), { store, crypto, logger: silentLogger })
  report('restart from range rows, for comparison', performance.now() - beforeMs, 'ms', { params })
  const rebuilt = sets.get(engine.space)
  await store.close()
  if (rebuilt === undefined || toHex(rebuilt.tree.root()) !== root) throw new Error('the rows are another set')
}
