/** From the arguments a model wrote to the result it reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { Tool, ToolContext } from '../../../src/mcp/profile.ts'
import { checkArguments, ToolRunner } from '../../../src/mcp/tool-runner.ts'

const CONTEXT = { caller: { call: () => Promise.reject(new Error('no calls here')) }, space: undefined, nowMs: () => 0 }

function toolOf(changes: Partial<Tool> = {}): Tool {
  return {
    name: 'probe',
    description: 'A probe.',
    input: z.object({
      query: z.string(),
      k: z.int().min(1).max(50).optional(),
      tags: z.array(z.string()).optional()
    }),
    output: z.object({}),
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    aliases: { q: 'query', text: 'query', limit: 'k', tag: 'tags', __proto__: 'query' },
    run: (args) => Promise.resolve({ structured: { ...args }, text: JSON.stringify(args) }),
    ...changes
  }
}

const runner = (): ToolRunner => new ToolRunner(() => CONTEXT as unknown as ToolContext)
const textOf = (result: Awaited<ReturnType<ToolRunner['run']>>): string => {
  const [first] = result.content
  return first?.type === 'text' ? first.text : ''
}

test('other names for an argument are put right in silence', () => {
  const cases: readonly (readonly [object, object])[] = [
    [{ q: 'x' }, { query: 'x' }],
    [
      { text: 'x', limit: 3 },
      { query: 'x', k: 3 }
    ],
    [{ query: 'right', q: 'wrong' }, { query: 'right' }],
    [{ q: 'first', text: 'second' }, { query: 'first' }],
    [
      { query: ['one'], tag: 'a' },
      { query: ['one'], tags: ['a'] }
    ],
    [{ q: ['one'] }, { query: 'one' }]
  ]
  for (const [given, expected] of cases) {
    const query = (given as { query?: unknown }).query
    if (Array.isArray(query)) assert.throws(() => checkArguments(toolOf(), given))
    else assert.deepEqual({ ...checkArguments(toolOf(), given) }, expected)
  }
})

test('an argument nobody knows is refused with the name that was meant', () => {
  assert.throws(() => checkArguments(toolOf(), { query: 'x', tagz: [] }), {
    code: 'invalid_argument',
    message: /no argument tagz/,
    hint: 'Did you mean tags?'
  })
  const elsewhere = toolOf({ aliases: { memory_id: 'id' } })
  assert.throws(() => checkArguments(elsewhere, { query: 'x', memory_id: 'y' }), { message: /no argument memory_id/ })
  assert.throws(() => checkArguments(toolOf(), { query: 'x', zzzzzzzz: 1 }), { hint: 'It takes query, k, tags.' })
})

test('a schema that is open takes any name', () => {
  const open = toolOf({ input: z.looseObject({ query: z.string() }) })
  assert.deepEqual({ ...checkArguments(open, { query: 'x', more: 1 }) }, { query: 'x', more: 1 })
})

test('no argument reaches a prototype', () => {
  const hostile: unknown[] = [
    JSON.parse('{"query":"x","__proto__":{"polluted":1}}'),
    JSON.parse('{"query":"x","constructor":{"prototype":{"polluted":1}}}'),
    JSON.parse('{"__proto__":"x"}')
  ]
  for (const given of hostile) assert.throws(() => checkArguments(toolOf(), given), { code: 'invalid_argument' })
  const open = toolOf({ input: z.looseObject({}) })
  checkArguments(open, hostile[0])
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('a wrong type is named with its place', async () => {
  const result = await runner().run(toolOf(), { query: 'x', k: 0 })
  assert.equal(result.isError, true)
  assert.match(textOf(result), /^probe: k: .*; nothing was done\.$/)
  assert.equal((await runner().run(toolOf(), 'text')).isError, true)
})

test('an error is a result with what to do', async () => {
  const failing = toolOf({
    run: () =>
      Promise.reject(
        new ChrysalisError('rate_limited', 'memory.add: too\nfast\u001b[31m.', {
          hint: 'Slow down.',
          data: { retryMs: 12.5 }
        })
      )
  })
  const result = await runner().run(failing, { query: 'x' })
  assert.equal(result.isError, true)
  assert.equal(textOf(result), 'too fast. Slow down. Try again in 13 ms.')
  const broken = await runner().run(toolOf({ run: () => Promise.reject(new Error('bug')) }), { query: 'x' })
  assert.match(textOf(broken), /^The daemon failed: bug\. Look before writing again/)
})

test('so many calls are at work and no more, a refusal is a result', async () => {
  let release: () => void = () => undefined
  const gate = new Promise<void>((resolve) => (release = resolve))
  const slow = toolOf({ run: () => gate.then(() => ({ structured: {}, text: 'done' })) })
  const one = runner()
  const calls = Array.from({ length: LIMITS.mcpCallsInFlightMax }, () => one.run(slow, { query: 'x' }))
  assert.equal(one.running, LIMITS.mcpCallsInFlightMax)
  const refused = await one.run(slow, { query: 'x' })
  assert.equal(refused.isError, true)
  assert.match(textOf(refused), /at work already; nothing was done/)
  release()
  for (const result of await Promise.all(calls)) assert.equal(result.isError, undefined)
  assert.equal(one.running, 0)
})
