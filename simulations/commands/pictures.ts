/** `sim compare`, `sim plot` and `sim propagation`: what came of runs. */
import { Argument, Option, type Command } from 'commander'
import type { WrapSim } from '../command.ts'
import { compare, DEFAULT_THRESHOLDS } from '../runner/compare.ts'
import { readSummary } from '../runner/folder.ts'
import { EXIT } from '../runner/verdict.ts'
import type { Tier } from '../model/propagation-table.ts'
import { fraction, whole } from './options.ts'
import { comparisonLines } from './print.ts'

export function registerPictures(program: Command, wrap: WrapSim): void {
  program
    .command('compare')
    .description('Compare two sweeps: what got worse')
    .addArgument(new Argument('<before>', 'folder of a sweep, or its summary.json'))
    .addArgument(new Argument('<after>', 'the other one'))
    .addOption(
      new Option('--growth <share>', 'how much more of a figure is worse')
        .argParser(fraction('--growth', 0, 100))
        .default(DEFAULT_THRESHOLDS.growth)
    )
    .action(
      wrap(async (_, before: string, after: string, flags: { growth: number }) => {
        const comparison = compare(readSummary(before), readSummary(after), { growth: flags.growth })
        const isWorse = comparison.differences.some(({ judgement }) => judgement === 'worse')
        return {
          data: comparison,
          lines: comparisonLines(comparison),
          exit: isWorse ? EXIT.violated : comparison.differences.length === 0 ? EXIT['failed-to-test'] : EXIT.held
        }
      })
    )
  program
    .command('plot')
    .description('Draw the report of a run or sweep: report.html and pictures beside it')
    .addArgument(new Argument('<folder>', 'what --out wrote'))
    .action(
      wrap(async (_, folder: string) => {
        // Loaded here, so that nobody pays for drawing who does not draw.
        const { plotReport } = await import('../report/plot.ts')
        const plots = await plotReport(folder)
        return { data: plots, lines: [plots.html, ...plots.svgs, ...plots.pngs], exit: 0 }
      })
    )
  program
    .command('propagation')
    .description('The goals for propagation beside what is measured: by the abstract model, and by real gossipsub')
    .addOption(
      new Option('--tiers <tiers>', 'T0: the model to 100,000 nodes; T1: real gossipsub, 1,000 nodes, minutes')
        .choices(['T0', 'T1', 'T0,T1'])
        .default('T0')
    )
    .addOption(new Option('--seeds <n>', 'worlds for each row').argParser(whole('--seeds', 1, 1_000)).default(4))
    .action(
      wrap(async ({ note }, flags: { tiers: string; seeds: number }) => {
        const { propagationTable } = await import('../model/propagation-table.ts')
        const lines: string[] = []
        note('measuring; with T1 this takes minutes')
        const rows = await propagationTable({
          tiers: flags.tiers.split(',') as Tier[],
          seeds: flags.seeds,
          print: (line) => void lines.push(line)
        })
        const isMissed = rows.some(({ verdict }) => verdict === 'MISSED')
        return { data: rows, lines, exit: isMissed ? EXIT.violated : EXIT.held }
      })
    )
}
