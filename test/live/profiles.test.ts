/**
 * Real daemons, and clients that come to them through the pipe as a host starts it: a graph that many write at once on two
 * machines, files that are edited on both, and a hook beside a daemon that hangs.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { Transport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { StdioClientTransport as OldStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { readRunFile } from '../../src/daemon/socket-path.ts'
import { launcherPath } from '../../src/daemon/spawn.ts'
import { until, untilConnected, withYard, type DaemonProcess, type Yard } from '../support/daemons.ts'
import { connectModel, ERAS, RawPipe, type Era, type Model } from '../support/mcp-door.ts'

interface Graph {
  readonly entities: { readonly name: string; readonly observations: readonly string[] }[]
  readonly relations: object[]
}

async function pair(yard: Yard): Promise<readonly [DaemonProcess, DaemonProcess]> {
  const one = await yard.start(await yard.newHome('one'))
  const other = await yard.start(await yard.joinHome(one, 'other'))
  await untilConnected(one)
  return [one, other]
}

/** As a host of models does it: one process for each client. */
function throughPipe(era: Era, { home }: DaemonProcess, profile: string): Promise<Model> {
  const command = {
    command: process.execPath,
    args: [launcherPath(), '--home', home, 'mcp', '--profile', profile],
    env: { ...process.env, CHRYSALIS_MDNS: '0' } as Record<string, string>
  }
  const transport =
    era === 'old' ? (new OldStdioTransport(command) as unknown as Transport) : new StdioClientTransport(command)
  return connectModel(era, transport)
}

/** The same door without the process in between. */
async function throughSocket(era: Era, { home }: DaemonProcess, profile: string): Promise<Model> {
  const socket = readRunFile(home)?.mcpSocket
  assert.ok(socket !== undefined, 'the daemon listens for models')
  const pipe = await RawPipe.open(socket)
  await pipe.greet({ profiles: [profile] })
  return connectModel(era, pipe.transport())
}

async function graphOf(model: Model): Promise<Graph> {
  const answer = await model.tool('read_graph')
  assert.equal(answer.isError, false, answer.text)
  assert.deepEqual(JSON.parse(answer.text), answer.data)
  return answer.data as unknown as Graph
}

const nameOf = (daemon: number, client: number, i: number): string => `d${daemon}c${client}n${i}`

/** Twenty creations at once by each client: one of its own each, and beside it one that everybody creates. */
async function createAll(clients: readonly Model[], daemon: number): Promise<void> {
  const calls = clients.flatMap((model, client) =>
    Array.from({ length: 20 }, async (_, i) => {
      const own = { name: nameOf(daemon, client, i), entityType: 'test', observations: [`by ${client}`] }
      const common = { name: `common ${i}`, entityType: 'shared', observations: ['said by all'] }
      const { isError, text } = await model.tool('create_entities', { entities: [own, common] })
      assert.equal(isError, false, text)
    })
  )
  await Promise.all(calls)
}

test('4 clients × 20 creations at once on each of two daemons: all of them are in both, the common ones once', async () => {
  await withYard('graph', async (yard) => {
    const daemons = await pair(yard)
    const clients: Model[][] = [[], []]
    for (let i = 0; i < 4; i++) {
      const era = ERAS[i % ERAS.length] as Era
      clients[0]?.push(await throughPipe(era, daemons[0], 'server-memory'))
      clients[1]?.push(await throughSocket(era, daemons[1], 'server-memory'))
    }
    const [here, there] = [clients[0]?.[0], clients[1]?.[0]]
    assert.ok(here !== undefined && there !== undefined)
    const heard: string[] = []
    await there.watch(['memory://knowledge-graph'], (uri) => heard.push(uri))
    await Promise.all(clients.map((group, daemon) => createAll(group, daemon)))
    const wanted = [0, 1]
      .flatMap((daemon) =>
        [0, 1, 2, 3].flatMap((client) => Array.from({ length: 20 }, (_, i) => nameOf(daemon, client, i)))
      )
      .concat(Array.from({ length: 20 }, (_, i) => `common ${i}`))
      .sort()
    assert.equal(wanted.length, 180)
    for (const model of [here, there]) {
      await until('all are there', async () => (await graphOf(model)).entities.length >= wanted.length)
      const { entities } = await graphOf(model)
      assert.deepEqual(entities.map(({ name }) => name).sort(), wanted)
      assert.ok(entities.every(({ observations }) => observations.length === 1))
    }
    await until('both list the same in the same order', async () => {
      const [a, b] = await Promise.all([graphOf(here), graphOf(there)])
      return JSON.stringify(a) === JSON.stringify(b)
    })
    await until('the watcher heard of it', () => Promise.resolve(heard.includes('memory://knowledge-graph')))
    const resource = JSON.parse(await there.read('memory://knowledge-graph')) as Graph
    assert.equal(resource.entities.length, wanted.length)

    const gone = nameOf(0, 0, 0)
    assert.equal((await there.tool('delete_entities', { entityNames: [gone] })).isError, false)
    const isThere = async (): Promise<boolean> =>
      ((await here.tool('open_nodes', { names: [gone] })).data as unknown as Graph).entities.length === 1
    await until('it is gone on the other daemon too', async () => !(await isThere()))
    const again = { name: gone, entityType: 'test', observations: ['is back'] }
    assert.deepEqual((await here.tool('create_entities', { entities: [again] })).data, { entities: [again] })
    await until('it came back', async () => (await graphOf(there)).entities.some(({ name }) => name === gone))
    const extra = await here.tool('read_graph', { verbose: true })
    assert.equal(extra.isError, false, 'what the reference passes over is passed over')
    for (const model of clients.flat()) await model.close()
  })
})

test('a file written through one daemon is edited through the other, and a path that leads out is refused', async () => {
  await withYard('files', async (yard) => {
    const daemons = await pair(yard)
    const here = await throughPipe('modern', daemons[0], 'core,files')
    const there = await throughSocket('legacy', daemons[1], 'files')
    const say = async (model: Model, args: Record<string, unknown>): Promise<string> => {
      const { isError, text } = await model.tool('memory', args)
      return isError ? `error: ${text}` : text
    }
    const file = '/memories/plan.md'
    assert.equal(
      await say(here, { command: 'create', path: file, file_text: 'first\n' }),
      `File created successfully at: ${file}`
    )
    await until('it arrived', async () => (await say(there, { command: 'view', path: file })).endsWith('1\tfirst'))
    await say(there, { command: 'insert', path: file, insert_line: 1, insert_text: 'second' })
    await until('the edit arrived', async () =>
      (await say(here, { command: 'view', path: file })).includes('2\tsecond')
    )
    const recalled = await here.tool('recall', { query: 'second first plan' })
    assert.match(recalled.text, /\| second/, 'a file is a memory like any other')
    assert.match(
      await say(there, { command: 'view', path: '/memories/../etc/passwd' }),
      /^error: .*no path of a memory/
    )
    await say(there, { command: 'delete', path: file })
    await until('it is gone', async () => (await say(here, { command: 'view', path: file })).startsWith('error'))
    await here.close()
    await there.close()
  })
})

/** Runs `chrysalis hook` as a client does; rejects when it has not ended long after it must have. */
async function hook(
  daemon: DaemonProcess,
  event: string,
  payload: object
): Promise<{ status: number | null; out: string }> {
  const child = spawn(process.execPath, [launcherPath(), '--home', daemon.home, 'hook', event], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, CHRYSALIS_MDNS: '0' },
    timeout: 30_000
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  // The input stays open: some clients never close it.
  child.stdin.on('error', () => undefined)
  child.stdin.write(JSON.stringify(payload))
  if (event !== 'stop') child.stdin.end()
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.destroy()
  return { status, out }
}

test('what install writes starts a server that answers, and uninstall leaves nothing behind', async () => {
  await withYard('install', async (yard) => {
    const daemon = await yard.start(await yard.newHome('one'))
    const install = async (...words: string[]): Promise<number | null> => {
      const args = [launcherPath(), '--home', daemon.home, 'install', 'cursor', '--profile', 'server-memory', ...words]
      const child = spawn(process.execPath, args, { stdio: 'ignore', env: { ...process.env, HOME: yard.root } })
      return new Promise((resolve) => child.once('close', resolve))
    }
    const file = path.join(yard.root, '.cursor', 'mcp.json')
    assert.equal(await install(), 0)
    assert.equal(existsSync(file), false)
    assert.equal(await install('--apply'), 0)
    const { mcpServers } = JSON.parse(readFileSync(file, 'utf8')) as {
      mcpServers: { chrysalis: { command: string; args: string[] } }
    }
    const env = { ...process.env, CHRYSALIS_MDNS: '0' } as Record<string, string>
    const model = await connectModel('modern', new StdioClientTransport({ ...mcpServers.chrysalis, env }))
    const { tools } = await model.client.listTools()
    assert.equal(tools.length, 9)
    await model.close()
    assert.equal(await install('--uninstall', '--apply'), 0)
    assert.equal(existsSync(file), false)
  })
})

test('a hook tells what is known, keeps a summary, and ends by itself when the daemon hangs', async () => {
  await withYard('hook', async (yard) => {
    const daemon = await yard.start(await yard.newHome('one'))
    assert.deepEqual(await hook(daemon, 'session-start', { session_id: 's' }), { status: 0, out: '' })
    await daemon.client.learn('deploys freeze on Fridays', { kind: 'decision', pinned: true })
    // The process may take all of its two seconds to start on a busy machine, and then rightly says nothing.
    await until('it is told', async () => {
      const { status, out } = await hook(daemon, 'session-start', { session_id: 's' })
      assert.equal(status, 0)
      return /not a task[^]*\| deploys freeze on Fridays/.test(out)
    })
    await until('the summary is kept', async () => {
      await hook(daemon, 'pre-compact', { session_id: 's', summary: 'half of the tests pass' })
      return (await daemon.client.get('key:handoff:s')) !== null
    })
    const kept = await daemon.client.get('key:handoff:s')
    assert.deepEqual(
      [kept?.content, kept?.path, kept?.origins.map((one) => one.class)],
      [...['half of the tests pass', 'handoff'], ['self']]
    )
    daemon.child.kill('SIGSTOP')
    try {
      for (const event of ['session-start', 'user-prompt', 'stop']) {
        const ended = await hook(daemon, event, { prompt: 'deploys', summary: 'x' })
        assert.deepEqual(ended, { status: 0, out: '' }, `${event} at ${path.basename(daemon.home)}`)
      }
    } finally {
      daemon.child.kill('SIGCONT')
    }
  })
})
