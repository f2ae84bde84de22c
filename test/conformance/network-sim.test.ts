/** The simulated pane of ports/network, in virtual time that passes a little at every look. */
import { createHash } from 'node:crypto'
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { EventQueue } from '../../simulations/world/event-queue.ts'
import { SimAir } from '../../simulations/world/sim-air.ts'
import { SimClock } from '../../simulations/world/sim-clock.ts'
import { SimNetwork } from '../../simulations/world/sim-network.ts'
import { Trace } from '../../simulations/world/trace.ts'
import { networkSuite } from './network.ts'

/** Small, so that no deadline of ten seconds passes while a test looks the other way. */
const STRIDE_MS = 5

networkSuite('simulated', async (count, options) => {
  const queue = new EventQueue()
  const air = new SimAir(queue, new Trace(), new SeededRandom('conformance'))
  const networks = Array.from({ length: count }, (_, i) => {
    const self = authorToPeerId(toHex(new Uint8Array(createHash('sha256').update(`peer ${i}`).digest())))
    return new SimNetwork(air, self, new SimClock(queue), options)
  })
  for (const network of networks) await network.start()
  let running = true
  const passing = (async () => {
    while (running) await queue.run(queue.nowMs + STRIDE_MS)
  })()
  return {
    networks,
    link: async (from, to) => {
      await networks[from]?.connect(networks[to]?.addresses()[0] as string)
    },
    breathe: async () => {
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    },
    stop: async () => {
      await Promise.all(networks.map((network) => network.stop()))
      running = false
      await passing
    }
  }
})
