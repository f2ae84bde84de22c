/**
 * Every checker on a sound world, where it must be silent, and on one that was tampered with, where it must not: a
 * checker that cannot fail proves nothing. Most tampering is done to what was read from the disks; what concerns
 * signatures is planted on a disk, and goes the whole way.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { judgeCosts } from '../../../simulations/checkers/budgets.ts'
import { checkChains, checkOverwrites, checkOwnTimes, checkParents } from '../../../simulations/checkers/causality.ts'
import { cutShort, type Violation } from '../../../simulations/checkers/checker.ts'
import { inspect, placeOf, type Known, type NodeView, type Scene } from '../../../simulations/checkers/inspect.ts'
import { judgeQuiet, type Books } from '../../../simulations/checkers/quiet.ts'
import {
  checkLaws,
  checkRecords,
  checkReference,
  checkShuffle,
  deedsOf
} from '../../../simulations/checkers/reference.ts'
import {
  checkAcknowledged,
  checkConvergence,
  checkForgery,
  checkLog,
  checkTables
} from '../../../simulations/checkers/stores.ts'
import { checkProofs, judgeTally } from '../../../simulations/checkers/trust.ts'
import { assertBreaks, checkedWorld, nodeOf, type CheckedWorld } from '../../support/checked-world.ts'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import type { Delta, DeltaHeader } from '../../../src/memory/delta.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { decodeRecord, encodeRecord } from '../../../src/memory/record-codec.ts'
import { emptyRecord, ownPart, type RecordState } from '../../../src/memory/record.ts'

/** A scene with one view changed. */
function withView(scene: Scene, index: number, changes: Partial<NodeView>): Scene {
  return { ...scene, views: scene.views.map((view, i) => (i === index ? { ...view, ...changes } : view)) }
}

function viewOf(scene: Scene, index = 0): NodeView {
  return scene.views[index] as NodeView
}

function without<K, V>(map: ReadonlyMap<K, V>, key: K): Map<K, V> {
  return new Map([...map].filter(([one]) => one !== key))
}

suite('checkers on what was read from the disks', () => {
  let it: CheckedWorld
  let scene: Scene
  before(async () => {
    it = await checkedWorld('checkers')
    scene = await it.world.settled(inspect(it.evidence))
  })
  after(async () => {
    it.watch.dispose()
    await it.world.stop()
  })

  const someDelta = (seq = 0): Delta => {
    const { author } = nodeOf(it.world, 1)
    for (const { delta } of scene.known.values()) {
      if (delta.header.author === author && delta.header.seq === seq) return delta
    }
    throw new Error('node-1 has written')
  }
  const changed = (delta: Delta, header: Partial<DeltaHeader>): Known => ({
    delta: { ...delta, header: { ...delta.header, ...header } },
    flaw: undefined
  })
  const shared = (): [string, RecordState] => {
    for (const [id, state] of viewOf(scene).records) {
      const record = decodeRecord(fromHex(state))
      if (record.key === 'shared') return [id, record]
    }
    throw new Error('there is a shared record')
  }
  const tampered = (change: (record: RecordState) => void): Scene => {
    const [id, record] = shared()
    change(record)
    return withView(scene, 0, { records: new Map(viewOf(scene).records).set(id, toHex(encodeRecord(record))) })
  }

  test('a sound world breaks nothing, and the checks have something to look at', () => {
    assert.deepEqual(
      [
        checkConvergence(scene),
        checkAcknowledged(scene),
        checkForgery(scene),
        checkChains(scene),
        checkParents(scene),
        checkOverwrites(scene),
        checkProofs(scene),
        checkReference(scene),
        ...scene.views.map((view) => [...checkLog(view), ...checkTables(view, scene), ...checkOwnTimes(view, scene)])
      ].flat(),
      []
    )
    assert.equal(scene.known.size, 9)
    assert.equal(viewOf(scene).arrivals.length, 9)
    assert.equal(viewOf(scene).records.size, 4)
    assert.ok(viewOf(scene).heads.length > 0)
  })

  test('I1: a delta that one lacks, another state, another digest, a node that is down', () => {
    const view = viewOf(scene, 1)
    const [id] = view.deltas.keys()
    assertBreaks(
      checkConvergence(withView(scene, 1, { deltas: without(view.deltas, id ?? '') })),
      'I1',
      /lacks 1 deltas/
    )
    const fewer = tampered((record) => record.contentDeltas.clear())
    assertBreaks(checkConvergence(fewer), 'I1', /2 different states/)
    const digest = view.digest === undefined ? undefined : { ...view.digest, state: '00' }
    assertBreaks(checkConvergence(withView(scene, 1, { digest })), 'I1', /2 different digests/)
    assertBreaks(checkConvergence(withView(scene, 1, { digest: undefined })), 'I1', /down/)
  })

  test('I2: an acknowledged write that is lost here, and one that is lost everywhere', () => {
    const { delta } = it.acks[4]?.receipt ?? { delta: '' }
    const here = withView(scene, 2, { deltas: without(viewOf(scene, 2).deltas, delta) })
    assertBreaks(checkAcknowledged(here), 'I2', /missing on node-2/)
    const gone = { ...scene, views: scene.views.map((view) => ({ ...view, deltas: without(view.deltas, delta) })) }
    assertBreaks(checkAcknowledged(gone), 'I2', /missing everywhere/)
    const author = nodeOf(it.world, 0).author
    const writer = it.acks[4]?.node === 'node-0' ? author : nodeOf(it.world, 1).author
    assert.deepEqual(checkAcknowledged({ ...gone, unsteady: new Set([writer]) }), [], 'its disk was wiped')
  })

  test('I14: a hole in the log, a delta twice in it, a table that lacks one', () => {
    const view = viewOf(scene)
    const holed = view.arrivals.filter(({ position }) => position !== 3)
    assertBreaks(checkLog({ ...view, arrivals: holed }), 'I14', /jumps from 2 to 4/)
    const twice = [...view.arrivals, { position: view.arrivals.length + 1, id: view.arrivals[0]?.id ?? '' }]
    assertBreaks(checkLog({ ...view, arrivals: twice }), 'I14', /stand twice/)
    assertBreaks(checkLog({ ...view, ranges: new Set([...view.ranges].slice(1)) }), 'I14', /table range lacks 1/)
    assertBreaks(checkLog({ ...view, authors: view.authors.slice(1) }), 'I14', /table author lacks 1/)
  })

  test('I15: a stale head, a missing head, a row in the wrong place, a record that is not there', () => {
    const view = viewOf(scene)
    const { prev } = someDelta(1).header
    assertBreaks(checkTables({ ...view, heads: [...view.heads, prev ?? ''] }, scene), 'I15', /causal heads are none/)
    assertBreaks(checkTables({ ...view, heads: [] }, scene), 'I15', /heads are missing/)
    const moved = view.authors.map((row, i) => (i === 0 ? { ...row, seq: row.seq + 7 } : row))
    assertBreaks(checkTables({ ...view, authors: moved }, scene), 'I15', /another place/)
    const [id] = shared()
    assertBreaks(checkReference(withView(scene, 0, { records: without(view.records, id) })), 'I15', /not stored at all/)
  })

  test('I5: a number signed twice, a number missing, a broken link', () => {
    const second = someDelta(1)
    const twin: Known = { delta: { ...second, id: 'ff'.repeat(32) }, flaw: undefined }
    assertBreaks(
      checkChains({ ...scene, known: new Map(scene.known).set('ff'.repeat(32), twin) }),
      'I5',
      /signed 2 deltas/
    )
    const holed = without(scene.known, second.id)
    assertBreaks(checkChains({ ...scene, known: holed }), 'I5', /number 1 is missing/)
    assert.deepEqual(checkChains({ ...scene, known: holed, unsteady: new Set([second.header.author]) }), [])
    const unlinked = new Map(scene.known).set(second.id, changed(second, { prev: 'ee'.repeat(32) }))
    assertBreaks(checkChains({ ...scene, known: unlinked }), 'I5', /names another delta/)
  })

  test('I6 and I7: own times that fall, and a write dated before what it had seen', () => {
    const second = someDelta(1)
    const early = new Map(scene.known).set(second.id, changed(second, { hlc: hlcOf(1_000) }))
    assertBreaks(checkChains({ ...scene, known: early }), 'I6', /did not rise/)
    assertBreaks(checkOwnTimes(viewOf(scene, 1), { ...scene, known: early }), 'I6', /wrote before/)
    const first = someDelta(0)
    const ignorant = new Map(scene.known).set(first.id, changed(first, { hlc: hlcOf(1_000) }))
    assertBreaks(checkOwnTimes(viewOf(scene, 1), { ...scene, known: ignorant }), 'I7', /held by then/)
    assertBreaks(checkParents({ ...scene, known: early }), 'I7', /dated no later/)
    const author = viewOf(scene, 1).author
    assert.deepEqual(checkOwnTimes(viewOf(scene, 1), { ...scene, known: early, unsteady: new Set([author]) }), [])
  })

  test('I10: a parent that is not there, a circle, and a write that cites nothing', () => {
    const ignorant = new Map(scene.known)
    for (const [id, { delta }] of scene.known) ignorant.set(id, changed(delta, { parents: [] }))
    assertBreaks(checkOwnTimes(viewOf(scene, 1), { ...scene, known: ignorant }), 'I10', /citing nothing/)
    const second = someDelta(1)
    const parent = second.header.prev ?? ''
    const orphaned = withView(scene, 0, { deltas: without(viewOf(scene).deltas, parent) })
    assertBreaks(checkParents(orphaned), 'I10', /which it cites/)
    const first = someDelta(0)
    const circle = new Map(scene.known).set(first.id, changed(first, { parents: [second.id] }))
    assertBreaks(checkParents({ ...scene, known: circle }), 'I10', /their own ancestors/)
  })

  test('causal: the older of two writes is shown though the newer knew of it', () => {
    const [id, record] = shared()
    const content = record.fields.get('content')
    assert.equal(content?.value, 'third')
    const older = tampered((state) => {
      const deeds =
        deedsOf(
          [...scene.known.values()].map(({ delta }) => delta),
          scene.space
        ).get(id) ?? []
      const second = deeds.find(({ op }) => op.op === 'set' && op.field === 'content' && op.value === 'second')
      assert.ok(second !== undefined)
      state.fields.set('content', { value: 'second', stamp: second.stamp })
    })
    assertBreaks(checkOverwrites(older), 'causal', /overwrote it knowingly/)
  })

  test('I8 and I9: tags and claims that the operations do not make', () => {
    assertBreaks(checkReference(tampered((record) => record.tags.delete('blue'))), 'I8', /tags of record/)
    const back = tampered((record) => {
      const red = record.tags.get('red')
      for (const dot of red?.removed ?? []) red?.live.add(dot)
      red?.removed.clear()
    })
    assertBreaks(checkReference(back), 'I8', /tags of record/)
    const { author } = nodeOf(it.world, 2)
    assertBreaks(
      checkReference(tampered((record) => ownPart(record, 'importance').set(author, 9_999))),
      'I9',
      /importance/
    )
    assertBreaks(
      checkReference(tampered((record) => ownPart(record, 'access').set(`${author}:${'00'.repeat(8)}`, 3))),
      'I9',
      /access/
    )
    assertBreaks(checkReference(tampered((record) => ownPart(record, 'evidence').add('hearsay'))), 'I15', /evidence/)
  })

  test('shuffle and I4: a state that depends on order, and a join that prefers its left side', () => {
    const deeds = deedsOf(
      [...scene.known.values()].map(({ delta }) => delta),
      scene.space
    )
    const random = new SeededRandom('laws')
    const odd = viewOf(tampered((record) => ownPart(record, 'evidence').add('by chance')))
    assertBreaks(checkShuffle(odd, deeds, random), 'shuffle', /in 2 ways/)
    assert.deepEqual(checkLaws(odd, deeds, random), [])
    assertBreaks(
      checkLaws(odd, deeds, random, (a) => a),
      'I4',
      /order of two states/
    )
    assertBreaks(
      checkLaws(odd, deeds, random, (a) => emptyRecord(a.id)),
      'I4',
      /joined with itself/
    )
    assert.equal(checkRecords(odd, deeds)[0]?.invariant, 'I15')
  })

  test('I16: a double signer nobody convicted, a proof against an honest node, a proof out of nothing', () => {
    const guilty = { author: 'aa'.repeat(32), epoch: '00'.repeat(8), seq: 4 }
    const rows = [
      { ...guilty, id: '11'.repeat(32) },
      { ...guilty, id: '22'.repeat(32) }
    ]
    const unknown = withView(scene, 0, { authors: [...viewOf(scene).authors, ...rows] })
    assertBreaks(checkProofs(unknown), 'I16', /does not know/)
    const proof = (author: string): Scene =>
      withView(scene, 1, { proofs: new Map([[placeOf({ ...guilty, author }), ['11', '22']]]) })
    assertBreaks(checkProofs(proof(nodeOf(it.world, 2).author)), 'I16', /against honest/)
    assertBreaks(checkProofs(proof('aa'.repeat(32))), 'I16', /signed nothing twice/)
  })

  test('I17: a tally that a recount does not confirm, or that leaves the honest range', async () => {
    const [id] = shared()
    const answer = await it.world.settled(nodeOf(it.world, 0).engine.tally(id))
    assert.equal(answer.quorum, true)
    assert.equal(judgeTally(answer, id, scene), undefined)
    assert.match(judgeTally({ ...answer, confirm: 2 }, id, scene) ?? '', /confirm is 2/)
    assert.match(judgeTally({ ...answer, quorum: false }, id, scene) ?? '', /quorum/)
    assert.match(judgeTally({ ...answer, median: 0.2 }, id, scene) ?? '', /median is 0.2, a recount says 0.9/)
    const nobody = { ...scene, evidence: { ...scene.evidence, voters: [] } }
    assert.match(judgeTally(answer, id, nobody) ?? '', /electorate/)
    const few = { ...answer, electorate: 9, quorum: false }
    const roster = [...(it.evidence.voters ?? []), ...Array.from({ length: 6 }, (_, i) => `0${i}`.repeat(32))]
    assert.match(
      judgeTally(few, id, { ...scene, evidence: { ...scene.evidence, voters: roster } }) ?? '',
      /below the quorum/
    )
  })

  test('I12: a delta that moves, and sessions without end', () => {
    const books: Books = { name: 'node-0', ingested: 5, written: 5, sessions: 10, moving: 2 }
    assert.deepEqual(judgeQuiet([books], [{ ...books, sessions: 14 }], 4), [])
    assertBreaks(judgeQuiet([books], [{ ...books, ingested: 6 }], 4), 'I12', /1 deltas came/)
    assertBreaks(judgeQuiet([books], [{ ...books, moving: 3 }], 4), 'I12', /1 sessions moved/)
    assertBreaks(judgeQuiet([books], [{ ...books, sessions: 15 }], 4), 'I12', /5 sessions among equals/)
  })

  test('budget: more than four copies, and too much talk', () => {
    const costs = { payloadBytes: 4_000, controlBytes: 2_700, neededBytes: 1_000, nodeSeconds: 1, deliveries: 10 }
    assert.deepEqual(judgeCosts(costs), [])
    assertBreaks(judgeCosts({ ...costs, payloadBytes: 4_500 }), 'budget', /4.50 copies/)
    assertBreaks(judgeCosts({ ...costs, controlBytes: 2_701 }), 'budget', /2701 bytes/)
  })

  test('a crowd of violations of one kind is cut short, and counted', () => {
    const many: Violation[] = Array.from({ length: 9 }, (_, i) => ({ invariant: 'I2', what: `${i}` }))
    const short = cutShort([...many, { invariant: 'I3', what: 'x' }])
    assert.deepEqual(
      short.map(({ what }) => what),
      ['0', '1', '2', '3', '4', 'and 4 more like this', 'x']
    )
  })
})
