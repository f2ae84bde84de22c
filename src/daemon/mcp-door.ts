/**
 * The door for models: a second private socket, on which each connection is one MCP client that came through the byte
 * pipe `chrysalis mcp`. Here is decided who it is and what it may do: the greeting brings a token or none, the node and
 * the control are guarded for it, and everything behind this file gets only those.
 *
 * The protocol library is loaded with the first client: a daemon nobody's model talks to does without it.
 */
import net from 'node:net'
import { ChrysalisError } from '../base/errors.ts'
import { plainLine } from '../base/fence.ts'
import { LIMITS } from '../base/limits.ts'
import type { NodeApi } from '../node/api.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Profile } from '../mcp/profile.ts'
import type { SocketTransport } from '../mcp/socket-transport.ts'
import { DOOR_TIMING, type DoorTiming } from '../rpc/connection.ts'
import type { Control } from '../rpc/control.ts'
import { guardControl } from '../rpc/guarded-control.ts'
import { guardNode } from '../rpc/guarded-node.ts'
import { inSession, NOBODY, OWNER, permit, type Identity } from '../rpc/identity.ts'
import { localCaller, type Caller } from '../rpc/local.ts'
import type { MethodName, Params, Result } from '../rpc/schema/methods.ts'
import { decodePreamble, encodeRefusal, encodeWelcome, type Preamble } from '../rpc/preamble.ts'
import { listenPrivately } from '../rpc/server.ts'

const NEWLINE = 0x0a

export interface McpDoorOptions {
  /** As for the local door: absolute, in a directory that is 0700 or does not exist yet. */
  readonly path: string
  readonly node: NodeApi
  readonly control: Control
  readonly version: string
  readonly nowMs: () => number
  /** Of each connection that brought no token; tokens have a pace of their own. */
  readonly writesPerSecond: number
  readonly logger?: Logger
  readonly metrics?: Metrics
  /** Shorter times for tests. */
  readonly timing?: Partial<DoorTiming>
}

export interface McpDoor {
  readonly path: string
  /** Clients connected now. */
  clients(): number
  /** Takes no more requests, lets those in flight finish (for a bounded time), then closes. Idempotent. */
  close(): Promise<void>
}

/** What serves the protocol; loaded when it is first needed. */
type Library = Awaited<ReturnType<typeof load>>

async function load() {
  const [{ ModelSession }, { SocketTransport: Transport }, { chooseProfiles, createProfiles }] = await Promise.all([
    import('../mcp/server.ts'),
    import('../mcp/socket-transport.ts'),
    import('../mcp/profiles.ts')
  ])
  return { ModelSession, Transport, chooseProfiles, profiles: createProfiles() }
}

/** Rejects with `config` (path too long), `permissions`, `home_locked` or `unavailable`; then nothing listens. */
export async function startMcpDoor(options: McpDoorOptions): Promise<McpDoor> {
  const { path, logger, metrics } = options
  const timing: DoorTiming = { ...DOOR_TIMING, ...options.timing }
  const visitors = new Set<Visitor>()
  const turnedAway = new Set<net.Socket>()
  let library: Promise<Library> | undefined
  const refused = (what: string): void => {
    metrics?.count(`chrysalis_mcp_refused_${what}_total`)
    logger?.log('debug', 'an MCP client was refused', { what })
  }
  const context: Context = { ...options, timing, refused, library: () => (library ??= load()) }
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const visitor = new Visitor(socket, context)
    if (visitors.size >= LIMITS.mcpClientsMax) {
      refused('clients')
      // Those who wait for their reason are bounded too; beyond that they are cut off.
      if (turnedAway.size >= LIMITS.mcpClientsMax) {
        socket.destroy()
        return
      }
      turnedAway.add(socket)
      socket.once('close', () => turnedAway.delete(socket))
      visitor.turnAway()
      return
    }
    visitors.add(visitor)
    metrics?.gauge('chrysalis_mcp_clients_count', visitors.size)
    socket.once('close', () => {
      visitors.delete(visitor)
      metrics?.gauge('chrysalis_mcp_clients_count', visitors.size)
    })
    visitor.greet()
  })
  await listenPrivately(server, path)
  server.on('error', (error) => logger?.log('error', 'the door for models failed', { reason: error.message }))

  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of turnedAway) socket.destroy()
    await Promise.all([...visitors].map((visitor) => visitor.close()))
    await ended
  }
  return { path, clients: () => visitors.size, close: () => (closed ??= close()) }
}

interface Context extends McpDoorOptions {
  readonly timing: DoorTiming
  readonly refused: (what: string) => void
  readonly library: () => Promise<Library>
}

/** Numbers connections, for their sessions. */
let visits = 0

/** One connection, from its first byte. */
class Visitor {
  readonly #socket: net.Socket
  readonly #context: Context
  readonly #session: string
  readonly #held: Buffer[] = []
  #heldBytes = 0
  #greeted = false
  #timer: NodeJS.Timeout | undefined
  #transport: SocketTransport | undefined

  constructor(socket: net.Socket, context: Context) {
    this.#socket = socket
    this.#context = context
    // Numbers begin again with each start of the daemon; what was shown in another session must not seem shown in this.
    this.#session = `mcp/${context.nowMs().toString(36)}/${++visits}`
    // An error is always followed by `close`; a client that vanishes is no news.
    socket.on('error', () => socket.destroy())
  }

  /** Waits for the greeting, not long. */
  greet(): void {
    const { timing, refused } = this.#context
    this.#timer = setTimeout(() => {
      refused('silent')
      this.#socket.destroy()
    }, timing.firstByteMs)
    this.#socket.once('close', () => clearTimeout(this.#timer))
    this.#socket.on('data', this.#take)
    this.#socket.on('end', this.#leave)
  }

  turnAway(): void {
    const hint = 'Close one of the programs that use it.'
    this.#refuse(new ChrysalisError('rate_limited', `${LIMITS.mcpClientsMax} clients are connected already.`, { hint }))
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
    if (this.#transport === undefined) this.#socket.destroy()
    else this.#transport.finish()
    await closed
  }

  readonly #leave = (): void => {
    if (!this.#greeted) this.#socket.end()
  }

  readonly #take = (chunk: Buffer): void => {
    const end = this.#greeted ? -1 : chunk.indexOf(NEWLINE)
    const greeting = end === -1 ? chunk.length : end
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#greeted) return
    if (this.#heldBytes - chunk.length + greeting > LIMITS.mcpPreambleBytesMax) {
      this.#context.refused('oversize')
      const message = `The greeting is longer than ${LIMITS.mcpPreambleBytesMax} bytes.`
      this.#refuse(new ChrysalisError('too_large', message, { hint: 'Start the pipe: chrysalis mcp' }))
      return
    }
    if (end === -1) return
    this.#greeted = true
    clearTimeout(this.#timer)
    // What follows the greeting waits in the socket while the library is loaded.
    this.#socket.pause()
    const held = Buffer.concat(this.#held)
    const length = this.#heldBytes - chunk.length + greeting
    void this.#welcome(held.subarray(0, length), held.subarray(length + 1))
  }

  async #welcome(greeting: Buffer, rest: Buffer): Promise<void> {
    try {
      const preamble = decodePreamble(greeting)
      const library = await this.#context.library()
      const profiles = library.chooseProfiles(library.profiles, preamble.profiles)
      const identity = this.#whoever(preamble)
      this.#checkSpace(preamble, identity)
      if (this.#socket.destroyed) return
      this.#socket.write(encodeWelcome())
      this.#serve(library, { profiles, space: preamble.space, identity, rest })
    } catch (error) {
      this.#context.refused('greeting')
      this.#refuse(error)
    }
  }

  /** Throws `denied` for a token that is unknown, and where one is asked for and none came. */
  #whoever({ token }: Preamble): Identity {
    const { control, writesPerSecond } = this.#context
    const { tokens } = control
    if (token !== undefined) return inSession(tokens.identify(token), this.#session)
    if (tokens.required) permit(NOBODY, 'read', 'the door for models')
    // A model speaks for itself and hands on what it was given; the user's own word needs a token that says so.
    const origins = [...OWNER.origins].filter((origin) => origin !== 'user')
    return { ...OWNER, origins, writesPerSecond, session: this.#session }
  }

  /** Throws `not_found` for a space that does not exist for this identity. */
  #checkSpace({ space }: Preamble, identity: Identity): void {
    if (space === undefined) return
    const visible = guardNode(this.#context.node, identity).spaces()
    if (visible.some((one) => one.name === space || one.id === space)) return
    throw new ChrysalisError('not_found', `There is no space ${plainLine(space)} here.`, {
      hint: 'chrysalis status lists the spaces; without --space the default one is used.'
    })
  }

  #serve(
    { ModelSession, Transport }: Library,
    start: { profiles: readonly Profile[]; space: string | undefined; identity: Identity; rest: Buffer }
  ): void {
    const { node, control, version, nowMs, timing, refused, logger } = this.#context
    const { profiles, space, identity, rest } = start
    const session = new ModelSession({
      version,
      profiles,
      space,
      nowMs,
      open: (client) => {
        const source = `mcp:${plainLine(client, 40) || 'unknown'}`
        const named = { ...identity, agent: identity.agent ?? source }
        const guarded = guardNode(node, named)
        const caller = withSource(localCaller(guarded, guardControl(control, named)), source)
        return { caller, listen: (listener) => guarded.onEvent(listener) }
      },
      problem: (error) => logger?.log('debug', 'an MCP message was not understood', { reason: error.message })
    })
    const transport = new Transport({
      socket: this.#socket,
      timing,
      refused,
      inspect: (message) => session.inspect(message)
    })
    this.#transport = transport
    this.#socket.off('data', this.#take)
    this.#socket.off('end', this.#leave)
    session.serve(transport)
    if (rest.length > 0) transport.take(rest)
    this.#socket.resume()
    // The other half may have ended while the library was being loaded; its event has passed then.
    if (this.#socket.readableEnded) transport.finish()
  }

  #refuse(error: unknown): void {
    clearTimeout(this.#timer)
    this.#greeted = true
    this.#socket.off('data', this.#take)
    // The rest is read and thrown away for a moment: a client cut off while it writes would not see the reason.
    this.#socket.resume()
    this.#socket.end(encodeRefusal(error))
    const late = setTimeout(() => this.#socket.destroy(), this.#context.timing.closeMs)
    this.#socket.once('close', () => clearTimeout(late))
  }
}

/** What a model writes says which program it came through, unless the tool says it better. */
export function withSource(caller: Caller, source: string): Caller {
  return {
    call<M extends MethodName>(method: M, params: Params<M>, options?: { timeoutMs?: number }): Promise<Result<M>> {
      if (method === 'memory.add') return caller.call(method, { source, ...params }, options)
      if (method !== 'memory.addMany') return caller.call(method, params, options)
      const { items, ...rest } = params as Params<'memory.addMany'>
      const many = { ...rest, items: items.map((item) => ({ source, ...item })) } as Params<M>
      return caller.call(method, many, options)
    }
  }
}
