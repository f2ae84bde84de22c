/**
 * Runs a reconciliation machine over a channel: sends what it wants sent, fetches and delivers what it asks for, and
 * holds the deadline. All judgement is in sync/reconciler.ts; this file only keeps the order of things. It never throws:
 * whatever breaks becomes the outcome, because a failed session is an ordinary event that the next one makes good.
 */
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Channel } from '../ports/network.ts'
import { Initiator, Responder, type InitiatorOptions, type ResponderOptions } from '../sync/reconciler.ts'
import { deltaKeyOf } from '../sync/recon-session.ts'
import type { Delivered, SessionAction, SessionEvent, SessionOutcome } from '../sync/recon-session.ts'

export type { SessionOutcome }

export interface SessionPorts {
  readonly clock: Clock
  /**
   * Delta records by 38-byte range key, in any order; rows that are gone or damaged are left out. At most
   * LIMITS.reconLoadKeysMax keys at a time.
   */
  load(keys: readonly Uint8Array[]): Promise<Uint8Array[]>
  /** Verifies and stores foreign records. The three counts add up to the number of records. */
  deliver(records: readonly Uint8Array[]): Promise<Delivered>
}

export type InitiatorSession = Omit<InitiatorOptions, 'keyOf' | 'nowMs'>

export interface ResponderSession extends Pick<ResponderOptions, 'find'> {
  readonly hasher: Hasher
}

/** Drives a session over a channel just opened. When it resolves the channel is closed, or aborted after a failure. */
export function runInitiator(
  channel: Channel,
  session: InitiatorSession,
  ports: SessionPorts
): Promise<SessionOutcome> {
  const nowMs = ports.clock.nowMs()
  return drive(channel, new Initiator({ ...session, keyOf: deltaKeyOf(session.hasher), nowMs }), ports)
}

/** Answers a session on a channel that a peer opened. `find` is called once at most, before anything else is. */
export function runResponder(
  channel: Channel,
  session: ResponderSession,
  ports: SessionPorts
): Promise<SessionOutcome> {
  return drive(channel, new Responder({ find: session.find, keyOf: deltaKeyOf(session.hasher) }), ports)
}

/** Seen from here a machine is one function. */
interface Drivable {
  handle(event: SessionEvent): SessionAction[]
}

async function drive(channel: Channel, machine: Drivable, ports: SessionPorts): Promise<SessionOutcome> {
  let overdue: () => void = () => undefined
  const deadline = new Promise<SessionEvent>((resolve) => {
    overdue = () => resolve({ event: 'timeout' })
  })
  const cancel = ports.clock.setTimer(LIMITS.reconSessionMsMax, () => {
    overdue()
  })
  let event: SessionEvent = { event: 'start' }
  try {
    for (;;) {
      const step = perform(feed(machine, event), channel, ports)
      const next = await Promise.race([step, deadline.then((late) => ({ next: late }))])
      if ('outcome' in next) {
        leave(channel, next.outcome)
        return next.outcome
      }
      event = next.next
    }
  } finally {
    cancel()
  }
}

/** A machine that trips over itself must not take the daemon along: the session ends, the next one starts afresh. */
function feed(machine: Drivable, event: SessionEvent): SessionAction[] {
  try {
    return machine.handle(event)
  } catch (error) {
    return machine.handle({ event: 'closed', reason: `the session broke: ${messageOf(error)}` })
  }
}

type Step = { readonly next: SessionEvent } | { readonly outcome: SessionOutcome }

/** Carries out the actions in order, then waits for the event they lead to. Never rejects. */
async function perform(actions: readonly SessionAction[], channel: Channel, ports: SessionPorts): Promise<Step> {
  const done = actions.find((action) => action.action === 'done')
  try {
    for (const action of actions) {
      switch (action.action) {
        case 'send':
          await channel.send(action.frame)
          break
        case 'load': {
          const records = await ports.load(action.keys)
          return { next: { event: 'loaded', records } }
        }
        case 'deliver': {
          const result = await ports.deliver(action.records)
          return { next: { event: 'delivered', result } }
        }
        case 'done':
          return { outcome: action.outcome }
      }
    }
    const bytes = await channel.receive()
    if (bytes !== undefined) return { next: { event: 'frame', bytes } }
    return { next: { event: 'closed', reason: 'the peer closed the channel before the session was over' } }
  } catch (error) {
    // A farewell that does not get through changes nothing about what was achieved.
    if (done !== undefined) return { outcome: done.outcome }
    return { next: { event: 'closed', reason: messageOf(error) } }
  }
}

/** Not awaited by the session: a peer that is slow to close must not hold it up. */
function leave(channel: Channel, outcome: SessionOutcome): void {
  if (outcome.violation !== undefined) channel.abort(`protocol violation: ${outcome.violation}`)
  else if (outcome.detail !== undefined) channel.abort(outcome.detail)
  else channel.close().catch(() => undefined)
}
