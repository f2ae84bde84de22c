/** What reading a page costs: a delta that wrote all of its records is read and hashed once, not once for each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bench } from '../../support/engine.ts'

test('a page of records from one delta reads that delta once', async () => {
  const bench = new Bench()
  try {
    const { node, store } = await bench.start({ seed: 1 })
    const requests = Array.from({ length: 40 }, (_, i) => ({ content: `memory ${i}`, dedupe: 'allow' as const }))
    await bench.finish(node.addMany(requests))
    let reads = 0
    store.damage = (table, _key, value) => {
      if (table === 'delta') reads++
      return value
    }
    const { items } = await bench.finish(node.list({ limit: 100 }))
    assert.equal(items.length, 40)
    assert.ok(items.every((item) => item.verified && item.fingerprint === items[0]?.fingerprint))
    assert.equal(reads, 1)
  } finally {
    await bench.stop()
  }
})
