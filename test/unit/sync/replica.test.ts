import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { hlcMs, hlcOf } from '../../../src/memory/ids.ts'
import { rangeKey, recordIdOfKey } from '../../../src/memory/names.ts'
import type { Op } from '../../../src/memory/ops.ts'
import { joinRangeKey, rangeKeyText, splitRangeKey } from '../../../src/sync/replica.ts'
import { Author, FACTS, find, fingerprintOf, kinds, machine, restarted } from '../../support/replica-bench.ts'
import { EPOCH, FIRST, identity, note, SPACE } from '../../support/sealed.ts'

const NOW = 1_700_000_000_000
const LEAD = LIMITS.clockLeadMsMax
const SHARED_KEY = { by: 'key', key: 'deploy/target' } as const
const keyed = (content: string): Op[] => [
  { op: 'create', target: SHARED_KEY, documentType: 'memory', memoryType: null, source: null },
  { op: 'set', target: SHARED_KEY, field: 'content', value: content }
]

describe('replica: what a delta does', () => {
  it('admits a local write, stores its record and announces it as its own', () => {
    const m = machine()
    const effects = m.write(NOW)
    assert.deepEqual(kinds(effects), ['admit', 'record', 'announce'])
    const delta = find(effects, 'admit')?.delta
    assert.ok(delta !== undefined)
    assert.deepEqual(find(effects, 'admit')?.records, [delta.id])
    assert.equal(find(effects, 'admit')?.own, true)
    assert.equal(find(effects, 'announce')?.own, true)
    assert.ok(m.replica.has(delta.header.hlc, delta.id))
    assert.deepEqual(m.replica.ownHead, { epoch: EPOCH, seq: 0, id: delta.id })
  })

  it('announces again only what reconciliation recovered: gossip forwards by itself', () => {
    const author = new Author(2)
    const m = machine()
    assert.deepEqual(kinds(m.receive(author.write(hlcOf(NOW)), NOW, 'gossip')), ['admit', 'record'])
    const recovered = m.receive(author.write(hlcOf(NOW, 1)), NOW, 'recon')
    assert.deepEqual(kinds(recovered), ['admit', 'record', 'announce'])
    assert.equal(find(recovered, 'announce')?.own, false)
    assert.equal(find(recovered, 'admit')?.own, false)
  })

  it('announces no old news: what a newcomer catches up with has been everywhere', () => {
    const author = new Author(2)
    const m = machine()
    const [old, news] = [
      author.write(hlcOf(NOW - LIMITS.reannounceAgeMsMax)),
      author.write(hlcOf(NOW - LIMITS.reannounceAgeMsMax + 1))
    ]
    assert.deepEqual(kinds(m.receive(old, NOW, 'recon')), ['admit', 'record'])
    assert.deepEqual(kinds(m.receive(news, NOW, 'recon')), ['admit', 'record', 'announce'])
  })

  it('applies a delta once, by whatever way it comes again', () => {
    const author = new Author(2)
    const m = machine()
    const delta = author.write(hlcOf(NOW))
    m.receive(delta, NOW)
    const before = fingerprintOf(m)
    for (const via of ['gossip', 'recon'] as const) assert.deepEqual(m.receive(delta, NOW, via), [])
    const own = find(m.write(NOW), 'admit')?.delta
    assert.ok(own !== undefined)
    const epoch = m.replica.epoch
    assert.deepEqual(m.receive(own, NOW, 'recon'), [], 'an own delta that comes back is no news')
    assert.equal(m.replica.epoch, epoch, 'and no reason for a new epoch')
    assert.equal(m.replica.tree.count, 2)
    assert.notDeepEqual(fingerprintOf(m), before)
  })

  it('folds one keyed record from several authors and from itself', () => {
    const m = machine()
    m.receive(new Author(2).write(hlcOf(NOW), keyed('from two')), NOW)
    m.receive(new Author(3).write(hlcOf(NOW + 1), keyed('from three')), NOW)
    m.write(NOW + 2, keyed('own'))
    const id = recordIdOfKey(identity(1), SPACE, SHARED_KEY.key)
    assert.deepEqual([...m.records.keys()], [id])
    assert.equal(m.records.get(id)?.fields.get('content')?.value, 'own')
    assert.equal(m.records.get(id)?.contentDeltas.size, 3)
  })

  it('stores and relays operations it does not know, without a record', () => {
    const m = machine()
    const delta = new Author(2).write(hlcOf(NOW), [{ op: 'unknown', code: 99, items: [1, 'x'] }])
    const effects = m.receive(delta, NOW, 'recon')
    assert.deepEqual(kinds(effects), ['admit', 'announce'])
    assert.deepEqual(find(effects, 'admit')?.records, [])
    assert.equal(m.records.size, 0)
    assert.equal(m.replica.tree.count, 1)
  })

  it('names beforehand the records that it will take', () => {
    const m = machine()
    const one = 'aa'.repeat(32)
    const ops: Op[] = [
      ...note('new'),
      ...keyed('shared'),
      { op: 'tag', target: { by: 'id', id: one }, tag: 'x' },
      { op: 'unknown', code: 77, items: [] }
    ]
    const key = recordIdOfKey(identity(1), SPACE, SHARED_KEY.key)
    assert.deepEqual(m.replica.touches({ input: 'write', ops }), new Set([key, one]))
    const delta = new Author(2).write(hlcOf(NOW), ops)
    assert.deepEqual(
      m.replica.touches({ input: 'delta', delta, via: 'gossip', rivals: [] }),
      new Set([delta.id, key, one])
    )
    m.receive(new Author(3).write(hlcOf(NOW + LEAD + 1), keyed('later')), NOW)
    assert.deepEqual(m.replica.touches({ input: 'tick' }), new Set([key]))
  })

  it('leaves everything as it was when a write is too large', () => {
    const m = machine()
    m.write(NOW)
    const before = { print: fingerprintOf(m), head: m.replica.ownHead, heads: m.replica.heads() }
    const tooLong = 'x'.repeat(LIMITS.contentBytesMax + 1)
    assert.throws(
      () => m.write(NOW, note(tooLong)),
      (error) => isChrysalisError(error, 'too_large')
    )
    assert.deepEqual({ print: fingerprintOf(m), head: m.replica.ownHead, heads: m.replica.heads() }, before)
    assert.equal(find(m.write(NOW), 'admit')?.delta.header.seq, 1)
  })
})

describe('replica: own chain and clock', () => {
  it('numbers own deltas without gaps, each naming the one before', () => {
    const m = machine()
    const deltas = [0, 1, 2, 3].map(() => find(m.write(NOW), 'admit')?.delta.header)
    assert.deepEqual(
      deltas.map((header) => header?.seq),
      [0, 1, 2, 3]
    )
    const ids = [...m.admitted.keys()]
    assert.deepEqual(
      deltas.map((header) => header?.prev),
      [null, ids[0], ids[1], ids[2]]
    )
  })

  it('dates own deltas strictly later, even when the wall clock runs back', () => {
    const m = machine()
    const times = [NOW, NOW, NOW - 1_000_000, NOW + 5, NOW + 4].map(
      (ms) => find(m.write(ms), 'admit')?.delta.header.hlc
    )
    for (let i = 1; i < times.length; i++) assert.ok((times[i] as bigint) > (times[i - 1] as bigint), `write ${i}`)
  })

  it('dates a write after every delta seen, within the lead', () => {
    const m = machine()
    const seen = new Author(2).write(hlcOf(NOW + LEAD, 7))
    m.receive(seen, NOW)
    const own = find(m.write(NOW), 'admit')?.delta
    assert.ok(own !== undefined && own.header.hlc > seen.header.hlc)
  })

  it('draws a new epoch when its own signature arrives from outside under its epoch', () => {
    const clone = new Author(1)
    const m = machine()
    m.write(NOW)
    clone.write(hlcOf(NOW))
    const foreign = clone.write(hlcOf(NOW + 1), note('from the clone'))
    const effects = m.receive(foreign, NOW + 1, 'recon')
    const drawn = find(effects, 'epoch')
    assert.ok(drawn !== undefined)
    assert.equal(drawn.because, foreign.id)
    assert.notEqual(drawn.epoch, EPOCH)
    assert.equal(m.replica.epoch, drawn.epoch)
    assert.equal(m.replica.ownHead, null)
    assert.equal(find(effects, 'admit')?.own, false, 'it was not written here')
    const next = find(m.write(NOW), 'admit')?.delta.header
    assert.deepEqual([next?.epoch, next?.seq, next?.prev], [drawn.epoch, 0, null])
  })

  it('does not mind own deltas of an epoch it has left', () => {
    const earlier = new Author(1, '11'.repeat(8))
    const m = machine()
    m.write(NOW)
    const effects = m.receive(earlier.write(hlcOf(NOW)), NOW)
    assert.equal(find(effects, 'epoch'), undefined)
    assert.equal(m.replica.epoch, EPOCH)
    assert.equal(find(m.write(NOW), 'admit')?.delta.header.seq, 1)
  })

  it('goes on after a restart where it was, later than all it had seen', () => {
    const m = machine()
    m.write(NOW)
    m.write(NOW)
    m.receive(new Author(2).write(hlcOf(NOW + 60_000)), NOW)
    const again = restarted(m)
    assert.deepEqual(again.replica.ownHead, m.replica.ownHead)
    assert.deepEqual(fingerprintOf(again), fingerprintOf(m))
    assert.deepEqual(new Set(again.replica.heads()), new Set(m.replica.heads()))
    const next = find(again.write(NOW - 1_000), 'admit')?.delta.header
    assert.equal(next?.seq, 2)
    assert.ok(next.hlc > hlcOf(NOW + 60_000))
  })

  it('starts a chain at nought when it is restarted under another epoch', () => {
    const m = machine()
    m.write(NOW)
    const again = restarted(m, { epoch: '99'.repeat(8) })
    assert.equal(again.replica.ownHead, null)
    assert.equal(find(again.write(NOW), 'admit')?.delta.header.seq, 0)
  })
})

describe('replica: parents and heads', () => {
  it('cites the heads it has seen, its own previous delta excluded', () => {
    const m = machine()
    const first = find(m.write(NOW), 'admit')?.delta
    assert.deepEqual(first?.header.parents, [])
    const a = new Author(2).write(hlcOf(NOW + 1))
    const b = new Author(3).write(hlcOf(NOW + 2))
    m.receive(a, NOW)
    m.receive(b, NOW)
    const second = find(m.write(NOW), 'admit')?.delta
    assert.equal(second?.header.prev, first?.id)
    assert.deepEqual(second?.header.parents, [a.id, b.id].sort())
    assert.deepEqual(m.replica.heads(), [second?.id])
    assert.deepEqual(find(m.write(NOW), 'admit')?.delta.header.parents, [])
  })

  for (const count of [LIMITS.deltaParentsMax - 1, LIMITS.deltaParentsMax, LIMITS.deltaParentsMax + 1]) {
    it(`cites the newest of ${count} heads, at most ${LIMITS.deltaParentsMax}`, () => {
      const m = machine()
      const heads = Array.from({ length: count }, (_, i) => new Author(10 + i).write(hlcOf(NOW + i)))
      for (const delta of [...heads].reverse()) m.receive(delta, NOW)
      const newest = heads.slice(-LIMITS.deltaParentsMax).map((delta) => delta.id)
      assert.deepEqual(find(m.write(NOW + 100), 'admit')?.delta.header.parents, newest.sort())
      assert.equal(m.replica.heads().length, 1 + Math.max(0, count - LIMITS.deltaParentsMax))
    })
  }

  it('does not spend one of its places on its own previous delta', () => {
    const m = machine()
    m.write(NOW + 1_000)
    const heads = Array.from({ length: LIMITS.deltaParentsMax }, (_, i) => new Author(10 + i).write(hlcOf(NOW + i)))
    for (const delta of heads) m.receive(delta, NOW)
    const parents = find(m.write(NOW + 1_001), 'admit')?.delta.header.parents
    assert.deepEqual(parents, heads.map((delta) => delta.id).sort())
  })

  it('ends with the same heads when deltas come in the reverse of their causal order', () => {
    const two = new Author(2)
    const three = new Author(3)
    const a = two.write(hlcOf(NOW))
    const b = two.write(hlcOf(NOW + 1))
    const c = three.write(hlcOf(NOW + 2), note('joins'), [b.id])
    const d = two.write(hlcOf(NOW + 3))
    const forward = machine()
    const backward = machine()
    for (const delta of [a, b, c, d]) forward.receive(delta, NOW)
    for (const delta of [d, c, b, a]) backward.receive(delta, NOW)
    assert.deepEqual(new Set(forward.replica.heads()), new Set([c.id, d.id]))
    assert.deepEqual(new Set(backward.replica.heads()), new Set([c.id, d.id]))
  })

  it('keeps a bounded number of heads, the newest', () => {
    const m = machine()
    const author = new Author(2)
    const deltas = Array.from({ length: 70 }, (_, i) =>
      author.forge({ seq: i + 1, prev: 'ee'.repeat(32), hlc: hlcOf(NOW + i), ops: note(`${i}`) })
    )
    for (const delta of deltas) m.receive(delta, NOW)
    assert.equal(m.replica.heads().length, 64)
    assert.ok(m.replica.heads().includes(deltas[69]?.id ?? ''))
    assert.ok(!m.replica.heads().includes(deltas[0]?.id ?? ''))
    assert.equal(m.replica.tree.count, 70, 'the set itself is whole')
  })
})

describe('replica: refusals', () => {
  it('refuses a delta of another space', () => {
    const m = machine()
    const stray = new Author(2).forge({ space: '00'.repeat(16), hlc: hlcOf(NOW) })
    const effects = m.receive(stray, NOW)
    assert.deepEqual(effects, [
      { effect: 'refuse', delta: stray.id, author: stray.header.author, reason: 'wrong-space' }
    ])
    assert.equal(m.replica.tree.count, 0)
  })

  it('refuses strangers in a private space, before asking when they wrote', () => {
    const m = machine({ facts: { ...FACTS, policy: 'private' } })
    const stranger = new Author(2).write(hlcOf(NOW + 10 * LEAD))
    assert.deepEqual(kinds(m.receive(stranger, NOW)), ['refuse'])
    assert.equal(m.replica.heldCount, 0)
    assert.deepEqual(kinds(m.write(NOW)), ['admit', 'record', 'announce'])
  })
})

describe('replica: deltas from the future', () => {
  for (const [ahead, outcome] of [
    [LEAD - 1, 'admit'],
    [LEAD, 'admit'],
    [LEAD + 1, 'hold']
  ] as const) {
    it(`${outcome === 'hold' ? 'holds' : 'admits'} one dated ${ahead - LEAD} ms beyond the lead`, () => {
      const m = machine()
      assert.equal(kinds(m.receive(new Author(2).write(hlcOf(NOW + ahead, 0xffff)), NOW))[0], outcome)
      assert.equal(m.replica.heldCount, outcome === 'hold' ? 1 : 0)
    })
  }

  it('keeps a held delta out of tree, records, heads and clock, until it is due', () => {
    const m = machine()
    const early = new Author(2).write(hlcOf(NOW + LEAD + 500))
    const empty = fingerprintOf(m)
    m.receive(early, NOW)
    assert.deepEqual(fingerprintOf(m), empty)
    assert.deepEqual(m.replica.heads(), [])
    assert.ok(m.replica.holds(early.id))
    assert.ok(!m.replica.has(early.header.hlc, early.id))
    assert.equal(hlcMs(find(m.write(NOW), 'admit')?.delta.header.hlc ?? 0n), NOW)
    assert.equal(m.replica.nextDueMs(), NOW + 500)
    assert.deepEqual(m.receive(early, NOW), [], 'held once')
    assert.deepEqual(m.tick(NOW + 499), [])
    const released = m.tick(NOW + 500)
    assert.deepEqual(kinds(released), ['release', 'admit', 'record', 'announce'])
    assert.equal(find(released, 'admit')?.via, 'held')
    assert.equal(m.replica.nextDueMs(), undefined)
    assert.ok(m.replica.has(early.header.hlc, early.id))
    const own = find(m.write(NOW + 501), 'admit')?.delta
    assert.ok(own !== undefined && own.header.hlc > early.header.hlc)
    assert.deepEqual(m.receive(early, NOW + 500), [], 'and not taken again')
  })

  it('releases those that are due, oldest first, and no other', () => {
    const m = machine()
    const author = new Author(2)
    const [a, b, c] = [3, 1, 2].map((step) => author.write(hlcOf(NOW + LEAD + step * 1_000)))
    for (const delta of [a, b, c]) m.receive(delta as NonNullable<typeof delta>, NOW)
    const released = m.tick(NOW + 2_000).flatMap((effect) => (effect.effect === 'release' ? [effect.delta.id] : []))
    assert.deepEqual(released, [b?.id, c?.id])
    assert.equal(m.replica.heldCount, 1)
  })

  it('holds them over a restart', () => {
    const m = machine()
    const early = new Author(2).write(hlcOf(NOW + LEAD + 500))
    m.receive(early, NOW)
    const again = restarted(m)
    assert.ok(again.replica.holds(early.id))
    assert.deepEqual(again.receive(early, NOW), [])
    assert.ok(kinds(again.tick(NOW + 500)).includes('admit'))
  })

  it('lets the latest-dated go when there are too many, counting it as refused', () => {
    const m = machine()
    const author = new Author(2)
    const dated = (ahead: number, name: string) =>
      author.forge({ seq: 1, prev: 'ee'.repeat(32), hlc: hlcOf(NOW + LEAD + ahead), ops: note(name) })
    // Held deltas are told apart by their id alone here: sealing ten thousand real ones would take half a minute.
    const template = dated(1_000, 'template')
    for (let i = 0; i < LIMITS.pendingDeltasMax - 1; i++) {
      m.replica.restoreHeld({ ...template, id: i.toString(16).padStart(64, '0') })
    }
    assert.deepEqual(kinds(m.receive(dated(2_000, 'latest'), NOW)), ['hold'], 'the last place')
    assert.equal(m.replica.heldCount, LIMITS.pendingDeltasMax)

    const later = dated(3_000, 'later still')
    assert.deepEqual(m.receive(later, NOW), [
      { effect: 'refuse', delta: later.id, author: author.id, reason: 'pending-full' }
    ])
    assert.ok(!m.replica.holds(later.id))

    const sooner = dated(1_500, 'sooner')
    const effects = m.receive(sooner, NOW)
    assert.deepEqual(kinds(effects), ['refuse', 'release', 'hold'])
    assert.equal(find(effects, 'refuse')?.delta, find(effects, 'release')?.delta.id)
    assert.equal(hlcMs(find(effects, 'release')?.delta.header.hlc ?? 0n), NOW + LEAD + 2_000)
    assert.ok(m.replica.holds(sooner.id))
    assert.equal(m.replica.heldCount, LIMITS.pendingDeltasMax)

    const again = m.receive(later, NOW + 5_000)
    assert.ok(kinds(again).includes('admit'), 'what was let go is admitted when it comes again in time')
  })
})

describe('replica: equivocation', () => {
  const twins = (author: Author, count: number, seq = 0) =>
    Array.from({ length: count }, (_, i) =>
      author.forge({ seq, prev: seq === 0 ? null : 'ee'.repeat(32), hlc: hlcOf(NOW, i), ops: note(`twin ${i}`) })
    )

  it('keeps both, and proves it, when two deltas claim one place within a group', () => {
    const m = machine()
    const author = new Author(2)
    const [a, b] = twins(author, 2)
    assert.ok(a !== undefined && b !== undefined)
    assert.equal(find(m.receive(a, NOW), 'proof'), undefined)
    const proof = find(m.receive(b, NOW), 'proof')?.proof
    assert.deepEqual(proof, { space: SPACE, author: author.id, epoch: EPOCH, seq: 0, ids: [a.id, b.id].sort() })
    assert.equal(m.replica.tree.count, 2)
  })

  it('proves it from rivals that the caller found in the store', () => {
    const [a, b] = twins(new Author(2), 2, 5)
    assert.ok(a !== undefined && b !== undefined)
    const m = machine()
    m.receive(a, NOW)
    const again = restarted(m)
    assert.deepEqual(find(again.receive(b, NOW, 'recon', [a.id]), 'proof')?.proof.ids, [a.id, b.id].sort())
  })

  it('finds the same proof in whatever order many twins arrive', () => {
    const all = twins(new Author(2), LIMITS.proofIdsMax + 1)
    const least = all
      .map((delta) => delta.id)
      .sort()
      .slice(0, LIMITS.proofIdsMax)
    for (const order of [all, [...all].reverse(), [...all.slice(2), ...all.slice(0, 2)]]) {
      const m = machine()
      const proofs = order.map((delta) => find(m.receive(delta, NOW), 'proof')?.proof)
      assert.deepEqual(proofs.at(-1)?.ids, least)
    }
  })

  it('proves it when a held delta turns out to have a rival, also one that is only in the store', () => {
    const author = new Author(2)
    const a = author.forge({ hlc: hlcOf(NOW), ops: note('now') })
    const b = author.forge({ hlc: hlcOf(NOW + LEAD + 1_000), ops: note('later') })
    const m = machine()
    m.receive(a, NOW)
    m.receive(b, NOW)
    const again = restarted(m)
    const due = NOW + 1_000
    const effects = again.replica.handle({ input: 'tick', rivals: new Map([[b.id, [a.id]]]) }, due)
    assert.deepEqual(find(effects, 'proof')?.proof.ids, [a.id, b.id].sort())
  })

  it('accuses nobody of writing twice in different epochs, spaces or places', () => {
    const m = machine()
    const deltas = [new Author(2, '01'.repeat(8)), new Author(2, '02'.repeat(8)), new Author(3)].flatMap((author) => [
      author.write(hlcOf(NOW)),
      author.write(hlcOf(NOW + 1))
    ])
    for (const delta of deltas) assert.equal(find(m.receive(delta, NOW), 'proof'), undefined)
    assert.equal(m.replica.chainCount, 3)
    assert.equal(m.replica.authors().size, 2)
  })

  it('keeps the highest place of each chain, in any order', () => {
    const m = machine()
    const author = new Author(2)
    const deltas = [author.write(hlcOf(NOW)), author.write(hlcOf(NOW)), author.write(hlcOf(NOW))]
    for (const i of [2, 0, 1]) m.receive(deltas[i] as (typeof deltas)[0], NOW)
    assert.deepEqual(m.replica.chainHead(author.id, EPOCH), { seq: 2, id: deltas[2]?.id })
  })
})

describe('replica: range keys', () => {
  it('go apart into milliseconds and id and together again', () => {
    const delta = new Author(2).write(hlcOf(NOW, 9))
    const key = rangeKey(delta.header.hlc, delta.id)
    assert.deepEqual(splitRangeKey(key), { ms: NOW, id: delta.id })
    assert.deepEqual(joinRangeKey(NOW, delta.id), key)
    assert.equal(rangeKeyText(delta.header.hlc, delta.id), toHex(key))
    const widest = 2 ** 48 - 1
    assert.deepEqual(splitRangeKey(joinRangeKey(widest, delta.id)).ms, widest)
  })

  it('sees one target twice in one delta as one record', () => {
    const m = machine()
    const effects = m.receive(
      new Author(2).write(hlcOf(NOW), [...note('x'), { op: 'tag', target: FIRST, tag: 't' }]),
      NOW
    )
    assert.equal(effects.filter((effect) => effect.effect === 'record').length, 1)
  })
})
