/**
 * `npm run chaos -- NAME [--loops N] [--daemons N] [--seed TEXT] [--only TEXT]`: hurts real daemons and looks for what
 * they had promised. Exit status 0: the promises held, or the run is impossible here and says SKIPPED with the reason;
 * 1: one was broken, or the run hurt nothing and therefore proves nothing; 2: usage.
 */
import '../../src/polyfill.ts'
import { tmpdir, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { describeMachine } from '../perf/machine.ts'
import { antiEntropy } from './anti-entropy.ts'
import { catchUp } from './catch-up.ts'
import { clone } from './clone.ts'
import { corrupt } from './corrupt.ts'
import { fleet } from './fleet.ts'
import { full } from './full.ts'
import { idle } from './idle.ts'
import { kill } from './kill.ts'
import { enterOwnNetwork } from '../support/own-network.ts'
import { power } from './power.ts'
import type { ChaosOptions, Verdict } from './verdict.ts'
import { writers } from './writers.ts'

interface Run {
  readonly loops: number
  readonly run: (options: ChaosOptions) => Promise<Verdict>
  /** What a loop is. */
  readonly of: string
  /** It measures what is sent, and wants loopback for itself where that is possible. */
  readonly ownNetwork?: true
}

const RUNS: Readonly<Record<string, Run>> = {
  kill: { loops: 100, of: 'kills of one data directory', run: kill },
  power: { loops: 100, of: 'power cuts, each with a disk of its own', run: power },
  writers: { loops: 1, of: 'rounds of processes that write at once', run: writers },
  fleet: { loops: 1, of: 'rounds of a company, one of which sleeps', run: fleet },
  corrupt: { loops: 1, of: 'rounds through every fault', run: (options) => corrupt(options) },
  full: { loops: 6, of: 'times that the disk is full', run: full },
  clone: { loops: 200, of: 'restores, rollbacks and clones', run: clone },
  'anti-entropy': { loops: 1, of: 'rounds by each road alone', run: (options) => antiEntropy(options) },
  idle: { loops: 1, of: 'looks at companies that are silent', run: (options) => idle(options), ownNetwork: true },
  'catch-up': { loops: 1, of: 'rounds of one that was away', run: (options) => catchUp(options) }
}

const TEXT = { type: 'string' } as const

function usage(complaint: string): number {
  console.error(complaint)
  console.error(`Usage: npm run chaos -- NAME [--loops N] [--daemons N] [--seed TEXT] [--only TEXT]`)
  for (const [name, { loops, of }] of Object.entries(RUNS))
    console.error(`  ${name.padEnd(14)} ${String(loops).padStart(4)} ${of}`)
  return 2
}

const wholeNumber = (text: string | undefined): number | undefined | 'bad' => {
  if (text === undefined) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) && value >= 1 ? value : 'bad'
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { loops: TEXT, daemons: TEXT, seed: TEXT, only: TEXT },
    allowPositionals: true
  })
  const [name, ...rest] = positionals
  const chosen = RUNS[name ?? '']
  if (name === undefined || chosen === undefined || rest.length > 0) return usage('Name one chaos run.')
  const loops = wholeNumber(values.loops)
  const daemons = wholeNumber(values.daemons)
  if (loops === 'bad' || daemons === 'bad') return usage('--loops and --daemons are whole numbers from 1.')
  const elsewhere = chosen.ownNetwork ? enterOwnNetwork() : undefined
  if (elsewhere !== undefined) return elsewhere
  const { node, cpu, cores, load, disk, program } = describeMachine(tmpdir())
  console.log(`${name}: Node ${node}, ${program}, ${cores} × ${cpu}, load ${load}, ${disk}`)
  const startedMs = performance.now()
  const verdict = await chosen.run({
    loops: loops ?? chosen.loops,
    say: (line) => console.log(`  ${line}`),
    ...(daemons === undefined ? {} : { daemons }),
    ...(values.seed === undefined ? {} : { seed: values.seed }),
    ...(values.only === undefined ? {} : { only: values.only })
  })
  console.log(`\n${name}: ${verdict.ending}`)
  for (const reason of verdict.reasons) console.log(`  because ${reason}`)
  const took = Math.round((performance.now() - startedMs) / 1_000)
  const loadNow = loadavg()[0]?.toFixed(1) ?? 'unknown'
  for (const [what, value] of Object.entries({ ...verdict.figures, seconds: took, 'load at the end': loadNow }))
    console.log(`  ${what.padEnd(44)} ${String(value)}`)
  return verdict.ending === 'passed' || verdict.ending === 'SKIPPED' ? 0 : 1
}

process.exitCode = await main()
