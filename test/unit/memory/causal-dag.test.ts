import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { AssertionError } from '../../../src/base/assert.ts'
import { CausalDag, causalNodeOf, compareNodes, type CausalNode } from '../../../src/memory/causal-dag.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { draft, identity } from '../../support/sealed.ts'

/** `a2` is the third delta of author a; prev follows from the name. */
function node(id: string, parents: string[] = [], ms = 1): CausalNode {
  const author = id.slice(0, 1)
  const seq = Number(id.slice(1))
  return { id, author, epoch: 'e', seq, prev: seq === 0 ? null : `${author}${seq - 1}`, parents, hlc: hlcOf(ms) }
}

/**
 *   a0 ── a1 ── a2
 *     └─ b0 ──┘ (a2 saw b0)      c0 stands alone
 */
const DIAMOND = [node('a0'), node('a1'), node('b0', ['a0']), node('a2', ['b0']), node('c0')]

function dagOf(nodes: readonly CausalNode[]): CausalDag {
  const dag = new CausalDag()
  for (const each of nodes) dag.add(each)
  return dag
}

describe('the causal graph', () => {
  const dag = dagOf(DIAMOND)

  it('knows its heads and orders', () => {
    assert.deepEqual(dag.heads(), ['a2', 'c0'])
    assert.deepEqual(dag.missing(), [])
    assert.equal(dag.size, 5)
    assert.equal(dag.has('b0'), true)
    assert.equal(dag.happensBefore('a0', 'a2'), true)
    assert.equal(dag.happensBefore('a2', 'a0'), false)
    assert.equal(dag.happensBefore('a0', 'a0'), false)
    assert.equal(dag.order('a1', 'b0'), 'concurrent')
    assert.equal(dag.concurrent('a1', 'b0'), true)
    assert.equal(dag.concurrent('c0', 'a2'), true)
    assert.equal(dag.order('b0', 'a2'), 'before')
    assert.equal(dag.order('a2', 'b0'), 'after')
    assert.equal(dag.order('a2', 'a2'), 'same')
  })

  it('derives Lamport and vector times', () => {
    assert.deepEqual(Object.fromEntries(dag.lamportTimes()), { a0: 1, a1: 2, b0: 2, a2: 3, c0: 1 })
    assert.deepEqual(Object.fromEntries(dag.vectorTime('a2')), { 'a:e': 2, 'b:e': 0 })
    assert.deepEqual(Object.fromEntries(dag.vectorTime('b0')), { 'a:e': 0, 'b:e': 0 })
    assert.equal(dag.vectorTime('zz').size, 0)
  })

  it('walks ancestors, bounded', () => {
    assert.deepEqual(dag.ancestors('a2'), { ids: ['a1', 'b0', 'a0'], complete: true })
    assert.deepEqual(dag.ancestors('a2', 2), { ids: ['a1', 'b0'], complete: false })
    assert.deepEqual(dag.ancestors('a2', 3).complete, true)
    assert.deepEqual(dag.ancestors('zz'), { ids: [], complete: false })
  })

  it('sorts topologically with the supplied tie-break', () => {
    assert.deepEqual(dag.topologicalOrder(), ['a0', 'a1', 'b0', 'a2', 'c0'])
    const reverse = (a: CausalNode, b: CausalNode) => compareNodes(b, a)
    assert.deepEqual(dag.topologicalOrder(reverse), ['c0', 'a0', 'b0', 'a1', 'a2'])
    const timed = dagOf([node('b0', [], 2), node('a0', [], 3), node('c0', ['a0'], 1)])
    assert.deepEqual(timed.topologicalOrder(), ['b0', 'a0', 'c0'])
  })

  it('tolerates missing parents and heals when they come', () => {
    const holed = dagOf([node('a2', ['b0']), node('a0')])
    assert.deepEqual(holed.missing(), ['a1', 'b0'])
    assert.deepEqual(holed.heads(), ['a0', 'a2'])
    assert.equal(holed.concurrent('a0', 'a2'), true)
    assert.equal(holed.ancestors('a2').complete, false)
    assert.equal(holed.lamportTimes().get('a2'), 1)
    assert.equal(holed.add(node('a1')), true)
    assert.equal(holed.add(node('a1')), false)
    assert.deepEqual(holed.missing(), ['b0'])
    assert.equal(holed.happensBefore('a0', 'a2'), true)
    assert.equal(holed.lamportTimes().get('a2'), 3)
  })

  it('keeps both branches of a fork', () => {
    const fork = dagOf([node('a0'), { ...node('a1'), id: 'x' }, { ...node('a1'), id: 'y' }])
    assert.equal(fork.concurrent('x', 'y'), true)
    assert.deepEqual(fork.heads(), ['x', 'y'])
  })

  it('names a prev that is repeated among the parents once', () => {
    const repeated = dagOf([node('a0'), node('a1', ['a0'])])
    assert.deepEqual(repeated.topologicalOrder(), ['a0', 'a1'])
  })

  it('asserts that there is no cycle', () => {
    const cycle = dagOf([node('a0', ['b0']), node('b0', ['a0'])])
    assert.throws(() => cycle.topologicalOrder(), AssertionError)
    assert.equal(cycle.happensBefore('a0', 'a0'), false)
  })

  it('takes its nodes from deltas', () => {
    const sealed = sealDelta(draft(), identity())
    const { author, epoch, hlc } = sealed.header
    assert.deepEqual(causalNodeOf(sealed), { id: sealed.id, author, epoch, seq: 0, prev: null, parents: [], hlc })
  })

  it('says the same whatever the order of arrival, and agrees with its vector times', () => {
    const history = fc
      .array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.array(fc.nat(), { maxLength: 3 })), {
        minLength: 1,
        maxLength: 14
      })
      .map((steps) => {
        const nodes: CausalNode[] = []
        const counts = [0, 0, 0]
        for (const [author, picks] of steps) {
          const id = `${'abc'[author]}${counts[author]!++}`
          const parents = picks.filter(() => nodes.length > 0).map((pick) => nodes[pick % nodes.length]!.id)
          nodes.push(node(id, [...new Set(parents)]))
        }
        return nodes
      })
    fc.assert(
      fc.property(history, fc.infiniteStream(fc.nat()), (nodes, dice) => {
        const shuffled = [...nodes]
        for (let i = shuffled.length - 1; i > 0; i--) {
          const j = dice.next().value! % (i + 1)
          ;[shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!]
        }
        const dag = dagOf(nodes)
        const other = dagOf(shuffled)
        assert.deepEqual(other.heads(), dag.heads())
        const order = dag.topologicalOrder()
        assert.deepEqual(other.topologicalOrder(), order)
        const lamport = dag.lamportTimes()
        for (const a of nodes) {
          for (const b of nodes) {
            const before = dag.happensBefore(a.id, b.id)
            const actor = `${a.author}:${a.epoch}`
            assert.equal(before, a.id !== b.id && (dag.vectorTime(b.id).get(actor) ?? -1) >= a.seq)
            if (before) assert.ok(lamport.get(a.id)! < lamport.get(b.id)! && order.indexOf(a.id) < order.indexOf(b.id))
          }
        }
      }),
      { numRuns: 60 }
    )
  })
})

describe('the bound of one question', () => {
  it('holds at the bound and not one beyond', () => {
    const ancestorsOf = (deltas: number) => {
      const dag = dagOf(Array.from({ length: deltas + 1 }, (_, seq) => node(`a${seq}`)))
      return dag.ancestors(`a${deltas}`)
    }
    const whole = ancestorsOf(LIMITS.lineageDeltasMax)
    assert.deepEqual([whole.ids.length, whole.complete], [LIMITS.lineageDeltasMax, true])
    const cut = ancestorsOf(LIMITS.lineageDeltasMax + 1)
    assert.deepEqual([cut.ids.length, cut.complete], [LIMITS.lineageDeltasMax, false])
  })
})
