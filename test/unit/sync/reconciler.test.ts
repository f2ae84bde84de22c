/** Two machines and a wire: what a session finds, moves, leaves alone, and costs. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { compareBytes, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { decodeReconFrame } from '../../../src/sync/recon-codec.ts'
import { NOW_MS, SPACE, Side, hasher, key, keyOf, reader, recordOf, session, settle, someKeys } from './recon-pair.ts'
import { Responder } from '../../../src/sync/reconciler.ts'

function sameSet(a: Side, b: Side): boolean {
  return toHex(a.tree.root()) === toHex(b.tree.root())
}

suite('reconciler: how differences are found', () => {
  test('equal sets part after one exchange', () => {
    const keys = someKeys('equal', 500)
    const log = session(new Side(keys), new Side([...keys].reverse()))
    assert.deepEqual(log.frames, ['hello', 'equal'])
    for (const end of [log.initiator, log.responder]) {
      assert.deepEqual([end.result, end.peerHoldsAll, end.method, end.roundTrips], ['equal', true, 'none', 1])
      assert.deepEqual([end.ownCount, end.peerCount], [500, 500])
    }
  })

  test('two empty sets are equal', () => {
    assert.equal(session(new Side(), new Side()).initiator.result, 'equal')
  })

  test('a few differences are read off the first cells, and both sides send at once', () => {
    const keys = someKeys('story', 520)
    const a = new Side(keys.slice(0, 518))
    const b = new Side(keys.slice(1))
    const log = session(a, b)
    assert.deepEqual(log.frames, ['hello', 'diff', 'deltas', 'deltas', 'ack', 'ack'])
    assert.ok(sameSet(a, b))
    const { metadataBytes, compareBytes: _, lacked, ...rest } = log.initiator
    assert.deepEqual(lacked.map(toHex), [toHex(keys[0] as Uint8Array)])
    assert.ok(metadataBytes < 540, `${metadataBytes} bytes`)
    assert.deepEqual(rest, {
      result: 'repaired',
      received: 2,
      sent: 1,
      accepted: 2,
      known: 0,
      refused: 0,
      taken: 1,
      settling: 0,
      withheld: 0,
      peerCount: 519,
      ownCount: 518,
      peerHoldsAll: true,
      method: 'sketch',
      cut: false,
      roundTrips: 1
    })
    assert.deepEqual(log.responder.lacked.map(toHex).sort(), keys.slice(518).map(toHex).sort())
    assert.deepEqual([log.responder.result, log.responder.peerHoldsAll], ['repaired', true])
  })

  test('without a sketch the tree finds the same', () => {
    const keys = someKeys('story', 520)
    const a = new Side(keys.slice(0, 518))
    const b = new Side(keys.slice(1))
    const log = session(a, b, { sketch: false })
    assert.deepEqual([log.frames[1], log.initiator.method, log.initiator.result], ['tree', 'tree', 'repaired'])
    assert.ok(sameSet(a, b))
  })

  test('more differences than the first cells tell: more cells are asked for', () => {
    const keys = someKeys('common', 3_000)
    const a = new Side([...keys, ...someKeys('a', 50)])
    const b = new Side([...keys, ...someKeys('b', 50)])
    const log = session(a, b)
    assert.deepEqual(log.frames.slice(0, 3), ['hello', 'more', 'cells'])
    assert.deepEqual([log.initiator.method, log.initiator.result, sameSet(a, b)], ['sketch', 'repaired', true])
  })

  test('when nothing was expected to differ no cells are sent before they are asked for', () => {
    const keys = someKeys('common', 300)
    const [a, b] = [new Side(keys), new Side([...keys, ...someKeys('b', 3)])]
    assert.equal(session(a, new Side(keys), { expectEqual: true }).initiator.metadataBytes, 62)
    const log = session(a, b, { expectEqual: true })
    assert.deepEqual(log.frames.slice(0, 4), ['hello', 'more', 'cells', 'diff'])
    assert.ok(sameSet(a, b))
  })

  test('sets of a few deltas are listed: cells would cost more', () => {
    const log = session(new Side(someKeys('a', 5)), new Side(someKeys('b', 7)))
    assert.deepEqual(log.frames.slice(0, 3), ['hello', 'tree', 'step'])
    assert.equal(log.initiator.result, 'repaired')
  })

  test('one side was away: the tree names the stretch of time, whatever its length', () => {
    const all = Array.from({ length: 20_000 }, (_, i) => key(NOW_MS - 8_000_000 + i * 300, `always ${i}`))
    for (const missing of [2_000, 10_000]) {
      const log = session(new Side(all.slice(0, -missing)), new Side(all))
      const handed = session(new Side(all), new Side(all.slice(0, -missing)))
      for (const { initiator } of [log, handed]) {
        assert.deepEqual([initiator.method, initiator.result], ['tree', 'repaired'])
        assert.ok(initiator.metadataBytes <= 2_048, `${initiator.metadataBytes} bytes for ${missing}`)
        assert.equal(initiator.received + initiator.sent, missing)
      }
    }
  })

  test('one side lacks many, but scattered: a look at the tree, and back to the sketch', () => {
    const all = someKeys('all', 20_000)
    const random = new SeededRandom('scattered')
    const some = all.filter(() => random.unit() < 0.99)
    for (const [near, far] of [
      [some, all],
      [all, some]
    ] as const) {
      const [a, b] = [new Side(near), new Side(far)]
      const log = session(a, b)
      assert.deepEqual(log.frames.slice(0, 3), ['hello', 'tree', 'cells'])
      assert.deepEqual([log.initiator.method, log.initiator.result, sameSet(a, b)], ['sketch', 'repaired', true])
      assert.ok(log.initiator.metadataBytes < 20 * 200 + 2_500, `${log.initiator.metadataBytes} bytes`)
    }
  })

  test('more differences than a sketch can hold: the tree', () => {
    const both = someKeys('both', 4_000)
    const a = new Side([...both, ...someKeys('a', 9_000)], 0)
    const b = new Side([...both, ...someKeys('b', 9_000)], 0)
    const log = session(a, b)
    assert.equal(log.initiator.method, 'tree')
    assert.ok(log.frames.filter((frame) => frame === 'cells').length <= 1, 'a second estimate at most')
    for (let i = 0; i < 8 && !sameSet(a, b); i++) session(a, b)
    assert.ok(sameSet(a, b))
  })

  test('two ids that share their first 8 bytes: the sketch is blind, the tree is not', () => {
    const keys = someKeys('common', 300)
    const twins = [key(NOW_MS - 9_000_000, 'twin'), key(NOW_MS - 8_000_000, 'twin')] as const
    twins[1].set([1], 30)
    // One on either side: to the sketches the sets are equal.
    const [a, b] = [new Side([...keys, twins[0]]), new Side([...keys, twins[1]])]
    const log = session(a, b)
    assert.deepEqual([log.frames[1], log.initiator.method, log.initiator.result], ['tree', 'tree', 'repaired'])
    assert.ok(sameSet(a, b))
    // Both on one side, next to honest differences: what can be read goes at once, the tree finds the two.
    const c = new Side([...keys, ...twins, ...someKeys('c', 4)])
    const d = new Side([...keys, ...someKeys('d', 4)])
    const mixed = session(c, d)
    assert.ok(sameSet(c, d), 'converged')
    assert.equal(mixed.initiator.method, 'both')
    assert.deepEqual([mixed.initiator.result, mixed.initiator.withheld, mixed.responder.withheld], ['repaired', 0, 0])
    assert.deepEqual([mixed.initiator.known, mixed.responder.known], [0, 0], 'nothing is sent twice')
  })

  test('a record is found by a short id that three others share', () => {
    const keys = someKeys('common', 300)
    const wanted = Array.from({ length: 4 }, (_, i) => {
      const one = key(NOW_MS - 9_000_000 + i, 'quadruplet')
      one[35] = i
      return one
    })
    const [a, b] = [new Side([...keys, ...wanted.slice(0, 1)]), new Side(keys)]
    // Deltas of no snapshot, found by the same short id: they do not go out, however they came to be there.
    for (const one of wanted.slice(1)) a.remember(recordOf(one))
    const log = session(a, b)
    assert.deepEqual([log.initiator.method, log.initiator.sent, log.initiator.result], ['sketch', 1, 'repaired'])
    assert.ok(sameSet(a, b))
  })
})

suite('reconciler: one session, and both hold the union', () => {
  for (const [name, common, onlyA, onlyB] of [
    ['nothing against something', 0, 0, 700],
    ['something against nothing', 0, 700, 0],
    ['nothing in common', 0, 400, 400],
    ['one against many', 0, 1, 3_000],
    ['a few of many', 4_000, 7, 9],
    ['one lost', 4_000, 0, 1],
    ['many of many', 2_000, 900, 800]
  ] as const) {
    for (const sketch of [true, false]) {
      test(`${name}, ${sketch ? 'with' : 'without'} a sketch`, () => {
        const both = someKeys('both', common)
        const a = new Side([...both, ...someKeys('a', onlyA)])
        const b = new Side([...both, ...someKeys('b', onlyB)])
        const log = session(a, b, { sketch })
        assert.equal(log.initiator.result, 'repaired')
        assert.equal(a.tree.count, common + onlyA + onlyB)
        assert.ok(sameSet(a, b))
        assert.deepEqual([log.initiator.received, log.responder.received], [onlyB, onlyA])
        assert.deepEqual([log.initiator.taken, log.responder.taken], [onlyA, onlyB])
        assert.deepEqual([log.initiator.lacked.length, log.responder.lacked.length], [onlyA, onlyB])
        assert.deepEqual([log.initiator.peerCount, log.initiator.ownCount], [common + onlyB, common + onlyA])
        assert.ok(log.initiator.peerHoldsAll && log.responder.peerHoldsAll)
        assert.equal(session(a, b, { sketch }).initiator.result, 'equal')
      })
    }
  }

  test('only one of the two keeps a sketch', () => {
    for (const [here, there] of [
      [true, false],
      [false, true]
    ] as const) {
      const both = someKeys('both', 500)
      const a = new Side([...both, ...someKeys('a', 5)])
      const b = new Side([...both, ...someKeys('b', 5)])
      const log = session(a, b, { sketch: here, there: { sketch: there } })
      assert.deepEqual([log.initiator.method, log.initiator.result, sameSet(a, b)], ['tree', 'repaired', true])
    }
  })

  test('of a prefix only what is below it moves, and nothing is said of the rest', () => {
    const both = someKeys('both', 2_000)
    const prefix = toHex(both[3] as Uint8Array).slice(0, 6)
    const within = (keys: Iterable<string>): string[] => [...keys].filter((one) => one.startsWith(prefix)).sort()
    const a = new Side([...both, ...someKeys('a', 60)])
    const b = new Side([...both, ...someKeys('b', 70)])
    const [hadA, hadB] = [within(a.records.keys()), within(b.records.keys())]
    const log = session(a, b, { prefix })
    assert.deepEqual(within(a.records.keys()), within(b.records.keys()))
    assert.ok(a.tree.count < 2_130 && !sameSet(a, b))
    for (const end of [log.initiator, log.responder]) {
      assert.deepEqual([end.result, end.prefix, end.peerHoldsAll, end.method], ['repaired', prefix, false, 'tree'])
    }
    assert.deepEqual([log.initiator.ownCount, log.initiator.peerCount], [hadA.length, hadB.length])
    assert.deepEqual([log.responder.ownCount, log.responder.peerCount], [hadB.length, hadA.length])
    const again = session(a, b, { prefix })
    assert.deepEqual([again.initiator.result, again.initiator.peerHoldsAll], ['equal', false])
    assert.equal(session(a, b, { prefix: 'ffff' }).initiator.result, 'equal', 'nothing is equal to nothing')
  })
})

suite('reconciler: moving', () => {
  test('each page is ascending, and what the tree finds goes oldest first', () => {
    for (const sketch of [true, false]) {
      const [a, b] = [new Side(), new Side(someKeys('order', 4_000))]
      const arrived: Uint8Array[] = []
      const deliver = a.deliver.bind(a)
      a.deliver = (records) => {
        const page = records.map((record) => keyOf(record) as Uint8Array)
        assert.deepEqual(page, [...page].sort(compareBytes))
        arrived.push(...page)
        return deliver(records)
      }
      session(a, b, { sketch })
      assert.equal(arrived.length, 4_000)
      assert.deepEqual(arrived, [...arrived].sort(compareBytes))
    }
  })

  test('large records are paged, each page within a frame, and four at most are on their way', () => {
    const keys = someKeys('large', 120)
    const a = new Side(keys.slice(0, 60), 60_000)
    const b = new Side(keys.slice(60), 60_000)
    let [onTheWay, most] = [0, 0]
    const log = session(a, b, {
      tamper: (frame, index) => {
        void index
        const decoded = decodeReconFrame(frame)
        if (decoded?.frame === 'deltas' && decoded.records.length > 0) most = Math.max(most, ++onTheWay)
        if (decoded?.frame === 'ack') onTheWay--
        return frame
      }
    })
    assert.ok(sameSet(a, b))
    assert.ok(log.frames.filter((name) => name === 'deltas').length >= 30)
    assert.equal(most, 2 * LIMITS.reconWindowPagesMax, 'both directions use their window')
  })

  test('stores that answer late and in any order, frames that cross: the same ends', () => {
    const both = someKeys('both', 2_000)
    for (let seed = 0; seed < 12; seed++) {
      const a = new Side([...both, ...someKeys('a', 300)], 3_000)
      const b = new Side([...both, ...someKeys('b', 400)], 3_000)
      const sketch = seed % 2 === 0
      const log = session(a, b, { sketch, shuffle: new SeededRandom(`shuffle ${seed}`) })
      assert.deepEqual([log.initiator.result, log.responder.result], ['repaired', 'repaired'], `seed ${seed}`)
      assert.ok(sameSet(a, b))
    }
  })

  test('a session moves at most its budget, and the next ones finish', () => {
    const a = new Side()
    const b = new Side(someKeys('huge', LIMITS.reconSessionDeltasMax + 500), 10)
    const first = session(a, b)
    for (const end of [first.initiator, first.responder]) assert.deepEqual([end.result, end.cut], ['partial', true])
    assert.equal(first.initiator.received, LIMITS.reconSessionDeltasMax)
    assert.deepEqual([first.initiator.withheld, first.initiator.violation], [0, undefined])
    const second = session(a, b)
    assert.deepEqual([second.initiator.result, second.initiator.received], ['repaired', 500])
    assert.ok(sameSet(a, b))
  })

  test('exactly the budget is no cut', () => {
    const b = new Side(someKeys('exact', LIMITS.reconSessionDeltasMax), 10)
    const log = session(new Side(), b)
    assert.deepEqual([log.initiator.result, log.initiator.cut], ['repaired', false])
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
    const both = someKeys('both', 10_000)
    const a = new Side([...both, ...someKeys('a', 2_000)], 0)
    const b = new Side([...both, ...someKeys('b', 2_000)], 0)
    let sessions = 0
    let log
    do {
      log = session(a, b, { sketch: false, bounds: { compareBytes: 40_000 } })
      sessions++
      assert.ok(log.initiator.compareBytes <= 40_000)
      assert.ok(log.initiator.result === 'equal' || log.initiator.received + log.initiator.sent > 500)
      assert.equal(log.initiator.cut, log.initiator.result === 'partial')
    } while (log.initiator.result !== 'equal' && sessions < 20)
    assert.ok(sameSet(a, b))
    assert.ok(sessions > 2)
  })

  test('small budgets, small frames, narrow windows: never a violation, and in the end the same set', () => {
    for (const bounds of [
      { compareBytes: 3_000 },
      { frameBytes: 600, windowPages: 1 },
      { openRanges: 3 },
      { deltas: 40 },
      { compareBytes: 5_000, frameBytes: 900, openRanges: 20, windowPages: 2, deltas: 100 }
    ]) {
      const both = someKeys('both', 1_500)
      const a = new Side([...both, ...someKeys('a', 150)])
      const b = new Side([...both, ...someKeys('b', 150)])
      const most = bounds.deltas ?? Infinity
      let sessions = 0
      for (; !sameSet(a, b) && sessions < 200; sessions++) {
        const log = session(a, b, { sketch: false, bounds, shuffle: new SeededRandom(`narrow ${sessions}`) })
        for (const end of [log.initiator, log.responder]) {
          assert.deepEqual([end.violation, end.detail], [undefined, undefined], JSON.stringify(bounds))
          assert.ok(end.compareBytes <= (bounds.compareBytes ?? Infinity) && end.sent <= most && end.received <= most)
          assert.equal(end.result === 'repaired', !end.cut)
        }
        assert.equal(log.initiator.cut, log.responder.cut)
      }
      assert.ok(sameSet(a, b) && sessions > 0, JSON.stringify(bounds))
    }
  })
})

suite('reconciler: snapshots, stores and refusals', () => {
  test('what arrives during a session does not confuse it', () => {
    const keys = someKeys('meanwhile', 1_000)
    for (const sketch of [true, false]) {
      const a = new Side(keys.slice(0, 500))
      const b = new Side(keys.slice(500))
      let next = 0
      const log = session(a, b, {
        sketch,
        tamper: (frame) => {
          a.add(recordOf(key(NOW_MS - 50_000, `a ${next}`)))
          b.add(recordOf(key(NOW_MS - 50_000, `b ${next++}`)))
          return frame
        }
      })
      // The responder takes its snapshot when the hello has come, after the first of them.
      assert.deepEqual([log.initiator.result, log.initiator.received, log.initiator.sent], ['repaired', 501, 500])
      session(a, b)
      assert.ok(sameSet(a, b))
    }
  })

  test('deltas that gossip brought meanwhile are known, and nobody is blamed', () => {
    const keys = someKeys('raced', 300)
    const a = new Side()
    const b = new Side(keys)
    const log = session(a, b, {
      tamper: (frame, index) => {
        if (index === 1) for (const one of keys.slice(0, 200)) a.add(recordOf(one))
        return frame
      }
    })
    assert.deepEqual([log.initiator.accepted, log.initiator.known, log.initiator.result], [100, 200, 'repaired'])
    assert.equal(log.responder.taken, 100)
  })

  test('records that the store has lost are withheld, not waited for', () => {
    const keys = someKeys('lost', 150)
    for (const sketch of [true, false]) {
      const a = new Side(keys.slice(0, 100))
      const b = new Side(keys)
      b.records.delete(toHex(keys[130] as Uint8Array))
      const log = session(a, b, { sketch })
      assert.deepEqual([log.initiator.result, log.initiator.received, log.initiator.withheld], ['partial', 49, 1])
      assert.deepEqual([log.responder.result, log.responder.peerHoldsAll], ['partial', false])
      assert.equal(log.initiator.peerHoldsAll, true, 'which says nothing about what we lack')
    }
  })

  test('what the other side refused is no proof that it holds it', () => {
    const a = new Side(someKeys('refused', 3))
    const b = new Side()
    b.deliver = (records) => ({ accepted: 1, known: 0, refused: records.length - 1 })
    const log = session(a, b)
    assert.deepEqual([log.initiator.result, log.initiator.peerHoldsAll, log.initiator.taken], ['partial', false, 1])
    assert.deepEqual([log.responder.result, log.responder.refused], ['partial', 2])
  })

  test('a peer without the space and a busy one refuse in words, and are told apart from a fault', () => {
    const a = new Side(someKeys('a', 1))
    for (const [answer, word] of [
      [undefined, 'unknown-space'],
      ['busy', 'busy']
    ] as const) {
      const b = new Side()
      b.responder = () =>
        new Responder({ find: () => answer, records: reader, hasher, nonce: () => new Uint8Array(16), nowMs: () => 0 })
      const log = session(a, b)
      assert.deepEqual(log.frames, ['hello', 'refused'])
      for (const end of [log.initiator, log.responder]) {
        assert.deepEqual([end.result, end.refusal, end.violation], ['failed', word, undefined])
        assert.match(end.detail ?? '', new RegExp(word))
      }
      assert.deepEqual([log.initiator.peerCount, log.initiator.ownCount], [null, 1])
    }
  })

  test('the space asked for is the one in the hello', () => {
    const asked: string[] = []
    const b = new Side()
    b.responder = () =>
      new Responder({
        find: (space) => {
          asked.push(space)
          return undefined
        },
        records: reader,
        hasher,
        nonce: () => new Uint8Array(16),
        nowMs: () => 0
      })
    session(new Side(), b)
    assert.deepEqual(asked, [SPACE])
  })

  test('a timeout ends either side with what it had', () => {
    const a = new Side(someKeys('a', 3))
    for (const [because, word] of [
      ['long', /too long/],
      ['still', /nothing moved/]
    ] as const) {
      const machine = a.initiator()
      machine.handle({ event: 'start' })
      const { outcome } = settle(machine, a, { event: 'timeout', because })
      assert.deepEqual([outcome?.result, outcome?.violation], ['failed', undefined])
      assert.match(outcome?.detail ?? '', word)
      assert.deepEqual(machine.handle({ event: 'start' }), [], 'after the end nothing happens')
    }
  })
})
