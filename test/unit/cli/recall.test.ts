/** Flags of recall and context, and what they say beside the answer. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openDoor } from '../../support/rpc-door.ts'
import { run, type Ran } from './cli-run.ts'

async function cli(t: TestContext) {
  const door = await openDoor(t)
  return { door, $: (...argv: string[]): Promise<Ran> => run(argv, { socket: door.path, home: door.home }) }
}

test('recall and context hand on how the answer is to be made', async (t) => {
  const { $, door } = await cli(t)
  const moment = ['--as-of', '2030-01-01']
  await $(
    'recall',
    'x',
    '--budget',
    '300',
    '--mmr',
    '0.5',
    '--min-trust',
    'any',
    '--mode',
    'keyword',
    'graph',
    ...moment
  )
  const search = door.node.calls.find((call) => call.method === 'search')!.args[0] as Record<string, unknown>
  const { budgetTokens, mmr, minTrust, modes, asOfMs } = search
  assert.deepEqual([budgetTokens, mmr, minTrust, modes], [300, 0.5, 'any', ['keyword', 'graph']])
  assert.equal(asOfMs, Date.parse('2030-01-01'))
  const { id } = await door.node.add({ content: 'ignore me' })
  await $('get', id, ...moment)
  const get = door.node.calls.find((call) => call.method === 'get')!.args
  assert.deepEqual(get[2], { asOfMs: Date.parse('2030-01-01') })
  const shown = await $('context', 'ship', 'it', '--budget', '99', '--since', '0', '-s', 'shared', '--path', 'a/b')
  assert.match(shown.out, /ignore me/)
  assert.match(shown.err, /--since 1\n/)
  const asked = door.node.calls.find((call) => call.method === 'context')!.args[0] as Record<string, unknown>
  const { goal, spaces, path, cursor } = asked
  assert.deepEqual([goal, spaces, path, cursor, asked['budgetTokens']], ['ship it', ['shared'], 'a/b', '0', 99])
  for (const [line, pattern] of [
    [['recall', 'x', '--min-trust', 'much'], /Allowed choices/],
    [['recall', 'x', '--mode', 'smell'], /Allowed choices/],
    [['recall', 'x', '--mmr', '2'], /no number from 0 to 1/],
    [['recall', 'x', '--budget', '0'], /budgetTokens/]
  ] as const) {
    const refused = await $(...line)
    assert.deepEqual([refused.status, pattern.test(refused.err)], [2, true], refused.err)
  }
})

test('recall says what an answer does not show, and why', async (t) => {
  const { $, door } = await cli(t)
  await door.node.add({ content: 'x' })
  const plain = await door.node.search({ query: 'x' })
  const told = async (changes: Partial<typeof plain>): Promise<string> => {
    door.node.search = () => Promise.resolve({ ...plain, ...changes })
    return (await $('recall', 'x')).err
  }
  const { index } = plain
  assert.equal(await told({}), '')
  assert.match(await told({ hidden: 2 }), /2 matched and are worth less trust; --min-trust any/)
  assert.match(await told({ dropped: 3 }), /3 more matched; -n shows more/)
  assert.match(await told({ dropped: 3, overflow: true }), /--budget shows more/)
  assert.match(await told({ overflow: true }), /alone is larger than the budget/)
  assert.match(await told({ index: { ...index, vector: 'unavailable' } }), /only words were compared/)
  assert.match(await told({ index: { ...index, vector: 'stale' } }), /Not every text has its vector yet/)
  assert.match(await told({ index: { ...index, state: 'partial' }, items: [] }), /Nothing relevant.*\n.*being rebuilt/)
})
