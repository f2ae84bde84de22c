/**
 * A door for models with a fake engine behind it, and the clients that come to it: the official client of the newer era,
 * the same one speaking the older, and the official one of the older line; over the socket itself, so that nothing but
 * the door is between them.
 */
import net from 'node:net'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { Client, type Transport } from '@modelcontextprotocol/client'
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js'
import { startMcpDoor, type McpDoor } from '../../src/daemon/mcp-door.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { NodeApi } from '../../src/node/api.ts'
import type { DoorTiming } from '../../src/rpc/connection.ts'
import { decodeWelcome, encodePreamble, type Preamble } from '../../src/rpc/preamble.ts'
import type { Tokens } from '../../src/rpc/identity.ts'
import { createFakeControl, createFakeNode, type FakeNode } from './fake-node.ts'
import { temporaryHome } from './rpc-door.ts'

export const ERAS = ['modern', 'legacy', 'old'] as const
export type Era = (typeof ERAS)[number]

export const CLIENT_NAME = 'test host'

export interface Answer {
  readonly isError: boolean
  readonly text: string
  readonly data: Record<string, unknown>
}

/** What tests do with a client, whichever library it is of. */
export interface Model {
  readonly era: Era
  readonly client: Client
  /** Calls a tool; an error result comes back, it does not reject. */
  tool(name: string, args?: Record<string, unknown>): Promise<Answer>
  /** The text of a resource. */
  read(uri: string): Promise<string>
  /** Tells of every change of these resources from now on. */
  watch(uris: readonly string[], changed: (uri: string) => void): Promise<void>
  close(): Promise<void>
}

export interface ModelDoor {
  readonly path: string
  readonly node: FakeNode
  readonly door: McpDoor
  readonly counted: Map<string, number>
  model(era: Era, preamble?: Partial<Preamble>): Promise<Model>
  raw(): Promise<RawPipe>
}

export interface DoorOptions {
  readonly timing?: Partial<DoorTiming>
  readonly tokens?: Tokens
  readonly writesPerSecond?: number
  readonly nowMs?: () => number
  /** Changes the fake engine before anybody comes. */
  readonly prepare?: (node: FakeNode) => NodeApi
}

export async function openModelDoor(t: TestContext, options: DoorOptions = {}): Promise<ModelDoor> {
  const home = temporaryHome(t)
  const node = createFakeNode({ home })
  const control = createFakeControl(options.tokens === undefined ? {} : { tokens: options.tokens })
  const counted = new Map<string, number>()
  const metrics = {
    count: (name: string) => void counted.set(name, (counted.get(name) ?? 0) + 1),
    gauge: () => undefined,
    snapshot: () => ({})
  }
  const socket = path.join(home, 'run', 'mcp.sock')
  const door = await startMcpDoor({
    path: socket,
    node: options.prepare?.(node) ?? node,
    control,
    version: '1.2.3',
    nowMs: options.nowMs ?? (() => 1_800_000_000_000),
    writesPerSecond: options.writesPerSecond ?? 10_000,
    metrics,
    timing: { closeMs: 500, ...options.timing }
  })
  const closers: (() => Promise<void> | void)[] = []
  t.after(async () => {
    for (const close of closers) await close()
    await door.close()
  })
  return {
    path: socket,
    node,
    door,
    counted,
    async model(era, preamble = {}) {
      const pipe = await RawPipe.open(socket)
      closers.push(() => pipe.destroy())
      await pipe.greet({ profiles: ['core'], ...preamble })
      const model = await connectModel(era, pipe.transport())
      closers.push(() => model.close())
      return model
    },
    async raw() {
      const pipe = await RawPipe.open(socket)
      closers.push(() => pipe.destroy())
      return pipe
    }
  }
}

/** A socket to the door that sends bytes as they are. */
export class RawPipe {
  readonly socket: net.Socket
  readonly lines: string[] = []
  readonly closed: Promise<void>
  onLine: ((line: string) => void) | undefined
  #rest = ''
  readonly #wake: (() => void)[] = []

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString('utf8')).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) {
        this.lines.push(line)
        this.onLine?.(line)
      }
      for (const wake of this.#wake.splice(0)) wake()
    })
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        resolve()
        for (const wake of this.#wake.splice(0)) wake()
      })
    })
  }

  static open(socketPath: string): Promise<RawPipe> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(socketPath, () => resolve(new RawPipe(socket)))
      socket.once('error', reject)
    })
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Sends the greeting and waits for the answer; rejects with what the daemon refused it with. */
  async greet(preamble: Preamble): Promise<void> {
    this.socket.write(encodePreamble(preamble))
    decodeWelcome(Buffer.from(await this.line(0)))
  }

  /** Waits for this many lines and answers the one at `place`. Rejects when the connection ends before. */
  async line(place: number): Promise<string> {
    while (this.lines.length <= place) {
      if (this.socket.destroyed) throw new Error('the door closed')
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
    return this.lines[place] as string
  }

  send(message: object): void {
    this.socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  /** Sends a request of the older era and waits for the answer to it. */
  async ask(id: number, method: string, params: object): Promise<Record<string, unknown>> {
    this.send({ id, method, params })
    for (let at = 1; ; at++) {
      const message = JSON.parse(await this.line(at)) as Record<string, unknown>
      if (message['id'] === id) return message
    }
  }

  /** The opening of the older era. */
  async initialize(name = CLIENT_NAME): Promise<void> {
    await this.ask(0, 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name, version: '1' }
    })
    this.send({ method: 'notifications/initialized' })
  }

  /** For the libraries; the greeting must have been answered. */
  transport(): Transport {
    const transport: Transport = {
      start: () => Promise.resolve(),
      send: (message) => {
        this.socket.write(`${JSON.stringify(message)}\n`)
        return Promise.resolve()
      },
      close: () => {
        this.socket.destroy()
        return Promise.resolve()
      }
    }
    this.onLine = (line) => transport.onmessage?.(JSON.parse(line) as never)
    this.socket.once('close', () => transport.onclose?.())
    return transport
  }
}

/** An official client on this transport. */
export async function connectModel(era: Era, transport: Transport): Promise<Model> {
  const info = { name: CLIENT_NAME, version: '9' }
  const client =
    era === 'old'
      ? // Both libraries have the methods used here, under the same names and with the same shapes.
        (new OldClient(info) as unknown as Client)
      : new Client(info, { versionNegotiation: { mode: era === 'modern' ? 'auto' : 'legacy' } })
  await client.connect(transport)
  return {
    era,
    client,
    async tool(name, args = {}) {
      const result = await client.callTool({ name, arguments: args })
      const content = result.content as readonly { type: string; text?: string }[]
      return {
        isError: result.isError === true,
        text: content.map((one) => one.text ?? '').join('\n'),
        data: (result.structuredContent ?? {}) as Record<string, unknown>
      }
    },
    async read(uri) {
      const { contents } = await client.readResource({ uri })
      return contents.map((one) => ('text' in one ? one.text : '')).join('\n')
    },
    async watch(uris, changed) {
      const told = (message: { params?: { uri?: string } }): void => changed(message.params?.uri ?? '')
      if (era === 'old') {
        const { ResourceUpdatedNotificationSchema } = await import('@modelcontextprotocol/sdk/types.js')
        ;(client as unknown as OldClient).setNotificationHandler(ResourceUpdatedNotificationSchema, told)
      } else client.setNotificationHandler('notifications/resources/updated', told)
      if (era === 'modern') await client.listen({ resourceSubscriptions: [...uris] })
      else for (const uri of uris) await client.subscribeResource({ uri })
    },
    close: () => client.close()
  }
}

/** Longer than the door gathers changes. */
export const NOTIFIED_MS = LIMITS.mcpNotifyMs * 3
