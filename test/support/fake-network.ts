/**
 * A network of several nodes in one process, on virtual time (simulations/world/event-queue.ts). Links are made by hand
 * with `connect`; gossip floods along them, hop by hop, only what a node's own handler accepted; channels are two queues of
 * frames. Every hop may be lost (`loses`), every link cut and healed, and everything that left a node is kept to look at.
 *
 * Two networks may carry the same peer id, as two daemons on a copied identity do: a link is between networks, and a
 * peer id means the first linked network of that name. It models no addresses, scores, bans or mesh.
 */
import { createHash } from 'node:crypto'
import type { EventQueue } from '../../simulations/world/event-queue.ts'
import { ChrysalisError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type {
  Channel,
  ChannelHandler,
  Network,
  NetworkEvent,
  Offence,
  PeerId,
  PeerInfo,
  TopicHandler,
  Verdict
} from '../../src/ports/network.ts'

const HOP_MS = 5

export interface Report {
  readonly peer: PeerId
  readonly offence: Offence
  readonly detail: string
}

/** What lies between the nodes. */
export class FakeAir {
  readonly queue: EventQueue
  readonly networks: FakeNetwork[] = []
  /** Whether this hop of a published message is lost. Replace it to lose some. */
  loses: (from: FakeNetwork, to: FakeNetwork) => boolean = () => false
  /** Every byte string that left a node: published, forwarded or sent on a channel. */
  readonly carried: { from: FakeNetwork; to: FakeNetwork; how: 'gossip' | 'channel'; bytes: Uint8Array }[] = []
  /** Whether `carried` is kept; off for long runs. */
  recording = false

  constructor(queue: EventQueue) {
    this.queue = queue
  }

  create(self: PeerId): FakeNetwork {
    const network = new FakeNetwork(this, self, this.networks.length)
    this.networks.push(network)
    return network
  }

  /** Cuts all links between the two sides. The returned function makes the same links again. */
  partition(left: readonly FakeNetwork[], right: readonly FakeNetwork[]): () => void {
    const cut: [FakeNetwork, FakeNetwork][] = []
    for (const a of left) {
      for (const b of right) {
        if (!a.links.has(b)) continue
        a.unlink(b)
        cut.push([a, b])
      }
    }
    return () => {
      for (const [a, b] of cut) a.link(b)
    }
  }

  carry(from: FakeNetwork, to: FakeNetwork, how: 'gossip' | 'channel', bytes: Uint8Array): void {
    if (this.recording) this.carried.push({ from, to, how, bytes: bytes.slice() })
  }
}

export class FakeNetwork implements Network {
  readonly self: PeerId
  readonly links = new Set<FakeNetwork>()
  /** Known from before: `peers` lists them, and `open` dials them. */
  readonly saved = new Set<FakeNetwork>()
  /** What a dial to it meets: it, nobody, or silence until the dial is given up. */
  reachable: 'yes' | 'no' | 'silent' = 'yes'
  readonly reports: Report[] = []
  readonly verdicts: Verdict[] = []
  readonly #air: FakeAir
  readonly #place: number
  readonly #handlers = new Map<string, TopicHandler>()
  readonly #protocols = new Map<string, ChannelHandler>()
  readonly #listeners = new Set<(event: NetworkEvent) => void>()
  readonly #seen = new Set<string>()
  readonly #channels = new Set<FakeChannel>()
  readonly #working = new Set<Promise<unknown>>()
  running = false

  constructor(air: FakeAir, self: PeerId, place: number) {
    this.#air = air
    this.self = self
    this.#place = place
  }

  addresses(): readonly string[] {
    return this.running ? [`/memory/${this.#place}/p2p/${this.self}`] : []
  }

  async start(): Promise<void> {
    this.running = true
  }

  async stop(): Promise<void> {
    this.running = false
    for (const other of [...this.links]) this.unlink(other)
    for (const channel of [...this.#channels]) channel.abort('the network stops')
    await Promise.allSettled(this.#working)
  }

  link(other: FakeNetwork): void {
    if (this.links.has(other)) return
    this.links.add(other)
    other.links.add(this)
    this.#met(other)
    other.#met(this)
  }

  unlink(other: FakeNetwork): void {
    if (!this.links.delete(other)) return
    other.links.delete(this)
    for (const channel of [...this.#channels]) if (channel.remote === other) channel.abort('the link was cut')
    this.#emit({ type: 'peer-disconnected', peer: other.self })
    other.#emit({ type: 'peer-disconnected', peer: this.self })
  }

  #met(other: FakeNetwork): void {
    this.#emit({ type: 'peer-connected', peer: other.self })
    for (const topic of this.#handlers.keys()) {
      if (other.#handlers.has(topic)) this.#emit({ type: 'peer-subscribed', peer: other.self, topic })
    }
  }

  #emit(event: NetworkEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  subscribe(topic: string, handler: TopicHandler): void {
    this.#handlers.set(topic, handler)
    for (const other of this.links) other.#emit({ type: 'peer-subscribed', peer: this.self, topic })
  }

  unsubscribe(topic: string): void {
    this.#handlers.delete(topic)
  }

  follows(topic: string): boolean {
    return this.#handlers.has(topic)
  }

  async publish(topic: string, bytes: Uint8Array): Promise<{ recipients: number }> {
    if (bytes.length > LIMITS.gossipFrameBytesMax) throw new ChrysalisError('too_large', 'the frame is too large')
    this.#seen.add(nameOf(topic, bytes))
    return { recipients: this.running ? this.#flood(topic, bytes, undefined) : 0 }
  }

  #flood(topic: string, bytes: Uint8Array, except: FakeNetwork | undefined): number {
    let recipients = 0
    for (const other of this.links) {
      if (other === except || !other.follows(topic)) continue
      recipients++
      this.#air.carry(this, other, 'gossip', bytes)
      if (this.#air.loses(this, other)) continue
      this.#air.queue.after(HOP_MS, () => {
        if (this.links.has(other)) other.#hear(topic, bytes, this)
      })
    }
    return recipients
  }

  #hear(topic: string, bytes: Uint8Array, from: FakeNetwork): void {
    const handler = this.#handlers.get(topic)
    const name = nameOf(topic, bytes)
    if (handler === undefined || !this.running || this.#seen.has(name)) return
    this.#seen.add(name)
    this.#track(
      handler(bytes.slice(), from.self).then((verdict) => {
        this.verdicts.push(verdict)
        if (verdict === 'accept') this.#flood(topic, bytes, from)
      })
    )
  }

  /** Hands a message to the handler here and now, as if it had just come from `from`. */
  async hearNow(topic: string, bytes: Uint8Array, from: FakeNetwork): Promise<Verdict> {
    const verdict = await this.#handlers.get(topic)?.(bytes.slice(), from.self)
    if (verdict === undefined) throw new Error(`nobody listens to ${topic}`)
    return verdict
  }

  serve(protocol: string, handler: ChannelHandler): void {
    this.#protocols.set(protocol, handler)
  }

  async open(peer: PeerId, protocol: string): Promise<Channel> {
    const known = [...this.saved].find((one) => one.self === peer)
    if (known !== undefined && !this.links.has(known)) await this.#dial(known)
    const other = [...this.links].find((one) => one.self === peer)
    const handler = other?.running === true ? other.#protocols.get(protocol) : undefined
    if (other === undefined || handler === undefined || !this.running) {
      throw new ChrysalisError('unavailable', `no link to ${peer}`)
    }
    const [near, far] = channelPair(this.#air, this, other)
    this.#keep(near)
    other.#keep(far)
    other.#track(handler(far).finally(() => far.close()))
    return near
  }

  async #dial(other: FakeNetwork): Promise<void> {
    const answers = other.running && other.reachable === 'yes'
    if (!answers) await this.#air.queue.sleep(other.reachable === 'silent' ? LIMITS.dialTimeoutMs : HOP_MS)
    if (!answers) throw new ChrysalisError('unavailable', `nobody answers for ${other.self}`)
    this.link(other)
  }

  #keep(channel: FakeChannel): void {
    this.#channels.add(channel)
    void channel.ended.then(() => this.#channels.delete(channel))
  }

  #track(work: Promise<unknown>): void {
    this.#working.add(work)
    work.finally(() => this.#working.delete(work)).catch(() => undefined)
  }

  peers(): readonly PeerInfo[] {
    return [...new Set([...this.links, ...this.saved])].map((other) => {
      const connected = this.links.has(other)
      return {
        peer: other.self,
        addresses: [`/memory/${other.#place}/p2p/${other.self}`],
        connected,
        topics: [...this.#handlers.keys()].filter((topic) => connected && other.follows(topic)),
        direction: connected ? ('outbound' as const) : ('none' as const),
        score: 0,
        bannedUntilMs: 0,
        source: connected ? ('connected' as const) : ('saved' as const)
      }
    })
  }

  async connect(address: string): Promise<PeerId> {
    const other = this.#air.networks.find((one) => one.addresses().includes(address))
    if (other === undefined) throw new ChrysalisError('unavailable', `nobody listens at ${address}`)
    this.link(other)
    return other.self
  }

  async disconnect(peer: PeerId): Promise<void> {
    for (const other of [...this.links]) if (other.self === peer) this.unlink(other)
  }

  report(peer: PeerId, offence: Offence, detail: string): void {
    this.reports.push({ peer, offence, detail })
  }

  onEvent(listener: (event: NetworkEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

function nameOf(topic: string, bytes: Uint8Array): string {
  return createHash('sha1').update(topic).update(bytes).digest('base64')
}

/** One end. What the other sends waits here until it is asked for. */
class FakeChannel implements Channel {
  readonly peer: PeerId
  readonly remote: FakeNetwork
  readonly ended: Promise<void>
  readonly #air: FakeAir
  readonly #local: FakeNetwork
  readonly #inbox: Uint8Array[] = []
  #finish: () => void = () => undefined
  #wake: () => void = () => undefined
  #finished = false
  #broken: string | undefined
  /** Set by `channelPair`. */
  far: FakeChannel | undefined

  constructor(air: FakeAir, local: FakeNetwork, remote: FakeNetwork) {
    this.#air = air
    this.#local = local
    this.remote = remote
    this.peer = remote.self
    this.ended = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  async send(frame: Uint8Array): Promise<void> {
    if (frame.length > LIMITS.reconFrameBytesMax) throw new ChrysalisError('too_large', 'the frame is too large')
    if (this.#broken !== undefined) throw new ChrysalisError('unavailable', this.#broken)
    this.#air.carry(this.#local, this.remote, 'channel', frame)
    const { far } = this
    const copy = frame.slice()
    this.#air.queue.after(HOP_MS, () => far?.take(copy))
  }

  take(frame: Uint8Array): void {
    this.#inbox.push(frame)
    this.#wake()
  }

  async receive(): Promise<Uint8Array | undefined> {
    let late = false
    const cancel = this.#air.queue.after(LIMITS.streamIdleMsMax, () => {
      late = true
      this.#wake()
    })
    try {
      for (;;) {
        const frame = this.#inbox.shift()
        if (frame !== undefined) return frame
        if (this.#broken !== undefined) throw new ChrysalisError('unavailable', this.#broken)
        if (this.#finished) return undefined
        if (late) throw new ChrysalisError('timeout', `${this.peer} said nothing`)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      cancel()
    }
  }

  async close(): Promise<void> {
    const { far } = this
    this.#finish()
    this.#air.queue.after(HOP_MS, () => far?.finished())
  }

  finished(): void {
    this.#finished = true
    this.#wake()
  }

  abort(reason: string): void {
    this.break(reason)
    this.far?.break(reason)
  }

  break(reason: string): void {
    this.#broken ??= reason
    this.#finish()
    this.#wake()
  }
}

function channelPair(air: FakeAir, near: FakeNetwork, far: FakeNetwork): [FakeChannel, FakeChannel] {
  const here = new FakeChannel(air, near, far)
  const there = new FakeChannel(air, far, near)
  here.far = there
  there.far = here
  return [here, there]
}
