/** The least over a lineage, against plain reachability: cycles, long chains, and what is known from before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { leastAbove, type Lineage } from '../../../src/trust/lineage.ts'

interface Graph {
  readonly own: readonly number[]
  readonly above: readonly (readonly number[])[]
}

const graph: fc.Arbitrary<Graph> = fc.integer({ min: 1, max: 12 }).chain((size) =>
  fc.record({
    own: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: size, maxLength: size }),
    above: fc.array(fc.array(fc.integer({ min: 0, max: size - 1 }), { maxLength: 3 }), {
      minLength: size,
      maxLength: size
    })
  })
)

function lineageOf({ own, above }: Graph): Lineage {
  return { own: (node) => own[Number(node)] as number, above: (node) => (above[Number(node)] ?? []).map(String) }
}

function leastReachable({ own, above }: Graph, start: number): number {
  const seen = new Set([start])
  for (const node of seen) for (const next of above[node] ?? []) seen.add(next)
  return Math.min(...[...seen].map((node) => own[node] as number))
}

test('every node has the least of all it can reach, in whatever order they are asked for', () => {
  fc.assert(
    fc.property(graph, fc.infiniteStream(fc.nat()), (made, stream) => {
      const lineage = lineageOf(made)
      const known = new Map<string, number>()
      const order = made.own.map((_, i) => i).sort(() => (stream.next().value as number) % 3)
      for (const start of order) assert.equal(leastAbove(String(start), lineage, known), leastReachable(made, start))
      for (const [node, least] of known) assert.equal(least, leastReachable(made, Number(node)))
    }),
    { numRuns: 500 }
  )
})

test('a chain of a hundred thousand is walked once and without a stack of calls', () => {
  const size = 100_000
  let looks = 0
  const lineage: Lineage = {
    own: (node) => (Number(node) === size ? 0 : 4),
    above: (node) => {
      looks++
      return Number(node) === size ? [] : [String(Number(node) + 1)]
    }
  }
  const known = new Map<string, number>()
  assert.equal(leastAbove('0', lineage, known), 0)
  assert.equal(looks, size + 1)
  assert.equal(leastAbove('7', lineage, known), 0)
  assert.equal(looks, size + 1, 'the second question costs nothing')
})
