import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeFrame, RECORD_BYTES_MAX } from '../../../src/memory/delta-codec.ts'
import type { Random } from '../../../src/ports/random.ts'
import { Outbox, type OutboxEntry, type OutboxOptions } from '../../../src/sync/outbox.ts'

/** Chance that always falls in the middle, so that a backoff is exactly its nominal time. */
const middling: Random = {
  unit: () => 0.5,
  below: (bound) => Math.floor(bound / 2),
  bytes: (length) => new Uint8Array(length),
  fork: () => middling
}

const OPTIONS: OutboxOptions = {
  mode: 'streaming',
  importanceThreshold: 0.7,
  flushIntervalMs: 25,
  batchDeltas: 4,
  batchIntervalMs: 5_000,
  retries: 3,
  retryBackoffMs: 500,
  retryBackoffMsMax: 3_000
}

let serial = 0
const entry = (bytes = 100): OutboxEntry => ({
  id: (serial++).toString(16).padStart(64, '0'),
  record: new Uint8Array(bytes)
})
const box = (changes: Partial<OutboxOptions> = {}): Outbox =>
  new Outbox({ ...OPTIONS, ...changes }, { random: middling })
const ids = (frames: readonly (readonly OutboxEntry[])[]): string[] => frames.flat().map((one) => one.id)

describe('outbox: when a delta goes', () => {
  it('streaming: waits a moment for company', () => {
    const outbox = box()
    const [a, b] = [entry(), entry()]
    assert.equal(outbox.nextDueMs(0), undefined)
    outbox.add(a, null, 1_000)
    outbox.add(b, 0.3, 1_010)
    assert.equal(outbox.nextDueMs(1_010), 1_025)
    assert.deepEqual(outbox.due(1_024), [])
    assert.deepEqual(ids(outbox.due(1_025)), [a.id, b.id])
  })

  for (const [importance, urgent] of [
    [null, false],
    [0.6999, false],
    [0.7, false],
    [0.7001, true]
  ] as const) {
    it(`streaming: importance ${importance} with threshold 0.7 ${urgent ? 'goes at once' : 'waits'}`, () => {
      const outbox = box()
      outbox.add(entry(), importance, 1_000)
      assert.equal(outbox.due(1_000).length, urgent ? 1 : 0)
    })
  }

  it('threshold 0: everything goes at once, threshold 1: nothing does', () => {
    const eager = box({ importanceThreshold: 0 })
    eager.add(entry(), null, 1_000)
    assert.equal(eager.nextDueMs(1_000), 1_000)
    const calm = box({ importanceThreshold: 1 })
    calm.add(entry(), 1, 1_000)
    assert.equal(calm.nextDueMs(1_000), 1_025)
  })

  it('takes those who wait along with one that is urgent', () => {
    const outbox = box()
    const [calm, urgent] = [entry(), entry()]
    outbox.add(calm, 0.1, 1_000)
    outbox.add(urgent, 0.9, 1_001)
    assert.deepEqual(ids(outbox.due(1_001)), [calm.id, urgent.id])
  })

  it('batched: goes when the batch is full, or when its interval has passed', () => {
    for (const count of [OPTIONS.batchDeltas - 1, OPTIONS.batchDeltas, OPTIONS.batchDeltas + 1]) {
      const outbox = box({ mode: 'batched' })
      for (let i = 0; i < count; i++) outbox.add(entry(), null, 1_000)
      assert.equal(ids(outbox.due(1_000)).length, count >= OPTIONS.batchDeltas ? count : 0)
    }
    const outbox = box({ mode: 'batched' })
    outbox.add(entry(), null, 1_000)
    assert.equal(outbox.nextDueMs(1_000), 6_000)
    assert.deepEqual(outbox.due(5_999), [])
    assert.equal(outbox.due(6_000).length, 1)
  })

  it('batched: an important one does not wait for the batch', () => {
    const outbox = box({ mode: 'batched' })
    outbox.add(entry(), 0.9, 1_000)
    assert.equal(outbox.due(1_000).length, 1)
  })

  it('periodic: nothing is ever offered', () => {
    const outbox = box({ mode: 'periodic' })
    outbox.add(entry(), 1, 1_000)
    assert.equal(outbox.size, 0)
    assert.equal(outbox.nextDueMs(1_000_000), undefined)
    assert.deepEqual(outbox.due(1_000_000), [])
  })

  for (const bytes of [LIMITS.gossipFlushBytes - 1, LIMITS.gossipFlushBytes, LIMITS.gossipFlushBytes + 1]) {
    it(`streaming: ${bytes} waiting bytes ${bytes >= LIMITS.gossipFlushBytes ? 'are' : 'are not'} flushed at once`, () => {
      const outbox = box()
      outbox.add(entry(bytes - 100), null, 1_000)
      outbox.add(entry(100), null, 1_000)
      assert.equal(outbox.due(1_000).length, bytes >= LIMITS.gossipFlushBytes ? 1 : 0)
    })
  }

  it('takes a delta once', () => {
    const outbox = box()
    const one = entry()
    outbox.add(one, null, 1_000)
    outbox.add(one, null, 1_001)
    assert.equal(outbox.size, 1)
    assert.equal(ids(outbox.due(2_000)).length, 1)
  })
})

describe('outbox: frames', () => {
  for (const count of [LIMITS.gossipFrameDeltasMax - 1, LIMITS.gossipFrameDeltasMax, LIMITS.gossipFrameDeltasMax + 1]) {
    it(`${count} small deltas make ${count > LIMITS.gossipFrameDeltasMax ? 2 : 1} frames`, () => {
      const outbox = box()
      const entries = Array.from({ length: count }, () => entry(10))
      for (const one of entries) outbox.add(one, null, 1_000)
      const frames = outbox.due(2_000)
      assert.equal(frames.length, count > LIMITS.gossipFrameDeltasMax ? 2 : 1)
      assert.deepEqual(
        ids(frames),
        entries.map((one) => one.id),
        'oldest first, each once'
      )
      for (const frame of frames) assert.ok(encodeFrame(frame.map((one) => one.record)).length > 0)
    })
  }

  it('never fills a frame beyond its bytes, and holds the largest delta there can be', () => {
    const outbox = box()
    for (const bytes of [RECORD_BYTES_MAX, 100, 40_000, 25_400, 25_500, 300, RECORD_BYTES_MAX]) {
      outbox.add(entry(bytes), null, 1_000)
    }
    const frames = outbox.due(2_000)
    assert.equal(ids(frames).length, 7)
    for (const frame of frames) {
      assert.ok(encodeFrame(frame.map((one) => one.record)).length <= LIMITS.gossipFrameBytesMax)
    }
  })

  for (const excess of [-1, 0, 1]) {
    it(`two deltas that are ${excess} bytes over the room of a frame`, () => {
      const outbox = box()
      // 16 bytes of frame and 5 for each record are reckoned with.
      const room = LIMITS.gossipFrameBytesMax - 16 - 5 - 5
      outbox.add(entry(40_000), null, 1_000)
      outbox.add(entry(room - 40_000 + excess), null, 1_000)
      const frames = outbox.due(2_000)
      assert.equal(frames.length, excess > 0 ? 2 : 1)
      for (const frame of frames) encodeFrame(frame.map((one) => one.record))
    })
  }
})

describe('outbox: what became of it', () => {
  it('forgets what somebody heard', () => {
    const outbox = box()
    outbox.add(entry(), null, 1_000)
    const [frame] = outbox.due(2_000)
    assert.ok(frame !== undefined)
    assert.equal(outbox.size, 1, 'kept until it is settled')
    assert.deepEqual(outbox.due(2_000), [], 'and not offered twice meanwhile')
    outbox.settle(frame, 1, 2_001)
    assert.equal(outbox.size, 0)
    assert.equal(outbox.nextDueMs(2_001), undefined)
    assert.equal(outbox.abandoned, 0)
  })

  it('offers again with growing pauses, and leaves it to anti-entropy after the last retry', () => {
    const outbox = box()
    outbox.add(entry(), null, 0)
    let nowMs = 25
    const pauses: number[] = []
    let offers = 0
    for (;;) {
      const [frame] = outbox.due(nowMs)
      assert.ok(frame !== undefined)
      offers++
      outbox.settle(frame, 0, nowMs)
      const nextMs = outbox.nextDueMs(nowMs)
      if (nextMs === undefined) break
      assert.deepEqual(outbox.due(nextMs - 1), [])
      pauses.push(nextMs - nowMs)
      nowMs = nextMs
    }
    assert.equal(offers, 1 + OPTIONS.retries)
    assert.deepEqual(pauses, [500, 1_000, 2_000])
    assert.equal(outbox.size, 0)
    assert.equal(outbox.abandoned, 1)
  })

  it('never pauses longer than the longest, give or take a fifth', () => {
    const random = { ...middling, unit: () => 0.999 }
    const outbox = new Outbox({ ...OPTIONS, retries: 20 }, { random })
    outbox.add(entry(), null, 0)
    let nowMs = 25
    for (let i = 0; i < 12; i++) {
      const [frame] = outbox.due(nowMs)
      assert.ok(frame !== undefined)
      outbox.settle(frame, 0, nowMs)
      const nextMs = outbox.nextDueMs(nowMs) ?? 0
      assert.ok(nextMs - nowMs <= OPTIONS.retryBackoffMsMax * 1.2)
      nowMs = nextMs
    }
  })

  it('without retries one offer is all', () => {
    const outbox = box({ retries: 0 })
    outbox.add(entry(), null, 0)
    outbox.settle(outbox.due(25)[0] ?? [], 0, 25)
    assert.equal(outbox.size, 0)
    assert.equal(outbox.abandoned, 1)
  })

  it('offers at once when somebody has come, but does not hurry what waits for company', () => {
    const outbox = box()
    const heard = entry()
    outbox.add(heard, null, 0)
    outbox.settle(outbox.due(25)[0] ?? [], 0, 25)
    outbox.add(entry(), null, 30)
    outbox.wake(30)
    assert.equal(outbox.nextDueMs(30), 30)
    assert.equal(ids(outbox.due(30)).length, 2, 'the other rides along')
    const fresh = box()
    fresh.add(entry(), null, 0)
    fresh.wake(1)
    assert.equal(fresh.nextDueMs(1), 25)
  })

  it('drops what is known to be elsewhere, and does not count it as waiting', () => {
    const outbox = box({ mode: 'batched' })
    const kept = Array.from({ length: OPTIONS.batchDeltas - 1 }, () => entry())
    for (const one of kept) outbox.add(one, null, 0)
    const gone = entry()
    outbox.add(gone, null, 0)
    outbox.drop(gone.id)
    outbox.drop(gone.id)
    outbox.drop('ff'.repeat(32))
    assert.deepEqual(outbox.due(0), [], 'the batch is no longer full')
    assert.deepEqual(
      ids(outbox.due(5_000)),
      kept.map((one) => one.id)
    )
    const streaming = box()
    const heavy = entry(LIMITS.gossipFlushBytes)
    streaming.add(heavy, null, 0)
    streaming.add(entry(), null, 0)
    streaming.drop(heavy.id)
    assert.equal(streaming.nextDueMs(0), 25, 'its bytes are gone with it')
  })

  it('settles a frame of which a part was dropped meanwhile', () => {
    const outbox = box()
    const [a, b] = [entry(), entry()]
    outbox.add(a, null, 0)
    outbox.add(b, null, 0)
    const [frame] = outbox.due(25)
    assert.ok(frame !== undefined)
    outbox.drop(a.id)
    outbox.settle(frame, 0, 25)
    assert.equal(outbox.size, 1)
    assert.deepEqual(ids(outbox.due(1_000)), [b.id])
  })

  it(`holds ${LIMITS.outboxDeltasMax} deltas and leaves further ones to anti-entropy`, () => {
    const outbox = box()
    const record = new Uint8Array(0)
    for (let i = 0; i < LIMITS.outboxDeltasMax - 1; i++) outbox.add({ id: `${i}`, record }, null, 0)
    assert.equal(outbox.abandoned, 0)
    outbox.add({ id: 'last', record }, null, 0)
    assert.equal(outbox.size, LIMITS.outboxDeltasMax)
    assert.equal(outbox.abandoned, 0)
    outbox.add({ id: 'one more', record }, null, 0)
    assert.equal(outbox.size, LIMITS.outboxDeltasMax)
    assert.equal(outbox.abandoned, 1)
  })
})
