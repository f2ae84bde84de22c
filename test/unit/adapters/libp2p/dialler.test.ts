/** The schedule of adapters/libp2p/dialler on a clock that only the test moves. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Dialler, type DiallerOptions } from '../../../../src/adapters/libp2p/dialler.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import { SeededRandom } from '../../../../src/base/prng.ts'
import type { Clock } from '../../../../src/ports/clock.ts'

/** Timers fire in order of time when `pass` reaches them. */
class HandClock implements Clock {
  #nowMs = 0
  #timers: { atMs: number; action: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  setTimer(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, action }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const next = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.action()
    }
    this.#nowMs = endMs
  }
}

class Scene {
  readonly clock = new HandClock()
  readonly connected = new Set<string>()
  readonly refusing = new Set<string>()
  readonly banned = new Set<string>()
  readonly dials: { atMs: number; peer: string | undefined; addresses: readonly string[] }[] = []
  readonly dialler: Dialler
  /** What an address without a peer id turns out to be. */
  owner = 'owner'

  constructor(options: Partial<DiallerOptions> = {}) {
    this.dialler = new Dialler(
      { self: 'm', target: 3, ceiling: 6, backoffMs: 1_000, backoffMsMax: 60_000, exploreMs: 60_000, ...options },
      {
        clock: this.clock,
        random: new SeededRandom('dialler'),
        connected: () => this.connected,
        mayDial: (peer) => !this.banned.has(peer),
        dial: async (addresses, peer) => {
          this.dials.push({ atMs: this.clock.monotonicMs(), peer, addresses })
          const answerer = peer ?? this.owner
          if (this.refusing.has(answerer)) throw new Error('refused')
          this.connected.add(answerer)
          return answerer
        }
      }
    )
    this.dialler.start()
  }

  lose(peer: string): void {
    this.connected.delete(peer)
    this.dialler.onDisconnected(peer)
  }

  dialsOf(peer: string): number[] {
    return this.dials.filter((dial) => dial.peer === peer).map(({ atMs }) => atMs)
  }
}

describe('dialler', () => {
  it('works towards its number of connections, and rests there', async () => {
    const scene = new Scene({ target: LIMITS.connectionsTarget, ceiling: LIMITS.connectionsTarget + 10 })
    for (let n = 0; n < LIMITS.connectionsTarget - 1; n++) scene.connected.add(`dialled-us-${n}`)
    scene.dialler.know('first', ['/first'], 'saved')
    scene.dialler.know('second', ['/second'], 'saved')
    await scene.clock.pass(30_000)
    assert.equal(scene.dials.length, 1)
    assert.equal(scene.connected.size, LIMITS.connectionsTarget)
  })

  it('dials what it learns and leaves it alone once connected', async () => {
    const scene = new Scene()
    scene.dialler.know('a', ['/a'], 'saved')
    await scene.clock.pass(600_000)
    assert.deepEqual(
      scene.dials.map(({ peer, addresses }) => [peer, addresses]),
      [['a', ['/a']]]
    )
  })

  it('never dials itself', async () => {
    const scene = new Scene()
    scene.dialler.know('m', ['/m'], 'mdns')
    await scene.clock.pass(60_000)
    assert.equal(scene.dials.length, 0)
  })

  it('backs off to a minute and never gives up', async () => {
    const scene = new Scene()
    scene.refusing.add('a')
    scene.dialler.know('a', ['/a'], 'bootstrap', true)
    await scene.clock.pass(3_600_000)
    const times = scene.dialsOf('a')
    const gaps = times.slice(1).map((atMs, i) => atMs - (times[i] as number))
    assert.ok(times.length > 60, `${times.length} dials in an hour`)
    assert.ok((gaps[0] as number) < 4_000)
    assert.ok(
      gaps.every((gapMs) => gapMs <= LIMITS.reconnectBackoffMsMax + 500),
      String(Math.max(...gaps))
    )
    assert.ok(
      gaps.slice(10).every((gapMs) => gapMs >= 25_000),
      'it does not hammer'
    )
    assert.ok(new Set(gaps.slice(10)).size > 1, 'two daemons do not fall into step')
    scene.refusing.delete('a')
    await scene.clock.pass(61_000)
    assert.ok(scene.connected.has('a'))
  })

  it('starts over from a short pause after a success', async () => {
    const scene = new Scene()
    scene.refusing.add('a')
    scene.dialler.know('a', ['/a'], 'bootstrap', true)
    await scene.clock.pass(600_000)
    scene.refusing.delete('a')
    await scene.clock.pass(61_000)
    const before = scene.dialsOf('a').length
    scene.lose('a')
    await scene.clock.pass(2_500)
    assert.equal(scene.dialsOf('a').length, before + 1)
  })

  it('works towards the target, then only explores', async () => {
    const scene = new Scene({ target: 3, ceiling: 5 })
    for (let i = 0; i < 20; i++) scene.dialler.know(`p${i}`, [`/p${i}`], 'saved')
    await scene.clock.pass(30_000)
    assert.equal(scene.connected.size, 3)
    await scene.clock.pass(45_000)
    assert.equal(scene.connected.size, 4, 'a partition heals by exploring')
    await scene.clock.pass(600_000)
    assert.equal(scene.connected.size, 5, 'up to the ceiling')
  })

  it('dials pinned peers whatever the target says', async () => {
    const scene = new Scene({ target: 1, ceiling: 1 })
    for (let i = 0; i < 4; i++) scene.dialler.know(`p${i}`, [`/p${i}`], 'bootstrap', true)
    await scene.clock.pass(5_000)
    assert.equal(scene.connected.size, 4)
  })

  it('lets the smaller id dial first when both discover each other', async () => {
    const scene = new Scene()
    scene.dialler.know('z', ['/z'], 'mdns')
    scene.dialler.know('a', ['/a'], 'mdns')
    await scene.clock.pass(1_000)
    assert.deepEqual([...scene.connected], ['z'], 'we are m: z waits for us')
    await scene.clock.pass(4_000)
    assert.ok(scene.connected.has('a'), 'and a, which never came, is dialled by us in the end')
  })

  it('leaves banned peers alone until the ban ends', async () => {
    const scene = new Scene()
    scene.banned.add('a')
    scene.dialler.know('a', ['/a'], 'bootstrap', true)
    await scene.clock.pass(120_000)
    assert.equal(scene.dials.length, 0)
    scene.banned.clear()
    await scene.clock.pass(10_000)
    assert.ok(scene.connected.has('a'))
  })

  it('keeps one entry for an address that turns out to be a known peer', async () => {
    const scene = new Scene()
    scene.dialler.know(undefined, ['/somewhere'], 'bootstrap', true)
    scene.dialler.know('owner', ['/owner'], 'saved')
    scene.refusing.add('owner')
    await scene.clock.pass(1_000)
    scene.refusing.delete('owner')
    await scene.clock.pass(20_000)
    scene.dialler.know('owner', ['/third'], 'mdns')
    scene.lose('owner')
    await scene.clock.pass(120_000)
    const entry = scene.dialler.entryOf('owner')
    assert.ok(entry?.addresses.includes('/third'))
    assert.ok(scene.connected.has('owner'))
  })

  it('forgets on request and stops on request', async () => {
    const scene = new Scene()
    scene.refusing.add('a')
    scene.dialler.know('a', ['/a'], 'saved')
    await scene.clock.pass(10_000)
    scene.dialler.forget('a')
    const before = scene.dials.length
    await scene.clock.pass(300_000)
    assert.equal(scene.dials.length, before)
    scene.dialler.know('b', ['/b'], 'saved')
    await scene.dialler.stop()
    await scene.clock.pass(300_000)
    assert.equal(scene.dials.length, before)
  })

  it('bounds its table and the addresses of one peer, and keeps pinned peers', async () => {
    const scene = new Scene({ target: 0, ceiling: 0 })
    scene.dialler.know('pinned', ['/pinned'], 'bootstrap', true)
    for (let i = 0; i < LIMITS.savedPeersMax + 50; i++) scene.dialler.know(`p${i}`, ['/x'], 'dht')
    assert.equal(scene.dialler.entries().length, LIMITS.savedPeersMax)
    assert.ok(scene.dialler.entryOf('pinned') !== undefined)
    for (let i = 0; i < 50; i++) scene.dialler.know('pinned', [`/a${i}`], 'mdns')
    assert.equal(scene.dialler.entryOf('pinned')?.addresses.length, LIMITS.addressesPerPeerMax)
  })

  it('dials a bounded number at once', async () => {
    const clock = new HandClock()
    let running = 0
    const dialler = new Dialler(
      { self: 'm', target: 900, ceiling: 900, backoffMs: 1_000, backoffMsMax: 60_000, exploreMs: 60_000 },
      {
        clock,
        random: new SeededRandom('many'),
        connected: () => new Set<string>(),
        mayDial: () => true,
        dial: async () => {
          running++
          return new Promise<string>(() => {})
        }
      }
    )
    dialler.start()
    for (let i = 0; i < 100; i++) dialler.know(`p${i}`, ['/x'], 'saved')
    await clock.pass(60_000)
    assert.equal(running, LIMITS.parallelDialsMax)
  })
})
