/**
 * Words on the command line to values: durations, moments, numbers, lists. A value that cannot be read is a usage error
 * that says what would have been right.
 */
import { ChrysalisError } from '../base/errors.ts'

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000
}

export function usage(message: string, hint: string): ChrysalisError {
  return new ChrysalisError('usage', message, { hint })
}

/** `500ms`, `5s`, `2m`, `1h`, `7d`, `2w`; a bare number is seconds. Milliseconds, at least 1. */
export function durationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?$/.exec(text)
  const ms = match === null ? 0 : Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? 's'] ?? 0))
  if (ms >= 1 && Number.isSafeInteger(ms)) return ms
  throw usage(`${text} is no duration.`, 'Write for example 500ms, 5s, 2m, 1h or 7d.')
}

function isoMs(text: string): number | undefined {
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) || ms < 0 ? undefined : ms
}

/** A date or a time (ISO 8601), or how long ago: `2d` is two days before now. */
export function pastMs(text: string, nowMs: number): number {
  return isoMs(text) ?? Math.max(0, nowMs - durationMs(text))
}

/** A date or a time (ISO 8601), or how long from now. */
export function futureMs(text: string, nowMs: number): number {
  return isoMs(text) ?? nowMs + durationMs(text)
}

export function wholeNumber(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw usage(`${text} is no whole number.`, 'Write digits only.')
}

export function fraction(text: string): number {
  const value = Number(text)
  if (/^\d*\.?\d+$/.test(text) && value <= 1) return value
  throw usage(`${text} is no number from 0 to 1.`, 'Write for example 0.7.')
}

/** For options that may be repeated. */
export function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text]
}

/** `key=value`: true and false become booleans, digits become numbers, `a,b` stays text. */
export function setting(text: string): [string, string | number | boolean] {
  const at = text.indexOf('=')
  if (at < 1) throw usage(`${text} is no setting.`, 'Write --set key=value, as --set network.fanout=4.')
  const value = text.slice(at + 1)
  const key = text.slice(0, at)
  if (value === 'true' || value === 'false') return [key, value === 'true']
  return [key, /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value]
}

/** Leaves out what was not given, so that the daemon's own defaults apply. */
export function given<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(kept) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
