/**
 * From the text of a scenario file to a Scenario, or to an error that names the file, the key, what was meant perhaps,
 * and what to do. Nothing is guessed: an unknown key, a value out of bounds and a combination that cannot be are refused.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, TomlError } from 'smol-toml'
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import { nearest } from '../../src/rpc/nearest.ts'
import { FAULT_NAMES, type FaultAppetite } from '../faults/plan.ts'
import type { AirOptions } from '../world/sim-air.ts'
import { LISTS, SECTIONS, TOP, type KeySpec, type Section } from './keys.ts'
import { relationBroken } from './relations.ts'
import type { ModelScenario, PlannedFault, PlannedLiars, Scenario, Work } from './scenario.ts'

type Values = Record<string, unknown>

/** The package's own scenarios: beside this file in a checkout, in the same folder of the package when compiled. */
export function scenarioFolder(): string {
  const here = path.dirname(fileURLToPath(import.meta.url))
  if (existsSync(path.join(here, 'calm.toml'))) return here
  const packaged = path.join(here, '..', '..', '..', 'simulations', 'scenarios')
  if (existsSync(path.join(packaged, 'calm.toml'))) return packaged
  throw new ChrysalisError('config', 'The scenario files of the package are missing; nothing was run.', {
    hint: 'Install the package again: its simulations/scenarios folder is not there.'
  })
}

/** Names of the package's own scenarios, in byte order. */
export function scenarioNames(): string[] {
  return readdirSync(scenarioFolder())
    .filter((name) => name.endsWith('.toml'))
    .map((name) => name.slice(0, -'.toml'.length))
    .sort()
}

/** A scenario by its name, or by the path of a file. Throws ChrysalisError `config` or `invalid_argument`. */
export function loadScenario(nameOrFile: string): Scenario {
  if (nameOrFile.endsWith('.toml')) return parseScenario(nameOrFile, readScenario(nameOrFile))
  const names = scenarioNames()
  if (!names.includes(nameOrFile)) {
    const near = nearest(nameOrFile, names)
    throw new ChrysalisError('invalid_argument', `There is no scenario ${nameOrFile}; nothing was run.`, {
      hint:
        near === undefined
          ? `Scenarios: ${names.join(', ')}; or give the path of a .toml file.`
          : `Did you mean ${near}? A path that ends in .toml is read as a file.`
    })
  }
  const file = path.join(scenarioFolder(), `${nameOrFile}.toml`)
  return parseScenario(file, readScenario(file))
}

function readScenario(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ChrysalisError('config', `${file} cannot be read: ${messageOf(error)}. Nothing was run.`, {
      hint: `Check the path; \`chrysalis sim scenarios\` lists those of the package.`,
      cause: error
    })
  }
}

/** `file` gives the scenario its name and errors their place. */
export function parseScenario(file: string, text: string): Scenario {
  let document: Values
  try {
    document = parse(text)
  } catch (error) {
    const where = error instanceof TomlError ? `${file}:${error.line}:${error.column}` : file
    throw new ChrysalisError(
      'config',
      `${where} is not valid TOML: ${messageOf(error).split('\n')[0]}. Nothing was run.`,
      {
        hint: 'Correct the line.',
        cause: error
      }
    )
  }
  const top: Values = {}
  const tables = new Map<string, Values>()
  const lists = new Map<string, Values[]>()
  for (const [key, value] of Object.entries(document)) {
    const list = LISTS[key]
    if (key in SECTIONS) tables.set(key, checkTable(file, key, SECTIONS[key] as Section, tableOf(file, key, value)))
    else if (list !== undefined)
      lists.set(
        key,
        tablesOf(file, key, value).map((one) => checkTable(file, key, list, one))
      )
    else top[key] = value
  }
  const said = checkTable(file, '', TOP, top)
  const section = (name: string): Values => tables.get(name) ?? checkTable(file, name, SECTIONS[name] as Section, {})
  const scenario = assemble(file, said, section, lists, tables.has('model'))
  const broken = relationBroken(scenario, tables.has('model'))
  if (broken !== undefined) {
    throw new ChrysalisError('config', `${file}: ${broken.what}. Nothing was run.`, { hint: broken.hint })
  }
  return scenario
}

function assemble(
  file: string,
  top: Values,
  section: (name: string) => Values,
  lists: ReadonlyMap<string, Values[]>,
  hasModel: boolean
): Scenario {
  const { nodes, overlay, network, dials, clockSkewMs, ...air } = section('world')
  const { swarm, ...faults } = section('faults')
  return {
    name: path.basename(file, '.toml'),
    ...(top as Pick<Scenario, 'shows' | 'tier'>),
    nodes: nodes as Scenario['nodes'],
    world: {
      overlay,
      dials,
      clockSkewMs,
      air: air as Partial<AirOptions>,
      ...(network === undefined ? {} : { network })
    } as Scenario['world'],
    work: section('work') as unknown as Work,
    faults: faults as FaultAppetite,
    swarm: swarm as boolean,
    planned: (lists.get('fault') ?? []) as unknown as PlannedFault[],
    liars: section('liars') as unknown as PlannedLiars,
    heal: section('heal') as unknown as Scenario['heal'],
    seeds: section('seeds') as unknown as Scenario['seeds'],
    ...(hasModel ? { model: section('model') as unknown as ModelScenario } : {})
  }
}

/** The table with everything left out filled in. */
function checkTable(file: string, name: string, spec: Section, table: Values): Values {
  const known =
    name === '' ? [...Object.keys(spec), ...Object.keys(SECTIONS), ...Object.keys(LISTS)] : Object.keys(spec)
  for (const key of Object.keys(table)) if (!(key in spec)) throw unknownKey(file, name, key, known)
  const values: Values = {}
  for (const [key, one] of Object.entries(spec)) {
    const given = table[key]
    if (given !== undefined) values[key] = checkValue(file, dotted(name, key), one, given)
    else if (one.required === true) {
      throw new ChrysalisError('config', `${file}: ${dotted(name, key)} is missing. Nothing was run.`, {
        hint: `Add it: ${one.means}. It takes ${inWords(one)}.`
      })
    } else if (one.fallback !== undefined) values[key] = one.fallback
  }
  return values
}

function unknownKey(file: string, table: string, key: string, known: readonly string[]): ChrysalisError {
  // A key may be right and only stand in the wrong table.
  const home = Object.entries({ ...SECTIONS, ...LISTS }).find(([name, spec]) => name !== table && key in spec)?.[0]
  const near = nearest(key, known)
  let hint = `Known here: ${known.join(', ')}.`
  if (near !== undefined) hint = `Did you mean ${dotted(table, near)}? ${hint}`
  else if (home !== undefined) hint = `${key} belongs under [${home}]. ${hint}`
  return new ChrysalisError('config', `${file}: ${dotted(table, key)} is no key of a scenario. Nothing was run.`, {
    hint,
    data: { file, key: dotted(table, key), ...(near === undefined ? {} : { nearest: near }) }
  })
}

function checkValue(file: string, key: string, spec: KeySpec, value: unknown): unknown {
  const right = rightValue(spec, value)
  if (right !== undefined) return right
  const { is } = spec
  const near =
    (is.takes === 'choice' || is.takes === 'choices') && typeof value === 'string' ? nearest(value, is.of) : undefined
  const shown = JSON.stringify(value) ?? String(value)
  throw new ChrysalisError('config', `${file}: ${key} takes ${inWords(spec)}, not ${shown}. Nothing was run.`, {
    hint: near === undefined ? `It is: ${spec.means}.` : `Did you mean "${near}"? It is: ${spec.means}.`,
    data: { file, key }
  })
}

/** As it is kept, or undefined when it is wrong. */
function rightValue({ is }: KeySpec, value: unknown): unknown {
  switch (is.takes) {
    case 'text':
      return typeof value === 'string' && value.trim() !== '' ? value : undefined
    case 'flag':
      return typeof value === 'boolean' ? value : undefined
    case 'choice':
      return typeof value === 'string' && is.of.includes(value) ? value : undefined
    case 'choices':
      return Array.isArray(value) && value.every((one) => is.of.includes(one as string)) ? value : undefined
    case 'number':
      return isWithin(value, is) ? value : undefined
    case 'whole':
      return isWithin(value, is) && Number.isInteger(value) ? value : undefined
    case 'wholes':
      return Array.isArray(value) && value.every((one) => isWithin(one, is) && Number.isInteger(one))
        ? value
        : undefined
    case 'span': {
      const span = (Array.isArray(value) ? value : [value, value]) as unknown[]
      const [min, max] = span
      const fits = span.length === 2 && span.every((one) => isWithin(one, is) && Number.isInteger(one))
      return fits && (min as number) <= (max as number) ? span : undefined
    }
  }
}

function isWithin(value: unknown, { min, max }: { min: number; max: number }): boolean {
  return typeof value === 'number' && value >= min && value <= max
}

function inWords({ is }: KeySpec): string {
  switch (is.takes) {
    case 'text':
      return 'a line of text'
    case 'flag':
      return 'true or false'
    case 'choice':
      return `one of ${is.of.join(', ')}`
    case 'choices':
      return `a list of ${is.of.join(', ')}`
    case 'wholes':
      return `a list of whole numbers from ${is.min} to ${is.max}`
    case 'span':
      return `a whole number from ${is.min} to ${is.max}, or a pair of them, the smaller first`
    default:
      return `a ${is.takes === 'whole' ? 'whole number' : 'number'} from ${is.min} to ${is.max}`
  }
}

function tableOf(file: string, key: string, value: unknown): Values {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Values
  throw new ChrysalisError('config', `${file}: ${key} is a table, not a value. Nothing was run.`, {
    hint: `Write [${key}] and its keys below.`
  })
}

function tablesOf(file: string, key: string, value: unknown): Values[] {
  if (Array.isArray(value)) return value.map((one) => tableOf(file, key, one))
  throw new ChrysalisError('config', `${file}: ${key} is a list of tables. Nothing was run.`, {
    hint: `Write [[${key}]] with two brackets, once for each.`
  })
}

const dotted = (table: string, key: string): string => (table === '' ? key : `${table}.${key}`)

/** Whether every kind of fault is off: then no fault is expected of a run. */
export function isFaultless(scenario: Scenario): boolean {
  const { planned, liars, faults } = scenario
  return planned.length === 0 && liars.kinds.length === 0 && FAULT_NAMES.every((kind) => (faults[kind] ?? 0) === 0)
}
