/**
 * Does the abstract model say what the real code does? Both run worlds of the same parameters: the real gossipsub behind
 * the daemon's own gates in virtual time (simulations/net/propagation.ts, gossip only), and the model without its
 * comparisons. Their worlds are drawn apart, so it is means over many messages that are compared.
 */
import { measurePropagation, type Propagation, type PropagationOptions } from '../net/propagation.ts'
import { Model, type ModelResult } from './model.ts'

export interface AgreementOptions extends Pick<PropagationOptions, 'nodes' | 'droppers' | 'loss' | 'lossMode'> {
  /** Worlds of the real code, and messages through each. */
  readonly seeds: number
  readonly messages: number
  /** Worlds of the model; more, because they are cheap. Default 40. */
  readonly modelSeeds?: number
}

export type Compared = 't50Ms' | 't99Ms' | 't100Ms' | 'copies' | 'controlBytesPerDelivery' | 'hops'

export interface Agreement {
  readonly real: Readonly<Record<Compared, number>>
  readonly model: Readonly<Record<Compared, number>>
  /** model / real − 1. */
  readonly error: Readonly<Record<Compared, number>>
}

/** Means over the messages that reached everyone; in these worlds nearly all do. */
export async function measureAgreement(options: AgreementOptions): Promise<Agreement> {
  const { seeds, messages, modelSeeds = 40, ...world } = options
  const real: Propagation[] = []
  for (let seed = 0; seed < seeds; seed++) {
    real.push(...(await measurePropagation({ ...world, seed: `agree/${seed}`, network: 'wan8', messages })))
  }
  const model: ModelResult[] = []
  for (let seed = 0; seed < modelSeeds; seed++) {
    const drawn = new Model({ ...world, seed: `agree/${seed}`, antiEntropy: false })
    for (let message = 0; message < messages; message++) model.push(drawn.broadcast())
  }
  const of = (pick: (one: Compared) => (number | null | undefined)[]): Record<Compared, number> => ({
    t50Ms: mean(pick('t50Ms')),
    t99Ms: mean(pick('t99Ms')),
    t100Ms: mean(pick('t100Ms')),
    copies: mean(pick('copies')),
    controlBytesPerDelivery: mean(pick('controlBytesPerDelivery')),
    hops: mean(pick('hops'))
  })
  const seen = of((name) => real.map((one) => one[name]))
  const said = of((name) => model.map((one) => (name === 'hops' ? one.hopsMean : one[name])))
  const error = of((name) => [said[name] / seen[name] - 1])
  return { real: seen, model: said, error }
}

function mean(values: readonly (number | null | undefined)[]): number {
  const there = values.filter((value) => value !== null && value !== undefined)
  return there.reduce((sum, value) => sum + value, 0) / there.length
}
