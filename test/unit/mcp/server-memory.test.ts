/** The profile `server-memory` against a real engine: the rules of the reference server, and those that records add. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { serverMemoryProfile } from '../../../src/mcp/profiles/server-memory.ts'
import { codeOf } from '../../support/engine.ts'
import { withProfile, type ProfileBench } from '../../support/profile-bench.ts'

const ADA = { name: 'Ada', entityType: 'person', observations: ['wrote the first program', 'knew Babbage'] }
const ENGINE = { name: 'Engine', entityType: 'machine', observations: [] }
const WORKED = { from: 'Ada', to: 'Engine', relationType: 'worked_on' }

function withGraph(act: (bench: ProfileBench) => Promise<void>): Promise<void> {
  return withProfile(serverMemoryProfile(), act)
}

async function graphOf({ run }: ProfileBench): Promise<unknown> {
  return (await run('read_graph', {})).structured
}

test('the nine tools carry the names and hints clients know', () => {
  const { name, tools } = serverMemoryProfile()
  assert.equal(name, 'server-memory')
  assert.deepEqual(
    tools.map((tool) => [tool.name, tool.annotations.readOnlyHint, tool.annotations.destructiveHint]),
    [
      ['create_entities', false, false],
      ['create_relations', false, false],
      ['add_observations', false, false],
      ['delete_entities', false, true],
      ['delete_observations', false, true],
      ['delete_relations', false, true],
      ['read_graph', true, false],
      ['search_nodes', true, false],
      ['open_nodes', true, false]
    ]
  )
})

test('what was created is read back in order, as JSON text and as data', () =>
  withGraph(async (bench) => {
    const created = await bench.run('create_entities', { entities: [ENGINE, ADA] })
    assert.deepEqual(created.structured, { entities: [ENGINE, ADA] })
    assert.equal(created.text, JSON.stringify([ENGINE, ADA], null, 2))
    await bench.run('create_relations', { relations: [WORKED] })
    const graph = { entities: [ENGINE, ADA], relations: [WORKED] }
    const read = await bench.run('read_graph', {})
    assert.deepEqual(read.structured, graph)
    assert.equal(read.text, JSON.stringify(graph, null, 2))
    assert.equal(await bench.resource('memory://knowledge-graph'), read.text)
  }))

test('an empty graph is two empty lists', () =>
  withGraph(async (bench) => assert.deepEqual(await graphOf(bench), { entities: [], relations: [] })))

test('creating skips what exists, in the store and in the request, and returns only what was new', () =>
  withGraph(async (bench) => {
    await bench.run('create_entities', { entities: [ADA] })
    const again = { name: 'Ada', entityType: 'ship', observations: ['floats'] }
    const { structured } = await bench.run('create_entities', { entities: [again, ENGINE, ENGINE] })
    assert.deepEqual(structured, { entities: [ENGINE] })
    await bench.run('create_relations', { relations: [WORKED] })
    const turned = { from: 'Engine', to: 'Ada', relationType: 'worked_on' }
    const relations = await bench.run('create_relations', { relations: [WORKED, turned, turned] })
    assert.deepEqual(relations.structured, { relations: [turned] })
    assert.deepEqual(await graphOf(bench), { entities: [ADA, ENGINE], relations: [WORKED, turned] })
  }))

test('observations are added once, and none at all when one entity of the request is missing', () =>
  withGraph(async (bench) => {
    await bench.run('create_entities', { entities: [ADA, ENGINE] })
    const missing = bench.run('add_observations', {
      observations: [
        { entityName: 'Ada', contents: ['lost'] },
        { entityName: 'Nobody', contents: ['x'] }
      ]
    })
    await assert.rejects(missing, /^ChrysalisError: Entity with name Nobody not found\.$/)
    const added = await bench.run('add_observations', {
      observations: [
        { entityName: 'Ada', contents: ['knew Babbage', 'was a countess', 'was a countess'] },
        { entityName: 'Ada', contents: ['was a countess', 'liked horses'] }
      ]
    })
    assert.deepEqual(added.structured, {
      results: [
        { entityName: 'Ada', addedObservations: ['was a countess'] },
        { entityName: 'Ada', addedObservations: ['liked horses'] }
      ]
    })
    const observations = [...ADA.observations, 'was a countess', 'liked horses']
    assert.deepEqual(await graphOf(bench), { entities: [{ ...ADA, observations }, ENGINE], relations: [] })
  }))

test('deleting takes observations and relations along, and what is not there is no error', () =>
  withGraph(async (bench) => {
    await bench.run('create_entities', { entities: [ADA, ENGINE] })
    await bench.run('create_relations', { relations: [WORKED, { ...WORKED, relationType: 'admired' }] })
    const gone = { from: 'x', to: 'y', relationType: 'z' }
    const relations = await bench.run('delete_relations', { relations: [WORKED, gone] })
    assert.deepEqual(relations.structured, { success: true, message: 'Relations deleted successfully' })
    assert.equal(relations.text, 'Relations deleted successfully')
    await bench.run('delete_observations', {
      deletions: [
        { entityName: 'Ada', observations: ['knew Babbage', 'never said'] },
        { entityName: 'Nobody', observations: ['x'] }
      ]
    })
    const rest = { ...ADA, observations: ['wrote the first program'] }
    const admired = { ...WORKED, relationType: 'admired' }
    assert.deepEqual(await graphOf(bench), { entities: [rest, ENGINE], relations: [admired] })
    await bench.run('delete_entities', { entityNames: ['Ada', 'Nobody'] })
    assert.deepEqual(await graphOf(bench), { entities: [ENGINE], relations: [] })
    const left = await bench.bench.finish(bench.engine.node.list({ path: 'kg' }))
    assert.deepEqual(
      left.items.map((item) => item.content),
      ['Engine (machine)'],
      'deleted facts are hidden from every other door as well'
    )
  }))

test('what was deleted can be created again, and comes back with what the new request says', () =>
  withGraph(async (bench) => {
    await bench.run('create_entities', { entities: [ADA, ENGINE] })
    await bench.run('create_relations', { relations: [WORKED] })
    await bench.run('delete_entities', { entityNames: ['Ada'] })
    const ship = { name: 'Ada', entityType: 'ship', observations: ['knew Babbage', 'floats'] }
    assert.deepEqual((await bench.run('create_entities', { entities: [ship] })).structured, { entities: [ship] })
    assert.deepEqual(await graphOf(bench), { entities: [ENGINE, ship], relations: [] })
    assert.deepEqual((await bench.run('create_relations', { relations: [WORKED] })).structured, { relations: [WORKED] })
    const deletions = [{ entityName: 'Ada', observations: ['floats'] }]
    await bench.run('delete_observations', { deletions })
    const observations = [{ entityName: 'Ada', contents: ['floats'] }]
    const { structured } = await bench.run('add_observations', { observations })
    assert.deepEqual(structured, { results: [{ entityName: 'Ada', addedObservations: ['floats'] }] })
    assert.deepEqual(await graphOf(bench), { entities: [ENGINE, ship], relations: [WORKED] })
  }))

test('search finds substrings in any case; it and open_nodes return the relations that touch what they found', () =>
  withGraph(async (bench) => {
    const tea = { name: 'Tea', entityType: 'drink', observations: [] }
    await bench.run('create_entities', { entities: [ADA, ENGINE, tea] })
    const likes = { from: 'Tea', to: 'Engine', relationType: 'spilled_on' }
    await bench.run('create_relations', { relations: [WORKED, likes] })
    const found = async (query: string) => (await bench.run('search_nodes', { query })).structured
    assert.deepEqual(await found('BABBAGE'), { entities: [ADA], relations: [WORKED] })
    assert.deepEqual(await found('drin'), { entities: [tea], relations: [likes] })
    assert.deepEqual(await found('worked_on'), { entities: [], relations: [] }, 'relations are not searched')
    assert.deepEqual(await found(''), { entities: [ADA, ENGINE, tea], relations: [WORKED, likes] })
    const open = async (names: string[]) => (await bench.run('open_nodes', { names })).structured
    assert.deepEqual(await open(['Tea', 'Ada', 'Nobody']), { entities: [ADA, tea], relations: [WORKED, likes] })
    assert.deepEqual(await open(['Nobody']), { entities: [], relations: [] })
    const many = Array.from({ length: 40 }, (_, i) => `n${i}`)
    assert.deepEqual(await open([...many, 'Ada']), { entities: [ADA], relations: [WORKED] })
  }))

test('twenty creations at once are all there; twenty of the same are one', () =>
  withGraph(async (bench) => {
    const entities = Array.from({ length: 20 }, (_, i) => ({ name: `e${i}`, entityType: 't', observations: [`o${i}`] }))
    await bench.runAll(entities.map((entity) => ['create_entities', { entities: [entity] }] as const))
    const same = { name: 'same', entityType: 't', observations: ['once'] }
    const answers = await bench.runAll(
      entities.map((_, i) => ['create_entities', { entities: [{ ...same, entityType: `t${i}` }] }] as const)
    )
    const created = answers.filter(({ structured }) => (structured['entities'] as unknown[]).length === 1)
    assert.equal(created.length, 1, 'one of them made it, the others were told so')
    const graph = (await bench.run('read_graph', {})).structured as { entities: { name: string }[] }
    assert.deepEqual(
      graph.entities.map(({ name }) => name).sort(),
      [...entities.map(({ name }) => name), 'same'].sort()
    )
  }))

test('odd names survive: empty, long, JSON, line breaks, sentences that look like others', () =>
  withGraph(async (bench) => {
    const name = 'x'.repeat(LIMITS.keyBytesMax - 'kg:e:'.length)
    const odd = [
      { name: '', entityType: '', observations: [''] },
      { name: '__proto__', entityType: 'constructor', observations: ['__proto__'] },
      { name: 'a (b)', entityType: 'c) (d', observations: ['a (b): a (b): e'] },
      { name: 'line\nbreak', entityType: '"quoted"', observations: ['tab\there', 'emoji 🦋'] },
      { name, entityType: 'long', observations: [] }
    ]
    assert.deepEqual((await bench.run('create_entities', { entities: odd })).structured, { entities: odd })
    const relations = [
      { from: 'a b', to: 'd', relationType: 'c' },
      { from: 'a', to: 'd', relationType: 'b c' },
      { from: '', to: '', relationType: '' }
    ]
    await bench.run('create_relations', { relations })
    assert.deepEqual(await graphOf(bench), { entities: odd, relations })
  }))

test('one byte more than fits is refused in words, and nothing is written', () =>
  withGraph(async (bench) => {
    const fits = 'x'.repeat(LIMITS.keyBytesMax - 'kg:e:'.length)
    const room = LIMITS.contentBytesMax - 'Ada: '.length
    const refused = async (tool: string, args: Record<string, unknown>, code: string): Promise<void> =>
      assert.equal(await codeOf(bench.run(tool, args)), code, tool)
    await refused('create_entities', { entities: [ADA, { ...ENGINE, name: `${fits}x` }] }, 'too_large')
    await refused('create_entities', { entities: [{ ...ADA, observations: ['x'.repeat(room + 1)] }] }, 'too_large')
    await refused('create_relations', { relations: [WORKED, { ...WORKED, relationType: fits }] }, 'too_large')
    await refused('create_entities', { entities: [{ ...ADA, name: 'half \ud83d' }] }, 'invalid_argument')
    await refused('create_entities', { entities: [{ ...ADA, name: 'nul \0' }] }, 'invalid_argument')
    assert.deepEqual(await graphOf(bench), { entities: [], relations: [] })
    const large = { ...ADA, observations: ['x'.repeat(room), 'y'.repeat(room), 'z'] }
    assert.deepEqual((await bench.run('create_entities', { entities: [large] })).structured, { entities: [large] })
    assert.deepEqual(await graphOf(bench), { entities: [large], relations: [] })
  }))

test('spellings that differ in Unicode form only are one name', () =>
  withGraph(async (bench) => {
    await bench.run('create_entities', { entities: [{ ...ENGINE, name: 'Zoe\u0308' }] })
    const { structured } = await bench.run('create_entities', { entities: [{ ...ENGINE, name: 'Zo\u00eb' }] })
    assert.deepEqual(structured, { entities: [] })
  }))

test('nothing in the text of an answer is invisible, and it still parses to the same', () =>
  withGraph(async (bench) => {
    const sly = { name: 'a\u200bb', entityType: '\u202ereversed', observations: ['tags \u{e0041}', 'c1 \u009b31m'] }
    const { text } = await bench.run('create_entities', { entities: [sly] })
    assert.match(text, /^[\n -~]+$/)
    assert.deepEqual(JSON.parse(text), [sly])
  }))

test('a memory revised through another door is shown as it is now', () =>
  withGraph(async (bench) => {
    await bench.run('create_entities', { entities: [ADA] })
    const { items } = await bench.bench.finish(bench.engine.node.list({ path: 'kg' }))
    const revise = (from: string, content: string) => {
      const id = items.find((item) => item.content === from)?.id ?? ''
      return bench.bench.finish(bench.engine.node.revise({ id, content }))
    }
    await revise('Ada: knew Babbage', 'Ada: met Babbage in 1833')
    await revise('Ada (person)', 'Ada (mathematician)')
    const now = {
      name: 'Ada',
      entityType: 'mathematician',
      observations: ['wrote the first program', 'met Babbage in 1833']
    }
    assert.deepEqual(await graphOf(bench), { entities: [now], relations: [] })
    const deletions = [{ entityName: 'Ada', observations: ['met Babbage in 1833'] }]
    await bench.run('delete_observations', { deletions })
    assert.deepEqual(await graphOf(bench), {
      entities: [{ ...now, observations: ['wrote the first program'] }],
      relations: []
    })
  }))

test('a graph of several pages is whole, and each batch is one delta', () =>
  withGraph(async (bench) => {
    const entities = Array.from({ length: 450 }, (_, i) => ({ name: `e${i}`, entityType: 't', observations: ['o'] }))
    await bench.run('create_entities', { entities })
    assert.ok(bench.calls.filter((method) => method === 'memory.addMany').length < 12)
    assert.deepEqual(await graphOf(bench), { entities, relations: [] })
    await bench.run('delete_entities', { entityNames: entities.map(({ name }) => name) })
    assert.deepEqual(await graphOf(bench), { entities: [], relations: [] })
  }))
