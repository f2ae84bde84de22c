/**
 * The values a caller may put into a memory: each check takes what was handed in, says in words what is wrong with it,
 * and gives back the one form in which it is written. Texts are normalised to NFC, so that two agents who type the same
 * word with different keyboards name the same tag and key.
 *
 * These bounds guard the author's own door. Foreign deltas are judged by memory/ops-codec.ts, by the same limits.
 */
import { isHex, utf8 } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS, type LimitName } from '../base/limits.ts'
import type { RecordId } from './ids.ts'
import { WALL_MS_MAX } from './names.ts'
import { BASIS_POINTS } from './ops.ts'

const LONE_SURROGATE = /\p{Surrogate}/u

/** A refusal of one field. Nothing has been written when it is thrown. */
export function invalid(field: string, message: string, hint: string): ChrysalisError {
  return new ChrysalisError('invalid_argument', `${field}: ${message}; nothing was written`, { hint, data: { field } })
}

/** Throws `invalid_argument` or, above LIMITS[limit] bytes of UTF-8, `too_large`. */
export function cleanText(field: string, value: unknown, limit: LimitName): string {
  if (typeof value !== 'string') throw invalid(field, 'not a text', `Give ${field} as a string.`)
  if (LONE_SURROGATE.test(value)) {
    throw invalid(
      field,
      'half of a character pair stands alone',
      'Give well-formed Unicode; a cut emoji is a usual cause.'
    )
  }
  if (value.includes('\0'))
    throw invalid(field, 'it contains a NUL character', 'Remove the NUL; binary data is not text.')
  const text = value.normalize('NFC')
  if (text.trim() === '') throw invalid(field, 'empty', `Give at least one visible character, or leave ${field} out.`)
  const bytes = utf8(text).length
  const bytesMax = LIMITS[limit]
  if (bytes > bytesMax) {
    throw new ChrysalisError(
      'too_large',
      `${field}: ${bytes} bytes of UTF-8, at most ${bytesMax}; nothing was written`,
      {
        hint: 'Shorten it, or keep the long text in a file and cite the file as evidence.',
        data: { field, bytes, bytesMax }
      }
    )
  }
  return text
}

/** Distinct cleaned texts in the order given; at most LIMITS[countLimit] of them. */
export function cleanTexts(
  field: string,
  values: unknown,
  limits: { readonly text: LimitName; readonly count: LimitName }
): string[] {
  const list = listOf(field, values, LIMITS[limits.count])
  return [...new Set(list.map((value, index) => cleanText(`${field}[${index}]`, value, limits.text)))]
}

export function listOf(field: string, values: unknown, countMax: number): readonly unknown[] {
  if (!Array.isArray(values)) throw invalid(field, 'not a list', `Give ${field} as a list, even for one entry.`)
  const list: readonly unknown[] = values
  if (list.length > countMax) {
    throw new ChrysalisError(
      'too_large',
      `${field}: ${list.length} entries, at most ${countMax}; nothing was written`,
      {
        hint: 'Split them over several requests.',
        data: { field, entries: list.length, entriesMax: countMax }
      }
    )
  }
  return list
}

export function cleanChoice<T extends string>(field: string, value: unknown, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === value)
  if (choice === undefined) {
    throw invalid(field, `"${String(value).slice(0, 64)}" is not known`, `Choose one of: ${choices.join(', ')}.`)
  }
  return choice
}

/** 0 to 1 into whole basis points, so that no float reaches the canonical bytes. */
export function cleanFraction(field: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
    throw invalid(field, `${String(value)} is no number from 0 to 1`, 'Give a fraction such as 0.7.')
  }
  return Math.round(value * BASIS_POINTS)
}

/** Wall milliseconds since 1970, below 2^48 (the year 10889). */
export function cleanTime(field: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > WALL_MS_MAX) {
    throw invalid(field, `${String(value)} is no time`, 'Give whole milliseconds since 1970, such as 1767225600000.')
  }
  return value
}

export function cleanBoolean(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(field, 'neither true nor false', 'Give true or false.')
  return value
}

export function cleanRecordId(field: string, value: unknown): RecordId {
  if (typeof value !== 'string' || !isHex(value, 32)) {
    throw invalid(
      field,
      'not a full record id',
      'Give all 64 lower-case hexadecimal digits; a short prefix must be resolved first.'
    )
  }
  return value
}
