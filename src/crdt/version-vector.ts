/**
 * Version vector: for each actor the highest sequence number up to which its history is known without a gap. Two
 * vectors tell whether one history contains the other or both have news. Parker et al., "Detection of Mutual
 * Inconsistency in Distributed Systems" (1983).
 *
 * Sequence numbers start at 0, so an unknown actor counts as -1 and has no entry. A vector says nothing about single
 * events beyond a gap; those belong to a dot store.
 */
import { assert } from '../base/assert.ts'
import type { Lattice } from './lattice.ts'
import { emptyMaxMap, equalMaxMaps, joinMaxMapInto, joinMaxMaps, type MaxMap } from './max-register.ts'

/** Actor to highest contiguous sequence number. */
export type VersionVector = MaxMap

export type Causality = 'before' | 'after' | 'equal' | 'concurrent'

export const emptyVersionVector: () => VersionVector = emptyMaxMap
export const joinVersionVectorInto: (into: VersionVector, from: ReadonlyMap<string, number>) => void = joinMaxMapInto
export const joinVersionVectors: (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) => VersionVector =
  joinMaxMaps
export const equalVersionVectors: (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) => boolean =
  equalMaxMaps

/** The sequence number that would extend the actor's history. */
export function nextSeq(vector: ReadonlyMap<string, number>, actor: string): number {
  return (vector.get(actor) ?? -1) + 1
}

/** Extends in place by one event. Returns false, and changes nothing, when it is known already or leaves a gap. */
export function extend(vector: VersionVector, actor: string, seq: number): boolean {
  assert(Number.isSafeInteger(seq) && seq >= 0, 'a sequence number is a whole number from 0')
  if (seq !== nextSeq(vector, actor)) return false
  vector.set(actor, seq)
  return true
}

/** The delta of the actor's next event. */
export function nextDelta(vector: ReadonlyMap<string, number>, actor: string): VersionVector {
  return new Map([[actor, nextSeq(vector, actor)]])
}

/** Whether the vector has seen this very event. */
export function covers(vector: ReadonlyMap<string, number>, actor: string, seq: number): boolean {
  return seq < nextSeq(vector, actor)
}

/** Whether `a` has seen everything `b` has: equal vectors dominate each other. */
export function dominates(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  for (const [actor, seq] of b) if (!covers(a, actor, seq)) return false
  return true
}

/** How the history of `a` stands to that of `b`. */
export function compareVersionVectors(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): Causality {
  const above = dominates(a, b)
  const below = dominates(b, a)
  if (above) return below ? 'equal' : 'after'
  return below ? 'before' : 'concurrent'
}

export const versionVectorLattice: Lattice<VersionVector> = {
  bottom: emptyVersionVector,
  join: joinVersionVectors,
  equals: equalVersionVectors
}
