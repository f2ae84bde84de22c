/** What is read of a record without decoding it has to be what decoding it says. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { decodeDelta, encodeDelta } from '../../../src/memory/delta-codec.ts'
import { rangeKeyOfHead, readDeltaHead } from '../../../src/memory/delta-head.ts'
import { hlcMs, hlcOf } from '../../../src/memory/ids.ts'
import { rangeKey } from '../../../src/memory/names.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { draft, identity, note, recordWith, value } from '../../support/sealed.ts'

const crypto = identity()

function check(record: Uint8Array): void {
  const delta = value(decodeDelta(record, crypto))
  const head = readDeltaHead(record)
  assert.ok(head !== undefined)
  assert.deepEqual([toHex(head.space), head.ms], [delta.header.space, hlcMs(delta.header.hlc)])
  assert.deepEqual(new Uint8Array(head.headerBytes), new Uint8Array(delta.headerBytes))
  assert.deepEqual(rangeKeyOfHead(crypto, head), rangeKey(delta.header.hlc, delta.id))
}

suite('the head of a delta', () => {
  test('agrees with the decoded delta, whatever the widths of its integers', () => {
    const prev = 'aa'.repeat(32)
    const parents = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`.padStart(64, '0'))
    for (const hlc of [
      0n,
      23n,
      24n,
      255n,
      256n,
      65_535n,
      65_536n,
      2n ** 32n - 1n,
      2n ** 32n,
      hlcOf(1_800_000_000_000, 7),
      2n ** 64n - 1n
    ]) {
      for (const [seq, count] of [
        [0, 0],
        [1, 0],
        [23, 1],
        [24, 2],
        [70_000, 8]
      ] as const) {
        const delta = sealDelta(draft({ hlc, seq, prev: seq === 0 ? null : prev, parents: parents(count) }), crypto)
        check(encodeDelta(delta))
      }
    }
  })

  test('and whatever the length of its body', () => {
    for (const length of [0, 1, 200, 30_000])
      check(encodeDelta(sealDelta(draft({ ops: note('x'.repeat(length)) }), crypto)))
    check(recordWith({ seq: 5, prev: 'bb'.repeat(32), flags: 0xffff_ffff }))
  })

  test('bytes that do not begin like a record have no head', () => {
    const record = encodeDelta(sealDelta(draft(), crypto))
    for (let length = 0; length < 100; length++) assert.equal(readDeltaHead(record.subarray(0, length)), undefined)
    for (const [at, byte] of [
      [0, 0x82],
      [1, 0x40],
      [3, 0x8a],
      [4, 2]
    ] as const) {
      const changed = record.slice()
      changed[at] = byte
      assert.equal(readDeltaHead(changed), undefined, `byte ${at}`)
    }
    assert.equal(readDeltaHead(fromHex('83590000')), undefined)
  })

  test('any bytes, and any change of a record: an answer or none, never an exception', () => {
    const record = encodeDelta(sealDelta(draft({ seq: 300, prev: 'cc'.repeat(32) }), crypto))
    fc.assert(
      fc.property(fc.nat(record.length - 1), fc.nat(255), fc.nat(record.length), (at, byte, length) => {
        const changed = record.slice(0, length)
        if (at < changed.length) changed[at] = byte
        const head = readDeltaHead(changed)
        if (head !== undefined) {
          assert.ok(Number.isSafeInteger(head.ms) && head.ms >= 0 && head.ms < 2 ** 48)
          rangeKeyOfHead(crypto, head)
        }
      }),
      { numRuns: 2_000 }
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readDeltaHead(bytes)))
  })
})
