/**
 * What makes a type convergent. A state is a point of a join-semilattice; replicas only ever climb, by joining what they
 * have with what they hear. Because a join may be repeated, regrouped and reordered without changing its outcome, the
 * network is free to do all three.
 *
 * Shapiro et al., "Conflict-free Replicated Data Types" (2011), §2; deltas as in Almeida, Shoker and Baquero, "Delta
 * State Replicated Data Types" (2018): a delta is itself a small state, and applying it is joining it.
 *
 * The laws every `Lattice` here obeys, checked by test/property/crdt-laws.test.ts:
 *
 *     join(a, b) = join(b, a)                      commutative
 *     join(join(a, b), c) = join(a, join(b, c))    associative
 *     join(a, a) = a                               idempotent
 *     join(bottom(), a) = a                        bottom is neutral
 *
 * Nothing here sends, stores or orders anything.
 */

/** A join without a bottom: a state that always knows something, such as a register that has been written. */
export interface Semilattice<S> {
  /** The least state at or above both. Changes neither argument and shares no mutable part with them. */
  join(a: S, b: S): S
  equals(a: S, b: S): boolean
}

export interface Lattice<S> extends Semilattice<S> {
  /** The state that knows nothing: a fresh one at every call, so that it may be changed in place. */
  bottom(): S
}

/** Whether `b` already contains everything `a` knows: the partial order that the join defines. */
export function isAtMost<S>(lattice: Semilattice<S>, a: S, b: S): boolean {
  return lattice.equals(lattice.join(a, b), b)
}

/** Gives a semilattice a bottom: null, the state of somebody who has heard nothing. */
export function optional<S>(of: Semilattice<S>): Lattice<S | null> {
  return {
    bottom: () => null,
    join(a, b) {
      if (a === null) return b === null ? null : of.join(b, b)
      return b === null ? of.join(a, a) : of.join(a, b)
    },
    equals: (a, b) => (a === null || b === null ? a === b : of.equals(a, b))
  }
}

/** A map whose values are states, joined key by key; an absent key stands for bottom. */
export function mapLattice<K, S>(of: Semilattice<S>): Lattice<Map<K, S>> {
  return {
    bottom: () => new Map(),
    join(a, b) {
      const joined = new Map<K, S>()
      // Joining a state with itself copies it.
      for (const [key, state] of a) joined.set(key, of.join(state, state))
      for (const [key, state] of b) joined.set(key, of.join(joined.get(key) ?? state, state))
      return joined
    },
    equals(a, b) {
      if (a.size !== b.size) return false
      for (const [key, state] of a) {
        const other = b.get(key)
        if (other === undefined || !of.equals(state, other)) return false
      }
      return true
    }
  }
}
