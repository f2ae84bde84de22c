/**
 * The care of memories through the real doors: one whole round with the program itself, and the agent's verbs of the
 * library over a real socket, each on a daemon of its own process.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { launcherPath } from '../../src/daemon/spawn.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { until, withYard } from '../support/daemons.ts'

const run = promisify(execFile)
const TIMEOUT = { timeout: 240_000 }

interface Action {
  readonly id: string
  readonly action: string
  readonly keeper: string | null
  readonly ids: readonly string[]
}

interface Consolidated {
  readonly actions: readonly Action[]
  readonly contradictions: readonly { readonly kind: string; readonly ids: readonly string[] }[]
}

test('a round of care by command line: promote, consolidate, undo, restore, audit', TIMEOUT, async () => {
  await withYard('upkeep', async (yard) => {
    const { home } = await yard.start(await yard.newHome())
    const $ = async (...words: string[]): Promise<string> => {
      const { stdout } = await run(process.execPath, [launcherPath(), '--home', home, ...words], { timeout: 120_000 })
      return stdout
    }
    const json = async <T>(...words: string[]): Promise<T> =>
      (JSON.parse(await $('--json', ...words)) as { data: T }).data
    const learn = async (text: string, ...flags: string[]): Promise<string> =>
      (await json<{ id: string }>('learn', text, '--dedupe', 'allow', ...flags)).id

    const first = await learn('Deploys freeze on Fridays', '-t', 'deploy')
    const second = await learn('Deploys freeze on Fridays', '-t', 'friday')
    const denial = await learn('Deploys do not freeze on Fridays')
    const draft = await learn('half a thought', '--working')
    const { promoted } = await json<{ promoted: { from: string; id: string }[] }>('promote', draft.slice(0, 12))
    assert.equal(promoted[0]?.from, draft)
    assert.match(await $('get', promoted[0]?.id ?? ''), new RegExp(`parents +${draft.slice(0, 8)}`))

    const report = await $('audit')
    for (const kind of ['duplicate', 'contradiction']) assert.match(report, new RegExp(`^${kind} `, 'm'))
    const planned = await json<Consolidated>('consolidate', '--dry-run')
    const done = await json<Consolidated>('consolidate')
    assert.deepEqual(done.actions, planned.actions)
    const [act] = done.actions
    assert.deepEqual([act?.action, act?.keeper, act?.ids], ['coalesce', first, [second]])
    assert.deepEqual(
      done.contradictions.map(({ kind, ids }) => [kind, [...ids].sort()]),
      [['negation', [first, denial].sort()]]
    )
    const digest = await json<{ state: string }>('digest')
    assert.match(await $('consolidate'), /, 0 actions taken, 1 contradictions$/m)
    assert.deepEqual(await json('digest'), digest, 'the second time changes nothing')
    assert.match(await $('get', first), /tags +deploy, friday/)

    assert.match(await $('lineage', first), new RegExp(act?.id.slice(0, 8) ?? '-'))
    const undone = await json<{ restored: string[]; untagged: number }>('undo', act?.id.slice(0, 12) ?? '')
    assert.deepEqual([undone.restored, undone.untagged], [[second], 1])
    assert.match(await $('consolidate'), /, 0 actions taken/m)

    await $('retract', denial, '--reason', 'wrong')
    assert.match(await $('get', denial), /retracted +wrong/)
    assert.match(await $('restore', denial), /restored/)
    assert.doesNotMatch(await $('get', denial), /retracted/)
  })
})

test('the verbs of an agent, through the library and a real socket', TIMEOUT, async () => {
  await withYard('agent', async (yard) => {
    const daemon = await yard.start(await yard.newHome())
    const memory = await daemon.connect({ session: 'first sitting' })
    const weak = await memory.learn('retries need jitter', { memoryType: 'semantic', confidence: 0.2, importance: 0.1 })
    const sure = await memory.learn('retries need jitter and a ceiling', {
      memoryType: 'procedural',
      confidence: 0.9,
      importance: 0.9
    })
    await memory.learn('something about colours', { memoryType: 'semantic', importance: 0.9 })

    const ids = async (options: Parameters<typeof memory.retrieveContext>[1]): Promise<string[]> =>
      (await memory.retrieveContext('retries jitter', options)).items.map(({ id }) => id)
    assert.deepEqual(await ids({ limit: 2 }), [sure.id, weak.id], 'the collective score counts confidence')
    assert.deepEqual(await ids({ memoryTypes: ['semantic'], limit: 1 }), [weak.id])
    assert.deepEqual(await ids({ minImportance: 0.5, limit: 1, verifiedOnly: true }), [sure.id])
    const [hit] = (await memory.retrieveContext('retries jitter', { explain: true, limit: 1 })).items
    assert.ok(hit?.why !== undefined && hit.verified)

    await memory.update(weak.id, 'retries need jitter, always')
    assert.equal((await memory.get(weak.id))?.content, 'retries need jitter, always')
    assert.equal((await memory.list({ limit: 10 })).items.length, 3)
    assert.equal((await memory.stats()).records, 3)

    const draft = await memory.learn('the cache is cold on Mondays', { tier: 'working' })
    const called = await memory.learn('named outright', { tier: 'working' })
    const { promoted } = await memory.promote(called.id, { reason: 'asked for' })
    assert.deepEqual((await memory.get(promoted[0]?.id ?? ''))?.evidence, ['promoted: asked for'])
    // Two sittings that needed it make it worth sharing; nobody asked for that.
    await memory.recall('cold cache')
    await (await daemon.connect({ session: 'second sitting' })).recall('cold cache')
    await until('the memory is promoted', async () => {
      const { items } = await memory.list({ limit: 10 })
      return items.some(({ parents }) => parents[0] === draft.id)
    })
    await assert.rejects(memory.promote(weak.id), (error) => isChrysalisError(error, 'invalid_state'))
    await memory.retract(weak.id, 'wrong')
    await memory.restore(weak.id)
    assert.deepEqual((await memory.consolidate()).actions, [])
    assert.equal((await memory.audit()).findings.length, 11)
    assert.deepEqual(await memory.stop(), { stopping: true })
    await daemon.ended()
  })
})
