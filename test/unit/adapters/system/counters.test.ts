/** Counters and gauges, and what they refuse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, REFUSED_METRIC } from '../../../../src/adapters/system/counters.ts'

test('counters add up, gauges show the last value, the snapshot is sorted and its own', () => {
  const metrics = createMetrics()
  metrics.gauge('chrysalis_node_queue_items', 7)
  metrics.count('chrysalis_gossip_received_total')
  metrics.count('chrysalis_gossip_received_total', 4)
  metrics.gauge('chrysalis_node_queue_items', 3)
  const snapshot = metrics.snapshot()
  assert.deepEqual(snapshot, {
    chrysalis_gossip_received_total: 5,
    [REFUSED_METRIC]: 0,
    chrysalis_node_queue_items: 3
  })
  assert.deepEqual(Object.keys(snapshot), [...Object.keys(snapshot)].sort())
  metrics.count('chrysalis_gossip_received_total')
  assert.equal(snapshot['chrysalis_gossip_received_total'], 5)
})

test('what is no number or runs backwards is refused and counted', () => {
  const metrics = createMetrics()
  metrics.count('a', 2)
  metrics.count('a', -1)
  metrics.count('a', Number.NaN)
  metrics.gauge('b', Number.POSITIVE_INFINITY)
  assert.deepEqual(metrics.snapshot(), { a: 2, [REFUSED_METRIC]: 3 })
})

test('names are bounded at the limit, known ones go on, and the loss is counted', () => {
  const metrics = createMetrics(3)
  for (const name of ['a', 'b', 'c', 'd', 'e']) metrics.count(name)
  metrics.count('c')
  metrics.gauge('a', 9)
  assert.deepEqual(metrics.snapshot(), { a: 9, b: 1, c: 2, [REFUSED_METRIC]: 2 })
})
