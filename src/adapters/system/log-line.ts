/**
 * One log entry as one line of text, for machines (NDJSON) or people.
 *
 * Messages and data may hold what a peer sent. Whatever it is, the entry stays one line, a terminal that shows it gets
 * no control characters, and turning it into text does not throw.
 */
import { toHex } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import type { LogLevel } from '../../ports/logger.ts'

export interface LogEntry {
  readonly atMs: number
  readonly level: LogLevel
  readonly message: string
  readonly data?: Record<string, unknown> | undefined
}

export type LogFormat = 'json' | 'text'

/** The line with its newline, at most `lineBytesMax` bytes: data that does not fit is replaced by its size. */
export function logLine(entry: LogEntry, format: LogFormat, lineBytesMax: number = LIMITS.logLineBytesMax): string {
  const render = format === 'json' ? jsonLine : textLine
  const line = render(entry)
  const bytes = Buffer.byteLength(line)
  if (bytes <= lineBytesMax) return line
  // Half of the room is for the message: an escaped character takes up to six bytes.
  const message = entry.message.slice(0, Math.floor(lineBytesMax / 12))
  return render({ ...entry, message, data: { omittedBytes: bytes } })
}

function jsonLine({ atMs, level, message, data }: LogEntry): string {
  const head = { time: isoTime(atMs), level, message }
  return `${stringify(data === undefined ? head : { ...head, data })}\n`
}

function textLine({ atMs, level, message, data }: LogEntry): string {
  const pairs = Object.entries(data ?? {}).map(([name, value]) => ` ${plain(name)}=${stringify(value)}`)
  return `${isoTime(atMs)} ${level.padEnd(5)} ${plain(message)}${pairs.join('')}\n`
}

/** JSON without characters that a terminal acts upon. What JSON cannot say is said in words. */
function stringify(value: unknown): string {
  try {
    return escapeControls(JSON.stringify(value, describe) ?? 'null')
  } catch {
    // Circular, or a getter or toJSON that throws.
    return '"(not serialisable)"'
  }
}

function describe(this: unknown, name: string, given: unknown): unknown {
  // `given` has been through toJSON, which turns a Buffer into a list of numbers; the holder still has the original.
  const original = (this as Record<string, unknown>)[name]
  const value = original instanceof Uint8Array ? original : given
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) {
    const { name, message } = value
    return 'code' in value ? { name, message, code: value.code } : { name, message }
  }
  if (value instanceof Uint8Array) return toHex(value)
  if (value instanceof Map || value instanceof Set) return [...value]
  return value
}

function plain(text: string): string {
  return escapeControls(text)
}

/** C0, DEL, C1, line separators and the marks that reorder text, each as \uXXXX. */
function escapeControls(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

/** An impossible time must not cost the entry. */
function isoTime(atMs: number): string {
  const date = new Date(atMs)
  return Number.isNaN(date.getTime()) ? String(atMs) : date.toISOString()
}
