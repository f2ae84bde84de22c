/**
 * The client of the local door, typed from the method table. A client outlives the daemon's restarts: when its
 * connection is gone the next call makes a new one. A call itself is never sent twice, because a write might then be
 * done twice; what is not known after a lost connection is said in the error (`stateTouched`).
 *
 * Events come over a connection of their own, so that a consumer that takes its time holds back nothing but itself.
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { embedPending, embedQuery, type EmbedFunction } from './client-embedder.ts'
import { followEvents, type ClientEvent, type EventsRequest } from './event-stream.ts'
import { Link } from './link.ts'
import type { MethodName, Params, Result } from './schema/methods.ts'
import { CLIENT_PROTOCOL } from './vocabulary.ts'

export interface ClientOptions {
  /** For each call, unless it says otherwise. Default 30 s; at most ten minutes. */
  readonly timeoutMs?: number
  /** Longest wait for a connection. Default 5 s. */
  readonly connectMs?: number
  /**
   * Makes vectors, where the daemon leaves that to its clients (`embed.provider = "client"`): then `recall` brings the
   * vector of its query, and `embedPending` those of the memories.
   */
  readonly embed?: EmbedFunction
  /** As `chrysalis token add` printed it. Default: CHRYSALIS_TOKEN of the environment; without one this is the owner. */
  readonly token?: string
  /**
   * Names a conversation that goes on over several connections, as those of one agent that runs the command line again
   * and again. Default: CHRYSALIS_SESSION of the environment; without one each connection is a conversation.
   */
  readonly session?: string
  /** Told to the daemon. */
  readonly name?: string
  readonly version?: string
}

export interface CallOptions {
  readonly timeoutMs?: number
  /** Aborting rejects with `cancelled` and tells the daemon. */
  readonly signal?: AbortSignal
}

export interface Daemon {
  readonly peer: string
  readonly version: string
  readonly protocol: string
}

const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_CONNECT_MS = 5_000
/** The daemon keeps the time; the client's own timer is only for a daemon that says nothing at all. */
const GRACE_MS = 1_000

if ((Symbol as { asyncDispose?: symbol }).asyncDispose === undefined) {
  Object.defineProperty(Symbol, 'asyncDispose', { value: Symbol.for('nodejs.asyncDispose') })
}

export class Client {
  readonly path: string
  readonly #options: Required<Omit<ClientOptions, 'embed'>>
  readonly #embed: EmbedFunction | undefined
  #link: Promise<Link> | undefined
  #replacing: Promise<Link> | undefined
  #daemon: Daemon | undefined
  readonly #closed = new AbortController()
  #inFlight = 0

  /** Use `connect`, which also makes sure that somebody answers. */
  constructor(path: string, options: ClientOptions = {}) {
    this.path = path
    this.#embed = options.embed
    this.#options = {
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      connectMs: options.connectMs ?? DEFAULT_CONNECT_MS,
      token: options.token ?? process.env['CHRYSALIS_TOKEN'] ?? '',
      session: options.session ?? process.env['CHRYSALIS_SESSION'] ?? '',
      name: options.name ?? 'chrysalis',
      version: options.version ?? '0'
    }
  }

  /** Who answered last. */
  get daemon(): Daemon | undefined {
    return this.#daemon
  }

  /** Makes the connection now, if there is none, and says who answered. Rejects with the errors of `call`. */
  async open(): Promise<Daemon> {
    const link = await this.#connected()
    if (this.#inFlight === 0) link.setIdle(true)
    if (this.#daemon === undefined) throw new ChrysalisError('failure', 'The daemon did not say who it is.')
    return this.#daemon
  }

  /**
   * Calls a method. Rejects with ChrysalisError only: the daemon's own error, `timeout`, `cancelled`,
   * `daemon_unreachable`, `permissions` or `unsupported_version`.
   */
  async call<M extends MethodName>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Result<M>> {
    if (options.signal?.aborted === true) throw cancelled(method)
    this.#inFlight++
    try {
      const link = await this.#connected()
      link.setIdle(false)
      // The daemon answers with what the table says; the client does not check it again.
      return (await this.#ask(link, method, params, options)) as Result<M>
    } finally {
      this.#inFlight--
      if (this.#inFlight === 0)
        void this.#link?.then((link) => link.setIdle(this.#inFlight === 0)).catch(() => undefined)
    }
  }

  /**
   * Follows events until the consumer stops, the signal aborts or the client is closed. Survives restarts of the daemon:
   * memory events go on from the last one seen, none lost and none twice. Rejects only when the request itself is
   * refused (an unknown space, an unknown cursor), or when the first connection cannot be made.
   */
  events(request: EventsRequest = {}): AsyncIterableIterator<ClientEvent> {
    const { connectMs } = this.#options
    return followEvents(request, {
      closed: this.#closed.signal,
      open: (onNotification) => Link.open({ path: this.path, connectMs, onNotification }),
      hello: this.#hello()
    })
  }

  learn(content: string, options: Omit<Params<'memory.add'>, 'content'> = {}): Promise<Result<'memory.add'>> {
    return this.call('memory.add', { ...options, content })
  }

  learnMany(items: Params<'memory.addMany'>['items']): Promise<Result<'memory.addMany'>> {
    return this.call('memory.addMany', { items })
  }

  async recall(query: string, options: Omit<Params<'memory.search'>, 'query'> = {}): Promise<Result<'memory.search'>> {
    // Words alone find something as well: what goes wrong with a vector costs the vector.
    if (this.#embed !== undefined) await embedQuery(this, this.#embed, query).catch(() => undefined)
    return this.call('memory.search', { ...options, query })
  }

  /** What to know before beginning, as fenced text and as items. With a cursor also what changed since. */
  async context(
    goal?: string,
    options: Omit<Params<'memory.context'>, 'goal'> = {}
  ): Promise<Result<'memory.context'>> {
    if (this.#embed !== undefined && goal !== undefined) {
      await embedQuery(this, this.#embed, goal).catch(() => undefined)
    }
    return this.call('memory.context', { ...options, ...(goal === undefined ? {} : { goal }) })
  }

  /**
   * What the agents of a space know together about a question, by the collective score: half likeness, a third confidence,
   * a fifth how often it was needed. By type, least importance or verified only, as `recall`.
   */
  retrieveContext(
    query: string,
    options: Omit<Params<'memory.search'>, 'query' | 'ranking'> = {}
  ): Promise<Result<'memory.search'>> {
    return this.recall(query, { ...options, ranking: 'collective' })
  }

  /** The record, or null when this daemon has none of that name. */
  async get(id: string, space?: string): Promise<Result<'memory.get'>['items'][number]> {
    const { items } = await this.call('memory.get', { ids: [id], ...inSpace(space) })
    return items[0] ?? null
  }

  list(options: Params<'memory.list'> = {}): Promise<Result<'memory.list'>> {
    return this.call('memory.list', options)
  }

  revise(id: string, changes: Omit<Params<'memory.revise'>, 'id'>): Promise<Result<'memory.revise'>> {
    return this.call('memory.revise', { ...changes, id })
  }

  /** As `revise`: the words agents know it by. */
  update(
    id: string,
    content: string,
    changes: Omit<Params<'memory.revise'>, 'id' | 'content'> = {}
  ): Promise<Result<'memory.revise'>> {
    return this.revise(id, { ...changes, content })
  }

  retract(id: string, reason: string, space?: string): Promise<Result<'memory.retract'>> {
    return this.call('memory.retract', { id, reason, ...inSpace(space) })
  }

  /** Takes back a retraction. */
  restore(id: string, space?: string): Promise<Result<'memory.restore'>> {
    return this.call('memory.restore', { id, ...inSpace(space) })
  }

  /** Shares private memories, such as those learned with `tier: 'working'`. */
  promote(
    ids: string | readonly string[],
    options: Omit<Params<'memory.promote'>, 'ids'> = {}
  ): Promise<Result<'memory.promote'>> {
    return this.call('memory.promote', { ...options, ids: typeof ids === 'string' ? [ids] : [...ids] })
  }

  /** Folds repetitions, links what says the same, lists contradictions; one bounded step of it (`more`). */
  consolidate(options: Params<'memory.consolidate'> = {}): Promise<Result<'memory.consolidate'>> {
    return this.call('memory.consolidate', options)
  }

  /** Takes back one action of `consolidate`. */
  undo(id: string, space?: string): Promise<Result<'memory.undo'>> {
    return this.call('memory.undo', { id, ...inSpace(space) })
  }

  /** What has gone stale, double or doubtful. */
  audit(options: Params<'memory.audit'> = {}): Promise<Result<'memory.audit'>> {
    return this.call('memory.audit', options)
  }

  link(from: string, relation: Params<'memory.link'>['relation'], to: string): Promise<Result<'memory.link'>> {
    return this.call('memory.link', { from, relation, to })
  }

  history(id: string, space?: string): Promise<Result<'memory.history'>> {
    return this.call('memory.history', { id, ...inSpace(space) })
  }

  lineage(id: string, options: Omit<Params<'memory.lineage'>, 'id'> = {}): Promise<Result<'memory.lineage'>> {
    return this.call('memory.lineage', { ...options, id })
  }

  verify(ids?: readonly string[], space?: string): Promise<Result<'memory.verify'>> {
    return this.call('memory.verify', { ...(ids === undefined ? {} : { ids: [...ids] }), ...inSpace(space) })
  }

  vote(
    id: string,
    verdict: Params<'vote.cast'>['verdict'],
    options: Omit<Params<'vote.cast'>, 'id' | 'verdict'> = {}
  ): Promise<Result<'vote.cast'>> {
    return this.call('vote.cast', { ...options, id, verdict })
  }

  tally(id: string, space?: string): Promise<Result<'vote.tally'>> {
    return this.call('vote.tally', { id, ...inSpace(space) })
  }

  /** Resolves once enough peers, or the named ones, hold the memories, or everything up to the cursor or up to now. */
  syncWait(request: Params<'sync.wait'> = {}, options: CallOptions = {}): Promise<Result<'sync.wait'>> {
    return this.call('sync.wait', request, options)
  }

  status(): Promise<Result<'node.status'>> {
    return this.call('node.status', {})
  }

  stats(space?: string): Promise<Result<'memory.stats'>> {
    return this.call('memory.stats', inSpace(space))
  }

  /**
   * Makes the vectors of memories that wait for one, with the function given as `embed`, and resolves with how many were
   * taken. For a daemon with `embed.provider = "client"`; call it now and then.
   */
  async embedPending(): Promise<number> {
    if (this.#embed !== undefined) return embedPending(this, this.#embed)
    throw new ChrysalisError('invalid_state', 'This client has no function that embeds; nothing was asked.', {
      hint: 'Connect with the option `embed`.'
    })
  }

  /** Asks the daemon to stop. */
  stop(): Promise<Result<'node.stop'>> {
    return this.call('node.stop', {})
  }

  /** Ends the connection and every stream of events; calls in flight reject with `cancelled`. Idempotent. */
  async close(): Promise<void> {
    this.#closed.abort()
    const link = await this.#link?.catch(() => undefined)
    await link?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The present link, or a new one; callers at one time share one attempt. */
  async #connected(): Promise<Link> {
    if (this.#closed.signal.aborted)
      throw new ChrysalisError('invalid_state', 'This client is closed.', { hint: 'Connect again.' })
    const present = await this.#link?.catch(() => undefined)
    if (present?.isOpen === true) return present
    // Several callers may have waited for the same lost link: the first of them replaces it.
    this.#link = this.#replacing ??= this.#open().finally(() => (this.#replacing = undefined))
    return this.#link
  }

  async #open(): Promise<Link> {
    const { connectMs } = this.#options
    const link = await Link.open({ path: this.path, connectMs })
    try {
      const hello = (await this.#ask(link, 'rpc.hello', this.#hello(), { timeoutMs: connectMs })) as Result<'rpc.hello'>
      this.#daemon = { peer: hello.peer, version: hello.version, protocol: hello.protocol }
    } catch (error) {
      await link.close()
      throw error
    }
    return link
  }

  #hello(): Params<'rpc.hello'> {
    const { name, version, token, session } = this.#options
    return {
      protocol: CLIENT_PROTOCOL,
      client: { name, version },
      ...(token === '' ? {} : { token }),
      ...(session === '' ? {} : { session })
    }
  }

  #ask(link: Link, method: MethodName, params: object, options: CallOptions): Promise<unknown> {
    const timeoutMs = Math.min(options.timeoutMs ?? this.#options.timeoutMs, LIMITS.rpcTimeoutMsMax)
    const { signal } = options
    const { id, answer } = link.request(method, { ...params, timeoutMs }, !isRead(method))
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
      const abort = (): void => {
        settle()
        link.forget(id)
        if (link.isOpen) link.request('rpc.cancel', { id }, false).answer.catch(() => undefined)
        reject(cancelled(method))
      }
      const timer = setTimeout(() => {
        settle()
        link.forget(id)
        const hint = 'chrysalis status tells whether the daemon is well; allow more time if it is.'
        const message = `The daemon did not answer ${method} within ${timeoutMs} ms.`
        reject(new ChrysalisError('timeout', message, { hint, stateTouched: !isRead(method) }))
      }, timeoutMs + GRACE_MS)
      signal?.addEventListener('abort', abort, { once: true })
      void answer.finally(settle).then(resolve, reject)
    })
  }
}

/** Connects and agrees on the protocol. Rejects with the errors of `call`. */
export async function connect(path: string, options: ClientOptions = {}): Promise<Client> {
  const client = new Client(path, options)
  await client.open()
  return client
}

/** Known without the table, which the client does not load: what follows from the name alone. */
const WRITES =
  /^(?:memory\.(?:add|addMany|revise|link|retract|promote|consolidate|undo|restore)|vote\.cast|sync\.(?:now|wait)|peer\.(?:connect|disconnect|trust)|token\.(?:add|list|revoke)|trust\.list|embed\.\w+|space\.(?:invite|join)|node\.stop)/

/** Whether a lost answer leaves nothing to doubt. */
export function isRead(method: MethodName): boolean {
  return !WRITES.test(method)
}

function cancelled(method: MethodName): ChrysalisError {
  return new ChrysalisError('cancelled', `${method} was cancelled.`, {
    stateTouched: !isRead(method),
    ...(isRead(method) ? {} : { hint: 'Read before writing again: what it had begun may still complete.' })
  })
}

function inSpace(space: string | undefined): { space?: string } {
  return space === undefined ? {} : { space }
}
