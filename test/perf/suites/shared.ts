/**
 * The shared read index: what a search costs in a second process that asks nobody, how soon it sees a commit, and what
 * the daemon pays for keeping the index. The index of the searches is written by the adapter itself, without a daemon, so
 * that nothing else runs beside them.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createSharedIndex } from '../../../src/adapters/index/writer.ts'
import type { SharedEntry, SharedShelf } from '../../../src/ports/shared-index.ts'
import { SHARED_TERMS } from '../../../src/recall/shared-terms.ts'
import { CORPUS, memory } from '../corpus.ts'
import { GOALS } from '../goals.ts'
import { cpuMsOf, ROOT } from '../machine.ts'
import { concurrently, perSecond, Samples, sleep, type Goal } from '../measure.ts'
import type { DaemonProcess } from '../../support/daemons.ts'
import type { SuiteContext } from '../world.ts'

const SPACE = { id: '5a'.repeat(16), name: 'shared', isDefault: true }
const CHILD = fileURLToPath(new URL('../shared-child.ts', import.meta.url))
const GROUP = 64
const COMMITS = 300
const ROUNDS = 8
const WRITERS = 64
/** The index is behind a burst: what is left of it must not run into the next one. */
const REST_MS = 2_000

export async function shared(context: SuiteContext): Promise<void> {
  const { world, report, quick } = context
  const memories = quick ? 10_000 : 100_000
  const home = path.join(world.yard.root, 'shared-index')
  mkdirSync(home, { recursive: true })
  const index = createSharedIndex(path.join(home, 'index'), SHARED_TERMS)
  const shelf = await index.open(SPACE, 'bench')
  const params = { memories, corpus: CORPUS }
  const startedMs = performance.now()
  const before = process.cpuUsage()
  for (let n = 0; n < memories; n += GROUP) await write(shelf, n, Math.min(GROUP, memories - n))
  await shelf.write({ puts: [], removes: [], marks: [], complete: true })
  const { user, system } = process.cpuUsage(before)
  report('memories written to the index', perSecond(memories, performance.now() - startedMs), 'memories/s', { params })
  report('CPU of writing one memory to the index', (user + system) / 1_000 / memories, 'ms', { params })
  const { size } = statSync(path.join(home, 'index', SPACE.id, 'data.mdb'))
  report('size of the index', size / 2 ** 20, 'MiB', { params })
  const child = startChild(home, memories)
  try {
    const opened = await child.ask<{ openMs: number; firstSearchMs: number; bareMiB: number }>('open')
    report('opening the index', opened.openMs, 'ms', { params })
    report('first search', opened.firstSearchMs, 'ms', { params })
    for (const [mode, what] of [
      ['bm25', 'BM25, 4 words'],
      ['jaccard', 'Jaccard, 4 words'],
      ['mixed', 'BM25, questions']
    ] as const) {
      const isGoal = !quick && mode !== 'mixed'
      const { times, cpuMs, rssMiB } = await child.ask<{ times: number[]; cpuMs: number; rssMiB: number }>(
        mode,
        quick ? 500 : 4_000
      )
      const samples = new Samples()
      for (const ms of times) samples.add(ms)
      const told = (q: number, goal?: Goal): void =>
        report(`shared search, ${what}, p${q * 100}`, samples.quantile(q), 'ms', {
          params,
          ...(goal && isGoal ? { goal } : {})
        })
      told(0.5, GOALS.sharedSearchP50Ms)
      told(0.95)
      told(0.99, GOALS.sharedSearchP99Ms)
      report(`CPU of a shared search, ${what}`, cpuMs, 'ms', { params: { ...params, threads: 'all' } })
      report(`resident memory of the reader, ${what}`, rssMiB, 'MiB', {
        params: { ...params, bareMiB: opened.bareMiB }
      })
    }
    await visibility(context, shelf, child, memories)
  } finally {
    child.end()
    await shelf.close()
  }
  await costToWrites(context)
}

async function write(shelf: SharedShelf, from: number, count: number): Promise<number> {
  const puts = Array.from({ length: count }, (_, i) => entry(from + i))
  return shelf.write({ puts, removes: [], marks: [] })
}

function entry(n: number): SharedEntry {
  const { content = '', tags = [] } = memory(n)
  const id = createHash('sha256').update(`${n}`).digest('hex')
  const peer = '12D3KooWPerformance'
  return {
    ...{ id, stamp: n, tier: 4, superseded: false, kind: 0 },
    memory: {
      ...{ id, key: null, kind: 'note', memoryType: null, content, path: null, tags, peer, contentPeer: peer },
      ...{ source: null, importance: 0.5, confidence: null, pinned: n % 1_000 === 0, validated: false },
      ...{ createdAt: n, updatedAt: n, validFrom: null, validTo: null, expiresAt: null, version: 1 },
      ...{ parents: [], supersedes: [], flags: [] }
    }
  }
}

/** From the end of a commit here to the moment the other process sees its generation. */
async function visibility(
  { report, quick }: SuiteContext,
  shelf: SharedShelf,
  child: Child,
  from: number
): Promise<void> {
  const commits = quick ? 100 : COMMITS
  child.send(`watch ${commits}`)
  await child.answer()
  const doneMs = new Map<number, number>()
  for (let n = 0; n < commits; n++) {
    const generation = await write(shelf, from + n, 1)
    doneMs.set(generation, Number(process.hrtime.bigint()) / 1e6)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const { seen } = await child.answer<{ seen: [number, number][] }>()
  const samples = new Samples()
  // The commit is visible before the promise of it is kept: what was seen earlier counts as at once.
  for (const [generation, atMs] of doneMs) {
    const ms = seen.find(([visible]) => visible >= generation)?.[1]
    if (ms !== undefined) samples.add(Math.max(0, ms - atMs))
  }
  const params = { commits, missed: commits - samples.count }
  report('commit to visible in the other process p50', samples.quantile(0.5), 'ms', {
    params,
    goal: GOALS.sharedVisibleP50Ms
  })
  report('commit to visible in the other process p95', samples.quantile(0.95), 'ms', { params })
}

/** Durable writes of two daemons, one with and one without the index, in turns; medians. */
async function costToWrites({ world, report, quick }: SuiteContext): Promise<void> {
  const writes = quick ? 500 : 1_500
  const states = ['on', 'off'] as const
  const rates = { on: new Samples(), off: new Samples() }
  const cpu = { on: new Samples(), off: new Samples() }
  const daemons = new Map<string, DaemonProcess>()
  for (const state of states) {
    const home = await world.yard.newHome(`writes-${state}`)
    const daemon = await world.yard.start(home, { set: { 'index.shared': String(state === 'on') } })
    await concurrently(WRITERS, 1_000, (n) => daemon.client.learn(`warm ${memory(n).content ?? ''}`))
    daemons.set(state, daemon)
  }
  await sleep(REST_MS)
  for (let round = 0; round < ROUNDS; round++) {
    for (const state of round % 2 === 0 ? states : states.toReversed()) {
      const daemon = daemons.get(state)
      if (daemon === undefined) continue
      const beforeMs = cpuMsOf(daemon.pid) ?? NaN
      const ms = await concurrently(WRITERS, writes, (n) => daemon.client.learn(`${round} ${memory(n).content ?? ''}`))
      rates[state].add(perSecond(writes, ms))
      cpu[state].add(((cpuMsOf(daemon.pid) ?? NaN) - beforeMs) / writes)
      await sleep(REST_MS)
    }
  }
  for (const daemon of daemons.values()) await daemon.stop()
  const [on, off] = [rates.on.quantile(0.5), rates.off.quantile(0.5)]
  const params = { writes, writers: WRITERS, rounds: ROUNDS }
  report('writes over RPC with the shared index', on, 'writes/s', { params })
  report('writes over RPC without it', off, 'writes/s', { params })
  report('cost of the shared index to writes', 100 * (1 - on / off), '%', {
    params,
    goal: GOALS.sharedWriteCostPercent
  })
  if (Number.isNaN(cpu.on.quantile(0.5))) return
  report('CPU of a write with the shared index', cpu.on.quantile(0.5), 'ms', { params })
  report('CPU of a write without it', cpu.off.quantile(0.5), 'ms', { params })
}

interface Child {
  ask<T>(command: string, count?: number): Promise<T>
  send(line: string): void
  answer<T>(): Promise<T>
  end(): void
}

function startChild(home: string, memories: number): Child {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, home, String(memories)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: ROOT
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async <T>(): Promise<T> => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error('the reading process ended')
    return JSON.parse(value) as T
  }
  const send = (line: string): void => void child.stdin.write(`${line}\n`)
  return {
    send,
    answer,
    ask: async <T>(command: string, count = 0) => {
      send(`${command} ${count}`)
      return answer<T>()
    },
    end: () => child.stdin.end()
  }
}
