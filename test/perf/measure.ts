/**
 * How figures are taken: warm up, interleave what is compared, report medians. Nothing here judges a time; a figure is
 * a number with its unit and the circumstances it was taken under, and beside it the goal where the project has one.
 */
import { assert } from '../../src/base/assert.ts'

export interface Goal {
  readonly is: 'at most' | 'at least'
  readonly value: number
}

/** One row of bench.json. What was not measured is absent. */
export interface Figure {
  readonly suite: string
  readonly name: string
  readonly params: Readonly<Record<string, string | number | boolean>>
  readonly value: number
  readonly unit: string
  readonly goal?: Goal
  readonly met?: boolean
}

export type Report = (
  name: string,
  value: number,
  unit: string,
  more?: Partial<Pick<Figure, 'params' | 'goal'>> & {
    /** The suite shows it itself, in a table. */
    readonly inTable?: boolean
  }
) => void

/** Collects the figures of one suite. */
export function reporter(suite: string, into: Figure[], tell: (figure: Figure) => void): Report {
  return (name, value, unit, { params = {}, goal, inTable = false } = {}) => {
    assert(Number.isFinite(value), `${name} was measured`)
    const met = goal === undefined ? undefined : goal.is === 'at most' ? value <= goal.value : value >= goal.value
    const figure = {
      suite,
      name,
      params,
      value,
      unit,
      ...(goal === undefined ? {} : { goal }),
      ...(met === undefined ? {} : { met })
    }
    into.push(figure)
    if (!inTable) tell(figure)
  }
}

/** Times of single operations, in milliseconds. */
export class Samples {
  readonly #values: number[] = []
  #sorted = false

  get count(): number {
    return this.#values.length
  }

  add(ms: number): void {
    this.#values.push(ms)
    this.#sorted = false
  }

  async time<T>(operation: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const answer = await operation()
    this.add(performance.now() - startedMs)
    return answer
  }

  /** Nearest rank; `q` from 0 to 1. */
  quantile(q: number): number {
    assert(this.#values.length > 0, 'there are samples')
    if (!this.#sorted) {
      this.#values.sort((a, b) => a - b)
      this.#sorted = true
    }
    return this.#values[Math.min(this.#values.length - 1, Math.floor(q * this.#values.length))] as number
  }
}

export function median(values: readonly number[]): number {
  const samples = new Samples()
  for (const value of values) samples.add(value)
  return samples.quantile(0.5)
}

/** Microseconds of one call, the median of `rounds`; each round calls `batch` times. The first round warms up. */
export function microsPerCall(operation: (i: number) => void, options: { batch: number; rounds?: number }): number {
  const { batch, rounds = 7 } = options
  const times: number[] = []
  let calls = 0
  for (let round = 0; round <= rounds; round++) {
    const startedMs = performance.now()
    for (let i = 0; i < batch; i++) operation(calls++)
    if (round > 0) times.push(((performance.now() - startedMs) * 1_000) / batch)
  }
  return median(times)
}

/** Runs `workers` loops until `count` operations were begun; answers the milliseconds all of them took. */
export async function concurrently(
  workers: number,
  count: number,
  operation: (i: number, worker: number) => Promise<unknown>
): Promise<number> {
  let next = 0
  const startedMs = performance.now()
  const loop = async (worker: number): Promise<void> => {
    while (next < count) await operation(next++, worker)
  }
  await Promise.all(Array.from({ length: workers }, (_, worker) => loop(worker)))
  return performance.now() - startedMs
}

/** CPU of this process, all threads, in milliseconds so far: on a busy machine it says more than the clock. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

export const perSecond = (count: number, ms: number): number => (count * 1_000) / ms

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
