/**
 * A run that can be said again in one line: scenario, seed, and what is not as the seed draws it. It is what is printed
 * when a run fails, what `replay` reads, and a line of test/seeds.txt.
 *
 *   crash-restart 17 nodes=4 writes=12 liars=equivocator faults=[{"atMs":900,"kind":"crash","target":[1],"forMs":400}]
 */
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import { nearest } from '../../src/rpc/nearest.ts'
import { FAULT_NAMES, type Fault } from '../faults/plan.ts'
import { LIAR_KINDS, type LiarKind } from '../liars/liar.ts'

export interface SeedCase {
  /** Name of a scenario, or path of its file. */
  readonly scenario: string
  readonly seed: string
  readonly nodes?: number
  readonly writes?: number
  readonly faults?: readonly Fault[]
  readonly liars?: readonly LiarKind[]
}

const SEED_LENGTH_MAX = 100
const OVERRIDES = ['nodes', 'writes', 'liars', 'faults'] as const

/** A seed is any text without spaces; numbers are texts as well. Throws `invalid_argument`. */
export function checkSeed(text: string): string {
  if (/^[\w.:@+-]+$/.test(text) && text.length <= SEED_LENGTH_MAX) return text
  throw new ChrysalisError('invalid_argument', `"${text}" is no seed; nothing was run.`, {
    hint: `A seed is a number or a word of at most ${SEED_LENGTH_MAX} letters, digits and . : @ + - _`
  })
}

export function formatCase({ scenario, seed, nodes, writes, faults, liars }: SeedCase): string {
  const words = [scenario, seed]
  if (nodes !== undefined) words.push(`nodes=${nodes}`)
  if (writes !== undefined) words.push(`writes=${writes}`)
  if (liars !== undefined) words.push(`liars=${liars.length === 0 ? 'none' : liars.join(',')}`)
  if (faults !== undefined) words.push(`faults=${JSON.stringify(faults)}`)
  return words.join(' ')
}

/** `where` names the line in errors. Throws `invalid_argument`. */
export function parseCase(line: string, where = 'the case'): SeedCase {
  // Nothing in a case contains a space: JSON is written without them, and seeds have none.
  const [scenario, seed, ...overrides] = line.trim().split(/\s+/)
  if (scenario === undefined || scenario === '' || seed === undefined) {
    throw new ChrysalisError('invalid_argument', `${where} names no scenario and seed; nothing was run.`, {
      hint: 'Write it as: crash-restart 17 [nodes=4] [writes=12] [liars=…] [faults=[…]]'
    })
  }
  let parsed: SeedCase = { scenario, seed: checkSeed(seed) }
  for (const override of overrides) parsed = { ...parsed, ...parseOverride(override, where) }
  return parsed
}

function parseOverride(text: string, where: string): Partial<SeedCase> {
  const equals = text.indexOf('=')
  const key = equals < 0 ? text : text.slice(0, equals)
  const value = equals < 0 ? '' : text.slice(equals + 1)
  switch (key) {
    case 'nodes':
    case 'writes': {
      const count = Number(value)
      if (/^\d+$/.test(value) && count >= (key === 'nodes' ? 1 : 0) && count <= 100_000) return { [key]: count }
      throw wrong(where, `${key}=${value} is no number of ${key}`, `Write ${key}=5.`)
    }
    case 'liars':
      return { liars: value === 'none' ? [] : value.split(',').map((kind) => checkLiar(kind, where)) }
    case 'faults':
      return { faults: parseFaults(value, where) }
    default: {
      const near = nearest(key, OVERRIDES)
      const known = `Known: ${OVERRIDES.join(', ')}.`
      throw wrong(
        where,
        `${key} is nothing that a case can change`,
        near === undefined ? known : `Did you mean ${near}?`
      )
    }
  }
}

function checkLiar(kind: string, where: string): LiarKind {
  if (kind in LIAR_KINDS) return kind as LiarKind
  const near = nearest(kind, Object.keys(LIAR_KINDS))
  throw wrong(
    where,
    `${kind} is no liar`,
    near === undefined ? 'See simulations/liars/liar.ts.' : `Did you mean ${near}?`
  )
}

function parseFaults(text: string, where: string): Fault[] {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (error) {
    throw wrong(where, `its faults are no JSON: ${messageOf(error)}`, 'Copy the whole line that was printed.')
  }
  if (!Array.isArray(list)) throw wrong(where, 'its faults are no list', 'Write faults=[] for none.')
  return list.map((one: unknown) => {
    if (isFault(one)) return one
    throw wrong(
      where,
      `${JSON.stringify(one)} is no fault`,
      'A fault has atMs, kind and target; see simulations/faults.'
    )
  })
}

function isFault(value: unknown): value is Fault {
  if (typeof value !== 'object' || value === null) return false
  const { atMs, kind, target, forMs, size } = value as Record<string, unknown>
  const isCount = (one: unknown): boolean => typeof one === 'number' && one >= 0
  return (
    isCount(atMs) &&
    FAULT_NAMES.includes(kind as Fault['kind']) &&
    Array.isArray(target) &&
    target.every(isCount) &&
    (forMs === undefined || isCount(forMs)) &&
    (size === undefined || typeof size === 'number')
  )
}

function wrong(where: string, what: string, hint: string): ChrysalisError {
  return new ChrysalisError('invalid_argument', `${where}: ${what}; nothing was run.`, { hint })
}

/** The cases of a file like test/seeds.txt: one a line, `#` begins a comment. */
export function parseSeedFile(file: string, text: string): SeedCase[] {
  return text.split('\n').flatMap((line, index) => {
    const [said = ''] = line.split('#')
    return said.trim() === '' ? [] : [parseCase(said, `${file}:${index + 1}`)]
  })
}

/** `1..200`, `200` (from 1), `7,9,13`, or one word. Throws `invalid_argument`. */
export function parseSeeds(text: string): string[] {
  const range = /^(?:(\d+)\.\.)?(\d+)$/.exec(text)
  if (range === null) return text.split(',').map(checkSeed)
  const from = Number(range[1] ?? 1)
  const to = Number(range[2])
  if (from > to || to - from >= SEEDS_MAX) {
    throw new ChrysalisError('invalid_argument', `${text} is no range of seeds; nothing was run.`, {
      hint: `Write 1..200, the smaller number first, at most ${SEEDS_MAX} seeds.`
    })
  }
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`)
}

const SEEDS_MAX = 10_000_000
