/**
 * What can be known of a LevelDB directory without opening it, because opening a damaged one destroys: tables that a
 * cut MANIFEST no longer names are deleted, and the rest of a damaged log is dropped, both without a word.
 *
 * CURRENT must name a MANIFEST, the MANIFEST must be whole, the log it names must be there (it is deleted only after a
 * later edit: a log that is missing means that either is not what it was), every table must be there with its length,
 * and everything that carries a checksum must pass it. Nothing is written. The cost is a few small reads a table, the
 * logs, and the data blocks of as many tables as the caller allows, newest first.
 *
 * A crash is no damage: an unfinished last record, tables nobody names yet, logs that are not needed any more.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import { scanLog } from './log-scan.ts'
import { readManifest, type Manifest } from './manifest.ts'
import { checkTable, type BlockHandle } from './table-scan.ts'

/** What must be done before LevelDB may open the directory; each includes those before it. */
export const REMEDIES = ['none', 'mend logs', 'mend tables', 'point CURRENT', 'repair'] as const
export type Remedy = (typeof REMEDIES)[number]

export interface Finding {
  readonly file: string
  /** A sentence that names the file. */
  readonly what: string
  readonly remedy: Remedy
}

/** A table of which LevelDB should not be given more than its sound blocks. */
export interface BadTable {
  readonly file: string
  /** By its own index; undefined when that cannot be read, or the file is gone. */
  readonly blocks: readonly BlockHandle[] | undefined
}

export interface Inspection {
  /** Neither rows nor anything that names them: there is no database. */
  readonly isEmpty: boolean
  readonly findings: readonly Finding[]
  /** Name and content of the MANIFEST to go by; undefined when there is no sound one. */
  readonly manifest: { readonly name: string; readonly content: Manifest } | undefined
  /** By number. */
  readonly badTables: ReadonlyMap<number, BadTable>
  /** Tables of which the data blocks were not read, for want of budget. */
  readonly unread: readonly string[]
}

const NOTHING: Inspection = { isEmpty: true, findings: [], manifest: undefined, badTables: new Map(), unread: [] }

/** `wholeBytesMax`: how much of the tables may be read whole. A directory that is not there, or empty, has no findings. */
export async function inspectFiles(directory: string, options: { wholeBytesMax: number }): Promise<Inspection> {
  const names = await namesIn(directory)
  const hasRows = names.some((name) => numberOf(name, 'log') !== undefined || tableNumber(name) !== undefined)
  if (!names.includes('CURRENT') && !hasRows) return NOTHING
  const findings: Finding[] = []
  const current = await readCurrent(directory, names)
  if (current.what !== undefined) findings.push({ file: 'CURRENT', what: current.what, remedy: 'point CURRENT' })
  const chosen = await chooseManifest(directory, names, current.manifest, findings)
  if (chosen === undefined) {
    if (findings.every(({ remedy }) => remedy !== 'repair')) {
      findings.push({ file: 'MANIFEST', what: 'no MANIFEST is whole', remedy: 'repair' })
    }
    // Without a MANIFEST every log counts and every table may.
    await inspectLogs(directory, names, 0, findings)
    const badTables = await inspectOrphans(directory, names, findings)
    return { isEmpty: false, findings, manifest: undefined, badTables, unread: [] }
  }
  await inspectLogs(directory, names, chosen.content.logNumber ?? 0, findings)
  const { badTables, unread } = await inspectTables(directory, names, chosen.content, options.wholeBytesMax, findings)
  return { isEmpty: false, findings, manifest: chosen, badTables, unread }
}

/** The strongest of the remedies. */
export function remedyOf(findings: readonly Finding[]): Remedy {
  const strongest = Math.max(0, ...findings.map(({ remedy }) => REMEDIES.indexOf(remedy)))
  return REMEDIES[strongest] as Remedy
}

async function readCurrent(
  directory: string,
  names: readonly string[]
): Promise<{ what?: string; manifest: string | undefined }> {
  if (!names.includes('CURRENT')) return { what: 'the file CURRENT is gone', manifest: undefined }
  const text = await readFile(join(directory, 'CURRENT'), 'latin1')
  const match = /^(MANIFEST-\d+)\n$/.exec(text)
  if (match === null) return { what: 'the file CURRENT does not name a MANIFEST', manifest: undefined }
  return { manifest: match[1] }
}

/** The MANIFEST that CURRENT names, or without one the newest that is sound and complete. */
async function chooseManifest(
  directory: string,
  names: readonly string[],
  named: string | undefined,
  findings: Finding[]
): Promise<{ name: string; content: Manifest } | undefined> {
  if (named !== undefined) {
    if (!names.includes(named)) {
      findings.push({ file: named, what: `the file ${named} is gone`, remedy: 'repair' })
      return undefined
    }
    const content = readManifest(await readFile(join(directory, named)))
    const damage = [...content.damage, ...lostLog(content, names)]
    for (const what of damage) findings.push({ file: named, what: `${named}: ${what}`, remedy: 'repair' })
    return damage.length > 0 ? undefined : { name: named, content }
  }
  const candidates = names
    .filter((name) => /^MANIFEST-\d+$/.test(name))
    .sort((a, b) => manifestNumber(b) - manifestNumber(a))
  for (const name of candidates) {
    const content = readManifest(await readFile(join(directory, name)))
    const present = new Set(names.map(tableNumber))
    const isComplete = [...content.tables.keys()].every((number) => present.has(number))
    if (content.damage.length === 0 && lostLog(content, names).length === 0 && isComplete) return { name, content }
  }
  return undefined
}

/**
 * The log that a MANIFEST names is deleted only after a later edit named another one. When tables or logs made after it
 * are there that no edit names, edits are missing; otherwise it is the log alone that is gone.
 */
function lostLog({ logNumber, tables }: Manifest, names: readonly string[]): string[] {
  if (logNumber === undefined || logNumber === 0 || names.some((name) => numberOf(name, 'log') === logNumber)) return []
  const isNewer = (name: string): boolean => {
    const table = tableNumber(name)
    return table === undefined ? (numberOf(name, 'log') ?? 0) > logNumber : table > logNumber && !tables.has(table)
  }
  return names.some(isNewer) ? ['its last edits are missing'] : []
}

async function inspectLogs(
  directory: string,
  names: readonly string[],
  from: number,
  findings: Finding[]
): Promise<void> {
  const logs = names.filter((name) => (numberOf(name, 'log') ?? -1) >= from)
  if (from > 0 && !logs.some((name) => numberOf(name, 'log') === from)) {
    const file = `${String(from).padStart(6, '0')}.log`
    findings.push({ file, what: `the log ${file} is gone`, remedy: 'none' })
  }
  for (const file of logs) {
    let damage: readonly string[]
    try {
      damage = scanLog(await readFile(join(directory, file))).damage
    } catch (error) {
      damage = [messageOf(error)]
    }
    for (const what of damage) findings.push({ file, what: `${file}: ${what}`, remedy: 'mend logs' })
  }
}

async function inspectTables(
  directory: string,
  names: readonly string[],
  { tables }: Manifest,
  wholeBytesMax: number,
  findings: Finding[]
): Promise<{ badTables: Map<number, BadTable>; unread: string[] }> {
  const files = new Map(names.map((name) => [tableNumber(name), name]))
  const badTables = new Map<number, BadTable>()
  const unread: string[] = []
  let budget = wholeBytesMax
  for (const [number, { bytes }] of [...tables].sort((a, b) => b[0] - a[0])) {
    const file = files.get(number)
    if (file === undefined) {
      const missing = `${String(number).padStart(6, '0')}.ldb`
      findings.push({ file: missing, what: `the table ${missing} is gone`, remedy: 'mend tables' })
      badTables.set(number, { file: missing, blocks: undefined })
      continue
    }
    const isWhole = bytes <= budget
    if (isWhole) budget -= bytes
    else unread.push(file)
    const finding = await inspectTable(directory, file, bytes, isWhole ? 'whole' : 'ends')
    if (finding === undefined) continue
    findings.push({ file, what: finding.what, remedy: 'mend tables' })
    badTables.set(number, { file, blocks: finding.blocks })
  }
  return { badTables, unread }
}

/** One table, in words and with what its index says; undefined when nothing is wrong with it. */
export async function inspectTable(
  directory: string,
  file: string,
  bytes: number | undefined,
  depth: 'ends' | 'whole'
): Promise<{ what: string; blocks: readonly BlockHandle[] | undefined } | undefined> {
  const { lost, badBlocks, blocks } = await checkTable(join(directory, file), bytes, depth)
  if (lost !== undefined) return { what: `${file}: ${lost}`, blocks: undefined }
  if (badBlocks.length === 0) return undefined
  return { what: `${file}: ${badBlocks.length} of ${blocks?.length ?? 0} blocks fail their checksum`, blocks }
}

/** Tables for LevelDB's repair, which takes whatever table it finds: all are read whole. */
async function inspectOrphans(
  directory: string,
  names: readonly string[],
  findings: Finding[]
): Promise<Map<number, BadTable>> {
  const badTables = new Map<number, BadTable>()
  for (const file of names) {
    const number = tableNumber(file)
    if (number === undefined) continue
    const finding = await inspectTable(directory, file, undefined, 'whole')
    if (finding === undefined) continue
    findings.push({ file, what: finding.what, remedy: 'repair' })
    badTables.set(number, { file, blocks: finding.blocks })
  }
  return badTables
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function numberOf(name: string, suffix: 'log' | 'ldb' | 'sst'): number | undefined {
  const match = /^(\d+)\.(log|ldb|sst)$/.exec(name)
  return match?.[2] === suffix ? Number(match[1]) : undefined
}

/** The number of a table file, whatever its suffix; undefined for other files. */
export function tableNumber(name: string): number | undefined {
  return numberOf(name, 'ldb') ?? numberOf(name, 'sst')
}

function manifestNumber(name: string): number {
  return Number(name.slice('MANIFEST-'.length))
}
