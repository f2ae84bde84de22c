/**
 * What installing means for one client: which file would change, and from what to what. A plan is made from the text
 * alone and checked by parsing it again: it must say what the old text said, and one entry more or less.
 */
import { isDeepStrictEqual } from 'node:util'
import { ChrysalisError } from '../../base/errors.ts'
import { ENTRY_NAME, type Client, type Launch, type Place, type Scope } from './clients.ts'
import { readConfigFile, type ConfigFile } from './config-file.ts'
import { unifiedDiff } from './diff.ts'
import { withEntry, withoutEntry } from './json-edit.ts'
import { parseJsonc } from './jsonc.ts'
import { withBlock, withoutBlock, type TomlTable } from './toml-edit.ts'

export interface Plan {
  readonly client: Client
  readonly config: ConfigFile
  /** undefined: the file goes. */
  readonly after: string | undefined
  readonly change: 'none' | 'add' | 'replace' | 'remove'
  readonly diff: readonly string[]
}

export interface Wanted {
  readonly scope: Scope
  /** undefined: take the entry out. */
  readonly launch: Launch | undefined
}

type Document = Record<string, unknown>
type ParseToml = (text: string) => Document

/** Throws `config` with file and place when the file is broken; nothing has been touched then. */
export function planFor(client: Client, place: Place, wanted: Wanted, parseToml: ParseToml): Plan {
  const file = client.file(place, wanted.scope)
  if (file === undefined) {
    throw new ChrysalisError('usage', `${client.title} has no configuration of a project.`, {
      hint: 'Leave out --scope project.'
    })
  }
  const config = readConfigFile(file)
  const { text } = config
  const parse = (what: string | undefined): Document => parsed(client, what, parseToml)
  try {
    const before = parse(text)
    const after = edited(client, text, wanted.launch, parseToml)
    requireOnly(before, parse(after), client.section)
    const had = entryIn(before, client.section) !== undefined
    const change = text === after ? 'none' : wanted.launch === undefined ? 'remove' : had ? 'replace' : 'add'
    return { client, config, after, change, diff: unifiedDiff(file, text, after) }
  } catch (error) {
    if (!(error instanceof ChrysalisError) || error.code !== 'config') throw error
    throw new ChrysalisError('config', `${file}: ${error.message}. Nothing was touched.`, {
      hint: 'Correct the file, or move it aside, and run the command again.',
      cause: error,
      ...(error.data === undefined ? {} : { data: error.data })
    })
  }
}

function edited(client: Client, text: string | undefined, launch: Launch | undefined, parseToml: ParseToml) {
  const { section } = client
  if (launch === undefined) {
    if (text === undefined) return undefined
    return client.format === 'json' ? withoutEntry(text, section, ENTRY_NAME) : withoutBlock(text)
  }
  const entry = client.entry(launch)
  if (client.format === 'json') return withEntry(text, section, ENTRY_NAME, entry)
  const rest = text === undefined ? undefined : withoutBlock(text)
  if (rest !== undefined && entryIn(parseToml(rest), section) !== undefined) {
    throw new ChrysalisError('config', `[${section}.${ENTRY_NAME}] is there already, written by hand`)
  }
  return withBlock(text, `${section}.${ENTRY_NAME}`, entry as TomlTable)
}

function parsed(client: Client, text: string | undefined, parseToml: ParseToml): Document {
  if (text === undefined || text.trim() === '') return {}
  if (client.format === 'toml') return parseToml(text)
  return JSON.parse(JSON.stringify(parseJsonc(text).value)) as Document
}

/** The last guard: an edit that would change anything else is a defect of ours, and must not reach the file. */
function requireOnly(before: Document, after: Document, section: string): void {
  if (isDeepStrictEqual(othersIn(before, section), othersIn(after, section))) return
  throw new ChrysalisError('config', 'the entry does not fit in without changing something else')
}

function othersIn(document: Document, section: string): unknown {
  const { [section]: servers, ...rest } = document
  const others = { ...(isTable(servers) ? servers : {}) }
  delete others[ENTRY_NAME]
  return [JSON.parse(JSON.stringify(rest)), JSON.parse(JSON.stringify(others))]
}

function entryIn(document: Document, section: string): unknown {
  const servers = document[section]
  return isTable(servers) ? servers[ENTRY_NAME] : undefined
}

function isTable(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
