/** The simulated pane of ports/network with the plain mesh that unit tests use, in virtual time. */
import { simulatedPane } from '../support/sim-pane.ts'
import { networkSuite } from './network.ts'

networkSuite('simulated', (count, options) => simulatedPane('mesh', count, options))
