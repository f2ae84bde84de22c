/**
 * The layout of the database has a number, kept in the meta row `schema`. A daemon brings an older database up to its
 * own number step by step, and does not touch a newer one.
 *
 * Each step commits its rows and the new number in one durable batch, so that a crash leaves the database at one number
 * or the next, never in between; running a step's plan twice is therefore harmless. A step that must rewrite more rows
 * than fit into one batch has to be split into several steps.
 */
import { assert } from '../../base/assert.ts'
import { bytesToUint, uintBytes, utf8 } from '../../base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../base/errors.ts'
import { TABLES, type Store, type StoreWrite } from '../../ports/store.ts'
import { DOCTOR_HINT } from './level-errors.ts'

/** The layout that this code reads and writes: keyspace.ts and docs/WIRE.md §9. */
export const SCHEMA = 1

/** Key of the meta row; its value is the number, 4 bytes. */
export const SCHEMA_KEY: Uint8Array = utf8('schema')

const SCHEMA_BYTES = 4

export interface Migration {
  /** The schema after this step; it starts from the one before. */
  readonly to: number
  /** What it does, for the log: `move receipts under their space`. */
  readonly title: string
  /** Reads the store and says what to write. Must not write itself. */
  plan(store: Store): Promise<readonly StoreWrite[]>
}

/** In order, one for each number from 2 on. */
export const MIGRATIONS: readonly Migration[] = []

export interface MigrationReport {
  /** The schema found; undefined for a new database. */
  readonly from: number | undefined
  readonly to: number
  /** Titles of the steps that ran. */
  readonly applied: readonly string[]
  /** The number was lost, and taken from `ifLost`. */
  readonly wasLost: boolean
}

/**
 * Brings the store to the number after the last of `steps`. `ifLost` is the number to go by when there are rows and that
 * of the number is gone or damaged: STATE has it as well. Rejects with `unsupported_version` when the store is newer and,
 * without `ifLost`, with `corrupt` when it has rows but no readable number, both with nothing touched; otherwise with the
 * store's errors, and then the steps that had finished stay done.
 */
export async function migrate(
  store: Store,
  steps: readonly Migration[] = MIGRATIONS,
  ifLost?: number
): Promise<MigrationReport> {
  assert(
    steps.every((step, i) => step.to === i + 2),
    'migrations are numbered 2, 3, 4 and so on'
  )
  const current = steps.length + 1
  let wasLost = false
  const found = await readSchema(store).catch((error: unknown) => {
    if (ifLost === undefined || !isChrysalisError(error, 'corrupt')) throw error
    wasLost = true
    return ifLost
  })
  if (found === undefined) {
    await store.batch([schemaRow(current)], { durable: true })
    return { from: undefined, to: current, applied: [], wasLost }
  }
  if (found > current) throw newerSchema(found, current)
  const applied: string[] = []
  for (const step of steps.slice(found - 1)) {
    const writes = await step.plan(store)
    await store.batch([...writes, schemaRow(step.to)], { durable: true })
    applied.push(step.title)
  }
  if (wasLost) await store.batch([schemaRow(current)], { durable: true })
  return { from: found, to: current, applied, wasLost }
}

/** For STATE and the database alike: what to say when a newer version has been here. */
export function newerSchema(found: number, current: number): ChrysalisError {
  return new ChrysalisError(
    'unsupported_version',
    `the database has schema ${found} and this version knows schemas up to ${current}; nothing was touched`,
    { hint: 'Use the newer version of chrysalis that wrote it.', data: { found, current } }
  )
}

/** Undefined when the store is empty. */
async function readSchema(store: Store): Promise<number | undefined> {
  const value = await store.get('meta', SCHEMA_KEY)
  if (value !== undefined) {
    const schema = Number(bytesToUint(value))
    if (value.length === SCHEMA_BYTES && schema > 0) return schema
    throw unreadable('its schema number is not one')
  }
  for (const table of TABLES) {
    const rows = await store.scan(table, { limit: 1 })
    if (rows.length > 0) throw unreadable(`it has rows in table ${table} but no schema number`)
  }
  return undefined
}

function schemaRow(schema: number): StoreWrite {
  return { table: 'meta', key: SCHEMA_KEY, value: uintBytes(schema, SCHEMA_BYTES) }
}

function unreadable(what: string): ChrysalisError {
  return new ChrysalisError('corrupt', `the database cannot be trusted: ${what}; nothing was touched`, {
    hint: DOCTOR_HINT
  })
}
