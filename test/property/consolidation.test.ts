/**
 * Consolidation as a law, on random corpora in a small world of record states: the plan does not depend on the order in
 * which memories came to be known, carrying it out leaves nothing to do, and replicas that know different parts and do it
 * on their own come to rest in one state once they know the same.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import {
  applyOp,
  cloneRecord,
  emptyRecord,
  equalRecords,
  joinRecords,
  type RecordState
} from '../../src/memory/record.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import { resolveTarget } from '../../src/memory/names.ts'
import type { KnownOp, Op } from '../../src/memory/ops.ts'
import { viewRecord } from '../../src/memory/view.ts'
import { CensusCount, type Census } from '../../src/node/census.ts'
import { coalesceAct, expireAct, fitsOneDelta, relateAct, type Act } from '../../src/node/consolidation-ops.ts'
import { planConsolidation } from '../../src/node/consolidation-plan.ts'
import type { Space } from '../../src/node/space.ts'
import { identity, SPACE } from '../support/sealed.ts'

const crypto = identity(7)
const AUTHORS = [1, 2, 3].map((byte) => toHex(identity(byte).publicKey))
const NOW_MS = 1_800_000_000_000
const clock = { nowMs: () => NOW_MS, monotonicMs: () => 0, setTimer: () => () => undefined }

/** A text is drawn from few words, so that the same is said often, with white space that makes no difference. */
/** Without the bias of the library towards ends of ranges: what is common here must be common. */
const often = <T, U>(usual: T, ...others: U[]): fc.Arbitrary<T | U> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant(usual) },
    ...others.map((other) => ({ weight: 1, arbitrary: fc.constant(other) }))
  )
const earlier = fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat() })
const memory = fc.record({
  author: fc.oneof(...AUTHORS.map((_, place) => fc.constant(place))),
  text: often('the port is 8080', 'the  port is\n8080', 'the port is 9090', 'use tabs', 'use tabs '),
  tags: fc.subarray(['a', 'b', 'c']),
  importance: fc.option(fc.nat({ max: 10_000 }), { nil: undefined }),
  evidence: fc.subarray(['https://one', 'https://two']),
  origin: often(undefined, 'self', 'document'),
  isWorking: often(false, true),
  isExpired: often(false, true),
  retracted: often(null, 'wrong', 'brought back'),
  isKeyed: often(false, true),
  /** Earlier memories that this one names, by place. */
  parent: earlier,
  supersedes: earlier
})
type Memory = typeof memory extends fc.Arbitrary<infer T> ? T : never

/** One daemon's copy. */
class Replica {
  readonly records = new Map<string, RecordState>()
  readonly author: string
  #deltas = 0

  constructor(author: string) {
    this.author = author
  }

  /** As one delta of this author at that time. */
  write(ops: readonly Op[], atMs: number): string {
    const delta = toHex(crypto.sha384(Buffer.from(`${this.author} ${this.#deltas++} ${atMs}`)).subarray(0, 32))
    ops.forEach((op, index) => {
      assert.ok(op.op !== 'unknown')
      const id = resolveTarget(crypto, SPACE, delta, op.target)
      const state = this.records.get(id) ?? emptyRecord(id)
      applyOp(state, op, { hlc: hlcOf(atMs, 0), author: this.author, delta, index }, '00'.repeat(8))
      this.records.set(id, state)
    })
    return delta
  }

  learn(other: Replica, wanted: (id: string) => boolean = () => true): void {
    for (const [id, state] of other.records) {
      if (!wanted(id)) continue
      const known = this.records.get(id)
      this.records.set(id, known === undefined ? cloneRecord(state) : joinRecords(known, state))
    }
  }

  census(order: (ids: string[]) => string[] = (ids) => ids): Census {
    const count = new CensusCount(crypto)
    for (const id of order([...this.records.keys()])) {
      const state = this.records.get(id)!
      const view = viewRecord(state, { space: SPACE, nowMs: NOW_MS })
      if (view !== undefined && count.hasRoom()) count.see(view, state)
    }
    return count.census()
  }

  /** One whole consolidation, as node/consolidate.ts does it; answers what it did. */
  async consolidate(atMs: number): Promise<Act[]> {
    const space = { id: SPACE, replica: { author: this.author } } as unknown as Space
    const acts: Act[] = []
    for (const step of (await planConsolidation({ clock }, this.census())).steps) {
      const act = this.#act(space, step)
      if (act === undefined) continue
      assert.ok(fitsOneDelta(act.ops))
      this.write(act.ops, atMs + acts.length)
      acts.push(act)
    }
    return acts
  }

  #act(space: Space, step: Awaited<ReturnType<typeof planConsolidation>>['steps'][number]): Act | undefined {
    if (step.action === 'relate') return relateAct({ crypto }, space, step.links)
    if (step.action === 'expire') return expireAct({ crypto }, space, step.ids)
    const keeper = this.records.get(step.keeper)!
    return coalesceAct(
      { crypto },
      space,
      keeper,
      step.ids.map((id) => this.records.get(id)!)
    )
  }
}

function opsOf(one: Memory, place: number, ids: readonly string[]): KnownOp[] {
  const target = one.isKeyed ? ({ by: 'key', key: `k${place}` } as const) : ({ by: 'ordinal', ordinal: 0 } as const)
  const ops: KnownOp[] = [
    { op: 'create', target, documentType: 'memory', memoryType: null, source: null },
    { op: 'set', target, field: 'content', value: one.text }
  ]
  for (const tag of one.isWorking ? [...one.tags, 'tier:working'] : one.tags) ops.push({ op: 'tag', target, tag })
  for (const value of one.evidence) ops.push({ op: 'link', target, relation: 'evidence', value })
  if (one.importance !== undefined) ops.push({ op: 'importance', target, value: one.importance })
  if (one.origin !== undefined) ops.push({ op: 'origin', target, origin: one.origin as 'self', agent: null })
  if (one.isExpired) ops.push({ op: 'set', target, field: 'expiresAt', value: NOW_MS - 1 })
  for (const relation of ['parents', 'supersedes'] as const) {
    const at = relation === 'parents' ? one.parent : one.supersedes
    const value = at === undefined ? undefined : ids[at % Math.max(1, ids.length)]
    if (value !== undefined) ops.push({ op: 'link', target, relation, value })
  }
  return ops
}

/** All of it as its authors wrote it, in one copy. */
function written(corpus: readonly Memory[]): Replica {
  const authors = AUTHORS.map((author) => new Replica(author))
  const all = new Replica(AUTHORS[0]!)
  const ids: string[] = []
  corpus.forEach((one, place) => {
    const author = authors[one.author]!
    const known = new Set(author.records.keys())
    author.write(opsOf(one, place, ids), NOW_MS - 100_000 + place * 10)
    const id = [...author.records.keys()].find((key) => !known.has(key))!
    ids.push(id)
    const target = { by: 'id', id } as const
    if (one.retracted !== null)
      author.write([{ op: 'set', target, field: 'retracted', value: 'wrong' }], NOW_MS - 50_000)
    if (one.retracted === 'brought back')
      author.write([{ op: 'set', target, field: 'retracted', value: null }], NOW_MS - 40_000)
  })
  for (const author of authors) all.learn(author)
  return all
}

function sameStates(a: Replica, b: Replica): void {
  assert.deepEqual([...a.records.keys()].sort(), [...b.records.keys()].sort())
  for (const [id, state] of a.records) assert.ok(equalRecords(state, b.records.get(id)!), id)
}

/** What a reader would call a repetition: one voice, one statement, both shown. */
function repetitions({ facts }: Census): string[] {
  const seen = new Set<string>()
  return facts.flatMap((fact) => {
    if (fact.standing !== 'live' || fact.hasKey || fact.keptFor !== undefined || fact.basis.length > 0) return []
    const name = `${fact.voice} ${fact.sameness}`
    if (seen.has(name)) return [fact.id]
    seen.add(name)
    return []
  })
}

const statement = ({ voice, sameness }: Census['facts'][number]): string => `${voice} ${sameness}`

/** What is said at all, by whom. */
function statements({ facts }: Census): Set<string> {
  return new Set(facts.filter(({ standing }) => standing !== 'absorbed').map(statement))
}

/** Every tag and claim of a duplicate is known to the memory that stands for it, whether that shows it or not. */
function nothingLost(replica: Replica): void {
  const { facts } = replica.census()
  const byId = new Map(facts.map((fact) => [fact.id, fact]))
  for (const fact of facts) {
    let keeper = fact
    while (keeper.absorbedBy !== undefined) {
      const next = byId.get(keeper.absorbedBy)
      // Retracted or replaced by its author since, or no longer the same statement: then nobody stands for it.
      if (next === undefined || statement(next) !== statement(fact)) break
      keeper = next
    }
    if (keeper === fact || keeper.standing !== 'live') continue
    const [from, to] = [replica.records.get(fact.id)!, replica.records.get(keeper.id)!]
    for (const [tag, { live }] of from.tags) if (live.size > 0) assert.ok(to.tags.has(tag), `${tag} of ${fact.id}`)
    for (const text of from.evidence) assert.ok(to.evidence.has(text))
    const author = from.created!.stamp.author
    const claimed = from.importance.get(author) ?? 0
    assert.ok(Math.max(...to.importance.values(), 0) >= claimed, 'importance is handed on')
  }
}

const corpora = fc.array(memory, { minLength: 4, maxLength: 24, size: 'max' })

test('the plan does not depend on the order in which memories came to be known', async () => {
  await fc.assert(
    fc.asyncProperty(corpora, fc.infiniteStream(fc.nat()), async (corpus, dice) => {
      const all = written(corpus)
      const shuffled = all.census((ids) => {
        const weights = new Map(ids.map((id) => [id, dice.next().value as number]))
        return ids.sort((a, b) => weights.get(a)! - weights.get(b)!)
      })
      assert.deepEqual(await planConsolidation({ clock }, shuffled), await planConsolidation({ clock }, all.census()))
    }),
    { numRuns: 200 }
  )
})

test('the corpora are what they should be: most of them repeat themselves', async () => {
  let acts = 0
  await fc.assert(
    fc.asyncProperty(corpora, async (corpus) => {
      acts += (await written(corpus).consolidate(NOW_MS)).filter(({ action }) => action.action === 'coalesce').length
    }),
    { numRuns: 100, seed: 7 }
  )
  assert.ok(acts > 100, `${acts} repetitions folded in 100 corpora`)
})

test('done once, there is nothing left to do, and no repetition left to see', async () => {
  await fc.assert(
    fc.asyncProperty(corpora, async (corpus) => {
      const all = written(corpus)
      const before = statements(all.census())
      await all.consolidate(NOW_MS)
      assert.deepEqual(statements(all.census()), before)
      nothingLost(all)
      assert.deepEqual(await all.consolidate(NOW_MS + 1_000), [])
      assert.deepEqual(repetitions(all.census()), [])
    }),
    { numRuns: 300 }
  )
})

test('replicas that know different parts come to rest in one state', async () => {
  await fc.assert(
    fc.asyncProperty(corpora, fc.infiniteStream(fc.nat({ max: 2 })), async (corpus, dice) => {
      const all = written(corpus)
      const sides = [new Replica(AUTHORS[1]!), new Replica(AUTHORS[2]!)]
      const parts = new Map([...all.records.keys()].map((id) => [id, dice.next().value as number]))
      sides.forEach((side, place) => side.learn(all, (id) => parts.get(id) !== place))
      for (const [place, side] of sides.entries()) await side.consolidate(NOW_MS + place * 500)
      for (let round = 1; ; round++) {
        assert.ok(round <= 4, 'it goes on and on')
        const [left, right] = sides as [Replica, Replica]
        left.learn(all)
        left.learn(right)
        right.learn(left)
        sameStates(left, right)
        const done = [await left.consolidate(NOW_MS + round * 2_000), await right.consolidate(NOW_MS + round * 2_000)]
        // From equal states both do the same, and that once.
        assert.deepEqual(
          done[0]!.map(({ action }) => action),
          done[1]!.map(({ action }) => action)
        )
        if (done[0]!.length === 0) break
      }
      for (const side of sides) {
        nothingLost(side)
        assert.deepEqual(statements(side.census()), statements(all.census()))
      }
    }),
    { numRuns: 200 }
  )
})
