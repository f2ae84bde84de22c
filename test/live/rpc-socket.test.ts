/** The local door on real sockets: who may open it, what it refuses, and that nothing is lost. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { LIMITS } from '../../src/base/limits.ts'
import { connect } from '../../src/rpc/client.ts'
import { startRpcServer } from '../../src/rpc/server.ts'
import { createFakeControl, createFakeNode } from '../support/fake-node.ts'
import type { RawClient } from '../support/rpc-door.ts'
import { openDoor, temporaryHome } from '../support/rpc-door.ts'

const fakes = () => ({ node: createFakeNode(), control: createFakeControl() })

test('the socket is 0600 in a 0700 directory whatever the umask', async (t) => {
  const before = process.umask(0o000)
  try {
    const door = await openDoor(t)
    assert.equal(statSync(door.path).mode & 0o777, 0o600)
    assert.equal(statSync(path.dirname(door.path)).mode & 0o777, 0o700)
    assert.equal(process.umask(0o000), 0o000, 'the umask is as it was')
  } finally {
    process.umask(before)
  }
})

test('another user cannot connect', async (t) => {
  const canSwitch = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0
  if (!canSwitch) {
    t.skip('needs root and setpriv to become another user')
    return
  }
  const door = await openDoor(t)
  // Were the directories open, the mode of the socket alone would have to hold.
  chmodSync(door.home, 0o755)
  chmodSync(path.dirname(door.path), 0o755)
  const script = `require('net').connect(${JSON.stringify(door.path)})
    .on('connect', () => process.exit(7)).on('error', (e) => { console.log(e.code); process.exit(0) })`
  const other = spawnSync('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, '-e', script], {
    encoding: 'utf8'
  })
  assert.equal(other.stdout.trim(), 'EACCES', other.stderr)
  assert.equal(other.status, 0)
})

test('a directory that others can enter is refused and left as it is', async (t) => {
  const home = temporaryHome(t)
  const run = path.join(home, 'run')
  mkdirSync(run)
  chmodSync(run, 0o755)
  await assert.rejects(startRpcServer({ path: path.join(run, 'rpc.sock'), ...fakes() }), (error: Error) => {
    assert.match((error as { hint?: string }).hint ?? '', /chmod 700/)
    return (error as { code?: string }).code === 'permissions'
  })
  assert.equal(statSync(run).mode & 0o777, 0o755)
})

test('a path the system would cut is refused on both sides, and the longest good one works', async (t) => {
  const home = temporaryHome(t)
  const long = path.join(home, 'x'.repeat(140 - home.length - 1))
  assert.equal(long.length, 140)
  await assert.rejects(startRpcServer({ path: long, ...fakes() }), { code: 'config' })
  await assert.rejects(connect(long), { code: 'config' })
  const directory = path.join(home, 'run')
  const exact = path.join(directory, 'y'.repeat(LIMITS.socketPathBytesMax - directory.length - 1))
  const server = await startRpcServer({ path: exact, ...fakes() })
  assert.ok(lstatSync(exact).isSocket())
  await server.close()
})

test('a path left by a killed daemon is taken over, a living one and a foreign file are not', async (t) => {
  const door = await openDoor(t)
  await assert.rejects(startRpcServer({ path: door.path, ...fakes() }), { code: 'home_locked' })
  assert.ok((await door.client()).daemon, 'the first one still answers')

  const stale = path.join(path.dirname(door.path), 'stale.sock')
  const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`
  assert.equal(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL')
  assert.ok(lstatSync(stale).isSocket())
  const server = await startRpcServer({ path: stale, ...fakes() })
  await (await connect(stale)).close()
  await server.close()
  assert.equal(existsSync(stale), false, 'a closed door leaves nothing behind')

  const file = path.join(path.dirname(door.path), 'notes.txt')
  writeFileSync(file, 'mine')
  const link = path.join(path.dirname(door.path), 'link')
  symlinkSync(file, link)
  for (const occupied of [file, link]) {
    await assert.rejects(startRpcServer({ path: occupied, ...fakes() }), { code: 'permissions' })
    assert.ok(existsSync(occupied))
  }
})

test('a line of 10 MB is answered with too_large and ends the connection; others go on', async (t) => {
  const door = await openDoor(t)
  const other = await door.client()
  const raw = await door.raw()
  raw.sendText(Buffer.alloc(10_000_000, 0x61))
  assert.equal((await raw.answer(null)).error?.data.kind, 'too_large')
  await raw.closed
  assert.equal((await other.call('node.health', {})).live, true)
})

test('JSON nested a million deep, broken UTF-8, batches and noise are answered; the connection lives', async (t) => {
  const door = await openDoor(t)
  const raw = await door.raw()
  const hostile: [string | Buffer, number][] = [
    ['['.repeat(LIMITS.rpcFrameBytesMax - 1), -32700],
    [
      `{"jsonrpc":"2.0","id":1,"method":"node.health","params":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
      -32700
    ],
    [Buffer.from([0x22, 0xc3, 0x28, 0x22]), -32700],
    ['[{"jsonrpc":"2.0","id":1,"method":"node.health"}]', -32600],
    ['hello', -32700]
  ]
  for (const [text, code] of hostile) {
    raw.messages.length = 0
    raw.sendText(text)
    assert.equal((await raw.answer(null)).error?.code, code)
  }
  raw.request(5, 'node.health')
  assert.equal((await raw.answer(5)).result?.['live'], true)
})

test('`__proto__` in a request pollutes nothing', async (t) => {
  const door = await openDoor(t)
  const raw = await door.raw()
  raw.sendText('{"jsonrpc":"2.0","id":1,"method":"memory.add","params":{"content":"x","__proto__":{"polluted":true}}}')
  assert.equal((await raw.answer(1)).error?.code, -32602)
  raw.sendText('{"jsonrpc":"2.0","id":2,"__proto__":{"method":"x"},"method":"node.health"}')
  assert.equal((await raw.answer(2)).result?.['live'], true)
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
})

test('the 33rd client is told why; when one leaves there is room again', async (t) => {
  const door = await openDoor(t)
  const clients: RawClient[] = []
  for (let i = 0; i < LIMITS.rpcClientsMax; i++) {
    const raw = await door.raw()
    raw.request(1, 'node.health')
    assert.equal((await raw.answer(1)).result?.['live'], true, `client ${i}`)
    clients.push(raw)
  }
  await assert.rejects(connect(door.path), { code: 'rate_limited' })
  assert.equal(door.counted.get('chrysalis_rpc_refused_clients_total'), 1)
  clients[0]?.socket.end()
  await clients[0]?.closed
  await (await connect(door.path)).close()
})

test('64 requests may be in flight, the 65th is refused, and cancelling frees nothing before the work is done', async (t) => {
  const door = await openDoor(t)
  const release = door.node.hold('add')
  const raw = await door.raw()
  for (let id = 1; id <= LIMITS.rpcInFlightMax; id++) raw.request(id, 'memory.add', { content: `${id}` })
  raw.request(100, 'node.health')
  assert.equal((await raw.answer(100)).error?.data.kind, 'rate_limited')
  raw.request(101, 'rpc.cancel', { id: 1 })
  assert.deepEqual((await raw.answer(101)).result, { cancelled: true })
  const cancelled = await raw.answer(1)
  assert.equal(cancelled.error?.data.kind, 'cancelled')
  assert.equal(cancelled.error?.data.stateTouched, true)
  raw.request(102, 'node.health')
  assert.equal((await raw.answer(102)).error?.data.kind, 'rate_limited', 'the cancelled write still runs')
  release()
  assert.ok((await raw.answer(LIMITS.rpcInFlightMax)).result)
  raw.request(103, 'node.health')
  assert.equal((await raw.answer(103)).result?.['live'], true)
  assert.equal(raw.messages.filter((message) => message['id'] === 1).length, 1, 'a cancelled request is answered once')
})

test('an id that is in flight cannot be used again; cancelling the unknown is false', async (t) => {
  const door = await openDoor(t)
  const release = door.node.hold('add')
  const raw = await door.raw()
  raw.request(1, 'memory.add', { content: 'x' })
  raw.request(1, 'node.health')
  assert.equal((await raw.answer(1)).error?.code, -32600)
  raw.request(2, 'rpc.cancel', { id: 99 })
  assert.deepEqual((await raw.answer(2)).result, { cancelled: false })
  release()
})

test('a time-out answers the caller, and says that a write may have been done', async (t) => {
  const door = await openDoor(t)
  const release = door.node.hold('add')
  const releaseSearch = door.node.hold('search')
  const client = await door.client()
  await assert.rejects(client.call('memory.add', { content: 'x' }, { timeoutMs: 20 }), {
    code: 'timeout',
    stateTouched: true
  })
  await assert.rejects(client.call('memory.search', { query: 'x' }, { timeoutMs: 20 }), {
    code: 'timeout',
    stateTouched: false
  })
  release()
  releaseSearch()
  assert.equal((await client.call('node.health', {})).live, true)
})

test('an aborted call is cancelled on both sides', async (t) => {
  const door = await openDoor(t)
  const release = door.node.hold('search')
  const client = await door.client()
  const controller = new AbortController()
  const call = client.call('memory.search', { query: 'x' }, { signal: controller.signal })
  setImmediate(() => controller.abort())
  await assert.rejects(call, { code: 'cancelled', stateTouched: false })
  await assert.rejects(client.call('node.health', {}, { signal: controller.signal }), { code: 'cancelled' })
  release()
})

test('who says nothing is let go; who has spoken may be silent', async (t) => {
  const door = await openDoor(t, { firstByteMs: 30 })
  const halfFrame = await door.raw()
  halfFrame.socket.write('{"jsonrpc"')
  const silent = await door.raw()
  const spoken = await door.client()
  await Promise.all([silent.closed, halfFrame.closed])
  assert.equal(door.counted.get('chrysalis_rpc_refused_silent_total'), 2)
  assert.equal((await spoken.call('node.health', {})).live, true)
})

test('a caller that says all it has and ends its half still gets its answers', async (t) => {
  const door = await openDoor(t)
  const release = door.node.hold('stats')
  const socket = net.connect({ path: door.path, allowHalfOpen: true })
  socket.end('{"jsonrpc":"2.0","id":1,"method":"memory.stats"}\n')
  setTimeout(release, 50)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  assert.equal((JSON.parse(text) as { id: number }).id, 1)
})

test('a slow reader costs a bounded buffer: live events become a gap, memory events all arrive', async (t) => {
  const door = await openDoor(t)
  const raw = await door.raw()
  raw.request(1, 'events.open', { cursor: '0' })
  assert.ok((await raw.answer(1)).result)
  raw.socket.pause()
  const detail = 'x'.repeat(10_000)
  const live = 2_000
  for (let i = 0; i < live; i++) door.node.emit({ type: 'node', what: 'noise', detail })
  for (let i = 0; i < 200; i++) await door.node.add({ content: `memory ${i}` })
  const sockets = await new Promise<number>((resolve) => setImmediate(() => resolve(door.server.clients())))
  assert.equal(sockets, 1, 'slow is not dead')
  raw.socket.resume()
  await raw.waitFor((message) => (message['params'] as { cursor?: string } | undefined)?.cursor === '200')
  const params = raw.messages.flatMap((message) => (message['params'] === undefined ? [] : [message['params']])) as {
    seq?: number
    from?: number
    to?: number
    cursor?: string | null
    type?: string
  }[]
  const noise = params.filter((one) => one.type === 'node').length
  const lost = params.reduce((sum, one) => sum + (one.from === undefined ? 0 : one.to! - one.from + 1), 0)
  assert.ok(noise * detail.length < 3 * LIMITS.rpcOutboundBytesMax, `${noise} events were buffered`)
  assert.equal(noise + lost, live)
  const cursors = params.flatMap((one) => (one.type === 'memory' ? [one.cursor] : []))
  assert.deepEqual(
    cursors,
    Array.from({ length: 200 }, (_, i) => String(i + 1))
  )
})

test('a client that reads nothing at all is closed in the end', async (t) => {
  const door = await openDoor(t, { stallMs: 50 })
  const raw = await door.raw()
  raw.request(1, 'events.open', { cursor: '0', topics: ['node'] })
  assert.ok((await raw.answer(1)).result)
  raw.socket.pause()
  for (let i = 0; i < 2_000; i++) door.node.emit({ type: 'node', what: 'noise', detail: 'x'.repeat(10_000) })
  while (door.server.clients() > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(door.counted.get('chrysalis_rpc_refused_stalled_total'), 1)
})

test('an answer too large for a frame is an error that says what to do', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  const content = 'x'.repeat(LIMITS.contentBytesMax)
  const ids: string[] = []
  for (let i = 0; i < 25; i++) ids.push((await client.learn(content, { key: `k${i}` })).id)
  await assert.rejects(client.call('memory.get', { ids }), { code: 'too_large' })
  assert.equal((await client.call('memory.get', { ids: ids.slice(0, 5) })).items.length, 5)
  const items = Array.from({ length: 25 }, () => ({ content }))
  await assert.rejects(client.learnMany(items), { code: 'too_large', stateTouched: false })
})

test('16 subscriptions on one connection, not one more, and closing one makes room', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  const opened: string[] = []
  for (let i = 0; i < LIMITS.rpcSubscriptionsPerClientMax; i++) {
    opened.push((await client.call('events.open', {})).subscription)
  }
  await assert.rejects(client.call('events.open', {}), { code: 'rate_limited' })
  await assert.rejects(client.call('events.open', { spaces: ['nowhere'] }))
  assert.deepEqual(await client.call('events.close', { subscription: opened[0]! }), { closed: true })
  await assert.rejects(client.call('events.open', { spaces: ['nowhere'] }), { code: 'not_found' })
  await client.call('events.open', {})
  assert.deepEqual(await client.call('events.close', { subscription: opened[0]! }), { closed: false })
})

test('events go on through restarts of the door with none lost and none twice', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  for (let i = 0; i < 5; i++) await door.node.add({ content: `${i}` })
  const seen: string[] = []
  let opened = 0
  const total = 40
  const reading = (async () => {
    for await (const event of client.events({ cursor: '0', topics: ['memory'], onOpen: () => opened++ })) {
      if (event.type === 'memory') seen.push(event.cursor ?? '')
      if (seen.length === total) break
    }
  })()
  for (let round = 0; round < 3; round++) {
    while (seen.length < 5 + round * 10) await new Promise((resolve) => setTimeout(resolve, 5))
    await door.server.close()
    for (let i = 0; i < 5; i++) await door.node.add({ content: `away ${round} ${i}` })
    await door.reopen()
    for (let i = 0; i < 5; i++) await door.node.add({ content: `back ${round} ${i}` })
  }
  for (let i = 0; i < total - 35; i++) await door.node.add({ content: `end ${i}` })
  await reading
  assert.deepEqual(
    seen,
    Array.from({ length: total }, (_, i) => String(i + 1))
  )
  assert.ok(opened >= 4)
  assert.equal((await client.call('node.health', {})).live, true, 'calls connect again too')
})

test('without a cursor events begin now, also with an engine that does not tell the end of its log', async (t) => {
  for (const naive of [false, true]) {
    const door = await openDoor(t)
    door.node.naiveLog = naive
    for (let i = 0; i < 10; i++) await door.node.add({ content: 'old' })
    const client = await door.client()
    const opened = Promise.withResolvers<string>()
    const first = (async () => {
      for await (const event of client.events({ topics: ['memory'], onOpen: opened.resolve })) return event
      return undefined
    })()
    assert.equal(await opened.promise, '10')
    await door.node.add({ content: 'new' })
    const event = await first
    assert.equal(event?.type === 'memory' ? event.cursor : undefined, '11')
  }
})

test('a stream ends when its signal aborts, when its client closes, and rejects when it is refused', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  const controller = new AbortController()
  const opened = Promise.withResolvers<string>()
  const aborted = (async () => {
    for await (const _ of client.events({ signal: controller.signal, onOpen: opened.resolve })) assert.fail('no event')
  })()
  await opened.promise
  controller.abort()
  await aborted
  await assert.rejects(async () => {
    for await (const _ of client.events({ spaces: ['nowhere'] })) assert.fail('no event')
  })
  const again = Promise.withResolvers<string>()
  const closed = (async () => {
    for await (const _ of client.events({ onOpen: again.resolve })) assert.fail('no event')
  })()
  await again.promise
  await client.close()
  await closed
  await assert.rejects(client.call('node.health', {}), { code: 'invalid_state' })
})

test('closing lets requests in flight finish; what is lost is said to be unsure', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  const release = door.node.hold('add')
  const writing = client.learn('in flight')
  while (!door.node.calls.some((call) => call.method === 'add')) await new Promise((resolve) => setImmediate(resolve))
  const closing = door.server.close()
  release()
  assert.equal((await writing).syncState, 'local')
  await closing
  await assert.rejects(client.call('node.health', {}), { code: 'daemon_unreachable' })

  await door.reopen()
  const stuck = door.node.hold('add')
  const lost = client.learn('never answered')
  while (door.node.calls.filter((call) => call.method === 'add').length < 2) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  const check = assert.rejects(lost, { code: 'daemon_unreachable', stateTouched: true })
  await door.server.close()
  await check
  stuck()
})

test('node.stop is answered before the daemon is asked to stop', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  assert.deepEqual(await client.stop(), { stopping: true })
  while (door.control.stops === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(door.control.stops, 1)
})

test('errors of the engine arrive as they were thrown', async (t) => {
  const door = await openDoor(t)
  const client = await door.client()
  assert.equal(await client.get('abcdef'), null)
  await assert.rejects(client.tally('a'.repeat(64)), { code: 'not_found', hint: 'Check the id.' })
  door.node.fail('add', new TypeError('a bug'))
  await assert.rejects(client.learn('x'), { code: 'failure', stateTouched: true })
  await assert.rejects(connect(path.join(door.home, 'run', 'nobody.sock')), { code: 'daemon_unreachable' })
})
