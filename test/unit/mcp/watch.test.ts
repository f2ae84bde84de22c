/** Who is told of which change, how often, and how much is kept for those who do not read. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { touches, Watch, type DaemonEvent } from '../../../src/mcp/watch.ts'

const ID = 'ab'.repeat(32)
const wrote = (records: readonly string[] = [ID], space = 's1'): DaemonEvent => ({
  type: 'memory',
  change: { space, peer: 'p1', records }
})

function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const told: string[] = []
  const listeners = new Set<(event: DaemonEvent) => void>()
  const state = { full: false }
  const watch = new Watch({
    listen: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    notify: (uri) => void told.push(uri),
    full: () => state.full,
    spaceName: (id) => (id === 's1' ? 'team one' : undefined)
  })
  const say = (event: DaemonEvent): void => {
    for (const listener of listeners) listener(event)
  }
  return { watch, told, listeners, state, say, pass: () => t.mock.timers.tick(LIMITS.mcpNotifyMs) }
}

test('what a change touches', () => {
  const cases: readonly (readonly [string, DaemonEvent, string | undefined, boolean])[] = [
    ['chrysalis://recent', wrote(), 'x', true],
    ['chrysalis://recent', { type: 'peer', peer: 'p1' }, 'x', false],
    ['chrysalis://status', { type: 'peer', peer: 'p1' }, 'x', true],
    ['memory://knowledge-graph', wrote(), 'x', true],
    [`chrysalis://memory/${ID}`, wrote(), 'x', true],
    [`chrysalis://memory/${ID.slice(0, 8)}`, wrote(), 'x', true],
    ['chrysalis://memory/', wrote(), 'x', false],
    [`chrysalis://memory/${'cd'.repeat(32)}`, wrote(), 'x', false],
    ['chrysalis://space/team%20one/recent', wrote(), 'team one', true],
    ['chrysalis://space/s1/recent', wrote(), 'team one', true],
    ['chrysalis://space/other/recent', wrote(), 'team one', false],
    ['chrysalis://space/other/recent', wrote(), undefined, true],
    ['chrysalis://space/%zz/recent', wrote(), 'team one', false],
    ['chrysalis://peer/p1', wrote(), 'x', true],
    ['chrysalis://peer/p1', { type: 'peer', peer: 'p1' }, 'x', true],
    ['chrysalis://peer/p2', wrote(), 'x', false]
  ]
  for (const [uri, event, name, expected] of cases) assert.equal(touches(uri, event, name), expected, uri)
})

test('changes within a moment are told once, to those who asked', (t) => {
  const { watch, told, say, pass } = setUp(t)
  watch.set('r1', ['chrysalis://recent', `chrysalis://memory/${'cd'.repeat(32)}`])
  for (let i = 0; i < 100; i++) say(wrote())
  assert.deepEqual(told, [])
  pass()
  assert.deepEqual(told, ['chrysalis://recent'])
  pass()
  assert.equal(told.length, 1)
})

test('the daemon is listened to only while somebody watches', (t) => {
  const { watch, told, say, listeners, pass } = setUp(t)
  assert.equal(listeners.size, 0)
  watch.add('r1', 'chrysalis://recent')
  watch.add('r1', 'chrysalis://recent')
  assert.deepEqual([listeners.size, watch.size], [1, 1])
  say(wrote())
  watch.remove('r1', 'chrysalis://recent')
  assert.equal(listeners.size, 0)
  pass()
  assert.deepEqual(told, [])
  watch.set('r2', ['chrysalis://recent'])
  watch.close()
  assert.deepEqual([listeners.size, watch.size], [0, 0])
})

test('nothing is written to a client that does not read, and it is told once it does', (t) => {
  const { watch, told, say, state, pass } = setUp(t)
  watch.set('r1', ['chrysalis://recent'])
  state.full = true
  for (let i = 0; i < 10; i++) {
    say(wrote())
    pass()
  }
  assert.deepEqual(told, [])
  state.full = false
  pass()
  assert.deepEqual(told, ['chrysalis://recent'])
})

test('a connection watches so many resources and no more', (t) => {
  const { watch } = setUp(t)
  const uris = Array.from(
    { length: LIMITS.mcpWatchedMax },
    (_, i) => `chrysalis://memory/${String(i).padStart(6, '0')}`
  )
  watch.set('r1', uris)
  assert.throws(() => watch.add('r2', 'chrysalis://recent'), { code: 'rate_limited' })
  assert.equal(watch.size, LIMITS.mcpWatchedMax)
  watch.set('r1', uris.slice(1))
  watch.add('r2', 'chrysalis://recent')
  assert.equal(watch.size, LIMITS.mcpWatchedMax)
})
