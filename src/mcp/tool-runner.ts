/**
 * One tool call, from the arguments a model wrote to the result it reads. Models guess: other names for an argument are
 * put right in silence, an unknown one is refused with the name that was probably meant, and every refusal says what to
 * do next. An error is a result like any other, so that the model sees it.
 */
import type { CallToolResult } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import { plainLine } from '../base/fence.ts'
import { ChrysalisError, isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { isObject } from '../rpc/messages.ts'
import { nearest } from '../rpc/nearest.ts'
import type { Tool, ToolContext } from './profile.ts'

const MESSAGE_LENGTH_MAX = 1_000
const METHOD_PREFIX = /^(?:memory|vote|sync|space|peer|node)\.[A-Za-z]{1,32}: /

export class ToolRunner {
  readonly #context: () => ToolContext
  #running = 0

  /** `context` is asked at each call: who the client is may not be known before the first. */
  constructor(context: () => ToolContext) {
    this.#context = context
  }

  /** Calls and readings at work, cancelled ones included. */
  get running(): number {
    return this.#running
  }

  /** Never rejects. */
  async run(tool: Tool, given: unknown): Promise<CallToolResult> {
    try {
      const { structured, text } = await this.admit(() => tool.run(checkArguments(tool, given), this.#context()))
      return { content: [{ type: 'text', text }], structuredContent: structured }
    } catch (error) {
      return errorResult(error)
    }
  }

  /** Does the work within the bound of what one connection may have going on. Rejects with `rate_limited` beyond it. */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= LIMITS.mcpCallsInFlightMax) {
      const message = `${LIMITS.mcpCallsInFlightMax} calls are at work already; nothing was done.`
      throw new ChrysalisError('rate_limited', message, { hint: 'Wait for one of them, then try again.' })
    }
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
    }
  }
}

/** What was wrong and what to do, in plain text: a message may quote what a model or a peer wrote. */
export function errorResult(error: unknown): CallToolResult {
  return { content: [{ type: 'text', text: errorText(error) }], isError: true }
}

export function errorText(error: unknown): string {
  if (!isChrysalisError(error)) {
    return `The daemon failed: ${plainLine(messageOf(error), MESSAGE_LENGTH_MAX)}. Look before writing again: it is not known what had been done.`
  }
  const retryMs = error.data?.['retryMs']
  const parts = [
    // A model knows the tool it called, not the method behind it.
    error.message.replace(METHOD_PREFIX, ''),
    ...(error.hint === undefined ? [] : [error.hint]),
    ...(typeof retryMs === 'number' ? [`Try again in ${Math.ceil(retryMs)} ms.`] : []),
    ...(error.stateTouched ? ['Something may have been written: look before writing again.'] : [])
  ]
  return plainLine(parts.join(' '), MESSAGE_LENGTH_MAX)
}

/** Throws `invalid_argument`. */
export function checkArguments(tool: Tool, given: unknown): Record<string, unknown> {
  if (given !== undefined && !isObject(given)) throw faulty(tool, 'the arguments are not an object', undefined)
  const args = withoutAliases(tool, given ?? {})
  const known = Object.keys(tool.input.shape)
  const stranger = isOpen(tool.input) ? undefined : Object.keys(args).find((name) => !known.includes(name))
  if (stranger !== undefined) {
    const meant = nearest(stranger, known)
    const hint = meant === undefined ? `It takes ${known.join(', ') || 'none'}.` : `Did you mean ${meant}?`
    throw faulty(tool, `there is no argument ${plainLine(stranger)}`, hint)
  }
  const parsed = tool.input.safeParse(args)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const place = issue?.path.map(String).join('.') ?? ''
  const what = `${place === '' ? '' : `${place}: `}${issue?.message ?? 'the arguments are not valid'}`
  throw faulty(tool, what, undefined)
}

/** Whether the schema lets unknown names through on purpose. */
function isOpen(input: z.ZodObject): boolean {
  const { catchall } = input.def
  return catchall !== undefined && catchall._zod.def.type !== 'never'
}

/** The right name wins where both are given. No name can reach a prototype: what comes out has none. */
function withoutAliases(tool: Tool, given: Record<string, unknown>): Record<string, unknown> {
  const args: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  const { shape } = tool.input
  for (const [name, value] of Object.entries(given)) {
    const aliases = tool.aliases ?? {}
    const right = !Object.hasOwn(shape, name) && Object.hasOwn(aliases, name) ? aliases[name] : undefined
    // Families of tools share their other names, and not every tool has every argument.
    if (right === undefined || !Object.hasOwn(shape, right)) args[name] = value
    else args[right] ??= fitted(shape[right], value)
  }
  return args
}

/** `id` for `ids`, `kind` for `kinds`: one where a list is wanted is a list of one, and a list of one is that one. */
function fitted(schema: unknown, value: unknown): unknown {
  const wantsList = isListSchema(schema)
  if (wantsList && !Array.isArray(value)) return [value]
  if (!wantsList && Array.isArray(value) && value.length === 1) return value[0] as unknown
  return value
}

function isListSchema(schema: unknown): boolean {
  let at = schema as { def?: { type?: string; innerType?: unknown } } | undefined
  while (at?.def?.innerType !== undefined) at = at.def.innerType as typeof at
  return at?.def?.type === 'array'
}

function faulty(tool: Tool, what: string, hint: string | undefined): ChrysalisError {
  return new ChrysalisError('invalid_argument', `${tool.name}: ${what}; nothing was done.`, {
    ...(hint === undefined ? {} : { hint })
  })
}
