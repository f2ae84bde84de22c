/**
 * Working memory stays on its daemon: whatever is done with it, short of promoting it, not one of its bytes is ever
 * published, forwarded or sent in a session, and nobody who asks for it gets it. Everything that leaves the daemon is
 * searched for them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import { Bench, PRIVATE_SPACE, type Engine } from '../support/engine.ts'

const THOUGHT = 'the heron nests behind the pumping station'
const TAG = 'heron-tag'
const SESSION = 'session-of-the-heron'

function carried(bench: Bench): string[] {
  return bench.air.carried.map(({ bytes }) => toHex(bytes))
}

async function recall({ node }: Engine, bench: Bench, session: string): Promise<void> {
  const { items } = await bench.finish(node.search({ query: 'heron nests', session }))
  assert.ok(items.some(({ content }) => content === THOUGHT))
}

test('nothing of a working memory leaves the daemon before it is promoted', async () => {
  const bench = new Bench()
  bench.air.recording = true
  const engines: Engine[] = []
  for (const seed of [241, 242]) engines.push(await bench.start({ seed, hasPrivate: true }))
  const [a, b] = engines as [Engine, Engine]
  a.network.link(b.network)
  await bench.pass(500)
  const draft = { content: THOUGHT, tier: 'working', tags: [TAG], path: 'birds/heron', importance: 0.3 } as const
  const { id, delta } = await a.node.add(draft)
  const twice = await a.node.add({ ...draft, dedupe: 'allow' })
  const brief = await a.node.add({ ...draft, content: `${THOUGHT} today`, expiresAt: a.clock.nowMs() + 500 })
  await a.node.revise({ id, tagsAdd: ['heron-again'], importance: 0.4 })
  await recall(a, bench, SESSION)
  await bench.pass(2_000)
  const { actions } = await bench.finish(a.node.consolidate({}))
  assert.deepEqual(actions.map(({ action }) => action).sort(), ['coalesce', 'expire'])
  await bench.finish(a.node.rot({}))
  await bench.finish(a.node.undo({ id: actions[0]!.id }))
  const said = await a.node.add({ content: 'said to everybody' })
  await bench.finish(b.node.syncNow({}))
  // Reading counts are told at long intervals: long enough for those to have been, too.
  await bench.pass(700_000)

  assert.equal((await b.node.get([said.id]))[0]?.content, 'said to everybody', 'the two do speak')
  const words = ['heron', 'pumping', 'birds', SESSION, 'tier:working'].map((text) => toHex(utf8(text)))
  const ids = [id, delta, twice.id, brief.id, actions[0]!.id, PRIVATE_SPACE]
  const left = carried(bench)
  assert.ok(left.length > 10)
  for (const needle of [...words, ...ids]) assert.ok(!left.some((hex) => hex.includes(needle)), needle)
  assert.deepEqual(await b.node.get([id, twice.id, brief.id]), [null, null, null])

  // The same search finds it as soon as it may leave, so it would have found it before.
  await recall(a, bench, 'another session')
  await bench.pass(5_000)
  assert.ok(carried(bench).some((hex) => hex.includes(words[0]!)))
  const { items } = await bench.finish(b.node.search({ query: 'heron' }))
  assert.deepEqual(new Set(items.map(({ content }) => content)), new Set([THOUGHT]))
  assert.deepEqual(new Set(items.flatMap(({ parents }) => parents)), new Set([id, twice.id]))
  for (const needle of [SESSION, 'tier:working'].map((text) => toHex(utf8(text)))) {
    assert.ok(!carried(bench).some((hex) => hex.includes(needle)), needle)
  }
  await bench.stop()
})
