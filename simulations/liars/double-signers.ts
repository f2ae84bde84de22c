/**
 * Two ways to sign one number twice with a legitimate key. The equivocator does it on purpose and tells each half of its
 * peers another story, in sessions, where it chooses who hears what; its twins carry the same time, so that only the rule
 * for equal times can put them in one order. The rollback clone forgets what it wrote, as a restored backup does, and
 * writes on from there.
 */
import { Actor, halfOf, hasher, type Stage } from './actor.ts'
import { Hoard } from './hoard.ts'
import { meddle, note, type Place } from './pen.ts'

/** Twins in all, so that a long run does not drown in them. */
const ROUNDS_MAX = 24

export class Equivocator extends Actor {
  readonly kind = 'equivocator'
  #hoards: readonly [Hoard, Hoard] | undefined = undefined
  #places: [Place, Place] = [
    { seq: 0, prev: null },
    { seq: 0, prev: null }
  ]
  #rounds = 0

  protected override prepare(stage: Stage): void {
    const { id } = stage.outsider.space
    const hoards = [new Hoard(id, hasher), new Hoard(id, hasher)] as const
    this.#hoards = hoards
    this.serve(stage, (peer) => hoards[halfOf(peer)])
  }

  protected async act(stage: Stage): Promise<void> {
    const hoards = this.#hoards
    if (hoards === undefined) return
    if (this.#rounds < ROUNDS_MAX) this.#writeTwins(stage, hoards)
    for (const peer of this.peers(stage)) {
      if (this.stopped) return
      await this.meet(stage, peer, hoards[halfOf(peer)]).catch(() => undefined)
    }
  }

  #writeTwins(stage: Stage, hoards: readonly [Hoard, Hoard]): void {
    const { outsider, pen, random } = stage
    const round = this.#rounds++
    const victim = random.unit() < 0.7 ? this.someRecord(stage) : undefined
    const dateMs = outsider.clock.nowMs()
    for (const half of [0, 1] as const) {
      const text = `story ${half} of round ${round} by ${outsider.name}`
      const ops = victim === undefined ? note(text) : meddle(victim, text)
      const delta = pen.write(ops, dateMs, { dateMs, place: this.#places[half] })
      this.#places[half] = { seq: delta.header.seq + 1, prev: delta.id }
      hoards[half].add(delta.record)
    }
  }
}

/** Deltas after which it goes back, and how many it then writes once more. */
const BEFORE_ROLLBACK = 4

export class RollbackClone extends Actor {
  readonly kind = 'rollback-clone'
  #backup: Place | undefined = undefined
  #written = 0

  protected override get intervalMs(): number {
    return 1_500
  }

  protected async act(stage: Stage): Promise<void> {
    const { pen, outsider } = stage
    if (this.#written >= 2 * ROUNDS_MAX) return
    if (this.#written % BEFORE_ROLLBACK === 2) this.#backup = pen.place
    if (this.#written % BEFORE_ROLLBACK === 0 && this.#backup !== undefined) pen.goBackTo(this.#backup)
    const text = `line ${this.#written++} of ${outsider.name}`
    const victim = this.someRecord(stage)
    const ops = victim === undefined ? note(text) : meddle(victim, text)
    await this.gossip(stage, [pen.write(ops, outsider.clock.nowMs()).record])
  }
}
