/** memory.context: an engine of its own for each test. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { tokensOf } from '../../../src/base/tokens.ts'
import type { AddRequest, ContextAnswer, ContextRequest } from '../../../src/node/api.ts'
import { Bench, codeOf, PRIVATE_SPACE, type Engine } from '../../support/engine.ts'

const bench = new Bench()
after(() => bench.stop())
let seed = 90
const start = (): Promise<Engine> => bench.start({ seed: seed++, hasPrivate: true })

/** One after the other, so that newest first is one order. */
async function add({ node }: Engine, ...memories: readonly AddRequest[]): Promise<string[]> {
  const ids: string[] = []
  for (const memory of memories) {
    ids.push((await node.add(memory)).id)
    await bench.pass(10)
  }
  return ids
}

const SECTIONS = ['pinned', 'open', 'changes', 'relevant'] as const
const shown = (answer: ContextAnswer) => SECTIONS.flatMap((section) => answer[section])
const contents = (answer: ContextAnswer): Record<string, (string | null)[]> =>
  Object.fromEntries(SECTIONS.map((section) => [section, answer[section].map((item) => item.content)]))

const MEMORIES: AddRequest[] = [
  { content: 'always run the linter before a push', pinned: true, importance: 0.9, kind: 'procedure' },
  { content: 'the house style is two spaces', pinned: true },
  { content: 'migrate the billing tables', kind: 'task' },
  { content: 'we deploy on tuesdays only', kind: 'decision', path: 'ops/deploy' },
  { content: 'the deploy script needs a token', kind: 'fact' },
  { content: 'lunch is at noon', kind: 'fact' }
]

describe('memory.context', () => {
  it('tells what is pinned, open and relevant, each once and in that order', async () => {
    const engine = await start()
    const { node } = engine
    await add(engine, ...MEMORIES)
    const answer = await node.context({ goal: 'deploy the linter' })
    assert.deepEqual(contents(answer), {
      pinned: ['always run the linter before a push', 'the house style is two spaces'],
      open: ['we deploy on tuesdays only', 'migrate the billing tables'],
      changes: [],
      relevant: ['the deploy script needs a token']
    })
    assert.equal(answer.overflow, false)
    assert.equal(answer.usedTokens, tokensOf(answer.text))
    assert.equal(answer.index.state, 'complete')
    let at = -1
    for (const { content, id } of shown(answer)) {
      assert.ok(answer.text.indexOf(`| ${content ?? ''}`) > at, 'in the order of the sections')
      at = answer.text.indexOf(`| ${content ?? ''}`)
      assert.equal(answer.text.split(id.slice(0, 8)).length, 2)
    }
    for (const title of ['## Pinned', '## Open tasks and decisions', '## Relevant to the goal']) {
      assert.equal(answer.text.split(title).length, 2, title)
    }
    assert.doesNotMatch(answer.text, /Changed since/)
  })

  it('needs no goal', async () => {
    const engine = await start()
    const { node } = engine
    await add(engine, ...MEMORIES)
    const answer = await node.context({})
    assert.deepEqual([answer.pinned.length, answer.open.length, answer.relevant.length], [2, 2, 0])
    const nothing = await (await start()).node.context({ goal: 'anything' })
    assert.deepEqual([nothing.text, nothing.usedTokens, nothing.overflow, nothing.cursor], ['', 0, false, '0'])
  })

  it('leaves out what is done with: retracted, expired and superseded', async () => {
    const { node, clock } = await start()
    const done = await node.add({ content: 'task done', kind: 'task' })
    await node.add({ content: 'task dated', kind: 'task', expiresAt: clock.nowMs() })
    const old = await node.add({ content: 'decision old', kind: 'decision', pinned: true })
    await node.add({ content: 'decision new', kind: 'decision', supersedes: [old.id] })
    await node.retract({ id: done.id, reason: 'done' })
    const { pinned, open } = contents(await node.context({}))
    assert.deepEqual([pinned, open], [[], ['decision new']])
  })

  it('tells what changed since the cursor, newest first, each record once', async () => {
    const { node } = await start()
    const first = await node.add({ content: 'alpha' })
    const { cursor } = await node.context({})
    assert.deepEqual((await node.context({ cursor })).changes, [])
    const second = await node.add({ content: 'beta' })
    await node.revise({ id: first.id, content: 'alpha two' })
    await node.revise({ id: second.id, content: 'beta two' })
    await bench.pass(10)
    await node.revise({ id: first.id, tagsAdd: ['x'] })
    const answer = await node.context({ cursor })
    assert.deepEqual(contents(answer)['changes'], ['alpha two', 'beta two'])
    assert.deepEqual((await node.context({ cursor: answer.cursor })).changes, [])
    assert.equal(await codeOf(node.context({ cursor: '999999' })), 'invalid_argument')
    assert.equal(await codeOf(node.context({ cursor: 'nonsense' })), 'invalid_argument')
  })

  it('takes being read for no change', async () => {
    const { node } = await start()
    await node.add({ content: 'gamma' })
    const { cursor } = await node.context({})
    await node.search({ query: 'gamma' })
    await bench.pass(700_000)
    assert.equal((await node.list({})).items[0]?.accessCount, 1, 'the reading was told')
    assert.notEqual((await node.changes({ limit: 0 })).cursor, cursor)
    assert.deepEqual((await node.context({ cursor })).changes, [])
  })

  it('stays in the spaces and below the path', async () => {
    const engine = await start()
    const { node } = engine
    await add(
      engine,
      { content: 'shared task', kind: 'task', path: 'a/b' },
      { content: 'other task', kind: 'task', path: 'a/bc' },
      { content: 'private task', kind: 'task', path: 'a/b/c', space: 'mine' }
    )
    const all = contents(await node.context({}))['open']
    assert.equal(all?.length, 3)
    assert.deepEqual(contents(await node.context({ spaces: [PRIVATE_SPACE] }))['open'], ['private task'])
    assert.deepEqual(contents(await node.context({ path: 'a/b' }))['open'], ['private task', 'shared task'])
    assert.equal(await codeOf(node.context({ spaces: ['nowhere'] })), 'not_found')
  })

  it('gives each section its part, and what one leaves to the others', async () => {
    const { node } = await start()
    const many = (prefix: string, fields: Partial<AddRequest>): AddRequest[] =>
      Array.from({ length: 12 }, (_, i) => ({ content: `${prefix} ${i} ${'word '.repeat(20)}`, ...fields }))
    await node.addMany([...many('pin', { pinned: true }), ...many('todo', { kind: 'task' }), ...many('ship', {})])
    const answer = await node.context({ goal: 'ship', budgetTokens: 900 })
    assert.equal(answer.overflow, true)
    for (const section of ['pinned', 'open', 'relevant'] as const) assert.ok(answer[section].length >= 2, section)
    const pinnedOnly = await node.context({ budgetTokens: 900, path: 'nowhere' })
    assert.equal(pinnedOnly.text, '')
    const wide = await node.context({ budgetTokens: 3_000 })
    assert.deepEqual([wide.pinned.length, wide.open.length, wide.overflow], [12, 12, false])
  })

  it('gives one memory even when nothing fits', async () => {
    const { node } = await start()
    await node.add({ content: 'long '.repeat(500), pinned: true })
    const answer = await node.context({ budgetTokens: 1 })
    assert.deepEqual([shown(answer).length, answer.overflow], [1, true])
    assert.ok(answer.usedTokens > 600)
  })

  it('exceeds no budget but with a single memory, repeats none, and says the same twice', async () => {
    const { node } = await start()
    const words = ['deploy', 'token', 'friday', 'linter', 'vault', 'pager']
    for (let i = 0; i < 40; i++) {
      const text = Array.from({ length: 1 + ((i * 7) % 40) }, (_, n) => words[(i + n) % 6]).join(' ')
      const kind = (['task', 'note', 'decision', 'fact'] as const)[i % 4]!
      await node.add({ content: `${i} ${text}`, kind, pinned: i % 5 === 0, importance: (i % 10) / 10 })
    }
    const cursor = '20'
    const requests = fc.record(
      {
        goal: fc.constantFrom(...words),
        budgetTokens: fc.integer({ min: 1, max: 2_500 }),
        cursor: fc.constant(cursor)
      },
      { requiredKeys: ['budgetTokens'] }
    )
    await fc.assert(
      fc.asyncProperty(requests, async (request: ContextRequest & { budgetTokens: number }) => {
        const answer = await node.context(request)
        const ids = shown(answer).map((item) => item.space + item.id)
        assert.ok(ids.length >= 1)
        assert.equal(new Set(ids).size, ids.length)
        assert.ok(answer.usedTokens <= request.budgetTokens || ids.length === 1)
        assert.equal(answer.usedTokens, tokensOf(answer.text))
        assert.deepEqual(await node.context(request), answer)
      }),
      { numRuns: 40 }
    )
  })
})
