/** How many reconciliation sessions a daemon answers at once: in all, for one peer, and again once there is room. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../src/base/limits.ts'
import type { Channel } from '../../src/ports/network.ts'
import { decodeReconFrame, encodeReconFrame, RECON_PROTOCOL, type Hello } from '../../src/sync/recon-codec.ts'
import { Bench, type Engine } from '../support/engine.ts'
import type { FakeNetwork } from '../support/fake-network.ts'

async function guest(bench: Bench, engine: Engine, name: string): Promise<FakeNetwork> {
  const network = bench.air.create(name)
  await network.start()
  network.link(engine.network)
  return network
}

/** Says hello with another set and says no more. Answers what came back, and the channel, still open. */
async function hello(bench: Bench, engine: Engine, from: FakeNetwork): Promise<{ answer: string; channel: Channel }> {
  const [space] = engine.node.spaces().filter(({ shared }) => shared)
  assert.ok(space !== undefined)
  const channel = await bench.finish(from.open(engine.network.self, RECON_PROTOCOL))
  const hello: Hello = {
    frame: 'hello',
    space: space.id,
    nonce: new Uint8Array(16).fill(3),
    prefix: '',
    count: 1,
    root: new Uint8Array(16).fill(7),
    nowMs: engine.clock.nowMs(),
    settlingMs: 0,
    cells: undefined
  }
  await bench.finish(channel.send(encodeReconFrame(hello)))
  const bytes = await bench.finish(channel.receive())
  const answer = bytes === undefined ? undefined : decodeReconFrame(bytes)
  assert.ok(answer !== undefined)
  return { answer: answer.frame === 'refused' ? answer.reason : answer.frame, channel }
}

test('a second session of one peer is busy while the first goes on', async () => {
  const bench = new Bench()
  const engine = await bench.start({ seed: 1 })
  const peer = await guest(bench, engine, 'guest')
  const open: Channel[] = []
  for (let i = 0; i < LIMITS.reconInboundPerPeerMax; i++) {
    const { answer, channel } = await hello(bench, engine, peer)
    assert.equal(answer, 'tree')
    open.push(channel)
  }
  assert.equal((await hello(bench, engine, peer)).answer, 'busy')
  for (const channel of open) channel.abort('enough')
  await bench.pass(1_000)
  assert.equal((await hello(bench, engine, peer)).answer, 'tree', 'there is room again')
  await bench.stop()
})

test('sessions are answered up to the bound in all, and the next peer is told to come later', async () => {
  const bench = new Bench()
  const engine = await bench.start({ seed: 1 })
  const open: Channel[] = []
  for (let i = 0; i < LIMITS.reconInboundMax; i++) {
    const { answer, channel } = await hello(bench, engine, await guest(bench, engine, `guest ${i}`))
    assert.equal(answer, 'tree', `session ${i + 1} of ${LIMITS.reconInboundMax}`)
    open.push(channel)
  }
  const late = await guest(bench, engine, 'late')
  assert.equal((await hello(bench, engine, late)).answer, 'busy')
  open[0]?.abort('enough')
  await bench.pass(1_000)
  assert.equal((await hello(bench, engine, late)).answer, 'tree')
  await bench.stop()
})
