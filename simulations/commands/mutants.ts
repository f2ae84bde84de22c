/** `sim mutants`: plants faults in a copy of the project, and says which check finds each of them, and how soon. */
import { Option, type Command } from 'commander'
import { ChrysalisError } from '../../src/base/errors.ts'
import { nearest } from '../../src/rpc/nearest.ts'
import type { SimOutcome, WrapSim } from '../command.ts'
import { MUTANTS, type Mutant } from '../mutants/mutants.ts'
import { tryMutants, type Trial } from '../mutants/trial.ts'
import { EXIT } from '../runner/verdict.ts'
import { whole } from './options.ts'

/** A check that needs more seeds than this is none. */
const SEEDS = 1_000

interface MutantFlags {
  readonly only?: string
  readonly seeds: number
  readonly jobs?: number
}

export function registerMutants(program: Command, wrap: WrapSim): void {
  program
    .command('mutants')
    .description('Plant faults in a copy of the project, one at a time, and see which check finds each')
    .option('--only <names>', 'names of mutants, separated by commas (default: all)')
    .addOption(
      new Option('--seeds <n>', 'seeds at most for each').argParser(whole('--seeds', 1, 1_000_000)).default(SEEDS)
    )
    .addOption(
      new Option('--jobs <n>', 'worker processes (default: one for each processor)').argParser(whole('--jobs', 1, 256))
    )
    .action(
      wrap(async ({ io, note }, flags: MutantFlags) => {
        const mutants = chosen(flags.only)
        const trials = await tryMutants(mutants, {
          seedsMax: flags.seeds,
          jobs: flags.jobs ?? io.processors,
          finished: (trial) => note(`${isCaught(trial) ? 'caught' : 'MISSED'}  ${trial.name}: ${trial.said}`),
          ...(io.signal === undefined ? {} : { signal: io.signal })
        })
        return outcomeOf(trials, mutants.length)
      })
    )
}

/** Throws `not_found` for a name that no mutant has. */
export function chosen(only: string | undefined): readonly Mutant[] {
  if (only === undefined) return MUTANTS
  const names = MUTANTS.map(({ name }) => name)
  return only.split(',').map((name) => {
    const mutant = MUTANTS.find((one) => one.name === name)
    if (mutant !== undefined) return mutant
    const near = nearest(name, names)
    throw new ChrysalisError('not_found', `There is no mutant ${name}; nothing was run.`, {
      hint: near === undefined ? `There are: ${names.join(', ')}` : `Did you mean ${near}?`
    })
  })
}

/** Found where it shows, and not found where it is said to be hidden. */
function isCaught({ caughtBy, hidden }: Trial): boolean {
  return caughtBy.length > 0 && hidden?.wasFound !== true
}

/** Violated: some fault went by unseen. Failed to test: not all were tried. */
export function outcomeOf(trials: readonly Trial[], wanted: number): SimOutcome {
  const missed = trials.filter((trial) => !isCaught(trial))
  const verdict = missed.length > 0 ? 'violated' : trials.length < wanted || wanted === 0 ? 'failed-to-test' : 'held'
  return {
    data: { mutants: trials, caught: trials.length - missed.length, wanted, verdict },
    lines: [...tableOf(trials), `${trials.length - missed.length} of ${wanted} planted faults were found`],
    exit: EXIT[verdict]
  }
}

function tableOf(trials: readonly Trial[]): string[] {
  const rows = trials.map(({ name, scenario, seeds, caughtBy, hidden }) => [
    name,
    scenario,
    caughtBy.length === 0 ? 'NOTHING' : caughtBy.join(' '),
    `${seeds}`,
    hidden === null ? '' : `${hidden.wasFound ? 'found' : 'hidden'} in ${hidden.seeds} of ${hidden.scenario}`
  ])
  const all = [['mutant', 'scenario', 'found by', 'seeds', 'elsewhere'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  )
}
