/** docs/CLI.md says what the program says. Regenerate with UPDATE_GOLDEN=1. */
import { test } from 'node:test'
import { ERRORS } from '../../../src/base/errors.ts'
import { describeCommand, type CommandDescription } from '../../../src/cli/describe.ts'
import { createProgram } from '../../../src/cli/program.ts'
import { assertGenerated, cell } from '../../support/generated-docs.ts'

const MEANINGS: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'failure',
  2: 'wrong usage or configuration; nothing was done',
  3: 'no daemon answers',
  4: 'not found; also nothing recalled with `--fail-empty`',
  5: 'denied: permissions, ticket, membership, passphrase',
  6: 'time-out',
  7: 'conflict or wrong state: try again when it has changed',
  8: 'partly done',
  9: 'verification failed',
  10: 'no home: `chrysalis init`',
  11: 'another daemon has the home',
  12: 'versions do not fit',
  130: 'interrupted'
}

test('the exit statuses of docs/CLI.md are those of the error table', () => {
  const codes = new Map<number, string[]>([[0, []]])
  for (const [code, { exit }] of Object.entries(ERRORS)) codes.set(exit, [...(codes.get(exit) ?? []), `\`${code}\``])
  const rows = [...codes]
    .sort(([a], [b]) => a - b)
    .map(([exit, names]) => `| ${exit} | ${MEANINGS[exit] ?? 'undescribed'} | ${names.join(', ')} |`)
  assertGenerated('CLI.md', 'exits', ['| status | meaning | errors |', '|---|---|---|', ...rows])
})

function sectionOf(command: CommandDescription): string[] {
  const aliases = command.aliases.length === 0 ? '' : ` (also \`${command.aliases.join('`, `')}\`)`
  const title = command.command === '' ? 'Global options' : `chrysalis ${command.command}`
  const head = command.command === '' ? [] : [`${command.description}.${aliases}`, '', `    ${command.usage}`, '']
  const rows = [
    ...command.arguments.map(({ name, description, choices, variadic }) => [
      `\`${name}${variadic ? '…' : ''}\``,
      describe(description, choices)
    ]),
    ...command.options.map(({ flags, description, choices }) => [`\`${flags}\``, describe(description, choices)])
  ].map(([name, meaning]) => `| ${name} | ${cell(meaning ?? '')} |`)
  const table = rows.length === 0 ? [] : ['| | |', '|---|---|', ...rows, '']
  return ['', `### ${title}`, '', ...head, ...table].concat(command.commands.flatMap(sectionOf))
}

function describe(text: string, choices: readonly string[]): string {
  return choices.length === 0 ? text : `${text}: ${choices.join(', ')}`
}

test('the reference of docs/CLI.md is the tree of commands', () => {
  const program = describeCommand(createProgram('0', () => async () => undefined))
  const lines = sectionOf(program)
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
  assertGenerated('CLI.md', 'commands', [lines])
})
