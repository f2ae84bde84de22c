import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { EventHeap, type HeapEvent } from '../../../../simulations/model/event-heap.ts'

describe('EventHeap', () => {
  it('gives back what it was given, by time and then in the order of pushing', () => {
    const times = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 })
    fc.assert(
      fc.property(times, (all) => {
        const heap = new EventHeap(2)
        all.forEach((atMs, i) => heap.push(atMs, i % 7, i, -i, 2 * i))
        assert.equal(heap.size, all.length)
        const order = all.map((atMs, i) => ({ atMs, i })).sort((x, y) => x.atMs - y.atMs || x.i - y.i)
        const event: HeapEvent = { atMs: -1, kind: -1, a: -1, b: -1, c: -1 }
        for (const { atMs, i } of order) {
          assert.ok(heap.pop(event))
          assert.deepEqual({ ...event }, { atMs, kind: i % 7, a: i, b: 0 - i, c: 2 * i })
        }
        assert.equal(heap.pop(event), false)
      })
    )
  })

  it('keeps the order when pushes and pops mix', () => {
    const heap = new EventHeap(4)
    const event: HeapEvent = { atMs: 0, kind: 0, a: 0, b: 0, c: 0 }
    let lastMs = 0
    for (let i = 0; i < 5_000; i++) {
      heap.push(lastMs + ((i * 7_919) % 101), 1, i)
      if (i % 3 === 0) continue
      heap.pop(event)
      assert.ok(event.atMs >= lastMs)
      lastMs = event.atMs
    }
  })
})
