/**
 * Convergence at the door of the replica: whatever set of sealed deltas, whatever order, repetition, way of arrival and
 * restart, two replicas that were shown the same set hold the same tree and the same canonical bytes of every record.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../src/base/limits.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { dotOf, hlcOf } from '../../src/memory/ids.ts'
import type { Op, Target } from '../../src/memory/ops.ts'
import { Author, fingerprintOf, machine, restarted, type Machine } from '../support/replica-bench.ts'
import { id32 } from '../support/ops-arbitrary.ts'

const NOW = 1_700_000_000_000
const KEYED: Target = { by: 'key', key: 'shared/one' }

interface Draft {
  readonly author: number
  readonly epoch: number
  /** Milliseconds after NOW; some are dated so far ahead that they are held. */
  readonly aheadMs: number
  readonly twin: boolean
  readonly ops: readonly ((earlier: readonly VerifiedDelta[]) => Op)[]
}

const target = fc.constantFrom<Target>(KEYED, { by: 'ordinal', ordinal: 0 }, { by: 'id', id: id32(7) })
const text = fc.constantFrom('alpha', 'beta', 'gamma')

/** An operation, given the deltas sealed before it: removals name tags that these may have added. */
const op: fc.Arbitrary<(earlier: readonly VerifiedDelta[]) => Op> = fc.oneof(
  fc
    .record({ target })
    .map((o) => () => ({ op: 'create', ...o, documentType: 'memory', memoryType: null, source: null }) as const),
  fc.record({ target, value: text }).map((o) => () => ({ op: 'set', field: 'content', ...o }) as const),
  fc.record({ target, tag: text }).map((o) => () => ({ op: 'tag', ...o }) as const),
  fc
    .record({ target, tag: text, lot: fc.nat(), index: fc.nat(3) })
    .map(({ target, tag, lot, index }) => (earlier: readonly VerifiedDelta[]) => {
      const named = earlier.length === 0 ? undefined : earlier[lot % earlier.length]
      return { op: 'untag', target, tag, dots: [dotOf(named?.id ?? id32(lot % 3), index)] } as const
    }),
  fc.record({ target, value: fc.nat(10_000) }).map((o) => () => ({ op: 'importance', ...o }) as const),
  fc.record({ target, total: fc.nat(50) }).map((o) => () => ({ op: 'access', ...o }) as const),
  fc
    .record({ target, verdict: fc.constantFrom('confirm' as const, 'dispute' as const), confidence: fc.nat(10_000) })
    .map((o) => () => ({ op: 'vote', reason: null, ...o }) as const),
  fc
    .record({ target, value: fc.constantFrom(id32(1), id32(2)) })
    .map((o) => () => ({ op: 'link', relation: 'related', ...o }) as const),
  fc.nat(5).map((n) => () => ({ op: 'unknown', code: 90 + n, items: [n, 'later'] }) as const)
)

const drafts: fc.Arbitrary<Draft[]> = fc.array(
  fc.record({
    author: fc.integer({ min: 2, max: 4 }),
    epoch: fc.integer({ min: 0, max: 1 }),
    aheadMs: fc.constantFrom(-1, 0, 0, 1, 1, LIMITS.clockLeadMsMax + 5),
    twin: fc.boolean(),
    ops: fc.array(op, { minLength: 1, maxLength: 4 })
  }),
  { minLength: 1, maxLength: 14 }
)

function seal(all: readonly Draft[]): VerifiedDelta[] {
  const authors = new Map<string, Author>()
  const deltas: VerifiedDelta[] = []
  for (const draft of all) {
    const name = `${draft.author}/${draft.epoch}`
    let author = authors.get(name)
    if (author === undefined) authors.set(name, (author = new Author(draft.author, `0${draft.epoch}`.repeat(8))))
    const ops = draft.ops.map((make) => make(deltas))
    const hlc = hlcOf(NOW + draft.aheadMs)
    deltas.push(author.write(hlc, ops))
    if (draft.twin) deltas.push(author.forge({ hlc, ops: [...ops, { op: 'tag', target: KEYED, tag: 'twin' }] }))
  }
  return deltas
}

/** Shows the deltas in the order of the lots, some of them twice and by two ways, and then lets time pass. */
function show(deltas: readonly VerifiedDelta[], lots: readonly number[], restartAt?: number): Machine {
  let m = machine()
  const order = deltas.map((delta, i) => ({ delta, lot: lots[i % lots.length] ?? 0, i }))
  order.sort((a, b) => a.lot - b.lot || a.i - b.i)
  const again = order.filter(({ lot }) => lot % 3 === 0)
  ;[...order, ...again].forEach(({ delta, lot }, i) => {
    if (i === restartAt) m = restarted(m)
    m.receive(delta, NOW, lot % 2 === 0 ? 'gossip' : 'recon')
  })
  m.tick(NOW + 10)
  return m
}

const lots = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 30 })

describe('replica', () => {
  it('any order, repetition and way gives the same tree and the same bytes of every record', () => {
    fc.assert(
      fc.property(drafts, lots, lots, (all, one, two) => {
        const deltas = seal(all)
        const first = fingerprintOf(show(deltas, one))
        assert.deepEqual(fingerprintOf(show(deltas, two)), first)
        assert.deepEqual(fingerprintOf(show([...deltas].reverse(), one)), first)
      }),
      { numRuns: 150 }
    )
  })

  it('a restart in the middle changes nothing', () => {
    fc.assert(
      fc.property(drafts, lots, fc.nat(20), (all, lot, restartAt) => {
        const deltas = seal(all)
        const whole = show(deltas, lot)
        const broken = show(deltas, lot, restartAt)
        assert.deepEqual(fingerprintOf(broken), fingerprintOf(whole))
        assert.equal(broken.replica.heldCount, whole.replica.heldCount)
        for (const delta of deltas) {
          const { author, epoch } = delta.header
          assert.equal(broken.replica.chainHead(author, epoch)?.seq, whole.replica.chainHead(author, epoch)?.seq)
        }
      }),
      { numRuns: 150 }
    )
  })

  it('two replicas that exchange what each lacks agree, whatever each saw first and wrote itself', () => {
    fc.assert(
      fc.property(drafts, fc.nat(), fc.array(fc.boolean(), { minLength: 1, maxLength: 14 }), (all, split, writes) => {
        const deltas = seal(all)
        const cut = split % (deltas.length + 1)
        const [left, right] = [machine({ byte: 8 }), machine({ byte: 9 })]
        deltas.forEach((delta, i) => (i < cut ? left : right).receive(delta, NOW))
        writes.forEach((isLeft, i) => {
          const ops: Op[] = [{ op: 'set', target: KEYED, field: 'content', value: `write ${i}` }]
          ;(isLeft ? left : right).write(NOW + i, ops)
        })
        for (const m of [left, right]) m.tick(NOW + 1_000)
        for (const delta of left.admitted.values()) right.receive(delta, NOW + 1_000, 'recon')
        for (const delta of right.admitted.values()) left.receive(delta, NOW + 1_000, 'recon')
        assert.deepEqual(fingerprintOf(left), fingerprintOf(right))
        for (const m of [left, right]) {
          const own = [...m.admitted.values()].filter((delta) => delta.header.author === m.replica.author)
          own.sort((a, b) => a.header.seq - b.header.seq)
          own.forEach((delta, i) => {
            assert.equal(delta.header.seq, i)
            if (i > 0) assert.ok(delta.header.hlc > (own[i - 1] as VerifiedDelta).header.hlc)
          })
        }
      }),
      { numRuns: 100 }
    )
  })
})
