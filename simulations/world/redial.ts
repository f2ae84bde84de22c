/** Keeps a simulated node connected to its neighbours, as the daemon's dialler does: whoever was lost is dialled again. */
import type { Clock } from '../../src/ports/clock.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { SimNetwork } from './sim-network.ts'

const REDIAL_MS = 1_000

/** Whoever can be dialled: a node, or an outsider. */
export interface Dialled {
  readonly peer: PeerId
  addresses(): readonly string[]
}

/** Now and every second of `clock`, until `isOver`. `neighbours` is asked anew each time. */
export function keepDialling(
  network: SimNetwork,
  neighbours: () => readonly Dialled[],
  clock: Clock,
  isOver: () => boolean
): void {
  if (isOver()) return
  for (const neighbour of neighbours()) {
    const [address] = neighbour.addresses()
    if (address !== undefined && !network.isLinked(neighbour.peer)) {
      // Unreachable now: there is another attempt in a second.
      network.connect(address).catch(() => undefined)
    }
  }
  clock.setTimer(REDIAL_MS, () => keepDialling(network, neighbours, clock, isOver))
}
