/**
 * Two sweeps side by side: what got worse from the first to the second, by more than chance and noise explain. Figures
 * are compared scenario by scenario; a scenario that only one of them ran is named and not judged.
 */
import { ChrysalisError } from '../../src/base/errors.ts'
import { rounded } from './figures.ts'
import type { ScenarioSummary, Summary } from './summary.ts'

export interface Thresholds {
  /** Relative growth of a figure that counts as worse: 0.2 is a fifth. */
  readonly growth: number
}

export const DEFAULT_THRESHOLDS: Thresholds = { growth: 0.2 }

export interface Difference {
  readonly scenario: string
  readonly figure: string
  readonly before: number
  readonly after: number
  readonly judgement: 'worse' | 'better' | 'same'
}

export interface Comparison {
  readonly differences: readonly Difference[]
  /** Scenarios that only one of the two ran. */
  readonly unmatched: readonly string[]
}

interface Figure {
  readonly name: string
  readonly of: (summary: ScenarioSummary) => number | null
  /** Changes smaller than this are noise, whatever their share. */
  readonly floor: number
}

const FIGURES: readonly Figure[] = [
  { name: 'violated runs, share', of: ({ violated, runs }) => violated / Math.max(1, runs), floor: 0 },
  { name: 'missing writes', of: ({ missing }) => missing, floor: 0 },
  { name: 'heal, median ms', of: ({ heal }) => heal.p50Ms, floor: 500 },
  { name: 'heal, 99 % ms', of: ({ heal }) => heal.p99Ms, floor: 2_000 },
  { name: 't99, median ms', of: ({ t99Ms }) => t99Ms, floor: 10 },
  { name: 'copies for each delivery', of: ({ copies }) => copies, floor: 0.1 },
  { name: 'control bytes for each delivery', of: ({ controlBytesPerDelta }) => controlBytesPerDelta, floor: 20 },
  { name: 'CPU ms for each seed', of: ({ cpuMsPerSeed }) => cpuMsPerSeed, floor: 100 }
]

export function compare(before: Summary, after: Summary, thresholds: Thresholds = DEFAULT_THRESHOLDS): Comparison {
  const differences: Difference[] = []
  const names = [...new Set([...Object.keys(before.scenarios), ...Object.keys(after.scenarios)])].sort()
  const unmatched = names.filter((name) => !(name in before.scenarios) || !(name in after.scenarios))
  for (const name of names) {
    const old = before.scenarios[name]
    const now = after.scenarios[name]
    if (old === undefined || now === undefined) continue
    for (const figure of FIGURES) {
      const was = figure.of(old)
      const is = figure.of(now)
      if (was === null || is === null) continue
      differences.push({
        scenario: name,
        figure: figure.name,
        before: rounded(was, 4),
        after: rounded(is, 4),
        judgement: judge(was, is, figure.floor, thresholds.growth)
      })
    }
  }
  return { differences, unmatched }
}

function judge(before: number, after: number, floor: number, growth: number): Difference['judgement'] {
  if (after > before + floor && after > before * (1 + growth)) return 'worse'
  if (before > after + floor && before > after * (1 + growth)) return 'better'
  return 'same'
}

/** Reads a summary that a sweep wrote. Throws `invalid_argument`. */
export function parseSummary(file: string, text: string): Summary {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && 'scenarios' in value && 'seeds' in value) return value as Summary
  throw new ChrysalisError('invalid_argument', `${file} is no summary of a sweep; nothing was compared.`, {
    hint: 'Give the folder that `chrysalis sim sweep --out` wrote, or the summary.json in it.'
  })
}
