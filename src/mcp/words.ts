/**
 * Arguments as models write them: a time as ISO text or as milliseconds, and the words that tools share. What is a bound
 * of the daemon is not repeated here: the call that follows checks it and says so in a sentence.
 */
import { z } from 'zod'
import { ChrysalisError } from '../base/errors.ts'
import { plainLine } from '../base/fence.ts'
import { KINDS } from '../rpc/vocabulary.ts'
import type { ToolContext } from './profile.ts'

/** As `2026-07-01`, `2026-07-01T12:00:00Z` or milliseconds since 1970. */
export const time = z.union([z.string(), z.number()])
export const texts = z.array(z.string())
export const kind = z.enum(KINDS)

/** Milliseconds as text; fewer digits would rather be a year, or seconds. */
const DIGITS = /^\d{11,15}$/
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/i

/** Milliseconds since 1970; a time without a zone is UTC. Throws `invalid_argument`, naming the argument. */
export function timeMs(name: string, value: string | number): number {
  const ms = typeof value === 'number' ? value : DIGITS.test(value) ? Number(value) : parsed(value)
  if (Number.isFinite(ms) && ms >= 0 && ms < 2 ** 48) return Math.floor(ms)
  throw new ChrysalisError('invalid_argument', `${name}: ${plainLine(String(value))} is no time; nothing was done.`, {
    hint: 'Write an ISO date, as 2026-07-01 or 2026-07-01T12:00:00Z, or milliseconds since 1970.'
  })
}

function parsed(value: string): number {
  const text = value.trim()
  if (!ISO.test(text)) return Number.NaN
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(text) || text.length === 10 ? text : `${text}Z`
  return Date.parse(zoned.replace(' ', 'T'))
}

/** `{ [target]: milliseconds }` when it was given, else nothing. */
export function optionalTime<const K extends string>(
  target: K,
  name: string,
  value: string | number | undefined
): { [P in K]?: number } {
  return value === undefined ? {} : ({ [target]: timeMs(name, value) } as { [P in K]?: number })
}

/** Drops what was not given, which the daemon's own parameters tell apart from undefined. */
export function given<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** `{ space }` to act in: the one named, else that of the connection, else none. */
export function spaceOf(named: string | undefined, context: ToolContext): { space?: string } {
  const space = named ?? context.space
  return space === undefined ? {} : { space }
}

/** `{ spaces }` to look into. */
export function spacesOf(named: string | undefined, context: ToolContext): { spaces?: string[] } {
  const { space } = spaceOf(named, context)
  return space === undefined ? {} : { spaces: [space] }
}
