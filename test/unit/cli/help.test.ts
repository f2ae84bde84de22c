import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { describeCommand, type CommandDescription } from '../../../src/cli/describe.ts'
import { SHELLS } from '../../../src/cli/completion.ts'
import { createProgram } from '../../../src/cli/program.ts'
import { run } from './cli-run.ts'

const VERBS =
  'init daemon stop status id learn recall get list revise tag link history lineage verify retract vote tally peers ' +
  'connect invite join sync watch stats ids digest doctor demo config completion help sim version context ' +
  'trust review token promote consolidate undo restore audit embed mcp install hook search'

const tree = describeCommand(createProgram('0', () => async () => undefined))

function* all(command: CommandDescription): Generator<CommandDescription> {
  yield command
  for (const child of command.commands) yield* all(child)
}

test('every verb is there, and each says what it does', () => {
  const names = tree.commands.map((command) => command.command)
  assert.deepEqual([...names].sort(), VERBS.split(' ').sort())
  for (const command of all(tree)) {
    assert.ok(command.description.length > 5, command.command)
    for (const option of command.options)
      assert.ok(option.description.length >= 3, `${command.command} ${option.flags}`)
    for (const argument of command.arguments) assert.ok(argument.description.length > 0, command.command)
  }
})

test('a verb has no option that hides a global one', () => {
  const globals = new Set(tree.options.flatMap(({ long, short }) => [long, short]).filter((flag) => flag !== null))
  for (const command of all(tree)) {
    if (command === tree) continue
    for (const { long, short } of command.options) {
      assert.ok(!globals.has(long) && (short === null || !globals.has(short)), `${command.command} ${long}`)
    }
  }
})

test('help as text, as data, by flag and by verb', async () => {
  const bare = await run([])
  assert.deepEqual([bare.status, bare.out.startsWith('Usage: chrysalis')], [0, true])
  for (const line of [
    ['help', 'recall'],
    ['recall', '--help'],
    ['recall', '-h']
  ]) {
    const ran = await run(line)
    assert.equal(ran.status, 0)
    assert.match(ran.out, /Usage: chrysalis recall \[options\] <query\.\.\.>/)
    assert.equal(ran.err, '')
  }
  assert.match((await run(['help', 'config', 'print'])).out, /Usage: chrysalis config print/)
  assert.match((await run(['help', 'remember'])).out, /Usage: chrysalis learn\|remember/)
  const data = (await run(['help', '--json'])).json.data as unknown as CommandDescription
  assert.deepEqual(data, JSON.parse(JSON.stringify(tree)))
})

test('version, in every spelling', async () => {
  assert.equal((await run(['--version'])).out, '1.2.3\n')
  assert.match((await run(['version'])).out, /^chrysalis 1\.2\.3 \(protocol 1/)
  assert.equal((await run(['version', '--json'])).json.data?.['version'], '1.2.3')
})

test('completion scripts know every verb and parse in their shell', async (t) => {
  for (const shell of SHELLS) {
    const { out, status } = await run(['completion', shell])
    assert.equal(status, 0)
    for (const verb of [...VERBS.split(' '), 'remember']) assert.ok(out.includes(verb), `${shell} ${verb}`)
    for (const option of ['explain', 'no-mdns', 'if-version', 'home'])
      assert.ok(out.includes(option), `${shell} ${option}`)
    const check = spawnSync(shell, ['-n'], { input: out, encoding: 'utf8' })
    if (check.error !== undefined) t.diagnostic(`${shell} is not installed: its script was not parsed`)
    else assert.equal(check.status, 0, `${shell}: ${check.stderr}`)
  }
  assert.equal((await run(['completion', 'tcsh'])).status, 2)
})

test('bash completes verbs, options and choices', async () => {
  const { out } = await run(['completion', 'bash'])
  const complete = (...words: string[]): string[] => {
    const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
      _chrysalis; printf '%s\\n' "\${COMPREPLY[@]}"`
    const ran = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
    return ran.stdout.trim().split('\n').sort()
  }
  assert.deepEqual(complete('chrysalis', 're'), ['recall', 'remember', 'restore', 'retract', 'review', 'revise'])
  assert.deepEqual(complete('chrysalis', 'recall', 'x', '--exp'), ['--expired', '--explain'])
  assert.deepEqual(complete('chrysalis', '--json', 'vote', 'abcdef', 'c'), ['confirm'])
  assert.deepEqual(complete('chrysalis', '--home', 'somewhere', 'tal'), ['tally'])
  assert.deepEqual(complete('chrysalis', 'config', 'print', '--ru'), ['--running'])
  assert.deepEqual(complete('chrysalis', 'daemon', '--preset', 'l'), ['lan', 'local'])
})
