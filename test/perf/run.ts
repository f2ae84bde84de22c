/**
 * `npm run bench [-- --quick] [-- --dir DIR] [-- suite…]`: measures, prints a table, says which goals are missed and by
 * how much, and writes bench.json beside package.json. It judges nothing: a missed goal is a line of text, never an
 * exit status, because machines differ.
 */
import '../../src/polyfill.ts'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { withYard } from '../support/daemons.ts'
import { describeMachine, ROOT, type Machine } from './machine.ts'
import { reporter, type Figure, type Goal } from './measure.ts'
import { catchUp } from './suites/catch-up.ts'
import { hybrid } from './suites/hybrid.ts'
import { ingest } from './suites/ingest.ts'
import { merge } from './suites/merge.ts'
import { reads } from './suites/reads.ts'
import { recall } from './suites/recall.ts'
import { recon } from './suites/recon.ts'
import { shared } from './suites/shared.ts'
import { tree } from './suites/tree.ts'
import { visibility } from './suites/visibility.ts'
import { writes } from './suites/writes.ts'
import { World, type SuiteContext } from './world.ts'

const SUITES: Readonly<Record<string, (context: SuiteContext) => Promise<void>>> = {
  merge,
  writes,
  ingest,
  tree,
  reads,
  recall,
  hybrid,
  shared,
  visibility,
  recon,
  'catch-up': catchUp
}

const NAME_WIDTH = 64

function shown(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en-US') : value >= 10 ? value.toFixed(1) : value.toFixed(3)
}

function sign({ is, value }: Goal): string {
  return `${is === 'at most' ? '≤' : '≥'} ${value.toLocaleString('en-US')}`
}

function line({ name, value, unit, goal, met }: Figure): string {
  const against = goal === undefined ? '' : `  ${sign(goal)}  ${met === true ? 'met' : 'MISSED'}`
  return `  ${name.padEnd(NAME_WIDTH)} ${shown(value).padStart(9)} ${unit.padEnd(11)}${against}`
}

/** How far from the goal, as a factor over 1. */
function missedBy({ value, goal }: Figure): number {
  if (goal === undefined) return 1
  return goal.is === 'at most' ? value / goal.value : goal.value / value
}

function printMachine(machine: Machine): void {
  for (const [key, value] of Object.entries(machine)) console.log(`${key.padEnd(12)} ${String(value)}`)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, dir: { type: 'string', default: tmpdir() } },
    allowPositionals: true
  })
  const unknown = positionals.filter((name) => !(name in SUITES))
  if (unknown.length > 0) {
    console.error(`There is no suite ${unknown.join(', ')}. Suites: ${Object.keys(SUITES).join(', ')}.`)
    return 2
  }
  const wanted = Object.keys(SUITES).filter((name) => positionals.length === 0 || positionals.includes(name))
  const machine = describeMachine(values.dir)
  printMachine(machine)
  const figures: Figure[] = []
  const failed: string[] = []
  await withYard(
    'bench',
    async (yard) => {
      const world = new World(yard)
      for (const suite of wanted) {
        const startedMs = performance.now()
        console.log(`\n${suite}`)
        const report = reporter(suite, figures, (figure) => console.log(line(figure)))
        try {
          await SUITES[suite]?.({ world, report, quick: values.quick })
        } catch (error) {
          // The other suites still have something to say.
          failed.push(suite)
          await yard.killAll()
          console.error(`  ${suite} broke off:`, error)
        }
        console.log(`  (${((performance.now() - startedMs) / 1_000).toFixed(0)} s)`)
      }
    },
    values.dir
  )
  const circumstances: Figure = {
    suite: 'machine',
    name: 'cores',
    params: { ...machine, quick: values.quick, at: new Date().toISOString() },
    value: machine.cores,
    unit: 'cores'
  }
  writeFileSync(path.join(ROOT, 'bench.json'), `${JSON.stringify([circumstances, ...figures], null, 1)}\n`)
  summarise(figures)
  if (failed.length > 0) console.error(`Not measured: ${failed.join(', ')}.`)
  return failed.length > 0 ? 1 : 0
}

function summarise(figures: readonly Figure[]): void {
  const judged = figures.filter((figure) => figure.goal !== undefined)
  const missed = judged.filter((figure) => figure.met === false)
  console.log(`\n${judged.length - missed.length} of ${judged.length} goals met; bench.json written.`)
  for (const figure of missed.sort((a, b) => missedBy(b) - missedBy(a))) {
    const goal = figure.goal === undefined ? '' : sign(figure.goal)
    console.log(
      `  missed by ${missedBy(figure).toFixed(2)}×: ${figure.name}: ${shown(figure.value)} ${figure.unit}, goal ${goal}`
    )
  }
}

process.exitCode = await main()
