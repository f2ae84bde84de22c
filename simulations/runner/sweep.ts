/**
 * Many runs on all processors: a range of seeds over some scenarios, handed one at a time to worker processes. Results
 * are passed on in the order of the jobs, whatever order they come in, so that two sweeps of one range write the same
 * file. A worker that dies or hangs costs its run, which then counts as violated, and is replaced.
 */
import { fileURLToPath } from 'node:url'
import type { Scenario } from '../scenarios/scenario.ts'
import type { RunReport } from './report.ts'
import type { SeedCase } from './seed-case.ts'
import { SeedWorker } from './seed-worker.ts'
import type { Finished } from './summary.ts'

export interface SweepOptions {
  readonly cases: readonly SeedCase[]
  /** Worker processes. */
  readonly jobs: number
  /** Called once for each case, in their order. */
  readonly finished: (finished: Finished) => void
  /** Called when any has ended, whatever its place. */
  readonly progress?: (done: number, violated: number) => void
  /** Runs of one process before a fresh one takes its place. */
  readonly runsPerProcess?: number
  /** Real milliseconds after which a run is given up. */
  readonly patienceMs?: number
  readonly signal?: AbortSignal
}

const RUNS_PER_PROCESS = 100
const PATIENCE_MS = 300_000

/** Seeds over scenarios: each seed once, the scenarios taking turns, or each seed with every scenario. */
export function casesOf(names: readonly string[], seeds: readonly string[], each: boolean): SeedCase[] {
  if (each) return names.flatMap((scenario) => seeds.map((seed) => ({ scenario, seed })))
  return seeds.map((seed, index) => ({ scenario: names[index % names.length] as string, seed }))
}

/** Resolves when every case is finished, or soon after `signal` is aborted, with how many were. */
export async function sweep(options: SweepOptions): Promise<number> {
  const order = new InOrder(options.finished)
  let next = 0
  let done = 0
  let violated = 0
  const lane = async (): Promise<void> => {
    let worker: SeedWorker | undefined
    for (let runs = 0; next < options.cases.length && options.signal?.aborted !== true; runs++) {
      const index = next++
      const job = options.cases[index] as SeedCase
      if (worker !== undefined && runs % (options.runsPerProcess ?? RUNS_PER_PROCESS) === 0) {
        worker.end()
        worker = undefined
      }
      worker ??= startWorker()
      const result = await worker.run(job, options.patienceMs ?? PATIENCE_MS, options.signal)
      if (result === 'aborted') break
      if ('broken' in result) {
        worker.end()
        worker = undefined
      }
      const finished = 'broken' in result ? { report: brokenReport(job, result.broken), cpuMs: 0 } : result
      done++
      if (finished.report.verdict === 'violated') violated++
      order.put(index, finished)
      options.progress?.(done, violated)
    }
    worker?.end()
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(options.jobs, options.cases.length)) }, lane))
  return done
}

class InOrder {
  readonly #give: (finished: Finished) => void
  readonly #early = new Map<number, Finished>()
  #next = 0

  constructor(give: (finished: Finished) => void) {
    this.#give = give
  }

  put(index: number, finished: Finished): void {
    this.#early.set(index, finished)
    for (let due = this.#early.get(this.#next); due !== undefined; due = this.#early.get(this.#next)) {
      this.#early.delete(this.#next++)
      this.#give(due)
    }
  }
}

/** The worker beside this file, as a source or compiled. */
function startWorker(): SeedWorker {
  const isSource = import.meta.url.endsWith('.ts')
  const file = fileURLToPath(new URL(isSource ? './worker.ts' : './worker.js', import.meta.url))
  return new SeedWorker({ file, isSource })
}

/** A run that never reported: nothing is known of it but that. */
function brokenReport({ scenario, seed }: SeedCase, what: string): RunReport {
  return {
    scenario,
    seed,
    tier: 'engine',
    nodes: 0,
    verdict: 'violated',
    violations: [{ invariant: 'I19', what: `the run broke down: ${what}` }],
    reached: [],
    faults: 0,
    faultKinds: {},
    liars: {},
    attempted: 0,
    acknowledged: 0,
    missing: 0,
    states: 0,
    root: '',
    healMs: null,
    virtualMs: 0,
    events: 0,
    trace: '',
    deliveries: null,
    latencyByRegion: {},
    counters: {}
  }
}

/** The scenarios of a sweep that names none: all of the engine's. Those of the model have a table of their own. */
export function sweptByDefault(scenarios: readonly Scenario[]): Scenario[] {
  return scenarios.filter(({ tier }) => tier === 'engine')
}
