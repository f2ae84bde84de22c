/**
 * Copy, then mend, then open: the only safe order for a damaged LevelDB directory.
 *
 * What is mended is as little as possible. A log is written again without its bad records. A table is written again
 * without its bad blocks, and an edit behind the MANIFEST puts it in the place of the old one, so that nothing else
 * moves. Only a MANIFEST that is not whole needs LevelDB's own repair, which reads every table and puts all of them on
 * its lowest level, where they are merged again for a long time.
 *
 * Afterwards rows are missing, rows that had been deleted may be back, and rows of one batch may have been torn apart:
 * what follows from the deltas has to be derived again (node/rebuild.ts). Whoever calls this holds the lock.
 */
import { chmod, copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Level } from 'level'
import { levelError } from './level-errors.ts'
import { REMEDIES, remedyOf, tableNumber, type BadTable, type Inspection, type Remedy } from './inspect.ts'
import { scanLog, writeLog } from './log-scan.ts'
import { encodeEdit, type Manifest, type TableEntry } from './manifest.ts'
import { rescueTable } from './table-rescue.ts'

/** `level` is LevelDB itself under Node, but its types cover only what a browser has as well. */
const LevelDb = Level as unknown as { repair(location: string): Promise<void> }

/** Copies of damaged databases lie beside the database under its name, this, and the time in ms. */
export const COPY_INFIX = '.damaged-'

/**
 * Copies `directory` to `copy`, which must not exist, and mends the original as the inspection demands. Resolves when
 * the database may be opened. Rejects with `disk_full` when there is no room (the original is then as it was, or mended
 * half-way and just as damaged as before), otherwise with the code of what went wrong; an earlier copy of that name is
 * left as it is.
 */
export async function salvageDatabase(directory: string, copy: string, inspection: Inspection): Promise<void> {
  try {
    await copyDatabase(directory, copy)
  } catch (error) {
    throw levelError(error, `copying ${directory} to ${copy} before repairing it`)
  }
  const remedy = remedyOf(inspection.findings)
  const needs = (step: Remedy): boolean => REMEDIES.indexOf(remedy) >= REMEDIES.indexOf(step)
  try {
    if (needs('mend logs')) await mendLogs(directory)
    if (remedy === 'repair') await repair(directory, inspection.badTables)
    else if (needs('mend tables') && inspection.manifest !== undefined) {
      await mendTables(directory, inspection.manifest.content, inspection.badTables)
    }
  } catch (error) {
    throw levelError(error, `repairing ${directory}, of which ${copy} is a copy`)
  }
}

/**
 * Tables are never changed by LevelDB, only made and deleted, so a second name is a copy of them that needs neither time
 * nor room. The other files are copied for good. Complete or not there at all under the name `copy`.
 */
async function copyDatabase(directory: string, copy: string): Promise<void> {
  const part = `${copy}.part`
  await rm(part, { recursive: true, force: true })
  await mkdir(part, { mode: 0o700 })
  try {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (!entry.isFile() || entry.name === 'LOCK') continue
      const from = join(directory, entry.name)
      const to = join(part, entry.name)
      if (tableNumber(entry.name) === undefined) await copyFile(from, to)
      else await link(from, to).catch(() => copyFile(from, to))
    }
    await chmod(part, 0o700)
    await refuseExisting(copy)
    await rename(part, copy)
  } catch (error) {
    await rm(part, { recursive: true, force: true })
    throw error
  }
}

async function refuseExisting(copy: string): Promise<void> {
  const found = await stat(copy).catch(() => undefined)
  if (found !== undefined) throw new Error('a copy of that name exists already')
}

async function mendLogs(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!/^\d+\.log$/.test(name)) continue
    const sound: Uint8Array[] = []
    const { damage } = scanLog(await readFile(join(directory, name)), (payload) => sound.push(payload.slice()))
    if (damage.length > 0) await replaceFile(join(directory, name), writeLog(sound))
  }
}

/** Writes the bad tables again under new numbers and a MANIFEST that names those in their places. */
async function mendTables(
  directory: string,
  manifest: Manifest,
  badTables: ReadonlyMap<number, BadTable>
): Promise<void> {
  const removed = new Map<number, TableEntry>()
  const added = new Map<number, TableEntry>()
  let next = manifest.nextFile
  for (const name of await readdir(directory)) {
    const number = Number(/(\d+)/.exec(name)?.[1] ?? 0)
    if (number >= next) next = number + 1
  }
  for (const [number, bad] of badTables) {
    const entry = manifest.tables.get(number)
    if (entry === undefined) continue
    removed.set(number, entry)
    const bytes = await rescued(directory, bad)
    if (bytes === undefined) continue
    await replaceFile(join(directory, `${padded(next)}.ldb`), bytes)
    added.set(next++, { ...entry, bytes: bytes.length })
  }
  const name = `MANIFEST-${padded(next++)}`
  await replaceFile(join(directory, name), writeLog([...manifest.edits, encodeEdit(removed, added, next)]))
  await replaceFile(join(directory, 'CURRENT'), Buffer.from(`${name}\n`))
}

/** LevelDB's repair after the tables have been helped, for it throws away any that it cannot read to the end. */
async function repair(directory: string, badTables: ReadonlyMap<number, BadTable>): Promise<void> {
  for (const bad of badTables.values()) {
    const bytes = await rescued(directory, bad)
    if (bytes === undefined) await rm(join(directory, bad.file), { force: true })
    else await replaceFile(join(directory, bad.file), bytes)
  }
  await LevelDb.repair(directory)
  // What it puts aside is in the copy already.
  await rm(join(directory, 'lost'), { recursive: true, force: true })
}

async function rescued(directory: string, { file, blocks }: BadTable): Promise<Uint8Array | undefined> {
  let damaged: Uint8Array
  try {
    damaged = await readFile(join(directory, file))
  } catch {
    // Gone, or unreadable: its rows are lost here.
    return undefined
  }
  return rescueTable(damaged, blocks)?.bytes
}

function padded(number: number): string {
  return String(number).padStart(6, '0')
}

/** In one step, and durably: the old content or the new. The copy keeps the old one even where it shares the file. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  // A name that LevelDB takes for a temporary file of its own, and deletes if it is ever left behind.
  const temporary = join(dirname(path), '000000.dbtmp')
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const directory = await open(dirname(path), 'r').catch(() => undefined)
  await directory?.sync().catch(() => undefined)
  await directory?.close()
}
