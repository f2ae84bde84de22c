/**
 * `npm run sim -- [--seed TEXT] [--nodes N] [--writes N] [--loss SHARE] [--no-partition] [--no-crash] [--twice]`
 * Runs the standard scenario and prints what came of it; exit status 1 when a promise was broken.
 */
import '../src/polyfill.ts'
import { parseArgs } from 'node:util'
import { runScenario, type ScenarioOptions, type ScenarioReport } from './scenario.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '20' },
    writes: { type: 'string', default: '200' },
    loss: { type: 'string', default: '0.1' },
    'no-partition': { type: 'boolean', default: false },
    'no-crash': { type: 'boolean', default: false },
    twice: { type: 'boolean', default: false }
  }
})

const options: ScenarioOptions = {
  seed: values.seed,
  nodes: bounded('nodes', values.nodes, 2, 1_000),
  writes: bounded('writes', values.writes, 0, 1_000_000),
  loss: bounded('loss', values.loss, 0, 0.9),
  partition: !values['no-partition'],
  crash: !values['no-crash']
}

const startedMs = performance.now()
const report = await runScenario(options)
print(options, report, performance.now() - startedMs)
let kept = report.converged && report.missing === 0 && report.states === 1
if (values.twice) {
  const again = await runScenario(options)
  const same = again.trace === report.trace
  console.log(same ? `once more    same trace ${again.trace}` : `once more    ANOTHER TRACE ${again.trace}`)
  kept &&= same
}
process.exitCode = kept ? 0 : 1

function bounded(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (value >= min && value <= max) return value
  console.error(`--${name} takes a number from ${min} to ${max}, not ${text}.`)
  process.exit(2)
}

function print(asked: ScenarioOptions, result: ScenarioReport, wallMs: number): void {
  const faults = [
    `${Math.round(asked.loss * 100)} % loss`,
    ...(asked.partition ? ['partition of 10 s'] : []),
    ...(asked.crash ? ['one power cut'] : [])
  ]
  const of = (name: string): number => result.counters[name] ?? 0
  console.log(`world        ${asked.nodes} nodes, ${asked.writes} writes, ${faults.join(', ')}, seed ${asked.seed}`)
  console.log(`converged    ${result.converged ? `yes, ${result.repairMs} ms after the last write` : 'NO'}`)
  console.log(`state        ${result.states === 1 ? 'identical on every node' : `${result.states} DIFFERENT STATES`}`)
  console.log(`writes       ${result.acknowledged} acknowledged, ${result.missing} missing somewhere`)
  const sessions = ['equal', 'repaired', 'partial', 'failed'].map(
    (outcome) => `${of(`chrysalis_recon_sessions_${outcome}_total`)} ${outcome}`
  )
  console.log(`sessions     ${sessions.join(', ')}`)
  console.log(`root         ${result.root}`)
  console.log(`trace        ${result.trace} over ${result.events} events`)
  console.log(`time         ${(result.virtualMs / 1_000).toFixed(1)} s simulated in ${(wallMs / 1_000).toFixed(1)} s`)
}
