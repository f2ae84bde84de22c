/** How a chaos run ends: with what was found, or with the admission that it tested nothing. */

export interface Verdict {
  readonly ending: 'passed' | 'failed' | 'failed to test' | 'SKIPPED'
  /** One sentence each: why, when it did not pass. */
  readonly reasons: readonly string[]
  /** Numbers by name, in the order in which they are shown. */
  readonly figures: Readonly<Record<string, number | string>>
}

export interface ChaosOptions {
  readonly loops: number
  /** Told while it runs, one line at a time. */
  readonly say: (line: string) => void
  /** Fewer acknowledged writes prove nothing. Default 1,000. */
  readonly acksMin?: number
  /** For the runs with a company of daemons, which have a number of their own. */
  readonly daemons?: number
  /** Where chance is drawn from; printed, so that a run can be repeated. The time when it is omitted. */
  readonly seed?: string
  /** Only the cases whose names contain this, where a run has named cases. */
  readonly only?: string
}

export const ACKS_MIN = 1_000

/** `breaches`: sentences, empty when every promise held. `untested`: why the run says nothing, if so. */
export function judge(
  figures: Verdict['figures'],
  breaches: readonly string[],
  untested: readonly (string | undefined)[]
): Verdict {
  const silent = untested.filter((reason) => reason !== undefined)
  if (breaches.length > 0) return { ending: 'failed', reasons: breaches, figures }
  if (silent.length > 0) return { ending: 'failed to test', reasons: silent, figures }
  return { ending: 'passed', reasons: [], figures }
}

export const skipped = (reason: string): Verdict => ({ ending: 'SKIPPED', reasons: [reason], figures: {} })

export function tooFewAcks(acks: number, acksMin: number = ACKS_MIN): string | undefined {
  return acks >= acksMin ? undefined : `only ${acks} writes were acknowledged; below ${acksMin} a run proves nothing`
}
