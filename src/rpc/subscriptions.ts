/**
 * One subscription to events. Memory events are *pulled*: what arrives live only says that there is something to read,
 * and every memory event is read from the arrival log, from the last cursor on. Replay and live are therefore one
 * thing, with no seam between them at which an event could be lost or come twice, and a slow reader costs no memory:
 * the log waits for it.
 *
 * Peer, sync, catch-up and node events are not in the log. They are sent as they happen; while the reader's buffer is full they
 * are let go, and one `events.gap` says which.
 */
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { ChangeEntry, NodeApi, NodeEvent } from '../node/api.ts'

/** Where notifications go. */
export interface Outlet {
  notify(method: string, params: object): void
  /** More is waiting to be read by the other side than the bound allows. */
  full(): boolean
  /** Resolves true once there is room again, false when the connection has ended. */
  room(): Promise<boolean>
}

export interface SubscriptionOptions {
  readonly id: string
  readonly node: NodeApi
  readonly outlet: Outlet
  readonly topics: ReadonlySet<string>
  /** As asked for, names or ids; every space when undefined. */
  readonly spaces: readonly string[] | undefined
  /** Where the log is read from. */
  readonly cursor: string
}

export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #spaceNames: ReadonlySet<string> | undefined
  #cursor: string
  #sequence = 0
  #gap: { from: number; to: number } | undefined
  #unsubscribe: (() => void) | undefined
  #reading = false
  #readAgain = false
  #closed = false

  /** Throws `not_found` when a space is unknown. */
  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.#cursor = options.cursor
    this.#spaceNames = options.spaces === undefined ? undefined : namesAndIds(options.node, options.spaces)
  }

  /** Everything up to here was sent, or lies before the start. */
  get cursor(): string {
    return this.#cursor
  }

  /** Starts the flow. Called once the answer to events.open was written, so that no event overtakes it. */
  start(): void {
    if (this.#closed) return
    this.#unsubscribe = this.#options.node.onEvent((event) => this.#hear(event))
    if (this.#options.topics.has('memory')) this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe?.()
  }

  #hear(event: NodeEvent): void {
    if (this.#closed || !this.#options.topics.has(event.type)) return
    if (event.type === 'memory') this.#wake()
    else if (!('space' in event) || this.#spaceNames === undefined || this.#spaceNames.has(event.space)) {
      this.#sendLive(event)
    }
  }

  #sendLive(event: Exclude<NodeEvent, { type: 'memory' }>): void {
    if (this.#options.outlet.full()) {
      this.#skip()
      return
    }
    const { type, cursor, atMs, ...data } = event
    this.#send(type, cursor, atMs, data)
  }

  #skip(): void {
    const seq = this.#sequence++
    if (this.#gap !== undefined) {
      this.#gap.to = seq
      return
    }
    this.#gap = { from: seq, to: seq }
    void this.#options.outlet.room().then((open) => {
      if (open && !this.#closed) this.#flushGap()
    })
  }

  #flushGap(): void {
    if (this.#gap === undefined) return
    const gap = this.#gap
    this.#gap = undefined
    this.#options.outlet.notify('events.gap', { subscription: this.#options.id, ...gap })
  }

  #send(type: NodeEvent['type'], cursor: string | null, atMs: number, data: object): void {
    this.#flushGap()
    const subscription = this.#options.id
    this.#options.outlet.notify('events.event', { subscription, seq: this.#sequence++, cursor, atMs, type, data })
  }

  #wake(): void {
    if (this.#reading) {
      this.#readAgain = true
      return
    }
    this.#reading = true
    void this.#read()
  }

  /** Reads the log to its end, and again as long as something was announced meanwhile. One at a time. Never rejects. */
  async #read(): Promise<void> {
    const { node, outlet, id } = this.#options
    try {
      do {
        this.#readAgain = false
        for (let more = true; more && (await this.#ready());) {
          const page = await node.changes({
            ...(this.#cursor === '' ? {} : { cursor: this.#cursor }),
            limit: LIMITS.rpcEventsPageMax,
            ...(this.#options.spaces === undefined ? {} : { spaces: this.#options.spaces })
          })
          if (!(await this.#sendPage(page.changes))) return
          this.#cursor = page.cursor
          more = page.more
        }
      } while (this.#readAgain && !this.#closed)
    } catch (error) {
      if (!this.#closed) outlet.notify('events.end', { subscription: id, reason: messageOf(error) })
      this.close()
    } finally {
      this.#reading = false
    }
  }

  async #sendPage(changes: readonly ChangeEntry[]): Promise<boolean> {
    for (const change of changes) {
      if (!(await this.#ready())) return false
      this.#send('memory', change.cursor, change.atMs, change)
    }
    return true
  }

  /** Waits for room; false when there is nobody left to read. */
  async #ready(): Promise<boolean> {
    if (this.#closed) return false
    if (!this.#options.outlet.full()) return true
    return (await this.#options.outlet.room()) && !this.#closed
  }
}

/** Events may name a space by id, callers mostly use its name: both are matched. */
function namesAndIds(node: NodeApi, wanted: readonly string[]): ReadonlySet<string> {
  const known = node.spaces()
  const names = new Set<string>()
  for (const name of wanted) {
    const space = known.find((candidate) => candidate.name === name || candidate.id === name)
    if (space === undefined) {
      throw new ChrysalisError('not_found', `This daemon is in no space named ${name.slice(0, 80)}.`, {
        hint: 'space.list names the spaces.'
      })
    }
    names.add(space.name).add(space.id)
  }
  return names
}

/**
 * The cursor of the end of the arrival log, empty when the log is. An engine that answers `limit: 0` with the end does it in one step; with
 * any other the log is walked, which costs time but is never wrong.
 */
export async function endOfLog(node: NodeApi): Promise<string> {
  let page = await node.changes({ limit: 0 })
  while (page.more || page.cursor === '') {
    const before = page.cursor
    page = await node.changes({
      limit: LIMITS.rpcPageItemsMax,
      ...(before === '' ? {} : { cursor: before })
    })
    if (page.cursor === before) break
  }
  return page.cursor
}
