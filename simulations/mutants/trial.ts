/**
 * Tries one mutant: seed after seed of its scenario in a process of the planted copy, until a check finds it or the seeds
 * are used up. The process is the worker of a sweep, so a mutant runs exactly as everything else does.
 */
import path from 'node:path'
import type { Invariant } from '../checkers/checker.ts'
import { SeedWorker } from '../runner/seed-worker.ts'
import type { Mutant } from './mutants.ts'
import { plant, projectRoot } from './plant.ts'

export interface Trial {
  readonly name: string
  readonly breaks: string
  readonly scenario: string
  /** Invariants that broke in the seed that showed it; empty when none did. */
  readonly caughtBy: readonly Invariant[]
  /** What the first of them said. */
  readonly said: string
  /** Seeds it took, or that were tried. */
  readonly seeds: number
  /** For mutants that are hidden elsewhere: seeds of that scenario in which nothing was found, and whether something was. */
  readonly hidden: { readonly scenario: string; readonly seeds: number; readonly wasFound: boolean } | null
}

export interface TrialOptions {
  /** Seeds after which it is given up. */
  readonly seedsMax: number
  readonly signal?: AbortSignal
}

/** Seeds of the scenario that hides it: enough to say that it takes the other one. */
const HIDDEN_SEEDS = 8
/** A run of a broken daemon may never end; not ending is being found out. */
const PATIENCE_MS = 120_000

export async function tryMutant(mutant: Mutant, { seedsMax, signal }: TrialOptions): Promise<Trial> {
  const plot = plant(mutant)
  try {
    const { name, breaks, scenario, hiddenIn } = mutant
    const shown = await search(plot.folder, mutant, scenario, seedsMax, signal)
    const hidden =
      hiddenIn === undefined ? undefined : await search(plot.folder, mutant, hiddenIn, HIDDEN_SEEDS, signal)
    return {
      name,
      breaks,
      scenario: path.basename(scenario, '.toml'),
      ...shown,
      hidden:
        hidden === undefined || hiddenIn === undefined
          ? null
          : { scenario: path.basename(hiddenIn, '.toml'), seeds: hidden.seeds, wasFound: hidden.caughtBy.length > 0 }
    }
  } finally {
    plot.clear()
  }
}

interface Found {
  readonly caughtBy: readonly Invariant[]
  readonly said: string
  readonly seeds: number
}

async function search(
  folder: string,
  { liars }: Mutant,
  scenario: string,
  seedsMax: number,
  signal: AbortSignal | undefined
): Promise<Found> {
  const file = scenario.endsWith('.toml') ? path.join(folder, 'simulations/mutants', scenario) : scenario
  const workerFile = path.join(folder, 'simulations/runner/worker.ts')
  const worker = new SeedWorker({ file: workerFile, isSource: true, cwd: folder })
  try {
    for (let seed = 1; seed <= seedsMax && signal?.aborted !== true; seed++) {
      const job = { scenario: file, seed: `${seed}`, ...(liars === undefined ? {} : { liars }) }
      const reply = await worker.run(job, PATIENCE_MS, signal)
      if (reply === 'aborted') break
      if ('broken' in reply) return { caughtBy: ['I19'], said: reply.broken, seeds: seed }
      const { violations } = reply.report
      const [first] = violations
      if (first === undefined) continue
      const caughtBy = [...new Set(violations.map(({ invariant }) => invariant))].sort()
      const where = first.node === undefined ? '' : `${first.node} `
      return { caughtBy, said: `${first.invariant} ${where}${first.what}`, seeds: seed }
    }
    return { caughtBy: [], said: '', seeds: seedsMax }
  } finally {
    worker.end()
  }
}

/** Several at a time, each in a process of its own; the answers in the order of the mutants. */
export async function tryMutants(
  mutants: readonly Mutant[],
  options: TrialOptions & { readonly jobs: number; readonly finished: (trial: Trial) => void }
): Promise<readonly Trial[]> {
  projectRoot()
  const trials: (Trial | undefined)[] = mutants.map(() => undefined)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < mutants.length && options.signal?.aborted !== true; index = next++) {
      const mutant = mutants[index]
      if (mutant === undefined) return
      const trial = await tryMutant(mutant, options)
      trials[index] = trial
      options.finished(trial)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(options.jobs, mutants.length)) }, lane))
  return trials.flatMap((trial) => trial ?? [])
}
