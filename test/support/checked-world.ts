/**
 * A small world that has something to check: three nodes that wrote about the same things, voted, and converged, with the
 * acknowledgements and the watch that was kept over it.
 */
import assert from 'node:assert/strict'
import { Watch, type Ack, type Evidence, type Violation } from '../../simulations/checkers/checker.ts'
import { loadScenario } from '../../simulations/scenarios/parse.ts'
import type { SimNode } from '../../simulations/world/sim-node.ts'
import { World } from '../../simulations/world/world.ts'

export interface CheckedWorld {
  readonly world: World
  readonly watch: Watch
  readonly acks: Ack[]
  readonly evidence: Evidence
}

export const nodeOf = (world: World, index: number): SimNode => world.nodes[index] as SimNode

/** Three nodes that write about the same things, and have converged. */
export async function checkedWorld(seed: string): Promise<CheckedWorld> {
  const bare = new World({ seed, nodes: 3 })
  const voters = bare.nodes.map(({ author }) => author)
  const world = new World({ seed, nodes: 3, voters })
  const watch = new Watch(world)
  const acks: Ack[] = []
  await world.start()
  const noted = async (node: SimNode, write: (engine: SimNode['engine']) => ReturnType<SimNode['engine']['add']>) => {
    const ack = { node: node.name, receipt: await write(node.engine), request: null, atMs: world.queue.nowMs }
    acks.push(ack)
    watch.acknowledged(ack)
    return ack.receipt.id
  }
  const settle = async (): Promise<void> => {
    await world.queue.run(world.queue.nowMs + 10_000, () => world.converged())
    watch.tick()
  }
  const [a, b, c] = [nodeOf(world, 0), nodeOf(world, 1), nodeOf(world, 2)]
  const first = await world.settled(
    noted(a, (engine) => engine.add({ content: 'first', key: 'shared', tags: ['red', 'blue'], importance: 0.3 }))
  )
  await settle()
  await world.settled(noted(b, (engine) => engine.revise({ id: first, content: 'second', tagsRemove: ['red'] })))
  await settle()
  await world.settled(noted(c, (engine) => engine.revise({ id: first, content: 'third', importance: 0.8 })))
  for (const node of [a, b, c]) {
    await world.settled(noted(node, (engine) => engine.vote({ id: first, verdict: 'confirm', confidence: 0.9 })))
    await world.settled(noted(node, (engine) => engine.add({ content: `own of ${node.name}`, tags: ['own'] })))
  }
  await world.queue.run(world.queue.nowMs + 10_000, () => world.converged())
  const options = { scenario: loadScenario('calm'), seed }
  const evidence: Evidence = {
    world,
    honest: world.nodes,
    acknowledged: acks,
    faults: [],
    liars: [],
    healedMs: world.queue.nowMs,
    options,
    voters
  }
  return { world, watch, acks, evidence }
}

/** Some violation is of this invariant, and says so in these words. */
export function assertBreaks(found: readonly Violation[], invariant: Violation['invariant'], words: RegExp): void {
  const hit = found.find((one) => one.invariant === invariant && words.test(one.what))
  assert.ok(
    hit !== undefined,
    `${invariant} ${words} is not among: ${found.map((one) => `${one.invariant} ${one.what}`).join(' | ')}`
  )
}
