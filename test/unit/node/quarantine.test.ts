import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { hlcMs } from '../../../src/memory/ids.ts'
import { Quarantine, type Quarantined } from '../../../src/node/quarantine.ts'
import { deltaKey } from '../../../src/node/rows.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { Disk } from '../../support/damage.ts'
import { at } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { identity, SPACE } from '../../support/sealed.ts'

/** A quarantine beside a set that is known by name only. */
class Ward {
  readonly disk: Disk
  readonly queue = new EventQueue()
  readonly metrics = createMetrics()
  readonly set = new Map<string, number>()
  readonly confirmed: (readonly Quarantined[])[] = []
  readonly quarantine: Quarantine
  located = 0
  misplaced = 0

  constructor(disk = new Disk()) {
    this.disk = disk
    this.quarantine = new Quarantine({
      store: disk.store,
      crypto: identity(),
      clock: new SimClock(this.queue),
      metrics: this.metrics,
      logger: silentLogger,
      held: {
        has: (_space, ms, id) => this.set.get(id) === ms,
        locate: (_space, ids) => {
          this.located++
          return Promise.resolve(new Map([...this.set].filter(([id]) => ids.has(id))))
        }
      },
      confirmed: (entries) => this.confirmed.push(entries),
      misplaced: () => this.misplaced++
    })
  }

  async store(delta: VerifiedDelta, under = delta.id): Promise<void> {
    const row = { table: 'delta' as const, key: deltaKey(SPACE, under), value: encodeDelta(delta) }
    await this.disk.store.batch([row], { durable: false })
  }

  /** Held by the set, stored or not. */
  hold(delta: VerifiedDelta): VerifiedDelta {
    this.set.set(delta.id, hlcMs(delta.header.hlc))
    return delta
  }

  whys(): Record<string, string> {
    return Object.fromEntries(this.quarantine.entries().map((entry) => [entry.id, entry.why]))
  }
}

const author = new Author(2)
const [one, two, three, four] = [1, 2, 3, 4].map((n) => author.write(at(n))) as [
  VerifiedDelta,
  VerifiedDelta,
  VerifiedDelta,
  VerifiedDelta
]

describe('quarantine', () => {
  it('tells what is gone from what is damaged and from what is another delta, and lets the sound go', async () => {
    const ward = new Ward()
    for (const delta of [one, two, three, four]) ward.hold(delta)
    await ward.store(one)
    await ward.store(two)
    await ward.store(four, three.id)
    await ward.disk.flipValue('delta', deltaKey(SPACE, two.id), 555)
    await ward.quarantine.start()
    for (const { id } of [one, two, three, four]) ward.quarantine.suspect(SPACE, id)
    await ward.quarantine.confirm()
    assert.deepEqual(ward.whys(), { [two.id]: 'checksum', [three.id]: 'hash', [four.id]: 'missing' })
    assert.deepEqual(
      ward.confirmed.map((entries) => entries.length),
      [3]
    )
    assert.equal(ward.metrics.snapshot()['chrysalis_node_quarantine_deltas'], 3)
    assert.equal(ward.metrics.snapshot()['chrysalis_node_quarantined_total'], 3)
    assert.equal((await ward.disk.rows('quarantine')).length, 3)
    const [entry] = ward.quarantine.entries()
    assert.equal(entry?.ms, hlcMs(two.header.hlc))
  })

  it('waits until what is being written has had time to reach the disk', async () => {
    const ward = new Ward()
    await ward.quarantine.start()
    ward.quarantine.suspect(SPACE, ward.hold(one).id, hlcMs(one.header.hlc))
    await ward.queue.run(900)
    assert.equal(ward.quarantine.size, 0)
    await ward.store(one)
    await ward.queue.run(2_000)
    ward.quarantine.suspect(SPACE, ward.hold(two).id, hlcMs(two.header.hlc))
    await ward.queue.run(4_000)
    assert.deepEqual(ward.whys(), { [two.id]: 'missing' })
    assert.equal(ward.located, 0, 'a reader that knows the time spares the walk')
  })

  it('judges nothing before the set is in memory', async () => {
    const ward = new Ward()
    ward.quarantine.suspect(SPACE, one.id)
    await ward.queue.run(10_000)
    ward.hold(one)
    await ward.quarantine.start()
    await ward.queue.run(20_000)
    assert.deepEqual(ward.whys(), { [one.id]: 'missing' })
  })

  it('deletes a damaged row that the set knows nothing of, and believes nobody who misses what was never there', async () => {
    const ward = new Ward()
    await ward.quarantine.start()
    await ward.store(one)
    await ward.disk.flipValue('delta', deltaKey(SPACE, one.id), 99)
    ward.quarantine.suspect(SPACE, one.id)
    ward.quarantine.suspect(SPACE, two.id)
    ward.quarantine.suspect(SPACE, three.id, 17)
    await ward.quarantine.confirm()
    assert.equal(ward.quarantine.size, 0)
    assert.deepEqual(await ward.disk.damaged(), [])
    assert.deepEqual(await ward.disk.rows('delta'), [])
    assert.equal(ward.misplaced, 1, 'another one must be missing')
  })

  it('is the same after a restart, but for what has come right meanwhile or is no longer held', async () => {
    const ward = new Ward()
    await ward.quarantine.start()
    for (const delta of [one, two, three]) ward.quarantine.suspect(SPACE, ward.hold(delta).id)
    await ward.quarantine.confirm()
    const before = ward.quarantine.entries()
    await ward.store(two)
    const again = new Ward(ward.disk)
    again.hold(one)
    again.hold(two)
    const junk = [
      { table: 'quarantine' as const, key: deltaKey(SPACE, four.id), value: utf8('{"why":"no reason"}') },
      { table: 'quarantine' as const, key: new Uint8Array(5), value: utf8('{}') },
      { table: 'quarantine' as const, key: new Uint8Array(48), value: utf8('neither') }
    ]
    await ward.disk.store.batch(junk, { durable: false })
    await ward.disk.flipValue('quarantine', new Uint8Array(48))
    await again.quarantine.restore()
    assert.equal(again.quarantine.size, 3)
    await again.quarantine.start()
    assert.deepEqual(again.quarantine.entries(), [before.find((entry) => entry.id === one.id)])
    assert.equal((await ward.disk.rows('quarantine')).length, 1)
    assert.deepEqual(again.confirmed, [], 'old news')
  })

  it('keeps so many, counts the rest, and says when it is worth looking again', async () => {
    const ward = new Ward()
    await ward.quarantine.start()
    const id = (n: number): string => n.toString(16).padStart(64, '0')
    for (let n = 1; n < LIMITS.quarantineDeltasMax; n++) {
      ward.set.set(id(n), 5)
      ward.quarantine.suspect(SPACE, id(n), 5)
    }
    ward.quarantine.suspect(SPACE, id(1), 5)
    assert.equal(ward.quarantine.beyond, 0)
    for (const n of [0, 10_001, 10_002]) {
      ward.set.set(id(n), 5)
      ward.quarantine.suspect(SPACE, id(n), 5)
    }
    await ward.quarantine.confirm()
    assert.deepEqual([ward.quarantine.size, ward.quarantine.beyond], [LIMITS.quarantineDeltasMax, 2])
    assert.equal(ward.metrics.snapshot()['chrysalis_node_quarantine_beyond_total'], 2)
    for (const entry of ward.quarantine.entries()) ward.quarantine.release(SPACE, entry.id)
    assert.equal(ward.quarantine.cleared(), true)
    assert.equal(ward.quarantine.cleared(), false)
    assert.equal(ward.quarantine.beyond, 0)
  })
})
