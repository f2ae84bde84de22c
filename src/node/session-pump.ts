/**
 * Runs a reconciliation machine over a channel: one frame after the other is read, what the machine wants read or stored
 * goes on meanwhile, what it wants sent goes out in order. The machine's own window bounds how much of all this is
 * in flight. Here are the two deadlines: how long a session may take, and how long it may stand still.
 *
 * It never throws. Whatever breaks is told to the machine, whose outcome is the answer, because a failed session is an
 * ordinary event that the next one makes good. When it resolves, nothing of the session is left behind: no timer, and the
 * channel closed or given up.
 */
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Channel } from '../ports/network.ts'
import type { Delivered, SessionAction, SessionEvent, SessionOutcome } from '../sync/recon-session.ts'

export interface SessionPorts {
  readonly clock: Clock
  /**
   * Delta records by 38-byte range key, in the order of the keys; rows that are gone or damaged are left out. At most
   * LIMITS.reconLoadKeysMax keys at a time.
   */
  load(keys: readonly Uint8Array[]): Promise<Uint8Array[]>
  /** Delta records of the space whose id begins with one of these 8 bytes, at most 4 for each, in any order. */
  loadShort(space: SpaceId, shorts: readonly Uint8Array[]): Promise<Uint8Array[]>
  /**
   * Verifies and stores foreign records. The three counts add up to the number of records. Called again before it has
   * answered: what was delivered first is to be taken first.
   */
  deliver(records: readonly Uint8Array[]): Promise<Delivered>
}

/** Seen from here a machine is one function. */
export interface Drivable {
  handle(event: SessionEvent): SessionAction[]
}

/** How long a peer that has everything may take to finish its side of the channel. */
const PARTING_MS = 2_000

/** `first`: a frame that was read before the machine was chosen. */
export function pumpSession(
  channel: Channel,
  machine: Drivable,
  ports: SessionPorts,
  first?: Uint8Array
): Promise<SessionOutcome> {
  return new Pump(channel, machine, ports).run(first)
}

class Pump {
  readonly #channel: Channel
  readonly #machine: Drivable
  readonly #ports: SessionPorts
  readonly #done: Promise<SessionOutcome>
  #conclude: (outcome: SessionOutcome) => void = () => undefined
  readonly #timers = new Set<() => void>()
  /** Reads and deliveries that have not answered yet. */
  readonly #working = new Set<Promise<void>>()
  #sent: Promise<void> = Promise.resolve()
  #outcome: SessionOutcome | undefined
  #movedMs: number
  /** The channel is of no more use: nothing is read, nothing is sent. */
  #broken = false

  constructor(channel: Channel, machine: Drivable, ports: SessionPorts) {
    this.#channel = channel
    this.#machine = machine
    this.#ports = ports
    this.#movedMs = ports.clock.monotonicMs()
    this.#done = new Promise((resolve) => {
      this.#conclude = resolve
    })
  }

  async run(first: Uint8Array | undefined): Promise<SessionOutcome> {
    this.#after(LIMITS.reconSessionMsMax, () => this.#feed({ event: 'timeout', because: 'long' }))
    this.#watch(LIMITS.reconStillMsMax)
    this.#feed(first === undefined ? { event: 'start' } : { event: 'frame', bytes: first })
    const read = this.#read()
    const outcome = await this.#done
    for (const cancel of this.#timers) cancel()
    await this.#part(outcome, read)
    return outcome
  }

  #after(delayMs: number, action: () => void): void {
    const cancel = this.#ports.clock.setTimer(delayMs, () => {
      this.#timers.delete(cancel)
      action()
    })
    this.#timers.add(cancel)
  }

  /** Ends the session when nothing has moved for the whole of the still time. */
  #watch(delayMs: number): void {
    this.#after(delayMs, () => {
      const still = this.#ports.clock.monotonicMs() - this.#movedMs
      if (still >= LIMITS.reconStillMsMax) this.#feed({ event: 'timeout', because: 'still' })
      else this.#watch(LIMITS.reconStillMsMax - still)
    })
  }

  async #read(): Promise<void> {
    try {
      while (this.#outcome === undefined) {
        const bytes = await this.#channel.receive()
        if (this.#outcome !== undefined) {
          // The peer has finished as well, or else says something after the end.
          this.#broken ||= bytes !== undefined
          return
        }
        if (bytes === undefined) throw new Error('the peer closed the channel before the session was over')
        this.#feed({ event: 'frame', bytes })
      }
    } catch (error) {
      await this.#break(messageOf(error))
    }
  }

  /** What was received is still stored and counted; then the session is over. */
  async #break(reason: string): Promise<void> {
    if (this.#broken) return
    this.#broken = true
    while (this.#working.size > 0 && this.#outcome === undefined) {
      await Promise.race([Promise.all(this.#working), this.#done])
    }
    this.#feed({ event: 'closed', reason })
  }

  #feed(event: SessionEvent): void {
    if (this.#outcome !== undefined) return
    this.#movedMs = this.#ports.clock.monotonicMs()
    for (const action of this.#handle(event)) this.#perform(action)
  }

  /** A machine that trips over itself must not take the daemon along: the session ends, the next one starts afresh. */
  #handle(event: SessionEvent): SessionAction[] {
    try {
      return this.#machine.handle(event)
    } catch (error) {
      return this.#machine.handle({ event: 'closed', reason: `the session broke: ${messageOf(error)}` })
    }
  }

  #perform(action: SessionAction): void {
    switch (action.action) {
      case 'send':
        this.#sent = this.#sent.then(() => this.#send(action.frame))
        return
      case 'load':
        this.#work(async () => {
          const records = await this.#ports.load(action.keys)
          return { event: 'loaded', token: action.token, records }
        })
        return
      case 'load-short':
        this.#work(async () => {
          const records = await this.#ports.loadShort(action.space, action.shorts)
          return { event: 'loaded', token: action.token, records }
        })
        return
      case 'deliver':
        this.#work(async () => {
          const result = await this.#ports.deliver(action.records)
          return { event: 'delivered', token: action.token, result }
        })
        return
      case 'done':
        this.#outcome = action.outcome
        this.#conclude(action.outcome)
    }
  }

  async #send(frame: Uint8Array): Promise<void> {
    if (this.#broken) return
    try {
      await this.#channel.send(frame)
      this.#movedMs = this.#ports.clock.monotonicMs()
    } catch (error) {
      // Not awaited: what is being stored may itself lead to a frame that has to be sent.
      void this.#break(messageOf(error))
    }
  }

  #work(work: () => Promise<SessionEvent>): void {
    const working = work().then(
      (event) => this.#feed(event),
      (error: unknown) => this.#feed({ event: 'closed', reason: messageOf(error) })
    )
    this.#working.add(working)
    void working.finally(() => this.#working.delete(working))
  }

  /**
   * Leaves the channel. After a session that went through, the last words are sent, and a side that is still listening
   * waits for the other to finish: to close under it would leave half of a stream behind.
   */
  async #part(outcome: SessionOutcome, read: Promise<void>): Promise<void> {
    const { violation, detail, refusal } = outcome
    const why = violation === undefined ? detail : `protocol violation: ${violation}`
    const polite = why === undefined || refusal !== undefined
    if (!polite) this.#channel.abort(why)
    let late = false
    let cancel = (): void => undefined
    const lapse = new Promise<void>((resolve) => {
      cancel = this.#ports.clock.setTimer(PARTING_MS, () => {
        late = true
        resolve()
      })
    })
    await Promise.race([Promise.allSettled([this.#sent, read, ...this.#working]), lapse])
    cancel()
    if (polite && !late && !this.#broken) this.#channel.close().catch(() => undefined)
    else if (polite) this.#channel.abort('the peer did not finish')
  }
}
