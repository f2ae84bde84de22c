/**
 * The Store in memory, for tests and simulations: the very code of the daemon's store, checksums included, on an
 * in-memory database. Nothing survives the process; `reopen` keeps the rows, as a disk would.
 */
import { MemoryLevel } from 'memory-level'
import { createLevelStore, type LevelDatabase } from '../../src/adapters/level/level-store.ts'
import type { Store } from '../../src/ports/store.ts'

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
