/** The simulated disk is a Store like any other, for as long as its power is on. */
import type { Store, Table } from '../../../src/ports/store.ts'
import { SimDisk } from '../../../simulations/world/sim-store.ts'
import { storeSuite } from '../../conformance/store.ts'
import { createMemoryDatabase, flipBit } from '../../support/memory-store.ts'

storeSuite('simulated disk', () => {
  const database = createMemoryDatabase()
  const store = new SimDisk({ database }).open()
  const tamper = async (table: Table, key: Uint8Array): Promise<Store> => {
    await flipBit(database, table, key)
    return store
  }
  return Promise.resolve({ store, tamper, dispose: () => store.close() })
})
