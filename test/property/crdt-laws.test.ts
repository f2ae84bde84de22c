/**
 * The lattice laws, for every convergent type. Operations are drawn as data and replayed into states, so that a state is
 * always one that can really arise; two replicas that saw different parts of one history must agree after joining.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { gCounterLattice, incrementDelta, joinGCounterInto, raiseTotal } from '../../src/crdt/g-counter.ts'
import { addElement, addElementDelta, gSetLattice, joinGSetInto } from '../../src/crdt/g-set.ts'
import { createHybridClock } from '../../src/crdt/hybrid-clock.ts'
import { isAtMost, mapLattice, optional, type Lattice } from '../../src/crdt/lattice.ts'
import { laterOf, lwwRegister, reversed, writeDelta, type LwwRegister } from '../../src/crdt/lww-register.ts'
import { joinMaxMapInto, maxMapLattice, raise, raiseDelta } from '../../src/crdt/max-register.ts'
import {
  addDelta,
  addDot,
  joinOrSetInto,
  observedDots,
  orSetLattice,
  removeDelta,
  removeDots,
  type OrSet
} from '../../src/crdt/or-set.ts'
import {
  compareVersionVectors,
  extend,
  joinVersionVectorInto,
  nextDelta,
  versionVectorLattice
} from '../../src/crdt/version-vector.ts'

interface Subject<S, Op> {
  readonly lattice: Lattice<S>
  readonly op: fc.Arbitrary<Op>
  /** In place where the state can be changed in place; returns the state after it. */
  readonly apply: (state: S, op: Op) => S
  /** The same operation as a delta on this state. */
  readonly delta: (state: S, op: Op) => S
}

const actor = fc.constantFrom('a', 'b', 'c')
const element = fc.constantFrom('x', 'y', 'z')
const small = fc.integer({ min: 0, max: 6 })

function stateOf<S, Op>(subject: Subject<S, Op>, ops: readonly Op[]): S {
  return ops.reduce(subject.apply, subject.lattice.bottom())
}

function copy<S>(lattice: Lattice<S>, state: S): S {
  return lattice.join(state, lattice.bottom())
}

function checkLaws<S, Op>(name: string, subject: Subject<S, Op>): void {
  const { lattice } = subject
  const equal = (a: S, b: S, law: string): void => assert.ok(lattice.equals(a, b), law)
  const history = fc.array(subject.op, { maxLength: 12 })

  test(`${name}: join is commutative, associative and idempotent, and bottom is neutral`, () => {
    fc.assert(
      fc.property(history, history, history, (p, q, r) => {
        const [a, b, c] = [stateOf(subject, p), stateOf(subject, q), stateOf(subject, r)]
        equal(lattice.join(a, b), lattice.join(b, a), 'commutative')
        equal(lattice.join(lattice.join(a, b), c), lattice.join(a, lattice.join(b, c)), 'associative')
        equal(lattice.join(a, a), a, 'idempotent')
        equal(lattice.join(lattice.bottom(), a), a, 'neutral')
        equal(lattice.join(a, lattice.bottom()), a, 'neutral')
      })
    )
  })

  test(`${name}: operations and joins only climb, and a join is the least upper bound`, () => {
    fc.assert(
      fc.property(history, history, subject.op, (p, q, op) => {
        const a = stateOf(subject, p)
        const b = stateOf(subject, q)
        const joined = lattice.join(a, b)
        assert.ok(isAtMost(lattice, a, joined) && isAtMost(lattice, b, joined), 'join is above both')
        const above = lattice.join(joined, stateOf(subject, [op]))
        assert.ok(isAtMost(lattice, joined, above), 'and below all that are above both')
        const before = copy(lattice, a)
        assert.ok(isAtMost(lattice, before, subject.apply(a, op)), 'an operation is inflationary')
      })
    )
  })

  test(`${name}: joining the delta of an operation is applying it`, () => {
    fc.assert(
      fc.property(history, subject.op, (p, op) => {
        const state = stateOf(subject, p)
        const before = copy(lattice, state)
        const delta = subject.delta(state, op)
        equal(state, before, 'making a delta changes nothing')
        equal(lattice.join(state, delta), subject.apply(copy(lattice, state), op), 'delta-join is state-join')
      })
    )
  })

  test(`${name}: a join changes neither argument and shares nothing mutable with them`, () => {
    fc.assert(
      fc.property(history, history, subject.op, (p, q, op) => {
        const a = stateOf(subject, p)
        const b = stateOf(subject, q)
        const [beforeA, beforeB] = [copy(lattice, a), copy(lattice, b)]
        subject.apply(lattice.join(a, b), op)
        equal(a, beforeA, 'left argument')
        equal(b, beforeB, 'right argument')
      })
    )
  })
}

checkLaws('g-set', {
  lattice: gSetLattice<string>(),
  op: element,
  apply: (state, op) => {
    addElement(state, op)
    return state
  },
  delta: (state, op) => addElementDelta(state, op)
})

type OrOp = { add: string; dot: string } | { remove: string; dots: string[] } | { clear: string }
/** A dot names one add for ever, so the element is part of it. */
const orOp: fc.Arbitrary<OrOp> = fc.oneof(
  fc.record({ add: element, n: small }).map(({ add, n }) => ({ add, dot: `${add}${n}` })),
  fc
    .record({ remove: element, ns: fc.array(small, { maxLength: 3 }) })
    .map(({ remove, ns }) => ({ remove, dots: ns.map((n) => `${remove}${n}`) })),
  element.map((clear) => ({ clear }))
)

checkLaws<OrSet<string>, OrOp>('or-set', {
  lattice: orSetLattice<string>(),
  op: orOp,
  apply: (state, op) => {
    if ('add' in op) addDot(state, op.add, op.dot)
    else if ('remove' in op) removeDots(state, op.remove, op.dots)
    else removeDots(state, op.clear, observedDots(state, op.clear))
    return state
  },
  delta: (state, op) => {
    if ('add' in op) return addDelta(op.add, op.dot)
    if ('clear' in op) return removeDelta(state, op.clear)
    const delta: OrSet<string> = new Map()
    removeDots(delta, op.remove, op.dots)
    return delta
  }
})

const byNumber = (a: number, b: number): number => a - b
type Cell = LwwRegister<string, number>
/** A stamp names one write, so the value is a function of it. */
const write = small.map((stamp): Cell => ({ value: `v${(stamp * 5) % 7}`, stamp }))
for (const [name, order] of [
  ['lww-register', byNumber],
  ['first-writer register', reversed(byNumber)]
] as const) {
  checkLaws<Cell | null, Cell>(name, {
    lattice: optional(lwwRegister<string, number>(order)),
    op: write,
    apply: (state, op) => laterOf(state, op, order),
    delta: (state, op) => writeDelta(state, op.value, op.stamp, order)
  })
}

checkLaws<Map<string, Cell>, [string, Cell]>('map of registers', {
  lattice: mapLattice(lwwRegister<string, number>(byNumber)),
  op: fc.tuple(actor, write),
  apply: (state, [key, cell]) => state.set(key, laterOf(state.get(key), cell, byNumber)),
  delta: (_state, [key, cell]) => new Map([[key, cell]])
})

checkLaws('max-register', {
  lattice: maxMapLattice,
  op: fc.tuple(actor, small),
  apply: (state, [who, value]) => {
    raise(state, who, value)
    return state
  },
  delta: (state, [who, value]) => raiseDelta(state, who, value)
})

checkLaws('g-counter', {
  lattice: gCounterLattice,
  op: fc.tuple(actor, small),
  apply: (state, [who, by]) => {
    raiseTotal(state, who, (state.get(who) ?? 0) + by)
    return state
  },
  delta: (state, [who, by]) => incrementDelta(state, who, by)
})

checkLaws('version vector', {
  lattice: versionVectorLattice,
  op: actor,
  apply: (state, who) => {
    extend(state, who, (state.get(who) ?? -1) + 1)
    return state
  },
  delta: (state, who) => nextDelta(state, who)
})

test('joining in place gives what the pure join gives', () => {
  const history = fc.array(fc.tuple(actor, small), { maxLength: 8 })
  fc.assert(
    fc.property(history, history, (p, q) => {
      const max = [maxMap(p), maxMap(q)] as const
      for (const joinInto of [joinMaxMapInto, joinGCounterInto, joinVersionVectorInto]) {
        const into = new Map(max[0])
        joinInto(into, max[1])
        assert.deepEqual(into, maxMapLattice.join(...max))
      }
      const sets = [new Set(p.map(([who]) => who)), new Set(q.map(([who]) => who))] as const
      const joined = new Set(sets[0])
      joinGSetInto(joined, sets[1])
      assert.ok(gSetLattice<string>().equals(joined, gSetLattice<string>().join(sets[1], sets[0])))
    })
  )
})

function maxMap(ops: readonly (readonly [string, number])[]): Map<string, number> {
  const map = new Map<string, number>()
  for (const [who, value] of ops) raise(map, who, value)
  return map
}

test('or-set: operations in any order and number give one state', () => {
  const lattice = orSetLattice<string>()
  const placed = orOp.filter((op) => !('clear' in op))
  const scenario = fc
    .array(placed, { maxLength: 10 })
    .chain((ops) => fc.tuple(fc.constant(ops), fc.shuffledSubarray([...ops, ...ops], { minLength: 2 * ops.length })))
  fc.assert(
    fc.property(scenario, ([ops, shuffled]) => {
      const play = (list: readonly OrOp[]): OrSet<string> => {
        const set: OrSet<string> = new Map()
        for (const op of list) {
          if ('add' in op) addDot(set, op.add, op.dot)
          else if ('remove' in op) removeDots(set, op.remove, op.dots)
        }
        return set
      }
      assert.ok(lattice.equals(play(ops), play(shuffled)))
      const half = ops.length >> 1
      const into = play(ops.slice(0, half))
      joinOrSetInto(into, play(ops.slice(half)))
      assert.ok(lattice.equals(into, play(ops)))
    })
  )
})

test('version vectors: the comparison is the partial order of the join', () => {
  const history = fc.array(actor, { maxLength: 6 })
  fc.assert(
    fc.property(history, history, (p, q) => {
      const vectorOf = (actors: readonly string[]): Map<string, number> => {
        const vector = new Map<string, number>()
        for (const who of actors) joinVersionVectorInto(vector, nextDelta(vector, who))
        return vector
      }
      const [a, b] = [vectorOf(p), vectorOf(q)]
      const [below, above] = [isAtMost(versionVectorLattice, a, b), isAtMost(versionVectorLattice, b, a)]
      const expected = below ? (above ? 'equal' : 'before') : above ? 'after' : 'concurrent'
      assert.equal(compareVersionVectors(a, b), expected)
    })
  )
})

test('hybrid clock: times given out strictly increase whatever the wall clock and the network do', () => {
  const step = fc.oneof(
    fc.record({ now: fc.integer({ min: 0, max: 2_000_000 }) }),
    fc.record({ now: fc.integer({ min: 0, max: 2_000_000 }), remote: fc.integer({ min: 0, max: 4_000_000 }) })
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const leadMsMax = 1_000
      const clock = createHybridClock(leadMsMax)
      let lastGiven = -1n
      for (const one of steps) {
        if ('remote' in one) {
          const before = clock.last
          const remote = (BigInt(one.remote) << 16n) | 3n
          const adopted = clock.observe(remote, one.now)
          assert.equal(adopted, one.remote <= one.now + leadMsMax)
          assert.equal(clock.last, adopted && remote > before ? remote : before)
        } else {
          const seen = clock.last
          const time = clock.tick(one.now)
          assert.ok(time > lastGiven && time > seen && time >> 16n >= BigInt(one.now))
          lastGiven = time
        }
      }
    })
  )
})
