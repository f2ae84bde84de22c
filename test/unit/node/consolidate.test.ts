/**
 * Consolidation and its undoing on whole engines: what becomes of repetitions, of likenesses and of what has expired,
 * that a second run changes nothing, on one daemon or on two at once, and that every action can be taken back.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import type { AddRequest, ConsolidateAnswer, MemoryItem } from '../../../src/node/api.ts'
import { Bench, codeOf, PRIVATE_SPACE, type Engine } from '../../support/engine.ts'

const bench = new Bench()
after(() => bench.stop())

let seed = 120
const start = (setup: Partial<Parameters<Bench['start']>[0]> = {}): Promise<Engine> =>
  bench.start({ seed: seed++, ...setup })

async function pair(): Promise<[Engine, Engine]> {
  const [a, b] = [await start(), await start()]
  a.network.link(b.network)
  await bench.pass(500)
  return [a, b]
}

/** Written whatever was said before; a moment later than what was written before. */
async function say({ node }: Engine, content: string, more: Partial<AddRequest> = {}): Promise<string> {
  await bench.pass(5)
  return (await bench.finish(node.add({ content, dedupe: 'allow', ...more }))).id
}

async function item({ node }: Engine, id: string): Promise<MemoryItem> {
  const [found] = await node.get([id])
  assert.ok(found, id)
  return found
}

const run = (
  { node }: Engine,
  request: Parameters<Engine['node']['consolidate']>[0] = {}
): Promise<ConsolidateAnswer> => bench.finish(node.consolidate(request))

/** Of the set of deltas and of the state, of every space. */
async function digests({ node }: Engine): Promise<unknown> {
  return Promise.all(node.spaces().map(async ({ id }) => node.digest(id)))
}

describe('consolidation: what one author repeats', () => {
  it('keeps the first and hands on tags, evidence, links, claims and a pin', async () => {
    const one = await start()
    const other = await say(one, 'Releases are cut from main')
    const first = await say(one, 'Deploys freeze on Fridays', { tags: ['deploy'], importance: 0.3 })
    const second = await say(one, 'Deploys  freeze\non Fridays ', {
      tags: ['friday'],
      importance: 0.8,
      confidence: 0.6,
      evidence: ['https://example.org/freeze'],
      related: [other],
      pinned: true
    })
    const answer = await run(one)
    assert.deepEqual(
      answer.actions.map(({ action, keeper, ids }) => ({ action, keeper, ids })),
      [{ action: 'coalesce', keeper: first, ids: [second] }]
    )
    const kept = await item(one, first)
    assert.deepEqual(kept.tags, ['deploy', 'friday'])
    assert.deepEqual(kept.evidence, ['https://example.org/freeze'])
    assert.deepEqual(kept.related, [other])
    assert.equal(kept.importance?.max, 0.8)
    assert.equal(kept.confidence?.max, 0.6)
    assert.equal(kept.pinned, true)
    assert.equal(kept.retracted, null)
    const gone = await item(one, second)
    assert.equal(gone.retracted, `duplicate of ${first}`)
    assert.deepEqual(gone.related, [other, first].sort())
  })

  it('leaves alone what only looks the same', async () => {
    const one = await start({ hasPrivate: true })
    const source = await say(one, 'a page')
    const same = 'The port is 8080'
    for (const more of [
      {},
      { kind: 'fact' },
      { path: 'a/b' },
      { key: 'port' },
      { key: 'other port' },
      { validTo: 9_000_000_000_000 },
      { expiresAt: 9_000_000_000_000 },
      { memoryType: 'semantic' },
      { origin: 'document' },
      { parents: [source] },
      { documentType: 'bead' },
      { space: PRIVATE_SPACE },
      { tier: 'working' }
    ] satisfies Partial<AddRequest>[]) {
      await say(one, same, more)
    }
    const { actions } = await run(one)
    assert.deepEqual(
      actions.filter(({ action }) => action !== 'relate'),
      []
    )
  })

  it('says why a repetition stays: voted on, or brought back by somebody', async () => {
    const one = await start()
    const first = await say(one, 'We use tabs')
    const voted = await say(one, 'We use tabs')
    const brought = await say(one, 'We use tabs')
    await one.node.vote({ id: voted, verdict: 'confirm' })
    await one.node.retract({ id: brought, reason: 'wrong' })
    await one.node.restore({ id: brought })
    assert.equal((await item(one, brought)).retracted, null)
    const answer = await run(one)
    assert.deepEqual(
      answer.skipped.map(({ ids, reason }) => [...ids, reason]),
      [
        [first, voted, 'it was voted on'],
        [first, brought, 'its retraction was taken back']
      ]
    )
    assert.deepEqual(
      answer.actions.map(({ action }) => action),
      ['relate']
    )
  })

  it('does not put back a tag that was taken off the one that stays', async () => {
    const one = await start()
    const first = await say(one, 'Use pnpm', { tags: ['stale', 'tool'] })
    await one.node.revise({ id: first, tagsRemove: ['stale'] })
    await say(one, 'Use pnpm', { tags: ['stale', 'node'] })
    await run(one)
    assert.deepEqual((await item(one, first)).tags, ['node', 'tool'])
  })

  it('takes more repetitions than one action touches', async () => {
    const one = await start()
    const first = await say(one, 'again and again')
    const count = LIMITS.consolidationIdsMax + 3
    for (let i = 0; i < count; i++) await say(one, 'again and again', { tags: [`t${i}`] })
    const { actions } = await run(one)
    assert.deepEqual(
      actions.map(({ ids }) => ids.length),
      [LIMITS.consolidationIdsMax - 1, count - LIMITS.consolidationIdsMax + 1]
    )
    assert.equal((await item(one, first)).tags.length, count)
    const { items } = await one.node.search({ query: 'again and again' })
    assert.deepEqual(
      items.map(({ id }) => id),
      [first]
    )
  })

  it('halves an action that one delta cannot hold', async () => {
    const one = await start()
    const long = (i: number): string[] => Array.from({ length: 12 }, (_, j) => `${i} ${j} `.padEnd(2_000, 'x'))
    const first = await say(one, 'long story')
    const others = [
      await say(one, 'long story', { evidence: long(1) }),
      await say(one, 'long story', { evidence: long(2) })
    ]
    others.push(await say(one, 'long story', { evidence: long(3) }))
    const { actions, skipped } = await run(one)
    assert.deepEqual(new Set(actions.map(({ ids }) => ids.length)), new Set([1, 2]))
    assert.deepEqual(skipped, [])
    assert.equal((await item(one, first)).evidence.length, 36)
    assert.equal((await item(one, others[2] ?? '')).retracted, `duplicate of ${first}`)
  })

  it('leaves a repetition that has more to hand on than one delta can hold, and says so', async () => {
    const one = await start()
    const first = await say(one, 'overlong story')
    const second = await say(one, 'overlong story')
    for (let i = 0; i < 32; i++) {
      await one.node.link({ from: second, relation: 'evidence', to: `${i} `.padEnd(LIMITS.evidenceBytesMax, 'x') })
    }
    const { actions, skipped } = await run(one)
    assert.deepEqual(
      [actions.map(({ action }) => action), skipped],
      [[], [{ ids: [second], reason: 'what it would hand on does not fit one signed delta' }]]
    )
    assert.deepEqual([(await item(one, first)).evidence, (await item(one, second)).retracted], [[], null])
  })
})

describe('consolidation: what is linked', () => {
  it('links the witnesses of one statement and hides none of them', async () => {
    const [a, b] = await pair()
    const first = await say(a, 'The build needs Node 20')
    await bench.pass(500)
    const second = await say(b, 'The build needs Node 20')
    await bench.pass(500)
    const { actions } = await run(a)
    assert.deepEqual(
      actions.map(({ action, keeper, ids }) => ({ action, keeper, ids })),
      [{ action: 'relate', keeper: null, ids: [first, second].sort() }]
    )
    assert.deepEqual((await item(a, second)).related, [first])
    assert.deepEqual([(await item(a, first)).retracted, (await item(a, second)).retracted], [null, null])
  })

  it('links what is nearly the same to the first that is like it', async () => {
    const one = await start()
    const words = Array.from({ length: 300 }, (_, i) => `word${i}`).join(' ')
    const first = await say(one, words)
    const near = await say(one, `${words} indeed`)
    await say(one, 'something else entirely')
    await run(one)
    assert.deepEqual((await item(one, near)).related, [first])
    assert.deepEqual((await item(one, first)).related, [])
  })
})

describe('consolidation: what is retracted and listed', () => {
  it('retracts working memories past their time, and brings them back for good', async () => {
    const one = await start({ hasPrivate: true })
    const nowMs = one.clock.nowMs()
    const brief = await say(one, 'until noon', { tier: 'working', expiresAt: nowMs + 1_000 })
    const durable = await say(one, 'also until noon', { expiresAt: nowMs + 1_000 })
    await bench.pass(2_000)
    const { actions } = await run(one)
    assert.deepEqual(
      actions.map(({ action, ids }) => [action, ...ids]),
      [['expire', brief]]
    )
    assert.equal((await item(one, durable)).retracted, null)
    const undone = await bench.finish(one.node.undo({ id: actions[0]?.id ?? '' }))
    assert.deepEqual(undone.restored, [brief])
    assert.equal((await item(one, brief)).retracted, null)
    assert.deepEqual((await run(one)).actions, [])
  })

  it('lists what cannot all hold, and changes none of it', async () => {
    const one = await start()
    const yes = await say(one, 'Deploys freeze on Friday')
    const no = await say(one, 'Deploys do not freeze on Friday')
    await say(one, 'Deploys do not freeze on Friday')
    const low = await say(one, 'The server listens on port 8080')
    const high = await say(one, 'The server listens on port 9090')
    const doubted = await say(one, 'Cats bark')
    await one.node.vote({ id: doubted, verdict: 'dispute' })
    const [left, right] = [await say(one, 'left is right'), await say(one, 'something about colours')]
    await one.node.link({ from: left, to: right, relation: 'supersedes' })
    await one.node.link({ from: right, to: left, relation: 'supersedes' })
    const { actions, contradictions } = await run(one)
    assert.deepEqual(
      actions.map(({ action }) => action),
      ['coalesce'],
      'a repetition contradicts nothing that the first does not'
    )
    assert.deepEqual(
      contradictions.map(({ kind, ids }) => [kind, ...ids]),
      [
        ['negation', yes, no],
        ['values', low, high],
        ['disputed', doubted],
        ['supersedes', ...[left, right].sort()]
      ]
    )
  })

  it('lists texts of one key written side by side, until somebody has seen both', async () => {
    const [a, b] = await pair()
    const heal = bench.air.partition([a.network], [b.network])
    const id = await say(a, 'port 80', { key: 'port' })
    await say(b, 'port 81', { key: 'port' })
    heal()
    await bench.pass(10_000)
    // Other writes in between must not hide who knew of what.
    await say(a, 'something else')
    const kinds = async (engine: Engine): Promise<unknown> =>
      (await run(engine)).contradictions.map(({ kind, ids }) => [kind, ...ids])
    assert.deepEqual(await kinds(a), [['versions', id]])
    assert.deepEqual(await kinds(b), [['versions', id]])
    await bench.finish(a.node.revise({ id, content: 'port 443' }))
    await bench.pass(10_000)
    assert.deepEqual(await kinds(a), [])
    assert.deepEqual(await kinds(b), [])
  })
})

describe('consolidation: the fixed point', () => {
  async function untidy(engine: Engine): Promise<void> {
    for (const text of ['alpha beta', 'gamma delta', 'alpha beta', 'alpha beta', 'gamma delta']) {
      await say(engine, text, { tags: [text.slice(0, 2), String(seed)] })
    }
  }

  it('changes nothing the second time', async () => {
    const one = await start()
    await untidy(one)
    const first = await run(one)
    assert.equal(first.actions.length, 2)
    const before = await digests(one)
    const second = await run(one)
    assert.deepEqual(second.actions, [])
    assert.deepEqual(await digests(one), before)
  })

  it('says beforehand what it would do, and does that', async () => {
    const one = await start()
    await untidy(one)
    const before = await digests(one)
    const dry = await run(one, { dryRun: true })
    assert.deepEqual(await digests(one), before)
    const wet = await run(one)
    assert.deepEqual(wet, { ...dry, dryRun: false })
  })

  it('is done by itself when a schedule is set, and not otherwise', async () => {
    const [scheduled, other] = [await start({ options: { consolidation: { intervalMs: 60_000 } } }), await start()]
    for (const engine of [scheduled, other]) {
      await say(engine, 'twice')
      const second = await say(engine, 'twice')
      await bench.pass(61_000)
      assert.equal((await item(engine, second)).retracted !== null, engine === scheduled)
    }
  })

  it('ends with the daemon, and keeps what it had done', async () => {
    const one = await start()
    await untidy(one)
    const running = one.node.consolidate({})
    const stopped = bench.finish(one.node.stop())
    assert.equal(await codeOf(running), 'unavailable')
    await stopped
    const again = await bench.restart(one)
    assert.equal((await run(again)).actions.length, 2)
  })

  it('goes on where the limit stopped it', async () => {
    const one = await start()
    await untidy(one)
    const first = await run(one, { limit: 1 })
    assert.deepEqual([first.actions.length, first.more], [1, true])
    const second = await run(one, { limit: 1 })
    assert.deepEqual([second.actions.length, second.more], [1, false])
    assert.deepEqual((await run(one, { limit: 1 })).actions, [])
  })

  it('is the same when two daemons do it at once, and neither does anything after', async () => {
    const [a, b] = await pair()
    await untidy(a)
    await untidy(b)
    await bench.pass(2_000)
    assert.deepEqual((await a.node.digest()).state, (await b.node.digest()).state)
    const heal = bench.air.partition([a.network], [b.network])
    const [here, there] = [await run(a), await run(b)]
    assert.deepEqual(here.actions, there.actions)
    heal()
    await bench.pass(70_000)
    const before = await digests(a)
    assert.deepEqual((await a.node.digest()).state, (await b.node.digest()).state)
    assert.deepEqual([(await run(a)).actions, (await run(b)).actions], [[], []])
    assert.deepEqual(await digests(a), before)
  })

  it('hands on what the two sides of a partition learned of one statement', async () => {
    const [a, b] = await pair()
    const first = await say(a, 'one truth', { tags: ['a'] })
    const second = await say(a, 'one truth', { tags: ['b'] })
    await bench.pass(2_000)
    const heal = bench.air.partition([a.network], [b.network])
    await run(a)
    await bench.finish(b.node.revise({ id: second, tagsAdd: ['late'] }))
    heal()
    await bench.pass(70_000)
    const { actions } = await run(a)
    assert.deepEqual(
      actions.map(({ action, ids }) => [action, ...ids]),
      [['coalesce', second]]
    )
    assert.deepEqual((await item(a, first)).tags, ['a', 'b', 'late'])
    assert.deepEqual((await run(a)).actions, [])
  })
})

describe('consolidation: undo', () => {
  it('brings back exactly what it took, says what stays, and is not done again', async () => {
    const one = await start()
    const first = await say(one, 'to be undone', { tags: ['mine'] })
    const second = await say(one, 'to be undone', { tags: ['yours'], importance: 0.9, pinned: true })
    const { actions } = await run(one)
    const id = actions[0]?.id ?? ''
    const undone = await bench.finish(one.node.undo({ id: id.slice(0, 16) }))
    // The link of the duplicate to the one that stays, and the claim of importance.
    assert.deepEqual(
      [undone.id, undone.restored, undone.untagged, undone.kept, undone.overtaken],
      [id, [second], 1, 2, []]
    )
    const [kept, back] = [await item(one, first), await item(one, second)]
    assert.deepEqual([kept.tags, kept.pinned, back.retracted], [['mine'], false, null])
    assert.equal((await item(one, id)).retracted, 'undone')
    const again = await run(one)
    assert.deepEqual(
      again.actions.map(({ action }) => action),
      [],
      'the two are linked already, and what was brought back stays'
    )
    assert.equal(await codeOf(one.node.undo({ id })), 'invalid_state')
  })

  it('leaves alone what somebody has changed since', async () => {
    const one = await start()
    const first = await say(one, 'contested')
    const second = await say(one, 'contested', { tags: ['t'] })
    const { actions } = await run(one)
    await one.node.retract({ id: second, reason: 'wrong anyway' })
    await one.node.revise({ id: first, tagsRemove: ['t'] })
    const undone = await bench.finish(one.node.undo({ id: actions[0]?.id ?? '' }))
    assert.deepEqual([undone.restored, undone.untagged, undone.overtaken], [[], 0, [second]])
    assert.equal((await item(one, second)).retracted, 'wrong anyway')
  })

  it('refuses what is no action, and what is not retracted', async () => {
    const one = await start()
    const id = await say(one, 'a plain memory')
    assert.equal(await codeOf(one.node.undo({ id })), 'invalid_state')
    assert.equal(await codeOf(one.node.restore({ id })), 'invalid_state')
    assert.equal(await codeOf(one.node.undo({ id: 'f'.repeat(64) })), 'not_found')
  })

  it('undoes what two daemons did at once, for both', async () => {
    const [a, b] = await pair()
    const first = await say(a, 'done twice', { tags: ['x'] })
    const second = await say(a, 'done twice', { tags: ['y'] })
    await bench.pass(2_000)
    const heal = bench.air.partition([a.network], [b.network])
    const [{ actions }] = [await run(a), await run(b)]
    heal()
    await bench.pass(70_000)
    await bench.finish(b.node.undo({ id: actions[0]?.id ?? '' }))
    await bench.pass(70_000)
    for (const engine of [a, b]) {
      assert.deepEqual((await item(engine, first)).tags, ['x'])
      assert.equal((await item(engine, second)).retracted, null)
      assert.deepEqual((await run(engine)).actions, [])
    }
  })

  it('shows in the lineage of what it touched, and in no recall', async () => {
    const one = await start()
    const first = await say(one, 'findable words')
    await say(one, 'findable words')
    const { actions } = await run(one)
    const lineage = await one.node.lineage(first)
    assert.ok(lineage.some((node) => node.id === actions[0]?.id && node.relation === 'related'))
    const { items } = await one.node.search({ query: 'coalesce repetition author findable' })
    assert.deepEqual(
      items.map(({ id }) => id),
      [first]
    )
    const listed = await one.node.list({ path: 'chrysalis/consolidation' })
    assert.deepEqual(
      listed.items.map(({ id, kind, documentType }) => [id, kind, documentType]),
      [[actions[0]?.id, 'pattern', 'metadata']]
    )
  })
})
