/**
 * The schema of a tool as it is listed. What the library would list says more than a model needs (a dialect, the range
 * of safe integers), and every byte of it is read again with each conversation.
 *
 * It describes and does not check: mcp/tool-runner.ts checks arguments, because it knows other names for them and can
 * say which was meant, and what our own tools answer is checked by tests.
 */
import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server'
import { z } from 'zod'

export function listSchema(schema: z.ZodObject, io: 'input' | 'output'): StandardSchemaWithJSON {
  const json = compactSchema(schema, io)
  return {
    '~standard': {
      version: 1,
      vendor: 'chrysalis',
      validate: (value) => ({ value }),
      jsonSchema: { input: () => json, output: () => json }
    }
  }
}

export function compactSchema(schema: z.ZodObject, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io }) as Record<string, unknown>
  return compact(rest) as Record<string, unknown>
}

function compact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(compact)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name, one]) => !isNoise(name, one))
  return Object.fromEntries(entries.map(([name, one]) => [name, compact(one)]))
}

function isNoise(name: string, value: unknown): boolean {
  if (name === 'maximum') return value === Number.MAX_SAFE_INTEGER
  return name === 'minimum' && value === Number.MIN_SAFE_INTEGER
}
