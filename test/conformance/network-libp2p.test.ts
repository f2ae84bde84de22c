/** The libp2p pane of ports/network on 127.0.0.1: no mDNS, no DHT. */
import { networkSuite } from './network.ts'
import { addressOf, World } from './network-world.ts'

networkSuite('libp2p on loopback', async (count, options) => {
  const world = new World()
  const made = await world.startMany(count, options)
  const networks = made.map(({ network }) => network)
  return {
    networks,
    link: async (from, to) => {
      await networks[from]?.connect(addressOf(networks[to] as (typeof networks)[number]))
    },
    breathe: async () => new Promise((resolve) => setTimeout(resolve, 20)),
    stop: async () => world.stop()
  }
})
