/**
 * docs/CONFIG.md is made from the table of configuration keys, and so cannot tell anything else than the program does.
 * UPDATE_GOLDEN=1 writes it anew.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import test from 'node:test'
import { presetLayer } from '../../../src/daemon/config.ts'
import {
  CONFIG_KEYS,
  OTHER_VARIABLES,
  PRESETS,
  RELATIONS,
  SHORT_VARIABLES,
  variableOf,
  type KeySpec
} from '../../../src/daemon/config-schema.ts'

const DOCUMENT = new URL('../../../docs/CONFIG.md', import.meta.url)

const INTRODUCTION = `# Configuration

<!-- Made from src/daemon/config-schema.ts; write it anew with: UPDATE_GOLDEN=1 npm test -- unit/daemon -->

Nothing needs to be configured. What is said wins in this order:

1. flags of the command line: \`--listen\`, \`--bootstrap\`, \`--no-mdns\`, \`--set network.fanout=4\`
2. the environment: \`CHRYSALIS_NETWORK_FANOUT=4\`
3. the file \`config.toml\` in the home
4. the preset, a file of the package under \`config/\`
5. the defaults below

\`chrysalis config print\` shows every effective value and where it comes from. An unknown key, a value out of bounds or
two values that do not fit each other stop the daemon before it touches anything. In the environment and with \`--set\`,
lists are separated by commas and switches are written 1 or 0, true or false, yes or no, on or off; an empty variable
is the same as none, except that it empties a list.

\`\`\`toml
# ~/.chrysalis/config.toml
name = "alpha"
preset = "lan"

[network]
listen = ["/ip4/0.0.0.0/tcp/4001"]

[ballot]
voters = ["12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"]
\`\`\`
`

function shown(value: unknown): string {
  return value === null ? 'not set' : `\`${JSON.stringify(value)}\``
}

function shortNames(key: string): string[] {
  return Object.keys(SHORT_VARIABLES).filter((variable) => SHORT_VARIABLES[variable] === key)
}

function keyText(key: string, spec: KeySpec<unknown>): string {
  const variables = [variableOf(key), ...shortNames(key)].map((name) => `\`${name}\``).join(' or ')
  const unit = spec.unit === '' ? '' : ` Unit: ${spec.unit}.`
  return [
    `### \`${key}\``,
    '',
    spec.meaning,
    '',
    `* Allowed: ${spec.bounds}.${unit}`,
    `* Default: ${shown(spec.fallback)}. ${spec.why}`,
    `* Environment: ${variables}.`,
    ''
  ].join('\n')
}

function presetTable(): string {
  const layers = PRESETS.map((preset) => presetLayer(preset))
  const keys = [...CONFIG_KEYS.keys()].filter((key) => layers.some((layer) => layer.has(key)))
  const rows = keys.map((key) => {
    const values = layers.map((layer) => shown(layer.has(key) ? layer.get(key)?.value : CONFIG_KEYS.get(key)?.fallback))
    return `| \`${key}\` | ${values.join(' | ')} |`
  })
  return [
    `## Presets`,
    '',
    `| key | ${PRESETS.join(' | ')} |`,
    `|---|${PRESETS.map(() => '---|').join('')}`,
    ...rows,
    ''
  ].join('\n')
}

function documentText(): string {
  const parts = [INTRODUCTION, presetTable(), '## Keys\n']
  for (const [key, spec] of CONFIG_KEYS) parts.push(keyText(key, spec))
  parts.push('## Relations\n')
  for (const { keys, text } of RELATIONS) parts.push(`* ${keys.map((key) => `\`${key}\``).join(' and ')}: ${text}.`)
  parts.push('\n## Other variables\n')
  for (const [variable, meaning] of Object.entries(OTHER_VARIABLES)) parts.push(`* \`${variable}\`: ${meaning}`)
  parts.push(
    '\nA variable that begins with `CHRYSALIS_` and is named nowhere here has no effect; the daemon says so at start.\n'
  )
  return parts.join('\n')
}

test('docs/CONFIG.md says what the table says', () => {
  const text = documentText()
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(DOCUMENT, text)
  assert.equal(readFileSync(DOCUMENT, 'utf8'), text, 'run with UPDATE_GOLDEN=1 and look at the difference')
})

test('every key is explained: meaning, bounds, reason', () => {
  for (const [key, spec] of CONFIG_KEYS) {
    assert.ok(spec.meaning.endsWith('.'), `${key}: the meaning is a sentence`)
    assert.ok(spec.why.endsWith('.'), `${key}: the reason is a sentence`)
    assert.ok(spec.bounds.length > 0, `${key}: bounds`)
    assert.ok(spec.schema.safeParse(spec.fallback).success, `${key}: the default passes its own schema`)
    if (/(Ms|Bytes)(Min|Max)?$/.test(key)) assert.ok(spec.unit.length > 0, `${key}: a unit`)
  }
})
