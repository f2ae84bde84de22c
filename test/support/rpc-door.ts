/** A local door with a fake engine behind it, in a directory of its own, and a raw client that can misbehave. */
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { connect, type Client, type ClientOptions } from '../../src/rpc/client.ts'
import type { DoorTiming } from '../../src/rpc/connection.ts'
import type { Tokens } from '../../src/rpc/identity.ts'
import { startRpcServer, type RpcServer } from '../../src/rpc/server.ts'
import { createFakeControl, createFakeNode, type FakeControl, type FakeNode } from './fake-node.ts'

export interface Door {
  readonly home: string
  readonly path: string
  readonly node: FakeNode
  readonly control: FakeControl
  readonly counted: Map<string, number>
  server: RpcServer
  client(options?: ClientOptions): Promise<Client>
  raw(): Promise<RawClient>
  /** Opens the door again on the same path, after `server.close()`. */
  reopen(): Promise<void>
}

export function temporaryHome(t: TestContext): string {
  const home = mkdtempSync(path.join(tmpdir(), 'chrysalis-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  return home
}

export async function openDoor(t: TestContext, timing: Partial<DoorTiming> = {}, tokens?: Tokens): Promise<Door> {
  const home = temporaryHome(t)
  const node = createFakeNode({ home })
  const control = createFakeControl(tokens === undefined ? {} : { tokens })
  const counted = new Map<string, number>()
  const metrics = {
    count: (name: string) => void counted.set(name, (counted.get(name) ?? 0) + 1),
    gauge: () => undefined,
    snapshot: () => ({})
  }
  const socket = path.join(home, 'run', 'rpc.sock')
  const start = () => startRpcServer({ path: socket, node, control, metrics, timing: { closeMs: 500, ...timing } })
  const closers: (() => Promise<void> | void)[] = []
  const door: Door = {
    home,
    path: socket,
    node,
    control,
    counted,
    server: await start(),
    async client(options) {
      const client = await connect(socket, options)
      closers.push(() => client.close())
      return client
    },
    async raw() {
      const raw = await RawClient.open(socket)
      closers.push(() => raw.destroy())
      return raw
    },
    async reopen() {
      door.server = await start()
    }
  }
  t.after(async () => {
    for (const close of closers) await close()
    await door.server.close()
  })
  return door
}

/** Sends bytes as they are and keeps what comes back. */
export class RawClient {
  readonly socket: net.Socket
  readonly messages: Record<string, unknown>[] = []
  readonly closed: Promise<void>
  #rest = ''
  readonly #wake: (() => void)[] = []

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString('utf8')).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.messages.push(JSON.parse(line) as Record<string, unknown>)
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

  static open(socketPath: string): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(socketPath)
      const raw = new RawClient(socket)
      socket.once('connect', () => resolve(raw))
      socket.once('error', reject)
    })
  }

  send(message: unknown): void {
    this.sendText(JSON.stringify(message))
  }

  sendText(text: string | Buffer): void {
    this.socket.write(text)
    this.socket.write('\n')
  }

  request(id: number, method: string, params: object = {}): void {
    this.send({ jsonrpc: '2.0', id, method, params })
  }

  /** The first message that matches, once it is here; undefined when the connection ends first. */
  async waitFor(matches: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown> | undefined> {
    for (;;) {
      const found = this.messages.find(matches)
      if (found !== undefined || this.socket.destroyed) return found
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  async answer(id: number | null): Promise<Answer> {
    return ((await this.waitFor((message) => message['id'] === id)) ?? {}) as Answer
  }

  destroy(): void {
    this.socket.destroy()
  }
}

export interface Answer {
  readonly result?: Record<string, unknown>
  readonly error?: { code: number; message: string; data: { kind: string; hint?: string; stateTouched: boolean } }
}
