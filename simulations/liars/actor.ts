/**
 * What all liars share: a place in the network, an ear on the topic, a memory of what was said there, and something they
 * do at intervals. A liar that trips over itself has merely failed to lie; nothing of it may reach the world.
 */
import { toHex, type Bytes } from '../../src/base/bytes.ts'
import { createVerifier } from '../../src/adapters/system/crypto.ts'
import { decodeDelta, decodeFrame, encodeFrame } from '../../src/memory/delta-codec.ts'
import type { Delta } from '../../src/memory/delta.ts'
import type { RecordId } from '../../src/memory/ids.ts'
import { resolveTarget, topicOf } from '../../src/memory/names.ts'
import { verifyDelta } from '../../src/memory/verify.ts'
import { runInitiator, runResponder } from '../../src/node/reconcile-driver.ts'
import type { Channel, PeerId, Verdict } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import { RECON_PROTOCOL } from '../../src/sync/recon-codec.ts'
import type { SimOutsider } from '../world/sim-outsider.ts'
import type { World } from '../world/world.ts'
import type { Hoard } from './hoard.ts'
import type { Liar, LiarKind } from './liar.ts'
import { Pen } from './pen.ts'

const HEARD_MAX = 400

/** Who takes part, as one liar sees it. */
export interface Stage {
  readonly outsider: SimOutsider
  readonly world: World
  readonly random: Random
  readonly pen: Pen
  readonly topic: string
}

export abstract class Actor implements Liar {
  abstract readonly kind: LiarKind
  readonly #cancels = new Set<() => void>()
  readonly #frames: Bytes[] = []
  readonly #heard: Delta[] = []
  #stage: Stage | undefined = undefined
  #stopped = false
  #farewell: (() => void) | undefined = undefined
  readonly #ended = new Promise<void>((resolve) => {
    this.#farewell = resolve
  })

  /** Milliseconds between two acts. */
  protected get intervalMs(): number {
    return 1_000
  }

  async start(outsider: SimOutsider, world: World, random: Random): Promise<void> {
    const space = outsider.space.id
    const pen = new Pen(outsider.crypto, space, random.fork('pen'))
    const stage = { outsider, world, random, pen, topic: topicOf(space) }
    this.#stage = stage
    outsider.network.subscribe(stage.topic, (bytes) => this.#hear(bytes))
    this.prepare(stage)
    await outsider.start()
    this.#next(stage)
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    for (const cancel of this.#cancels) cancel()
    this.#farewell?.()
    await this.#stage?.outsider.stop()
  }

  protected get stopped(): boolean {
    return this.#stopped
  }

  /** Resolves when the liar has been stopped: nothing it holds open may outlast that. */
  protected get ended(): Promise<void> {
    return this.#ended
  }

  /** Before it joins the network: what it serves. */
  protected prepare(_stage: Stage): void {
    // By default no session is answered.
  }

  /** One lie. */
  protected abstract act(stage: Stage): void | Promise<void>

  /** What it does with a frame it hears. By default it passes on what any honest daemon would. */
  protected judge(records: readonly Delta[]): Verdict {
    return records.length > 0 ? 'accept' : 'ignore'
  }

  #next(stage: Stage): void {
    if (this.#stopped) return
    // Never in step with anything else.
    const delayMs = this.intervalMs * (0.6 + 0.8 * stage.random.unit())
    this.#after(stage, delayMs, () => {
      void this.#once(stage).finally(() => this.#next(stage))
    })
  }

  async #once(stage: Stage): Promise<void> {
    try {
      await this.act(stage)
    } catch {
      // Banned, unreachable, or refused: then nothing was said.
    }
  }

  #after(stage: Stage, delayMs: number, action: () => void): void {
    const cancel = stage.world.queue.after(delayMs, () => {
      this.#cancels.delete(cancel)
      action()
    })
    this.#cancels.add(cancel)
  }

  // --- hearing

  #hear(bytes: Bytes): Promise<Verdict> {
    const frame = decodeFrame(bytes)
    if (!frame.ok) return Promise.resolve('ignore')
    if (this.#frames.length < HEARD_MAX) this.#frames.push(bytes.slice())
    const deltas: Delta[] = []
    for (const record of frame.value) {
      const delta = this.remember(record)
      // Whoever passes on what others forged would be blamed for it, and blamed for the wrong lie.
      if (delta !== undefined && this.#isSound(delta)) deltas.push(delta)
    }
    return Promise.resolve(this.judge(deltas.length === frame.value.length ? deltas : []))
  }

  #isSound(delta: Delta): boolean {
    return this.#stage !== undefined && verifyDelta(delta, this.#stage.outsider.crypto).ok
  }

  /** Keeps a record that somebody sent; undefined when it is none. */
  protected remember(record: Bytes): Delta | undefined {
    const delta = decodeDelta(record, hasher)
    if (!delta.ok) return undefined
    if (this.#heard.length < HEARD_MAX) this.#heard.push(delta.value)
    return delta.value
  }

  /** Frames heard so far, oldest first. */
  protected get frames(): readonly Bytes[] {
    return this.#frames
  }

  /** Deltas heard so far, oldest first. */
  protected get heard(): readonly Delta[] {
    return this.#heard
  }

  /** A memory that somebody has written to. */
  protected someRecord({ random, outsider }: Stage): RecordId | undefined {
    const delta = this.#heard[random.below(Math.max(1, this.#heard.length))]
    const op = delta?.ops[0]
    if (delta === undefined || op === undefined || op.op === 'unknown') return undefined
    return resolveTarget(hasher, outsider.space.id, delta.id, op.target)
  }

  // --- speaking

  protected async gossip({ outsider, topic }: Stage, records: readonly Bytes[]): Promise<void> {
    await outsider.network.publish(topic, encodeFrame(records))
  }

  /** Peers it is connected to, in a fixed order. */
  protected peers({ outsider }: Stage): PeerId[] {
    return outsider.network
      .peers()
      .filter(({ connected }) => connected)
      .map(({ peer }) => peer)
      .sort()
  }

  protected somePeer(stage: Stage): PeerId | undefined {
    const peers = this.peers(stage)
    return peers[stage.random.below(Math.max(1, peers.length))]
  }

  /** A session opened by the liar, by the honest machine over what is in the hoard. */
  protected async meet(
    stage: Stage,
    peer: PeerId,
    hoard: Hoard,
    disguise: Disguise = (channel) => channel
  ): Promise<void> {
    const { outsider, random } = stage
    const channel = disguise(await outsider.network.open(peer, RECON_PROTOCOL))
    const session = { space: hoard.space, set: hoard.snapshot(), hasher: hoard.hasher, nonce: random.bytes(16) }
    await runInitiator(
      channel,
      session,
      hoard.ports(outsider.clock, (record) => this.remember(record))
    )
  }

  /** Answers sessions from the hoard meant for that peer. */
  protected serve(stage: Stage, hoardFor: (peer: PeerId) => Hoard, disguise: Disguise = (channel) => channel): void {
    const { outsider, random } = stage
    outsider.network.serve(RECON_PROTOCOL, async (channel) => {
      const hoard = hoardFor(channel.peer)
      const find = (space: string): ReturnType<Hoard['snapshot']> | undefined =>
        space === hoard.space ? hoard.snapshot() : undefined
      await runResponder(
        disguise(channel),
        { hasher: hoard.hasher, find, nonce: () => random.bytes(16) },
        hoard.ports(outsider.clock, (record) => this.remember(record))
      )
    })
  }
}

/** Stands between an honest machine and the wire. */
export type Disguise = (channel: Channel) => Channel

export const hasher = createVerifier()

/** Lets a peer be told apart from another, whatever order they come in. */
export function halfOf(peer: PeerId): 0 | 1 {
  return (Number.parseInt(toHex(hasher.sha384(new TextEncoder().encode(peer))).slice(0, 2), 16) & 1) as 0 | 1
}
