/** When vectors move into the graph, and what happens on the way; the index as such is in test/conformance. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GraphIndex } from '../../../../src/adapters/vector/graph-index.ts'
import { TieredIndex } from '../../../../src/adapters/vector/tiered-index.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import { clustered, nearest } from '../../../support/vectors.ts'

const monotonicMs = (): number => performance.now()
const saveGraph = async (): Promise<void> => undefined

test('up to the bound all are compared one by one; one more, and they begin to move', () => {
  const index = new TieredIndex({
    dimensions: 2,
    makeGraph: () => GraphIndex.create(2, (reason) => assert.fail(reason)),
    saveGraph,
    monotonicMs
  })
  for (let i = 0; i < LIMITS.vectorExactMax; i++) index.add(i, Float32Array.of(Math.cos(i), Math.sin(i)))
  assert.equal(index.settle(1), false)
  assert.equal(index.settled, 0)
  index.add(LIMITS.vectorExactMax, Float32Array.of(1, 0))
  assert.equal(index.settle(0), true)
  assert.equal(index.settled, 1, 'a budget of nothing moves one')
  assert.equal(index.size, LIMITS.vectorExactMax + 1)
})

test('with a graph there is no way back: what comes later moves as well', () => {
  const index = new TieredIndex({
    dimensions: 8,
    exactMax: 10,
    makeGraph: () => GraphIndex.create(8, (reason) => assert.fail(reason)),
    saveGraph,
    monotonicMs
  })
  const vectors = clustered({ count: 40, dimensions: 8, clusters: 4, seed: 1 })
  for (let i = 0; i < 20; i++) index.add(i, vectors[i] as Float32Array)
  while (index.settle(100));
  for (let i = 0; i < 18; i++) index.remove(i)
  index.add(30, vectors[30] as Float32Array)
  while (index.settle(100));
  assert.equal(index.settled, 3)
  assert.equal(index.search(vectors[30] as Float32Array, 1)[0]?.label, 30)
})

test('where there are no graphs everything is compared one by one', () => {
  let asked = 0
  const index = new TieredIndex({
    dimensions: 16,
    exactMax: 50,
    makeGraph: () => {
      asked++
      return undefined
    },
    saveGraph: () => assert.fail('there is nothing to save'),
    monotonicMs
  })
  const vectors = clustered({ count: 200, dimensions: 16, clusters: 5, seed: 2 })
  for (const [label, vector] of vectors.entries()) index.add(label, vector)
  assert.equal(index.settle(10), false)
  assert.equal(index.settle(10), false)
  assert.equal(asked, 1)
  const query = vectors[7] as Float32Array
  assert.deepEqual(
    index.search(query, 5).map((hit) => hit.label),
    nearest(query, vectors, 5)
  )
})

test('it is saved when the graph has changed, and again when that failed', async () => {
  let saved = 0
  let isBroken = false
  const index = new TieredIndex({
    dimensions: 2,
    exactMax: 1,
    makeGraph: () => GraphIndex.create(2, (reason) => assert.fail(reason)),
    saveGraph: async () => {
      if (isBroken) throw new Error('no room')
      saved++
    },
    monotonicMs
  })
  index.add(1, Float32Array.of(1, 0))
  await index.save()
  assert.equal(saved, 0, 'no graph yet')
  index.add(2, Float32Array.of(0, 1))
  while (index.settle(100));
  isBroken = true
  await assert.rejects(index.save(), /no room/)
  isBroken = false
  await index.save()
  await index.save()
  assert.equal(saved, 1)
  index.remove(2)
  await index.save()
  assert.equal(saved, 2)
})
