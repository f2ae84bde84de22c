/** Runs and sweeps for people to read. */
import { duration } from '../runner/progress.ts'
import type { RunReport, Verdict } from '../runner/report.ts'
import type { Comparison } from '../runner/compare.ts'
import type { ScenarioSummary, Summary } from '../runner/summary.ts'

const WORDS: Readonly<Record<Verdict, string>> = {
  held: 'held: nothing broke',
  violated: 'VIOLATED',
  'failed-to-test': 'failed to test'
}

export const VIOLATIONS_SHOWN = 12

export function verdictLines(verdict: Verdict, reasons: readonly string[]): string[] {
  return [`verdict      ${WORDS[verdict]}`, ...reasons.map((reason) => `             ${reason}`)]
}

export function reportLines(report: RunReport, replay: string): string[] {
  const { deliveries: spread } = report
  const kinds = Object.entries({ ...report.faultKinds, ...report.liars }).map(([kind, count]) => `${count} ${kind}`)
  const lines = [
    `world        ${report.scenario}, seed ${report.seed}: ${report.nodes} nodes, ${(report.virtualMs / 1_000).toFixed(0)} s of virtual time`,
    `went wrong   ${kinds.length === 0 ? 'nothing' : kinds.join(', ')}`,
    `writes       ${report.acknowledged} of ${report.attempted} acknowledged, ${report.missing} missing somewhere`,
    `state        ${report.states === 1 ? 'identical on every node' : `${report.states} DIFFERENT STATES`}`
  ]
  if (report.tier === 'engine') {
    lines.push(
      `converged    ${report.healMs === null ? 'NEVER' : `${report.healMs} ms after the last fault was healed`}`
    )
  }
  if (spread !== null) {
    const ms = (value: number | null): string => (value === null ? 'never' : `${value} ms`)
    lines.push(
      `spread       half ${ms(spread.t50Ms)}, 99 % ${ms(spread.t99Ms)}, all ${ms(spread.t100Ms)}; ` +
        `${spread.copies} copies and ${spread.controlBytesPerDelta} control bytes for each delivery`
    )
  }
  if (report.reached.length > 0) lines.push(`saw          ${report.reached.join(', ')}`)
  if (report.root !== '') lines.push(`root         ${report.root}`)
  lines.push(`trace        ${report.trace} over ${report.events} events`)
  for (const { invariant, node, what } of report.violations.slice(0, VIOLATIONS_SHOWN)) {
    lines.push(`broken       ${invariant}${node === undefined ? '' : ` at ${node}`}: ${what}`)
  }
  const more = report.violations.length - VIOLATIONS_SHOWN
  if (more > 0) lines.push(`             and ${more} more`)
  if (report.verdict === 'violated') lines.push(`again        ${replay}`)
  return lines
}

export function summaryLines(summary: Summary): string[] {
  const header = [
    'scenario',
    'runs',
    'violated',
    'writes',
    'missing',
    'faults',
    'heal p50',
    'heal max',
    'copies',
    'CPU'
  ]
  const rows = Object.entries(summary.scenarios).map(([name, row]) => [name, ...cellsOf(row)])
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
  const lines = [line(header), ...rows.map(line), '']
  lines.push(
    `${summary.seeds} seeds in ${duration(summary.wallMs / 1_000)}: ${summary.acknowledged} writes acknowledged, ` +
      `${summary.faults} faults injected`
  )
  for (const failure of summary.failures.slice(0, FAILURES_SHOWN)) {
    lines.push(`broken       ${failure.invariants.join(' ')}: ${failure.what}`, `             ${failure.replay}`)
  }
  const more = summary.failures.length - FAILURES_SHOWN
  if (more > 0) lines.push(`             and ${more} more failing seeds in the summary`)
  return [...lines, ...verdictLines(summary.verdict, summary.reasons)]
}

const FAILURES_SHOWN = 20

function cellsOf(row: ScenarioSummary): string[] {
  const ms = (value: number | null): string => (value === null ? '-' : `${value} ms`)
  return [
    `${row.runs}`,
    `${row.violated}`,
    `${row.acknowledged}`,
    `${row.missing}`,
    `${row.faults}`,
    ms(row.heal.p50Ms),
    ms(row.heal.maxMs),
    row.copies === null ? '-' : row.copies.toFixed(2),
    `${row.cpuMsPerSeed} ms`
  ]
}

export function comparisonLines({ differences, unmatched }: Comparison): string[] {
  const lines = differences
    .filter(({ judgement }) => judgement !== 'same')
    .map(
      ({ scenario, figure, before, after, judgement }) =>
        `${judgement.padEnd(7)} ${scenario}: ${figure} ${before} -> ${after}`
    )
  if (unmatched.length > 0) lines.push(`not compared, only in one of the two: ${unmatched.join(', ')}`)
  const worse = differences.filter(({ judgement }) => judgement === 'worse').length
  lines.push(worse === 0 ? `nothing got worse (${differences.length} figures compared)` : `${worse} figures got worse`)
  return lines
}
