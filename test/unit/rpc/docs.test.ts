/** docs/RPC.md says what the schema says. Regenerate with UPDATE_GOLDEN=1. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { ERRORS } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { describeMethods, jsonSchema, NOTIFICATIONS } from '../../../src/rpc/schema/methods.ts'
import { readFileSync } from 'node:fs'
import { assertGenerated, cell } from '../../support/generated-docs.ts'

interface Schema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly description?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
}

function typeOf(schema: Schema, deep: boolean): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return choices.map((one) => typeOf(one, deep)).join(' | ')
  if (schema.items !== undefined) {
    const item = typeOf(schema.items, deep)
    return item.includes(' | ') ? `(${item})[]` : `${item}[]`
  }
  if (schema.properties !== undefined) {
    if (!deep) return 'object'
    const required = new Set(schema.required ?? [])
    const fields = Object.entries(schema.properties).map(
      ([name, one]) => `${name}${required.has(name) ? '' : '?'}: ${typeOf(one, false)}`
    )
    return `{${fields.join(', ')}}`
  }
  if (typeof schema.additionalProperties === 'object') return `{[name]: ${typeOf(schema.additionalProperties, false)}}`
  if (typeof schema.type === 'object') return schema.type.join(' | ')
  return schema.type ?? 'any'
}

function bounds({ minimum, maximum, maxItems, type }: Schema): string {
  const range = type === 'number' || type === 'integer' ? [minimum, maximum] : []
  const [low, high] = range.map((one) => (one === undefined || Math.abs(one) > 2 ** 50 ? undefined : String(one)))
  const parts = []
  if (low !== undefined && high !== undefined) parts.push(`${low} to ${high}`)
  else if (low !== undefined) parts.push(`at least ${low}`)
  if (maxItems !== undefined) parts.push(`at most ${maxItems}`)
  return parts.join(', ')
}

function parameterRows(schema: Schema): string[] {
  const required = new Set(schema.required ?? [])
  return Object.entries(schema.properties ?? {}).map(([name, one]) => {
    const range = bounds(one)
    const meaning = [one.description ?? '', range === '' ? '' : `(${range})`].filter((part) => part !== '').join(' ')
    return `| \`${name}\`${required.has(name) ? ' **required**' : ''} | ${cell(typeOf(one, false))} | ${cell(meaning)} |`
  })
}

test('the methods of docs/RPC.md are those of the table', () => {
  const lines: string[] = ['| method | access | |', '|---|---|---|']
  const described = describeMethods()
  for (const { name, access, summary } of described) {
    lines.push(`| [\`${name}\`](#${name.replace('.', '').toLowerCase()}) | ${access} | ${cell(summary)} |`)
  }
  for (const { name, access, summary, stream, params, result } of described) {
    lines.push('', `### ${name}`, '', `${summary} *${access}${stream ? ', notifications follow' : ''}*`, '')
    const rows = parameterRows(params as Schema)
    if (rows.length > 0) lines.push('| parameter | type | |', '|---|---|---|', ...rows, '')
    lines.push(`Result: \`${typeOf(result as Schema, true)}\``)
  }
  assertGenerated('RPC.md', 'methods', lines)
})

test('the notifications of docs/RPC.md are those of the schema', () => {
  const lines: string[] = ['| notification | | parameters |', '|---|---|---|']
  for (const [name, { summary, params }] of Object.entries(NOTIFICATIONS)) {
    const schema = jsonSchema(params, 'output') as Schema
    for (const one of schema.oneOf ?? schema.anyOf ?? [schema]) {
      const data = one.properties?.['data']
      const type = one.properties?.['type']
      const title = type === undefined ? `\`${name}\`` : `\`${name}\` ${typeOf(type, false)}`
      const shape = typeOf(one, true).replace(' data: object', ` data: ${data === undefined ? '' : typeOf(data, true)}`)
      lines.push(`| ${title} | ${cell(summary)} | \`${cell(shape).replaceAll('&lt;', '<')}\` |`)
    }
  }
  assertGenerated('RPC.md', 'notifications', lines)
})

test('the errors of docs/RPC.md are those of the table', () => {
  const rows = Object.entries(ERRORS).map(
    ([kind, { rpc, exit, retryable }]) =>
      `| \`${kind}\` | ${String(rpc).replace('-', '−')} | ${retryable ? 'yes' : 'no'} | ${exit} |`
  )
  assertGenerated('RPC.md', 'errors', [
    '| kind | code | retryable | exit status of the command line |',
    '|---|---|---|---|',
    ...rows
  ])
})

test('the bounds told in prose are the bounds in force', () => {
  const text = readFileSync(new URL('../../../docs/RPC.md', import.meta.url), 'utf8')
  const told: [string, number, number][] = [
    ['| one message, either way | 1 MiB |', LIMITS.rpcFrameBytesMax, 1_048_576],
    ['| nesting of one message | 64 levels |', LIMITS.rpcDepthMax, 64],
    ['| requests in flight, one connection | 64 |', LIMITS.rpcInFlightMax, 64],
    ['| subscriptions, one connection | 16 |', LIMITS.rpcSubscriptionsPerClientMax, 16],
    ['| connections | 32 |', LIMITS.rpcClientsMax, 32],
    ['| within 5 s |', LIMITS.rpcFirstByteMsMax, 5_000],
    ['| bytes not yet read by the client | 1 MiB |', LIMITS.rpcOutboundBytesMax, 1_048_576],
    ['closed after 30 s without reading', LIMITS.rpcStallMsMax, 30_000],
    ['(1 to 600000)', LIMITS.rpcTimeoutMsMax, 600_000],
    ['(103 bytes here)', LIMITS.socketPathBytesMax, 103]
  ]
  for (const [sentence, limit, value] of told) {
    assert.ok(text.includes(sentence), sentence)
    assert.equal(limit, value, sentence)
  }
})
