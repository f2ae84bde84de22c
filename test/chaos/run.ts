/**
 * `npm run chaos -- kill|power|writers|fleet|corrupt [--loops N]`: hurts real daemons and looks for what they had
 * promised. Exit status 0: the promises held, or the run is impossible here and says SKIPPED with the reason; 1: one was
 * broken, or the run hurt nothing and therefore proves nothing; 2: usage.
 */
import '../../src/polyfill.ts'
import { parseArgs } from 'node:util'
import { corrupt } from './corrupt.ts'
import { fleet } from './fleet.ts'
import { kill } from './kill.ts'
import { power } from './power.ts'
import type { ChaosOptions, Verdict } from './verdict.ts'
import { writers } from './writers.ts'

interface Run {
  readonly loops: number
  readonly run: (options: ChaosOptions) => Promise<Verdict>
}

const RUNS: Readonly<Record<string, Run>> = {
  kill: { loops: 100, run: kill },
  power: { loops: 20, run: power },
  writers: { loops: 1, run: writers },
  fleet: { loops: 1, run: fleet },
  corrupt: { loops: 2, run: corrupt }
}

function usage(complaint: string): number {
  console.error(complaint)
  console.error(`Usage: npm run chaos -- ${Object.keys(RUNS).join('|')} [--loops N]`)
  return 2
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { loops: { type: 'string' } }, allowPositionals: true })
  const [name, ...rest] = positionals
  const chosen = RUNS[name ?? '']
  if (name === undefined || chosen === undefined || rest.length > 0) return usage('Name one chaos run.')
  const loops = values.loops === undefined ? chosen.loops : Number(values.loops)
  if (!Number.isSafeInteger(loops) || loops < 1) return usage('--loops is a whole number from 1.')
  const startedMs = performance.now()
  const verdict = await chosen.run({ loops, say: (line) => console.log(`  ${line}`) })
  console.log(`\n${name}: ${verdict.ending}`)
  for (const reason of verdict.reasons) console.log(`  because ${reason}`)
  for (const [what, value] of Object.entries(verdict.figures)) console.log(`  ${what.padEnd(44)} ${String(value)}`)
  console.log(`  ${'seconds'.padEnd(44)} ${Math.round((performance.now() - startedMs) / 1_000)}`)
  return verdict.ending === 'passed' || verdict.ending === 'SKIPPED' ? 0 : 1
}

process.exitCode = await main()
