/** What a session leaves for later because of its date, and what it costs. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { key, NOW_MS, session, Side, someKeys } from './recon-pair.ts'

function sameSet(a: Side, b: Side): boolean {
  return toHex(a.tree.root()) === toHex(b.tree.root())
}

suite('reconciler: time', () => {
  test('differences too young to be missed are left alone, and found once they have aged', () => {
    const old = someKeys('old', 300)
    const [young, younger] = [key(NOW_MS - 500, 'young'), key(NOW_MS - 400, 'younger')]
    for (const sketch of [true, false]) {
      const a = new Side([...old, young])
      const b = new Side([...old, younger])
      const log = session(a, b, { sketch })
      for (const end of [log.initiator, log.responder]) {
        assert.deepEqual([end.result, end.received, end.sent, end.settling], ['partial', 0, 0, 2])
        assert.deepEqual([end.peerHoldsAll, end.withheld, end.cut], [false, 0, false])
      }
      const later = session(a, b, { sketch, nowMs: NOW_MS + 5_000 })
      assert.equal(later.initiator.result, 'repaired')
      assert.ok(sameSet(a, b))
    }
  })

  test('a young delta does not keep the old ones of its range away', () => {
    const b = new Side([...someKeys('old', 200), key(NOW_MS, 'young')])
    const a = new Side()
    const log = session(a, b)
    assert.deepEqual([log.initiator.result, log.initiator.received, log.initiator.settling], ['partial', 200, 1])
    assert.equal(session(a, b, { settlingMs: 0 }).initiator.received, 1)
  })

  test('young is what is young by the clock of whoever receives', () => {
    const old = someKeys('old', 50)
    const young = key(NOW_MS - 500, 'young')
    // The receiver's clock is ten seconds ahead: to it the delta has settled. And the other way round.
    const seen = session(new Side([...old, young]), new Side(old), { there: { nowMs: NOW_MS + 10_000 } })
    assert.deepEqual([seen.initiator.sent, seen.initiator.result], [1, 'repaired'])
    const behind = session(new Side([...old, key(NOW_MS - 10_000, 'x')]), new Side(old), {
      there: { nowMs: NOW_MS - 10_000 }
    })
    assert.deepEqual([behind.initiator.sent, behind.initiator.result], [0, 'partial'])
    const fetched = session(new Side(old), new Side([...old, young]), {
      nowMs: NOW_MS + 10_000,
      there: { nowMs: NOW_MS }
    })
    assert.deepEqual([fetched.initiator.received, fetched.initiator.result], [1, 'repaired'])
  })

  test('an author whose clock runs a minute ahead is not waited for', () => {
    const b = new Side([key(NOW_MS + 60_000, 'ahead')])
    const a = new Side([key(NOW_MS - 60_000, 'mine')])
    assert.equal(session(a, b).initiator.result, 'repaired')
  })

  test('what is dated beyond the admitted lead is not sent until it is due', () => {
    const far = Array.from({ length: 300 }, (_, i) => key(NOW_MS + LIMITS.clockLeadMsMax + 60_000 + i, `far ${i}`))
    for (const sketch of [true, false]) {
      const a = new Side([...someKeys('a', 5)])
      const b = new Side([...someKeys('b', 5), ...far])
      const fetching = session(a, b, { sketch })
      assert.deepEqual([fetching.initiator.result, fetching.initiator.received], ['partial', 5])
      const pushing = session(b, a, { sketch })
      assert.deepEqual([pushing.initiator.result, pushing.initiator.sent], ['partial', 0])
      const due = session(a, b, { sketch, nowMs: NOW_MS + 600_000 })
      assert.deepEqual([due.initiator.received, due.initiator.result], [300, 'repaired'])
    }
  })

  test('a peer whose clock stands at zero, or far ahead, hurts only itself', () => {
    const keys = someKeys('keys', 400)
    const past = session(new Side(keys), new Side(keys.slice(10)), { there: { nowMs: 0 } })
    assert.deepEqual([past.initiator.sent, past.initiator.result, past.initiator.violation], [0, 'partial', undefined])
    const [a, b] = [new Side(keys.slice(10)), new Side(keys.slice(0, 390))]
    const future = session(a, b, { there: { nowMs: 2 ** 47 } })
    assert.deepEqual([future.initiator.result, sameSet(a, b)], ['repaired', true])
  })
})

suite('reconciler: what it costs', () => {
  const n = 20_000
  const common = someKeys('cost', n)
  const costOf = (a: number, b: number): { meta: number; trips: number }[] =>
    Array.from({ length: 5 }, (_, i) => {
      const near = new Side([...common, ...someKeys(`a ${i}`, a)])
      const far = new Side([...common, ...someKeys(`b ${i}`, b)])
      const { initiator, responder } = session(near, far, { expectEqual: a + b === 0 })
      assert.ok(sameSet(near, far))
      assert.equal(initiator.metadataBytes, responder.metadataBytes, 'both count alike')
      return { meta: initiator.metadataBytes, trips: initiator.roundTrips }
    }).sort((x, y) => x.meta - y.meta)

  test('nothing: 64 bytes and one round trip', () => {
    const worst = costOf(0, 0)[4]
    assert.ok(worst !== undefined && worst.meta <= 64 && worst.trips === 1, JSON.stringify(worst))
  })

  test('ten scattered differences: 640 bytes and one round trip, as a rule', () => {
    const median = costOf(5, 5)[2]
    assert.ok(median !== undefined && median.meta <= 640 && median.trips === 1, JSON.stringify(median))
  })

  test('a hundred: 3.2 KB in three round trips, as a rule', () => {
    const median = costOf(50, 50)[2]
    assert.ok(median !== undefined && median.meta <= 3_277 && median.trips <= 3, JSON.stringify(median))
  })
})
