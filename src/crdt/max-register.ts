/**
 * Max register: a number that only rises, joined by taking the larger. One register for each actor makes a map that no
 * actor can push on behalf of another, which is how claims, counters and version vectors are all kept.
 *
 * An absent actor is bottom and differs from an actor that said 0. Values are finite; NaN has no place in an order.
 */
import type { Lattice } from './lattice.ts'

/** The highest value of each actor. */
export type MaxMap = Map<string, number>

export const emptyMaxMap = (): MaxMap => new Map()

/** Raises in place. Returns whether the value rose. */
export function raise(map: MaxMap, actor: string, value: number): boolean {
  const current = map.get(actor)
  if (current !== undefined && current >= value) return false
  map.set(actor, value)
  return true
}

/** The delta that raises `actor` to `value`: empty when it is there already. */
export function raiseDelta(map: ReadonlyMap<string, number>, actor: string, value: number): MaxMap {
  const current = map.get(actor)
  return current !== undefined && current >= value ? new Map() : new Map([[actor, value]])
}

/** Joins `from` into `into` in place. */
export function joinMaxMapInto(into: MaxMap, from: ReadonlyMap<string, number>): void {
  for (const [actor, value] of from) raise(into, actor, value)
}

export function joinMaxMaps(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): MaxMap {
  const joined = new Map(a)
  joinMaxMapInto(joined, b)
  return joined
}

export function equalMaxMaps(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  if (a.size !== b.size) return false
  for (const [actor, value] of a) if (b.get(actor) !== value) return false
  return true
}

/** The largest value of any actor, or undefined when there is none. */
export function largest(map: ReadonlyMap<string, number>): number | undefined {
  let top: number | undefined
  for (const value of map.values()) if (top === undefined || value > top) top = value
  return top
}

export const maxMapLattice: Lattice<MaxMap> = { bottom: emptyMaxMap, join: joinMaxMaps, equals: equalMaxMaps }
