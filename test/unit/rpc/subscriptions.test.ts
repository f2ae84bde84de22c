import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../../src/base/limits.ts'
import { endOfLog, Subscription, type Outlet } from '../../../src/rpc/subscriptions.ts'
import { createFakeNode, OTHER_PEER, type FakeNode } from '../../support/fake-node.ts'

/** Takes what it is given until told that it is full. */
class TestOutlet implements Outlet {
  readonly sent: { method: string; params: Record<string, unknown> }[] = []
  #full = false
  readonly #waiting: ((open: boolean) => void)[] = []

  notify(method: string, params: object): void {
    this.sent.push({ method, params: params as Record<string, unknown> })
  }

  full(): boolean {
    return this.#full
  }

  async room(): Promise<boolean> {
    while (this.#full) await new Promise<boolean>((resolve) => this.#waiting.push(resolve))
    return true
  }

  setFull(full: boolean): void {
    this.#full = full
    if (!full) for (const resolve of this.#waiting.splice(0)) resolve(true)
  }

  cursors(): string[] {
    return this.sent.flatMap(({ params }) => (params['type'] === 'memory' ? [String(params['cursor'])] : []))
  }
}

const ALL = ['memory', 'peer', 'sync', 'node']

function subscribe(
  node: FakeNode,
  outlet: Outlet,
  options: { cursor?: string; topics?: string[]; spaces?: string[] } = {}
) {
  const { cursor = '0', topics = ALL, spaces } = options
  return new Subscription({ id: 's1', node, outlet, topics: new Set(topics), spaces, cursor })
}

/** Lets everything that can go on without outside help go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => String(i + 1))

test('replay runs into live with nothing lost and nothing twice, whatever happens when', async () => {
  const steps = fc.array(fc.constantFrom('add', 'add', 'full', 'room', 'turn', 'start'), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(20), fc.nat(20), async (script, before, cursor) => {
      const node = createFakeNode()
      const outlet = new TestOutlet()
      for (let i = 0; i < before; i++) await node.add({ content: `before ${i}` })
      const from = Math.min(cursor, before)
      const subscription = subscribe(node, outlet, { cursor: String(from) })
      let started = false
      for (const step of [...script, 'start']) {
        if (step === 'add') await node.add({ content: 'more' })
        else if (step === 'full') outlet.setFull(true)
        else if (step === 'room') outlet.setFull(false)
        else if (step === 'turn') await new Promise((resolve) => setImmediate(resolve))
        else if (!started) {
          started = true
          subscription.start()
        }
      }
      outlet.setFull(false)
      await settle()
      const total = Number(await endOfLog(node))
      assert.deepEqual(outlet.cursors(), upTo(total).slice(from))
      assert.deepEqual(
        outlet.sent.map(({ params }) => params['seq']),
        outlet.sent.map((_, i) => i)
      )
      subscription.close()
    }),
    { numRuns: 60 }
  )
})

test('a log longer than a page is read to its end', async () => {
  const node = createFakeNode()
  await node.addMany(Array.from({ length: 300 }, (_, i) => ({ content: `${i}` })))
  const outlet = new TestOutlet()
  subscribe(node, outlet).start()
  await settle()
  assert.deepEqual(outlet.cursors(), upTo(300))
})

test('live events are let go while the reader is slow, and one notice says which', async () => {
  const node = createFakeNode()
  const outlet = new TestOutlet()
  subscribe(node, outlet).start()
  await settle()
  const say = (detail: string) => node.emit({ type: 'node', what: 'test', detail })
  say('0')
  outlet.setFull(true)
  for (const detail of ['1', '2', '3']) say(detail)
  await node.add({ content: 'kept' })
  await settle()
  assert.equal(outlet.sent.length, 1, 'a memory event waits for room')
  outlet.setFull(false)
  await settle()
  say('5')
  const seen = outlet.sent.map(({ method, params }) =>
    method === 'events.gap' ? params : [params['seq'], params['type']]
  )
  assert.deepEqual(seen, [[0, 'node'], { subscription: 's1', from: 1, to: 3 }, [4, 'memory'], [5, 'node']])
})

test('a gap is told before whatever follows it, however soon that comes', async () => {
  const node = createFakeNode()
  const outlet = new TestOutlet()
  subscribe(node, outlet, { topics: ['node'] }).start()
  outlet.setFull(true)
  node.emit({ type: 'node', what: 'lost', detail: '' })
  outlet.setFull(false)
  node.emit({ type: 'node', what: 'first after', detail: '' })
  await settle()
  assert.deepEqual(
    outlet.sent.map(({ method }) => method),
    ['events.gap', 'events.event']
  )
})

test('topics and spaces are kept to', async () => {
  const node = createFakeNode()
  const outlet = new TestOutlet()
  subscribe(node, outlet, { topics: ['memory', 'sync'], spaces: ['private'] }).start()
  await settle()
  const sync = { type: 'sync', peer: OTHER_PEER, result: 'equal', received: 0, sent: 0 } as const
  node.emit({ ...sync, space: '11'.repeat(16) })
  node.emit({ ...sync, space: '22'.repeat(16) })
  node.emit({ type: 'peer', peer: OTHER_PEER, what: 'connected' })
  await node.add({ content: 'shared' })
  await node.add({ content: 'private', space: 'private' })
  await settle()
  assert.deepEqual(
    outlet.sent.map(({ params }) => [params['type'], (params['data'] as { space: string }).space]),
    [
      ['sync', '22'.repeat(16)],
      ['memory', '22'.repeat(16)]
    ]
  )
  assert.throws(() => subscribe(node, outlet, { spaces: ['nowhere'] }), { code: 'not_found' })
})

test('nothing is sent after close', async () => {
  const node = createFakeNode()
  const outlet = new TestOutlet()
  const subscription = subscribe(node, outlet)
  subscription.start()
  await settle()
  subscription.close()
  await node.add({ content: 'late' })
  node.emit({ type: 'node', what: 'late', detail: '' })
  await settle()
  assert.deepEqual(outlet.sent, [])
})

test('a log that cannot be read ends the subscription with a reason', async () => {
  const node = createFakeNode()
  const outlet = new TestOutlet()
  node.fail('changes', new Error('the disk is gone'))
  subscribe(node, outlet).start()
  await settle()
  assert.deepEqual(outlet.sent, [{ method: 'events.end', params: { subscription: 's1', reason: 'the disk is gone' } }])
})

test('the end of the log is found with an engine that tells it and with one that does not', async () => {
  for (const naive of [false, true]) {
    const node = createFakeNode()
    node.naiveLog = naive
    assert.ok(['', '0'].includes(await endOfLog(node)))
    await node.addMany(Array.from({ length: 1_500 }, (_, i) => ({ content: `${i}` })))
    assert.equal(await endOfLog(node), '1500')
    const walked = node.calls.filter((call) => call.method === 'changes').length
    assert.equal(walked > 2, naive)
  }
})

test('the log is read a bounded page at a time, however far behind the reader is', async () => {
  for (const behind of [LIMITS.rpcEventsPageMax - 1, LIMITS.rpcEventsPageMax, LIMITS.rpcEventsPageMax + 1]) {
    const node = createFakeNode()
    for (let i = 0; i < behind; i++) await node.add({ content: `memory ${i}` })
    const pages: number[] = []
    const changes = node.changes.bind(node)
    node.changes = async (request) => {
      const page = await changes(request)
      if (request.limit !== 0) pages.push(page.changes.length)
      return page
    }
    const outlet = new TestOutlet()
    subscribe(node, outlet).start()
    await settle()
    assert.deepEqual(outlet.cursors(), upTo(behind))
    assert.equal(Math.max(...pages), Math.min(behind, LIMITS.rpcEventsPageMax))
  }
})
