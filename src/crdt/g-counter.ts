/**
 * Grow-only counter: each actor keeps its own running total, the join takes the larger total of each actor, and the
 * value is the sum. A plain maximum would lose one of two concurrent increments, a plain sum would count a repeated
 * message twice; this does neither. Shapiro et al. (2011), §3.1.1.
 *
 * An actor must never restart from a lower total; one that cannot be sure takes a new name (memory appends the epoch).
 */
import type { Lattice } from './lattice.ts'
import { emptyMaxMap, equalMaxMaps, joinMaxMapInto, joinMaxMaps, raise, type MaxMap } from './max-register.ts'

/** Running total of each actor: safe non-negative integers. */
export type GCounter = MaxMap

export const emptyGCounter: () => GCounter = emptyMaxMap
export const joinGCounterInto: (into: GCounter, from: ReadonlyMap<string, number>) => void = joinMaxMapInto
export const joinGCounters: (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) => GCounter = joinMaxMaps
export const equalGCounters: (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) => boolean = equalMaxMaps

/** Learns an actor's total in place. Returns whether it rose. */
export function raiseTotal(counter: GCounter, actor: string, total: number): boolean {
  return raise(counter, actor, total)
}

/** The delta that counts `by` more for `actor`. Only the actor itself may make it, from its latest state. */
export function incrementDelta(counter: ReadonlyMap<string, number>, actor: string, by: number): GCounter {
  return new Map([[actor, Math.min((counter.get(actor) ?? 0) + by, Number.MAX_SAFE_INTEGER)]])
}

/**
 * The sum over all actors, held at Number.MAX_SAFE_INTEGER: beyond it a sum of floats would depend on the order of the
 * terms, and one lying actor could make replicas disagree.
 */
export function counterValue(counter: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const total of counter.values()) {
    sum += total
    if (sum > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
  }
  return sum
}

export const gCounterLattice: Lattice<GCounter> = {
  bottom: emptyGCounter,
  join: joinGCounters,
  equals: equalGCounters
}
