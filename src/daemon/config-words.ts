/**
 * The words in which a key of the configuration is written down: a flag, a number, a choice, a list, a text, each with
 * its bounds in words, so that an error message and the documentation say the same as the validation does.
 */
import { z } from 'zod'

/** How a value is read from text: from the environment and from `--set`. */
export type KeyKind = 'flag' | 'number' | 'text' | 'choice' | 'list'

export interface KeySpec<T> {
  readonly kind: KeyKind
  readonly schema: z.ZodType<T>
  readonly fallback: T
  /** Empty when the value has none. */
  readonly unit: string
  /** What is allowed, in words: the "expected" half of an error message. */
  readonly bounds: string
  readonly meaning: string
  /** Why this default, and what either extreme costs. */
  readonly why: string
}

/** The part of a row that is prose. */
interface Prose {
  readonly unit?: string
  readonly meaning: string
  readonly why: string
}

export function flag(fallback: boolean, prose: Prose): KeySpec<boolean> {
  return { kind: 'flag', schema: z.boolean(), fallback, bounds: 'true or false', ...prose, unit: '' }
}

export function wholeNumber(fallback: number, min: number, max: number, prose: Prose): KeySpec<number> {
  const bounds = `a whole number from ${min} to ${max}`
  return { kind: 'number', schema: z.number().int().min(min).max(max), fallback, bounds, unit: '', ...prose }
}

export function fraction(fallback: number, prose: Prose): KeySpec<number> {
  return {
    kind: 'number',
    schema: z.number().min(0).max(1),
    fallback,
    bounds: 'a number from 0 to 1',
    unit: '',
    ...prose
  }
}

export function choice<const T extends string>(fallback: NoInfer<T>, values: readonly T[], prose: Prose): KeySpec<T> {
  const bounds = `one of ${values.join(', ')}`
  return { kind: 'choice', schema: z.enum(values), fallback, bounds, ...prose, unit: '' }
}

/** `max` bounds the number of entries; `one` judges each of them. */
export function list(one: z.ZodType<string>, max: number, bounds: string, prose: Prose): KeySpec<readonly string[]> {
  return {
    kind: 'list',
    schema: z.array(one).max(max),
    fallback: [],
    bounds: `a list of at most ${max} ${bounds}`,
    unit: '',
    ...prose
  }
}

/** null stands for "not set"; a file leaves the key out, the environment sets it empty. */
export function optionalText(schema: z.ZodType<string>, bounds: string, prose: Prose): KeySpec<string | null> {
  return { kind: 'text', schema: schema.nullable(), fallback: null, bounds, unit: '', ...prose }
}
