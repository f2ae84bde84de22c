/**
 * Last-writer-wins register: of two writes the later one stays. What "later" means is the caller's total order of
 * stamps, so the same code makes a first-writer-wins register when handed the reversed order.
 *
 * It is lossy by nature: of two concurrent writes one is dropped. Shapiro et al. (2011), §3.2.1.
 *
 * The order must be total and a stamp must name one write: two registers with equal stamps hold equal values. A clock
 * alone is no such order; memory adds the author, the delta and the position within it.
 */
import type { Semilattice } from './lattice.ts'

export interface LwwRegister<V, S> {
  readonly value: V
  readonly stamp: S
}

/** Negative when `a` is before `b`, zero only when they are the same write. */
export type Order<S> = (a: S, b: S) => number

/** The register after a write: `current` itself when the write comes too late. This is also the join of the two. */
export function laterOf<V, S>(
  current: LwwRegister<V, S> | null | undefined,
  write: LwwRegister<V, S>,
  order: Order<S>
): LwwRegister<V, S> {
  return current && order(write.stamp, current.stamp) <= 0 ? current : write
}

/** The delta of a write: the write alone when it wins, null when the register is already later. */
export function writeDelta<V, S>(
  current: LwwRegister<V, S> | null,
  value: V,
  stamp: S,
  order: Order<S>
): LwwRegister<V, S> | null {
  return current !== null && order(stamp, current.stamp) <= 0 ? null : { value, stamp }
}

/** Registers are never changed in place, so states may share them. */
export function lwwRegister<V, S>(order: Order<S>): Semilattice<LwwRegister<V, S>> {
  return {
    join: (a, b) => laterOf(a, b, order),
    equals: (a, b) => order(a.stamp, b.stamp) === 0
  }
}

/** Turns last-writer-wins into first-writer-wins. */
export function reversed<S>(order: Order<S>): Order<S> {
  return (a, b) => order(b, a)
}
