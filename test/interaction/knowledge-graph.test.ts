/**
 * One knowledge graph written on several engines that do not hear each other for a while: whatever they did meanwhile,
 * once they meet they show the same graph, nothing that was created alike is there twice, and what no one deleted is
 * there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/base/prng.ts'
import type { ToolContext } from '../../src/mcp/profile.ts'
import { serverMemoryProfile } from '../../src/mcp/profiles/server-memory.ts'
import { localCaller } from '../../src/rpc/local.ts'
import { Bench, type Engine } from '../support/engine.ts'
import { createFakeControl } from '../support/fake-node.ts'

type Run = (tool: string, args: Record<string, unknown>) => Promise<Record<string, unknown>>

interface Graph {
  readonly entities: readonly {
    readonly name: string
    readonly entityType: string
    readonly observations: readonly string[]
  }[]
  readonly relations: readonly unknown[]
}

/** The tools of one engine, as a daemon of its own offers them. */
function toolsOf(bench: Bench, engine: Engine): Run {
  const { tools } = serverMemoryProfile()
  const context: ToolContext = {
    caller: localCaller(engine.node, createFakeControl()),
    space: undefined,
    nowMs: () => engine.clock.nowMs()
  }
  return async (name, args) => {
    const tool = tools.find((one) => one.name === name)
    if (tool === undefined) throw new Error(`no tool ${name}`)
    return (await bench.finish(tool.run(tool.input.parse(args), context))).structured
  }
}

const graphOf = async (run: Run): Promise<Graph> => (await run('read_graph', {})) as unknown as Graph

/** One step that somebody may take. Few names, so that the engines are at the same things. */
async function step(run: Run, random: SeededRandom): Promise<void> {
  const pick = (count: number): number => random.below(count)
  const name = `e${pick(4)}`
  const text = `fact ${pick(4)}`
  const relation = { from: name, to: `e${pick(4)}`, relationType: `r${pick(2)}` }
  const deed = pick(8)
  if (deed < 3) await run('create_entities', { entities: [{ name, entityType: `t${pick(3)}`, observations: [text] }] })
  else if (deed === 3) await run('create_relations', { relations: [relation] })
  else if (deed === 4) {
    const { entities } = await graphOf(run)
    if (entities.some((entity) => entity.name === name))
      await run('add_observations', { observations: [{ entityName: name, contents: [text] }] })
  } else if (deed === 5) await run('delete_entities', { entityNames: [name] })
  else if (deed === 6) await run('delete_observations', { deletions: [{ entityName: name, observations: [text] }] })
  else await run('delete_relations', { relations: [relation] })
}

async function withEngines(
  act: (bench: Bench, engines: readonly Engine[], meet: () => Promise<void>) => Promise<void>
) {
  const bench = new Bench()
  try {
    const engines = [await bench.start({ seed: 1 }), await bench.start({ seed: 2, clockOffsetMs: 700 })]
    const [one, other] = engines as [Engine, Engine]
    const roots = (): (string | undefined)[] => engines.map((engine) => engine.node.spaces()[0]?.root)
    await act(bench, engines, async () => {
      one.network.link(other.network)
      assert.ok(await bench.pass(300_000, () => roots()[0] === roots()[1]), 'they came to agree')
      for (const engine of engines) await engine.node.idle()
    })
  } finally {
    await bench.stop()
  }
}

for (const seed of ['one', 'two', 'three', 'four']) {
  test(`apart for a while and then together, both show one graph (${seed})`, () =>
    withEngines(async (bench, engines, meet) => {
      const random = new SeededRandom(`knowledge graph ${seed}`)
      const runs = engines.map((engine) => toolsOf(bench, engine))
      for (let i = 0; i < 40; i++) {
        await step(runs[random.below(2)] as Run, random)
        await bench.pass(random.below(50))
      }
      await meet()
      const [a, b] = [await graphOf(runs[0] as Run), await graphOf(runs[1] as Run)]
      assert.deepEqual(a, b)
      assert.ok((a?.entities.length ?? 0) > 0, 'there is something to compare')
      const names = a?.entities.map(({ name }) => name) ?? []
      assert.equal(new Set(names).size, names.length)
      for (const { observations } of a?.entities ?? []) assert.equal(new Set(observations).size, observations.length)
    }))
}

test('the same created on both is there once; what was added to an entity deleted elsewhere waits for its return', () =>
  withEngines(async (bench, engines, meet) => {
    const [here, there] = engines.map((engine) => toolsOf(bench, engine)) as [Run, Run]
    const common = { name: 'common', entityType: 't', observations: ['same'] }
    await here('create_entities', { entities: [common, { name: 'mine', entityType: 't', observations: ['a'] }] })
    await there('create_entities', { entities: [common] })
    await meet()
    const both = { entities: [common, { name: 'mine', entityType: 't', observations: ['a'] }], relations: [] }
    const sorted = async (run: Run): Promise<Graph> => {
      const { entities, relations } = await graphOf(run)
      return { entities: [...entities].sort((x, y) => (x.name < y.name ? -1 : 1)), relations }
    }
    assert.deepEqual([await sorted(here), await sorted(there)], [both, both])

    engines[0]?.network.unlink((engines[1] as Engine).network)
    await here('delete_entities', { entityNames: ['mine'] })
    await there('add_observations', { observations: [{ entityName: 'mine', contents: ['b'] }] })
    await meet()
    const gone = { entities: [common], relations: [] }
    assert.deepEqual([await graphOf(here), await graphOf(there)], [gone, gone])
    const back = { name: 'mine', entityType: 't2', observations: ['c'] }
    await here('create_entities', { entities: [back] })
    await meet()
    const { entities } = await sorted(there)
    assert.deepEqual([...(entities[1]?.observations ?? [])].sort(), ['b', 'c'])
  }))
