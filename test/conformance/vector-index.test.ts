/** The suite of the vector index on each of its kinds. */
import assert from 'node:assert/strict'
import { GraphIndex } from '../../src/adapters/vector/graph-index.ts'
import { TieredIndex } from '../../src/adapters/vector/tiered-index.ts'
import { vectorIndexSuite } from './vector-index.ts'

function make(dimensions: number, exactMax: number): TieredIndex {
  return new TieredIndex({
    dimensions,
    exactMax,
    makeGraph: () => GraphIndex.create(dimensions, (reason) => assert.fail(reason)),
    saveGraph: () => assert.fail('nobody asked to save'),
    monotonicMs: () => performance.now()
  })
}

vectorIndexSuite({
  name: 'exact',
  recallMin: 0.99,
  open: async (dimensions) => {
    const index = make(dimensions, 1_000_000)
    return { index, settled: () => assert.equal(index.settle(1_000), false) }
  }
})

vectorIndexSuite({
  name: 'graph',
  recallMin: 0.95,
  open: async (dimensions) => {
    const index = make(dimensions, 1)
    return {
      index,
      settled: () => {
        while (index.settle(1_000));
        if (index.size > 1) assert.equal(index.settled, index.size, 'everything is in the graph')
      }
    }
  }
})

vectorIndexSuite({
  name: 'half moved',
  recallMin: 0.95,
  open: async (dimensions) => {
    const index = make(dimensions, 1)
    return {
      index,
      settled: () => {
        const goal = Math.floor(index.size / 2)
        while (index.settled < goal) index.settle(0)
      }
    }
  }
})
