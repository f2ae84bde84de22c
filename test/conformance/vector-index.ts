/**
 * What every vector index must do, whatever is inside: one suite, run on the exact one, on the graph, and on one in the
 * middle of moving from the first to the second.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/base/prng.ts'
import type { VectorIndex } from '../../src/ports/vector-index.ts'
import { clustered, cosine, nearest, unit } from '../support/vectors.ts'

export interface VectorIndexCase {
  readonly name: string
  /** An empty index; `settled` has it do whatever it puts off. */
  open(dimensions: number): Promise<{ index: VectorIndex; settled: () => void }>
  /** Least share of the ten true neighbours that it must find among clustered vectors. */
  readonly recallMin: number
}

const DIMENSIONS = 48

export function vectorIndexSuite({ name, open, recallMin }: VectorIndexCase): void {
  test(`${name}: an empty index finds nothing`, async () => {
    const { index } = await open(DIMENSIONS)
    assert.equal(index.size, 0)
    assert.deepEqual(index.search(unit(DIMENSIONS, 0), 10), [])
    assert.equal(index.remove(7), false)
    assert.equal(index.has(7), false)
    assert.equal(index.settle(1), false)
  })

  test(`${name}: what was put in is found at once, and gone when removed`, async () => {
    const { index, settled } = await open(DIMENSIONS)
    for (let i = 0; i < DIMENSIONS; i++) index.add(1_000 + i, unit(DIMENSIONS, i))
    for (const phase of ['before', 'after'] as const) {
      if (phase === 'after') settled()
      assert.equal(index.size, DIMENSIONS)
      for (const i of [0, 17, DIMENSIONS - 1]) {
        const [best] = index.search(unit(DIMENSIONS, i), 3)
        assert.equal(best?.label, 1_000 + i, phase)
        assert.ok(Math.abs(best.similarity - 1) < 0.001, `${phase}: ${best.similarity}`)
      }
    }
    assert.equal(index.remove(1_017), true)
    assert.equal(index.remove(1_017), false)
    assert.equal(index.has(1_017), false)
    assert.equal(index.size, DIMENSIONS - 1)
    assert.ok(index.search(unit(DIMENSIONS, 17), DIMENSIONS).every((hit) => hit.label !== 1_017))
    assert.deepEqual(
      [...index.labels()].sort((a, b) => a - b),
      Array.from({ length: DIMENSIONS }, (_, i) => 1_000 + i).filter((label) => label !== 1_017)
    )
  })

  test(`${name}: a label put in again has its new vector only`, async () => {
    const { index, settled } = await open(DIMENSIONS)
    for (let i = 0; i < DIMENSIONS; i++) index.add(i, unit(DIMENSIONS, i))
    settled()
    index.add(3, unit(DIMENSIONS, 40))
    for (const phase of ['before', 'after']) {
      if (phase === 'after') settled()
      assert.equal(index.size, DIMENSIONS)
      const near = index.search(unit(DIMENSIONS, 40), 2)
      assert.deepEqual(new Set(near.map((hit) => hit.label)), new Set([3, 40]), phase)
      assert.ok((index.search(unit(DIMENSIONS, 3), 1)[0]?.similarity ?? 1) < 0.5)
    }
  })

  test(`${name}: after any changes it holds exactly what was put in and not removed`, async () => {
    const { index, settled } = await open(16)
    const random = new SeededRandom('changes')
    const vectors = clustered({ count: 40, dimensions: 16, clusters: 40, seed: 21 })
    const held = new Map<number, Float32Array>()
    for (let step = 0; step < 600; step++) {
      const label = random.below(30)
      if (random.below(3) === 0) assert.equal(index.remove(label), held.delete(label))
      else {
        const vector = vectors[random.below(vectors.length)] as Float32Array
        index.add(label, vector)
        held.set(label, vector)
      }
      if (step % 150 === 100) settled()
      assert.equal(index.size, held.size)
    }
    assert.deepEqual(new Set(index.labels()), new Set(held.keys()))
    for (const [label, vector] of held) {
      const hits = index.search(vector, held.size)
      assert.deepEqual(new Set(hits.map((hit) => hit.label)), new Set(held.keys()))
      const own = hits.find((hit) => hit.label === label)
      assert.ok(own !== undefined && Math.abs(own.similarity - 1) < 0.002, `${label}: ${own?.similarity}`)
    }
  })

  test(`${name}: labels reach to 2^52, and the vector handed in is not kept`, async () => {
    const { index, settled } = await open(DIMENSIONS)
    const label = 2 ** 52 - 1
    const vector = unit(DIMENSIONS, 5)
    index.add(label, vector)
    vector.fill(0)
    settled()
    assert.equal(index.search(unit(DIMENSIONS, 5), 1)[0]?.label, label)
    assert.equal(index.has(label), true)
  })

  test(`${name}: best first, and no more than wanted`, async () => {
    const { index, settled } = await open(DIMENSIONS)
    const vectors = clustered({ count: 300, dimensions: DIMENSIONS, clusters: 6, seed: 3 })
    for (const [label, vector] of vectors.entries()) index.add(label, vector)
    settled()
    const query = vectors[0] as Float32Array
    const hits = index.search(query, 25)
    assert.equal(hits.length, 25)
    for (const [i, hit] of hits.entries()) {
      if (i > 0) assert.ok(hit.similarity <= (hits[i - 1]?.similarity ?? 0))
      assert.ok(Math.abs(hit.similarity - cosine(query, vectors[hit.label] as Float32Array)) < 0.002)
    }
    assert.equal(index.search(query, 1_000).length, 300)
    assert.deepEqual(index.search(query, 0), [])
  })

  test(`${name}: finds at least ${recallMin * 100} % of the ten nearest of clustered vectors`, async () => {
    const { index, settled } = await open(96)
    const vectors = clustered({ count: 4_000, dimensions: 96, clusters: 40, seed: 11 })
    const queries = clustered({ count: 60, dimensions: 96, clusters: 40, seed: 11, skip: 4_000 })
    for (const [label, vector] of vectors.entries()) index.add(label, vector)
    settled()
    let found = 0
    for (const query of queries) {
      const truth = new Set(nearest(query, vectors, 10))
      for (const hit of index.search(query, 10)) if (truth.has(hit.label)) found++
    }
    const recall = found / (10 * queries.length)
    assert.ok(recall >= recallMin, `recall@10 is ${recall}`)
  })
}
