/** The simulated disk is a Store like any other, for as long as its power is on. */
import { SimDisk } from '../../../simulations/world/sim-store.ts'
import { storeSuite } from '../../conformance/store.ts'

storeSuite('simulated disk', () => {
  const store = new SimDisk().open()
  return Promise.resolve({ store, dispose: () => store.close() })
})
