/**
 * Sound signatures on unsound things: what is repeated, what has no past, what is dated wrong, and a crowd that is one
 * person. Nothing of it may be refused for its content alone, so everything of it spreads; what it must not do is to make
 * two honest nodes differ, to fill anything without bound, or to count.
 */
import { fromHex, toHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Op } from '../../src/memory/ops.ts'
import { Actor, hasher, type Stage } from './actor.ts'
import { meddle, note, Pen, vote } from './pen.ts'

export class Replayer extends Actor {
  readonly kind = 'replayer'

  protected async act(stage: Stage): Promise<void> {
    const { random, pen, outsider, topic } = stage
    const frame = this.frames[random.below(Math.max(1, this.frames.length))]
    switch (random.below(4)) {
      case 0:
        if (frame !== undefined) await outsider.network.publish(topic, frame)
        return
      case 1: {
        // The same deltas in a frame nobody has seen: what is known must be told by the deltas, not by the frame.
        const old = this.heard.slice(-5).map(({ record }) => record)
        if (old.length > 0) await this.gossip(stage, old)
        return
      }
      case 2: {
        const elsewhere = toHex(hasher.sha384(fromHex(outsider.space.id)).subarray(0, 16))
        const place = { seq: 0, prev: null }
        const foreign = pen.write(note('meant for others'), outsider.clock.nowMs(), { space: elsewhere, place })
        return this.gossip(stage, [foreign.record])
      }
      default:
        // As another network, or a later version, would put it.
        if (frame !== undefined) await outsider.network.publish(topic, altered(frame, random.below(frame.length)))
    }
  }
}

function altered(frame: Uint8Array, at: number): Uint8Array {
  const copy = frame.slice()
  copy[at] = (copy[at] as number) ^ 0xff
  return copy
}

const ORPHANS_A_FRAME = 12
const ORPHANS_MAX = 180

export class OrphanFlooder extends Actor {
  readonly kind = 'orphan-flooder'
  #sent = 0

  protected async act(stage: Stage): Promise<void> {
    if (this.#sent >= ORPHANS_MAX) return
    const { random, pen, outsider } = stage
    const parents = Array.from({ length: LIMITS.deltaParentsMax }, () => toHex(random.bytes(32)))
    const orphans = Array.from({ length: ORPHANS_A_FRAME }, () => {
      const text = `orphan ${this.#sent++} of ${outsider.name}`
      // Far down a chain whose beginning does not exist; never one place twice, for this one is no double signer.
      const place = { seq: 1_000 + 3 * this.#sent, prev: toHex(random.bytes(32)) }
      return pen.write(note(text), outsider.clock.nowMs(), { parents, place }).record
    })
    await this.gossip(stage, orphans)
  }
}

/** Years ahead, an hour ahead, just about to be due, within the lead, an hour ago, and at the beginning of time. */
const LEADS_MS = [
  300 * 365 * 86_400_000,
  3_600_000,
  LIMITS.clockLeadMsMax + 2_500,
  LIMITS.clockLeadMsMax - 10_000,
  -3_600_000,
  -Infinity
] as const
const DATED_MAX = 40

export class TimeLiar extends Actor {
  readonly kind = 'time-liar'
  #written = 0

  protected async act(stage: Stage): Promise<void> {
    if (this.#written >= DATED_MAX) return
    const { random, pen, outsider } = stage
    const nowMs = outsider.clock.nowMs()
    const dateMs = Math.max(0, nowMs + (LEADS_MS[random.below(LEADS_MS.length)] as number))
    const text = `written at ${dateMs} by ${outsider.name}, ${this.#written++}`
    const victim = this.someRecord(stage)
    const counter = random.below(2) * 0xffff
    const ops = victim === undefined ? note(text) : meddle(victim, text)
    await this.gossip(stage, [pen.write(ops, nowMs, { dateMs, counter }).record])
  }
}

const CROWD = 12
const BALLOTS_MAX = 20

export class VoteStuffer extends Actor {
  readonly kind = 'vote-stuffer'
  #crowd: readonly Pen[] = []
  #ballots = 0

  protected override prepare({ outsider, world, random }: Stage): void {
    const { id } = outsider.space
    this.#crowd = Array.from({ length: CROWD }, (_, i) => {
      const name = `${outsider.name}/crowd-${i}`
      return new Pen(world.identity(name), id, random.fork(name))
    })
  }

  protected async act(stage: Stage): Promise<void> {
    const id = this.someRecord(stage)
    if (id === undefined || this.#ballots >= BALLOTS_MAX) return
    this.#ballots++
    const { outsider, pen, random } = stage
    const nowMs = outsider.clock.nowMs()
    const verdict = random.unit() < 0.5 ? 'flag' : 'confirm'
    const ballot: Op[] = vote(id, verdict, verdict === 'flag' ? 0 : 10_000)
    const voters = [pen, pen, ...this.#crowd]
    await this.gossip(
      stage,
      voters.map((voter) => voter.write(ballot, nowMs).record)
    )
  }
}
