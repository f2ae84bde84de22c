/**
 * The effective configuration: flags over environment over <home>/config.toml over the preset over the defaults.
 *
 * Each source is turned into one flat layer of dotted keys, the layers are laid over each other, every value is judged
 * by its row in config-schema.ts, and the relations between values come last. Every value remembers where it was said,
 * so that an error names the file and line, the variable or the flag. Nothing is written, and no value is ever guessed:
 * an unknown key is refused with the nearest known one, because a mistyped limit is a limit that does not hold.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, TomlError } from 'smol-toml'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { nearest } from '../rpc/nearest.ts'
import {
  CONFIG_KEYS,
  OTHER_VARIABLES,
  PRESETS,
  RELATIONS,
  SHORT_VARIABLES,
  variableOf,
  type Config,
  type KeySpec,
  type Preset
} from './config-schema.ts'

export type { Config, Preset } from './config-schema.ts'

export type ConfigSource = 'default' | 'file' | 'environment' | 'flag'

/** One effective value and where it comes from; `ConfigEntry` of the command line, with the exact place added. */
export interface LocatedEntry {
  /** Dotted path, as `network.fanout`. */
  readonly key: string
  readonly value: unknown
  /** A value of the preset counts as a default, for the preset is nothing but a set of them. */
  readonly source: ConfigSource
  /** In words: `config.toml:12`, `CHRYSALIS_MDNS`, `preset lan`, `built in`. */
  readonly origin: string
}

/** Overrides by dotted path. Text is read as in the environment, other values are taken as they are. */
export type ConfigFlags = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface LoadOptions {
  readonly home: string
  /** Wins over `flags.preset`, the environment and the file. */
  readonly preset?: string | undefined
  readonly flags?: ConfigFlags
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface LoadedConfig {
  readonly config: Config
  /** In the order of docs/CONFIG.md. */
  readonly entries: readonly LocatedEntry[]
  /** One sentence each, for the log: variables that look like ours and mean nothing. */
  readonly warnings: readonly string[]
}

interface Said {
  readonly value: unknown
  readonly source: ConfigSource
  readonly origin: string
}
type Layer = ReadonlyMap<string, Said>

/**
 * Reads all sources and returns the effective configuration. A home without a config.toml is fine. Throws
 * ChrysalisError `config` for anything that is not exactly right; nothing is touched.
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = path.join(options.home, 'config.toml')
  const fileLayer = existsSync(file)
    ? readTomlLayer(file, 'file', (line) => `${file}:${line}`)
    : new Map<string, Said>()
  const environment = readEnvironment(options.env ?? {})
  const flagLayer = readFlags(options)

  const saidPreset = flagLayer.get('preset') ?? environment.layer.get('preset') ?? fileLayer.get('preset')
  const preset = saidPreset === undefined ? 'lan' : (check('preset', saidPreset) as Preset)
  const layers = [presetLayer(preset), fileLayer, environment.layer, flagLayer]

  const entries: LocatedEntry[] = []
  for (const [key, spec] of CONFIG_KEYS) {
    let said: Said = { value: spec.fallback, source: 'default', origin: 'built in' }
    for (const layer of layers) said = layer.get(key) ?? said
    entries.push({ key, ...said, value: check(key, said) })
  }
  const config = nest(entries)
  checkRelations(config, entries)
  return { config, entries, warnings: environment.warnings }
}

/** The layer of one of the package's preset files. */
export function presetLayer(preset: Preset): Layer {
  return readTomlLayer(path.join(presetDirectory(), `${preset}.toml`), 'default', () => `preset ${preset}`)
}

/** The package's config/ folder: beside src/ in a checkout, beside dist/ when installed. */
function presetDirectory(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const candidate = path.join(directory, 'config')
    if (PRESETS.every((name) => existsSync(path.join(candidate, `${name}.toml`)))) return candidate
    const parent = path.dirname(directory)
    if (parent === directory) break
    directory = parent
  }
  throw new ChrysalisError('config', 'The preset files of the package are missing; nothing was touched.', {
    hint: 'Install the package again: its config/ folder is not there.'
  })
}

function readTomlLayer(file: string, source: ConfigSource, originOf: (line: number | string) => string): Layer {
  const text = readConfigText(file)
  let document: Record<string, unknown>
  try {
    document = parse(text)
  } catch (error) {
    const where = error instanceof TomlError ? `${file}:${error.line}:${error.column}` : file
    const reason = messageOf(error).split('\n')[0]
    throw new ChrysalisError('config', `${where} is not valid TOML: ${reason}. Nothing was touched.`, {
      hint: `Correct the line, or move ${file} aside to run with the defaults.`,
      cause: error
    })
  }
  const layer = new Map<string, Said>()
  for (const [name, value] of Object.entries(document)) {
    const keys = isTable(value)
      ? Object.entries(value).map(([inner, v]) => [`${name}.${inner}`, v] as const)
      : [[name, value] as const]
    for (const [key, said] of keys) {
      const origin = originOf(lineOf(text, key) ?? '?')
      if (!CONFIG_KEYS.has(key)) throw unknownKey(key, origin)
      layer.set(key, { value: said, source, origin })
    }
  }
  return layer
}

function readConfigText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ChrysalisError('config', `${file} cannot be read: ${messageOf(error)}. Nothing was touched.`, {
      hint: 'Make it readable for the user that runs the daemon.',
      cause: error
    })
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** The line on which a document sets a key, by its section headers and its dotted keys; undefined for odd notations. */
function lineOf(text: string, key: string): number | undefined {
  let section = ''
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)
    if (header?.[1] !== undefined) section = `${header[1].replaceAll(/["'\s]/g, '')}.`
    const assignment = /^\s*([A-Za-z0-9_."'-]+)\s*=/.exec(line)
    if (assignment?.[1] !== undefined && section + assignment[1].replaceAll(/["']/g, '') === key) return index + 1
  }
  return undefined
}

/** Regular names, short names, and a warning for every other variable that begins like ours. */
function readEnvironment(env: Readonly<Record<string, string | undefined>>): { layer: Layer; warnings: string[] } {
  const keyOf = new Map([...CONFIG_KEYS.keys()].map((key) => [variableOf(key), key]))
  for (const [variable, key] of Object.entries(SHORT_VARIABLES)) keyOf.set(variable, key)
  const layer = new Map<string, Said>()
  const warnings: string[] = []
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable]
    if (!variable.startsWith('CHRYSALIS_') || text === undefined || variable in OTHER_VARIABLES) continue
    const key = keyOf.get(variable)
    if (key === undefined) {
      const near = nearest(variable, [...keyOf.keys(), ...Object.keys(OTHER_VARIABLES)])
      warnings.push(
        `The environment variable ${variable} means nothing here${near === undefined ? '' : `; ${near} does`}.`
      )
      continue
    }
    const value = fromText(CONFIG_KEYS.get(key)?.kind, text)
    if (value === undefined) continue
    const before = layer.get(key)
    if (before !== undefined && JSON.stringify(before.value) !== JSON.stringify(value)) {
      throw new ChrysalisError(
        'config',
        `${before.origin} and ${variable} both set ${key}, differently. Nothing was touched.`,
        {
          hint: `Unset one of them.`
        }
      )
    }
    layer.set(key, { value, source: 'environment', origin: variable })
  }
  return { layer, warnings }
}

function readFlags(options: LoadOptions): Layer {
  const layer = new Map<string, Said>()
  for (const [key, given] of Object.entries(options.flags ?? {})) {
    const origin = `the flag ${key}`
    const spec = CONFIG_KEYS.get(key)
    if (spec === undefined) throw unknownKey(key, origin)
    const value = typeof given === 'string' ? fromText(spec.kind, given) : given
    if (value !== undefined) layer.set(key, { value, source: 'flag', origin })
  }
  if (options.preset !== undefined)
    layer.set('preset', { value: options.preset, source: 'flag', origin: 'the flag preset' })
  return layer
}

/**
 * Reads a value from text. An empty text is no value for a flag, a number or a choice (as an unset variable is), no
 * entries for a list, and "not set" for a text. What cannot be read stays text, for the schema to refuse by name.
 */
function fromText(kind: KeySpec<unknown>['kind'] | undefined, text: string): unknown {
  const trimmed = text.trim()
  switch (kind) {
    case 'list':
      return trimmed.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))
    case 'text':
      return trimmed === '' ? null : trimmed
    case 'flag':
      if (/^(1|true|yes|on)$/i.test(trimmed)) return true
      if (/^(0|false|no|off)$/i.test(trimmed)) return false
      break
    case 'number':
      if (/^[+-]?\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed)
      break
    default:
  }
  return trimmed === '' ? undefined : trimmed
}

function check(key: string, said: Said): unknown {
  const spec = CONFIG_KEYS.get(key)
  const result = spec?.schema.safeParse(said.value)
  if (spec === undefined || result === undefined) throw unknownKey(key, said.origin)
  if (result.success) return result.data
  // In a list, the first entry at fault says more than the whole list.
  const at = result.error.issues[0]?.path[0]
  const got = Array.isArray(said.value) && typeof at === 'number' ? (said.value[at] as unknown) : said.value
  throw new ChrysalisError(
    'config',
    `${key} must be ${spec.bounds}; ${said.origin} says ${shown(got)}. Nothing was touched.`,
    {
      hint: `Correct it, or leave it out for the default (${shown(spec.fallback)}). docs/CONFIG.md explains every key.`,
      data: { key, expected: spec.bounds, got: shown(got), origin: said.origin }
    }
  )
}

function checkRelations(config: Config, entries: readonly LocatedEntry[]): void {
  for (const relation of RELATIONS) {
    if (relation.holds(config)) continue
    const told = relation.keys.map((key) => {
      const entry = entries.find((candidate) => candidate.key === key)
      return `${key} = ${shown(entry?.value)} (${entry?.origin ?? 'built in'})`
    })
    throw new ChrysalisError('config', `${told.join(' and ')} do not fit: ${relation.text}. Nothing was touched.`, {
      hint: 'Change one of the two.',
      data: { keys: relation.keys }
    })
  }
}

function unknownKey(key: string, origin: string): ChrysalisError {
  const near = nearestKey(key)
  return new ChrysalisError('config', `${origin}: there is no configuration key ${shown(key)}. Nothing was touched.`, {
    hint:
      near === undefined ? 'docs/CONFIG.md lists every key.' : `Did you mean ${near}? docs/CONFIG.md lists every key.`,
    data: { key, origin, ...(near === undefined ? {} : { nearest: near }) }
  })
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

function nest(entries: readonly LocatedEntry[]): Config {
  const config: Record<string, unknown> = {}
  for (const { key, value } of entries) {
    const [section, name] = key.split('.') as [string, string | undefined]
    if (name === undefined) config[section] = value
    else config[section] = { ...(config[section] as object | undefined), [name]: value }
  }
  // Each value has passed the schema that the type is inferred from, and each key of the table is there.
  return config as unknown as Config
}

/** The key that was probably meant: by its whole path, else, given without its section or in a wrong one, by its last part. */
function nearestKey(key: string): string | undefined {
  const known = [...CONFIG_KEYS.keys()]
  const lastOf = (path: string): string => path.slice(path.lastIndexOf('.') + 1)
  const exact = known.find((candidate) => lastOf(candidate) === lastOf(key))
  if (exact !== undefined) return exact
  const part = nearest(lastOf(key), known.map(lastOf))
  return nearest(key, known) ?? known.find((candidate) => lastOf(candidate) === part)
}
