/** The globals of a process while a world runs: everything set through them happens in virtual time. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { SeededRandom } from '../../../src/base/prng.ts'
import { virtualGlobals, type VirtualGlobals } from '../../../simulations/kernel/globals.ts'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { WORLD_EPOCH_MS } from '../../../simulations/world/sim-clock.ts'

const REAL = {
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  setImmediate,
  clearImmediate,
  Date,
  now: Object.getOwnPropertyDescriptor(performance, 'now'),
  random: Math.random,
  values: Object.getOwnPropertyDescriptor(crypto, 'getRandomValues'),
  timeout: AbortSignal.timeout
}

suite('virtual globals', () => {
  let queue: EventQueue
  let globals: VirtualGlobals

  beforeEach(() => {
    queue = new EventQueue()
    globals = virtualGlobals(queue, new SeededRandom('globals'))
  })

  afterEach(() => {
    globals.restore()
  })

  test('timers fire by virtual time and then by the order of setting, with their arguments', async () => {
    const fired: string[] = []
    setTimeout((a: string, b: number) => fired.push(`${a}${b} ${queue.nowMs}`), 20, 'late', 1)
    setTimeout(() => fired.push(`first ${queue.nowMs}`), 10)
    setTimeout(() => fired.push(`second ${queue.nowMs}`), 10)
    setImmediate(() => fired.push(`at once ${queue.nowMs}`))
    setTimeout(() => fired.push(`no delay ${queue.nowMs}`))
    await queue.run(100)
    assert.deepEqual(fired, ['at once 0', 'no delay 1', 'first 10', 'second 10', 'late1 20'])
  })

  test('nothing that was set is a real timer', async () => {
    setTimeout(() => undefined, 1)
    setInterval(() => undefined, 1_000).ref()
    AbortSignal.timeout(5)
    assert.equal(globals.escaped(), 0)
    const real = REAL.setTimeout(() => undefined, 60_000)
    assert.equal(globals.escaped(), 1, 'one that escapes is seen')
    REAL.clearTimeout(real)
    assert.equal(globals.escaped(), 0)
  })

  test('an interval repeats until it is cleared, also from within', async () => {
    const fired: number[] = []
    const interval = setInterval(() => {
      fired.push(queue.nowMs)
      if (fired.length === 3) clearInterval(interval)
    }, 50)
    await queue.run(1_000)
    assert.deepEqual(fired, [50, 100, 150])
    assert.equal(queue.live, 0)
  })

  test('clearing works by handle, by number, by what is no timer, and twice', async () => {
    const fired: string[] = []
    const handle = setTimeout(() => fired.push('handle'), 5)
    const number = Number(setTimeout(() => fired.push('number'), 5))
    clearTimeout(handle)
    clearTimeout(handle)
    clearTimeout(number)
    clearTimeout(undefined)
    clearTimeout(987_654)
    clearImmediate(setImmediate(() => fired.push('immediate')))
    setTimeout(() => fired.push('stays'), 5)
    await queue.run(10)
    assert.deepEqual(fired, ['stays'])
  })

  test('a handle can be refreshed, referenced, disposed', async () => {
    const fired: number[] = []
    const timer = setTimeout(() => fired.push(queue.nowMs), 10)
    assert.equal(timer.hasRef(), true)
    assert.equal(timer.unref().hasRef(), false)
    assert.equal(timer.ref().hasRef(), true)
    await queue.run(6)
    timer.refresh()
    await queue.run(30)
    assert.deepEqual(fired, [16])
    timer.refresh()
    await queue.run(60)
    assert.deepEqual(fired, [16, 40])
    const disposed = setTimeout(() => fired.push(0), 1)
    disposed[Symbol.dispose]()
    await queue.run(100)
    assert.deepEqual(fired, [16, 40])
  })

  test('the clocks tell virtual time', async () => {
    await queue.run(1_234.5)
    assert.equal(Date.now(), WORLD_EPOCH_MS + 1_234)
    assert.equal(new Date().getTime(), WORLD_EPOCH_MS + 1_234)
    assert.equal(performance.now(), 1_234.5)
    assert.ok(new Date() instanceof Date && new Date() instanceof REAL.Date)
    assert.equal(new Date(2026, 0, 2, 3).getHours(), 3)
    assert.equal(new Date('2026-05-01T00:00:00Z').toISOString(), '2026-05-01T00:00:00.000Z')
    assert.equal(Date.UTC(1970, 0, 1), 0)
    assert.equal(Date.parse('1970-01-01T00:00:01Z'), 1_000)
    assert.equal(typeof Date(), 'string')
  })

  test('chance comes from the seed', () => {
    const roll = (): unknown[] => [
      Math.random(),
      [...crypto.getRandomValues(new Uint8Array(4))],
      [...crypto.getRandomValues(new Uint32Array(2))],
      crypto.randomUUID()
    ]
    const first = roll()
    assert.match(String(first[3]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    globals.restore()
    globals = virtualGlobals(queue, new SeededRandom('globals'))
    assert.deepEqual(roll(), first)
    assert.notDeepEqual(roll(), first)
  })

  test('a signal with a timeout is aborted in virtual time, with the error it always has', async () => {
    const signal = AbortSignal.timeout(30_000)
    await queue.run(29_999)
    assert.equal(signal.aborted, false)
    await queue.run(30_000)
    assert.equal(signal.aborted, true)
    assert.equal((signal.reason as DOMException).name, 'TimeoutError')
  })

  test('a second world is refused while one runs, and everything is put back', () => {
    assert.throws(() => virtualGlobals(new EventQueue(), new SeededRandom('x')), /another world/)
    assert.notEqual(globalThis.setTimeout, REAL.setTimeout)
    globals.restore()
    globals.restore()
    for (const name of [
      'setTimeout',
      'clearTimeout',
      'setInterval',
      'clearInterval',
      'setImmediate',
      'Date'
    ] as const) {
      assert.equal(globalThis[name], REAL[name], name)
    }
    assert.equal(Math.random, REAL.random)
    assert.equal(AbortSignal.timeout, REAL.timeout)
    assert.deepEqual(Object.getOwnPropertyDescriptor(performance, 'now'), REAL.now)
    assert.deepEqual(Object.getOwnPropertyDescriptor(crypto, 'getRandomValues'), REAL.values)
    assert.ok(Date.now() > 0 && performance.now() >= 0)
  })
})
