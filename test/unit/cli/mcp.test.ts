/** chrysalis mcp: a pipe that copies bytes, says nothing of its own on standard output, and ends when either side does. */
import assert from 'node:assert/strict'
import net from 'node:net'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { launcherPath } from '../../../src/daemon/spawn.ts'
import { connectPipe, runPipe } from '../../../src/cli/mcp-pipe.ts'
import { encodeWelcome } from '../../../src/rpc/preamble.ts'
import { openModelDoor } from '../../support/mcp-door.ts'
import { temporaryHome } from '../../support/rpc-door.ts'
import { run } from './cli-run.ts'

const INITIALIZE = `${JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
})}\n`
const CALL = `${JSON.stringify({
  jsonrpc: '2.0',
  id: 2,
  method: 'tools/call',
  params: { name: 'remember', arguments: { content: 'through the pipe' } }
})}\n`

test('what goes in is answered, and nothing else comes out', async (t) => {
  const door = await openModelDoor(t)
  const ran = await run(['mcp'], { mcpSocket: door.path, input: INITIALIZE + CALL })
  assert.deepEqual([ran.status, ran.err], [0, ''])
  const answers = ran.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: number })
  assert.deepEqual(
    answers.map((answer) => answer.id),
    [1, 2]
  )
  assert.equal(door.node.calls.filter((call) => call.method === 'add').length, 1)
})

test('profiles, space and token are handed on; refusals go to standard error with their status', async (t) => {
  const door = await openModelDoor(t)
  const at = { mcpSocket: door.path, input: INITIALIZE }
  const team = await run(['mcp', '--profile', 'core, team', '--space', 'private'], at)
  assert.equal(team.status, 0, team.err)
  const cases = [
    [['--profile', 'core,taem'], 2, /no profile taem.*\nhint: Did you mean team\?/],
    [['--space', 'nowhere'], 4, /no space nowhere/],
    [['--token', 'chz-tok1:wrong'], 5, /hint: /]
  ] as const
  for (const [flags, status, text] of cases) {
    const ran = await run(['--json', 'mcp', ...flags], at)
    assert.deepEqual([ran.status, ran.out], [status, ''], ran.err)
    assert.match(ran.err, text)
    assert.match(ran.err, /^chrysalis mcp: /)
  }
  const byEnvironment = await run(['mcp'], { ...at, env: { CHRYSALIS_TOKEN: 'chz-tok1:wrong' } })
  assert.equal(byEnvironment.status, 5)
})

test('without a daemon, and none to be started, it says so', async () => {
  const ran = await run(['--no-autostart', 'mcp'], {})
  assert.deepEqual([ran.status, ran.out], [3, ''])
  assert.match(ran.err, /hint: /)
})

/** A daemon that welcomes and then does as it is told. */
async function fakeDaemon(
  t: Parameters<typeof temporaryHome>[0],
  act: (socket: net.Socket) => void
): Promise<net.Socket> {
  const at = path.join(temporaryHome(t), 'mcp.sock')
  const server = net.createServer({ allowHalfOpen: true }, act)
  await new Promise<void>((resolve) => server.listen(at, resolve))
  t.after(() => server.close())
  return connectPipe(at)
}

function ends() {
  const input = new PassThrough()
  const output = new PassThrough()
  const controller = new AbortController()
  return { input, output, controller, ends: { input, output, signal: controller.signal } }
}

test('a daemon that ends the connection is news, an input that ends is none', async (t) => {
  const gone = await fakeDaemon(t, (socket) => socket.end(encodeWelcome()))
  const one = ends()
  await assert.rejects(runPipe(gone, { profiles: ['core'] }, one.ends), {
    code: 'daemon_unreachable',
    message: /has stopped, or it starts again/
  })
  assert.ok(one.input.destroyed)
  const reset = await fakeDaemon(t, (socket) => socket.destroy())
  await assert.rejects(runPipe(reset, { profiles: ['core'] }, ends().ends), { code: 'daemon_unreachable' })

  const patient = await fakeDaemon(t, (socket) => {
    socket.write(encodeWelcome())
    socket.resume()
    socket.on('end', () => setTimeout(() => socket.end('late answer\n'), 20))
  })
  const other = ends()
  other.input.end('a question\n')
  await runPipe(patient, { profiles: ['core'] }, other.ends)
  assert.equal(String(other.output.read()), 'late answer\n')
})

test('a reader that goes away, or an interruption, ends it', async (t) => {
  const chatty = await fakeDaemon(t, (socket) => {
    socket.on('error', () => undefined)
    socket.write(encodeWelcome())
  })
  const one = ends()
  setTimeout(() => one.output.destroy(), 20)
  await runPipe(chatty, { profiles: ['core'] }, one.ends)

  const silent = await fakeDaemon(t, (socket) => void socket.on('error', () => undefined))
  const other = ends()
  setTimeout(() => other.controller.abort(), 20)
  await assert.rejects(runPipe(silent, { profiles: ['core'] }, other.ends), { code: 'cancelled' })
})

test('something else on the socket is not taken for the daemon', async (t) => {
  for (const greeting of ['hello\n', 'x'.repeat(100_000)]) {
    const stranger = await fakeDaemon(t, (socket) => {
      socket.on('error', () => undefined)
      socket.write(greeting)
    })
    await assert.rejects(runPipe(stranger, { profiles: ['core'] }, ends().ends), { code: 'unsupported_version' })
  }
})

test('the pipe loads neither the protocol nor the schema', (t) => {
  const home = temporaryHome(t)
  const [log, hook, hooks] = ['loaded.txt', 'hook.mjs', 'hooks.mjs'].map((name) => path.join(home, name)) as [
    string,
    string,
    string
  ]
  writeFileSync(hook, `import { register } from 'node:module'\nregister(${JSON.stringify(hooks)}, 'file:///')\n`)
  writeFileSync(
    hooks,
    `import { appendFileSync } from 'node:fs'
     export const load = (url, context, next) => (appendFileSync(${JSON.stringify(log)}, url + '\\n'), next(url, context))`
  )
  const words = ['--import', hook, launcherPath(), '--home', home, '--no-autostart', 'mcp']
  const { status } = spawnSync(process.execPath, words, { input: '', env: { ...process.env, CHRYSALIS_HOME: home } })
  assert.equal(status, 3)
  const loaded = readFileSync(log, 'utf8').split('\n')
  assert.ok(loaded.some((url) => /cli\/mcp-pipe\.[jt]s/.test(url)))
  assert.deepEqual(
    loaded.filter((url) => /node_modules\/(?:zod|@modelcontextprotocol|@libp2p|classic-level)\//.test(url)),
    []
  )
})
