/**
 * Many nodes of the real stack in one process: the daemon's own libp2p adapter over TCP on loopback, with Noise, Yamux and
 * gossipsub as shipped. Frames are signed by their publisher and verified by each node before it forwards them, as deltas
 * are. Virtual time has no sockets and no handshakes; this has, and shows that what was simulated holds with them.
 *
 * All nodes share the processors of one machine, so times are an upper bound: a thousand agents have a thousand machines.
 * There are no engines and no storage here: the packaged daemons (cuts.ts) have them.
 */
import { readFileSync } from 'node:fs'
import { createNetwork } from '../../src/adapters/libp2p/network.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { bytesToUint, concatBytes, uintBytes } from '../../src/base/bytes.ts'
import { ChrysalisError } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Network, Verdict } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'

export interface SwarmOptions {
  readonly seed: string
  readonly nodes: number
  /** Connections each node dials; it is dialled as often by others. */
  readonly dials: number
  readonly messages: number
  readonly frameBytes: number
  readonly say: (line: string) => void
}

export interface Broadcast {
  /** Nodes that got it, the publisher not counted, out of `nodes` - 1. */
  readonly arrived: number
  readonly t50Ms: number | undefined
  readonly t99Ms: number | undefined
  /** undefined when it did not reach everybody. */
  readonly t100Ms: number | undefined
}

export interface SwarmReport {
  readonly nodes: number
  readonly links: number
  readonly dialMs: number
  readonly broadcasts: readonly Broadcast[]
  /** Broadcasts until one had reached everybody: the mesh was being built. */
  readonly warmUps: number
  readonly rssMiBPerNode: number
  /** Processors that all nodes together keep busy when nobody says anything: heartbeats. */
  readonly idleProcessors: number
  /** Processor seconds a broadcast takes all nodes together. */
  readonly cpuSPerBroadcast: number
}

const TOPIC = '/chrysalis/swarm'
const DIALS_AT_ONCE = 16
const ARRIVAL_MS_MAX = 30_000
const WARM_UPS_MAX = 20
const BEFORE_WARM_UP_MS = 2_000
const IDLE_MS = 3_000
const QUIET = { count: () => undefined, gauge: () => undefined, snapshot: () => ({}) }
const HEAD_BYTES = 32 + 64 + 8

interface Member {
  readonly network: Network
  readonly crypto: Crypto
}

/** Rejects with `unavailable` when the system allows too few open files, or when nodes never become one mesh. */
export async function swarm(options: SwarmOptions): Promise<SwarmReport> {
  const { nodes, say } = options
  assertFiles(nodes * (options.dials * 2 + 1) + 100)
  const random = new SeededRandom(options.seed)
  const before = process.memoryUsage.rss()
  const watch = new Arrivals(nodes)
  const members = Array.from({ length: nodes }, (_, n) => member(n, options, random, watch))
  try {
    for (const { network } of members) await network.start()
    say(`${nodes} nodes listen on loopback`)
    const startedMs = performance.now()
    const links = await connect(members, options.dials, random.fork('links'), say)
    const dialMs = performance.now() - startedMs
    await new Promise((resolve) => setTimeout(resolve, BEFORE_WARM_UP_MS))
    const dice = random.fork('publishers')
    const warmUps = await warmUp(members, watch, options.frameBytes, dice)
    say(`${links} links after ${(dialMs / 1_000).toFixed(0)} s; the mesh reaches everybody`)
    const idleProcessors = await idle()
    const cpu = process.cpuUsage()
    const broadcasts: Broadcast[] = []
    for (let message = 0; message < options.messages; message++) {
      const done = await broadcast(members, watch, options.frameBytes, dice)
      broadcasts.push(done)
      say(
        `broadcast ${message + 1}: ${done.arrived} of ${nodes - 1}, the last after ${done.t100Ms?.toFixed(0) ?? '–'} ms`
      )
    }
    const { user, system } = process.cpuUsage(cpu)
    return {
      nodes,
      links,
      dialMs,
      broadcasts,
      warmUps,
      rssMiBPerNode: (process.memoryUsage.rss() - before) / nodes / 2 ** 20,
      idleProcessors,
      cpuSPerBroadcast: (user + system) / 1e6 / Math.max(1, options.messages)
    }
  } finally {
    await Promise.allSettled(members.map(({ network }) => network.stop()))
  }
}

function member(n: number, { dials }: SwarmOptions, random: Random, watch: Arrivals): Member {
  const seed = random.fork(`identity/${n}`).bytes(32)
  const crypto = createCrypto(seed)
  const network = createNetwork(
    {
      seed,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      connectionsTarget: dials,
      inboundConnectionsPerSecond: 10_000,
      // A thousand nodes on one processor answer pings late, and nobody is to be hung up on for that.
      livenessMs: 600_000,
      linkDeadMs: 600_000
    },
    { clock: systemClock, random: random.fork(`node/${n}`), logger: silentLogger, metrics: QUIET }
  )
  network.subscribe(TOPIC, async (frame) => judge(frame, crypto, watch))
  return { network, crypto }
}

async function judge(frame: Uint8Array, crypto: Crypto, watch: Arrivals): Promise<Verdict> {
  const check = { publicKey: frame.subarray(0, 32), signature: frame.subarray(32, 96), message: frame.subarray(96) }
  if (!crypto.keyOk(check.publicKey) || !(await crypto.verifyAsync(check))) return 'reject'
  watch.arrived(Number(bytesToUint(frame.subarray(96, HEAD_BYTES))))
  return 'accept'
}

/** A ring, so that all is in one piece, and random links besides. Answers how many there are. */
async function connect(
  members: readonly Member[],
  dials: number,
  random: Random,
  say: (line: string) => void
): Promise<number> {
  const ways: [number, number][] = []
  for (const [n] of members.entries()) {
    const others = new Set([(n + 1) % members.length])
    while (others.size < Math.min(dials, members.length - 1)) others.add(random.below(members.length))
    others.delete(n)
    for (const other of others) ways.push([n, other])
  }
  let next = 0
  const dial = async (): Promise<void> => {
    while (next < ways.length) {
      const [from, to] = ways[next++] as [number, number]
      const [address] = (members[to] as Member).network.addresses()
      if (address !== undefined) await (members[from] as Member).network.connect(address)
      if (next % 1_000 === 0) say(`${next} of ${ways.length} dialled`)
    }
  }
  await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dial))
  return ways.length
}

/** When one message reached whom: there is one under way at a time. */
class Arrivals {
  readonly #wanted: number
  #number = -1
  #startedMs = 0
  #times: number[] = []
  #complete: () => void = () => undefined

  constructor(nodes: number) {
    this.#wanted = nodes - 1
  }

  /** Resolves with the milliseconds of all arrivals in order, when it has reached everybody or time is up. */
  async of(number: number, publish: () => Promise<unknown>): Promise<readonly number[]> {
    this.#number = number
    this.#times = []
    const complete = new Promise<void>((resolve) => {
      this.#complete = resolve
    })
    this.#startedMs = performance.now()
    await publish()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ARRIVAL_MS_MAX)
    })
    await Promise.race([complete, late])
    clearTimeout(timer)
    return this.#times
  }

  arrived(number: number): void {
    if (number !== this.#number) return
    this.#times.push(performance.now() - this.#startedMs)
    if (this.#times.length >= this.#wanted) this.#complete()
  }
}

let messages = 0

async function broadcast(
  members: readonly Member[],
  watch: Arrivals,
  frameBytes: number,
  random: Random
): Promise<Broadcast> {
  const { network, crypto } = members[random.below(members.length)] as Member
  const number = ++messages
  const body = concatBytes(uintBytes(number, 8), random.bytes(Math.max(0, frameBytes - HEAD_BYTES)))
  const frame = concatBytes(crypto.publicKey, crypto.sign(body), body)
  const times = await watch.of(number, () => network.publish(TOPIC, frame))
  const wanted = members.length - 1
  const at = (share: number): number | undefined => times[Math.ceil(share * wanted) - 1]
  return { arrived: times.length, t50Ms: at(0.5), t99Ms: at(0.99), t100Ms: at(1) }
}

async function warmUp(
  members: readonly Member[],
  watch: Arrivals,
  frameBytes: number,
  random: Random
): Promise<number> {
  for (let attempt = 1; attempt <= WARM_UPS_MAX; attempt++) {
    const { t100Ms } = await broadcast(members, watch, frameBytes, random)
    if (t100Ms !== undefined) return attempt
  }
  throw new ChrysalisError('unavailable', `${WARM_UPS_MAX} broadcasts in a row did not reach everybody`, {
    hint: 'Let each node dial more others, or look whether the machine is overloaded.'
  })
}

async function idle(): Promise<number> {
  const startedMs = performance.now()
  const cpu = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 1_000 / (performance.now() - startedMs)
}

/** Both ends of every connection are in this process. Throws `unavailable`. */
function assertFiles(needed: number): void {
  if (process.platform !== 'linux') return
  const allowed = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity)
  if (allowed >= needed) return
  throw new ChrysalisError('unavailable', `About ${needed} open files are needed and ${allowed} are allowed here`, {
    hint: `Run \`ulimit -n ${needed}\` first, or ask for fewer nodes. Nothing was started.`
  })
}
