/**
 * Observed-remove set. Every add carries a dot, a name no other add will ever have; a removal names the dots it has
 * seen and takes away exactly those. An add that the remover had not seen keeps its own dot and survives: add wins.
 *
 * The state keeps, for each element, the live dots and the removed ones. A removal that arrives before the add it names
 * is therefore remembered and wins when the add comes, which lets operations arrive in any order at all.
 * Shapiro et al. (2011), §3.3.5; Bieniusa et al., "An Optimized Conflict-free Replicated Set" (2012).
 *
 * Removed dots are kept for good. The optimised form folds them into a causal context, but that needs contiguous
 * histories, and here a set of operations with holes must give a definite state too.
 */
import { equalGSets, joinGSetInto } from './g-set.ts'
import type { Lattice } from './lattice.ts'

export type OrDot = string

export interface OrEntry {
  /** Dots of adds that no known removal names. */
  readonly live: Set<OrDot>
  /** Dots that some removal names, whether their add has arrived or not. Disjoint from `live`. */
  readonly removed: Set<OrDot>
}

/** No entry has both sets empty, so that equal knowledge is an equal state. */
export type OrSet<E> = Map<E, OrEntry>

export const emptyOrSet = <E>(): OrSet<E> => new Map()

function entryOf<E>(set: OrSet<E>, element: E): OrEntry {
  let entry = set.get(element)
  if (entry === undefined) {
    entry = { live: new Set(), removed: new Set() }
    set.set(element, entry)
  }
  return entry
}

/** Adds in place under a dot that names this add alone. Without effect when a removal has named the dot before. */
export function addDot<E>(set: OrSet<E>, element: E, dot: OrDot): void {
  const entry = entryOf(set, element)
  if (!entry.removed.has(dot)) entry.live.add(dot)
}

/** Removes in place the adds of `element` named by `dots`, those still to come included. */
export function removeDots<E>(set: OrSet<E>, element: E, dots: Iterable<OrDot>): void {
  let entry = set.get(element)
  for (const dot of dots) {
    entry ??= entryOf(set, element)
    entry.live.delete(dot)
    entry.removed.add(dot)
  }
}

/** The delta that adds `element` under `dot`. */
export function addDelta<E>(element: E, dot: OrDot): OrSet<E> {
  const delta: OrSet<E> = new Map()
  addDot(delta, element, dot)
  return delta
}

/** The delta that removes every add of `element` seen in `set`: empty when it holds none. */
export function removeDelta<E>(set: OrSet<E>, element: E): OrSet<E> {
  const delta: OrSet<E> = new Map()
  removeDots(delta, element, observedDots(set, element))
  return delta
}

export function hasElement<E>(set: OrSet<E>, element: E): boolean {
  return (set.get(element)?.live.size ?? 0) > 0
}

/** Elements with a live add, in no particular order. */
export function liveElements<E>(set: OrSet<E>): E[] {
  const elements: E[] = []
  for (const [element, entry] of set) if (entry.live.size > 0) elements.push(element)
  return elements
}

/** What a removal of `element` should name, in no particular order. */
export function observedDots<E>(set: OrSet<E>, element: E): OrDot[] {
  return [...(set.get(element)?.live ?? [])]
}

/** Joins `from` into `into` in place; `from` keeps its own sets. */
export function joinOrSetInto<E>(into: OrSet<E>, from: ReadonlyMap<E, OrEntry>): void {
  for (const [element, theirs] of from) {
    const entry = entryOf(into, element)
    joinGSetInto(entry.removed, theirs.removed)
    joinGSetInto(entry.live, theirs.live)
    for (const dot of entry.live) if (entry.removed.has(dot)) entry.live.delete(dot)
  }
}

export function joinOrSets<E>(a: ReadonlyMap<E, OrEntry>, b: ReadonlyMap<E, OrEntry>): OrSet<E> {
  const joined: OrSet<E> = new Map()
  joinOrSetInto(joined, a)
  joinOrSetInto(joined, b)
  return joined
}

export function equalOrSets<E>(a: ReadonlyMap<E, OrEntry>, b: ReadonlyMap<E, OrEntry>): boolean {
  if (a.size !== b.size) return false
  for (const [element, ours] of a) {
    const theirs = b.get(element)
    if (theirs === undefined) return false
    if (!equalGSets(ours.live, theirs.live) || !equalGSets(ours.removed, theirs.removed)) return false
  }
  return true
}

export function orSetLattice<E>(): Lattice<OrSet<E>> {
  return { bottom: emptyOrSet, join: joinOrSets, equals: equalOrSets }
}
