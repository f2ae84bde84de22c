/** The store suite on both databases: LevelDB on a real directory, and the in-memory one that tests use. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { createLevelStore, openLevelStore } from '../../src/adapters/level/level-store.ts'
import { createMemoryDatabase, flipBit, VIEWS } from '../support/memory-store.ts'
import { storeSuite } from './store.ts'

storeSuite('memory-level', async () => {
  const database = createMemoryDatabase()
  const store = createLevelStore(database, { name: 'memory' })
  return {
    store,
    tamper: async (table, key) => {
      await flipBit(database, table, key)
      return store
    },
    dispose: () => store.close()
  }
})

storeSuite('classic-level', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-store-'))
  let store = await openLevelStore(join(directory, 'data'))
  const first = store
  return {
    store: first,
    tamper: async (table, key) => {
      await store.close()
      const database = new Level<Uint8Array, Uint8Array>(join(directory, 'data'), VIEWS)
      await flipBit(database, table, key)
      await database.close()
      store = await openLevelStore(join(directory, 'data'), { mustExist: true })
      return store
    },
    dispose: async () => {
      await store.close()
      await rm(directory, { recursive: true, force: true })
    }
  }
})
