import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ERRORS } from '../../../src/base/errors.ts'
import { startRpcServer } from '../../../src/rpc/server.ts'
import { createFakeControl, createFakeNode } from '../../support/fake-node.ts'
import { FAKE_PEER } from '../../support/fake-records.ts'
import { openDoor, temporaryHome } from '../../support/rpc-door.ts'
import { run, type Ran } from './cli-run.ts'

async function cli(t: TestContext) {
  const door = await openDoor(t)
  return { door, $: (...argv: string[]): Promise<Ran> => run(argv, { socket: door.path, home: door.home }) }
}

test('learn, recall, get: the id of one is the argument of the next', async (t) => {
  const { $ } = await cli(t)
  const learned = await $(
    'learn',
    'Deploys',
    'freeze',
    'on',
    'Fridays',
    '-k',
    'decision',
    '-t',
    'deploy',
    '-t',
    'ops',
    '--json'
  )
  assert.equal(learned.status, 0, learned.out)
  assert.deepEqual([learned.json.ok, learned.json.command, learned.json.v], [true, 'learn', 1])
  const id = String(learned.json.data?.['id'])

  const recalled = await $('recall', 'fridays', '--ids')
  assert.deepEqual([recalled.out, recalled.err], [`${id}\n`, ''])
  const shown = await $('get', id.slice(0, 8))
  for (const part of [
    id,
    `author       ${FAKE_PEER}`,
    'fingerprint  ',
    'verified     yes',
    'deploy, ops',
    'Deploys freeze on Fridays'
  ]) {
    assert.ok(shown.out.includes(part), `${part} in\n${shown.out}`)
  }
  const table = (await $('recall', 'fridays', '--explain')).out.split('\n')
  assert.match(table[0] ?? '', /^ID +SPACE +KIND +AUTHOR +AGE +TRUST +VERIFIED +CONTENT$/)
  assert.match(
    table[1] ?? '',
    new RegExp(`^${id.slice(0, 8)} +shared +decision +….{8} +1m +trusted +yes +Deploys freeze`)
  )
  assert.match(table[2] ?? '', /score 1 = words 1/)
})

test('every verb that reads or writes reaches its method and gives one object', async (t) => {
  const { $, door } = await cli(t)
  const { id } = await door.node.add({ content: 'the first', key: 'first' })
  const short = id.slice(0, 10)
  const lines: [string, ...string[]][] = [
    ['remember', 'another thing', '--importance', '0.9', '--expires', '7d', '--pin'],
    ['recall', 'first', '-n', '3', '--since', '2d'],
    ['get', 'key:first'],
    ['list', '-n', '2', '-s', 'shared'],
    ['revise', short, 'a better text', '--if-version', '1'],
    ['revise', short, '--no-pin', '--clear', 'path'],
    ['tag', short, 'one', 'two', '-r', 'three'],
    ['link', short, 'evidence', 'https://example.org'],
    ['history', short],
    ['lineage', short, '--depth', '2'],
    ['verify', short],
    ['verify'],
    ['vote', short, 'confirm', '--confidence', '.9', '--reason', 'saw it'],
    ['tally', short],
    ['peers', '--connected'],
    ['connect', '/ip4/127.0.0.1/tcp/1'],
    ['invite', 'shared', '--expires', '1h', '--uses', '2'],
    ['join', 'chy1-ticket'],
    ['sync'],
    ['sync', 'status'],
    ['sync', 'now', '-s', 'shared'],
    ['sync', 'now', '--wait', '--peer', 'one', '--peer', 'two'],
    ['sync', 'wait', short, '--min-peers', '2', '-s', 'shared'],
    ['sync', 'wait', '--cursor', '1', '--peer', 'one'],
    ['sync', 'frontiers', '--limit', '5'],
    ['stats'],
    ['ids'],
    ['digest', '-s', 'shared'],
    ['status'],
    ['id'],
    ['config', 'print', 'network', '--running'],
    ['doctor'],
    ['promote', short, '--reason', 'needed'],
    ['consolidate'],
    ['consolidate', '--dry-run', '-s', 'shared', '-n', '3'],
    ['undo', short],
    ['audit', '-n', '3'],
    ['retract', short, '--reason', 'wrong'],
    ['restore', short]
  ]
  for (const line of lines) {
    const people = await $(...line)
    assert.equal(people.status, 0, `${line.join(' ')}: ${people.err}`)
    assert.equal(people.out.includes('undefined'), false, people.out)
    if (line[0] === 'revise' && line.includes('--if-version')) continue
    const machine = await $('--json', ...line)
    assert.equal(machine.status, 0, machine.out)
    assert.equal(machine.out.trim().split('\n').length, 1, line.join(' '))
    assert.equal(machine.json.ok, true)
  }
})

test('options reach the daemon as they were meant', async (t) => {
  const { $, door } = await cli(t)
  await $(
    'learn',
    'x',
    '--key',
    'k',
    '--importance',
    '0.25',
    '--valid-to',
    '2030-01-01',
    '--replicas',
    '2',
    '--timeout',
    '3s'
  )
  const [request, options] = door.node.calls.find((call) => call.method === 'add')!.args as [
    Record<string, unknown>,
    unknown
  ]
  const { session: _session, ...asked } = request
  const validTo = Date.parse('2030-01-01')
  assert.deepEqual(asked, { content: 'x', key: 'k', importance: 0.25, origin: 'self', validTo })
  assert.deepEqual(options, { ack: { replicas: 2, timeoutMs: 3_000 } })
  await $('recall', 'x', 'y', '-s', 'a', '-s', 'b', '-t', 'c', '--until', '1h', '--verified', '--ranking', 'jaccard')
  const { session: _recall, ...search } = door.node.calls.find((call) => call.method === 'search')!.args[0] as {
    session?: string
  }
  assert.deepEqual(search, {
    query: 'x y',
    spaces: ['a', 'b'],
    tagsAll: ['c'],
    untilMs: 1_800_000_090_000 - 3_600_000,
    verifiedOnly: true,
    ranking: 'jaccard'
  })
})

test('a single dash reads the text from stdin', async (t) => {
  const { door } = await cli(t)
  const ran = await run(['learn', '-', '--json'], { socket: door.path, input: 'two\nlines\n\n' })
  assert.equal(ran.status, 0)
  assert.equal(
    (door.node.calls.find((call) => call.method === 'add')!.args[0] as { content: string }).content,
    'two\nlines'
  )
  const empty = await run(['learn', '-'], { socket: door.path, input: '' })
  assert.equal(empty.status, ERRORS.usage.exit)
})

test('the exit status is the one of the error, with and without --json', async (t) => {
  const { $, door } = await cli(t)
  const { id } = await door.node.add({ content: 'x' })
  const cases: [string[], number, string][] = [
    [['get', 'ffffffff'], 4, 'not_found'],
    [['get', id, 'ffffffff'], 8, 'partial'],
    [['recall', 'nothing', '--fail-empty'], 4, 'not_found'],
    [['revise', id, 'y', '--if-version', '9'], 7, 'conflict'],
    [['join', 'forged'], 5, 'ticket'],
    [['list', '--min-importance', '2'], 2, 'usage'],
    [['recall', 'x', '-n', '9999'], 2, 'invalid_argument'],
    [['config', 'print', 'nope', '--running'], 4, 'not_found']
  ]
  for (const [line, status, code] of cases) {
    const people = await $(...line)
    assert.equal(people.status, status, `${line.join(' ')}: ${people.err}`)
    assert.match(people.err, /^(.*\n)*chrysalis: .+\n/)
    const machine = await $(...line, '--json')
    assert.equal(machine.status, status)
    assert.deepEqual([machine.json.ok, machine.json.error?.code, machine.json.error?.exit], [false, code, status])
    assert.equal(machine.err.includes('chrysalis:'), false, 'an error is said once')
  }
  const partial = await $('get', id, 'ffffffff', '--json')
  assert.equal((partial.json.data?.['items'] as unknown[]).length, 2, 'what was found is there')
})

test('a delta that does not verify is exit 9, with the report', async (t) => {
  const { $, door } = await cli(t)
  const invalid = [{ delta: 'ab'.repeat(32), reason: 'bad-signature' }]
  door.node.verify = async () => ({ checked: 2, valid: 1, invalid, pruned: 0, equivocators: [] })
  const ran = await $('verify')
  assert.equal(ran.status, 9)
  assert.match(ran.out, /INVALID abab.*bad-signature/)
  assert.deepEqual((await $('verify', '--json')).json.data?.['invalid'], invalid)
})

test('bad usage is one line, a hint, and exit 2', async () => {
  const cases: [string[], RegExp][] = [
    [['lern', 'x'], /unknown command 'lern'.*\nhint: .*learn/],
    [['recall'], /missing required argument 'query'.*\nhint: See: chrysalis help recall/],
    [['recall', 'x', '--explian'], /unknown option '--explian'.*\nhint: .*--explain/],
    [['learn', 'x', '-k', 'novel'], /argument 'novel' is invalid/],
    [['learn', 'x', '--importance', '7'], /7 is no number from 0 to 1/],
    [['retract', 'abcdef'], /required option '--reason/],
    [['status', '--timeout', 'soon'], /soon is no duration/],
    [['help', 'nowhere'], /no command nowhere/],
    [['tag', 'abcdef'], /no tag to add or remove/],
    [['revise', 'abcdef'], /nothing to change/],
    [['daemon', '--set', 'novalue'], /novalue is no setting/]
  ]
  for (const [line, expected] of cases) {
    const people = await run(line)
    assert.equal(people.status, 2, line.join(' '))
    assert.match(people.err, expected)
    assert.equal(people.err.trim().split('\n').length, 2, people.err)
    assert.equal(people.out, '')
    const machine = await run([...line, '--json'])
    assert.equal(machine.status, 2)
    assert.deepEqual([machine.json.ok, machine.json.error?.exit], [false, 2], machine.out)
  }
})

test('no daemon: 3 without autostart, otherwise one is started and asked', async (t) => {
  const home = temporaryHome(t)
  const socket = `${home}/run/rpc.sock`
  const refused = await run(['recall', 'x', '--no-autostart'], { socket })
  assert.equal(refused.status, 3)
  assert.match(refused.err, /hint: .*chrysalis daemon/)
  for (const verb of ['status', 'id', 'stop'])
    assert.equal((await run([verb], { socket })).status, 3, `${verb} starts none`)
  assert.equal((await run(['recall', 'x'], { socket })).status, ERRORS.not_initialised.exit)

  const spawned: unknown[] = []
  const spawnDaemon = async (options: unknown) => {
    spawned.push(options)
    const server = await startRpcServer({ path: socket, node: createFakeNode(), control: createFakeControl() })
    t.after(() => server.close())
    return { pid: 77 }
  }
  const started = await run(['learn', 'x', '--json'], { socket, home, actions: { spawnDaemon } })
  assert.equal(started.status, 0, started.out)
  assert.deepEqual(spawned, [{ home, flags: {} }])
  assert.match(started.err, /process 77/)
  await run(['learn', 'y'], { socket, home, actions: { spawnDaemon } })
  assert.equal(spawned.length, 1)
})

test('daemon options become configuration keys, and only those that were given', async () => {
  const seen: unknown[] = []
  const daemon = async (options: unknown) => {
    seen.push(options)
    return 5
  }
  assert.equal((await run(['daemon'], { actions: { daemon } })).status, 5)
  const line = [
    'daemon',
    '--listen',
    '/a',
    '--listen',
    '/b',
    '--bootstrap',
    '/c',
    '--no-mdns',
    '--no-dht',
    '--preset',
    'local'
  ]
  await run([...line, '--log-level', 'debug', '--set', 'network.fanout=4', '--set', 'name=x=y'], {
    actions: { daemon }
  })
  assert.deepEqual(seen, [
    { home: '/nonexistent', flags: {} },
    {
      home: '/nonexistent',
      preset: 'local',
      flags: {
        'network.fanout': 4,
        name: 'x=y',
        'network.listen': ['/a', '/b'],
        'network.bootstrap': ['/c'],
        'network.mdns': false,
        'network.dht': false,
        'log.level': 'debug'
      }
    }
  ])
  let spawnedWith: unknown
  const spawnDaemon = async (options: unknown) => {
    spawnedWith = options
    return { pid: 9 }
  }
  const detached = await run(['daemon', '--detach', '--preset', 'lan', '--json'], { actions: { spawnDaemon } })
  assert.deepEqual(detached.json.data, { pid: 9, home: '/nonexistent' })
  assert.deepEqual(spawnedWith, { home: '/nonexistent', flags: { preset: 'lan' } })
})

test('init, join without a daemon, config, doctor and demo are local', async () => {
  const space = { name: 'team', id: '33'.repeat(16) }
  const inits: unknown[] = []
  const actions = {
    init: async (options: { home: string }) => {
      inits.push(options)
      const spaces = [{ ...space, shared: true }]
      return { home: options.home, peer: FAKE_PEER, created: true, network: 'created' as const, spaces }
    },
    join: async () => ({ home: '/h', space, addresses: [], networkChanged: true }),
    config: () => [{ key: 'network.fanout', value: 3, source: 'default' as const }],
    demo: async ({ print }: { print: (line: string) => void }) => {
      print('hello')
      return 1
    },
    doctorFiles: async () => [{ check: 'keys', ok: false, detail: 'others can read them', hint: 'chmod 600 …' }]
  }
  assert.equal((await run(['init', '--name', 'a'], { actions, env: { CHRYSALIS_PASSPHRASE: 'p' } })).status, 0)
  assert.equal((await run(['init', '--passphrase-stdin', '--join', 'T'], { actions, input: 'secret\n' })).status, 0)
  assert.deepEqual(inits, [
    { home: '/nonexistent', name: 'a', passphrase: 'p' },
    { home: '/nonexistent', passphrase: 'secret', ticket: 'T' }
  ])
  assert.match((await run(['join', '-'], { actions, input: 'T\n' })).out, /joined team/)
  assert.match((await run(['config', 'print'], { actions })).out, /network.fanout +3 +default/)
  assert.equal((await run(['config', 'print', 'x'], { actions })).status, 4)
  const doctor = await run(['doctor'], { actions })
  assert.equal(doctor.status, 1)
  assert.match(doctor.out, /FAIL {2}keys: others can read them\n {6}chmod 600/)
  const demo = await run(['demo'], { actions })
  assert.deepEqual([demo.out, demo.status], ['hello\n', 1])
})

test('watch streams one object a line until interrupted, then exits 130', async (t) => {
  const { door } = await cli(t)
  for (let i = 0; i < 3; i++) await door.node.add({ content: `m${i}` })
  const controller = new AbortController()
  const onOutput = (out: string) => {
    if (out.split('\n').length > 3) controller.abort()
  }
  const ran = await run(['watch', '--cursor', '0', '--json'], {
    socket: door.path,
    signal: controller.signal,
    onOutput
  })
  assert.equal(ran.status, 130)
  const lines = ran.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { ok: boolean; data: { cursor: string } })
  assert.deepEqual(
    lines.map((line) => line.data.cursor),
    ['1', '2', '3']
  )
  assert.ok(lines.every((line) => line.ok))
})

test('an interrupted call is exit 130 and says so', async (t) => {
  const { door } = await cli(t)
  const release = door.node.hold('search')
  const controller = new AbortController()
  const running = run(['recall', 'x', '--json'], { socket: door.path, signal: controller.signal })
  while (!door.node.calls.some((call) => call.method === 'search'))
    await new Promise((resolve) => setImmediate(resolve))
  controller.abort()
  const ran = await running
  assert.deepEqual([ran.status, ran.json.error?.code], [130, 'cancelled'])
  release()
})

test('a slow daemon is exit 6', async (t) => {
  const { $, door } = await cli(t)
  const release = door.node.hold('search')
  assert.equal((await $('recall', 'x', '--timeout', '20ms')).status, 6)
  release()
})

test('stop waits until nobody answers', async (t) => {
  const { $, door } = await cli(t)
  let closed = false
  const stop = () => {
    setTimeout(() => void door.server.close().then(() => (closed = true)), 100)
  }
  Object.assign(door.control, { stop })
  const ran = await $('stop', '--json')
  assert.deepEqual([ran.status, ran.json.data], [0, { stopped: true, peer: FAKE_PEER }])
  assert.ok(closed)
})

test('a memory cannot give orders to the terminal', async (t) => {
  const { $, door } = await cli(t)
  const { id } = await door.node.add({
    content: 'evil \u001b[2J\u009b31m\u202etext\nsecond',
    tags: ['\u001b]0;t\u0007']
  })
  for (const line of [['list'], ['get', id], ['recall', 'evil'], ['lineage', id]]) {
    assert.doesNotMatch((await $(...line)).out, /[\u001b\u009b\u0007\u202e]/, line.join(' '))
  }
})

test('quiet leaves data and errors only; colour is for terminals and can be refused', async (t) => {
  const { door } = await cli(t)
  await door.node.add({ content: 'x' })
  const options = { socket: door.path, tty: true }

  const ESCAPE = /\u001b\[3\dm/
  assert.match((await run(['list'], options)).out, ESCAPE)
  assert.doesNotMatch((await run(['list', '--no-color'], options)).out, ESCAPE)
  assert.doesNotMatch((await run(['list'], { ...options, env: { NO_COLOR: '1' } })).out, ESCAPE)
  assert.equal((await run(['invite', '-q'], { socket: door.path })).err, '')
  assert.notEqual((await run(['invite'], { socket: door.path })).err, '')
})

test('an unexpected failure is exit 1 and does not throw', async () => {
  const doctorFiles = async () => {
    throw new TypeError('a bug')
  }
  const ran = await run(['doctor', '--json'], { actions: { doctorFiles } })
  assert.deepEqual([ran.status, ran.json.error?.code], [1, 'failure'])
})
