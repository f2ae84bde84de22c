/** `chrysalis sim`: words in, lines and an exit status out. Every refusal says what is wrong and what to do. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { suite, test, type TestContext } from 'node:test'
import { runSim } from '../../../simulations/command.ts'
import type { RunReport } from '../../../simulations/runner/report.ts'
import type { Summary } from '../../../simulations/runner/summary.ts'

async function sim(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const status = await runSim(words, { stdout, stderr, nowMs: () => performance.now(), processors: 2 })
  const said = (stream: PassThrough): string => String(stream.read() ?? '')
  return { status, out: said(stdout), err: said(stderr) }
}

function temporary(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'chrysalis-sim-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

suite('sim, the command', () => {
  test('help names every command and shows how to begin', async () => {
    for (const words of [[], ['--help']]) {
      const { status, out } = await sim(...words)
      assert.equal(status, 0)
      for (const command of ['run', 'sweep', 'replay', 'shrink', 'compare', 'plot', 'scenarios']) {
        assert.match(out, new RegExp(`^ {2}${command}\\b`, 'm'))
      }
      assert.match(out, /chrysalis sim sweep --seeds 1\.\.2000/)
    }
    assert.match((await sim('sweep', '--help')).out, /--scenarios/)
  })

  test('wrong usage is one line, a hint, and exit status 2; nothing on stdout', async () => {
    for (const [words, what] of [
      [['rnu'], /unknown command 'rnu'.*\nhint: .*Did you mean run\?/],
      [['run'], /missing required argument 'scenario'/],
      [['run', 'clam'], /There is no scenario clam; nothing was run\.\nhint: Did you mean calm\?/],
      [['run', 'calm', '--nodes', '0'], /--nodes takes a whole number from 1 to 1000, not "0"/],
      [['run', 'calm', '--nodes', 'many'], /--nodes takes a whole number/],
      [['run', 'calm', '--writes=-1'], /--writes takes a whole number from 0/],
      [['run', 'calm', '--seed', 'a b'], /"a b" is no seed/],
      [['run', 'calm', '--sede', '7'], /unknown option '--sede'/],
      [['sweep', '--seeds', '9..1'], /9\.\.1 is no range of seeds/],
      [
        ['sweep', '--scenarios', 'calm,churm'],
        /There is no scenario churm; nothing was run\.\nhint: Did you mean churn\?/
      ],
      [['sweep', '--jobs', '0'], /--jobs takes a whole number from 1/],
      [['replay', 'calm'], /names no scenario and seed/],
      [['replay', 'calm', '1', 'node=3'], /Did you mean nodes\?/],
      [['shrink'], /missing required argument 'case'/]
    ] as const) {
      const { status, out, err } = await sim(...words)
      assert.deepEqual([status, out], [2, ''], words.join(' '))
      assert.match(err, what)
      assert.match(err, /^chrysalis: .*\nhint: .*\n$/)
    }
    const { status, err } = await sim('compare', '/nowhere/a', '/nowhere/b')
    assert.equal(status, 4)
    assert.match(err, /There is no summary at \/nowhere\/a/)
  })

  test('a folder that cannot be written is refused before anything runs', async (t) => {
    const file = path.join(temporary(t), 'file')
    writeFileSync(file, '')
    const startedMs = performance.now()
    for (const words of [
      ['run', 'calm', '--out', path.join(file, 'sub')],
      ['sweep', '--seeds', '1..100000', '--out', file]
    ]) {
      const { status, err } = await sim(...words)
      assert.equal(status, 5)
      assert.match(err, /The report cannot be written to .*Nothing was run\.\nhint: Choose another folder/)
    }
    assert.ok(performance.now() - startedMs < 60_000)
  })

  test('with --json stdout is one object, of errors too', async () => {
    const failed = await sim('run', 'clam', '--json')
    const { ok, command, error } = JSON.parse(failed.out) as { ok: boolean; command: string; error: { exit: number } }
    assert.deepEqual([failed.status, ok, command, error.exit, failed.err], [2, false, 'sim run', 2, ''])
    const listed = JSON.parse((await sim('scenarios', '--json')).out) as { data: { name: string }[] }
    assert.ok(listed.data.some(({ name }) => name === 'calm'))
  })

  test('a run of too few writes has failed to test; a report of it is left behind', async (t) => {
    const folder = path.join(temporary(t), 'report')
    const { status, out } = await sim('run', 'calm', '--seed', '3', '--nodes', '3', '--writes', '8', '--out', folder)
    assert.equal(status, 2)
    assert.match(out, /^verdict {6}failed to test\n {13}\d writes were acknowledged, and it takes 1000/m)
    const [line = ''] = readFileSync(path.join(folder, 'runs.jsonl'), 'utf8').split('\n')
    const report = JSON.parse(line) as RunReport
    assert.deepEqual([report.scenario, report.nodes, report.verdict, report.states], ['calm', 3, 'held', 1])
    const summary = JSON.parse(readFileSync(path.join(folder, 'summary.json'), 'utf8')) as Summary
    assert.equal(summary.verdict, 'failed-to-test')
    const compared = await sim('compare', folder, folder)
    assert.equal(compared.status, 0)
    assert.match(compared.out, /nothing got worse/)
  })

  test('a replay says what came of its one case, and equal cases have equal traces', async () => {
    const words = ['replay', 'churn', '5', 'nodes=4', 'writes=10', 'faults=[{"atMs":900,"kind":"crash","target":[1]}]']
    const [first, second] = [await sim(...words, '--json'), await sim(...words, '--json')]
    assert.equal(first.status, 0, first.out)
    assert.equal(first.out, second.out)
    const { data } = JSON.parse(first.out) as { data: RunReport }
    assert.deepEqual([data.verdict, data.faultKinds, data.nodes, data.attempted], ['held', { crash: 1 }, 4, 10])
  })

  test('a seed that fails in a sweep is shrunk and kept, and what is kept fails when it is replayed', async (t) => {
    const folder = temporary(t)
    const scenario = path.join(folder, 'never.toml')
    const kept = path.join(folder, 'seeds.txt')
    // A promise that cannot be kept: a partition is to be forgotten within a millisecond of its end.
    const fault = "[[fault]]\nkind = 'partition'\natMs = 2_000\nforMs = 60_000\nshare = 0.5"
    writeFileSync(
      scenario,
      `shows = 'x'\n[world]\nnodes = [3, 4]\n[work]\nwrites = [10, 14]\n${fault}\n[heal]\nwithinMs = 1\n`
    )
    const { status } = await sim('sweep', '--scenarios', scenario, '--seeds', '1', '--keep', kept)
    assert.equal(status, 1)
    const [comment = '', line = ''] = readFileSync(kept, 'utf8').split('\n')
    assert.match(comment, /^# I1: converged only \d+ ms after/)
    assert.match(line, /never\.toml 1 .*faults=\[\{/)
    const again = await sim('replay', line)
    assert.equal(again.status, 1)
    assert.match(again.out, /converged only/)
    const refused = await sim('shrink', scenario, '1', '--budget', '1', '--keep', folder)
    assert.match(refused.err, /cannot be kept in .*\n?hint: Write this line/)
  })

  test('what breaks nothing cannot be shrunk', async () => {
    const { status, err } = await sim('shrink', 'calm', '1', 'nodes=2', 'writes=3')
    assert.equal(status, 2)
    assert.match(err, /breaks nothing; there is nothing to shrink/)
  })
})
