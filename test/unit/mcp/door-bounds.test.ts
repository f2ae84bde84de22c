/** The door for models against those who do not keep to the rules: every bound, and what is left standing after it. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { SocketTransport } from '../../../src/mcp/socket-transport.ts'
import { startMcpDoor } from '../../../src/daemon/mcp-door.ts'
import { inSession, OWNER, type Tokens } from '../../../src/rpc/identity.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { createFakeControl, createFakeNode } from '../../support/fake-node.ts'
import { openModelDoor, type ModelDoor, type RawPipe } from '../../support/mcp-door.ts'

const KNOWN_TOKEN = 'chz-tok1:reader'

/** One token, which reads the shared space and nothing else. */
function tokens(required = false): Tokens {
  const refuse = () => Promise.reject(new Error('not here'))
  return {
    required,
    identify(secret) {
      if (secret !== KNOWN_TOKEN) throw new ChrysalisError('denied', 'The token is not known.', { hint: 'Make one.' })
      return inSession({ ...OWNER, agent: 'reader', spaces: new Map([['shared', 'r']]), verbs: ['read'] }, 'x')
    },
    add: refuse,
    list: () => [],
    revoke: refuse
  }
}

async function opened(
  door: ModelDoor,
  preamble: Parameters<RawPipe['greet']>[0] = { profiles: ['core'] }
): Promise<RawPipe> {
  const pipe = await door.raw()
  await pipe.greet(preamble)
  await pipe.initialize()
  return pipe
}

const called = (answer: Record<string, unknown>): { isError?: boolean; content: { text: string }[] } =>
  answer['result'] as { isError?: boolean; content: { text: string }[] }

test('the socket is private', async (t) => {
  const door = await openModelDoor(t)
  assert.equal(statSync(door.path).mode & 0o777, 0o600)
  assert.equal(statSync(path.dirname(door.path)).mode & 0o777, 0o700)
  const other = {
    node: createFakeNode(),
    control: createFakeControl(),
    version: '1',
    nowMs: () => 0,
    writesPerSecond: 1
  }
  await assert.rejects(startMcpDoor({ path: door.path, ...other }), { code: 'home_locked' })
  const long = path.join(path.dirname(door.path), 'x'.repeat(LIMITS.socketPathBytesMax))
  await assert.rejects(startMcpDoor({ path: long, ...other }), { code: 'config' })
})

test('whoever says nothing is not waited for', async (t) => {
  const door = await openModelDoor(t, { timing: { firstByteMs: 20 } })
  const pipe = await door.raw()
  pipe.socket.write('{"chrysalis":1')
  await pipe.closed
  assert.equal(door.counted.get('chrysalis_mcp_refused_silent_total'), 1)
})

test('a greeting of the longest length is read, a longer one is not', async (t) => {
  const door = await openModelDoor(t)
  const greeting = (length: number): string => {
    const bare = '{"chrysalis":1,"profiles":["core"]}'
    return bare.replace('}', `${' '.repeat(length - bare.length)}}`)
  }
  const pipe = await door.raw()
  pipe.socket.write(`${greeting(LIMITS.mcpPreambleBytesMax)}\n`)
  assert.deepEqual(JSON.parse(await pipe.line(0)), { chrysalis: 1, ok: true })
  for (const end of ['\n', '']) {
    const refused = await door.raw()
    refused.socket.write(`${greeting(LIMITS.mcpPreambleBytesMax + 1)}${end}`)
    assert.match(await refused.line(0), /"ok":false.*too_large/)
    await refused.closed
  }
})

test('a greeting in pieces, with a request behind it, is understood', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await door.raw()
  const request = JSON.stringify({
    jsonrpc: '2.0',
    id: 7,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'n', version: '1' } }
  })
  for (const piece of ['{"chrysalis":1,"pro', 'files":["core"]}\n', request.slice(0, 20)]) {
    pipe.socket.write(piece)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  pipe.socket.write(`${request.slice(20)}\n`)
  assert.match(await pipe.line(1), /"id":7/)
})

test('what is wrong with a greeting is said, then the door closes', async (t) => {
  const door = await openModelDoor(t, { tokens: tokens() })
  const cases = [
    [{ profiles: ['nope'] }, 'usage'],
    [{ profiles: ['core'], space: 'nowhere' }, 'not_found'],
    [{ profiles: ['core'], token: 'chz-tok1:wrong' }, 'denied'],
    [{ profiles: ['core'], token: KNOWN_TOKEN, space: 'private' }, 'not_found']
  ] as const
  for (const [preamble, code] of cases) {
    const pipe = await door.raw()
    await assert.rejects(pipe.greet(preamble), { code })
    await pipe.closed
  }
  while (door.door.clients() > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('where a token is asked for, nobody comes in without', async (t) => {
  const door = await openModelDoor(t, { tokens: tokens(true) })
  const pipe = await door.raw()
  await assert.rejects(pipe.greet({ profiles: ['core'] }), { code: 'denied', hint: /CHRYSALIS_TOKEN/ })
  await opened(door, { profiles: ['core'], token: KNOWN_TOKEN })
})

test('a token for one space sees no other, and writes nowhere it may not', async (t) => {
  const door = await openModelDoor(t, { tokens: tokens() })
  const pipe = await opened(door, { profiles: ['core', 'team'], token: KNOWN_TOKEN })
  const ask = (id: number, name: string, args: object) => pipe.ask(id, 'tools/call', { name, arguments: args })
  const spaces = called(await ask(1, 'spaces', {}))
  assert.match(spaces.content[0]!.text, /^shared/)
  assert.equal(spaces.content[0]!.text.includes('private'), false)
  const foreign = called(await ask(2, 'recall', { query: 'x', space: 'private' }))
  assert.equal(foreign.isError, true)
  const write = called(await ask(3, 'remember', { content: 'x', space: 'shared' }))
  assert.equal(write.isError, true)
  assert.match(write.content[0]!.text, /reader/)
  assert.equal(
    door.node.calls.some((call) => call.method === 'add'),
    false
  )
})

/** Reads, and never ends its own half. */
class StubbornClient {
  heard = 0
  readonly ended: Promise<unknown>

  constructor(at: string, t: TestContext) {
    const socket = connect({ path: at, allowHalfOpen: true })
    t.after(() => socket.destroy())
    socket.on('data', (chunk: Buffer) => (this.heard += chunk.length))
    socket.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      socket.once('end', resolve)
      socket.once('close', resolve)
    })
  }
}

test('so many clients come in and no more', async (t) => {
  const door = await openModelDoor(t)
  const pipes = await Promise.all(Array.from({ length: LIMITS.mcpClientsMax }, () => door.raw()))
  for (const pipe of pipes) await pipe.greet({ profiles: ['core'] })
  const late = await door.raw()
  await assert.rejects(late.greet({ profiles: ['core'] }), { code: 'rate_limited' })
  // Those who are told why and stay are as many at most; the next one is cut off without a word.
  const stayers = Array.from({ length: LIMITS.mcpClientsMax + 1 }, () => new StubbornClient(door.path, t))
  for (const stayer of stayers) await stayer.ended
  assert.deepEqual(
    [stayers.filter((stayer) => stayer.heard > 0).length, stayers.length],
    [LIMITS.mcpClientsMax, LIMITS.mcpClientsMax + 1]
  )
  pipes[0]!.destroy()
  await new Promise((resolve) => setTimeout(resolve, 20))
  await opened(door)
})

test('a message of the longest length is answered by name, a longer one ends the connection', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  const call = (id: number, content: string) => ({
    id,
    method: 'tools/call',
    params: { name: 'remember', arguments: { content } }
  })
  const megabyte = called(await pipe.ask(1, 'tools/call', call(1, 'x'.repeat(1_048_576)).params))
  assert.equal(megabyte.isError, true)
  assert.match(megabyte.content[0]!.text, /bytes/)
  const frame = (length: number): string => {
    const bare = JSON.stringify({ jsonrpc: '2.0', ...call(2, '') })
    return bare.replace('"content":""', `"content":"${'x'.repeat(length - bare.length)}"`)
  }
  pipe.socket.write(`${frame(LIMITS.mcpFrameBytesMax)}\n`)
  assert.match(await pipe.line(3), /"id":2/)
  pipe.socket.write(`${frame(LIMITS.mcpFrameBytesMax + 1)}\n`)
  assert.match(await pipe.line(4), /longer than/)
  await pipe.closed
  assert.equal(door.counted.get('chrysalis_mcp_refused_oversize_total'), 1)
})

test('nesting is counted before it is parsed', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  const deep = '['.repeat(500_000) + ']'.repeat(500_000)
  pipe.socket.write(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recall","arguments":{"query":${deep}}}}\n`
  )
  assert.match(await pipe.line(2), /levels deep/)
  pipe.socket.write('{"jsonrpc":"2.0","id":2,"method":"ping"}\nnot json\n{"id":3}\n[]\n"x"\n')
  const others = await Promise.all([3, 4, 5, 6, 7].map((place) => pipe.line(place)))
  assert.equal(others.filter((line) => line.includes('"error"')).length, 4)
  assert.ok(others.some((line) => line.includes('"id":2') && line.includes('"result"')))
  assert.equal(pipe.socket.destroyed, false)
})

test('arguments that aim at prototypes change nothing', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  for (const [place, args] of [
    '{"query":"x","__proto__":{"polluted":1}}',
    '{"__proto__":null}',
    '{"query":"x","constructor":{"prototype":{"polluted":1}}}'
  ].entries()) {
    const id = 10 + place
    pipe.socket.write(
      `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"recall","arguments":${args}}}\n`
    )
    const answer = JSON.parse(await pipe.line(2 + place)) as Record<string, unknown>
    // The library drops such a name before our own check could refuse it; either way nothing comes of it.
    assert.ok(answer['result'] !== undefined, args)
  }
  const searches = door.node.calls.filter((call) => call.method === 'search')
  for (const { args } of searches) assert.equal(Object.keys(args[0] as object).includes('__proto__'), false)
  for (const name of ['__proto__', 'constructor', 'toString']) {
    const answer = await pipe.ask(20 + name.length, 'tools/call', { name, arguments: {} })
    assert.ok(answer['error'] !== undefined, name)
  }
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('a flood of calls is answered to the last one, beyond the bound with a refusal', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  const release = door.node.hold('search')
  const count = LIMITS.mcpUnansweredMax + LIMITS.mcpCallsInFlightMax
  for (let id = 1; id <= count; id++) {
    pipe.send({ id, method: 'tools/call', params: { name: 'recall', arguments: { query: 'x' } } })
  }
  // All but those at work are refused at once.
  await pipe.line(1 + count - LIMITS.mcpCallsInFlightMax)
  release()
  await pipe.line(1 + count)
  const answers = pipe.lines.slice(2).map((line) => JSON.parse(line) as Record<string, unknown>)
  const ids = new Set(answers.map((answer) => answer['id']))
  assert.equal(ids.size, count)
  const served = answers.filter((answer) => answer['result'] !== undefined && called(answer).isError !== true)
  assert.equal(served.length, LIMITS.mcpCallsInFlightMax)
})

test('writing faster than allowed is an error with the time to wait', async (t) => {
  const door = await openModelDoor(t, { writesPerSecond: 3 })
  const pipe = await opened(door)
  const answers = []
  for (let id = 1; id <= 12; id++) {
    answers.push(called(await pipe.ask(id, 'tools/call', { name: 'remember', arguments: { content: `fact ${id}` } })))
  }
  const refused = answers.filter((answer) => answer.isError === true)
  assert.ok(refused.length >= 6, `${refused.length} refused`)
  assert.match(refused[0]!.content[0]!.text, /Try again in \d+ ms/)
  const read = called(await pipe.ask(99, 'tools/call', { name: 'recall', arguments: { query: 'fact' } }))
  assert.notEqual(read.isError, true)
})

test('a client that dies in the middle of a call leaves nothing behind, and its write is done', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  const release = door.node.hold('add')
  pipe.send({ id: 1, method: 'tools/call', params: { name: 'remember', arguments: { content: 'last words' } } })
  while (!door.node.calls.some((call) => call.method === 'add')) await new Promise((resolve) => setImmediate(resolve))
  pipe.destroy()
  while (door.door.clients() > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  release()
  await new Promise((resolve) => setImmediate(resolve))
  const { items } = await door.node.list({})
  assert.deepEqual(
    items.map((item) => item.content),
    ['last words']
  )
})

test('a client that ends its half gets the answers to what it asked before', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  const release = door.node.hold('add')
  pipe.send({ id: 1, method: 'tools/call', params: { name: 'remember', arguments: { content: 'before the end' } } })
  pipe.socket.end()
  while (!door.node.calls.some((call) => call.method === 'add')) await new Promise((resolve) => setImmediate(resolve))
  release()
  assert.match(await pipe.line(2), /Remembered/)
  await pipe.closed
})

test('a client that does not read is closed, and its memory with it', async (t) => {
  const door = await openModelDoor(t, { timing: { stallMs: 100 } })
  const pipe = await opened(door)
  await door.node.add({ content: 'x'.repeat(40_000) })
  pipe.socket.pause()
  const ask = {
    method: 'tools/call',
    params: { name: 'recall', arguments: { query: 'x'.repeat(40), budget_tokens: 20_000 } }
  }
  await door.node.add({ content: `${'x'.repeat(40)} ${'y'.repeat(47_000)}` })
  for (let id = 1; id <= 400; id++) {
    pipe.send({ id, ...ask })
    if (id % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  while (door.counted.get('chrysalis_mcp_refused_stalled_total') === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  while (door.door.clients() > 0) await new Promise((resolve) => setTimeout(resolve, 1))
})

test('closing the door answers what is in flight', async (t) => {
  const door = await openModelDoor(t)
  const pipe = await opened(door)
  const release = door.node.hold('add')
  pipe.send({ id: 1, method: 'tools/call', params: { name: 'remember', arguments: { content: 'in flight' } } })
  while (!door.node.calls.some((call) => call.method === 'add')) await new Promise((resolve) => setImmediate(resolve))
  const closing = door.door.close()
  release()
  assert.match(await pipe.line(2), /Remembered/)
  await closing
  await pipe.closed
})

test('so many requests wait for an answer and no more, readings count as calls do', async (t) => {
  const door = await openModelDoor(t, {
    prepare: (node) => ({
      ...node,
      spaces: () => node.spaces(),
      list: async (request) => (await held, node.list(request))
    })
  })
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  const pipe = await opened(door)
  const count = LIMITS.mcpUnansweredMax
  for (let id = 1; id <= count; id++) pipe.send({ id, method: 'resources/read', params: { uri: 'chrysalis://recent' } })
  await pipe.line(1 + count - LIMITS.mcpCallsInFlightMax)
  assert.match(await pipe.line(2), /at work already/)
  release()
  await pipe.line(1 + count)
  assert.equal(pipe.lines.filter((line) => line.includes('"contents"')).length, LIMITS.mcpCallsInFlightMax)
})

test('a request beyond the bound of those that wait is refused at once', () => {
  const written: string[] = []
  const socket = Object.assign(new EventEmitter(), {
    writableLength: 0,
    destroyed: false,
    writableEnded: false,
    write: (bytes: Buffer) => written.push(bytes.toString())
  })
  const transport = new SocketTransport({
    socket: socket as unknown as Socket,
    timing: { stallMs: 1_000, closeMs: 1_000 },
    refused: () => undefined
  })
  const delivered: unknown[] = []
  transport.onmessage = (message) => void delivered.push(message)
  const ping = (id: number): Buffer => Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"ping"}\n`)
  for (let id = 0; id < LIMITS.mcpUnansweredMax; id++) transport.take(ping(id))
  assert.deepEqual(
    [delivered.length, transport.unanswered, written.length],
    [LIMITS.mcpUnansweredMax, delivered.length, 0]
  )
  transport.take(ping(1_000))
  assert.equal(delivered.length, LIMITS.mcpUnansweredMax)
  assert.match(written[0] ?? '', /"id":1000.*wait for an answer/)
  void transport.send({ jsonrpc: '2.0', id: 0, result: {} })
  transport.take(Buffer.from('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n'))
  for (const id of [1_001, 1_002]) transport.take(ping(id))
  assert.equal(transport.unanswered, LIMITS.mcpUnansweredMax)
  // One was answered and one cancelled: there was room for both.
  assert.equal(written.length, 2, 'the first refusal and the answer')
})
