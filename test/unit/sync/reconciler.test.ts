import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical } from '../../../src/memory/codec.ts'
import { decodeReconFrame, encodeReconFrame } from '../../../src/sync/recon-codec.ts'
import { Initiator } from '../../../src/sync/reconciler.ts'
import { NOW_MS, SPACE, Side, hasher, key, keyOf, recordOf, session, settle, someKeys } from './recon-pair.ts'

function sameSet(a: Side, b: Side): boolean {
  return toHex(a.tree.root()) === toHex(b.tree.root())
}

suite('reconciler', () => {
  test('equal sets part after one exchange', () => {
    const keys = someKeys('equal', 500)
    const log = session(new Side(keys), new Side([...keys].reverse()))
    assert.deepEqual(log.frames, ['hello', 'equal'])
    assert.deepEqual([log.initiator.result, log.responder.result], ['equal', 'equal'])
    assert.ok(log.initiator.peerHoldsAll && log.responder.peerHoldsAll)
    assert.ok(log.initiator.metadataBytes < 128)
  })

  test('two empty sets are equal', () => {
    assert.equal(session(new Side(), new Side()).initiator.result, 'equal')
  })

  test('a small difference is told as a story: walk, fetch, push, part', () => {
    const keys = someKeys('story', 20)
    const a = new Side(keys.slice(0, 18))
    const b = new Side(keys.slice(1))
    const log = session(a, b)
    assert.deepEqual(log.frames, ['hello', 'welcome', 'ask', 'answers', 'want', 'deltas', 'push', 'ack', 'bye'])
    assert.ok(sameSet(a, b))
    assert.deepEqual(
      { ...log.initiator, metadataBytes: 0, lacked: log.initiator.lacked.map(toHex) },
      {
        result: 'repaired',
        received: 2,
        sent: 1,
        accepted: 2,
        known: 0,
        refused: 0,
        settling: 0,
        withheld: 0,
        metadataBytes: 0,
        roundTrips: 4,
        lacked: [toHex(keys[0] as Uint8Array)],
        peerHoldsAll: true
      }
    )
    assert.deepEqual(
      [log.responder.result, log.responder.received, log.responder.sent, log.responder.peerHoldsAll],
      ['repaired', 1, 2, true]
    )
    assert.deepEqual(log.responder.lacked.map(toHex).sort(), keys.slice(18).map(toHex).sort())
  })

  for (const [name, common, onlyA, onlyB] of [
    ['nothing against something', 0, 0, 700],
    ['something against nothing', 0, 700, 0],
    ['nothing in common', 0, 400, 400],
    ['one against many', 0, 1, 3_000],
    ['a few of many', 4_000, 7, 9],
    ['one lost', 4_000, 0, 1],
    ['many of many', 2_000, 900, 800]
  ] as const) {
    test(`${name}: one session, and both hold the union`, () => {
      const both = someKeys('both', common)
      const a = new Side([...both, ...someKeys('a', onlyA)])
      const b = new Side([...both, ...someKeys('b', onlyB)])
      const log = session(a, b)
      assert.equal(log.initiator.result, 'repaired')
      assert.equal(a.tree.count, common + onlyA + onlyB)
      assert.ok(sameSet(a, b))
      assert.equal(log.initiator.received, onlyB)
      assert.equal(log.initiator.lacked.length, onlyA)
      assert.equal(log.responder.lacked.length, onlyB)
      assert.equal(session(a, b).initiator.result, 'equal')
    })
  }

  test('what a peer missed while it was away costs no list of ids', () => {
    const old = someKeys('old', 3_000)
    const missed = Array.from({ length: 4_000 }, (_, i) => key(NOW_MS - 3_000_000 + i * 100, `missed ${i}`))
    const fetching = session(new Side(old), new Side([...old, ...missed]))
    assert.equal(fetching.initiator.received, 4_000)
    assert.ok(fetching.initiator.metadataBytes < 4_000 * 10, `${fetching.initiator.metadataBytes} bytes`)
    const handing = session(new Side([...old, ...missed]), new Side(old))
    assert.equal(handing.initiator.sent, 4_000)
    assert.ok(handing.initiator.metadataBytes < 4_000 * 10, `${handing.initiator.metadataBytes} bytes`)
  })

  test('deltas travel oldest first', () => {
    const b = new Side(someKeys('order', 900))
    const a = new Side()
    const arrived: string[] = []
    const deliver = a.deliver.bind(a)
    a.deliver = (records) => {
      arrived.push(...records.map((record) => toHex(keyOf(record) as Uint8Array)))
      return deliver(records)
    }
    session(a, b)
    assert.deepEqual(arrived, [...arrived].sort())
    assert.equal(arrived.length, 900)
  })

  test('large records are paged, each page within a frame', () => {
    const keys = someKeys('large', 40)
    const a = new Side(keys.slice(0, 20), 60_000)
    const b = new Side(keys.slice(20), 60_000)
    const log = session(a, b)
    assert.ok(sameSet(a, b))
    assert.ok(log.frames.filter((name) => name === 'deltas').length >= 5)
    assert.ok(log.frames.filter((name) => name === 'push').length >= 5)
  })

  test('a session moves at most its budget, and the next ones finish', () => {
    const a = new Side()
    const b = new Side(someKeys('huge', LIMITS.reconSessionDeltasMax + 500), 10)
    const first = session(a, b)
    assert.equal(first.initiator.result, 'partial')
    assert.equal(first.responder.result, 'partial')
    assert.equal(first.initiator.received, LIMITS.reconSessionDeltasMax)
    const second = session(a, b)
    assert.equal(second.initiator.result, 'repaired')
    assert.equal(second.initiator.received, 500)
    assert.ok(sameSet(a, b))
  })

  test('the same when it is the initiator who has too much', () => {
    const a = new Side(someKeys('huge', LIMITS.reconSessionDeltasMax + 1), 10)
    const b = new Side()
    const first = session(a, b)
    assert.deepEqual([first.initiator.result, first.initiator.peerHoldsAll], ['partial', false])
    assert.equal(b.tree.count, LIMITS.reconSessionDeltasMax)
    assert.deepEqual([session(a, b).initiator.result, sameSet(a, b)], ['repaired', true])
  })

  test('sets too different for the metadata of one session converge over several', () => {
    const both = someKeys('both', 30_000)
    const a = new Side([...both, ...someKeys('a', 6_000)], 0)
    const b = new Side([...both, ...someKeys('b', 6_000)], 0)
    let sessions = 0
    let log
    do {
      log = session(a, b)
      sessions++
      assert.ok(log.initiator.metadataBytes <= LIMITS.reconSessionMetadataBytesMax)
      assert.ok(log.initiator.result === 'equal' || log.initiator.received + log.initiator.sent > 1_000)
    } while (log.initiator.result !== 'equal' && sessions < 20)
    assert.ok(sameSet(a, b))
    assert.ok(sessions > 2)
  })

  test('differences too young to be missed are left alone, and found once they have aged', () => {
    const old = someKeys('old', 300)
    const [young, younger] = [key(NOW_MS - 500, 'young'), key(NOW_MS - 400, 'younger')]
    const a = new Side([...old, young])
    const b = new Side([...old, younger])
    const log = session(a, b)
    assert.deepEqual([log.initiator.result, log.initiator.received, log.initiator.sent], ['partial', 0, 0])
    assert.ok(log.initiator.settling >= 2)
    assert.equal(log.initiator.peerHoldsAll, false)
    const later = session(a, b, { nowMs: NOW_MS + 5_000 })
    assert.equal(later.initiator.result, 'repaired')
    assert.ok(sameSet(a, b))
  })

  test('a young delta does not keep the old ones of its range away', () => {
    const b = new Side([...someKeys('old', 200), key(NOW_MS, 'young')])
    const a = new Side()
    const log = session(a, b)
    assert.deepEqual([log.initiator.result, log.initiator.received, log.initiator.settling], ['partial', 200, 1])
    assert.equal(session(a, b, { settlingMs: 0 }).initiator.received, 1)
  })

  test('an author whose clock runs a minute ahead is not waited for', () => {
    const b = new Side([key(NOW_MS + 60_000, 'ahead')])
    const a = new Side([key(NOW_MS - 60_000, 'mine')])
    assert.equal(session(a, b).initiator.result, 'repaired')
  })

  test('what is dated beyond the admitted lead is neither fetched nor pushed until it is due', () => {
    const far = Array.from({ length: 300 }, (_, i) => key(NOW_MS + LIMITS.clockLeadMsMax + 60_000 + i, `far ${i}`))
    const a = new Side([...someKeys('a', 5)])
    const b = new Side([...someKeys('b', 5), ...far])
    const fetching = session(a, b)
    assert.deepEqual([fetching.initiator.result, fetching.initiator.received], ['partial', 5])
    const pushing = session(b, a)
    assert.deepEqual([pushing.initiator.result, pushing.initiator.sent], ['partial', 0])
    assert.equal(session(a, b, { nowMs: NOW_MS + 600_000 }).initiator.received, 300)
  })

  test('what arrives during a session does not confuse it', () => {
    const keys = someKeys('meanwhile', 1_000)
    const a = new Side(keys.slice(0, 500))
    const b = new Side(keys.slice(500))
    let next = 0
    const log = session(a, b, {
      tamper: (frame) => {
        a.add(recordOf(key(NOW_MS - 50_000, `a ${next}`)))
        b.add(recordOf(key(NOW_MS - 50_000, `b ${next++}`)))
        return frame
      }
    })
    assert.equal(log.initiator.result, 'repaired')
    session(a, b)
    assert.ok(sameSet(a, b))
  })

  test('deltas that gossip brought meanwhile are known, not new', () => {
    const keys = someKeys('raced', 30)
    const a = new Side()
    const b = new Side(keys)
    const log = session(a, b, {
      tamper: (frame, index) => {
        if (index === 2) for (const one of keys.slice(0, 10)) a.add(recordOf(one))
        return frame
      }
    })
    assert.deepEqual([log.initiator.accepted, log.initiator.known], [20, 10])
  })

  test('records that the store has lost are withheld, not waited for', () => {
    const keys = someKeys('lost', 50)
    const a = new Side(keys.slice(0, 1))
    const b = new Side(keys)
    b.records.delete(toHex(keys[7] as Uint8Array))
    const log = session(a, b)
    assert.deepEqual([log.initiator.result, log.initiator.received, log.initiator.withheld], ['partial', 48, 1])
  })

  test('a refused push is no proof that the peer holds it', () => {
    const a = new Side(someKeys('refused', 3))
    const b = new Side()
    b.deliver = (records) => ({ accepted: 0, known: 0, refused: records.length })
    const log = session(a, b)
    assert.deepEqual([log.initiator.result, log.initiator.peerHoldsAll], ['partial', false])
  })

  test('a peer without the space, a busy one and one of another version refuse in words', () => {
    const a = new Side(someKeys('a', 1))
    for (const [answer, word] of [
      [undefined, 'unknown-space'],
      ['busy', 'busy']
    ] as const) {
      const b = new Side()
      b.responder = () => new (Object.getPrototypeOf(a.responder()).constructor)({ find: () => answer, keyOf })
      const log = session(a, b)
      assert.deepEqual(log.frames, ['hello', 'refused'])
      assert.equal(log.initiator.result, 'failed')
      assert.match(log.initiator.detail ?? '', new RegExp(word))
      assert.equal(log.initiator.violation, undefined)
    }
    const old = settle(new Side().responder(), new Side(), { event: 'frame', bytes: encodeCanonical([1, 9, 'new']) })
    const answer = decodeReconFrame(old.frames[0] as Uint8Array)
    assert.deepEqual(answer.ok && answer.value, { frame: 'refused', reason: 'version' })
  })

  test('a timeout ends either side with what it had', () => {
    const a = new Side(someKeys('a', 3))
    const machine = a.initiator()
    machine.handle({ event: 'start' })
    const { outcome } = settle(machine, a, { event: 'timeout' })
    assert.equal(outcome?.result, 'failed')
    assert.match(outcome?.detail ?? '', /too long/)
    assert.deepEqual(machine.handle({ event: 'start' }), [], 'after the end nothing happens')
  })

  test('records of another space are refused by the space they name', () => {
    const seen: string[] = []
    const machine = new Initiator({
      space: SPACE,
      tree: new Side().tree.snapshot(),
      hasher,
      keyOf: (record, space) => {
        seen.push(space)
        return keyOf(record)
      },
      nowMs: NOW_MS
    })
    const b = new Side(someKeys('b', 1))
    const welcome = { frame: 'welcome', count: 1, root: b.tree.root() } as const
    machine.handle({ event: 'start' })
    machine.handle({ event: 'frame', bytes: encodeReconFrame(welcome) })
    const records = [...b.records.values()]
    machine.handle({ event: 'frame', bytes: encodeReconFrame({ frame: 'deltas', more: false, skipped: 0, records }) })
    assert.deepEqual(seen, [SPACE])
  })
})
