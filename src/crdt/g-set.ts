/**
 * Grow-only set: elements are added and never leave, so the join is the union. The right type for evidence and links,
 * where forgetting would be a lie about the past.
 *
 * Shapiro et al. (2011), §3.3.1. It has no removal: a set whose elements may leave is or-set.ts.
 */
import type { Lattice } from './lattice.ts'

export type GSet<E> = Set<E>

export const emptyGSet = <E>(): GSet<E> => new Set()

/** Adds in place. Returns whether the set grew. */
export function addElement<E>(set: GSet<E>, element: E): boolean {
  if (set.has(element)) return false
  set.add(element)
  return true
}

/** The delta that adds `element`: empty when the set holds it already. */
export function addElementDelta<E>(set: GSet<E>, element: E): GSet<E> {
  return set.has(element) ? new Set() : new Set([element])
}

/** Joins `from` into `into` in place. */
export function joinGSetInto<E>(into: GSet<E>, from: ReadonlySet<E>): void {
  for (const element of from) into.add(element)
}

export function joinGSets<E>(a: ReadonlySet<E>, b: ReadonlySet<E>): GSet<E> {
  const joined = new Set(a)
  joinGSetInto(joined, b)
  return joined
}

export function equalGSets<E>(a: ReadonlySet<E>, b: ReadonlySet<E>): boolean {
  if (a.size !== b.size) return false
  for (const element of a) if (!b.has(element)) return false
  return true
}

export function gSetLattice<E>(): Lattice<GSet<E>> {
  return { bottom: emptyGSet, join: joinGSets, equals: equalGSets }
}
