/**
 * How a large gap is filled from several peers at once: the parts of the set that are missing, oldest first, each handed
 * to one peer at a time. A part that comes back unfinished goes to somebody who has not tried it; a peer that fails twice
 * in a row is let go. The plan ends when every part was filled, or tried by everybody who is left: then what remains was
 * promised by somebody and had by nobody, and an ordinary session will tell the truth.
 *
 * A plain machine: it is told who came and what became of each part, and answers who does what next. It neither counts
 * deltas nor talks to anybody. Nothing of it outlives the process: what was stored is stored, and a new plan leaves it out.
 */
import { compareText, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'

/** A range of the set, by the leading digits of its keys. */
export interface Part {
  readonly prefix: Hex
  /** Deltas in it, as a peer said. */
  readonly count: number
}

/** What became of a part. */
export interface PartResult {
  /** Deltas of the part that are here now. */
  readonly have: number
  /**
   * agreed: the peer has sent all it has of the part · cut: the attempt reached its own bounds while deltas were still
   * coming · broken: it failed, or was interrupted.
   */
  readonly ending: 'agreed' | 'cut' | 'broken'
}

interface Task {
  readonly part: Part
  readonly triedBy: Set<string>
}

interface Hand {
  task: Task | undefined
  /** Monotonic milliseconds at which its part was handed over. */
  sinceMs: number
  failures: number
  isDismissed: boolean
}

const FAILURES_MAX = 2
/** Peers that may take part in one plan, one after the other: a stream of newcomers must not keep it alive for ever. */
const HANDS_PER_PLACE = 4

export class CatchUpPlan {
  readonly #waiting: Task[]
  readonly #hands = new Map<string, Hand>()
  /** Parts filled, and parts that nobody could fill. */
  filled = 0
  abandoned = 0

  /** `parts` in any order; those that need nothing are to be left out by the caller. */
  constructor(parts: readonly Part[]) {
    this.#waiting = [...parts]
      .sort((a, b) => compareText(a.prefix, b.prefix))
      .map((part) => ({ part, triedBy: new Set<string>() }))
  }

  /** Peers that have a part in hand now. */
  get working(): number {
    return [...this.#hands.values()].filter((hand) => hand.task !== undefined).length
  }

  /** Nothing is in hand, and nothing is left that anybody could be given. */
  get ended(): boolean {
    if (this.working > 0) return false
    return ![...this.#hands].some(([peer, hand]) => !hand.isDismissed && this.#taskFor(peer) !== undefined)
  }

  /** Whether any part still waits for somebody, present or not. */
  get isWanting(): boolean {
    return this.#waiting.length > 0
  }

  /** The peer offers to help. False when there are enough, or when it was let go. */
  join(peer: string): boolean {
    const known = this.#hands.get(peer)
    if (known !== undefined) return !known.isDismissed
    const present = [...this.#hands.values()].filter((hand) => !hand.isDismissed).length
    if (present >= LIMITS.catchUpPeersMax) return false
    if (this.#hands.size >= LIMITS.catchUpPeersMax * HANDS_PER_PLACE) return false
    this.#hands.set(peer, { task: undefined, sinceMs: 0, failures: 0, isDismissed: false })
    return true
  }

  /** The oldest part this peer has not tried; undefined when there is none, or when it is busy or was let go. */
  next(peer: string, nowMs: number): Part | undefined {
    const hand = this.#hands.get(peer)
    if (hand === undefined || hand.isDismissed || hand.task !== undefined) return undefined
    const task = this.#taskFor(peer)
    if (task === undefined) return undefined
    this.#waiting.splice(this.#waiting.indexOf(task), 1)
    hand.task = task
    hand.sinceMs = nowMs
    return task.part
  }

  #taskFor(peer: string): Task | undefined {
    return this.#waiting.find((task) => !task.triedBy.has(peer))
  }

  /** The attempt of the peer at its part is over. */
  settle(peer: string, result: PartResult): void {
    const hand = this.#hands.get(peer)
    const task = hand?.task
    if (hand === undefined || task === undefined) return
    hand.task = undefined
    hand.failures = result.ending === 'broken' ? hand.failures + 1 : 0
    if (hand.failures >= FAILURES_MAX) hand.isDismissed = true
    if (result.have >= task.part.count) {
      this.filled++
      return
    }
    // Whoever was cut short has more of it and goes on.
    if (result.ending !== 'cut') task.triedBy.add(peer)
    this.#giveBack(task)
  }

  /** Back to its place in time. */
  #giveBack(task: Task): void {
    const at = this.#waiting.findIndex((other) => compareText(other.part.prefix, task.part.prefix) > 0)
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, task)
  }

  /** Peers that take too long over a part that another could have: they are to be interrupted. */
  overdue(nowMs: number): string[] {
    return [...this.#hands].flatMap(([peer, { task, sinceMs }]) => {
      if (task === undefined || nowMs - sinceMs < LIMITS.catchUpPartMsMax) return []
      const others = [...this.#hands].filter(([other, hand]) => other !== peer && !hand.isDismissed)
      return others.some(([other, hand]) => hand.task === undefined && !task.triedBy.has(other)) ? [peer] : []
    })
  }

  /** It is over: what still waits was promised by somebody and had by nobody. */
  close(): void {
    this.abandoned += this.#waiting.length
    this.#waiting.length = 0
  }
}
