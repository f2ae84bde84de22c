/** Three unanswered pings in a row end a connection, two do not; a dead gossip link is reset after its grace. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Liveness } from '../../../../src/adapters/libp2p/liveness.ts'
import { GossipWatchdog } from '../../../../src/adapters/libp2p/watchdog.ts'
import type { Clock } from '../../../../src/ports/clock.ts'

function stillClock(): Clock & { nowIs: number } {
  return {
    nowIs: 0,
    nowMs() {
      return this.nowIs
    },
    monotonicMs() {
      return this.nowIs
    },
    setTimer: () => () => {}
  }
}

describe('liveness', () => {
  function scene(): { liveness: Liveness; answers: Set<string>; connected: Set<string>; lost: string[] } {
    const answers = new Set<string>()
    const connected = new Set(['a', 'b'])
    const lost: string[] = []
    const liveness = new Liveness({
      clock: stillClock(),
      connected: () => connected,
      isOurs: () => true,
      ping: async (peer) => {
        if (!answers.has(peer)) throw new Error('late')
      },
      giveUp: (peer) => lost.push(peer)
    })
    liveness.start()
    return { liveness, answers, connected, lost }
  }

  it('gives up after three misses in a row, not after two', async () => {
    const { liveness, answers, lost } = scene()
    answers.add('b')
    await liveness.round()
    await liveness.round()
    assert.deepEqual(lost, [])
    await liveness.round()
    assert.deepEqual(lost, ['a'])
  })

  it('forgives everything at one answer', async () => {
    const { liveness, answers, lost } = scene()
    answers.add('b')
    for (let i = 0; i < 10; i++) {
      await liveness.round()
      await liveness.round()
      answers.add('a')
      await liveness.round()
      answers.delete('a')
    }
    assert.deepEqual(lost, [])
  })

  it('starts from zero with a new connection', async () => {
    const { liveness, connected, lost, answers } = scene()
    answers.add('b')
    await liveness.round()
    await liveness.round()
    connected.delete('a')
    await liveness.round()
    connected.add('a')
    await liveness.round()
    assert.deepEqual(lost, [])
  })

  it('asks a slow peer once at a time', async () => {
    let asked = 0
    const liveness = new Liveness({
      clock: stillClock(),
      connected: () => ['a'],
      isOurs: () => true,
      ping: async () => {
        asked++
        return new Promise(() => {})
      },
      giveUp: () => {}
    })
    liveness.start()
    void liveness.round()
    void liveness.round()
    assert.equal(asked, 1)
  })
})

describe('liveness, of the two ends of a connection', () => {
  it('asks whom it dialled every round, who dialled it every third, and who missed one at once again', async () => {
    const asked: string[] = []
    const answers = new Set(['dialled', 'dialling'])
    const liveness = new Liveness({
      clock: stillClock(),
      connected: () => ['dialled', 'dialling'],
      isOurs: (peer) => peer === 'dialled',
      ping: async (peer) => {
        asked.push(peer)
        if (!answers.has(peer)) throw new Error('late')
      },
      giveUp: () => undefined
    })
    liveness.start()
    for (let round = 0; round < 6; round++) await liveness.round()
    assert.equal(asked.filter((peer) => peer === 'dialled').length, 6)
    assert.equal(asked.filter((peer) => peer === 'dialling').length, 2)
    answers.delete('dialling')
    for (let round = 6; round < 9; round++) await liveness.round()
    assert.equal(asked.filter((peer) => peer === 'dialling').length, 5)
  })
})

describe('gossip watchdog', () => {
  it('resets a link that stayed dead for the grace, and only such a one', async () => {
    const clock = stillClock()
    const linked = new Set(['healthy'])
    const reset: string[] = []
    const watchdog = new GossipWatchdog(
      {
        clock,
        connected: () => ['healthy', 'dead', 'limping', 'mute'],
        speakers: async (peers) => peers.filter((peer) => peer !== 'mute'),
        isLinked: (peer) => linked.has(peer),
        reset: (peer) => reset.push(peer)
      },
      10_000
    )
    await watchdog.look()
    clock.nowIs = 9_999
    linked.add('limping')
    await watchdog.look()
    assert.deepEqual(reset, [])
    linked.delete('limping')
    clock.nowIs = 10_000
    await watchdog.look()
    assert.deepEqual(reset, ['dead'])
    clock.nowIs = 19_999
    await watchdog.look()
    assert.deepEqual(reset, ['dead'], 'a reset link has its grace again')
  })
})
