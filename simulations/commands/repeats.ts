/** `sim replay` and `sim shrink`: a run that failed, again, and made small. */
import { appendFileSync, readFileSync } from 'node:fs'
import { Argument, Option, type Command } from 'commander'
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import type { SimOutcome, WrapSim } from '../command.ts'
import { drawPlan } from '../runner/draw.ts'
import { runSeed, type RunOptions } from '../runner/run.ts'
import { formatCase, parseCase, parseSeedFile, type SeedCase } from '../runner/seed-case.ts'
import type { Violation } from '../checkers/checker.ts'
import { shrink, type FullCase } from '../runner/shrink.ts'
import { EXIT } from '../runner/verdict.ts'
import { loadScenario } from '../scenarios/parse.ts'
import { whole } from './options.ts'
import { reportLines } from './print.ts'

const BUDGET = 100

export function registerRepeats(program: Command, wrap: WrapSim): void {
  program
    .command('replay')
    .description('Run a case again: as it was printed, or every line of a file like test/seeds.txt')
    .addArgument(new Argument('[case...]', 'scenario, seed, and what is not as the seed draws it'))
    .option('--file <path>', 'file of cases, one a line')
    .action(
      wrap(async ({ note }, words: string[], flags: { file?: string }) => {
        if (flags.file === undefined) return replayOne(parseCase(words.join(' ')))
        const cases = parseSeedFile(flags.file, readCases(flags.file))
        const outcomes: SimOutcome[] = []
        for (const one of cases) {
          const outcome = await replayOne(one)
          note(`${outcome.exit === 0 ? 'held    ' : 'VIOLATED'} ${formatCase(one)}`)
          outcomes.push(outcome)
        }
        const broken = outcomes.filter(({ exit }) => exit !== 0).length
        return {
          data: outcomes.map(({ data }) => data),
          lines: [`${cases.length} cases, ${broken} violated`],
          exit: broken > 0 ? EXIT.violated : cases.length === 0 ? EXIT['failed-to-test'] : EXIT.held
        }
      })
    )
  program
    .command('shrink')
    .description('Make a failing case small: fewer faults, liars, writes and nodes while the same invariant breaks')
    .addArgument(new Argument('<case...>', 'as replay takes it'))
    .addOption(new Option('--budget <n>', 'runs at most').argParser(whole('--budget', 1, 100_000)).default(BUDGET))
    .option('--keep <file>', 'append the small case to it, to be replayed for ever after: test/seeds.txt')
    .action(
      wrap(async ({ note }, words: string[], flags: { budget: number; keep?: string }) =>
        shrinkOne(parseCase(words.join(' ')), { budget: flags.budget, keep: flags.keep }, note)
      )
    )
}

function readCases(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ChrysalisError('not_found', `${file} cannot be read: ${messageOf(error)}. Nothing was run.`, {
      hint: 'Give a file with one case a line, as test/seeds.txt.',
      cause: error
    })
  }
}

/** With what broke as a comment in front of it. Throws `permissions`. */
function keepCase(file: string, smallest: FullCase, { invariant, what }: Violation): void {
  try {
    appendFileSync(file, `# ${invariant}: ${what.replace(/\s+/g, ' ')}\n${formatCase(smallest)}\n`)
  } catch (error) {
    throw new ChrysalisError('permissions', `The case cannot be kept in ${file}: ${messageOf(error)}.`, {
      hint: `Write this line into it by hand: ${formatCase(smallest)}`,
      cause: error
    })
  }
}

export function optionsOf({ scenario, ...rest }: SeedCase): RunOptions {
  return { scenario: loadScenario(scenario), ...rest }
}

/** What a replay says concerns this one case: that little was written in it is no failure to test. */
async function replayOne(seedCase: SeedCase): Promise<SimOutcome> {
  const report = await runSeed(optionsOf(seedCase))
  const isBroken = report.verdict === 'violated'
  return {
    data: report,
    lines: [...reportLines(report, `chrysalis sim shrink ${formatCase(seedCase)}`), `verdict      ${report.verdict}`],
    exit: isBroken ? EXIT.violated : EXIT.held
  }
}

/** `keep`: the file that the small case is appended to. */
export async function shrinkOne(
  seedCase: SeedCase,
  { budget = BUDGET, keep }: { readonly budget?: number; readonly keep: string | undefined },
  note: (line: string) => void
): Promise<SimOutcome> {
  const first = await runSeed(optionsOf(seedCase))
  const [broken] = first.violations
  if (broken === undefined) {
    throw new ChrysalisError(
      'invalid_argument',
      `${formatCase(seedCase)} breaks nothing; there is nothing to shrink.`,
      {
        hint: 'Give a case that `chrysalis sim sweep` printed as violated, with the same sources.'
      }
    )
  }
  const { invariant } = broken
  const { nodes, writes, faults, liars } = drawPlan(optionsOf(seedCase))
  const start: FullCase = { scenario: seedCase.scenario, seed: seedCase.seed, nodes, writes, faults, liars }
  note(`breaks ${invariant} with ${faults.length} faults, ${liars.length} liars, ${writes} writes, ${nodes} nodes`)
  const { smallest, runs, isDone } = await shrink(
    start,
    async (smaller) => (await runSeed(optionsOf(smaller))).violations.some((one) => one.invariant === invariant),
    {
      budget,
      smaller: (smaller, run) =>
        note(
          `run ${run}: ${smaller.faults.length} faults, ${smaller.liars.length} liars, ${smaller.writes} writes, ${smaller.nodes} nodes`
        )
    }
  )
  const again = await runSeed(optionsOf(smallest))
  if (keep !== undefined) keepCase(keep, smallest, broken)
  const command = `chrysalis sim replay '${formatCase(smallest)}'`
  return {
    data: { invariant, runs, isDone, case: smallest, line: formatCase(smallest), report: again },
    lines: [
      ...reportLines(again, command),
      `shrunk       in ${runs} runs${isDone ? '' : '; the budget ran out, give more with --budget'}`,
      `seeds.txt    ${formatCase(smallest)}`
    ],
    exit: EXIT.violated
  }
}
