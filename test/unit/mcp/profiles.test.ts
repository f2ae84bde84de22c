/** The tools as they are listed, and what each of our own answers with, checked against its own schema. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactSchema } from '../../../src/mcp/list-schema.ts'
import type { Profile, Tool, ToolContext } from '../../../src/mcp/profile.ts'
import { chooseProfiles, createProfiles } from '../../../src/mcp/profiles.ts'
import { checkArguments } from '../../../src/mcp/tool-runner.ts'
import { localCaller } from '../../../src/rpc/local.ts'
import { createFakeControl, createFakeNode } from '../../support/fake-node.ts'

const CORE_BYTES_MAX = 4_000

const profiles = createProfiles()
const profile = (name: string): Profile => profiles.get(name) as Profile

function listed({ tools }: Profile): string {
  return JSON.stringify(
    tools.map(({ name, description, input }) => ({ name, description, inputSchema: compactSchema(input, 'input') }))
  )
}

test('the six tools of core cost a model few bytes', () => {
  const bytes = Buffer.byteLength(listed(profile('core')))
  assert.ok(bytes <= CORE_BYTES_MAX, `${bytes} bytes`)
  assert.deepEqual(
    profile('core').tools.map((tool) => tool.name),
    ['remember', 'recall', 'inspect', 'revise', 'judge', 'forget']
  )
})

test('the list is the same whenever it is made', () => {
  for (const [name, one] of createProfiles()) assert.equal(listed(one), listed(profile(name)))
})

test('the schemas are valid and say no more than they must', () => {
  const text = listed(profile('core'))
  for (const noise of ['$schema', 'anyOf', '9007199254740991', 'additionalProperties']) {
    assert.equal(text.includes(noise), false, noise)
  }
  const { properties, required, type } = compactSchema(profile('core').tools[0]!.input, 'input')
  assert.equal(type, 'object')
  assert.deepEqual(required, ['content'])
  assert.deepEqual((properties as Record<string, unknown>)['valid_to'], { type: ['string', 'number'] })
})

test('annotations say what a person may be told', () => {
  const of = (name: string) => profile('core').tools.find((tool) => tool.name === name)?.annotations
  assert.equal(of('recall')?.readOnlyHint, true)
  assert.equal(of('forget')?.destructiveHint, true)
  assert.equal(of('revise')?.idempotentHint, false)
  for (const { tools } of profiles.values())
    for (const tool of tools) assert.equal(tool.annotations.openWorldHint, false)
})

test('the names models reach for lead somewhere', () => {
  const leads = (tool: string, alias: string): string | undefined =>
    Object.keys(
      checkedWith(
        profile('core').tools.find((one) => one.name === tool)!,
        alias
      )
    )[0]
  for (const alias of ['q', 'text', 'search']) assert.equal(leads('recall', alias), 'query', alias)
  for (const alias of ['text', 'data', 'memory', 'body']) assert.equal(leads('remember', alias), 'content', alias)
  for (const alias of ['memory_id', 'ids', 'uuid']) assert.equal(leads('inspect', alias), 'id', alias)
  for (const tool of profile('core').tools) {
    for (const alias of ['namespace', 'project', 'group_id']) {
      assert.doesNotThrow(() => checkedWith(tool, alias, true), `${tool.name} ${alias}`)
    }
  }
})

/** Arguments with everything the tool must have, the first of them under another name. */
function checkedWith(tool: Tool, alias: string, beside = false): Record<string, unknown> {
  const needed = compactSchema(tool.input, 'input')['required'] as string[]
  const values: Record<string, unknown> = { ids: ['abcdef'], verdict: 'confirm', mode: 'expire' }
  const entries = needed.map((name) => [name, values[name] ?? 'abcdef'] as const)
  return checkArguments(tool, Object.fromEntries([[alias, 'abcdef'], ...(beside ? entries : entries.slice(1))]))
}

test('profiles are chosen by name, in order, each once', () => {
  const names = (chosen: readonly Profile[]): string[] => chosen.map((one) => one.name)
  assert.deepEqual(names(chooseProfiles(profiles, ['team', 'core', 'team'])), ['team', 'core'])
  assert.throws(() => chooseProfiles(profiles, ['core', 'taem']), { code: 'usage', hint: 'Did you mean team?' })
  assert.throws(() => chooseProfiles(profiles, ['\u001b[31m']), { code: 'usage' })
  const twin = { ...profile('core'), name: 'twin' }
  assert.throws(() => chooseProfiles(new Map([...profiles, ['twin', twin]]), ['core', 'twin']), { code: 'usage' })
})

/** Each tool of ours with arguments that work; ID stands for a memory that is there. */
const CALLS: readonly (readonly [profile: string, tool: string, args: Record<string, unknown>])[] = [
  ['core', 'remember', { content: 'A fact', tags: ['t'], expires_at: '2099-01-01', origin: 'document' }],
  ['core', 'recall', { query: 'first', k: 3, explain: true, since: '2020-01-01', as_of: 1_800_000_000_000 }],
  ['core', 'inspect', { id: 'ID' }],
  ['core', 'revise', { id: 'ID', content: 'Changed', tags_add: ['new'], valid_to: '2099-01-01' }],
  ['core', 'judge', { id: 'ID', verdict: 'confirm', reason: 'seen' }],
  ['core', 'forget', { ids: ['ID'], reason: 'wrong' }],
  ['core', 'forget', { ids: ['ID', 'ffffff'], reason: 'old', mode: 'expire' }],
  ['team', 'context', { goal: 'first' }],
  ['team', 'changes', {}],
  ['team', 'changes', { cursor: '0' }],
  ['team', 'link', { from: 'ID', relation: 'evidence', to: 'https://example.org' }],
  ['team', 'promote', { ids: ['ID'] }],
  ['team', 'signal', { to: 'reviewer', content: 'Ready' }],
  ['team', 'spaces', {}],
  ['team', 'peers', { connected: true }],
  ['team', 'sync_wait', { ids: ['ID'], timeout_ms: 100 }],
  ['ops', 'status', {}],
  ['ops', 'doctor', {}],
  ['ops', 'audit', {}],
  ['ops', 'verify', {}],
  ['ops', 'consolidate', {}],
  ['ops', 'invite', { hours: 1 }]
]

test('no tool of ours is left out below', () => {
  const named = new Set(CALLS.map(([, tool]) => tool))
  for (const name of ['core', 'team', 'ops'])
    for (const { name: tool } of profile(name).tools) assert.ok(named.has(tool), tool)
})

for (const [from, name, given] of CALLS) {
  test(`${from}: ${name} ${JSON.stringify(given)} answers as its schema says`, async () => {
    const node = createFakeNode()
    const caller = localCaller(node, createFakeControl())
    const { id } = await caller.call('memory.add', { content: 'The first memory' })
    const args = JSON.parse(JSON.stringify(given).replaceAll('"ID"', JSON.stringify(id))) as Record<string, unknown>
    const context: ToolContext = { caller, space: undefined, nowMs: () => 1_800_000_000_000 }
    const tool = profile(from).tools.find((one) => one.name === name)!
    const { structured, text } = await tool.run(checkArguments(tool, args), context)
    assert.deepEqual(tool.output.strict().parse(structured), structured)
    assert.deepEqual(JSON.parse(JSON.stringify(structured)), structured, 'it is JSON')
    assert.ok(text.length > 0)
  })
}
