/**
 * One run of a small world on the real gossipsub with a little of everything that can happen, and what it is recognised
 * by: equal seeds must give equal texts, in whatever process.
 */
import assert from 'node:assert/strict'
import type { SimNode } from '../../simulations/world/sim-node.ts'
import { World } from '../../simulations/world/world.ts'

export async function fingerprint(seed: string): Promise<string> {
  const world = new World({
    seed,
    nodes: 20,
    overlay: 'gossipsub',
    network: 'wan8',
    crypto: 'fast',
    air: { loss: 0.1, duplication: 0.05 },
    clockSkewMs: 300
  })
  const node = (index: number): SimNode => world.nodes[index] as SimNode
  await world.start()
  try {
    await world.queue.run(world.queue.nowMs + 2_000)
    for (let i = 0; i < 15; i++) {
      await world.settled(node((i * 7) % 20).engine.add({ content: `memory ${i}` }))
      await world.queue.run(world.queue.nowMs + 120)
    }
    await world.settled(node(3).crash())
    await world.settled(node(4).engine.add({ content: 'while one is down' }))
    await world.queue.run(world.queue.nowMs + 1_000)
    await world.settled(node(3).start())
    assert.equal(await world.queue.run(world.queue.nowMs + 60_000, () => world.converged()), true)
    assert.equal(world.escaped, 0, 'a real timer was set')
    const { trace, queue, air } = world
    return `${trace.digest()} ${trace.events} ${queue.ran} ${JSON.stringify(air.bytes())}`
  } finally {
    await world.stop()
  }
}
