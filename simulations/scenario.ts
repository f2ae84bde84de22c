/**
 * The standard scenario: agents on lossy lines write while the network is cut in two and one daemon loses power; after
 * that every node must come to hold every acknowledged write, in the very same state. It reports what it cost.
 */
import type { WriteReceipt } from '../src/node/api.ts'
import type { SimNode } from './world/sim-node.ts'
import { World } from './world/world.ts'

export interface ScenarioOptions {
  readonly seed: string
  readonly nodes: number
  /** Memories written in all. */
  readonly writes: number
  /** Share of gossip hops lost. */
  readonly loss: number
  /** Whether the world is cut in two for a third of the writing time. */
  readonly partition: boolean
  /** Whether one node loses power while it writes. */
  readonly crash: boolean
}

export interface ScenarioReport {
  readonly converged: boolean
  /** Acknowledged writes, and how many of them are missing on some node. */
  readonly acknowledged: number
  readonly missing: number
  /** Distinct digests of all records over the nodes: 1 when every node shows the same. */
  readonly states: number
  readonly root: string
  /** Virtual milliseconds from the end of writing, or of the last fault if that is later, to convergence. */
  readonly repairMs: number
  readonly virtualMs: number
  readonly events: number
  readonly trace: string
  /** Sums over all nodes. */
  readonly counters: Readonly<Record<string, number>>
}

/** Writing goes on for this long, virtual milliseconds. */
const WRITING_MS = 30_000
const CUT_AT_MS = 8_000
const HEAL_AT_MS = 18_000
const CRASH_AT_MS = 12_000
const RESTART_AT_MS = 20_000
/** A world that has not converged by then never will: many times the longest back-off. */
const PATIENCE_MS = 600_000

export async function runScenario(options: ScenarioOptions): Promise<ScenarioReport> {
  const world = new World({
    seed: options.seed,
    nodes: options.nodes,
    air: { loss: options.loss, duplication: 0.02 },
    clockSkewMs: 500
  })
  await world.start()
  const originMs = world.queue.nowMs
  const acknowledged: WriteReceipt[] = []
  scheduleWrites(world, options, acknowledged)
  if (options.partition) schedulePartition(world)
  const power = options.crash ? schedulePowerCut(world) : Promise.resolve()
  await world.queue.run(originMs + WRITING_MS)
  await world.settled(power)
  const quietMs = world.queue.nowMs
  const converged = await world.queue.run(quietMs + PATIENCE_MS, () => world.converged())
  const report = await inspect(world, acknowledged, converged, quietMs)
  await world.stop()
  return report
}

function scheduleWrites(world: World, options: ScenarioOptions, acknowledged: WriteReceipt[]): void {
  const random = world.random.fork('workload')
  for (let i = 0; i < options.writes; i++) {
    const node = world.nodes[random.below(world.nodes.length)] as SimNode
    // One in five agents speaks of a thing that others speak of too.
    const key = random.unit() < 0.2 ? { key: `shared-${random.below(10)}` } : {}
    world.queue.after(random.unit() * WRITING_MS, () => {
      if (!node.running) return
      node.engine.add({ content: `memory ${i} of ${node.name}`, tags: [`tag-${i % 7}`], ...key }).then(
        (receipt) => acknowledged.push(receipt),
        // A node that loses power in the middle acknowledges nothing, and owes nothing.
        () => undefined
      )
    })
  }
}

function schedulePartition(world: World): void {
  const half = Math.floor(world.nodes.length / 2)
  const peers = world.nodes.map((node) => node.peer)
  world.queue.after(CUT_AT_MS, () => {
    const heal = world.air.partition(new Set(peers.slice(0, half)), new Set(peers.slice(half)))
    world.queue.after(HEAL_AT_MS - CUT_AT_MS, heal)
  })
}

function schedulePowerCut(world: World): Promise<void> {
  const victim = world.nodes[world.random.fork('victim').below(world.nodes.length)] as SimNode
  return new Promise((resolve, reject) => {
    world.queue.after(CRASH_AT_MS, () => {
      const down = victim.crash()
      world.queue.after(RESTART_AT_MS - CRASH_AT_MS, () => {
        down.then(() => victim.start()).then(resolve, reject)
      })
    })
  })
}

async function inspect(
  world: World,
  acknowledged: readonly WriteReceipt[],
  converged: boolean,
  quietMs: number
): Promise<ScenarioReport> {
  const repairMs = world.queue.nowMs - quietMs
  const states = new Set<string>()
  const missing = new Set<string>()
  const counters: Record<string, number> = {}
  let root = ''
  for (const node of world.nodes) {
    const digest = await world.settled(node.engine.digest())
    states.add(digest.state)
    root = digest.root
    const held = await world.settled(allDeltas(node))
    for (const receipt of acknowledged) if (!held.has(receipt.delta)) missing.add(receipt.delta)
    for (const [name, value] of Object.entries(node.metrics.snapshot())) counters[name] = (counters[name] ?? 0) + value
  }
  return {
    converged,
    acknowledged: acknowledged.length,
    missing: missing.size,
    states: states.size,
    root,
    repairMs: Math.round(repairMs),
    virtualMs: Math.round(world.queue.nowMs),
    events: world.trace.events,
    trace: world.trace.digest(),
    counters
  }
}

async function allDeltas(node: SimNode): Promise<Set<string>> {
  const held = new Set<string>()
  let cursor: string | null = null
  do {
    const page: { ids: readonly string[]; cursor: string | null } = await node.engine.deltaIds({
      limit: 1_000,
      ...(cursor === null ? {} : { cursor })
    })
    for (const id of page.ids) held.add(id)
    cursor = page.cursor
  } while (cursor !== null)
  return held
}
