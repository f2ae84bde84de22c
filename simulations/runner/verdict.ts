/**
 * What a command may say about its runs. *Held* is a claim: that something was tested and nothing broke. A command whose
 * runs injected no fault, or made too few writes, or never saw what its scenarios exist to show, has no right to it and
 * says *failed to test*.
 */
import type { Sometimes } from '../checkers/checker.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { isFaultless } from '../scenarios/parse.ts'
import type { RunReport, Verdict } from './report.ts'

/** Acknowledged writes that a command needs in all its seeds together. */
export const ACKNOWLEDGED_MIN = 1_000
/** Seeds of one scenario after which it must have reached everything it is there to reach. */
export const REACH_SEEDS_MIN = 100

export const EXIT: Readonly<Record<Verdict, number>> = { held: 0, violated: 1, 'failed-to-test': 2 }

export interface Judgement {
  readonly verdict: Verdict
  /** Why nothing can be claimed; one sentence each. */
  readonly reasons: readonly string[]
}

/** `scenarios` are those that were asked for. */
export function judge(scenarios: readonly Scenario[], reports: readonly RunReport[]): Judgement {
  const violated = reports.filter(({ verdict }) => verdict === 'violated').length
  const reasons: string[] = []
  const engines = scenarios.filter(({ tier }) => tier === 'engine')
  const ofEngine = reports.filter(({ tier }) => tier === 'engine')
  if (reports.length === 0) reasons.push('no seed was run')
  if (engines.length > 0) {
    const acknowledged = ofEngine.reduce((sum, report) => sum + report.acknowledged, 0)
    if (acknowledged < ACKNOWLEDGED_MIN) {
      reasons.push(`${acknowledged} writes were acknowledged, and it takes ${ACKNOWLEDGED_MIN} to mean anything`)
    }
    const isFaulty = ({ faults, liars }: RunReport): boolean => faults > 0 || Object.keys(liars).length > 0
    if (!engines.every(isFaultless) && !ofEngine.some(isFaulty)) reasons.push('no fault was injected')
  }
  for (const scenario of engines) reasons.push(...notReached(scenario, ofEngine))
  if (violated > 0) return { verdict: 'violated', reasons }
  return { verdict: reasons.length > 0 ? 'failed-to-test' : 'held', reasons }
}

function notReached({ name, heal }: Scenario, reports: readonly RunReport[]): string[] {
  const own = reports.filter(({ scenario }) => scenario === name)
  if (own.length < REACH_SEEDS_MIN) return []
  const reached = new Set<Sometimes>(own.flatMap((report) => report.reached))
  return heal.reaches
    .filter((what) => !reached.has(what))
    .map((what) => `in ${own.length} seeds ${name} never came to: ${what}`)
}
