import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { Partners } from '../../../src/node/partners.ts'
import type { PeerInfo } from '../../../src/ports/network.ts'

const TOPIC = 'space topic'

function info(peer: string, changes: Partial<PeerInfo> = {}): PeerInfo {
  return {
    peer,
    addresses: [`/at/${peer}`],
    connected: true,
    topics: [TOPIC],
    direction: 'outbound',
    score: 0,
    bannedUntilMs: 0,
    source: 'connected',
    ...changes
  }
}
const saved = (peer: string): PeerInfo => info(peer, { connected: false, topics: [], source: 'saved' })

function bench(seed = 'partners') {
  const options = { topic: TOPIC, backoffMs: 2_000, backoffMsMax: 60_000 }
  const partners = new Partners(options, { random: new SeededRandom(seed) })
  const choose = (peers: readonly PeerInfo[], monotonicMs = 0, isTaken = (_: string): boolean => false) =>
    partners.choose({ peers, nowMs: 0, monotonicMs, isTaken })
  const draws = (peers: readonly PeerInfo[], count = 400, monotonicMs = 0) => {
    const seen: Record<string, number> = {}
    for (let i = 0; i < count; i++) {
      const choice = choose(peers, monotonicMs)
      const name = 'peer' in choice ? choice.peer : `wait ${choice.waitMs}`
      seen[name] = (seen[name] ?? 0) + 1
    }
    return seen
  }
  return { partners, choose, draws }
}

describe('partners', () => {
  it('are half of the time those known from before, and half of the time those of the mesh', () => {
    const { draws } = bench()
    // Nine saved ones against one of the mesh, which is known too: by number alone it would have a tenth.
    const peers = [info('mesh'), ...Array.from({ length: 9 }, (_, i) => saved(`saved ${i}`))]
    const seen = draws(peers, 2_000)
    assert.equal(Object.keys(seen).length, 10)
    const mesh = seen['mesh'] ?? 0
    assert.ok(mesh > 1_000 && mesh < 1_200, `${mesh} of 2000`)
  })

  it('are nobody when nobody is known, and after a pause when all have failed', () => {
    const { partners, choose } = bench()
    assert.deepEqual(choose([]), { waitMs: Infinity })
    partners.failed('gone', 1_000, false)
    assert.deepEqual(choose([saved('gone')], 1_000), { waitMs: 2_000 })
    assert.deepEqual(choose([saved('gone')], 3_000), { peer: 'gone', connected: false })
  })

  it('are never the one that failed last while there is another', () => {
    const { partners, draws } = bench()
    partners.failed('a', 0, true)
    assert.deepEqual(Object.keys(draws([info('a'), info('b')])), ['b'])
    assert.deepEqual(Object.keys(draws([info('a'), saved('c')])), ['c'], 'not even when the other is only saved')
    assert.deepEqual(Object.keys(draws([info('a')])), ['a'], 'but rather the same one than nobody')
    partners.busy('b')
    assert.deepEqual(Object.keys(draws([info('a'), info('b')])), ['a'])
    partners.succeeded('a')
    assert.equal(Object.keys(draws([info('a'), info('b')])).length, 2, 'a success forgives everybody')
  })

  it('are passed over for longer with every failure, up to the longest pause', () => {
    const { partners, choose } = bench()
    const pauses = Array.from({ length: 8 }, () => {
      partners.failed('a', 0, false)
      const choice = choose([saved('a')])
      return 'waitMs' in choice ? choice.waitMs : 0
    })
    assert.deepEqual(pauses, [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  it('are forgiven one failure when they are connected: it may be chance', () => {
    const { partners, choose } = bench()
    partners.failed('a', 0, true)
    assert.deepEqual(choose([info('a')]), { peer: 'a', connected: true })
    partners.failed('a', 0, true)
    assert.deepEqual(choose([info('a')]), { waitMs: 2_000 })
  })

  it('are asked again at once when they come by themselves, and before all others', () => {
    const { partners, choose } = bench()
    for (let i = 0; i < 9; i++) partners.failed('a', 0, false)
    partners.succeeded('b')
    partners.came('a')
    const peers = [info('b'), info('c'), info('a')]
    for (let i = 0; i < 20; i++) assert.deepEqual(choose(peers), { peer: 'a', connected: true })
    partners.succeeded('a')
    assert.ok(Array.from({ length: 50 }, () => choose(peers)).some((choice) => 'peer' in choice && choice.peer !== 'a'))
  })

  it('are not those who are taken, banned, or elsewhere', () => {
    const { draws, choose } = bench()
    const peers = [
      info('banned', { bannedUntilMs: 1 }),
      info('of another space', { topics: ['another topic'] }),
      saved('found by discovery'),
      info('taken')
    ].map((peer) => (peer.peer === 'found by discovery' ? { ...peer, source: 'mdns' as const } : peer))
    assert.deepEqual(
      choose(peers, 0, (peer) => peer === 'taken'),
      { waitMs: Infinity }
    )
    assert.deepEqual(Object.keys(draws(peers)), ['taken'])
  })

  it('may be somebody who takes no part in gossip, and somebody known from an earlier life', () => {
    const { partners, draws } = bench()
    assert.deepEqual(Object.keys(draws([info('quiet', { topics: [] })])), ['quiet'])
    partners.remember('old friend')
    const peers = [info('old friend', { connected: false, topics: [], source: 'mdns' })]
    assert.deepEqual(Object.keys(draws(peers)), ['old friend'])
  })

  it('are counted whether they are connected or not', () => {
    const { partners } = bench()
    const peers = [
      info('a'),
      saved('b'),
      info('elsewhere', { topics: ['another'] }),
      info('banned', { bannedUntilMs: 9 })
    ]
    assert.equal(partners.known(peers, 0), 2)
    assert.equal(partners.known(peers, 9), 3)
  })

  it(`leaves a stranger alone for ${LIMITS.reconStrangerMsMax} ms, unless it comes again`, () => {
    const { partners, choose } = bench()
    partners.stranger('a', 0)
    const quiet = [info('a', { topics: [] })]
    assert.deepEqual(choose(quiet, LIMITS.reconStrangerMsMax - 1), { waitMs: 1 })
    assert.deepEqual(choose(quiet, LIMITS.reconStrangerMsMax), { peer: 'a', connected: true })
    partners.stranger('a', 0)
    partners.came('a')
    assert.deepEqual(choose([info('a')]), { peer: 'a', connected: true })
  })
})
