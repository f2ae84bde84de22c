/**
 * One client of the local door. Its bounds: frames and their depth (rpc/framing), requests in flight, subscriptions,
 * and bytes it has not read yet. When those reach the bound, nothing more is read from it and no event is sent to it;
 * when it then reads nothing for a long while, it is closed.
 *
 * A time-out or a cancel answers the caller at once, but the work behind it goes on and keeps its place in flight until
 * it is done: otherwise a client could start any number of writes by cancelling each.
 */
import type { Socket } from 'node:net'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { NodeApi } from '../node/api.ts'
import type { Control } from './control.ts'
import { perform, prepare, type Call } from './dispatch.ts'
import { encodeFrame, LineFramer } from './framing.ts'
import { guardControl } from './guarded-control.ts'
import { guardNode } from './guarded-node.ts'
import type { Session } from './handlers.ts'
import { inSession, NOBODY, OWNER, permit, type Identity } from './identity.ts'
import {
  errorFrame,
  INVALID_REQUEST,
  notificationFrame,
  readRequest,
  resultFrame,
  toWireError,
  type Request,
  type RequestId
} from './messages.ts'
import { TOPICS } from './schema/node-methods.ts'
import { endOfLog, Subscription, type Outlet } from './subscriptions.ts'

/** Time bounds; tests shorten them. */
export interface DoorTiming {
  readonly firstByteMs: number
  readonly stallMs: number
  readonly closeMs: number
}

export const DOOR_TIMING: DoorTiming = {
  firstByteMs: LIMITS.rpcFirstByteMsMax,
  stallMs: LIMITS.rpcStallMsMax,
  closeMs: LIMITS.rpcCloseMsMax
}

export interface ConnectionOptions {
  readonly socket: Socket
  readonly node: NodeApi
  readonly control: Control
  readonly timing: DoorTiming
  /** Called for every refusal, with a word for the counter. */
  readonly refused: (what: string) => void
}

/** Numbers connections, for the sessions of those that name none. */
let connections = 0

/** A request that has not been answered. */
interface Unanswered {
  readonly access: Call['access']
  answer(frame: object): Promise<boolean>
}

export class Connection implements Outlet {
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #framer = new LineFramer(LIMITS.rpcFrameBytesMax)
  readonly #unanswered = new Map<RequestId, Unanswered>()
  readonly #working = new Set<Promise<void>>()
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #number = ++connections
  #identity: Identity
  /** The engine and the daemon as this client may see them. */
  #node: NodeApi
  #control: Control
  #waiting: ((open: boolean) => void)[] = []
  #subscriptionCount = 0
  #closing = false
  #deaf = false
  readonly #firstFrameTimer: NodeJS.Timeout | undefined
  #stallTimer: NodeJS.Timeout | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#socket = options.socket
    this.#identity = this.#whoever(undefined, undefined)
    this.#node = guardNode(options.node, this.#identity)
    this.#control = guardControl(options.control, this.#identity)
    this.#firstFrameTimer = setTimeout(() => {
      options.refused('silent')
      this.#socket.destroy()
    }, options.timing.firstByteMs)
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#socket.on('drain', () => this.#drained())
    this.#socket.on('end', () => void this.#finish())
    // An error is always followed by `close`; a client that vanishes is no news.
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => this.#ended())
  }

  // --- outlet of the subscriptions

  notify(method: string, params: object): void {
    this.#write(encodeFrame(notificationFrame(method, params)))
  }

  full(): boolean {
    return this.#socket.writableLength > LIMITS.rpcOutboundBytesMax
  }

  async room(): Promise<boolean> {
    while (this.full() && !this.#socket.destroyed) {
      await new Promise<boolean>((resolve) => this.#waiting.push(resolve))
    }
    return !this.#socket.destroyed
  }

  /**
   * Lets requests in flight finish, for a bounded time, then ends. Resolves when the socket is closed; never rejects.
   */
  async close(): Promise<void> {
    this.#destroyLate()
    // Not awaited: work that never ends must not keep the daemon from stopping.
    void this.#finish()
    if (!this.#socket.closed) await new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
  }

  /** Answers what is in flight, however long that takes, and ends. */
  async #finish(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    clearTimeout(this.#firstFrameTimer)
    for (const subscription of this.#subscriptions.values()) subscription.close()
    await Promise.allSettled([...this.#working])
    this.#socket.end()
    // The other side may have stopped reading, or never end its own half.
    this.#destroyLate()
  }

  #destroyLate(): void {
    const late = setTimeout(() => this.#socket.destroy(), this.#options.timing.closeMs)
    this.#socket.once('close', () => clearTimeout(late))
  }

  // --- reading

  #take(chunk: Buffer): void {
    if (this.#deaf) return
    let lines: Uint8Array[]
    try {
      lines = this.#framer.push(chunk)
    } catch (error) {
      this.#options.refused('oversize')
      this.#write(encodeFrame(errorFrame(null, toWireError(error))))
      // The rest is read and thrown away for a moment: a sender cut off in the middle would never see the answer.
      this.#deaf = true
      void this.#finish()
      return
    }
    if (lines.length > 0) clearTimeout(this.#firstFrameTimer)
    for (const line of lines) {
      if (this.#socket.destroyed) return
      this.#receive(line)
    }
  }

  #receive(line: Uint8Array): void {
    const incoming = readRequest(line)
    if (!incoming.ok) {
      this.#options.refused('malformed')
      this.#write(encodeFrame(errorFrame(incoming.id, incoming.error)))
      return
    }
    const { request } = incoming
    const prepared = prepare(request)
    if (!prepared.ok) {
      this.#options.refused('invalid')
      this.#refuse(request.id, prepared.error, prepared.code)
      return
    }
    const refusal = this.#admit(request, prepared.call)
    if (refusal !== undefined) this.#refuse(request.id, refusal.error, refusal.code)
    else this.#start(request, prepared.call)
  }

  #admit(request: Request, call: Call): { error: ChrysalisError; code?: number } | undefined {
    // Cancelling must be possible exactly when everything else is full.
    if (call.method === 'rpc.cancel') return undefined
    if (this.#closing) {
      const hint = 'Connect again once it is back.'
      return { error: new ChrysalisError('unavailable', 'The daemon is stopping; nothing was done.', { hint }) }
    }
    if (this.#working.size >= LIMITS.rpcInFlightMax) {
      this.#options.refused('in_flight')
      const message = `${LIMITS.rpcInFlightMax} requests of this connection are in flight; nothing was done.`
      return { error: new ChrysalisError('rate_limited', message, { hint: 'Wait for an answer before asking more.' }) }
    }
    if (request.id !== undefined && this.#unanswered.has(request.id)) {
      const message = 'A request of this id is in flight; nothing was done.'
      return {
        error: new ChrysalisError('invalid_argument', message, { hint: 'Use a new id.' }),
        code: INVALID_REQUEST
      }
    }
    return undefined
  }

  #refuse(id: RequestId | undefined, error: ChrysalisError, code?: number): void {
    if (id !== undefined) this.#write(encodeFrame(errorFrame(id, toWireError(error, code))))
  }

  // --- one request

  #start(request: Request, call: Call): void {
    const after: (() => void)[] = []
    const undo: (() => void)[] = []
    let answered = false
    const answer = async (frame: object): Promise<boolean> => {
      if (answered) return false
      answered = true
      clearTimeout(timer)
      if (request.id !== undefined) {
        this.#unanswered.delete(request.id)
        await this.#answer(request.id, frame)
      }
      return true
    }
    if (request.id !== undefined) this.#unanswered.set(request.id, { access: call.access, answer })
    const timer =
      call.timeoutMs === undefined
        ? undefined
        : setTimeout(() => void answer(errorFrame(request.id ?? null, toWireError(tooLate(call)))), call.timeoutMs)

    const work = async (): Promise<void> => {
      let frame: object
      let sent = false
      try {
        this.#permit(call)
        const result = await perform(call, this.#session(after, undo))
        frame = resultFrame(request.id ?? 0, result)
        sent = await answer(frame)
      } catch (error) {
        frame = errorFrame(request.id ?? null, toWireError(error))
        await answer(frame)
      }
      for (const act of sent ? after : undo) act()
    }
    const running = work()
    this.#working.add(running)
    void running.finally(() => this.#working.delete(running))
  }

  /** Throws `denied` for a token that is unknown. */
  #whoever(token: string | undefined, session: string | undefined): Identity {
    const { tokens } = this.#options.control
    const identity = token === undefined ? (tokens.required ? NOBODY : OWNER) : tokens.identify(token)
    return inSession(identity, `${identity.agent ?? ''}/${session ?? `#${this.#number}`}`)
  }

  /** Agreeing on the protocol, which may bring a token, is open to everybody; so is what ends things. */
  #permit({ method, access }: Call): void {
    if (method === 'rpc.hello' || method === 'rpc.cancel' || method === 'events.close') return
    permit(this.#identity, access, method)
  }

  #introduce(token: string | undefined, session: string | undefined): void {
    const identity = this.#whoever(token, session)
    // What is open goes on with the rights it was opened with: it may not outlive a change of them.
    for (const subscription of this.#subscriptions.values()) subscription.close()
    this.#subscriptions.clear()
    this.#identity = identity
    this.#node = guardNode(this.#options.node, identity)
    this.#control = guardControl(this.#options.control, identity)
  }

  #session(after: (() => void)[], undo: (() => void)[]): Session {
    const current = (): { node: NodeApi; control: Control } => ({ node: this.#node, control: this.#control })
    return {
      // Asked when needed: rpc.hello changes who this is, and answers in the new role.
      get node() {
        return current().node
      },
      get control() {
        return current().control
      },
      introduce: (token, session) => this.#introduce(token, session),
      cancel: (id) => this.#cancel(id),
      openEvents: async ({ topics, spaces, cursor }) => {
        if (this.#subscriptions.size >= LIMITS.rpcSubscriptionsPerClientMax) {
          this.#options.refused('subscriptions')
          const message = `This connection has ${LIMITS.rpcSubscriptionsPerClientMax} subscriptions already.`
          throw new ChrysalisError('rate_limited', message, { hint: 'Close one with events.close.' })
        }
        const id = `s${++this.#subscriptionCount}`
        const subscription = await this.#subscribe(id, topics, spaces, cursor, undo)
        after.push(() => subscription.start())
        return { subscription: id, cursor: subscription.cursor }
      },
      closeEvents: (id) => {
        this.#subscriptions.get(id)?.close()
        return this.#subscriptions.delete(id)
      },
      afterAnswer: (act) => after.push(act)
    }
  }

  /** The place among the subscriptions is taken before anything is awaited, so that the bound holds. */
  async #subscribe(
    id: string,
    topics: readonly string[] | undefined,
    spaces: readonly string[] | undefined,
    cursor: string | undefined,
    undo: (() => void)[]
  ): Promise<Subscription> {
    const node = this.#node
    const make = (from: string) =>
      new Subscription({ id, node, outlet: this, topics: new Set(topics ?? TOPICS), spaces, cursor: from })
    undo.push(() => {
      this.#subscriptions.get(id)?.close()
      this.#subscriptions.delete(id)
    })
    this.#subscriptions.set(id, make(cursor ?? ''))
    // A cursor this log does not know is refused now, not by silence later.
    if (cursor !== undefined) await node.changes({ cursor, limit: 1 })
    const subscription = make(cursor ?? (await endOfLog(node)))
    if (this.#closing || this.#socket.destroyed || !this.#subscriptions.has(id)) subscription.close()
    else this.#subscriptions.set(id, subscription)
    return subscription
  }

  #cancel(id: RequestId): boolean {
    const waiting = this.#unanswered.get(id)
    if (waiting === undefined) return false
    const error = new ChrysalisError('cancelled', 'The request was cancelled; what it had begun may still complete.', {
      stateTouched: waiting.access !== 'read'
    })
    void waiting.answer(errorFrame(id, toWireError(error)))
    return true
  }

  // --- writing

  async #answer(id: RequestId, frame: object): Promise<void> {
    let bytes: Buffer
    try {
      bytes = encodeFrame(frame)
    } catch (error) {
      bytes = encodeFrame(errorFrame(id, toWireError(error)))
    }
    if (bytes.length - 1 > LIMITS.rpcFrameBytesMax) {
      const message = `The answer has ${bytes.length} bytes; a frame holds ${LIMITS.rpcFrameBytesMax}.`
      const hint = 'Ask for less: lower `limit`, or name fewer ids.'
      bytes = encodeFrame(errorFrame(id, toWireError(new ChrysalisError('too_large', message, { hint }))))
    }
    if (await this.room()) this.#write(bytes)
  }

  #write(bytes: Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.write(bytes)
    if (!this.full() || this.#stallTimer !== undefined) return
    this.#socket.pause()
    this.#stallTimer = setTimeout(() => {
      this.#options.refused('stalled')
      this.#socket.destroy()
    }, this.#options.timing.stallMs)
  }

  #drained(): void {
    clearTimeout(this.#stallTimer)
    this.#stallTimer = undefined
    this.#socket.resume()
    this.#release(true)
  }

  #release(open: boolean): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(open)
  }

  #ended(): void {
    clearTimeout(this.#firstFrameTimer)
    clearTimeout(this.#stallTimer)
    for (const subscription of this.#subscriptions.values()) subscription.close()
    this.#subscriptions.clear()
    this.#release(false)
  }
}

function tooLate(call: Call): ChrysalisError {
  return new ChrysalisError('timeout', `${call.method} took longer than ${call.timeoutMs} ms.`, {
    hint: 'What it had begun may still complete: read before writing again, or allow more time.',
    stateTouched: call.access !== 'read'
  })
}
