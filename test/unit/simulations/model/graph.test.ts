import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRandom } from '../../../../src/base/prng.ts'
import { Links, measureGraph } from '../../../../simulations/model/graph.ts'
import { createLand } from '../../../../simulations/model/land.ts'
import { drawConnections, drawMesh } from '../../../../simulations/model/mesh.ts'
import { completeGraph, ringGraph } from './worlds.ts'

const random = new SeededRandom('graph')

describe('measureGraph', () => {
  it('knows the complete graph', () => {
    const { edges, degreeMean, clustering, pathMean, pathMax, connected } = measureGraph(completeGraph(7), random)
    assert.deepEqual([edges, degreeMean, clustering, pathMean, pathMax, connected], [21, 6, 1, 1, 1, 1])
  })

  it('knows the ring: no triangles, paths of (N + 1) / 4 for an odd N', () => {
    const measures = measureGraph(ringGraph(11), random)
    assert.deepEqual([measures.clustering, measures.pathMean, measures.pathMax, measures.degreeMin], [0, 3, 5, 2])
  })

  it('knows two pieces apart', () => {
    const links = new Links(6, 2)
    for (const [u, v] of [
      [0, 1],
      [1, 2],
      [2, 0],
      [3, 4]
    ] as const) {
      links.add(u, v)
    }
    const { connected, degreeMin, clustering } = measureGraph(links.toGraph(), random, 1)
    assert.ok([3 / 6, 2 / 6, 1 / 6].includes(connected))
    assert.equal(degreeMin, 0)
    assert.equal(clustering, 0.5)
  })
})

describe('Links', () => {
  it('holds no link twice, none to itself, and none beyond its room', () => {
    const links = new Links(4, 2)
    assert.deepEqual([links.add(0, 1), links.add(1, 0), links.add(2, 2)], [true, false, false])
    assert.deepEqual([links.add(0, 2), links.add(0, 3)], [true, false])
  })

  it('knows the way back of every edge', () => {
    const { offsets, neighbours, reverse } = drawConnections(50, 4, new SeededRandom('reverse'))
    for (let u = 0; u < 50; u++) {
      for (let edge = offsets[u] as number; edge < (offsets[u + 1] as number); edge++) {
        const back = reverse[edge] as number
        assert.equal(neighbours[back], u)
        assert.equal(reverse[back], edge)
      }
    }
  })
})

describe('drawMesh', () => {
  for (const near of [0, 2]) {
    it(`keeps degrees between Dlo and Dhi and is in one piece, ${near} links near`, () => {
      const nodes = 2_000
      const land = createLand('wan8', nodes, random.fork('land'))
      const connections = drawConnections(nodes, 6, random.fork('connections'))
      const mesh = drawMesh(connections, { D: 4, Dlo: 3, Dhi: 6, near }, land, random.fork('mesh'), {
        heartbeatMs: 500,
        diallingMs: 200
      })
      const { degreeMin, degreeMax, degreeMean, connected } = measureGraph(mesh, random)
      assert.ok(degreeMin >= 3 && degreeMax <= 6 && connected === 1, `${degreeMin} ${degreeMax} ${connected}`)
      assert.ok(degreeMean > 3.5 && degreeMean < 5.5, `${degreeMean}`)
    })
  }

  /** Mean link of the mesh of 1,000 nodes all over the world. */
  const meanMs = (near: number, diallingMs: number): number => {
    const nodes = 1_000
    const land = createLand('wan8', nodes, random.fork('near'))
    const connections = drawConnections(nodes, 6, random.fork('connections'))
    const degrees = { D: 4, Dlo: 3, Dhi: 6, near }
    const mesh = drawMesh(connections, degrees, land, random.fork('mesh'), { heartbeatMs: 500, diallingMs })
    let sum = 0
    for (let u = 0; u < nodes; u++) {
      for (let edge = mesh.offsets[u] as number; edge < (mesh.offsets[u + 1] as number); edge++) {
        sum += land.usualMs(u, mesh.neighbours[edge] as number)
      }
    }
    return sum / mesh.neighbours.length
  }

  it('makes links shorter when some are to be near, in a network that came one by one', () => {
    assert.ok(meanMs(2, 60_000) < 0.9 * meanMs(0, 60_000))
  })

  it('leans to near peers when everybody starts at once', () => {
    assert.ok(meanMs(0, 200) < 0.9 * meanMs(0, 60_000))
  })

  it('makes a small world complete', () => {
    const connections = drawConnections(4, 6, new SeededRandom('small'))
    const land = createLand('lan', 4, random)
    const mesh = drawMesh(connections, { D: 4, Dlo: 3, Dhi: 6, near: 0 }, land, random, {
      heartbeatMs: 500,
      diallingMs: 200
    })
    assert.equal(measureGraph(mesh, random).edges, 6)
  })
})
