/**
 * Events as an async iterable that survives the daemon. It keeps the cursor of the last memory event handed out, and
 * when the connection ends it connects again and goes on from there, more and more patiently. When its consumer is
 * slow it stops reading the socket; the daemon's log, not this process, then holds what is to come.
 */
import { isChrysalisError } from '../base/errors.ts'
import type { Link } from './link.ts'
import { fromWireError } from './messages.ts'
import type { EventMessage, GapMessage, Params } from './schema/methods.ts'

export type EventsRequest = Params<'events.open'> & {
  readonly signal?: AbortSignal
  /** Called when a subscription stands, first and after every reconnection. */
  readonly onOpen?: (cursor: string) => void
}

type WithoutSubscription<T> = T extends unknown ? Omit<T, 'subscription'> : never

/** What the daemon told, or `gap`: live events that were let go because this reader was too slow. */
export type ClientEvent =
  WithoutSubscription<EventMessage> | ({ readonly type: 'gap' } & Omit<GapMessage, 'subscription'>)

export interface StreamSource {
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal
  open(onNotification: (method: string, params: Record<string, unknown>) => void): Promise<Link>
  readonly hello: Params<'rpc.hello'>
}

/** Events held for the consumer before the socket is no longer read. */
const HELD_EVENTS_MAX = 256
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/** One subscription on one connection: what arrived and was not yet taken. */
class Feed {
  readonly #events: ClientEvent[] = []
  #link: Link | undefined
  #ended = false
  #wake: (() => void) | undefined

  /** Takes notifications from the first byte on, since they may arrive together with the answer to events.open. */
  readonly hear = (method: string, params: Record<string, unknown>): void => {
    const { subscription: _, ...rest } = params
    if (method === 'events.event') this.#events.push(rest as unknown as ClientEvent)
    else if (method === 'events.gap') this.#events.push({ type: 'gap', ...rest } as unknown as ClientEvent)
    else if (method === 'events.end') this.end()
    if (this.#events.length >= HELD_EVENTS_MAX) this.#link?.pause()
    this.#wake?.()
  }

  follow(link: Link): void {
    this.#link = link
    void link.ended.then(() => this.end())
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** The next event, or undefined at the end. */
  async next(): Promise<ClientEvent | undefined> {
    while (this.#events.length === 0 && !this.#ended) {
      this.#link?.resume()
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return this.#events.shift()
  }
}

export async function* followEvents(request: EventsRequest, source: StreamSource): AsyncGenerator<ClientEvent, void> {
  const { signal, onOpen, ...wanted } = request
  const stop = signal === undefined ? source.closed : AbortSignal.any([signal, source.closed])
  let cursor = wanted.cursor
  let pauseMs = FIRST_PAUSE_MS
  let everOpen = false
  while (!stop.aborted) {
    const feed = new Feed()
    const onAbort = (): void => feed.end()
    let link: Link | undefined
    try {
      link = await source.open(feed.hear)
      feed.follow(link)
      stop.addEventListener('abort', onAbort, { once: true })
      cursor = await subscribe(link, source, { ...wanted, ...(cursor === undefined ? {} : { cursor }) })
      everOpen = true
      pauseMs = FIRST_PAUSE_MS
      onOpen?.(cursor)
      for (let event = await feed.next(); event !== undefined && !stop.aborted; event = await feed.next()) {
        // Before it is handed out: a consumer that stops here has had it.
        if ('cursor' in event && event.cursor !== null) cursor = event.cursor
        yield event
      }
    } catch (error) {
      // Refused for a reason that will not go away, or never reached at all: the caller must know.
      if (!everOpen || !isChrysalisError(error) || !error.retryable) throw error
    } finally {
      stop.removeEventListener('abort', onAbort)
      await link?.close()
    }
    if (!stop.aborted) await pause(pauseMs, stop)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

async function subscribe(link: Link, source: StreamSource, params: Params<'events.open'>): Promise<string> {
  await link.request('rpc.hello', source.hello, false).answer
  const opened = (await link.request('events.open', params, false).answer) as { cursor?: unknown }
  if (typeof opened.cursor === 'string') return opened.cursor
  throw fromWireError({ message: 'The daemon answered events.open without a cursor.' })
}

/** Resolves early when the signal aborts. */
function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      stop.removeEventListener('abort', done)
      resolve()
    }
    stop.addEventListener('abort', done, { once: true })
  })
}
