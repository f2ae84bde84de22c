/**
 * METHODS: the whole local door as one table, and the types and descriptions read off it.
 */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import { change } from './views.ts'
import { EMBED_METHODS } from './embed-methods.ts'
import { MEMORY_METHODS } from './memory-methods.ts'
import type { DeepReadonly, Method } from './method.ts'
import { DOOR_METHODS, NODE_METHODS } from './node-methods.ts'
import { catchUp, SYNC_METHODS } from './sync-methods.ts'
import { TRUST_METHODS } from './trust-methods.ts'
import { UPKEEP_METHODS } from './upkeep-methods.ts'

export const METHODS = {
  ...DOOR_METHODS,
  ...NODE_METHODS,
  ...SYNC_METHODS,
  ...MEMORY_METHODS,
  ...EMBED_METHODS,
  ...UPKEEP_METHODS,
  ...TRUST_METHODS
}

export type Methods = typeof METHODS
export type MethodName = keyof Methods

/** What a caller passes. Every method takes `timeoutMs` besides; see `commonParams`. */
export type Params<M extends MethodName> = z.input<Methods[M]['params']>
/** What a handler sees, defaults filled in. */
export type ParsedParams<M extends MethodName> = z.output<Methods[M]['params']>
export type Result<M extends MethodName> = DeepReadonly<z.output<Methods[M]['result']>>

/** Accepted by every method beside its own parameters. */
export const commonParams = z.strictObject({
  timeoutMs: z
    .int()
    .min(1)
    .max(LIMITS.rpcTimeoutMsMax)
    .exactOptional()
    .describe('The answer is `timeout` after this long; what had begun may still complete')
})

export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name)
}

const sequence = z.number()
const eventBase = { subscription: z.string(), seq: sequence, cursor: z.string().nullable(), atMs: z.number() }

/** Sent by the server without being asked, once events.open was answered. */
export const NOTIFICATIONS = {
  'events.event': {
    summary: 'One event. `cursor` is set on memory events: hand it back to events.open to go on from there.',
    params: z.discriminatedUnion('type', [
      z.object({ ...eventBase, type: z.literal('memory'), data: change }),
      z.object({
        ...eventBase,
        type: z.literal('peer'),
        data: z.object({ peer: z.string(), what: z.enum(['connected', 'disconnected', 'banned']) })
      }),
      z.object({
        ...eventBase,
        type: z.literal('sync'),
        data: z.object({
          peer: z.string(),
          space: z.string(),
          result: z.string(),
          received: z.number(),
          sent: z.number()
        })
      }),
      z.object({ ...eventBase, type: z.literal('node'), data: z.object({ what: z.string(), detail: z.string() }) }),
      z.object({
        ...eventBase,
        type: z.literal('catch-up'),
        data: catchUp.extend({ what: z.enum(['started', 'progress', 'finished']) })
      })
    ])
  },
  'events.gap': {
    summary:
      'The reader was too slow: live events numbered `from` to `to` were let go. Memory events are never among them.',
    params: z.object({ subscription: z.string(), from: sequence, to: sequence })
  },
  'events.end': {
    summary: 'The subscription ended because its log could not be read; open it again from the last cursor.',
    params: z.object({ subscription: z.string(), reason: z.string() })
  }
} as const

export type EventMessage = DeepReadonly<z.output<(typeof NOTIFICATIONS)['events.event']['params']>>
export type GapMessage = DeepReadonly<z.output<(typeof NOTIFICATIONS)['events.gap']['params']>>

/** One method as `rpc.discover` and the documentation print it. */
export interface MethodDescription {
  readonly name: string
  readonly summary: string
  readonly access: Method['access']
  readonly stream: boolean
  readonly params: Record<string, unknown>
  readonly result: Record<string, unknown>
}

export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io }) as Record<string, unknown>
  return rest
}

/** The table in declaration order, shapes as JSON Schema (draft 2020-12). */
export function describeMethods(): MethodDescription[] {
  return Object.entries<Method>(METHODS).map(([name, row]) => ({
    name,
    summary: row.summary,
    access: row.access,
    stream: row.stream === true,
    params: jsonSchema(row.params, 'input'),
    result: jsonSchema(row.result, 'output')
  }))
}
