/** `sim run`, `sim sweep` and `sim scenarios`. */
import { Argument, Option, type Command } from 'commander'
import type { SimOutcome, WrapSim } from '../command.ts'
import { ReportFolder } from '../runner/folder.ts'
import { Progress } from '../runner/progress.ts'
import { runSeed } from '../runner/run.ts'
import { checkSeed, formatCase, parseSeeds } from '../runner/seed-case.ts'
import { summarise, type Finished } from '../runner/summary.ts'
import { casesOf, sweep, sweptByDefault } from '../runner/sweep.ts'
import { EXIT, judge } from '../runner/verdict.ts'
import { loadScenario, scenarioNames } from '../scenarios/parse.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { NODES_MAX, whole, WRITES_MAX } from './options.ts'
import { shrinkOne } from './repeats.ts'
import { reportLines, summaryLines, verdictLines } from './print.ts'
import { ERRORS } from '../../src/base/errors.ts'

interface RunFlags {
  readonly seed: string
  readonly nodes?: number
  readonly writes?: number
  readonly twice?: true
  readonly out?: string
}

interface SweepFlags {
  readonly seeds: string
  readonly scenarios?: string
  readonly each?: true
  readonly jobs?: number
  readonly out?: string
  readonly keep?: string
}

/** Shrinking a case takes dozens of runs. */
const KEPT_MAX = 3
/** A single run is to mean something by itself: enough writes, unless told otherwise (runner/verdict.ts). */
const WRITES_OF_A_RUN = 1_200
const SEEDS_OF_A_SWEEP = '1..200'

export function registerRuns(program: Command, wrap: WrapSim): void {
  program
    .command('run')
    .description('Run one seed of one scenario')
    .addArgument(new Argument('<scenario>', 'name of a scenario, or path of a .toml file'))
    .option('--seed <text>', 'number or word', '1')
    .addOption(
      new Option('--nodes <n>', 'nodes, instead of what the seed draws').argParser(whole('--nodes', 1, NODES_MAX))
    )
    .addOption(
      new Option('--writes <n>', `writes attempted (default ${WRITES_OF_A_RUN})`).argParser(
        whole('--writes', 0, WRITES_MAX)
      )
    )
    .option('--twice', 'run it a second time: the traces must be the same')
    .option('--out <folder>', 'write the report there, for `plot`')
    .action(
      wrap(async ({ note }, name: string, flags: RunFlags) => {
        const scenario = loadScenario(name)
        const folder = flags.out === undefined ? undefined : ReportFolder.open(flags.out)
        return runOne(scenario, flags, folder, note)
      })
    )
  program
    .command('sweep')
    .description('Run many seeds on all processors')
    .option('--seeds <range>', '1..2000, or 2000, or 7,9', SEEDS_OF_A_SWEEP)
    .option('--scenarios <names>', 'names or files, separated by commas (default: all of the engine)')
    .option('--each', 'every seed with every scenario, instead of taking turns')
    .addOption(
      new Option('--jobs <n>', 'worker processes (default: one for each processor)').argParser(whole('--jobs', 1, 256))
    )
    .option('--out <folder>', 'write every report and the summary there')
    .option('--keep <file>', `shrink what fails, ${KEPT_MAX} cases at most, and append it to this file: test/seeds.txt`)
    .action(
      wrap(async ({ io, note }, flags: SweepFlags) => {
        const names =
          flags.scenarios?.split(',') ?? sweptByDefault(scenarioNames().map(loadScenario)).map(({ name }) => name)
        const scenarios = names.map(loadScenario)
        // A scenario of one's own is found by its path, not by the name it has in reports.
        const givenAs = new Map(scenarios.map(({ name }, i) => [name, names[i] ?? name]))
        const cases = casesOf(names, parseSeeds(flags.seeds), flags.each === true)
        const folder = flags.out === undefined ? undefined : ReportFolder.open(flags.out)
        const finished: Finished[] = []
        const progress = new Progress({ stream: io.stderr, total: cases.length, nowMs: io.nowMs })
        const startedMs = io.nowMs()
        const done = await sweep({
          cases,
          jobs: flags.jobs ?? io.processors,
          finished: (one) => {
            finished.push(slim(one))
            folder?.add(one)
            if (one.report.verdict !== 'violated') return
            progress.end()
            const { scenario, seed } = one.report
            note(`violated: chrysalis sim replay ${formatCase({ scenario: givenAs.get(scenario) ?? scenario, seed })}`)
          },
          progress: (count, violated) => progress.update(count, violated),
          ...(io.signal === undefined ? {} : { signal: io.signal })
        })
        progress.end()
        const summary = summarise(scenarios, finished, io.nowMs() - startedMs)
        folder?.close(summary)
        const lines = summaryLines(summary)
        if (folder !== undefined) lines.push(`report       ${folder.path}`)
        if (flags.keep !== undefined) {
          for (const { scenario, seed } of summary.failures.slice(0, KEPT_MAX)) {
            await shrinkOne({ scenario: givenAs.get(scenario) ?? scenario, seed }, { keep: flags.keep }, note)
          }
        }
        if (done < cases.length) return { data: summary, lines, exit: ERRORS.cancelled.exit }
        return { data: summary, lines, exit: EXIT[summary.verdict] }
      })
    )
  program
    .command('scenarios')
    .description('List the scenarios of the package')
    .action(
      wrap(async () => {
        const scenarios = scenarioNames().map(loadScenario)
        const width = Math.max(...scenarios.map(({ name }) => name.length))
        return {
          data: scenarios,
          lines: scenarios.map(({ name, tier, shows }) => `${name.padEnd(width)}  ${tier.padEnd(6)}  ${shows}`),
          exit: 0
        }
      })
    )
}

async function runOne(
  scenario: Scenario,
  flags: RunFlags,
  folder: ReportFolder | undefined,
  note: (line: string) => void
): Promise<SimOutcome> {
  const seed = checkSeed(flags.seed)
  const writes = flags.writes ?? (scenario.tier === 'engine' ? WRITES_OF_A_RUN : undefined)
  const options = {
    scenario,
    seed,
    ...(flags.nodes === undefined ? {} : { nodes: flags.nodes }),
    ...(writes === undefined ? {} : { writes })
  }
  const before = process.cpuUsage()
  const startedMs = performance.now()
  const report = await runSeed(options)
  const { user, system } = process.cpuUsage(before)
  const finished = { report, cpuMs: Math.round((user + system) / 1_000) }
  const judgement = judge([scenario], [report])
  folder?.add(finished)
  folder?.close(summarise([scenario], [finished], performance.now() - startedMs))
  const { nodes } = flags
  const again = {
    scenario: scenario.name,
    seed,
    ...(nodes === undefined ? {} : { nodes }),
    ...(writes === undefined ? {} : { writes })
  }
  const lines = reportLines(report, `chrysalis sim replay ${formatCase(again)}`)
  let exit = EXIT[judgement.verdict]
  if (flags.twice === true) {
    note('once more, to compare the traces')
    const second = await runSeed(options)
    const isSame = second.trace === report.trace
    lines.push(isSame ? `once more    same trace ${second.trace}` : `once more    ANOTHER TRACE ${second.trace}`)
    if (!isSame) exit = EXIT.violated
  }
  lines.push(...verdictLines(judgement.verdict, judgement.reasons))
  return { data: { ...report, ...judgement }, lines, exit }
}

/** A summary needs the figures of a run and not its curves: what a long sweep would otherwise keep in memory. */
function slim({ report, cpuMs }: Finished): Finished {
  const { deliveries } = report
  return {
    cpuMs,
    report: { ...report, counters: {}, latencyByRegion: {}, deliveries: deliveries && { ...deliveries, coverage: [] } }
  }
}
