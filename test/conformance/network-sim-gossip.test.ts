/** The simulated pane of ports/network with the real gossipsub as its overlay, in virtual time. */
import { simulatedPane } from '../support/sim-pane.ts'
import { networkSuite } from './network.ts'

networkSuite('simulated, with gossipsub', (count, options) => simulatedPane('gossipsub', count, options))
