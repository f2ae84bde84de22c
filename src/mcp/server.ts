/**
 * One client of the door for models: a server of the Model Context Protocol made of profiles, on one connection, in
 * whichever era of the protocol the client opens with. Who the client says it is stands in its first message in both;
 * it is read on the way in, so that everything it writes carries the name.
 *
 * What the connection may do was decided before (daemon/mcp-door.ts); this file cannot give more.
 */
import { CLIENT_INFO_META_KEY, McpServer, type JSONRPCMessage } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { plainLine } from '../base/fence.ts'
import type { ChrysalisError } from '../base/errors.ts'
import { isChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { isObject } from '../rpc/messages.ts'
import { listSchema } from './list-schema.ts'
import type { Caller, Profile, Tool, ToolContext } from './profile.ts'
import { registerPrompts } from './prompts.ts'
import { registerResources } from './resources.ts'
import type { SocketTransport } from './socket-transport.ts'
import { ToolRunner } from './tool-runner.ts'
import { Watch, type DaemonEvent } from './watch.ts'

/** What one connection may see of the daemon, once it is known who asks. */
export interface Access {
  readonly caller: Caller
  /** Begins to listen to the daemon; the result ends it. */
  readonly listen: (listener: (event: DaemonEvent) => void) => () => void
}

export interface ModelSessionOptions {
  readonly version: string
  readonly profiles: readonly Profile[]
  readonly space: string | undefined
  readonly nowMs: () => number
  /** Called once, with the name the client gave itself; empty when it gave none. */
  readonly open: (client: string) => Access
  /** What the library could not make sense of; nothing hangs on it. */
  readonly problem: (error: Error) => void
}

const HOUR_MS = 3_600_000
/** The older era has no request to name a watch by. */
const OLDER_ERA = 'subscribe'

export class ModelSession {
  readonly #options: ModelSessionOptions
  readonly #runner: ToolRunner
  readonly #watch: Watch
  readonly #spaceNames = new Map<string, string>()
  #transport: SocketTransport | undefined
  #notify: (uri: string) => void = () => undefined
  #access: Access | undefined
  #client = ''

  constructor(options: ModelSessionOptions) {
    this.#options = options
    this.#runner = new ToolRunner(() => this.#context())
    this.#watch = new Watch({
      listen: (listener) => this.#opened().listen(listener),
      notify: (uri) => this.#notify(uri),
      full: () => this.#transport?.full() ?? false,
      spaceName: (id) => this.#spaceNames.get(id)
    })
  }

  /** Tool calls at work. */
  get running(): number {
    return this.#runner.running
  }

  /** Begins to serve; the transport owns the connection from here on, and ends it. */
  serve(transport: SocketTransport): void {
    this.#transport = transport
    serveStdio(() => this.#server(), {
      transport,
      onerror: this.#options.problem,
      maxSubscriptions: LIMITS.mcpWatchedMax
    })
    const { onclose } = transport
    transport.onclose = (): void => {
      this.#watch.close()
      onclose?.()
    }
  }

  /** Looks at a message before the library does. What it answers is the reason to refuse it. */
  inspect(message: JSONRPCMessage): ChrysalisError | undefined {
    if (!('method' in message)) return undefined
    const params: unknown = message.params
    if (isObject(params)) this.#introduce(message.method, params)
    try {
      this.#watchFor(message)
    } catch (error) {
      if (isChrysalisError(error)) return error
      throw error
    }
    return undefined
  }

  #introduce(method: string, params: Record<string, unknown>): void {
    if (this.#access !== undefined || this.#client !== '') return
    const meta = params['_meta']
    const info =
      method === 'initialize' ? params['clientInfo'] : isObject(meta) ? meta[CLIENT_INFO_META_KEY] : undefined
    const name = isObject(info) ? info['name'] : undefined
    if (typeof name === 'string') this.#client = plainLine(name)
  }

  /** The newer era's watches are answered inside the library, which tells nobody what is watched. */
  #watchFor(message: JSONRPCMessage): void {
    if (!('method' in message) || !isObject(message.params)) return
    const params: Record<string, unknown> = message.params
    if (message.method === 'subscriptions/listen' && 'id' in message) {
      const filter = params['notifications']
      const uris = isObject(filter) ? filter['resourceSubscriptions'] : undefined
      if (Array.isArray(uris))
        this.#watch.set(
          key(message.id),
          uris.filter((uri) => typeof uri === 'string')
        )
      this.#learnSpaces()
    } else if (message.method === 'notifications/cancelled') this.#watch.remove(key(params['requestId']))
  }

  #opened(): Access {
    this.#access ??= this.#options.open(this.#client)
    return this.#access
  }

  #context(): ToolContext {
    const { space, nowMs } = this.#options
    return { caller: this.#opened().caller, space, nowMs }
  }

  /** Watches of a space are told apart by its name once the names are known; until then each hears of every change. */
  #learnSpaces(): void {
    this.#opened()
      .caller.call('space.list', {})
      .then(({ spaces }) => {
        for (const { id, name } of spaces) this.#spaceNames.set(id, name)
      })
      .catch(() => undefined)
  }

  #server(): McpServer {
    const { profiles, version } = this.#options
    const cached = { ttlMs: HOUR_MS, cacheScope: 'private' as const }
    const instructions = profiles.flatMap((profile) => profile.instructions ?? []).join('\n')
    const server = new McpServer(
      { name: 'chrysalis', title: 'Chrysalis', version },
      {
        capabilities: {
          tools: { listChanged: false },
          resources: { subscribe: true, listChanged: false },
          prompts: { listChanged: false }
        },
        cacheHints: {
          'tools/list': cached,
          'prompts/list': cached,
          'resources/list': cached,
          'resources/templates/list': cached,
          'server/discover': cached
        },
        ...(instructions === '' ? {} : { instructions })
      }
    )
    for (const tool of profiles.flatMap((profile) => profile.tools)) this.#register(server, tool)
    const door = { context: () => this.#context(), runner: this.#runner }
    registerResources(server, door, profiles)
    registerPrompts(server, door)
    this.#serveWatches(server)
    return server
  }

  #register(server: McpServer, tool: Tool): void {
    const { name, title, description, annotations } = tool
    server.registerTool(
      name,
      {
        ...(title === undefined ? {} : { title }),
        description,
        inputSchema: listSchema(tool.input, 'input'),
        outputSchema: listSchema(tool.output, 'output'),
        annotations: { ...annotations }
      },
      (args: unknown) => this.#runner.run(tool, args)
    )
  }

  #serveWatches(server: McpServer): void {
    this.#notify = (uri) => void server.server.sendResourceUpdated({ uri }).catch(this.#options.problem)
    server.server.setRequestHandler('resources/subscribe', ({ params }) => {
      this.#watch.add(OLDER_ERA, params.uri)
      this.#learnSpaces()
      return {}
    })
    server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
      this.#watch.remove(OLDER_ERA, params.uri)
      return {}
    })
  }
}

function key(id: unknown): string {
  return `${typeof id}:${String(id)}`
}
