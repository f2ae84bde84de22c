/**
 * Two daemons that find each other by mDNS alone, in one process. It runs only where multicast can reach nobody: inside
 * a network namespace that has no interface but loopback (see discovery.test.ts). Prints "met" and exits 0 when both
 * sides are connected.
 */
import '../../src/polyfill.ts'
import { networkInterfaces } from 'node:os'
import { World } from '../conformance/network-world.ts'

const others = Object.keys(networkInterfaces()).filter((name) => name !== 'lo')
if (others.length > 0) {
  console.error(`refusing to multicast: this namespace has ${others.join(', ')}`)
  process.exit(3)
}

const world = new World()
const [a, b] = (await world.startMany(2, { mdns: true })).map(({ network }) => network)
if (a === undefined || b === undefined) throw new Error('two networks were asked for')
const sees = (from: typeof a, to: typeof a): boolean =>
  from.peers().some(({ peer, connected }) => peer === to.self && connected)

const deadlineMs = performance.now() + 40_000
while (!(sees(a, b) && sees(b, a)) && performance.now() < deadlineMs) {
  await new Promise((resolve) => setTimeout(resolve, 50))
}
const met = sees(a, b) && sees(b, a)
const sources = [...a.peers(), ...b.peers()].map(({ source }) => source)
await world.stop()
console.log(met && sources.includes('mdns') ? 'met' : `missed each other, sources ${sources.join(', ')}`)
process.exit(met ? 0 : 1)
