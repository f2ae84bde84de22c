/** The panes of ports/network that are simulated, for the conformance suite: virtual time passes a little at every look. */
import { createHash } from 'node:crypto'
import { setImmediate as realTurn } from 'node:timers/promises'
import { toHex } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { virtualGlobals } from '../../simulations/kernel/globals.ts'
import { EventQueue } from '../../simulations/world/event-queue.ts'
import { CALM_AIR, SimAir } from '../../simulations/world/sim-air.ts'
import { SimClock } from '../../simulations/world/sim-clock.ts'
import { SimNetwork, type SimNetworkOptions } from '../../simulations/world/sim-network.ts'
import { Trace } from '../../simulations/world/trace.ts'

/** Small, so that no deadline of ten seconds passes while a test looks the other way. */
const STRIDE_MS = 5

/** So many networks that run, and nobody connected. With gossipsub the timers of this process are the world's until `stop`. */
export async function simulatedPane(overlay: 'mesh' | 'gossipsub', count: number, options?: SimNetworkOptions) {
  const queue = new EventQueue()
  const random = new SeededRandom('conformance')
  const globals = overlay === 'gossipsub' ? virtualGlobals(queue, random.fork('globals')) : undefined
  const air = new SimAir(queue, new Trace(), random, CALM_AIR, { overlay })
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
    link: async (from: number, to: number): Promise<void> => {
      await networks[from]?.connect(networks[to]?.addresses()[0] as string)
    },
    breathe: async (): Promise<void> => {
      for (let i = 0; i < 5; i++) await realTurn()
    },
    stop: async (): Promise<void> => {
      await Promise.all(networks.map((network) => network.stop()))
      running = false
      await passing
      globals?.restore()
    }
  }
}
