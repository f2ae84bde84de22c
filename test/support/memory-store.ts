/**
 * The Store in memory, for tests and simulations: the very code of the daemon's store, checksums included, on an
 * in-memory database. Nothing survives the process; `reopen` keeps the rows, as a disk would.
 */
import assert from 'node:assert/strict'
import { MemoryLevel } from 'memory-level'
import { physicalKey } from '../../src/adapters/level/keyspace.ts'
import { createLevelStore, type LevelDatabase } from '../../src/adapters/level/level-store.ts'
import type { Store, Table } from '../../src/ports/store.ts'

/** Ready at once: calls made before the database is open wait for it. */
export function createMemoryStore(): Store {
  return createLevelStore(createMemoryDatabase(), { name: 'memory' })
}

/** The bare database, for tests that look underneath or stand in the way. */
export function createMemoryDatabase(): LevelDatabase {
  return new MemoryLevel<Uint8Array, Uint8Array>({
    storeEncoding: 'view',
    keyEncoding: 'view',
    valueEncoding: 'view'
  })
}

export const VIEWS = { keyEncoding: 'view', valueEncoding: 'view' } as const

/** Damages one stored row behind the back of the store on it. */
export async function flipBit(database: LevelDatabase, table: Table, key: Uint8Array): Promise<void> {
  const physical = physicalKey(table, key)
  const row = await database.get(physical, VIEWS)
  assert.ok(row !== undefined)
  const damaged = Uint8Array.from(row)
  damaged[damaged.length - 1]! ^= 0x10
  await database.batch([{ type: 'put', key: physical, value: damaged }], { ...VIEWS, sync: false })
}
